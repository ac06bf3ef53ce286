// explain: the decisions of create without their effects. No other runtime has it.
#include <array>

#include "cli/absolute.hpp"
#include "cli/command.hpp"

namespace tare::cli {
namespace {

constexpr std::array<Flag, 1> kFlags{{
    {.name = "format",
     .takes = Takes::text,
     .value = "FORMAT",
     .help = "text (default) or json: a line for each effect, or the plan itself"},
}};

int run(const Call& call) {
  const std::string format = call.arguments.text("format");
  if (!format.empty() && format != "text" && format != "json") {
    throw Error(ErrorKind::usage, "invalid format option");
  }
  // There is no id yet, and what is named after it is to be told all the same.
  const CreateRequest request{
      .global = call.global, .id = "<container-id>", .bundle = absolute(call.arguments.words()[0])};
  std::string text = explain(request, format == "json");
  if (text.empty() || text.back() != '\n') text += '\n';
  print(text);
  return 0;
}

}  // namespace

constinit const Command kExplain{
    .name = "explain",
    .summary = "print what a bundle asks for, and how it would be done",
    .usage = "<bundle>",
    .details = "Needs no privilege and has no effect.",
    .flags = kFlags,
    .run = run,
};

}  // namespace tare::cli
