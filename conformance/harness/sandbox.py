"""The private place that the suite runs in: its own mounts, and a pure cgroup2 tree of its own.

The tree's root, as the runtime sees it, is a cgroup made for the session and hidden behind a
cgroup namespace, so that two sessions on one machine never see each other's containers.
"""

import atexit
import ctypes
import fcntl
import os
import pathlib
import shutil
import tempfile

from harness.host import CGROUPS, HOME, LIBC, kill_cgroups

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
PR_SET_CHILD_SUBREAPER = 36
SESSION = "tare-conformance-"


def must(result, what):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source, target, kind, flags=0, data=None):
    must(
        LIBC.mount(
            source and source.encode(),
            os.fsencode(target),
            kind and kind.encode(),
            ctypes.c_ulong(flags),
            data and data.encode(),
        ),
        f"mount {target}",
    )


def enter():
    """Moves this process into the private place; returns the scratch directory in it."""
    scratch = tempfile.mkdtemp(prefix=f"tconf.{os.getpid()}.", dir="/tmp")
    must(LIBC.unshare(CLONE_NEWNS), "unshare the mount namespace")
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount("tmpfs", scratch, "tmpfs", MS_NOSUID, "mode=755")
    os.chmod(scratch, 0o755)
    enter_cgroup()
    # Orphans of the runtime become our children, as they become a containerd shim's.
    must(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become a subreaper")
    atexit.register(leave_scratch, scratch)
    return scratch


def stay():
    """For what is to use the service manager of a machine that can be had for itself: no place of
    our own but the scratch directory, which is on a disk."""
    must(LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "become a subreaper")
    return directory_on_disk()


def directory_on_disk():
    """One that goes when this process ends."""
    path = tempfile.mkdtemp(prefix=f"tconf.{os.getpid()}.", dir="/var/tmp")
    os.chmod(path, 0o755)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def leave_scratch(scratch):
    LIBC.umount2(os.fsencode(scratch), 2)
    try:
        os.rmdir(scratch)
    except OSError:
        pass


def sweep():
    """Clears away what sessions left that were killed before they could do it themselves."""
    for place in CGROUPS.glob(f"{SESSION}*"):
        pid = place.name.removeprefix(SESSION)
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                alive = place.name in file.read()
        except (FileNotFoundError, ProcessLookupError):
            alive = False
        if alive:
            continue
        names = [os.path.relpath(path, CGROUPS) for path, _, _ in os.walk(place)]
        kill_cgroups(names)
        for path in pathlib.Path("/tmp").glob(f"tconf.{pid}.*"):
            path.rmdir()  # the tmpfs that was on it went with its namespace


def enter_cgroup():
    # On a machine that has cgroup2 alone it is there, and cannot be mounted over itself.
    if not (CGROUPS / "cgroup.controllers").exists():
        mount("cgroup2", CGROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    name = f"{SESSION}{os.getpid()}"
    ours = CGROUPS / name
    # These stay valid after the namespace is entered; they are the way back out at the end.
    before = os.open(CGROUPS / own_cgroup() / "cgroup.procs", os.O_WRONLY)
    top = os.open(CGROUPS, os.O_RDONLY | os.O_DIRECTORY)
    # Until a session is in its cgroup, another's sweep takes it for one that a dead session left.
    fcntl.flock(top, fcntl.LOCK_EX)
    sweep()
    (ours / HOME).mkdir(parents=True)
    (ours / "cgroup.procs").write_text("0")
    fcntl.flock(top, fcntl.LOCK_UN)
    must(LIBC.unshare(CLONE_NEWCGROUP), "unshare the cgroup namespace")
    (ours / HOME / "cgroup.procs").write_text("0")
    # Detached, for `top` keeps it busy.
    LIBC.umount2(os.fsencode(CGROUPS), 2)
    mount("cgroup2", CGROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    for controller in (CGROUPS / "cgroup.controllers").read_text().split():
        (CGROUPS / "cgroup.subtree_control").write_text(f"+{controller}")

    def leave():
        try:
            os.write(before, b"0")
            os.rmdir(f"{name}/{HOME}", dir_fd=top)
            os.rmdir(name, dir_fd=top)
        except OSError as error:
            os.write(2, f"the session's cgroup {name} stays: {error}\n".encode())

    atexit.register(leave)


def own_cgroup():
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        return next(l for l in file if l.startswith("0::")).strip()[3:].lstrip("/")
