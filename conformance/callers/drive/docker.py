"""dockerd with the runtime added to it by its daemon.json and made its default, and calls of docker."""

import functools
import json
import os
import pathlib
import re
import shutil
import subprocess

from drive import image, place
from harness import events, host
from harness.runtime import ENVIRONMENT, Runtime

DOCKERD = shutil.which("dockerd", path="/usr/sbin:/usr/bin:/usr/local/bin")
DOCKER = "/usr/bin/docker"


class Docker:
    """The daemon, with its own containerd, and the client."""

    def __init__(self, directory, binary, cgroups):
        self.directory, self.cgroups = pathlib.Path(directory), cgroups
        self.directory.mkdir()
        for name in ("calls", "home", "bin"):
            (self.directory / name).mkdir()
        self.runtime = Runtime(binary, self.directory / "calls")
        self.socket = self.directory / "s"
        self.daemon = None
        # The BuildKit in dockerd asks no configuration, and calls what is first in PATH as `runc`.
        (self.directory / "bin/runc").symlink_to(binary)

    @functools.cached_property
    def is_old(self):
        """Whether it is a docker before 25."""
        said = subprocess.run([DOCKERD, "--version"], capture_output=True, text=True, check=True)
        return int(re.search(r"\d+", said.stdout)[0]) < 25

    def begin(self, by_flag=False):
        """Starts the daemon, told of the runtime by its file or a flag; returns when it answers."""
        kind, here = self.runtime.kind, self.directory
        # runc is a name that dockerd has already.
        name = "tested" if kind == "runc" else kind
        packaged = json.loads(place.packaged("docker.json", self.runtime))
        packaged["runtimes"] = {name: packaged["runtimes"][kind]}
        (here / "daemon.json").write_text("{}" if by_flag else json.dumps(packaged))
        words = [DOCKERD, "--host", f"unix://{self.socket}", "--pidfile", here / "pid"]
        words += ["--data-root", here / "data", "--exec-root", here / "exec"]
        words += ["--config-file", here / "daemon.json", "--default-runtime", name]
        words += ["--exec-opt", f"native.cgroupdriver={self.cgroups}"]
        # Those before 25 would lower their own score for the OOM killer, which root here may not.
        words += ["--oom-score-adjust", "0"] if self.is_old else []
        words += ["--bridge", "none", "--iptables=false", "--ip6tables=false", "--live-restore"]
        words += ["--add-runtime", f"{name}={self.runtime.binary}"] if by_flag else []
        path = f"{here}/bin:{ENVIRONMENT['PATH']}"
        with open(here / "log", "ab") as log:
            self.daemon = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**ENVIRONMENT, "PATH": path, "HOME": str(here / "home")},
            )
        try:
            place.until(lambda: self("version").code == 0, "answer of dockerd", 6)
        except AssertionError:
            place.show_end(here / "log")
            raise

    def end(self):
        self.daemon.terminate()
        self.daemon.wait(4 * events.patience)

    def popen(self, *args, environment=None, **more):
        words = [DOCKER, "--host", f"unix://{self.socket}", *args]
        ours = {**ENVIRONMENT, "HOME": str(self.directory / "home"), **(environment or {})}
        return self.runtime.popen(argv=words, env=ours, cwd="/", **more)

    def __call__(self, *args, **more):
        return self.popen(*args, **more).wait(6 * events.patience)

    def run(self, *args, flags=(), **more):
        return self("run", "--rm", "--network", "none", *flags, image.NAME, *args, **more)

    def sh(self, script, flags=()):
        """What a shell script in a container says, that is to end well."""
        return self.run("/bin/sh", "-c", script, flags=flags).check().out

    def start(self, name, *args, flags=()):
        words = ["--detach", "--name", name, "--network", "none", *flags, image.NAME]
        return self("run", *words, *args).check().out.strip()

    def hold(self, name="held", flags=()):
        """A container that waits for SIGTERM, and ends with 7 then; returns its id."""
        made = self.start(name, "/probe", "hold", flags=flags)
        self.await_log(name, "ready")
        return made

    def await_log(self, name, text):
        """Returns when a container has said something."""
        reader, writer = os.pipe()
        call = self.popen("logs", "--follow", name, stdout=writer)
        os.close(writer)
        try:
            return events.read_until(reader, text)
        finally:
            call.process.kill()
            call.process.wait()
            os.close(reader)

    def inspect(self, name, template):
        return self("inspect", "--format", template, name).check().out.strip()

    def load(self, archive):
        self("load", "--input", archive).check()

    def clear(self):
        """Removes all containers, and says what stays behind."""
        place.show_end(self.directory / "log")
        names = self("ps", "--all", "--quiet").check().out.split()
        if names:
            self("rm", "--force", "--volumes", *names).check()
        state = self.directory / "exec/runtime-runc/moby"
        left = [str(path) for path in state.glob("*") if path.name not in host.CACHES]
        tree = host.CGROUPS / "docker"
        if tree.exists():
            left += [str(path) for path in tree.iterdir() if path.is_dir() and len(path.name) == 64]
        return left + place.cgroups_named("docker-*.scope")

    def leave(self):
        self.end()
        place.await_ends(place.processes_with(str(self.directory)))
        for name in ("docker/buildkit", "docker"):
            if (host.CGROUPS / name).exists():
                (host.CGROUPS / name).rmdir()
        host.unmount_below(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
