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


def injections(failing):
    """strace's words for calls that are to fail: errors by names, "EPERM:when=1" for the first."""
    return [word for name, error in failing.items() for word in ("-e", f"inject={name}:error={error}")]


def record(box, *words, prepare=None, calls=PATHS, failing=None):
    """Calls the runtime and returns its Result and the calls that it and its processes made."""
    out = box.path("trace")
    command = [STRACE, "-f", "-qq", "-s", "4096", "-e", "signal=none", "-e", f"trace={calls}"]
    command += injections(failing or {})
    command += ["-o", out, *box.runtime.argv(*words)]
    box.bundle.save()
    result = box.runtime.call(argv=command, **(prepare or {}))
    return result, calls_of(out.read_text("utf-8", "replace"))


class Halt:
    """A call of the runtime whose processes stop when a system call of these names returns; after
    execve, before the first instruction of the new program. `names` is a list as strace takes it.

    `wanted` says of a pid whether it is the process meant; without it, any but the runtime's first.
    `failing` maps names of calls to the errors that they are to fail with, as injections() has them.
    `pid` is the process that stands still, `next` lets it go on to the next stop, and leaving the
    block lets all of them go on. strace gives the stop signal and tells of the stop through a FIFO,
    so nothing is waited for but that."""

    def __init__(self, box, names, *words, wanted=None, failing=None, **more):
        self.wanted = wanted or (lambda pid: pid != self.call.pid)
        place = box.path(f"halt{len(os.listdir(box.directory))}")
        self.fifo = events.Fifo(place)
        failing = failing or {}
        traced = ",".join([names, *failing])
        what = ["-e", f"trace={traced}", "-e", f"inject={names}:signal=STOP", *injections(failing)]
        box.bundle.save()
        command = [STRACE, "-D", "-f", "-qqq", "-o", place, *what, *box.runtime.argv(*words)]
        self.call = box.runtime.popen(argv=command, **more)
        self.result = self.pid = None

    def __enter__(self):
        if not self.next():
            raise events.Missing(f"no such process made such a call: {self.call.wait()}")
        return self

    def __exit__(self, *_):
        self.go_on()
        self.fifo.close()

    def next(self):
        """Goes on to the next stop of the process that is meant; False when there is none."""
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)
            self.pid = None
        while True:
            try:
                line = self.fifo.line()
            except events.Missing:
                return False  # strace ended with the last of them
            match = re.match(r"(?:\[pid )?(\d+)\]? +--- stopped by SIGSTOP", line)
            pid = match and stopped_process(match[1])
            if not pid:
                continue
            if self.wanted(pid):
                self.pid = pid
                return True
            os.kill(pid, signal.SIGCONT)

    def go_on(self):
        """Lets all go on, and returns how the runtime's call ended."""
        if self.result is None:
            if self.pid:
                self.end_tracing()
                os.kill(self.pid, signal.SIGCONT)
            self.result = self.call.wait()
        return self.result

    def end_tracing(self):
        """Nothing more is to stop: what strace leaves goes on from where it is."""
        tracer = int(re.search(r"TracerPid:\s(\d+)", status_of(self.pid))[1])
        if tracer:
            os.kill(tracer, signal.SIGKILL)
            events.wait_exit(tracer)

    def links(self):
        """Number to target of every descriptor that the process has open."""
        return links_of(self.pid)


def status_of(pid):
    """What /proc/PID/status says, as one text."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return file.read()


def stopped_process(thread):
    """The process of a thread that strace has told of, if it stands still: each thread of a process
    is told of, and what was told of one may be over when the next is heard of."""
    try:
        status = status_of(thread)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(re.search(r"Tgid:\s(\d+)", status)[1]) if re.search(r"State:\s[tT]", status) else None


def pid_within(pid):
    """What a process is called in the innermost pid namespace that it is in."""
    return int(re.search(r"NSpid:.*\s(\d+)\n", status_of(pid))[1])


def is_within(pid):
    """Whether a process is in another pid namespace than we are."""
    return os.stat(f"/proc/{pid}/ns/pid").st_ino != os.stat("/proc/self/ns/pid").st_ino


def links_of(pid):
    """Number to target of every descriptor that a process has open."""
    found = {}
    for number in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(number)] = os.readlink(f"/proc/{pid}/fd/{number}")
        except FileNotFoundError:
            pass
    return found
