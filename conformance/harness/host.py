"""What of the host must be as before after a container is gone or could not be made."""

import ctypes
import dataclasses
import os
import pathlib

from harness import events

CGROUPS = pathlib.Path("/sys/fs/cgroup")
HOME = "harness"  # the leaf cgroup that the suite itself lives in
LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2


def mounts():
    """The mounts that the suite sees, without the ids that change."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return sorted(" ".join(line.split()[2:]) for line in file)


def cgroups():
    """The cgroups of the session other than the suite's own."""
    found = []
    for path, names, _ in os.walk(CGROUPS):
        if path == str(CGROUPS) and HOME in names:
            names.remove(HOME)
        found += [os.path.relpath(os.path.join(path, name), CGROUPS) for name in names]
    return sorted(found)


def descendants(of=None):
    """pid to command name of every process below ours; orphans of the runtime come to us."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                head, _, tail = file.read().decode("utf-8", "replace").rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(entry)] = int(tail.split()[1])
        names[int(entry)] = head.partition("(")[2]
    ours = of or os.getpid()
    found = {}
    for pid in parents:
        up = pid
        while up in parents and up != ours:
            up = parents[up]
        if up == ours and pid != ours:
            found[pid] = names[pid]
    return found


# What runtimes keep below their --root for the next container: compiled seccomp filters, and what crun
# binds over a directory that is masked.
CACHES = ("@seccomp", ".cache", ".empty-directory")


def listing(directory):
    """The names, types, modes and sizes below a directory; times do not count."""
    found = []
    for path, names, files in os.walk(directory):
        names[:] = [name for name in names if name not in CACHES]
        for name in names + files:
            full = os.path.join(path, name)
            about = os.lstat(full)
            size = about.st_size if not os.path.isdir(full) else 0
            found.append(
                f"{os.path.relpath(full, directory)} {about.st_mode:o} {about.st_uid} {size}"
            )
    return sorted(found)


@dataclasses.dataclass
class Snapshot:
    """The host as it was when it was taken; == compares, and pytest shows what differs."""

    mounts: list
    cgroups: list
    processes: dict
    state: list
    files: list

    @classmethod
    def take(cls, state=None, files=None):
        """`state` is a runtime's --root, `files` any directory whose content must not change."""
        return cls(
            mounts(),
            cgroups(),
            descendants(),
            listing(state) if state else [],
            listing(files) if files else [],
        )

    def settled(self, state=None, files=None):
        """A later snapshot, taken after processes that are about to end have had the time to."""
        collect_dead()
        for pid in set(descendants()) - set(self.processes):
            try:
                events.wait_exit(pid, 1.0)
            except events.Missing:
                pass  # it stays, so the comparison will show it
            collect(pid)
        return Snapshot.take(state, files)


def collect(pid):
    """Reaps a child of ours that has ended."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def collect_dead():
    """Reaps every child that has ended, as a subreaper does; a zombie can hold up a whole pid
    namespace, whose init does not go before its last process was collected."""
    for pid in descendants():
        if not events.is_running(pid):
            collect(pid)


def processes_in(place):
    """The processes of a cgroup, if it is there and is one that may have some: not one of threads."""
    try:
        return (place / "cgroup.procs").read_text().split()
    except OSError:
        return []


def kill_cgroups(names):
    """Kills what is in these cgroups and removes them."""
    for name in sorted(names, key=len, reverse=True):
        place = CGROUPS / name
        try:
            (place / "cgroup.freeze").write_text("0")
            (place / "cgroup.kill").write_text("1")
        except OSError:
            pass
        for pid in processes_in(place):
            try:
                events.wait_exit(int(pid), 2.0)
            except (events.Missing, ValueError):
                pass
            collect(int(pid))
        try:
            place.rmdir()
        except OSError:
            pass


def kill_processes(pids):
    """Kills and reaps processes below us."""
    for pid in pids:
        try:
            os.kill(pid, 9)
            events.wait_exit(pid, 2.0)
        except (ProcessLookupError, events.Missing):
            pass
        collect(pid)


def unmount_below(directory):
    """Detaches every mount at or below a directory, in our mount namespace."""
    points = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            point = line.split()[4].encode("utf-8", "surrogateescape").decode("unicode_escape")
            if point == str(directory) or point.startswith(f"{directory}/"):
                points.append(point)
    for point in reversed(points):
        LIBC.umount2(os.fsencode(point), MNT_DETACH)
