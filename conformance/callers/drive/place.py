"""What all callers have in common: who calls, with which environment, and what they leave behind."""

import os
import pathlib
import pwd
import re
import shutil
import subprocess
import time

import pytest

from harness import events, host, sandbox
from harness.runtime import ENVIRONMENT

MS_BIND = 4096
PACKAGING = pathlib.Path(__file__).resolve().parents[3] / "packaging"

# What keeps whole programs from working with a peer on a machine that is not the guest.
KNOWN = [] if events.IN_GUEST else [
    pytest.mark.peer(crun="1.8 raises RLIMIT_MEMLOCK for a device filter, which root may not here")
]


class Person:
    """Somebody who calls programs: root, or a user, in a session of their own where there is a service
    manager, and otherwise in a cgroup that is delegated to them."""

    def __init__(self, name="root"):
        about = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, about.pw_uid, about.pw_gid
        self.home = pathlib.Path(about.pw_dir)
        self.runtime_dir = pathlib.Path(f"/run/user/{self.uid}" if self.uid else "/run")
        self.cgroup = host.CGROUPS / f"user-{name}"
        self.has_session = True  # and with it a cgroup that is delegated, and a bus

    def wrap(self, argv, environment, cwd="/"):
        """The words that run a command as this person, and the environment to start them with."""
        if self.uid == 0:
            return argv, {**ENVIRONMENT, **environment}
        ids = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        ours = {**environment, "XDG_RUNTIME_DIR": str(self.runtime_dir), "USER": self.name}
        if not self.has_session:
            return [*ids, *argv], {**ENVIRONMENT, **ours, "XDG_RUNTIME_DIR": environment["TMPDIR"]}
        if not events.IN_GUEST:
            enter = f'echo 0 >{self.cgroup}/home/cgroup.procs && exec "$@"'
            return ["sh", "-c", enter, "sh", *ids, *argv], {**ENVIRONMENT, **ours}
        ours["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self.runtime_dir}/bus"
        words = [*ids, "systemd-run", "--user", "--quiet", "--pipe", "--wait", "--collect"]
        # What a command leaves running, as conmon, outlives it as it does in a session.
        words += ["-p", "Delegate=yes", "-p", "KillMode=process"]
        words += ["--expand-environment=no", f"--working-directory={cwd}"]
        for name, value in {**ours, "PATH": ENVIRONMENT["PATH"]}.items():
            words += ["-E", f"{name}={value}"]
        # systemd-run would tell the socket of its own readiness.
        ours.pop("NOTIFY_SOCKET", None)
        return [*words, "--", *argv], {**ENVIRONMENT, **ours}

    def own(self, path):
        """Makes a directory and all in it this person's."""
        if self.uid:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", path], check=True)

    def settle(self):
        """Gives a user of our own making what a login would: a runtime directory and a cgroup."""
        self.runtime_dir.mkdir(parents=True)
        (self.cgroup / "home").mkdir(parents=True)
        for path in (self.runtime_dir, self.cgroup):
            self.own(path)

    def leave(self):
        """Gives up the cgroup."""
        for name in ("home", ""):
            (self.cgroup / name).rmdir()


def make_people():
    """Users for a machine that has none, seen by nobody outside of our mounts: `user`, to whom ids are
    lent as they are to the `containers` of root's podman, and `lonely`, who has only the own one.
    Returns these people."""
    made = pathlib.Path("/run/people")
    made.mkdir()
    users = {"user": 4321, "lonely": 4322}
    more = {
        "passwd": "".join(f"{n}:x:{i}:{i}::/nonexistent:/bin/sh\n" for n, i in users.items()),
        "group": "".join(f"{n}:x:{i}:\n" for n, i in users.items()),
        "subuid": "user:300000:65536\ncontainers:400000:65536\n",
    }
    more["subgid"] = more["subuid"]
    for name, lines in more.items():
        old = pathlib.Path("/etc") / name
        old.touch()
        (made / name).write_text(old.read_text() + lines)
        sandbox.mount(str(made / name), old, None, MS_BIND)
    people = [Person(name) for name in users]
    for person in people:
        person.settle()
    return people


def processes_with(text):
    """The pids of the processes with `text` in a word of their command line."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            words = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text.encode() in words:
            found.append(int(entry))
    return found


def packaged(name, runtime):
    """The text of a file of packaging/ as it would be installed, but for where the runtime is. What
    is written there for tare serves for the others under their own names."""
    text = (PACKAGING / f"{name}.in").read_text().replace("@tare@", str(runtime.binary))
    return re.sub(r"\btare\b(?!/)", runtime.kind, text) if runtime.kind != "tare" else text


def until(true, what, times=2):
    """Asks again and again, where a program tells of itself only when it is asked."""
    deadline = time.monotonic() + times * events.patience
    while not true():
        assert time.monotonic() < deadline, f"no {what}"


def await_ends(pids):
    """Waits for processes to end, and collects those that are children of ours."""
    for pid in pids:
        events.wait_exit(pid)
        host.collect(pid)


def controllers():
    """The cgroup controllers that a container can have."""
    return (host.CGROUPS / "cgroup.subtree_control").read_text().split()


def need_controller(name):
    """Skips the test where containers cannot have a controller."""
    if name not in controllers():
        pytest.skip(f"no {name} controller in this cgroup2 tree")


def cgroups_named(*patterns):
    """The cgroups of the machine, or of the suite's own tree, whose name matches one."""
    return [str(path) for pattern in patterns for path in host.CGROUPS.rglob(pattern)]


def show_end(log, lines=15):
    """Prints the end of a daemon's log, which pytest shows with a test that fails."""
    print(*log.read_text("utf-8", "replace").splitlines()[-lines:], sep="\n")


def program(name):
    """Where a program is, or None."""
    return shutil.which(name, path=ENVIRONMENT["PATH"])


def has_every_capability():
    """Whether root has all that the kernel knows; in some containers it has not."""
    last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
    status = pathlib.Path("/proc/self/status").read_text()
    ours = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    return int(ours.split()[1], 16) == (2 << last) - 1
