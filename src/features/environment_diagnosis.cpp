#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "features/environment.hpp"
#include "sys/access.hpp"
#include "sys/file.hpp"
#include "sys/stream.hpp"

namespace tare::environment {
namespace {

// What the kernel itself reads of a script (BINPRM_BUF_SIZE) is 256 bytes; an ELF file's
// interpreter stands within the first page, right behind the program headers, wherever a linker
// writes it.
constexpr std::size_t kHeadSize = 4096;

struct Machine {
  Elf64_Half number;
  std::string_view name;  // as uname(2) has it, but for what the byte order adds
};

constexpr Machine kMachines[] = {
    {EM_X86_64, "x86_64"}, {EM_386, "i386"},      {EM_AARCH64, "aarch64"},     {EM_ARM, "arm"},
    {EM_RISCV, "riscv"},   {EM_PPC64, "ppc64"},   {EM_S390, "s390x"},          {EM_MIPS, "mips"},
    {EM_PPC, "ppc"},       {EM_SPARCV9, "sparc"}, {EM_LOONGARCH, "loongarch"},
};

std::string name_of_machine(Elf64_Half number) {
  for (const Machine& machine : kMachines) {
    if (machine.number == number) return std::string(machine.name);
  }
  return fmt::format("machine type {}", number);
}

// A part of the head as a structure of elf.h; nullopt where the head ends before it.
template <typename T>
std::optional<T> structure_at(std::string_view head, std::uint64_t offset) {
  if (offset > head.size() || head.size() - offset < sizeof(T)) return std::nullopt;
  T out{};
  std::memcpy(&out, head.data() + offset, sizeof out);
  return out;
}

// Every number in the head is of whoever made the file: nothing is read but through structure_at
// and substr, which keep to what is there.
template <typename Header, typename Segment>
std::string find_interpreter(std::string_view head) {
  const std::optional<Header> header = structure_at<Header>(head, 0);
  if (!header) return {};
  for (unsigned index = 0; index < header->e_phnum; ++index) {
    const std::optional<Segment> segment =
        structure_at<Segment>(head, header->e_phoff + index * sizeof(Segment));
    if (!segment) return {};
    if (segment->p_type != PT_INTERP) continue;
    if (segment->p_offset >= head.size()) return {};
    const std::string_view text = head.substr(segment->p_offset, segment->p_filesz);
    return std::string(text.substr(0, text.find('\0')));
  }
  return {};
}

bool is_elf(std::string_view head) {
  return head.size() > EI_DATA && head.starts_with(std::string_view(ELFMAG, SELFMAG));
}

bool has_our_byte_order(std::string_view head) {
  const char ours = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;
  return head[EI_DATA] == ours;
}

// The interpreter that an ELF file (its dynamic loader) or a script names; empty where it names
// none.
std::string interpreter_of(std::string_view head) {
  if (is_elf(head)) {
    if (!has_our_byte_order(head)) return {};
    return head[EI_CLASS] == ELFCLASS64 ? find_interpreter<Elf64_Ehdr, Elf64_Phdr>(head)
                                        : find_interpreter<Elf32_Ehdr, Elf32_Phdr>(head);
  }
  if (!head.starts_with("#!")) return {};
  const std::string_view line = head.substr(2, head.find('\n') - 2);
  const std::size_t start = line.find_first_not_of(" \t");
  if (start == std::string_view::npos) return {};
  return std::string(line.substr(start, line.find_first_of(" \t", start) - start));
}

// Text of a file for a terminal: what could steer it is left out (escape sequences).
std::string shown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\r') {
      out += "\\r";
    } else {
      out += c >= ' ' && c != '\x7f' ? c : '?';
    }
  }
  return out;
}

// Looked at before it is opened: a FIFO at the path must not hold up the end of this process.
std::optional<std::string> read_head(const std::string& path) {
  const std::optional<sys::Fd> entry = sys::find_at(sys::FdRef::cwd(), path, O_PATH);
  if (!entry || !S_ISREG(sys::status(*entry).st_mode)) return std::nullopt;
  const sys::Fd file = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY | O_NONBLOCK);
  std::string head(kHeadSize, '\0');
  head.resize(sys::read_some(file, head).value_or(0));
  return head;
}

