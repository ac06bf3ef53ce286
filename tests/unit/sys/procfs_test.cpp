#include "sys/procfs.hpp"

#include <sys/vfs.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

// A directory that looks like a procfs, as the writer trusts what open_procfs has proven.
class LookAlike {
 public:
  LookAlike() {
    for (const char* name : {"7", "7/task", "7/task/7", "7/task/7/attr"}) {
      make_directory(scratch_.fd(), name, 0755);
    }
    make_symlink("7/task/7", scratch_.fd(), "thread-self");
  }
  FdRef fd() const { return scratch_.fd(); }
  void add(const std::string& name) { scratch_.write("7/task/7/attr/" + name, ""); }
  std::string text(const std::string& name) const {
    return read_file(fd(), "7/task/7/attr/" + name);
  }

 private:
  test::Scratch scratch_{};
};

TEST_CASE("procfs: what is opened is the root of a procfs", "[procfs]") {
  const Fd root = open_procfs();
  CHECK(filesystem_type(root) == 0x9fa0);  // PROC_SUPER_MAGIC
  CHECK(status(root).st_ino == 1);
}

TEST_CASE("procfs: an attribute is written whole, by one write", "[procfs]") {
  LookAlike procfs;
  procfs.add("exec");
  CHECK(write_own_attribute(procfs.fd(), "exec", "exec web"));
  CHECK(procfs.text("exec") == "exec web");
}

TEST_CASE("procfs: an attribute that the kernel does not have is not there", "[procfs]") {
  const LookAlike procfs;
  CHECK_FALSE(write_own_attribute(procfs.fd(), "apparmor/exec", "x"));
}

TEST_CASE("procfs: a link in the place of an attribute is not followed", "[procfs]") {
  LookAlike procfs;
  procfs.add("current");
  make_symlink("current", procfs.fd(), "7/task/7/attr/exec");
  try {
    write_own_attribute(procfs.fd(), "exec", "x");
    FAIL("written");
  } catch (const Error& error) {
    CHECK(error.errno_value() == ELOOP);
    CHECK(error.message() ==
          "open `/proc/thread-self/attr/exec`: too many levels of symbolic links");
  }
  CHECK(procfs.text("current").empty());
}

TEST_CASE("procfs: what no security module takes is the kernel's refusal", "[procfs]") {
  const Fd root = open_procfs();
  try {
    // Either there is no such file, or nobody has a label of this name.
    if (write_own_attribute(root, "exec", "no such label")) FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.errno_value() != 0);
    CHECK(error.message().find("write `/proc/thread-self/attr/exec`: ") != std::string::npos);
  }
}

}  // namespace
}  // namespace tare::sys
