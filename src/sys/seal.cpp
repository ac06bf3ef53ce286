#include "sys/seal.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string_view>

#include "sys/describe.hpp"
#include "sys/fd.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

bool tare_is_sealed = false;

// Which image to execute again, and why. What each adds to a start beside the execve (medians of
// 300 by conformance/bench/seals.c, Linux 6.18; docs/speed.md has more), and whether it
// holds against all of CVE-2019-5736's ways, up to a container with every capability and no user
// namespace (tests/system/seal_test.cpp, conformance/tests/test_seal.py, and A-05 of
// conformance/attacks):
//
//   nothing, on a read-only mount       0.0   holds: that mount is in no namespace of a container
//   nothing, with fs-verity             0.0   does not: CAP_FOWNER and CAP_CHOWN change its mode
//   and
//                                             owner by way of that link, if not its contents
//   nothing, with the immutable flag    0.0   does not: CAP_LINUX_IMMUTABLE takes it off by an
//                                             ioctl on the descriptor that /proc/PID/exe gives
//   detached read-only clone            0.1   holds: it is attached nowhere, so it can be neither
//                                             remounted, nor changed, nor cloned
//   overlay of the binary's directory   0.3   runc's way; needs the rights that the clone needs,
//                                             so there is nowhere that it is the next best
//   sealed memfd                        1.8   holds; needs no privilege, but copies the program,
//                                             and the copy counts against the caller's memory
namespace tare::sys {
namespace {

constexpr char kOwnImage[] = "/proc/self/exe";
// Of headers that are newer than Debian 12's: memfd_create(2), Linux 6.3.
constexpr unsigned kMfdExec = 0x0010U;
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

// The kernel names an image that was executed by descriptor "/dev/fd/N" (execveat(2)).
bool was_executed_by_descriptor() {
  const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));  // NOLINT
  return name != nullptr && std::string_view(name).substr(0, 8) == "/dev/fd/";
}

// Files of a memfd lie on a tmpfs that is mounted nowhere, and only such files have seals.
bool is_sealed_memfd(long filesystem) {
  if (filesystem != TMPFS_MAGIC) return false;
  const Fd image(::open(kOwnImage, O_RDONLY | O_CLOEXEC));
  const int seals = image ? ::fcntl(image.number(), F_GET_SEALS) : -1;
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

bool is_sealed() {
  struct statfs filesystem {};
  if (::statfs(kOwnImage, &filesystem) < 0) raise(errno, "statfs {}", kOwnImage);
  return (static_cast<unsigned long>(filesystem.f_flags) & ST_RDONLY) != 0 ||
         is_sealed_memfd(filesystem.f_type);
}

// A mount of the file alone that is attached nowhere: no path leads to it, so no remount reaches
// it, and nobody can write through it, whatever is done to the mounts that have paths. nullopt
// where mounts are not ours to make (rootless), or the image is not in our mount namespace.
std::optional<Fd> clone_read_only() {
  try {
    Fd tree = clone_tree(FdRef::cwd(), kOwnImage, false);
    set_attributes(tree, {.set = MOUNT_ATTR_RDONLY}, false);
    return tree;
  } catch (const Error&) {
    return std::nullopt;
  }
}

Fd make_memfd() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Fd memory(::memfd_create("tare", kFlags | kMfdExec));
  // A kernel that does not know MFD_EXEC makes executable ones anyway.
  if (!memory && errno == EINVAL) memory = Fd(::memfd_create("tare", kFlags));
  if (!memory) raise(errno, "memfd_create");
  return memory;
}

Fd copy_sealed() {
  const Fd image = open_at(FdRef::cwd(), kOwnImage, O_RDONLY);
  Fd copy = make_memfd();
  constexpr std::size_t kAtOnce = 1U << 30U;
  ssize_t copied = 0;
  do {
    copied = ::sendfile(copy.number(), image.number(), nullptr, kAtOnce);
    if (copied < 0) raise(errno, "sendfile({}, {})", describe(copy), describe(image));
  } while (copied > 0);
  if (::fcntl(copy.number(), F_ADD_SEALS, kSeals) < 0) raise(errno, "seal {}", describe(copy));
  return copy;
}

// Returns only when it fails, with errno set.
void execute_by_descriptor(FdRef image, char** arguments) {
  ::syscall(SYS_execveat, image.number(), "", arguments, ::environ, AT_EMPTY_PATH);
}

}  // namespace

void seal_own_image(char** arguments) {
  if (tare_is_sealed) return;
  if (is_sealed()) {
    // Executed by descriptor, a process is called after the descriptor's number in ps(1).
    const std::string_view name = arguments[0];
    if (was_executed_by_descriptor()) {
      ::prctl(PR_SET_NAME, name.substr(name.rfind('/') + 1).data());
    }
    return;
  }
  // The image that we made ourselves must be sealed, or we would execute it for ever.
  if (was_executed_by_descriptor()) raise(EPERM, "{} can be written to", kOwnImage);

  if (const std::optional<Fd> tree = clone_read_only()) execute_by_descriptor(*tree, arguments);
  const Fd copy = copy_sealed();
  execute_by_descriptor(copy, arguments);
  raise(errno, "execveat {}", describe(copy));
}

}  // namespace tare::sys
