#include "features/handler.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace tare::handler {
namespace {

constexpr std::string_view kWasm = "wasm";
constexpr mode_t kAnyMayExecute = 0111;
// No linker puts the program headers anywhere but right behind the file's own.
constexpr std::size_t kHeadLength = 4096;

bool is_file_name(std::string_view name) {
  return !name.empty() && name.size() <= 255 && name.find('/') == std::string_view::npos &&
         name != "." && name != "..";
}

Error fault(const Plan& plan, std::string_view text) {
  Error error(ErrorKind::unsupported,
              fmt::format("config.json {}: {} {}", plan.pointer, plan.path, text),
              fmt::format("put a static executable, or a link to one, at {}", plan.path));
  error.set_field(plan.pointer);
  return error;
}

template <typename Header>
Header header_at(const std::string& head, std::size_t offset) {
  Header header{};
  std::memcpy(&header, head.data() + offset, sizeof header);
  return header;
}

// What keeps the file from being executed in a container, where neither its path nor any library or
// interpreter of the host exists; empty when nothing does.
std::string_view fault_of(const std::string& head) {
  if (!head.starts_with(ELFMAG)) return "is no ELF executable (a script is not possible)";
  if (head.size() < sizeof(Elf64_Ehdr) || head[EI_CLASS] != ELFCLASS64) {
    return "is no 64-bit ELF executable";
  }
  const auto file = header_at<Elf64_Ehdr>(head, 0);
  if (file.e_type != ET_EXEC && file.e_type != ET_DYN) return "is no ELF executable";
  if (file.e_phentsize != sizeof(Elf64_Phdr)) return "has a damaged ELF header";
  for (std::size_t i = 0; i < file.e_phnum; ++i) {
    const std::size_t offset = file.e_phoff + i * sizeof(Elf64_Phdr);
    if (file.e_phoff > head.size() || offset + sizeof(Elf64_Phdr) > head.size()) {
      return "has a damaged ELF header";
    }
    if (header_at<Elf64_Phdr>(head, offset).p_type == PT_INTERP) {
      return "is not static: its dynamic linker would be the container's";
    }
  }
  return {};
}

}  // namespace

Spec read(const spec::Reader& top) {
  const std::optional<spec::Reader> annotations = top.find("annotations");
  if (!annotations) return {};
  if (const auto value = annotations->find(kByName)) {
    const std::string name = value->string();
    if (!is_file_name(name)) throw value->error("must be the name of a handler");
    // As crun has it: a pod's other containers have the annotation too.
    if (name == "wasm-smart") return {std::string(kWasm), true, value->pointer()};
    return {name, false, value->pointer()};
  }
  if (const auto value = annotations->find(kByVariant)) {
    const std::string variant = value->string();
    if (variant == "compat") return {std::string(kWasm), false, value->pointer()};
    if (variant == "compat-smart") return {std::string(kWasm), true, value->pointer()};
  }
  return {};
}

Plan plan(const Spec& spec, const std::vector<std::string>& arguments) {
  if (spec.name.empty()) return {};
  const bool is_wasm =
      !arguments.empty() && (arguments[0].ends_with(".wasm") || arguments[0].ends_with(".wat"));
  if (spec.only_for_wasm && !is_wasm) return {};
  return {.name = spec.name,
          .path = fmt::format("{}/{}", kDirectory, spec.name),
          .pointer = spec.pointer};
}

sys::Fd open_in_parent(const Plan& plan, bool rootless) {
  if (plan.name.empty()) return sys::Fd();
  // A FIFO would be waited for otherwise.
  std::optional<sys::Fd> file = sys::find_at(sys::FdRef::cwd(), plan.path, O_RDONLY | O_NONBLOCK);
  if (!file) throw fault(plan, "does not exist");
  const struct stat status = sys::status(*file);
  if (!S_ISREG(status.st_mode)) throw fault(plan, "is no regular file");
  if ((status.st_mode & kAnyMayExecute) == 0) throw fault(plan, "is not executable");
  const std::string_view wrong = fault_of(sys::read_start(*file, kHeadLength));
  if (!wrong.empty()) throw fault(plan, wrong);
  if (rootless) return std::move(*file);
  sys::Fd program = sys::clone_tree(*file, "", false);
  sys::set_attributes(program, {.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
                      false);
  return program;
}

void explain(const Plan& plan, Explain& out) {
  if (plan.name.empty()) return;
  out.add("handler",
          fmt::format("execute {} of the host, as {}, in place of the process's program", plan.path,
                      plan.name),
          plan.pointer);
}

}  // namespace tare::handler
