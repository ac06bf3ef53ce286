#include "sys/bpf.hpp"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "sys/describe.hpp"

namespace tare::sys {
namespace {

static_assert(sizeof(BpfInstruction) == sizeof(struct bpf_insn));

// Long enough for the verifier's account of any program that a person can have written rules for.
constexpr std::size_t kLogSize = 256U << 10U;

// Seen in bpftool(8) too; at most 15 letters.
constexpr std::string_view kProgramName = "tare_devices";

// The kernel's own bound of programs on one cgroup (BPF_CGROUP_MAX_PROGS).
constexpr std::size_t kMaxAttached = 64;

long bpf(int command, union bpf_attr& attributes) noexcept {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

union bpf_attr load_request(const std::vector<BpfInstruction>& program) noexcept {
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.expected_attach_type = BPF_CGROUP_DEVICE;
  kProgramName.copy(attributes.prog_name, kProgramName.size());
  attributes.insns = reinterpret_cast<std::uint64_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  // A device program calls no helper, so none that demands the GPL.
  attributes.license = reinterpret_cast<std::uint64_t>("Apache-2.0");
  return attributes;
}

// The log ends with statistics; its last line before those that tells of an instruction is the
// reason.
std::string last_line(std::string_view log) {
  while (!log.empty()) {
    const std::size_t end = log.find_last_not_of('\n');
    if (end == std::string_view::npos) return "";
    log = log.substr(0, end + 1);
    const std::size_t start = log.rfind('\n');
    const std::string_view line = start == std::string_view::npos ? log : log.substr(start + 1);
    if (!line.starts_with("processed ")) return std::string(line);
    log = start == std::string_view::npos ? "" : log.substr(0, start);
  }
  return "";
}

// What the verifier has against a program, asked for by loading it again with a log: a log costs
// more than the load, and most loads succeed.
std::string verifier_says(const std::vector<BpfInstruction>& program) {
  std::string log(kLogSize, '\0');
  union bpf_attr attributes = load_request(program);
  attributes.log_level = 1;
  attributes.log_buf = reinterpret_cast<std::uint64_t>(log.data());
  attributes.log_size = static_cast<std::uint32_t>(log.size());
  const Fd unexpected(static_cast<int>(bpf(BPF_PROG_LOAD, attributes)));
  return last_line(std::string_view(log).substr(0, log.find('\0')));
}

std::vector<std::uint32_t> attached_ids(FdRef cgroup_directory) {
  std::vector<std::uint32_t> ids(kMaxAttached);
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.query.target_fd = static_cast<std::uint32_t>(cgroup_directory.number());
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<std::uint64_t>(ids.data());
  attributes.query.prog_cnt = static_cast<std::uint32_t>(ids.size());
  if (bpf(BPF_PROG_QUERY, attributes) < 0) {
    raise(errno, "bpf(BPF_PROG_QUERY, BPF_CGROUP_DEVICE, {})", describe(cgroup_directory));
  }
  ids.resize(attributes.query.prog_cnt);
  return ids;
}

// Empty where the program has gone since.
Fd open_program(std::uint32_t id) {
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.prog_id = id;
  Fd program(static_cast<int>(bpf(BPF_PROG_GET_FD_BY_ID, attributes)));
  if (!program && errno != ENOENT) raise(errno, "bpf(BPF_PROG_GET_FD_BY_ID, {})", id);
  return program;
}

std::string name_of(FdRef program) {
  bpf_prog_info info;
  std::memset(&info, 0, sizeof info);
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.info.bpf_fd = static_cast<std::uint32_t>(program.number());
  attributes.info.info = reinterpret_cast<std::uint64_t>(&info);
  attributes.info.info_len = sizeof info;
  if (bpf(BPF_OBJ_GET_INFO_BY_FD, attributes) < 0) raise(errno, "bpf(BPF_OBJ_GET_INFO_BY_FD)");
  return std::string(info.name, ::strnlen(info.name, sizeof info.name));
}

}  // namespace

Fd load_device_program(const std::vector<BpfInstruction>& program) {
  union bpf_attr attributes = load_request(program);
  const long fd = bpf(BPF_PROG_LOAD, attributes);
  if (fd >= 0) return Fd(static_cast<int>(fd));
  const int number = errno;
  const std::string reason = verifier_says(program);
  raise(number, "bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, {} instructions){}{}",
        program.size(), reason.empty() ? "" : ": ", reason);
}

void attach_device_program(FdRef cgroup_directory, FdRef program) {
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = static_cast<std::uint32_t>(cgroup_directory.number());
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.number());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  // Every program from here up to the root must allow an access: ours can only restrict further
  // what systemd or an outer runtime restricts already (bpf(2), BPF_F_ALLOW_MULTI), and so cgroups
  // made in the container cannot be freed of it.
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attributes) < 0) {
    raise(errno, "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE, {})", describe(cgroup_directory));
  }
}

std::vector<Fd> attached_device_programs(FdRef cgroup_directory) {
  std::vector<Fd> programs;
  for (const std::uint32_t id : attached_ids(cgroup_directory)) {
    Fd program = open_program(id);
    if (program && name_of(program) == kProgramName) programs.push_back(std::move(program));
  }
  return programs;
}

void replace_device_program(FdRef cgroup_directory, FdRef old, FdRef program) {
  union bpf_attr attributes;
  std::memset(&attributes, 0, sizeof attributes);
  attributes.target_fd = static_cast<std::uint32_t>(cgroup_directory.number());
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.number());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI | BPF_F_REPLACE;
  attributes.replace_bpf_fd = static_cast<std::uint32_t>(old.number());
  if (bpf(BPF_PROG_ATTACH, attributes) < 0) {
    raise(errno, "bpf(BPF_PROG_ATTACH, BPF_CGROUP_DEVICE, {}, BPF_F_REPLACE)",
          describe(cgroup_directory));
  }
}

}  // namespace tare::sys
