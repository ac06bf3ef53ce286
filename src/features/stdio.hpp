/// The standard streams that a payload inherits: given to its user, who may then open them again
/// through /dev/stdout, as programs do that expect a file name. runc and crun do the same.
#pragma once

#include <sys/types.h>

namespace tare::stdio {

/// Makes `uid` the owner of descriptors 0, 1 and 2, but for /dev/null, which is everybody's. What
/// is looked at is the open file, never a name in the container (CVE-2026-88265). Where the kernel
/// does not allow it (a read-only filesystem, an owner that is not mapped) the stream stays as it
/// is. Needs CAP_CHOWN. Throws Error(system).
void apply(uid_t uid);

}  // namespace tare::stdio
