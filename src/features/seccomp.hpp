/// linux.seccomp (config-linux.md, "Seccomp"): a filter that answers as libseccomp's does, and with
/// ENOSYS to syscalls newer than every one that the profile names, so that a libc which probes for
/// them falls back (runc's rule). Compiled by the parent while init mounts; loaded by init: before
/// capabilities are dropped where the process may gain privileges, last of all where it may not.
///
/// The program is made here; libseccomp only gives the numbers of the names. With Docker's profile
/// for three architectures its programs take 14 ms to make and 0.31 ms to load, these 0.4 ms and
/// 0.10 ms (Linux 6.18, libseccomp 2.5.4), and the second is paid by every start and every exec.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
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

struct Spec {
  bool present = false;
  std::uint32_t default_action = 0;
  std::vector<std::uint32_t> architectures{};  ///< SCMP_ARCH_*
  std::uint32_t flags = 0;                     ///< SECCOMP_FILTER_FLAG_*
  bool default_flags = true;  ///< the config names no flags: SPEC_ALLOW, as the peers
  std::vector<Rule> rules{};
};

struct Plan {
  bool enabled = false;
  std::uint32_t default_action = 0;
  std::vector<std::uint32_t> architectures{};
  std::uint32_t flags = 0;
  std::vector<Rule> rules{};
  bool operator==(const Plan&) const = default;
};

/// A compiled filter: the bytes of struct sock_filter[], and how it is to be loaded.
struct Filter {
  std::string program{};
  std::uint32_t flags = 0;
  bool operator==(const Filter&) const = default;
  /// As one text, to send to init and to keep beside the record for exec; and back, with its form
  /// checked. decode throws Error(internal).
  std::string encode() const;
  static Filter decode(const std::string& bytes);
};

/// Reads from the object `linux`. Throws Error(spec) for unknown actions, operators, architectures
/// and flags, and for an errnoRet with an action that has none; Error(unsupported) for
/// SCMP_ACT_NOTIFY.
Spec read(const spec::Reader& linux_object);
/// Puts in the default flags, and makes alternatives of comparisons of one argument.
Plan plan(const Spec& spec, const Host& host);

/// Compiles. Syscall names that an architecture does not know are left out there, as the peers do.
/// Throws Error(unsupported) for more than the kernel takes.
Filter compile(const Plan& plan);
/// As compile, but keeps results in the directory `cache`, under a name made from the whole plan;
/// the file holds the plan too, and is used only if that is the same. Written by rename. Whoever
/// can write there can set any filter, so the directory must be the caller's own. No fault in it is
/// an error.
Filter compile_cached(const Plan& plan, sys::FdRef cache);

/// seccomp(2) SECCOMP_SET_MODE_FILTER. Needs no_new_privs or CAP_SYS_ADMIN.
void load(const Filter& filter);

/// The words that read() takes, sorted: for `features`.
std::vector<std::string> known_actions();
std::vector<std::string> known_operators();
std::vector<std::string> known_architectures();
std::vector<std::string> known_flags();

/// One effect for the default, for newer calls, for each rule and for the flags.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::seccomp
