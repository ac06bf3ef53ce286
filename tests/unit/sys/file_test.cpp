#include "sys/file.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cerrno>
#include <functional>

#include "../../scratch.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::sys {
namespace {

using test::Scratch;

int errno_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.errno_value();
  }
  return 0;
}

TEST_CASE("what is opened is closed on exec and cannot become a terminal of ours", "[file]") {
  const Scratch scratch;
  const Fd fd = open_at(scratch.fd(), "new", O_WRONLY | O_CREAT, 0640);
  CHECK((::fcntl(fd.number(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((status(fd).st_mode & 07777) == 0640);
}

TEST_CASE("an open that fails names the directory and the file", "[file]") {
  const Scratch scratch;
  CHECK_THROWS_WITH(open_at(FdRef::cwd(), "/no/such", O_RDONLY),
                    "open /no/such: no such file or directory");
  CHECK_THROWS_WITH(open_at(scratch.fd(), "x", O_RDONLY),
                    Catch::EndsWith("]<" + scratch.path() + ">/x: no such file or directory"));
}

TEST_CASE("only what is missing is nullopt", "[file]") {
  const Scratch scratch;
  scratch.write("file", "");
  REQUIRE(make_symlink("loop", scratch.fd(), "loop"));
  CHECK_FALSE(find_at(scratch.fd(), "none", O_RDONLY));
  CHECK_FALSE(find_at(scratch.fd(), "none/below", O_RDONLY));
  CHECK(find_at(scratch.fd(), "file", O_RDONLY));
  CHECK(errno_of([&] { find_at(scratch.fd(), "file/below", O_RDONLY); }) == ENOTDIR);
  CHECK(errno_of([&] { find_at(scratch.fd(), "loop", O_RDONLY); }) == ELOOP);
}

TEST_CASE("a file as long as the limit is read whole and one byte more is refused", "[file]") {
  const Scratch scratch;
  const std::size_t limit = GENERATE(0U, 1U, 4095U, 4096U, 4097U, 8192U, 100'000U);
  std::string text(limit, 'x');
  if (limit > 0) text.back() = 'y';
  scratch.write("exact", text);
  CHECK(read_file(scratch.fd(), "exact", limit) == text);
  scratch.write("longer", text + "z");
  CHECK(errno_of([&] { read_file(scratch.fd(), "longer", limit); }) == EFBIG);
  CHECK(read_file(scratch.fd(), "longer", limit + 1) == text + "z");
}

TEST_CASE("a refusal for length names the file and the limit", "[file]") {
  const Scratch scratch;
  scratch.write("long", "12345");
  CHECK_THROWS_WITH(read_file(scratch.fd(), "long", 4),
                    Catch::Contains("long>: more than 4 bytes: file too large"));
}

TEST_CASE("a file without end is refused and does not fill the memory", "[file]") {
  CHECK(errno_of([] { read_file(FdRef::cwd(), "/dev/zero", 10'000); }) == EFBIG);
}

TEST_CASE("a file is read whole, whatever its size", "[file]") {
  const Scratch scratch;
  for (const std::size_t size : {0U, 1U, 4095U, 4096U, 4097U, 8192U, 12'464U, 70'000U}) {
    CAPTURE(size);
    const std::string text(size, 't');
    scratch.write("f", text);
    CHECK(read_file(scratch.fd(), "f", size) == text);
    if (size > 0) CHECK(errno_of([&] { read_file(scratch.fd(), "f", size - 1); }) == EFBIG);
  }
}

TEST_CASE("reading goes on from where the descriptor stands, NUL bytes and all", "[file]") {
  const Scratch scratch;
  scratch.write("f", std::string_view("a\0b\0c", 5));
  const Fd fd = open_at(scratch.fd(), "f", O_RDONLY);
  char first = 0;
  REQUIRE(::read(fd.number(), &first, 1) == 1);
  CHECK(read_all(fd) == std::string("\0b\0c", 4));
  CHECK(read_all(fd).empty());
}

TEST_CASE("a file of procfs, whose size is 0, is read whole", "[file]") {
  CHECK_THAT(read_file(FdRef::cwd(), "/proc/self/status"), Catch::Contains("\nPid:"));
}

TEST_CASE("a pipe is read to its end in whatever pieces it comes", "[file]") {
  Pipe pipe = make_pipe();
  const Child writer = spawn({}, [&] {
    for (int piece = 0; piece < 50; ++piece) write_all(pipe.write_end, std::string(997, 'p'));
    return 0;
  });
  pipe.write_end.reset();
  CHECK(read_all(pipe.read_end) == std::string(50 * 997, 'p'));
  wait_for(writer.pidfd);
}

TEST_CASE("a directory cannot be read as a file", "[file]") {
  const Scratch scratch;
  CHECK(errno_of([&] { read_all(scratch.fd()); }) == EISDIR);
}

TEST_CASE("what does not fit into a pipe at once is written in the end", "[file]") {
  Pipe pipe = make_pipe();
  const std::string text(1U << 20U, 'w');
  const Child writer = spawn({}, [&] {
    pipe.read_end.reset();
    write_all(pipe.write_end, text);
    return 0;
  });
  pipe.write_end.reset();
  CHECK(read_all(pipe.read_end, text.size()) == text);
  CHECK(wait_for(writer.pidfd).code == 0);
}

TEST_CASE("a write to a full device is an error that names it", "[file]") {
  const Fd full = open_at(FdRef::cwd(), "/dev/full", O_WRONLY);
  CHECK_THROWS_WITH(write_all(full, "x"), Catch::EndsWith("</dev/full>: no space left on device"));
  CHECK_NOTHROW(write_all(full, ""));
}

TEST_CASE("a value is written as one and a refusal names value and file", "[file]") {
  const Scratch scratch;
  scratch.write("v", "old value");
  write_value(scratch.fd(), "v", "new");
  CHECK(scratch.read("v") == "new value");
  CHECK_THROWS_WITH(write_value(FdRef::cwd(), "/dev/full", "42"),
                    Catch::StartsWith("write \"42\" to [") &&
                        Catch::EndsWith("</dev/full>: no space left on device"));
}

TEST_CASE("a value makes no file that was not there", "[file]") {
  const Scratch scratch;
  CHECK(errno_of([&] { write_value(scratch.fd(), "none", "1"); }) == ENOENT);
  CHECK_FALSE(scratch.has("none"));
}

TEST_CASE("a value that is taken only in part is an error", "[file]") {
  const Scratch scratch;
  scratch.write("v", "");
  // A limit on the size of files stands in for a kernel file that stops early.
  const Child child = spawn({}, [&] {
    const rlimit four_bytes{4, 4};
    ::setrlimit(RLIMIT_FSIZE, &four_bytes);
    try {
      write_value(scratch.fd(), "v", "0-1,5-6");
    } catch (const Error& error) {
      return error.message().ends_with("/v>: only 4 of 7 bytes were taken") ? 0 : 1;
    }
    return 2;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("bytes are copied within the kernel from where the source stands", "[file]") {
  const Scratch scratch;
  scratch.write("from", std::string(300'000, 'c') + "end");
  const Fd from = open_at(scratch.fd(), "from", O_RDONLY);
  const Fd to = open_at(scratch.fd(), "to", O_WRONLY | O_CREAT, 0600);
  REQUIRE(::lseek(from.number(), 100'000, SEEK_SET) == 100'000);
  copy_bytes(from, to);
  CHECK(scratch.read("to") == std::string(200'000, 'c') + "end");
}

TEST_CASE("a link is not followed to find its status", "[file]") {
  const Scratch scratch;
  REQUIRE(make_symlink("/", scratch.fd(), "link"));
  const auto link = find_status(scratch.fd(), "link");
  REQUIRE(link);
  CHECK(S_ISLNK(link->st_mode));
  CHECK_FALSE(find_status(scratch.fd(), "none"));
  scratch.write("file", "");
  CHECK(errno_of([&] { find_status(scratch.fd(), "file/below"); }) == ENOTDIR);
}

TEST_CASE("the type of a filesystem is the kernel's number for it", "[file]") {
  const Fd proc = open_at(FdRef::cwd(), "/proc", O_PATH);
  CHECK(filesystem_type(proc) == PROC_SUPER_MAGIC);
  CHECK_THROWS_AS(filesystem_type(FdRef(987)), Error);
}

TEST_CASE("what exists already is false and what cannot be made is an error", "[file]") {
  const Scratch scratch;
  CHECK(make_directory(scratch.fd(), "d", 0750));
  CHECK_FALSE(make_directory(scratch.fd(), "d", 0750));
  CHECK(errno_of([&] { make_directory(scratch.fd(), "none/d", 0750); }) == ENOENT);
  CHECK(make_symlink("d", scratch.fd(), "s"));
  CHECK_FALSE(make_symlink("d", scratch.fd(), "s"));
  CHECK_FALSE(make_directory(scratch.fd(), "s", 0750));
  CHECK(make_node(scratch.fd(), "p", S_IFIFO | 0600, 0));
  CHECK_FALSE(make_node(scratch.fd(), "p", S_IFIFO | 0600, 0));
  CHECK_FALSE(make_node(scratch.fd(), "s", S_IFIFO | 0600, 0));
  CHECK(read_link(scratch.fd(), "s") == "d");
}

TEST_CASE("what is missing already is false and what cannot be removed is an error", "[file]") {
  const Scratch scratch;
  scratch.write("f", "");
  REQUIRE(make_directory(scratch.fd(), "d", 0700));
  REQUIRE(make_directory(scratch.fd(), "d/below", 0700));
  CHECK(errno_of([&] { remove_directory(scratch.fd(), "d"); }) == ENOTEMPTY);
  CHECK(errno_of([&] { remove_directory(scratch.fd(), "f"); }) == ENOTDIR);
  CHECK(errno_of([&] { remove_file(scratch.fd(), "d"); }) == EISDIR);
  CHECK(remove_file(scratch.fd(), "f"));
  CHECK_FALSE(remove_file(scratch.fd(), "f"));
  CHECK(remove_directory(scratch.fd(), "d/below"));
  CHECK_FALSE(remove_directory(scratch.fd(), "d/below"));
}

TEST_CASE("removing a link leaves what it points to", "[file]") {
  const Scratch scratch;
  scratch.write("kept", "k");
  REQUIRE(make_symlink("kept", scratch.fd(), "link"));
  CHECK(remove_file(scratch.fd(), "link"));
  CHECK(scratch.read("kept") == "k");
}

TEST_CASE("a rename replaces, unless it is told not to", "[file]") {
  const Scratch scratch;
  scratch.write("a", "a");
  scratch.write("b", "b");
  CHECK(errno_of([&] { rename_file(scratch.fd(), "a", "b", RENAME_NOREPLACE); }) == EEXIST);
  rename_file(scratch.fd(), "a", "b");
  CHECK(scratch.read("b") == "a");
  CHECK_FALSE(scratch.has("a"));
  CHECK_THROWS_WITH(rename_file(scratch.fd(), "a", "b"),
                    Catch::EndsWith("/a to b: no such file or directory"));
}

TEST_CASE("the target of a link that a descriptor holds is read", "[file]") {
  const Scratch scratch;
  REQUIRE(make_symlink("any/where", scratch.fd(), "link"));
  const Fd link = open_at(scratch.fd(), "link", O_PATH | O_NOFOLLOW);
  CHECK(read_link(link, "") == "any/where");
  CHECK(errno_of([&] { read_link(scratch.fd(), "none"); }) == ENOENT);
  scratch.write("file", "");
  CHECK(errno_of([&] { read_link(scratch.fd(), "file"); }) == EINVAL);
}

TEST_CASE("the longest target that Linux allows is read whole", "[file]") {
  const Scratch scratch;
  const std::string target(PATH_MAX - 1, 't');
  REQUIRE(make_symlink(target, scratch.fd(), "link"));
  CHECK(read_link(scratch.fd(), "link") == target);
}

TEST_CASE("the mode is changed through every kind of descriptor", "[file]") {
  const Scratch scratch;
  scratch.write("f", "");
  const int flags = GENERATE(O_RDONLY, O_PATH);
  const Fd fd = open_at(scratch.fd(), "f", flags);
  change_mode(fd, 04751);
  CHECK((status(fd).st_mode & 07777) == 04751);
  CHECK_THROWS_WITH(change_mode(FdRef(987), 0600), "chmod [987] 600: bad file descriptor");
}

TEST_CASE("the mode of a link is not that of its target", "[file]") {
  const Scratch scratch;
  scratch.write("target", "", 0600);
  REQUIRE(make_symlink("target", scratch.fd(), "link"));
  const Fd link = open_at(scratch.fd(), "link", O_PATH | O_NOFOLLOW);
  CHECK_THROWS_AS(change_mode(link, 0777), Error);
  CHECK((find_status(scratch.fd(), "target")->st_mode & 07777) == 0600);
}

TEST_CASE("the owner is changed of what the descriptor holds", "[file]") {
  const Scratch scratch;
  scratch.write("f", "");
  const Fd fd = open_at(scratch.fd(), "f", O_PATH);
  change_owner(fd, ::geteuid(), ::getegid());
  CHECK(status(fd).st_uid == ::geteuid());
  CHECK_THROWS_WITH(change_owner(FdRef(987), 1, 2), "chown [987] 1:2: bad file descriptor");
}

TEST_CASE("what O_PATH holds is opened again although its name is gone", "[file]") {
  const Scratch scratch;
  scratch.write("f", "content");
  const Fd held = open_at(scratch.fd(), "f", O_PATH);
  remove_file(scratch.fd(), "f");
  CHECK(errno_of([&] { read_all(held); }) == EBADF);
  const Fd again = reopen(held, O_RDONLY);
  CHECK(read_all(again) == "content");
}

TEST_CASE("a directory is listed without its dots, again and again, by O_PATH as well", "[file]") {
  const Scratch scratch;
  for (int number = 0; number < 300; ++number) {
    scratch.write("file-with-a-long-name-" + std::to_string(number), "");
  }
  scratch.write("..not-a-dot", "");
  const Fd path_only = open_at(FdRef::cwd(), scratch.path(), O_PATH | O_DIRECTORY);
  for (int round = 0; round < 2; ++round) {
    const std::vector<std::string> names = list_directory(path_only);
    CHECK(names.size() == 301);
    CHECK(std::count(names.begin(), names.end(), "..not-a-dot") == 1);
  }
  CHECK(list_directory(scratch.fd()).size() == 301);
  scratch.write("f", "");
  const Fd file = open_at(scratch.fd(), "f", O_RDONLY);
  CHECK(errno_of([&] { list_directory(file); }) == ENOTDIR);
}

TEST_CASE("the current directory is the kernel's word for it", "[file]") {
  const Scratch scratch;
  const Child child = spawn({}, [&] {
    change_directory(scratch.fd());
    return current_directory() == scratch.path() ? 0 : 1;
  });
  CHECK(wait_for(child.pidfd).code == 0);
}

TEST_CASE("a current directory that was removed is an error", "[file]") {
  const Scratch scratch;
  REQUIRE(make_directory(scratch.fd(), "gone", 0700));
  const Child child = spawn({}, [&] {
    const Fd gone = open_at(scratch.fd(), "gone", O_PATH);
    change_directory(gone);
    remove_directory(scratch.fd(), "gone");
    return errno_of([] { current_directory(); });
  });
  CHECK(wait_for(child.pidfd).code == ENOENT);
}

TEST_CASE("a file is no directory to change to", "[file]") {
  const Scratch scratch;
  scratch.write("f", "");
  const Fd file = open_at(scratch.fd(), "f", O_PATH);
  CHECK(errno_of([&] { change_directory(file); }) == ENOTDIR);
}

}  // namespace
}  // namespace tare::sys
