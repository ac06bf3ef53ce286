// Each word of each mount is compared with some seventy: compiled as spec/document.cpp is.
#pragma GCC optimize("O2")

#include "features/mount_options.hpp"

#include <linux/mount.h>

#include <algorithm>
#include <string_view>
#include <utility>

namespace tare::mount_options {
namespace {

struct Flag {
  std::string_view name;
  bool clears;
  std::uint64_t flag;  // MS_*
};

// The words of mount(8). They are gathered as flags of mount(2), whose rules on access times decide
// between contradicting ones, and are turned into attributes at the end.
constexpr Flag kFlags[] = {
    {"async", true, MS_SYNCHRONOUS},
    {"atime", true, MS_NOATIME},
    {"defaults", false, 0},
    {"dev", true, MS_NODEV},
    {"diratime", true, MS_NODIRATIME},
    {"dirsync", false, MS_DIRSYNC},
    {"exec", true, MS_NOEXEC},
    {"iversion", false, MS_I_VERSION},
    {"lazytime", false, MS_LAZYTIME},
    {"loud", true, MS_SILENT},
    {"mand", false, MS_MANDLOCK},
    {"noatime", false, MS_NOATIME},
    {"nodev", false, MS_NODEV},
    {"nodiratime", false, MS_NODIRATIME},
    {"noexec", false, MS_NOEXEC},
    {"noiversion", true, MS_I_VERSION},
    {"nolazytime", true, MS_LAZYTIME},
    {"nomand", true, MS_MANDLOCK},
    {"norelatime", true, MS_RELATIME},
    {"nostrictatime", true, MS_STRICTATIME},
    {"nosuid", false, MS_NOSUID},
    {"nosymfollow", false, MS_NOSYMFOLLOW},
    {"relatime", false, MS_RELATIME},
    {"ro", false, MS_RDONLY},
    {"rw", true, MS_RDONLY},
    {"silent", false, MS_SILENT},
    {"strictatime", false, MS_STRICTATIME},
    {"suid", true, MS_NOSUID},
    {"sync", false, MS_SYNCHRONOUS},
    {"symfollow", true, MS_NOSYMFOLLOW},
};

// The words for a mount and all below it; access times are a value within MOUNT_ATTR__ATIME here.
constexpr Flag kRecursive[] = {
    {"ratime", true, MOUNT_ATTR_NOATIME},
    {"rdev", true, MOUNT_ATTR_NODEV},
    {"rdiratime", true, MOUNT_ATTR_NODIRATIME},
    {"rexec", true, MOUNT_ATTR_NOEXEC},
    {"rnoatime", false, MOUNT_ATTR_NOATIME},
    {"rnodev", false, MOUNT_ATTR_NODEV},
    {"rnodiratime", false, MOUNT_ATTR_NODIRATIME},
    {"rnoexec", false, MOUNT_ATTR_NOEXEC},
    {"rnorelatime", true, MOUNT_ATTR_RELATIME},
    {"rnostrictatime", true, MOUNT_ATTR_STRICTATIME},
    {"rnosuid", false, MOUNT_ATTR_NOSUID},
    {"rnosymfollow", false, MOUNT_ATTR_NOSYMFOLLOW},
    {"rrelatime", false, MOUNT_ATTR_RELATIME},
    {"rro", false, MOUNT_ATTR_RDONLY},
    {"rrw", true, MOUNT_ATTR_RDONLY},
    {"rstrictatime", false, MOUNT_ATTR_STRICTATIME},
    {"rsuid", true, MOUNT_ATTR_NOSUID},
    {"rsymfollow", true, MOUNT_ATTR_NOSYMFOLLOW},
};

constexpr spec::Word<std::uint64_t> kPropagation[] = {
    {"private", MS_PRIVATE},
    {"rprivate", MS_PRIVATE | MS_REC},
    {"rshared", MS_SHARED | MS_REC},
    {"rslave", MS_SLAVE | MS_REC},
    {"runbindable", MS_UNBINDABLE | MS_REC},
    {"shared", MS_SHARED},
    {"slave", MS_SLAVE},
    {"unbindable", MS_UNBINDABLE},
};

constexpr spec::Word<bool Options::*> kSwitches[] = {
    {"bind", &Options::bind},
    {"copy-symlink", &Options::copy_link},
    {"dest-nofollow", &Options::keep_target_link},
    {"rbind", &Options::recursive_bind},
    {"remount", &Options::remount},
    {"src-nofollow", &Options::keep_source_link},
    {"tmpcopyup", &Options::copy_up},
};

// crun's words for what is the superblock's, which all mounts of it share: recursive or not is the
// same, and no flag of a mount is named.
constexpr Flag kOfTheSuperblock[] = {
    {"rasync", true, MS_SYNCHRONOUS}, {"rdirsync", false, MS_DIRSYNC},
    {"rmand", false, MS_MANDLOCK},    {"rnomand", true, MS_MANDLOCK},
    {"rsync", false, MS_SYNCHRONOUS},
};

// What mount(2) would set on the superblock, by its name for fsconfig(2). It has none for
// MS_I_VERSION, which filesystems set by themselves, nor for MS_SILENT.
constexpr spec::Word<std::uint64_t> kSuperblock[] = {
    {"ro", MS_RDONLY},     {"sync", MS_SYNCHRONOUS},  {"dirsync", MS_DIRSYNC},
    {"mand", MS_MANDLOCK}, {"lazytime", MS_LAZYTIME},
};

// The flags of the mount itself, access times left out, have the same bits in both interfaces but
// one.
std::uint64_t attributes(std::uint64_t flags) {
  std::uint64_t bits = flags & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
  if ((flags & MS_NOSYMFOLLOW) != 0) bits |= MOUNT_ATTR_NOSYMFOLLOW;
  return bits;
}

struct Flags {
  std::uint64_t set = 0;
  std::uint64_t cleared = 0;
};

// The kernel's rule (fs/namespace.c, path_mount): strictatime beats noatime, and what is left is
// relatime. One word that asks for an access time settles them all; words that only take one back
// leave a bind with its source's.
void choose_access_time(std::uint64_t flags, Options& out) {
  if ((flags & (MS_NOATIME | MS_RELATIME | MS_STRICTATIME | MS_NODIRATIME)) == 0) return;
  // mount_setattr(2) takes an access time only together with all of MOUNT_ATTR__ATIME cleared.
  out.clear |= MOUNT_ATTR__ATIME;
  if ((flags & MS_STRICTATIME) != 0) {
    out.set |= MOUNT_ATTR_STRICTATIME;
  } else if ((flags & MS_NOATIME) != 0) {
    out.set |= MOUNT_ATTR_NOATIME;
  }
  ((flags & MS_NODIRATIME) != 0 ? out.set : out.clear) |= MOUNT_ATTR_NODIRATIME;
}

void settle(const Flags& flags, Options& out) {
  out.set = attributes(flags.set);
  out.clear = attributes(flags.cleared);
  choose_access_time(flags.set, out);
  for (const auto& word : kSuperblock) {
    if ((flags.set & word.value) != 0) out.superblock.emplace_back(word.name);
  }
}

void add_recursive(const Flag& word, Options& out) {
  // RELATIME is the value 0 of the field, so the field is what tells.
  const bool access_time = (word.flag & ~std::uint64_t{MOUNT_ATTR__ATIME}) == 0;
  const std::uint64_t field = access_time ? std::uint64_t{MOUNT_ATTR__ATIME} : word.flag;
  out.recursive_set &= ~field;
  out.recursive_clear &= ~field;
  if (word.clears || access_time) out.recursive_clear |= field;
  if (!word.clears) out.recursive_set |= word.flag;
}

// Commas separate options even within one word, as in the text that mount(2) takes, but not in
// quotes, where SELinux contexts have theirs.
void add_data(std::string_view text, Options& out) {
  std::string word;
  bool quoted = false;
  for (const char letter : text) {
    if (letter == '"') {
      quoted = !quoted;
    } else if (letter == ',' && !quoted) {
      if (!word.empty()) out.data.push_back(std::exchange(word, {}));
    } else {
      word += letter;
    }
  }
  if (!word.empty()) out.data.push_back(std::move(word));
}

template <typename Word, std::size_t N>
const Word* find_word(const Word (&words)[N], std::string_view name) {
  const auto found =
      std::find_if(words, words + N, [&](const Word& word) { return word.name == name; });
  return found == words + N ? nullptr : found;
}

void add_flag(const Flag& word, Flags& flags) {
  (word.clears ? flags.cleared : flags.set) |= word.flag;
  (word.clears ? flags.set : flags.cleared) &= ~word.flag;
}

void add_word(const spec::Reader& item, Options& out, Flags& flags) {
  const std::string text = item.string();
  if (const auto* option = find_word(kSwitches, text)) {
    out.*(option->value) = true;
  } else if (const Flag* flag = find_word(kFlags, text)) {
    add_flag(*flag, flags);
    out.names_flags = out.names_flags || flag->flag != 0;
  } else if (const Flag* recursive = find_word(kRecursive, text)) {
    add_recursive(*recursive, out);
  } else if (const auto* propagation = find_word(kPropagation, text)) {
    out.propagation.push_back(propagation->value);
  } else if (const Flag* superblock = find_word(kOfTheSuperblock, text)) {
    add_flag(*superblock, flags);
  } else if (!id_mapped_mounts::read_word(item, text, out.id_map)) {
    add_data(text, out);
  }
}

void add_change(std::vector<Change>& out, std::uint64_t set, std::uint64_t clear, bool recursive) {
  if ((set | clear) == 0) return;
  if (out.empty() || out.back().recursive != recursive) {
    out.push_back({.set = set, .clear = clear, .recursive = recursive});
    return;
  }
  out.back().set = (out.back().set & ~clear) | set;
  out.back().clear = (out.back().clear & ~set) | clear;
}

}  // namespace

Options parse(const spec::Reader& mount) {
  Options out;
  id_mapped_mounts::read_fields(mount, out.id_map);
  const std::optional<spec::Reader> list = mount.find("options");
  if (!list) return out;
  Flags flags;
  for (const spec::Reader& item : list->items()) add_word(item, out, flags);
  out.bind = out.bind || out.recursive_bind;
  settle(flags, out);
  return out;
}

std::vector<std::string> known_options() {
  std::vector<std::string> names;
  for (const auto& word : kFlags) names.emplace_back(word.name);
  for (const auto& word : kRecursive) names.emplace_back(word.name);
  for (const auto& word : kPropagation) names.emplace_back(word.name);
  for (const auto& word : kSwitches) names.emplace_back(word.name);
  for (const auto& word : kOfTheSuperblock) names.emplace_back(word.name);
  for (const std::string_view word : id_mapped_mounts::kWords) names.emplace_back(word);
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Change> changes(const Options& options, bool tree) {
  std::vector<Change> out;
  add_change(out, options.set, options.clear, false);
  add_change(out, options.recursive_set, options.recursive_clear, tree);
  for (std::size_t i = 0; i < options.propagation.size(); ++i) {
    const std::uint64_t kind = options.propagation[i] & ~std::uint64_t{MS_REC};
    const bool recursive = tree && (options.propagation[i] & MS_REC) != 0;
    // A change of attributes takes the first one along: one call less for almost every bind.
    const auto fits = std::find_if(out.begin(), out.end(), [&](const Change& change) {
      return i == 0 && change.recursive == recursive;
    });
    if (fits != out.end()) {
      fits->propagation = kind;
    } else {
      out.push_back({.propagation = kind, .recursive = recursive});
    }
  }
  return out;
}

}  // namespace tare::mount_options
