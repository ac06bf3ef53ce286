#include "state/store.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>

#include <algorithm>
#include <cerrno>

#include "state/record.hpp"
#include "sys/clock.hpp"
#include "sys/file.hpp"
#include "sys/kernel.hpp"

namespace tare::state {
namespace {

constexpr char kIntent[] = "intent";
constexpr char kRecord[] = "state";
constexpr char kNewRecord[] = "state.new";
constexpr char kGate[] = "gate";
constexpr char kAnswer[] = "answer";
constexpr char kSeccomp[] = "seccomp";
constexpr char kNotify[] = "notify";
constexpr char kCriu[] = "criu";
constexpr char kNotifySocket[] = "notify/notify.sock";
// No id has an @ in it.
constexpr char kSeccompCache[] = "@seccomp";

constexpr std::size_t kMaxIdLength = 255;  // NAME_MAX
// Held for a create with hooks that take their time, and no longer; callers give up after some 10
// s.
constexpr int kLockTimeoutMs = 10'000;
// Nobody but its owner has business there: init of a user namespace inherits what it needs as
// descriptors. The XDG base directory specification keeps what is sticky from being cleaned up.
constexpr mode_t kRootMode = 01700;
constexpr mode_t kDirectoryMode = 0700;
constexpr mode_t kFileMode = 0600;

bool is_id(std::string_view id) {
  if (id.empty() || id.size() > kMaxIdLength || id == "." || id == "..") return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-' || c == '.';
  });
}

Error does_not_exist() {
  return Error(ErrorKind::state, "container does not exist");
}

// Whoever can write here decides what a record says, and so which process is killed and which
// directory removed.
void check_owner(const struct stat& status, const std::string& path) {
  const uid_t user = sys::effective_user();
  if (status.st_uid != user) {
    throw Error(ErrorKind::state,
                fmt::format("{} belongs to uid {} and not to {}", path, status.st_uid, user));
  }
}

void check_root(const struct stat& status, const std::string& path) {
  check_owner(status, path);
  const bool foreign_group = status.st_gid != sys::effective_group();
  const bool writable =
      (status.st_mode & S_IWOTH) != 0 || (foreign_group && (status.st_mode & S_IWGRP) != 0);
  // In a sticky directory others can add names and not replace ours; what they add has the wrong
  // owner.
  if (writable && (status.st_mode & S_ISVTX) == 0) {
    throw Error(ErrorKind::state, fmt::format("{} can be written to by others", path),
                fmt::format("chmod go-w {}", path));
  }
}

void make_directories(const std::string& path) {
  std::size_t end = 0;
  while (end != std::string::npos) {
    end = path.find('/', end + 1);
    // Parents are there or are made for everyone to pass; the root itself is private.
    const bool last = end == std::string::npos;
    sys::make_directory(sys::FdRef::cwd(), path.substr(0, end), last ? kRootMode : 0755);
  }
}

