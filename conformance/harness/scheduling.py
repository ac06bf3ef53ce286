"""What the kernel says of how a process is scheduled and where its memory comes from, asked from
outside by its pid."""

import collections
import ctypes
import os
import platform
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": (315, 252), "aarch64": (275, 31)}
SCHED_GETATTR, IOPRIO_GET = NUMBERS.get(platform.machine(), (None, None))
LAYOUT = struct.Struct("IIQiIQQQ")
POLICIES = {0: "OTHER", 1: "FIFO", 2: "RR", 3: "BATCH", 5: "IDLE", 6: "DEADLINE"}
CLASSES = {0: "NONE", 1: "RT", 2: "BE", 3: "IDLE"}

Scheduling = collections.namedtuple(
    "Scheduling", "policy flags nice priority runtime deadline period"
)


def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def scheduling(pid):
    """sched_getattr(2) of a process."""
    room = ctypes.create_string_buffer(LAYOUT.size)
    checked(LIBC.syscall(SCHED_GETATTR, pid, room, LAYOUT.size, 0))
    _, policy, *rest = LAYOUT.unpack(room.raw)
    return Scheduling(POLICIES[policy], *rest)


def io_priority(pid):
    """Class and level, ("BE", 4), of ioprio_get(2)."""
    value = checked(LIBC.syscall(IOPRIO_GET, 1, pid))
    return CLASSES[value >> 13], value & 7


def memory_policy(pid):
    """The policy that most mappings of a process have, as /proc/PID/numa_maps writes it."""
    with open(f"/proc/{pid}/numa_maps", encoding="ascii") as file:
        found = collections.Counter(line.split()[1] for line in file)
    return found.most_common(1)[0][0]
