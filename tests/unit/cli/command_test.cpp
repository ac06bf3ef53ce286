#include "cli/command.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "cli/globals.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using cli::Command;
using cli::commands;
using cli::find_command;
using cli::Flag;

namespace {

std::string refusal(const Command& command, std::size_t count) {
  try {
    cli::check_word_count(command, "runc", count);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::usage);
    return error.message();
  }
  return "accepted";
}

void check_table(std::span<const Flag> flags) {
  std::set<std::string_view> names{"help"};
  std::set<char> letters{'h'};
  for (const Flag& flag : flags) {
    INFO(flag.name);
    CHECK(names.insert(flag.name).second);
    if (flag.letter != '\0') CHECK(letters.insert(flag.letter).second);
    // What is shown tells what its value is; what takes none has none.
    if (!flag.help.empty()) CHECK((flag.takes == cli::Takes::nothing) == flag.value.empty());
  }
}

bool has_flag(const Command& command, std::string_view name) {
  for (const Flag& flag : command.flags) {
    if (flag.name == name) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("command: every command is found by its name and by no other", "[command]") {
  std::set<std::string_view> names;
  for (const Command* command : commands()) {
    CHECK(find_command(command->name) == command);
    CHECK(names.insert(command->name).second);
    CHECK(command->run != nullptr);
    CHECK_FALSE(command->summary.empty());
  }
  CHECK(names == std::set<std::string_view>{"create", "start", "state", "kill", "delete", "run",
                                            "exec", "list", "ps", "events", "pause", "resume",
                                            "update", "mounts", "spec", "features", "explain",
                                            "checkpoint", "restore"});
  CHECK(find_command("frobnicate") == nullptr);
  CHECK(find_command("creat") == nullptr);
  CHECK(find_command("") == nullptr);
}

TEST_CASE("command: no table gives a flag or a letter two meanings", "[command]") {
  check_table(cli::global_flags());
  for (const Command* command : commands()) check_table(command->flags);
}

TEST_CASE("command: what engines pass to a command is in its table", "[command]") {
  for (const std::string_view flag :
       {"bundle", "pid-file", "console-socket", "pidfd-socket", "no-pivot", "no-new-keyring",
        "preserve-fds", "no-subreaper"}) {
    CHECK(has_flag(cli::kCreate, flag));
    CHECK(has_flag(cli::kRun, flag));
  }
  for (const std::string_view flag : {"process", "console-socket", "detach", "pid-file", "tty"}) {
    CHECK(has_flag(cli::kExec, flag));
  }
  CHECK(has_flag(cli::kKill, "all"));
  CHECK(has_flag(cli::kDelete, "force"));
  CHECK(has_flag(cli::kPs, "format"));
}

TEST_CASE("command: only exec, ps and kill leave what follows the first word alone", "[command]") {
  for (const Command* command : commands()) {
    const bool own = command->name == "exec" || command->name == "ps" || command->name == "kill";
    CHECK((command->order == cli::Order::before_first_word) == own);
  }
}

TEST_CASE("command: what puts a process into a container is sealed, and nothing else",
          "[command]") {
  for (const Command* command : commands()) {
    const bool makes =
        command->name == "create" || command->name == "run" || command->name == "exec";
    CHECK((command->makes != cli::Makes::nothing) == makes);
  }
}

TEST_CASE("command: a wrong number of words is refused in runc's words", "[command]") {
  CHECK(refusal(cli::kState, 0) == R"(runc: "state" requires exactly 1 argument(s))");
  CHECK(refusal(cli::kState, 2) == R"(runc: "state" requires exactly 1 argument(s))");
  CHECK(refusal(cli::kList, 1) == R"(runc: "list" requires exactly 0 argument(s))");
  CHECK(refusal(cli::kKill, 0) == R"(runc: "kill" requires a minimum of 1 argument(s))");
  CHECK(refusal(cli::kKill, 3) == R"(runc: "kill" requires a maximum of 2 argument(s))");
  CHECK(refusal(cli::kExec, 0) == R"(runc: "exec" requires a minimum of 1 argument(s))");
  CHECK(refusal(cli::kState, 1) == "accepted");
  CHECK(refusal(cli::kKill, 2) == "accepted");
  CHECK(refusal(cli::kExec, 1000) == "accepted");
  CHECK(refusal(cli::kPs, 7) == "accepted");
}
