// features: containerd and dockerd ask for it once, and choose by it what they put into a config.
#include "cli/command.hpp"

namespace tare::cli {
namespace {

int run(const Call&) {
  std::string document = features_document();
  if (document.empty() || document.back() != '\n') document += '\n';
  print(document);
  return 0;
}

}  // namespace

constinit const Command kFeatures{
    .name = "features",
    .summary = "print what this runtime supports, as JSON",
    .usage = "",
    .fewest_words = 0,
    .most_words = 0,
    .run = run,
};

}  // namespace tare::cli
