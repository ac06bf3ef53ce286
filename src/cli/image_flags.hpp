/// The flags that checkpoint and restore share, and what they make of a request.
#pragma once

#include "cli/arguments.hpp"
#include "tare/runtime.hpp"

namespace tare::cli {

inline constexpr Flag kImagePathFlag{
    .name = "image-path",
    .takes = Takes::text,
    .value = "PATH",
    .help = "directory of the images; the default is ./checkpoint"};
inline constexpr Flag kWorkPathFlag{
    .name = "work-path",
    .takes = Takes::text,
    .value = "PATH",
    .help = "directory of criu's logs; the default is that of the images"};
inline constexpr Flag kTcpEstablishedFlag{.name = "tcp-established",
                                          .help = "take open TCP connections along"};
inline constexpr Flag kTcpCloseFlag{.name = "tcp-close",
                                    .help = "have TCP connections closed after the restore"};
inline constexpr Flag kExternalUnixFlag{.name = "ext-unix-sk",
                                        .help = "allow UNIX sockets with their other end outside"};
inline constexpr Flag kShellJobFlag{.name = "shell-job",
                                    .help = "allow a terminal that is from outside"};
inline constexpr Flag kFileLocksFlag{.name = "file-locks", .help = "take file locks along"};
inline constexpr Flag kAutoDedupFlag{.name = "auto-dedup",
                                     .help = "remove from older images what newer ones have"};
inline constexpr Flag kCgroupModeFlag{.name = "manage-cgroups-mode",
                                      .takes = Takes::text,
                                      .value = "soft|full|strict|ignore",
                                      .help = "what criu does about cgroups"};
inline constexpr Flag kNetworkLockFlag{.name = "network-lock",
                                       .takes = Takes::text,
                                       .value = "iptables|nftables|skip",
                                       .help = "how criu holds up TCP connections meanwhile"};
inline constexpr Flag kEmptyNamespaceFlag{
    .name = "empty-ns",
    .takes = Takes::texts,
    .value = "network",
    .help = "leave out what is in that namespace; always on for network"};

/// What these flags ask for. Relative paths become absolute. Throws Error(system) where there is no
/// current directory.
ImageRequest image_request(const Arguments& arguments);

}  // namespace tare::cli
