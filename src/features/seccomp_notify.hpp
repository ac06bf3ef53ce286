/// What of linux.seccomp is about its listener and about crun's annotations (config-linux.md,
/// "Seccomp" and "The Container Process State"): which path the listener goes to, whether the
/// filter has one, and a program that comes ready made.
#pragma once

#include <cstdint>
#include <string>

#include "features/seccomp.hpp"

namespace tare::seccomp {

/// SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV of Linux 5.19, newer than some kernel headers.
inline constexpr std::uint32_t kWaitKillable = 1U << 5U;

/// The annotation with a program, as a JSON pointer.
inline constexpr char kProgramField[] = "/annotations/run.oci.seccomp_bpf_data";

/// Reads crun's annotations. Throws Error(spec) for a path that is not absolute and for a program
/// that is none.
void read_annotations(const Annotations& annotations, Spec& spec);

/// Reads listenerPath and listenerMetadata from the object `seccomp`; a path that is there already
/// is kept where the object has none. Throws Error(spec).
void read_listener(const spec::Reader& seccomp, Listener& listener);

/// `flags` with what a listener needs, where the plan's filter has one, and without what only a
/// listener has a use for, where it has none. Throws Error(spec) where one is needed that has no
/// path, or a path that is not absolute.
std::uint32_t listener_flags(const Plan& plan, std::uint32_t flags);

/// The bytes that base64 stands for (RFC 4648, section 4). Throws Error(spec) naming `field`.
std::string from_base64(std::string_view text, const std::string& field);

}  // namespace tare::seccomp
