"""What all callers have in common: who calls, with which environment, and what they leave behind."""

import os
import pathlib
import pwd
import shutil
import subprocess
import time

import pytest

from harness import events, host
from harness.runtime import ENVIRONMENT

# What keeps whole programs from working with a peer on a machine that is not the guest.
KNOWN = [] if events.IN_GUEST else [
    pytest.mark.peer(crun="1.8 raises RLIMIT_MEMLOCK for a device filter, which root may not here")
]


class Person:
    """Somebody who calls programs: root here, or a user through the service manager of that user."""

    def __init__(self, name="root"):
        about = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, about.pw_uid, about.pw_gid
        self.home = pathlib.Path(about.pw_dir)
        self.runtime_dir = pathlib.Path(f"/run/user/{self.uid}" if self.uid else "/run")

    def wrap(self, argv, environment, cwd="/"):
        """The words that run a command as this person, and the environment to start them with."""
        if self.uid == 0:
            return argv, {**ENVIRONMENT, **environment}
        bus = {
            "XDG_RUNTIME_DIR": str(self.runtime_dir),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={self.runtime_dir}/bus",
        }
        words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups"]
        words += ["systemd-run", "--user", "--quiet", "--pipe", "--wait", "--collect"]
        words += ["--expand-environment=no", "-p", "Delegate=yes", f"--working-directory={cwd}"]
        for name, value in {**environment, **bus, "PATH": ENVIRONMENT["PATH"]}.items():
            words += ["-E", f"{name}={value}"]
        return [*words, "--", *argv], {**ENVIRONMENT, **bus}

    def own(self, path):
        """Makes a directory and all in it this person's."""
        if self.uid:
            subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", path], check=True)


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
