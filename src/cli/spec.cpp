// spec: a config.json for a plain root filesystem, to be edited by hand.
#include <fcntl.h>

#include <array>

#include "cli/absolute.hpp"
#include "cli/command.hpp"
#include "cli/container_flags.hpp"
#include "spec/example.hpp"
#include "sys/file.hpp"
#include "sys/kernel.hpp"

namespace tare {

std::string example_config(bool rootless) {
  return spec::example(rootless, sys::effective_user(), sys::effective_group());
}

namespace cli {
namespace {

constexpr char kConfig[] = "config.json";

constexpr std::array<Flag, 2> kFlags{{
    kBundleFlag,
    {.name = "rootless", .help = "write one that a user who is not root can run"},
}};

int run(const Call& call) {
  const std::string bundle = absolute(call.arguments.text("bundle"));
  const sys::Fd directory =
      sys::open_at(sys::FdRef::cwd(), bundle.empty() ? "." : bundle, O_PATH | O_DIRECTORY);
  if (sys::find_status(directory, kConfig)) {
    throw Error(ErrorKind::usage, "File config.json exists. Remove it first");
  }
  const std::string config = example_config(call.arguments.is_on("rootless"));
  // O_EXCL: nor is one overwritten that has come in between, or that a link leads to.
  const sys::Fd file = sys::open_at(directory, kConfig, O_WRONLY | O_CREAT | O_EXCL, 0666);
  sys::write_all(file, config);
  return 0;
}

}  // namespace

constinit const Command kSpec{
    .name = "spec",
    .summary = "write a config.json to begin with",
    .usage = "",
    .flags = kFlags,
    .fewest_words = 0,
    .most_words = 0,
    .run = run,
};

}  // namespace cli
}  // namespace tare
