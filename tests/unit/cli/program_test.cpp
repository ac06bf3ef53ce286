#include "cli/program.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "../../scratch.hpp"
#include "state/store.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;
using nlohmann::json;
using test::Scratch;

namespace {

struct Outcome {
  int code = 0;
  std::string out{};
  std::string err{};
};

// What main does with a command line, in a child whose output is kept. Not for commands that seal
// the program: those would execute this one again.
Outcome call(std::vector<std::string> words) {
  const Scratch scratch;
  const sys::Child child = sys::spawn({}, [&] {
    const sys::Fd out = sys::open_at(scratch.fd(), "out", O_WRONLY | O_CREAT, 0600);
    const sys::Fd err = sys::open_at(scratch.fd(), "err", O_WRONLY | O_CREAT, 0600);
    ::dup2(out.number(), STDOUT_FILENO);
    ::dup2(err.number(), STDERR_FILENO);
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    cli::Program program(static_cast<int>(arguments.size()), arguments.data());
    try {
      return program.run();
    } catch (const Error& error) {
      return program.report(error);
    }
  });
  const int code = sys::wait_for(child.pidfd).shell_code();
  return {.code = code, .out = scratch.read("out"), .err = scratch.read("err")};
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("program: without a command, or asked for help, it prints its help and succeeds",
          "[program]") {
  const std::string help = call({"/usr/sbin/runc"}).out;
  CHECK_THAT(help, StartsWith("NAME:\n   runc - "));
  for (const char* word : {"--help", "-h", "help", "h"}) {
    const Outcome outcome = call({"runc", word});
    CHECK(outcome.code == 0);
    CHECK(outcome.out == help);
    CHECK(outcome.err.empty());
  }
}

TEST_CASE("program: the help of a command is had in three ways, whatever else is said",
          "[program]") {
  const std::string help = call({"tare", "help", "create"}).out;
  CHECK_THAT(help, StartsWith("NAME:\n   tare create - "));
  CHECK(call({"tare", "create", "--help"}).out == help);
  CHECK(call({"tare", "create", "a", "b", "-h"}).out == help);
  CHECK(call({"tare", "create", "--help"}).code == 0);
}

TEST_CASE("program: the version is that of the name it is called by", "[program]") {
  CHECK_THAT(call({"/opt/runc", "--version"}).out, StartsWith("runc version "));
  CHECK_THAT(call({"tare", "-v"}).out, StartsWith("tare version "));
  CHECK(call({"tare", "-v"}).code == 0);
}

TEST_CASE("program: an unknown command or topic fails in runc's words on one line", "[program]") {
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"tare", "foo"}, std::vector<std::string>{"tare", "foo", "-h"},
        std::vector<std::string>{"tare", "help", "foo"}}) {
    const Outcome outcome = call(words);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("level=error msg=\"No help topic for 'foo'\"\n"));
    CHECK(lines(outcome.err) == 1);
    CHECK(outcome.out.empty());
  }
}

TEST_CASE("program: bad usage prints the command's help beside the error", "[program]") {
  const Outcome outcome = call({"tare", "state", "a", "b"});
  CHECK(outcome.code == 1);
  CHECK_THAT(outcome.out, StartsWith("Incorrect Usage.\n\nNAME:\n   tare state - "));
  CHECK_THAT(outcome.err, Contains(R"(tare: \"state\" requires exactly 1 argument(s))"));
  CHECK(lines(outcome.err) == 1);
  CHECK_THAT(call({"tare", "exec", "--nothing"}).err,
             Contains("flag provided but not defined: -nothing"));
  CHECK(call({"tare", "exec", "--nothing"}).code == 1);
}

TEST_CASE("program: a mistake in a global flag is an error of no command", "[program]") {
  const Outcome outcome = call({"tare", "--root", "/", "list"});
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, Contains("Option --root argument should not be set to /"));
}

TEST_CASE("program: a failing command says why once, and in the log as well", "[program]") {
  const Scratch scratch;
  const Outcome outcome = call({"tare", "--root", scratch.path("root"), "--log",
                                scratch.path("log"), "--log-format=json", "state", "web"});
  CHECK(outcome.code == 1);
  CHECK(outcome.out.empty());
  CHECK(outcome.err == "container does not exist\n");
  const json line = json::parse(scratch.read("log"));
  CHECK(line["msg"] == "container does not exist");
  CHECK(line["kind"] == "state");
}

TEST_CASE("program: an error of the command line is in the log too", "[program]") {
  const Scratch scratch;
  call({"tare", "--log", scratch.path("log"), "state"});
  CHECK_THAT(scratch.read("log"), Contains("requires exactly 1 argument(s)"));
  CHECK(lines(scratch.read("log")) == 1);
}

TEST_CASE("program: a success says nothing of itself and leaves no line", "[program]") {
  const Scratch scratch;
  const Outcome outcome = call(
      {"tare", "--root", scratch.path(), "--log", scratch.path("log"), "list", "--format", "json"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out == "null\n");
  CHECK(outcome.err.empty());
  CHECK(scratch.read("log").empty());
}

TEST_CASE("program: what cannot be read is reported beside the list of the rest", "[program]") {
  const Scratch scratch;
  const state::Store store({.root = scratch.path(), .root_given = true});
  store.claim("broken");
  scratch.write("broken/state", "{\"id\":");
  const Outcome outcome = call({"tare", "--root", scratch.path(), "list", "-q"});
  CHECK(outcome.code == 0);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, StartsWith("load container broken: damaged state"));
  CHECK(lines(outcome.err) == 1);
}

TEST_CASE("program: a format that is none is refused", "[program]") {
  const Scratch scratch;
  for (const char* command : {"list", "ps", "explain"}) {
    std::vector<std::string> words{"tare", "--root", scratch.path(), command, "--format", "yaml"};
    if (words[3] != "list") words.emplace_back("x");
    const Outcome outcome = call(words);
    CHECK(outcome.code == 1);
    CHECK_THAT(outcome.err, Contains("invalid format option"));
  }
}

TEST_CASE("program: a forced delete is content with nothing, and other commands are not",
          "[program]") {
  const Scratch scratch;
  CHECK(call({"tare", "--root", scratch.path(), "delete", "--force", "web"}).code == 0);
  const Outcome plain = call({"tare", "--root", scratch.path(), "delete", "web"});
  CHECK(plain.code == 1);
  CHECK_THAT(plain.err, Contains("container does not exist"));
  CHECK_THAT(call({"tare", "--root", scratch.path(), "kill", "web", "NONSENSE"}).err,
             Contains("unknown signal"));
}

TEST_CASE("program: spec writes a config once", "[program]") {
  const Scratch scratch;
  CHECK(call({"tare", "spec", "--bundle", scratch.path()}).code == 0);
  const std::string written = scratch.read("config.json");
  CHECK(json::parse(written)["ociVersion"] == "1.3.0");
  const Outcome again = call({"tare", "spec", "-b", scratch.path(), "--rootless"});
  CHECK(again.code == 1);
  CHECK_THAT(again.err, Contains("File config.json exists. Remove it first"));
  CHECK(scratch.read("config.json") == written);
}

TEST_CASE("program: spec does not write through a link that dangles", "[program]") {
  const Scratch scratch;
  sys::make_symlink("elsewhere", scratch.fd(), "config.json");
  CHECK(call({"tare", "spec", "--bundle", scratch.path()}).code == 1);
  CHECK_FALSE(scratch.has("elsewhere"));
}

TEST_CASE("program: with no word at all, not even its name, it fails", "[program]") {
  CHECK(call({}).code == 1);
}
