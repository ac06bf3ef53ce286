#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>
#include <cstring>
#include <string>

#include "features/environment.hpp"
#include "sys/access.hpp"
#include "sys/file.hpp"

namespace tare::environment {
namespace {

// A file with this content, which is gone at the end of the test.
class Program {
 public:
  explicit Program(const std::string& text, mode_t mode = 0755) {
    std::string name = "/tmp/tare-program-XXXXXX";
    const sys::Fd file(mkstemp(name.data()));
    sys::write_all(file, text);
    sys::change_mode(file, mode);
    path_ = name;
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { unlink(path_.c_str()); }

  const std::string& path() const { return path_; }
  // What stands behind the kernel's own word.
  std::string why(int number) const {
    const Error error = explain_exec_failure(path_, number);
    CHECK(error.errno_value() == number);
    const std::string plain = "exec " + path_ + ": " + errno_text(number);
    const std::string message = error.message();
    REQUIRE_THAT(message, Catch::StartsWith(plain));
    return message == plain ? "" : message.substr(plain.size() + std::string(": ").size());
  }

 private:
  std::string path_{};
};

template <typename T>
std::string bytes_of(const T& structure) {
  return {reinterpret_cast<const char*>(&structure), sizeof structure};
}

Elf64_Ehdr header_for(Elf64_Half machine) {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = ET_DYN;
  header.e_machine = machine;
  return header;
}

// An ELF program with one segment, that names its interpreter.
std::string program_with(const std::string& interpreter, std::uint64_t offset, std::uint64_t size) {
  Elf64_Ehdr header = header_for(EM_X86_64);
  header.e_phoff = sizeof header;
  header.e_phnum = 2;
  Elf64_Phdr load{};
  load.p_type = PT_LOAD;
  Elf64_Phdr segment{};
  segment.p_type = PT_INTERP;
  segment.p_offset = offset;
  segment.p_filesz = size;
  return bytes_of(header) + bytes_of(load) + bytes_of(segment) + interpreter;
}

constexpr std::size_t kBehindSegments = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);

TEST_CASE("a program that is not there is told plainly", "[environment_diagnosis]") {
  const Error error = explain_exec_failure("/no/such", ENOENT);
  CHECK(error.message() == "exec /no/such: no such file or directory");
  CHECK(error.errno_value() == ENOENT);
}

TEST_CASE("the dynamic loader that is missing is named", "[environment_diagnosis]") {
  const std::string loader("/lib/ld-musl-x86_64.so.1\0", 25);
  const Program program(program_with(loader, kBehindSegments, loader.size()));
  CHECK(program.why(ENOENT) ==
        "the file is there, but not its dynamic loader /lib/ld-musl-x86_64.so.1");
}

TEST_CASE("the dynamic loader of this machine's own programs is found", "[environment_diagnosis]") {
  CHECK_THAT(explain_exec_failure("/bin/sh", ENOENT).message(),
             Catch::Contains("but not its dynamic loader /lib"));
}

TEST_CASE("the interpreter of a script that is missing is named", "[environment_diagnosis]") {
  const auto [text, words] = GENERATE(table<std::string, std::string>({
      {"#!/opt/none\nrest\n", "the file is there, but not its interpreter /opt/none"},
      {"#! \t/opt/none -x\n", "the file is there, but not its interpreter /opt/none"},
      {"#!/opt/none", "the file is there, but not its interpreter /opt/none"},
      {"#!/bin/sh\r\necho\r\n",
       "its first line names the interpreter \"/bin/sh\\r\": a carriage return ends the line"},
      {"#!/bin/\x1b[31m\n", "the file is there, but not its interpreter /bin/?[31m"},
  }));
  CHECK(Program(text).why(ENOENT) == words);
}

TEST_CASE("what is no program is told from what is one for another machine",
          "[environment_diagnosis]") {
  CHECK(Program("").why(ENOEXEC) == "the file is empty");
  CHECK(Program("echo hello\n").why(ENOEXEC) ==
        "neither an ELF program nor a script that begins with #!");
  CHECK(Program("#!\n").why(ENOEXEC) == "its first line names no interpreter");
  CHECK(Program("#!   ").why(ENOEXEC) == "its first line names no interpreter");
}

TEST_CASE("the machine that a program is for is named", "[environment_diagnosis]") {
  const std::string ours = ", this machine is " + sys::machine();
  CHECK(Program(bytes_of(header_for(EM_RISCV))).why(ENOEXEC) == "a program for riscv" + ours);
  CHECK(Program(bytes_of(header_for(EM_S390))).why(ENOEXEC) == "a program for s390x" + ours);
  CHECK(Program(bytes_of(header_for(4711))).why(ENOEXEC) ==
        "a program for machine type 4711" + ours);
  Elf64_Ehdr big_endian = header_for(__builtin_bswap16(EM_PPC64));
  big_endian.e_ident[EI_DATA] = ELFDATA2MSB;
  CHECK(Program(bytes_of(big_endian)).why(ENOEXEC) == "a program for ppc64" + ours);
  CHECK(Program("\x7f"
                "ELF\x02\x01")
            .why(ENOEXEC) == "the file is cut off");
}

TEST_CASE("an ELF file that lies about itself is read within its bounds",
          "[environment_diagnosis]") {
  const std::string text =
      GENERATE(program_with("/lib/x", ~0ULL, 10), program_with("/lib/x", 5000, 10),
               program_with("", kBehindSegments, 10),
               std::string("\x7f"
                           "ELF\x02\x01",
                           6),
               std::string("\x7f"
                           "ELF",
                           4),
               bytes_of(header_for(EM_X86_64)).substr(0, 40));
  CHECK(Program(text).why(ENOENT).empty());
}

TEST_CASE("an interpreter without end is cut at what was read", "[environment_diagnosis]") {
  const Program program(program_with(std::string(9000, 'x'), kBehindSegments, ~0ULL));
  CHECK(program.why(ENOENT).size() < 4200);
}

TEST_CASE("a table of segments beyond the file is no table", "[environment_diagnosis]") {
  Elf64_Ehdr header = header_for(EM_X86_64);
  header.e_phoff = ~0ULL - 8;
  header.e_phnum = 65535;
  CHECK(Program(bytes_of(header)).why(ENOENT).empty());
}

TEST_CASE("what keeps a user from executing a file is named", "[environment_diagnosis]") {
  CHECK(Program("", 0644).why(EACCES) == "its mode 0644 does not let this user execute it");
  CHECK(explain_exec_failure("/usr", EACCES).message() ==
        "exec /usr: permission denied: it is no regular file");
  const Program script("#!/etc/passwd\n");
  CHECK(script.why(EACCES) == "its interpreter /etc/passwd may not be executed");
}

TEST_CASE("a FIFO is not waited for", "[environment_diagnosis]") {
  const std::string path = "/tmp/tare-fifo-" + std::to_string(getpid());
  REQUIRE(mkfifo(path.c_str(), 0755) == 0);
  CHECK(explain_exec_failure(path, ENOENT).message() ==
        "exec " + path + ": no such file or directory");
  unlink(path.c_str());
}

TEST_CASE("other failures are told with what is known of them", "[environment_diagnosis]") {
  CHECK(Program("").why(ETXTBSY) == "somebody has the file open for writing");
  CHECK(Program("").why(E2BIG) == "arguments and variables are larger than the kernel takes");
  CHECK(explain_exec_failure("/x", EIO).message() == "exec /x: input/output error");
}

}  // namespace
}  // namespace tare::environment
