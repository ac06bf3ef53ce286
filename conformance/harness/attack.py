"""Attacks: what it means that one has fired, and what of the host must be as before after each."""

import atexit
import hashlib
import os
import pathlib
import stat
import time

from harness import events, host, sandbox
from harness.host import LIBC
from harness.runtime import Hung

CLONE_NEWNET = 0x40000000
MS_BIND, MS_MOVE = 4096, 8192
TEMPORARY = ("/run", "/dev/shm", "/var/tmp", "/tmp")
TOP = pathlib.Path(__file__).resolve().parents[2]
NAIVE = TOP / "conformance" / "attacks" / "naive"

# Parameters that change by themselves; the end of their name is enough.
RESTLESS = (
    "boot_id uuid entropy_avail random dentry-state file-nr inode-nr inode-state aio-nr pty/nr"
    " ns_last_pid ngroups_max nr_hugepages loadavg slabs_scanned next_id drop_caches stat_refresh"
    " keys/maxkeys mounts-nr epoll quota tainted usage_time"
).split()


class Fired(AssertionError):
    """An attack did what it was made for. Any other failure of a replay proves nothing about it."""


def fired_if(condition, what):
    """The verdict of a replay."""
    if condition:
        raise Fired(what)


def must_refuse(result, what):
    """For what no runtime may do at all: it says no, in the ordinary way."""
    fired_if(result.code == 0, f"accepted: {what}")
    assert result.err.strip(), f"no word on standard error of {result}"
    return result


def contained(result, safe):
    """For what may be refused or done safely: `safe` is a function that tells, after a success."""
    if result.code == 0:
        fired_if(not safe(), f"ran, and it was not safe: {result}")
    else:
        assert result.code > 0 and result.err.strip(), f"neither ran nor refused: {result}"
    return result


def must_end(run):
    """What `run`, a call of the runtime, returns; an attack that makes it hang has fired."""
    try:
        return run()
    except Hung as hung:
        raise Fired(str(hung)) from None


def be_alone(scratch, *needed):
    """Gives the session a network namespace and places for temporary files of its own, so that
    nobody else's work changes what is compared, and nothing that a naive runtime leaves is the
    host's. The scratch directory and the directories that are `needed` stay where they were."""
    sandbox.must(LIBC.unshare(CLONE_NEWNET), "unshare the network namespace")
    kept = [str(scratch), str(TOP), *(os.path.abspath(path) for path in needed)]
    stage = f"{scratch}/stage"
    os.mkdir(stage)
    for place in TEMPORARY:
        if not os.path.isdir(place) or os.path.islink(place):
            continue
        sandbox.mount("tmpfs", stage, "tmpfs", 0, "mode=1777")
        for path in kept:
            if path.startswith(f"{place}/"):
                within = stage + path.removeprefix(place)
                os.makedirs(within, exist_ok=True)
                sandbox.mount(path, within, None, MS_BIND)
        sandbox.mount(stage, place, None, MS_MOVE)
        # Before the scratch directory is removed, whose place is the host's.
        atexit.register(LIBC.umount2, os.fsencode(place), host.MNT_DETACH)
    os.rmdir(stage)


def install_naive(scratch):
    """The naive runtime with an interpreter of its own, which is its binary: what attacks that
    binary attacks a copy. Returns its path."""
    place = pathlib.Path(scratch) / "naive"
    place.mkdir()
    interpreter = place / "interpreter"
    interpreter.write_bytes(pathlib.Path("/usr/bin/python3").read_bytes())
    interpreter.chmod(0o755)
    for source in NAIVE.glob("*"):
        if source.is_file():
            text = source.read_text("utf-8")
            text = text.replace("#!/usr/bin/python3", f"#!{interpreter} -B", 1)
            (place / source.name).write_text(text, "utf-8")
            (place / source.name).chmod(0o755)
    return str(place / "naive")


def fingerprint(path):
    """HI1: what a binary is; of the naive runtime its interpreter is a part."""
    found = []
    directory = pathlib.Path(path).resolve().parent
    for one in [pathlib.Path(path).resolve(), *directory.glob("interpreter")]:
        about = one.stat()
        digest = hashlib.sha256(one.read_bytes()).hexdigest()
        found.append((str(one), about.st_ino, about.st_mode, about.st_mtime_ns, digest))
    return found


def parameters():
    """HI3: every kernel parameter that can be read, but those that change by themselves."""
    found = {}
    for path, _, names in os.walk("/proc/sys"):
        for name in names:
            full = f"{path}/{name}"
            if full.endswith(tuple(RESTLESS)) or "/random/" in full or "/quota/" in full:
                continue
            try:
                with open(full, "rb") as file:
                    found[full] = file.read()
            except OSError:
                pass
    return found


def interfaces():
    """HI8: the network devices of the session."""
    with open("/proc/self/net/dev", encoding="utf-8") as file:
        return sorted(line.partition(":")[0].strip() for line in file if ":" in line)


def temporary():
    """HI7: the names in the places for temporary files."""
    return sorted(f"{place}/{name}" for place in TEMPORARY for name in os.listdir(place))


def tops():
    """HI2: what there is at the root of the host and in its /dev, where a path that is taken from
    the top leads: a kind, a mode and an owner, and of a link where it leads. Block devices come and
    go with what others on the machine mount."""
    found = []
    for place in ("/", "/dev"):
        for entry in os.scandir(place):
            about = entry.stat(follow_symlinks=False)
            if stat.S_ISBLK(about.st_mode):
                continue
            link = os.readlink(entry.path) if entry.is_symlink() else ""
            found.append((entry.path, about.st_mode, about.st_uid, about.st_rdev, link))
    return sorted(found)


def monitoring_groups():
    """HI8: the groups of resctrl, where it is mounted."""
    return sorted(path for path, _, _ in os.walk("/sys/fs/resctrl"))


def keyrings(name):
    """HI8: the keys that have a name in theirs. The kernel takes down those that nobody has in its
    own time, and tells nobody: it is asked until there are none, or it has had time enough."""
    end = time.monotonic() + events.patience
    while True:
        with open("/proc/keys", encoding="utf-8") as file:
            found = [line.strip() for line in file if name in line]
        if not found or time.monotonic() > end:
            return found
        os.sched_yield()


class Invariants:
    """HI1 to HI4, HI7 and HI8 of the host (Snapshot has the rest), as they were when taken. `ours`
    is in the name of every container of the session, and so in what is named after one."""

    def __init__(self, binary, ours):
        self.binary, self.ours = binary, ours
        self.known = self.take()

    def take(self):
        return {
            "binary": fingerprint(self.binary),
            "parameters": parameters(),
            "mounts": host.mounts(),
            "temporary files": temporary(),
            "interfaces": interfaces(),
            "first directories": tops(),
            "resctrl groups": monitoring_groups(),
            "keys": keyrings(self.ours),
        }

    def compare(self):
        """Raises Fired if anything is no longer as it was; the next replay starts from there."""
        before, self.known = self.known, self.take()
        for name, now in self.known.items():
            then = before[name]
            if now == then:
                continue
            pairs = [d.items() if isinstance(d, dict) else d for d in (then, now)]
            lost, came = ([e for e in a if e not in b] for a, b in (pairs, pairs[::-1]))
            raise Fired(f"the host's {name}: {lost[:5]} became {came[:5]}")
