"""What a runtime does, as strace tells it: calls with their paths, and stops at a call of choice."""

import dataclasses
import os
import re
import shutil
import signal

from harness import events

STRACE = shutil.which("strace")

# Calls with a path, and those that take a descriptor in its place.
PATHS = "%file,fchdir,open_tree,move_mount,fspick,mount_setattr,name_to_handle_at"
EXECUTES = ("execve", "execveat")
# Of %file, but with no path that would be looked up then: getcwd says one, fsconfig keeps a text.
WITHOUT = ("getcwd", "fsconfig")

TWO = ("rename", "renameat", "renameat2", "link", "linkat", "mount", "move_mount", "pivot_root")


@dataclasses.dataclass
class Call:
    """One system call that takes paths: `places` has the (directory, path) pairs, the directory a
    number, or None for the working directory."""

    pid: int
    name: str
    text: str

    @property
    def places(self):
        text = self.text
        if self.name in ("symlink", "symlinkat"):
            text = text.partition(",")[2]  # what the link says is no path of this call's
        if self.name in EXECUTES:
            text = text.partition("[")[0]
        found = []
        for directory, path in re.findall(r'(?:(AT_FDCWD|-?\d+), )?"((?:[^"\\]|\\.)*)"', text):
            found.append((int(directory) if directory not in ("", "AT_FDCWD") else None, path))
        return found if self.name in TWO else found[:1]

    def __str__(self):
        return f"{self.name}({self.text[:150]}"


def calls_of(text):
    """The calls in what `strace -f` wrote, each where it began; one that was interrupted and went on
    is there once."""
    found = []
    for line in text.splitlines():
        match = re.match(r"(\d+) +(\w+)\((.*)", line)
        if match and match[2] not in WITHOUT:
            found.append(Call(int(match[1]), match[2], match[3]))
    return found


def record(box, *words, prepare=None, calls=PATHS):
    """Calls the runtime and returns its Result and the calls that it and its processes made."""
    out = box.path("trace")
    command = [STRACE, "-f", "-qq", "-s", "4096", "-e", "signal=none", "-e", f"trace={calls}"]
    command += ["-o", out, *box.runtime.argv(*words)]
    box.bundle.save()
    result = box.runtime.call(argv=command, **(prepare or {}))
    return result, calls_of(out.read_text("utf-8", "replace"))


class Halt:
    """A call of the runtime in which the process that makes system call number `count` of a name
    stops as that call returns; after execve, before the first instruction of the new program.

    `wanted` says of a pid whether it is the process meant; without it, any but the runtime's first.
    strace gives the stop signal and tells of the stop through a FIFO, so nothing is waited for but
    that. `pid` is the process as we see it; leaving the block lets it go on."""

    def __init__(self, box, name, *words, wanted=None, count="1+", **more):
        self.wanted = wanted or (lambda pid: pid != self.call.pid)
        place = box.path(f"halt{len(os.listdir(box.directory))}")
        self.fifo = events.Fifo(place)
        inject = f"inject={name}:signal=STOP:when={count}"
        command = [STRACE, "-D", "-f", "-qqq", "-o", place, "-e", f"trace={name}", "-e", inject]
        box.bundle.save()
        self.call = box.runtime.popen(argv=[*command, *box.runtime.argv(*words)], **more)
        self.result = self.pid = None

    def __enter__(self):
        while True:
            match = re.match(r"(?:\[pid )?(\d+)\]? +--- stopped by SIGSTOP", self.fifo.line())
            if not match:
                continue
            self.pid = int(match[1])
            if self.wanted(self.pid):
                return self
            os.kill(self.pid, signal.SIGCONT)

    def __exit__(self, *_):
        self.go_on()
        self.fifo.close()

    def go_on(self):
        """Lets the process go on, and returns how the runtime's call ended."""
        if self.result is None:
            # Nothing more is to stop: what strace leaves goes on from where it is.
            tracer = re.search(r"TracerPid:\s(\d+)", status_of(self.pid))
            if tracer and int(tracer[1]):
                os.kill(int(tracer[1]), signal.SIGKILL)
                events.wait_exit(int(tracer[1]))
            os.kill(self.pid, signal.SIGCONT)
            self.result = self.call.wait()
        return self.result

    def links(self):
        """Number to target of every descriptor that the process has open."""
        return links_of(self.pid)


def status_of(pid):
    """What /proc/PID/status says, as one text."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return file.read()


def links_of(pid):
    """Number to target of every descriptor that a process has open."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found