std::optional<sys::Fd> find_directory(sys::FdRef dir, const std::string& path) {
  return sys::find_at(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

sys::HeldLock lock_or_throw(sys::FdRef directory, sys::LockMode mode) {
  sys::HeldLock held = sys::lock(directory, mode, kLockTimeoutMs);
  if (!held) throw Error(ErrorKind::state, "container is busy", "another tare works on it");
  return held;
}

bool is_same(const std::optional<struct stat>& named, const struct stat& opened) {
  return named && named->st_dev == opened.st_dev && named->st_ino == opened.st_ino;
}

// No fsync: what a record tells of ends with the boot. After a power loss a torn file reads as
// damaged, and there is nothing left to undo but the files.
void write_new(sys::FdRef dir, const char* name, int flags, std::string_view bytes) {
  const sys::Fd file = sys::open_at(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | flags, kFileMode);
  sys::write_all(file, bytes);
}

std::optional<std::string> find_file(sys::FdRef dir, const char* name) {
  // O_NONBLOCK: a FIFO in the place of the file must not hold us up.
  const std::optional<sys::Fd> file = sys::find_at(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return std::nullopt;
  return sys::read_all(*file);
}

}  // namespace

std::optional<std::string> boot_of(sys::FdRef directory) {
  // To ask which boot this is takes 25 us, and this takes half of one.
  if (sys::filesystem_type(directory) == TMPFS_MAGIC) return std::nullopt;
  return sys::boot_id();
}

void check_id(const std::string& id) {
  if (!is_id(id)) throw Error(ErrorKind::usage, "invalid container ID format");
}

void ContainerDirectory::write_intent(const Intent& intent) const {
  write_new(directory_, kIntent, O_EXCL, to_json(intent));
}

void ContainerDirectory::write_record(const Record& record) const {
  prepare_record(record);
  publish_record();
}

void ContainerDirectory::prepare_record(const Record& record) const {
  // Only a writer that was killed can have left one, as writers hold the lock.
  write_new(directory_, kNewRecord, O_TRUNC, to_json(record));
}

void ContainerDirectory::publish_record() const {
  sys::rename_file(directory_, kNewRecord, kRecord);
}

bool ContainerDirectory::lock_again() {
  lock_ = lock_or_throw(directory_, sys::LockMode::exclusive);
  // Whoever removed it meanwhile had the lock; nobody renames one.
  return sys::status(directory_).st_nlink != 0;
}

void ContainerDirectory::check_name(const std::string& id, const char* file) const {
  if (id != path_.substr(path_.rfind('/') + 1)) {
    throw Error(ErrorKind::state, fmt::format("damaged {}: it is of another container", file));
  }
}

std::optional<Intent> ContainerDirectory::find_intent() const {
  const std::optional<std::string> text = find_file(directory_, kIntent);
  if (!text) return std::nullopt;
  Intent intent = intent_from_json(*text);
  check_name(intent.id, kIntent);
  return intent;
}

std::optional<Record> ContainerDirectory::find_record() const {
  const std::optional<std::string> text = find_file(directory_, kRecord);
  if (!text) return std::nullopt;
  Record record = record_from_json(*text);
  check_name(record.id, kRecord);
  return record;
}

void ContainerDirectory::write_seccomp(std::string_view filter) const {
  write_new(directory_, kSeccomp, O_TRUNC, filter);
}

std::string ContainerDirectory::read_seccomp() const {
  std::optional<std::string> filter = find_file(directory_, kSeccomp);
  if (!filter) throw Error(ErrorKind::state, "the container's seccomp filter is missing");
  return std::move(*filter);
}

void ContainerDirectory::remove() const {
  // Nothing else is ours to remove; if it is there, rmdir says that the directory is not empty.
  for (const char* name : {kRecord, kNewRecord, kGate, kAnswer, kSeccomp, kIntent}) {
    sys::remove_file(directory_, name);
  }
  // Removed before: what has the name now is somebody else's.
  if (sys::status(directory_).st_nlink == 0) return;
  try {
    sys::remove_directory(sys::FdRef::cwd(), path_);
  } catch (const Error& error) {
    if (error.errno_value() != ENOTEMPTY) throw;
    // Only few containers have it, so only what cannot be removed without is looked at.
    sys::remove_file(directory_, kNotifySocket);
    sys::remove_directory(directory_, kNotify);
    sys::remove_directory(directory_, kCriu);
    sys::remove_directory(sys::FdRef::cwd(), path_);
  }
}

Store::Store(const GlobalOptions& options) : root_(options.root), root_given_(options.root_given) {}

std::optional<sys::Fd> Store::find_root() const {
  std::optional<sys::Fd> root = find_directory(sys::FdRef::cwd(), root_);
  if (root) check_root(sys::status(*root), root_);
  return root;
}

sys::Fd Store::make_root() const {
  std::optional<sys::Fd> root = find_root();
  if (!root) {
    make_directories(root_);
    root = find_root();
  }
  if (!root) throw Error(ErrorKind::state, fmt::format("{} was removed as it was made", root_));
  return std::move(*root);
}

ContainerDirectory Store::claim(const std::string& id) const {
  check_id(id);
  const sys::Fd root = make_root();
  for (;;) {
    if (!sys::make_directory(root, id, kDirectoryMode)) {
      throw Error(ErrorKind::state, "container with given ID already exists");
    }
    // Between mkdir and the lock, `delete --force` may take the directory for a dead creator's.
    std::optional<ContainerDirectory> claimed = find_in(root, id, Lock::exclusive);
    if (claimed) return std::move(*claimed);
  }
}

std::optional<ContainerDirectory> Store::find_in(sys::FdRef root, const std::string& id,
                                                 Lock lock) const {
  std::string path = root_ + "/" + id;
  for (;;) {
    std::optional<sys::Fd> directory = find_directory(root, id);
    if (!directory) return std::nullopt;
    const struct stat status = sys::status(*directory);
    check_owner(status, path);
    if (lock == Lock::none) return ContainerDirectory(std::move(*directory), std::move(path));

    sys::HeldLock held = lock_or_throw(
        *directory, lock == Lock::shared ? sys::LockMode::shared : sys::LockMode::exclusive);
    // While we waited the container may have been deleted, and its name given to a new one.
    if (is_same(sys::find_status(root, id), status)) {
      return ContainerDirectory(std::move(*directory), std::move(path), std::move(held));
    }
  }
}

ContainerDirectory Store::open(const std::string& id, Lock lock) const {
  std::optional<ContainerDirectory> directory = find(id, lock);
  if (!directory) throw does_not_exist();
  return std::move(*directory);
}

std::optional<ContainerDirectory> Store::find(const std::string& id, Lock lock) const {
  check_id(id);
  const std::optional<sys::Fd> root = find_root();
  if (!root) return std::nullopt;
  return find_in(*root, id, lock);
}

ContainerDirectory Store::open_in(sys::FdRef root, const std::string& id) const {
  std::optional<ContainerDirectory> directory = find_in(root, id, Lock::none);
  if (!directory) throw does_not_exist();
  return std::move(*directory);
}

std::optional<sys::Fd> Store::root_to_list() const {
  std::optional<sys::Fd> root = find_root();
  if (!root && root_given_) {
    throw Error(ErrorKind::state, fmt::format("open {}: no such file or directory", root_));
  }
  return root;
}

std::vector<std::string> Store::ids(sys::FdRef root) {
  std::vector<std::string> ids;
  for (std::string& name : sys::list_directory(root)) {
    if (!is_id(name)) continue;
    const std::optional<struct stat> status = sys::find_status(root, name);
    if (status && S_ISDIR(status->st_mode)) ids.push_back(std::move(name));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

sys::Fd Store::seccomp_cache() const {
  const sys::Fd root = make_root();
  std::optional<sys::Fd> cache = find_directory(root, kSeccompCache);
  if (!cache) {
    sys::make_directory(root, kSeccompCache, kDirectoryMode);
    cache = sys::open_at(root, kSeccompCache, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  // Whoever else owned it could put any filter there.
  check_owner(sys::status(*cache), fmt::format("{}/{}", root_, kSeccompCache));
  return std::move(*cache);
}

}  // namespace tare::state
