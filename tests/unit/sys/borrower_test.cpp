#include "sys/borrower.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "sys/file.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// Writes over as much of the stack as any command uses.
int use_stack(int depth) {
  std::array<volatile char, 4096> room{};
  std::fill(room.begin(), room.end(), static_cast<char>(depth));
  return depth == 0 ? room[7] : use_stack(depth - 1) + room[9];
}

TEST_CASE("a borrower ends as its body does, and is reaped", "[borrower]") {
  if (!kLendsMemory) return;
  CHECK(lend_memory({}, [] { return 0; }).code == 0);
  CHECK(lend_memory({}, [] { return 42; }).code == 42);
  CHECK(lend_memory({}, []() -> int { throw std::runtime_error("nobody's"); }).code == 1);
  CHECK(lend_memory({}, [] { return ::raise(SIGKILL); }).signal == SIGKILL);
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("what a borrower writes is written", "[borrower]") {
  if (!kLendsMemory) return;
  std::vector<std::string> words;
  pid_t borrower = 0;
  const ExitStatus ended = lend_memory({}, [&] {
    borrower = ::getpid();
    for (int at = 0; at < 1000; ++at) words.push_back("a text that is too long for the object");
    return 0;
  });
  CHECK(ended.code == 0);
  CHECK(borrower > 0);
  CHECK(borrower != ::getpid());
  CHECK(words.size() == 1000);
  CHECK(words.back() == "a text that is too long for the object");
}

TEST_CASE("what is on the stack is left as it was", "[borrower]") {
  if (!kLendsMemory) return;
  std::array<int, 1000> before{};
  std::iota(before.begin(), before.end(), 0);
  const std::array<int, 1000> copy = before;
  int sum = 0;
  CHECK(lend_memory({}, [&] {
          sum = use_stack(100);
          return 0;
        }).code == 0);
  CHECK(sum == use_stack(100));
  CHECK(before == copy);
}

TEST_CASE("an error of a borrower's can be thrown on", "[borrower]") {
  if (!kLendsMemory) return;
  for (int round = 0; round < 100; ++round) {
    std::string message;
    const ExitStatus ended = lend_memory({}, [&] {
      try {
        open_at(FdRef::cwd(), "/no/such/file", O_RDONLY);
      } catch (const Error& error) {
        message = error.message();
        return 3;
      }
      return 0;
    });
    CHECK(ended.code == 3);
    CHECK(message == "open /no/such/file: no such file or directory");
    CHECK_THROWS_AS(open_at(FdRef::cwd(), "/no/such/file", O_RDONLY), Error);
    CHECK(std::uncaught_exceptions() == 0);
  }
}

TEST_CASE("a borrower's descriptors, directory, mask and handlers are its own", "[borrower]") {
  if (!kLendsMemory) return;
  const Fd file = open_at(FdRef::cwd(), "/dev/null", O_RDONLY);
  std::array<char, 4096> before{};
  std::array<char, 4096> after{};
  REQUIRE(::getcwd(before.data(), before.size()));
  const ExitStatus ended = lend_memory({}, [&] {
    ::close(file.number());
    ::umask(0777);
    ::signal(SIGUSR1, SIG_IGN);
    return ::chdir("/proc");
  });
  CHECK(ended.code == 0);
  CHECK(::fcntl(file.number(), F_GETFD) == FD_CLOEXEC);
  REQUIRE(::getcwd(after.data(), after.size()));
  CHECK(std::string(after.data()) == before.data());
  CHECK(::umask(022) != 0777);
  CHECK(::signal(SIGUSR1, SIG_DFL) == SIG_DFL);
}

TEST_CASE("a borrower that cannot be made is an error", "[borrower]") {
  if (!kLendsMemory) return;
  const Fd no_cgroup = open_at(FdRef::cwd(), "/tmp", O_RDONLY);
  CHECK_THROWS_WITH(
      lend_memory(no_cgroup.ref(), [] { return 0; }),
      Catch::StartsWith("clone3(CLONE_VM, into ") && Catch::EndsWith("bad file descriptor"));
}

}  // namespace
}  // namespace tare::sys
