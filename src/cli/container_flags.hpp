/// The flags that create and run share, and the request that they make.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "cli/arguments.hpp"
#include "cli/command.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

inline constexpr Flag kBundleFlag{.name = "bundle",
                                  .letter = 'b',
                                  .takes = Takes::text,
                                  .value = "PATH",
                                  .help = "the bundle; the default is the current directory"};
inline constexpr Flag kConsoleSocketFlag{
    .name = "console-socket",
    .takes = Takes::text,
    .value = "PATH",
    .help = "send the master side of the terminal over this UNIX socket"};
inline constexpr Flag kPidfdSocketFlag{.name = "pidfd-socket",
                                       .takes = Takes::text,
                                       .value = "PATH",
                                       .help = "send a pidfd of the process over this UNIX socket"};
inline constexpr Flag kPidFileFlag{.name = "pid-file",
                                   .takes = Takes::text,
                                   .value = "FILE",
                                   .help = "write the process ID to FILE"};
inline constexpr Flag kNoPivotFlag{
    .name = "no-pivot",
    .help = "enter the root filesystem without pivot_root(2), as on an initramfs"};
inline constexpr Flag kNoNewKeyringFlag{.name = "no-new-keyring",
                                        .help = "keep the caller's session keyring"};
inline constexpr Flag kPreserveFdsFlag{
    .name = "preserve-fds",
    .takes = Takes::number,
    .value = "N",
    .help = "hand N descriptors after standard error to the process"};
inline constexpr Flag kTimingsFlag{
    .name = "timings",
    .takes = Takes::text,
    .value = "FILE|FD",
    .help = "write how long each step took to FILE, or to a descriptor"};

/// What the flags of create, or those of run, ask for. Relative paths become absolute.
CreateRequest create_request(const Arguments& arguments, const GlobalOptions& global);

/// The sockets that a service manager passed to us, from descriptor 3 on (sd_listen_fds(3)).
int listen_descriptors();

/// The caller's $NOTIFY_SOCKET, or "".
std::string notify_socket();

/// How many descriptors from 3 on are the payload's: --preserve-fds, and what a service manager
/// passed to us (sd_listen_fds(3)). Throws Error(usage) for more than can be open.
int preserved_descriptors(const Arguments& arguments);

/// Where --timings leads: a descriptor's number, or an absolute path; empty without the flag.
std::string timings_destination(const Arguments& arguments);

/// The descriptor above standard error that --timings names; 0 where it names none. Throws
/// Error(usage) where it is the payload's, or standard input.
int timings_descriptor(const Arguments& arguments);

/// The number in `listen_fds`, if `listen_pid` says that the descriptors are for process `own_pid`.
int passed_descriptors(std::optional<std::string_view> listen_fds,
                       std::optional<std::string_view> listen_pid, int own_pid);

/// What create, run and exec tell of goes to the log of the call, which must outlive the result.
Warn warn_in(const Call& call);

}  // namespace tare::cli
