/// linux.seccomp (config-linux.md, "Seccomp"): a filter that answers as libseccomp's does, and with
/// ENOSYS to syscalls newer than every one that the profile names, so that a libc which probes for
/// them falls back (runc's rule). Compiled by the parent while init mounts; loaded by init: before
/// capabilities are dropped where the process may gain privileges, last of all where it may not.
///
/// The program is made here; libseccomp only gives the numbers of the names. With Docker's profile
/// for three architectures its programs take 14 ms to make and 0.31 ms to load, these 0.4 ms and
/// 0.10 ms (Linux 6.18, libseccomp 2.5.4), and the second is paid by every start and every exec.
///
/// A filter with SCMP_ACT_NOTIFY has a listener, on which an agent at listenerPath answers the
/// syscalls (seccomp_unotify(2)). It is loaded before the start gate in either case, so that the
/// agent has the listener before create returns; then init waits for what the agent decides.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "host/host.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::seccomp {

/// One comparison of a syscall's argument.
struct Argument {
  unsigned index = 0;
  std::uint64_t value = 0;
  std::uint64_t value_two = 0;
  int comparison = 0;  ///< enum scmp_compare
  bool operator==(const Argument&) const = default;
};

struct Rule {
  std::vector<std::string> names{};
  std::uint32_t action = 0;  ///< SCMP_ACT_* with errno in it
  std::vector<Argument> arguments{};
  bool operator==(const Rule&) const = default;
};

/// Who answers the syscalls that have SCMP_ACT_NOTIFY.
struct Listener {
  std::string path{};      ///< the agent's unix socket, absolute; empty where there is none
  std::string metadata{};  ///< sent to the agent as it is
  bool operator==(const Listener&) const = default;
};

struct Spec {
  bool present = false;
  std::uint32_t default_action = 0;
  std::vector<std::uint32_t> architectures{};  ///< SCMP_ARCH_*
  std::uint32_t flags = 0;                     ///< SECCOMP_FILTER_FLAG_*
  bool default_flags = true;  ///< the config names no flags: SPEC_ALLOW, as the peers
  std::vector<Rule> rules{};
  Listener listener{};
  std::string given_program{};  ///< run.oci.seccomp_bpf_data: struct sock_filter[], or empty
  bool fail_unknown = false;    ///< run.oci.seccomp_fail_unknown_syscall
};

struct Plan {
  bool enabled = false;
  std::uint32_t default_action = 0;
  std::vector<std::uint32_t> architectures{};
  std::uint32_t flags = 0;
  std::vector<Rule> rules{};
  Listener listener{};  ///< used where flags have SECCOMP_FILTER_FLAG_NEW_LISTENER
  std::string given_program{};
  bool operator==(const Plan&) const = default;
};

/// A compiled filter: the bytes of struct sock_filter[], and how it is to be loaded.
struct Filter {
  std::string program{};
  std::uint32_t flags = 0;
  bool operator==(const Filter&) const = default;
  /// Whether loading it gives a listener.
  bool listens() const noexcept;
  /// As one text, to send to init and to keep beside the record for exec; and back, with its form
  /// checked. decode throws Error(internal).
  std::string encode() const;
  static Filter decode(std::string_view bytes);
};

using Annotations = std::map<std::string, std::string>;

/// Reads from the object `linux`, and crun's annotations run.oci.seccomp.receiver (a listenerPath
/// where the config has none), run.oci.seccomp_bpf_data (a program in base64, instead of one that
/// is made from the rules) and run.oci.seccomp_fail_unknown_syscall. Throws Error(spec) for unknown
/// actions, operators, architectures and flags, for an errnoRet with an action that has none, and
/// for SCMP_ACT_NOTIFY where the runtime itself would wait for the agent in vain.
Spec read(const spec::Reader& linux_object, const Annotations& annotations);
/// Puts in the default flags, and makes alternatives of comparisons of one argument. `receiver` is
/// the listenerPath where neither config nor annotations have one (RUN_OCI_SECCOMP_RECEIVER).
/// Throws Error(spec) where an action needs a listener and there is no path for it, and where names
/// are unknown that must not be.
Plan plan(Spec spec, const Host& host, const std::string& receiver = {});

/// Compiles. Syscall names that an architecture does not know are left out there, as the peers do.
/// Throws Error(unsupported) for more than the kernel takes.
Filter compile(const Plan& plan);
/// As compile, encoded; and keeps results in the directory `cache`, under a name made from the
/// whole plan; the file holds the plan too, and is used only if that is the same. Written by
/// rename. Whoever can write there can set any filter, so the directory must be the caller's own.
/// No fault in it is an error.
std::string compile_cached(const Plan& plan, sys::FdRef cache);

/// seccomp(2) SECCOMP_SET_MODE_FILTER. Needs no_new_privs or CAP_SYS_ADMIN. Gives the listener
/// where the filter has one; until that is with an agent the caller must make no syscall but
/// write(2), which no filter may notify of.
sys::Fd load(const Filter& filter);
/// In the parent: connects to the agent and sends it `state`, the container process state of the
/// specification as JSON, with the listener. Throws Error(system) where nobody answers.
void send_listener(const Listener& listener, sys::FdRef descriptor, const std::string& state);

/// The words that read() takes, sorted: for `features`.
std::vector<std::string> known_actions();
std::vector<std::string> known_operators();
std::vector<std::string> known_architectures();
std::vector<std::string> known_flags();
/// Of the known flags, those that this kernel takes.
std::vector<std::string> supported_flags();

/// One effect for the default, for newer calls, for each rule and for the flags.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::seccomp
