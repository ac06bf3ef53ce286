/// The standard streams that a payload inherits: given to its user, who may then open them again
/// through /dev/stdout, as programs do that expect a file name. runc and crun do the same. In the
/// container's process, once "/" is the container's.
#pragma once

#include <sys/types.h>

namespace tare::stdio {

/// Makes `uid` the owner of descriptors 0, 1 and 2. A /dev/null of the host, which is everybody's,
/// gives way to the container's own: through a descriptor its root could change the mode of the
/// host's, and criu cannot dump a file that no mount of the container has. Otherwise what is looked
/// at is the open file, never a name in the container (CVE-2026-88265). Where the kernel does not
/// allow it (a read-only filesystem, an owner that is not mapped) the stream stays as it is. Needs
/// CAP_CHOWN. Throws Error(system).
void apply(uid_t uid);

}  // namespace tare::stdio