// ENOENT of a file that is there: execve(2) means the interpreter, and does not say so.
std::string why_missing(const std::string& path) {
  const std::optional<std::string> head = read_head(path);
  if (!head) return {};
  const std::string interpreter = interpreter_of(*head);
  if (interpreter.empty()) return {};
  if (is_elf(*head)) {
    return fmt::format("the file is there, but not its dynamic loader {}", shown(interpreter));
  }
  if (interpreter.ends_with('\r')) {
    return fmt::format(
        "its first line names the interpreter \"{}\": a carriage return ends the line",
        shown(interpreter));
  }
  return fmt::format("the file is there, but not its interpreter {}", shown(interpreter));
}

// ENOEXEC: a shell would go on and read the file as a script; a runtime has no shell.
std::string why_no_program(const std::string& path) {
  const std::optional<std::string> head = read_head(path);
  if (!head) return {};
  if (head->empty()) return "the file is empty";
  if (is_elf(*head)) {
    const std::optional<Elf64_Ehdr> header = structure_at<Elf64_Ehdr>(*head, 0);
    if (!header) return "the file is cut off";
    const Elf64_Half machine = has_our_byte_order(*head)
                                   ? header->e_machine
                                   : static_cast<Elf64_Half>(__builtin_bswap16(header->e_machine));
    const std::string name = name_of_machine(machine);
    const std::string ours = sys::machine();
    if (name == ours) return fmt::format("a damaged program for {}", name);
    return fmt::format("a program for {}, this machine is {}", name, ours);
  }
  if (head->starts_with("#!")) return "its first line names no interpreter";
  return "neither an ELF program nor a script that begins with #!";
}

// The first directory on the way to `path` that this user may not search.
std::string closed_directory(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    std::string directory = path.substr(0, end);
    if (sys::check_executable(directory) == EACCES) return directory;
  }
  return {};
}

// EACCES has five reasons in execve(2), and the first that holds is the one.
std::string why_forbidden(const std::string& path) {
  const std::string closed = closed_directory(path);
  if (!closed.empty())
    return fmt::format("the directory {} may not be searched by this user", closed);
  const std::optional<sys::Fd> entry = sys::find_at(sys::FdRef::cwd(), path, O_PATH);
  if (!entry) return {};
  const struct stat found = sys::status(*entry);
  if (!S_ISREG(found.st_mode)) return "it is no regular file";
  if (sys::forbids_execution(*entry)) return "it lies on a mount with the option noexec";
  if (sys::check_executable(path) == EACCES) {
    return fmt::format("its mode {:04o} does not let this user execute it", found.st_mode & 07777U);
  }
  const std::optional<std::string> head = read_head(path);
  const std::string interpreter = head ? interpreter_of(*head) : "";
  if (interpreter.empty()) return {};
  return fmt::format("its interpreter {} may not be executed", shown(interpreter));
}

std::string why(const std::string& path, int number) {
  switch (number) {
    case ENOENT:
      return why_missing(path);
    case ENOEXEC:
      return why_no_program(path);
    case EACCES:
      return why_forbidden(path);
    case ETXTBSY:
      return "somebody has the file open for writing";
    case E2BIG:
      return "arguments and variables are larger than the kernel takes";
    default:
      return {};
  }
}

}  // namespace

Error explain_exec_failure(const std::string& path, int number) {
  std::string reason;
  try {
    reason = why(path, number);
  } catch (const Error&) {
    // The file cannot be looked at, by this user or under this seccomp filter: errno says what it
    // can.
    reason.clear();
  }
  // The reason comes last: callers of runc compare with "exec PATH: no such file or directory".
  Error error = Error::from_errno(number, fmt::format("exec {}", path));
  if (!reason.empty()) error.add_cause(reason);
  return error;
}

}  // namespace tare::environment
