"""Who is measured: runtimes, each with a state of its own, and the floor, on bundles that all share."""

import os
import pathlib
import select
import shutil
import subprocess

from harness import docker, sandbox
from harness.bundle import Bundle
from harness.host import CGROUPS

HERE = pathlib.Path(__file__).resolve().parent
NAMESPACES = "pid ipc uts mount cgroup network".split()
KINDS = ("plain", "docker")
HELD, TRUE = ["/probe", "hold"], ["/bin/true"]


def build(scratch, name, made):
    """A program of this directory; `made` is where somebody with a compiler has left it, or None."""
    if made:
        return pathlib.Path(made) / name
    program = scratch / name
    subprocess.run(["gcc", "-O2", "-static", "-o", program, HERE / f"{name}.c"], check=True)
    return program


def install(programs):
    """Copies on a disk, where programs lie. A linker writes here and there, and leaves a file in single pages, as
    a tmpfs has them; what was written on a disk from its beginning to its end is kept in larger pieces (folios),
    of which a page fault maps more for less: 4 to 5 % of `exec`."""
    place = sandbox.directory_on_disk()
    return [pathlib.Path(shutil.copy(program, place)) for program in programs]


def make_bundle(scratch, template, kind, arguments):
    """A bundle of that kind: `plain` has six namespaces, and `docker` all that Docker writes."""
    bundle = Bundle(scratch / f"{kind}-{arguments[0].rpartition('/')[2]}", template)
    if kind == "docker":
        docker.dress(type("Box", (), {"bundle": bundle}))
    else:
        for space in NAMESPACES:
            bundle.namespace(space)
    bundle.config["process"]["terminal"] = False
    bundle.config["process"]["args"] = arguments
    bundle.config["process"].pop("rlimits", None)
    # One path would be one cgroup for all; and the crun of Debian 12 raises a limit for its device filter
    # that not every root may raise, so the filter is left to each runtime's own default.
    bundle.unset("linux.cgroupsPath")
    bundle.unset("linux.resources")
    bundle.save()
    return bundle


def run(command):
    """Runs a command that must succeed, and shows what it says if it does not."""
    # No pipe: a container would hold it open.
    subprocess.run([str(word) for word in command], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)


def await_end(pid):
    """Waits until a process has ended, and reaps it if it came to us."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    select.select([descriptor], [], [])
    os.close(descriptor)
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


class Runtime:
    """A runtime, and its --root; one container of each kind is kept running in it."""

    def __init__(self, path, scratch, bundles):
        self.name = pathlib.Path(path).name
        self.path, self.bundles = path, bundles
        self.root = scratch / f"root-{self.name}"
        self.cold = scratch / f"cold-{self.name}"
        self.pid_file = scratch / f"pid-{self.name}"

    def version(self):
        said = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=True)
        return said.stdout.splitlines()[0]

    def command(self, *arguments, root=None):
        return [self.path, "--root", str(root or self.root), *map(str, arguments)]

    def bundle(self, kind, program="true"):
        return self.bundles[kind, program].path

    def hold(self, name, kind):
        """Starts a container that stays; returns its pid."""
        run(self.command("run", "--detach", "--pid-file", self.pid_file, "--bundle",
                         self.bundle(kind, "probe"), name))
        return int(self.pid_file.read_text())

    def forget(self, name):
        subprocess.run(self.command("delete", "--force", name), check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def run(self, kind, name="one"):
        return self.command("run", "--bundle", self.bundle(kind), f"{self.name}-{name}")

    def run_cold(self):
        """As the first Docker-like container there ever was: no filter is in a cache."""
        shutil.rmtree(self.cold, ignore_errors=True)
        return self.command("run", "--bundle", self.bundle("docker"), f"{self.name}-cold", root=self.cold)

    def exec(self, kind):
        return self.command("exec", f"{self.name}-{kind}", *TRUE)

    def life(self, kind):
        """The commands of one life; what is to be awaited before the last is not of their cost."""
        name = f"{self.name}-life"
        yield self.command("create", "--pid-file", self.pid_file, "--bundle", self.bundle(kind, "probe"), name)
        yield self.command("start", name)
        yield self.command("kill", name, "KILL")
        await_end(int(self.pid_file.read_text()))
        yield self.command("delete", name)

    def state(self):
        return self.command("state", f"{self.name}-plain")

    def list(self):
        return self.command("list")

    def begin(self):
        for kind in KINDS:
            self.hold(f"{self.name}-{kind}", kind)

    def end(self):
        for kind in KINDS:
            self.forget(f"{self.name}-{kind}")


class Floor:
    """floor.c: the least that the kernel needs. What it cannot do it has no command for."""

    name = "floor"

    def __init__(self, program, scratch, bundles, beside):
        self.program, self.bundles, self.beside = program, bundles, beside
        self.states = scratch / "floor-states"
        self.states.mkdir()

    def version(self):
        return "conformance/bench/floor.c"

    def run(self, kind, name=""):
        del name  # it goes by its pid
        return [self.program, "run", self.bundles[kind, "true"].rootfs, CGROUPS, self.states]

    def exec(self, kind):
        """Beside the process that a runtime holds."""
        del kind
        return [self.program, "exec", self.beside()]

    def begin(self):
        """Nothing is to be prepared."""

    def end(self):
        """Nothing stays."""
