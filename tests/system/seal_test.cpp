// CVE-2019-5736, replayed: what a container's root with every capability of the host can do to the
// program that it finds under /proc/PID/exe. The program is this one: it executes itself again,
// sealed, and runs one of the hidden tests below.
#include "sys/seal.hpp"

#include <fcntl.h>
#include <linux/mount.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

constexpr int kReady = 3;  // the sealed program says here that it runs, as one byte
constexpr char kLooks[] = "seal (hidden) looks at itself";
constexpr char kWaits[] = "seal (hidden) waits to be killed";
constexpr char kSeals[] = "seal (hidden) seals itself and waits";
constexpr char kSealsAsUser[] = "seal (hidden) seals itself as a user and waits";
constexpr char kUnsealed[] = "seal (hidden) was executed by descriptor and is not sealed";

// The arguments with which this program runs one test and nothing else.
std::array<char*, 5> arguments_of(const char* test) {
  return {const_cast<char*>("/a/path/to/sealed-name"), const_cast<char*>(test),
          const_cast<char*>("-o"), const_cast<char*>("/dev/null"), nullptr};
}

int seal_and_run(const char* test) {
  auto arguments = arguments_of(test);
  sys::seal_own_image(arguments.data());
  return 99;  // it was sealed already, which a test that is started plainly is not
}

void become_user() {
  ::syscall(SYS_setresgid, 65534, 65534, 65534);
  ::syscall(SYS_setresuid, 65534, 65534, 65534);
}

int open_again(const sys::Fd& path, int flags) {
  const std::string link = "/proc/self/fd/" + std::to_string(path.number());
  const int fd = ::open(link.c_str(), flags | O_CLOEXEC);
  return fd >= 0 ? fd : -errno;
}

std::string own_name() {
  std::string name;
  std::getline(std::ifstream("/proc/self/comm"), name);
  return name;
}

// A sealed program, as an attacker who has all of the host's capabilities holds on to it. It is a
// copy of this one: a file that somebody else executes cannot be written to whatever protects it
// (ETXTBSY).
class Held {
 public:
  explicit Held(const char* test) {
    std::filesystem::copy_file("/proc/self/exe", copy_.path("program"));
    sys::Pipe ready = sys::make_pipe();
    child_ = sys::spawn({}, [&] {
      ::dup2(ready.write_end.number(), kReady);
      auto arguments = arguments_of(test);
      ::execv(copy_.path("program").c_str(), arguments.data());
      return 98;
    });
    ready.write_end.reset();
    std::array<char, 1> byte{};
    REQUIRE(sys::read_some(ready.read_end, byte) == 1U);
    const std::string link = "/proc/" + std::to_string(child_.pid) + "/exe";
    image_ = sys::Fd(::open(link.c_str(), O_PATH | O_CLOEXEC));
    REQUIRE(image_.number() >= 0);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { end(); }

  const sys::Fd& image() const noexcept { return image_; }
  void end() {
    if (!child_.pidfd) return;
    sys::send_signal(child_.pidfd, SIGKILL);
    sys::wait_for(child_.pidfd);
    child_.pidfd.reset();
  }

 private:
  test::Scratch copy_;
  sys::Child child_;
  sys::Fd image_;
};

}  // namespace

TEST_CASE("seal (hidden) looks at itself", "[.sealed]") {
  CHECK(::open("/proc/self/exe", O_WRONLY) == -1);
  auto arguments = arguments_of(kLooks);
  sys::seal_own_image(arguments.data());  // returns: once is enough
  CHECK(own_name() == "sealed-name");
}

TEST_CASE("seal (hidden) waits to be killed", "[.sealed]") {
  if (::write(kReady, "x", 1) == 1) ::pause();
}

TEST_CASE("seal (hidden) seals itself and waits", "[.sealed]") {
  seal_and_run(kWaits);
}

TEST_CASE("seal (hidden) seals itself as a user and waits", "[.sealed]") {
  become_user();
  seal_and_run(kWaits);
}

TEST_CASE("seal (hidden) was executed by descriptor and is not sealed", "[.sealed]") {
  auto arguments = arguments_of("");
  CHECK_THROWS_AS(sys::seal_own_image(arguments.data()), Error);
}

TEST_CASE("seal: the program runs again under its own name, sealed, and that once", "[seal]") {
  const sys::Child child = sys::spawn({}, [] { return seal_and_run(kLooks); });
  CHECK(sys::wait_for(child.pidfd).shell_code() == 0);
}

TEST_CASE("seal: whoever may not make mounts runs from a sealed copy", "[seal]") {
  if (test::skip_unless_root()) return;
  const sys::Child child = sys::spawn({}, [] {
    become_user();
    return seal_and_run(kLooks);
  });
  CHECK(sys::wait_for(child.pidfd).shell_code() == 0);
}

TEST_CASE("seal: an image that was executed by descriptor and is not sealed is an error, no loop",
          "[seal]") {
  const sys::Child child = sys::spawn({}, [] {
    const int image = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    auto arguments = arguments_of(kUnsealed);
    ::syscall(SYS_execveat, image, "", arguments.data(), ::environ, AT_EMPTY_PATH);
    return 99;
  });
  CHECK(sys::wait_for(child.pidfd).shell_code() == 0);
}

TEST_CASE("seal: a read-only clone cannot be written to, running or ended", "[seal]") {
  if (test::skip_unless_root()) return;
  Held held(kSeals);
  CHECK(open_again(held.image(), O_WRONLY) < 0);
  CHECK(open_again(held.image(), O_RDWR | O_TRUNC) < 0);
  held.end();
  // Nobody executes it any more, so nothing but the mount protects it.
  CHECK(open_again(held.image(), O_WRONLY) == -EROFS);
  CHECK(open_again(held.image(), O_WRONLY | O_TRUNC) == -EROFS);
}

TEST_CASE("seal: its mount can be neither changed, nor copied, nor moved by any capability",
          "[seal]") {
  if (test::skip_unless_root()) return;
  Held held(kSeals);
  mount_attr writable{
      .attr_set = 0, .attr_clr = MOUNT_ATTR_RDONLY, .propagation = 0, .userns_fd = 0};
  const int image = held.image().number();
  CHECK(::syscall(SYS_mount_setattr, image, "", AT_EMPTY_PATH, &writable, sizeof writable) == -1);
  CHECK(::syscall(SYS_open_tree, image, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC) == -1);
  const test::Scratch scratch;
  const std::string target = scratch.write("target", "");
  CHECK(::syscall(SYS_move_mount, image, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) ==
        -1);
  held.end();
  CHECK(::syscall(SYS_mount_setattr, image, "", AT_EMPTY_PATH, &writable, sizeof writable) == -1);
  CHECK(::syscall(SYS_open_tree, image, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | O_CLOEXEC) == -1);
  CHECK(open_again(held.image(), O_WRONLY) == -EROFS);
}

TEST_CASE("seal: a sealed copy takes no byte, running or ended", "[seal]") {
  if (test::skip_unless_root()) return;
  Held held(kSealsAsUser);
  CHECK(open_again(held.image(), O_WRONLY) == -ETXTBSY);
  held.end();
  const int fd = open_again(held.image(), O_RDWR);
  REQUIRE(fd >= 0);
  const sys::Fd writable(fd);
  CHECK((::write(fd, "x", 1) == -1 && errno == EPERM));
  CHECK((::ftruncate(fd, 0) == -1 && errno == EPERM));
  CHECK((::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1 && errno == EPERM));
}
