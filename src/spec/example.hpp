/// The config.json that `spec` writes: config.md's fields with values that make a container of a
/// plain root filesystem and a shell.
#pragma once

#include <sys/types.h>

#include <string>

namespace tare::spec {

/// The text, indented by tabs. `rootless`: for a user who is not root, and is to be root inside, as
/// which `uid` and `gid` are mapped.
std::string example(bool rootless, uid_t uid, gid_t gid);

}  // namespace tare::spec
