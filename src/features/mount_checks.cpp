#include "features/mount_checks.hpp"

#include <fmt/core.h>

#include <string>

#include "features/mount_target.hpp"

namespace tare::mount_checks {

Error refusal(const mounts::Entry& entry, std::string_view text) {
  Error error(ErrorKind::spec, std::string(text));
  error.add_context(mount_target::attempt(entry.source, entry.destination));
  error.set_field(entry.pointer);
  return error;
}

// Words that would be without an effect, which somebody relies on.
void check_words(const mounts::Entry& entry, bool is_bind) {
  using mount_options::Options;
  constexpr spec::Word<bool Options::*> kForBinds[] = {
      {"copy-symlink", &Options::copy_link},
      {"src-nofollow", &Options::keep_source_link},
      {"dest-nofollow", &Options::keep_target_link},
  };
  const Options& options = entry.options;
  if (options.copy_up && (is_bind || options.remount || entry.type != "tmpfs")) {
    throw refusal(entry, "tmpcopyup is for tmpfs only");
  }
  if (options.copy_link && (options.keep_source_link || options.keep_target_link)) {
    throw refusal(entry, "copy-symlink excludes src-nofollow and dest-nofollow");
  }
  if (is_bind) return;
  for (const auto& word : kForBinds) {
    if (options.*(word.value)) throw refusal(entry, fmt::format("{} is for binds only", word.name));
  }
  if (options.id_map.asked) {
    throw refusal(entry, "id-mapped mounts are only supported for bind-mounts");
  }
}

void check_lengths(const mounts::Entry& entry, const mounts::Mount& mount) {
  // fsconfig(2) copies 256 bytes of a value, the NUL included, and says EINVAL to more.
  constexpr std::size_t kLongest = 255;
  const auto check = [&](std::string_view what, std::string_view value) {
    if (value.size() <= kLongest) return;
    throw refusal(entry, fmt::format("{} has {} bytes, and the kernel takes {} at most", what,
                                     value.size(), kLongest));
  };
  if (mount.kind == mounts::Kind::filesystem) check("the source", mount.source);
  for (const std::string& option : mount.options.data) {
    const std::size_t end = option.find('=');
    if (end == std::string::npos) {
      check("an option", option);
    } else {
      check("option \"" + option.substr(0, end) + '"', std::string_view(option).substr(end + 1));
    }
  }
}

void check_place(const mounts::Mount& mount, const mounts::Entry& entry) {
  if (mount.kind == mounts::Kind::remount) return;
  if (mount.destination == "/") {
    throw refusal(entry, "mountpoint \"/\" is on the top of rootfs");
  }
  if (!mount_target::is_in_proc(mount.destination)) return;
  if (mount.destination == "/proc") {
    // Of a bind the parent sees whether it is one of a procfs.
    if (mount.type == "proc" || mount.kind == mounts::Kind::bind) return;
    throw refusal(entry, "\"/proc\" cannot be mounted because it is not of type proc");
  }
  if (mount_target::may_cover(mount.destination)) return;
  throw refusal(
      entry, fmt::format("\"{}\" cannot be mounted because it is inside /proc", mount.destination));
}

}  // namespace tare::mount_checks
