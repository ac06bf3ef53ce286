#include "features/seccomp_notify.hpp"

#include <fmt/core.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>

#include <algorithm>
#include <cerrno>

#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/seccomp.hpp"
#include "sys/socket.hpp"
#include "sys/stream.hpp"

namespace tare::seccomp {
namespace {

constexpr char kReceiver[] = "run.oci.seccomp.receiver";
constexpr char kProgram[] = "run.oci.seccomp_bpf_data";
constexpr char kFailUnknown[] = "run.oci.seccomp_fail_unknown_syscall";
constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Error fault(const std::string& field, std::string_view text) {
  Error error(ErrorKind::spec, fmt::format("config.json {}: {}", field, text));
  error.set_field(field);
  return error;
}

// runc takes a relative path from wherever it is called, which for exec is somewhere else than for
// create, and "@name" for an abstract socket; crun takes neither.
void check_path(const std::string& path, const std::string& field) {
  if (path.empty() || path.starts_with('/')) return;
  throw fault(field, fmt::format("the seccomp agent's path \"{}\" is not absolute", path));
}

// Whether the program has an instruction that notifies.
bool notifies(const std::string& program) {
  for (std::size_t at = 0; at < program.size(); at += sizeof(sock_filter)) {
    sock_filter instruction{};
    program.copy(reinterpret_cast<char*>(&instruction), sizeof instruction, at);
    const bool returns = instruction.code == (BPF_RET | BPF_K);
    if (returns && (instruction.k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF) return true;
  }
  return false;
}

// Tries it in a child, without a listener: what would notify fails then. A program from outside may
// notify of write or forbid it, and init could not even say so: the parent would wait for ever.
void check_write_passes(const Filter& filter) {
  constexpr int kNotLoaded = 2;
  sys::Pipe pipe = sys::make_pipe();
  const sys::Child child = sys::spawn({}, [&] {
    try {
      sys::load_seccomp_filter(filter.program, 0);
    } catch (const Error&) {
      return kNotLoaded;
    }
    sys::write_all(pipe.write_end, "!");
    return 0;
  });
  pipe.write_end.reset();
  const bool passes = !sys::read_all(pipe.read_end).empty();
  const sys::ExitStatus status = sys::wait_for(child.pidfd);
  // One that cannot be loaded is for the real attempt to complain of.
  if (passes || status.code == kNotLoaded) return;
  throw Error(ErrorKind::spec,
              "the seccomp filter has a listener, and SCMP_ACT_NOTIFY cannot be used for the write "
              "syscall, nor any other action but to let it through");
}

bool needs_listener(const Plan& plan) {
  if (!plan.given_program.empty()) return notifies(plan.given_program);
  return std::any_of(plan.rules.begin(), plan.rules.end(),
                     [](const Rule& rule) { return rule.action == SCMP_ACT_NOTIFY; });
}

}  // namespace

std::string from_base64(std::string_view text, const std::string& field) {
  if (text.size() % 4 == 0 && text.ends_with('=')) {
    text.remove_suffix(text.ends_with("==") ? 2 : 1);
  }
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (const char character : text) {
    const std::size_t value = kAlphabet.find(character);
    if (value == std::string_view::npos) throw fault(field, "not base64");
    bits = (bits << 6U) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes.push_back(static_cast<char>((bits >> count) & 0xffU));
  }
  // One character alone stands for nothing.
  if (text.size() % 4 == 1) throw fault(field, "not base64");
  return bytes;
}

void read_annotations(const Annotations& annotations, Spec& spec) {
  if (annotations.empty()) return;
  if (const auto found = annotations.find(kReceiver); found != annotations.end()) {
    spec.listener.path = found->second;
    check_path(spec.listener.path, std::string("/annotations/") + kReceiver);
  }
  if (const auto found = annotations.find(kFailUnknown); found != annotations.end()) {
    spec.fail_unknown = found->second != "0";
  }
  const auto found = annotations.find(kProgram);
  if (found == annotations.end()) return;
  spec.given_program = from_base64(found->second, kProgramField);
  const std::size_t size = spec.given_program.size();
  if (size == 0 || size % sizeof(sock_filter) != 0 || size / sizeof(sock_filter) > BPF_MAXINSNS) {
    throw fault(kProgramField,
                fmt::format("a program has 1 to {} instructions of {} bytes each, not {} bytes",
                            BPF_MAXINSNS, sizeof(sock_filter), size));
  }
  spec.present = true;
}

void read_listener(const spec::Reader& seccomp, Listener& listener) {
  const std::string path = seccomp.string_or("listenerPath", "");
  if (!path.empty()) {
    if (!path.starts_with('/')) {
      throw seccomp.at("listenerPath")
          .error(fmt::format("the seccomp agent's path \"{}\" is not absolute", path));
    }
    listener.path = path;
  }
  listener.metadata = seccomp.string_or("listenerMetadata", "");
}

std::uint32_t listener_flags(const Plan& plan, std::uint32_t flags) {
  constexpr char kPathField[] = "/linux/seccomp/listenerPath";
  if (!plan.listener.metadata.empty() && plan.listener.path.empty()) {
    throw fault("/linux/seccomp/listenerMetadata", "given without listenerPath");
  }
  // The kernel refuses the flag without a listener (kernel/seccomp.c, seccomp_set_mode_filter), and
  // it has no meaning without one.
  if (!needs_listener(plan)) return flags & ~kWaitKillable;
  // The first words are runc's.
  if (plan.listener.path.empty()) {
    throw fault(kPathField, "seccomp listenerPath is not set, but an action is SCMP_ACT_NOTIFY");
  }
  check_path(plan.listener.path, kPathField);
  flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
  // Both say something by a positive result, unless this flag makes an errno of the one
  // (Linux 5.7).
  if ((flags & SECCOMP_FILTER_FLAG_TSYNC) != 0) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  return flags;
}

bool Filter::listens() const noexcept {
  return (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
}

sys::Fd load(const Filter& filter) {
  try {
    if (filter.listens()) check_write_passes(filter);
    return sys::load_seccomp_filter(filter.program, filter.flags);
  } catch (Error& error) {
    error.set_field("/linux/seccomp");
    // EACCES means this and nothing else (seccomp(2)).
    if (error.errno_value() == EACCES) {
      error.set_hint("set process.noNewPrivileges, or run with CAP_SYS_ADMIN");
    }
    if (error.errno_value() == EINVAL) {
      error.set_hint(
          "this kernel knows no such flag (`tare features` shows which it does), or the program in "
          "the annotation run.oci.seccomp_bpf_data is not one that it takes");
    }
    // There can be one listener in a process's filters (seccomp_unotify(2)).
    if (error.errno_value() == EBUSY) {
      error.set_hint("the runtime itself runs under a filter that has a listener");
    }
    throw;
  }
}

void send_listener(const Listener& listener, sys::FdRef descriptor, const std::string& state) {
  asked_by(
      [] { return "/linux/seccomp/listenerPath"; },
      [&] {
        // The words are runc's.
        const sys::Fd agent = in_context(
            [] { return "failed to connect with seccomp agent specified in the seccomp profile"; },
            [&] { return sys::connect_unix(listener.path); });
        in_context([&] { return fmt::format("cannot send seccomp fd to {}", listener.path); },
                   [&] { sys::send_stream(agent, state, descriptor); });
      });
}

}  // namespace tare::seccomp
