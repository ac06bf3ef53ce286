#include "cli/help.hpp"

#include <catch2/catch.hpp>

#include "cli/globals.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

TEST_CASE("help: that of the program begins as runc's does and names every command", "[help]") {
  const std::string text = cli::program_help("runc", cli::global_flags());
  CHECK_THAT(text, StartsWith("NAME:\n   runc - Open Container Initiative runtime\n"));
  for (const cli::Command* command : cli::commands()) {
    CHECK_THAT(text, Contains("\n   " + std::string(command->name) + " "));
  }
  for (const cli::Flag& flag : cli::global_flags()) {
    CHECK_THAT(text, Contains("\n   --" + std::string(flag.name)));
  }
}

TEST_CASE("help: that of a command begins with its name and shows each flag on one line",
          "[help]") {
  for (const cli::Command* command : cli::commands()) {
    const std::string text = cli::command_help("tare", *command);
    CHECK_THAT(text, StartsWith("NAME:\n   tare " + std::string(command->name) + " - "));
    CHECK_THAT(text, Contains("\n   --help, -h"));
    for (const cli::Flag& flag : command->flags) {
      const bool shown = text.find("\n   --" + std::string(flag.name)) != std::string::npos;
      CHECK(shown == !flag.help.empty());
    }
  }
}

TEST_CASE("help: a flag is shown with its letter and what its value is", "[help]") {
  CHECK_THAT(cli::command_help("tare", cli::kCreate),
             Contains("\n   --bundle PATH, -b PATH  the b"));
  CHECK_THAT(cli::command_help("tare", cli::kDelete), Contains("\n   --force, -f  kill"));
}

TEST_CASE("help: what engines still send and nobody should is not shown", "[help]") {
  CHECK_THAT(cli::command_help("tare", cli::kKill), !Contains("--all"));
  CHECK_THAT(cli::command_help("tare", cli::kCreate), !Contains("--no-subreaper"));
}

TEST_CASE("help: the version has the lines that go-runc and runc's tests read", "[help]") {
  const std::string text = cli::version_text("runc");
  CHECK_THAT(text, StartsWith("runc version "));
  CHECK_THAT(text, Contains("\ncommit: "));
  CHECK_THAT(text, Contains("\nspec: 1.3.0\n"));
  CHECK_THAT(text, Contains("\nlibseccomp: "));
}
