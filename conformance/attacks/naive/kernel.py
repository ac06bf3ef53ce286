"""System calls that Python has no name for, without a look at what they are given."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED = 4096, 16384, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2
NAMESPACES = {
    "user": 0x10000000,
    "mount": 0x00020000,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "pid": 0x20000000,
    "network": 0x40000000,
}
FILES = {"mount": "mnt", "network": "net"}  # what /proc/PID/ns calls them
PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, PR_CAP_AMBIENT, RAISE = 28, 4, 47, 2
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 24, 36, 38
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE"
    " NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO"
    " SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME"
    " SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG"
    " WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()


def must(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def encoded(text):
    return None if text is None else os.fsencode(text)


def mount(source, target, kind=None, flags=0, data=None):
    call = LIBC.mount(
        encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags), encoded(data)
    )
    must(call, f"mount {source} on {target}")


def detach(target):
    must(LIBC.umount2(encoded(target), MNT_DETACH), f"umount {target}")


def unshare(flags):
    must(LIBC.unshare(flags), f"unshare {flags:x}")


def setns(path):
    fd = os.open(path, os.O_RDONLY)
    must(LIBC.setns(fd, 0), f"setns {path}")
    os.close(fd)


def pivot_root(new, old):
    must(LIBC.pivot_root(encoded(new), encoded(old)), f"pivot_root {new}")


def prctl(*args):
    must(LIBC.prctl(*[ctypes.c_ulong(a) for a in (*args, 0, 0, 0, 0)[:5]]), f"prctl {args}")


def mask_of(names):
    return sum(1 << CAPABILITIES.index(name.removeprefix("CAP_")) for name in names)


def last_capability():
    """As the procfs of wherever this is has it."""
    try:
        with open("/proc/sys/kernel/cap_last_cap", encoding="utf-8") as file:
            return int(file.read())
    except (OSError, ValueError):
        return len(CAPABILITIES) - 1


def raise_ambient(mask):
    for number in range(len(CAPABILITIES)):
        if mask >> number & 1:
            prctl(PR_CAP_AMBIENT, RAISE, number)


def drop_bounding(keep):
    for number in range(last_capability() + 1):
        if not keep >> number & 1:
            prctl(PR_CAPBSET_DROP, number)


def capset(effective, permitted, inheritable):
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (effective, permitted, inheritable)
    data = (ctypes.c_uint32 * 6)(*(s & 0xFFFFFFFF for s in sets), *(s >> 32 for s in sets))
    must(LIBC.capset(header, data), "capset")
