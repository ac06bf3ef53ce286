"""What is measured: a case is a name and what it costs one contender once; a condition is what is
changed about the machine around it."""

import contextlib
import os
import pathlib
import subprocess
import sys

from contenders import await_end
from harness import sandbox

FIGURES = ("wall ms", "CPU ms", "RSS KiB", "faults")
MNT_DETACH = 2
MS_BIND = 4096


class Launcher:
    """Runs commands through launch.c, or under strace."""

    def __init__(self, program, scratch):
        self.program, self.trace = program, scratch / "trace"

    def cost(self, command, copies=1):
        """What one command costs, `copies` of it at once: the FIGURES."""
        words = [str(word) for word in (self.program, copies, *command)]
        # stderr is no pipe: a created container would hold it open.
        out = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
        wall, cpu, rss, faults, status = map(int, out.stdout.split())
        if status != 0:
            sys.exit(f"{' '.join(words)}: exit status {status}")
        return [wall / 1e6 / copies, cpu / 1e3 / copies, rss, faults / copies]

    def sum(self, commands):
        """What some commands in a row cost."""
        total = [0.0] * len(FIGURES)
        for command in commands:
            one = self.cost(command)
            total = [max(total[i], one[i]) if i == 2 else total[i] + one[i] for i in range(len(total))]
        return total

    def count(self, commands):
        """The system calls of some commands in a row, but for those of the payload."""
        traced = []
        for command in commands:
            file = self.trace.with_suffix(f".{len(traced)}")
            words = ["strace", "-f", "-qq", "-e", "signal=none", "-o", file, *command]
            tracer = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.DEVNULL)
            await_traced(tracer)
            traced.append((tracer, file))
        # A container that was created is traced until it is deleted.
        if any(tracer.wait() for tracer, _ in traced):
            sys.exit("what strace ran has failed")
        return sum(count_calls(file.read_text()) for _, file in traced)


def await_traced(tracer):
    """Waits for the end of what strace runs, which is before that of strace if it left a container."""
    children = pathlib.Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children")
    while tracer.poll() is None:
        for child in children.read_text().split():
            # strace tries things out in a child of its own first.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if not os.readlink(f"/proc/{child}/exe").endswith("/strace"):
                    return await_end(int(child))
    return None


def count_calls(trace):
    """Calls in a trace of `strace -f`; a process is the payload's from its execve on."""
    count, executed = 0, set()
    for line in trace.splitlines():
        pid, call = line.split(maxsplit=1)
        if pid in executed or call.startswith(("<...", "+++", "---")):
            continue
        count += 1
        if call.startswith("execve(") and ("/bin/true" in call or '"/probe"' in call):
            executed.add(pid)
    return count


def commands():
    """Every case's commands, by its name, as a function of the contender."""
    made = {}
    for kind in ("plain", "docker"):
        made[f"run, {kind}"] = lambda c, k=kind: [c.run(k)]
    made["run, docker, cold filter"] = lambda c: [c.run_cold()]
    for kind in ("plain", "docker"):
        made[f"exec, {kind}"] = lambda c, k=kind: [c.exec(k)]
    for kind in ("plain", "docker"):
        made[f"create+start+kill+delete, {kind}"] = lambda c, k=kind: c.life(k)
    made["state"] = lambda c: [c.state()]
    made["list"] = lambda c: [c.list()]
    return made


def can(contender, case):
    """The floor only runs and execs; it has no filter."""
    return contender.name != "floor" or (case.startswith(("run", "exec")) and "cold" not in case)


@contextlib.contextmanager
def host_mounts(scratch, count):
    """So many more mounts on the host, each on a directory of its own."""
    top = scratch / "host-mounts"
    top.mkdir(exist_ok=True)
    sandbox.mount("tmpfs", top, "tmpfs")
    try:
        for i in range(count):
            (top / str(i)).mkdir()
            sandbox.mount(str(top), top / str(i), None, MS_BIND)
        yield
    finally:
        sandbox.must(sandbox.LIBC.umount2(str(top).encode(), MNT_DETACH), "umount the host's mounts")


@contextlib.contextmanager
def others_running(runtime, count):
    """So many more containers of the runtime's own."""
    names = [f"{runtime.name}-other-{i}" for i in range(count)]
    try:
        for name in names:
            runtime.hold(name, "plain")
        yield
    finally:
        for name in names:
            runtime.forget(name)
