"""Podman with the runtime under test, in a storage of its own that goes with the test session."""

import os
import pathlib
import re
import shutil

from harness import events, host, sandbox
from harness.runtime import ENVIRONMENT

PODMAN = shutil.which("podman", path="/usr/bin:/usr/local/bin")
# Root here may lack CAP_SYS_RESOURCE and the tree a pids controller, which podman takes for granted.
LIMITS = ["--pids-limit", "-1", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
IMAGE = "localhost/box:latest"


class Podman:
    """Calls of podman; `runtime` is the Runtime whose binary it is to use. The state directory is
    the runtime's default one, below a /run of our own: podman 4 forgets --runtime-flag when it
    cleans up."""

    def __init__(self, directory, runtime):
        self.directory, self.runtime = directory, runtime

    def argv(self, *args):
        words = [PODMAN, "--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]
        words += ["--events-backend", "none", "--runtime", self.runtime.binary]
        for flag, name in (("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")):
            words += [flag, self.directory / name]
        return [str(word) for word in [*words, *args]]

    def popen(self, *args, **more):
        # Whatever a user has configured is not for us.
        environment = {**ENVIRONMENT, "CONTAINERS_CONF": "/dev/null", "HOME": str(self.directory)}
        return self.runtime.popen(argv=self.argv(*args), env=environment, **more)

    def __call__(self, *args, **more):
        return self.popen(*args, **more).wait()

    def run(self, *args, flags=(), **more):
        """`podman run --rm FLAGS IMAGE args...`"""
        return self("run", "--rm", "--network", "none", *LIMITS, *flags, IMAGE, *args, **more)

    def start(self, name, *args, flags=()):
        """`podman run --detach --name NAME FLAGS IMAGE args...`"""
        words = ["--detach", "--name", name, "--network", "none", *LIMITS, *flags, IMAGE]
        return self("run", *words, *args).check()

    def inspect(self, name, template):
        return self("inspect", "--format", template, name).check().out.strip()

    def adopt(self, rootfs):
        """Imports a root file system as the image."""
        self.directory.mkdir()
        # A mount that is private, as podman would make one of its directory by itself.
        sandbox.mount("podman", self.directory, "tmpfs", 0, "mode=755")
        sandbox.mount("podman", "/run", "tmpfs", 0, "mode=755")
        archive = self.directory / "box.tar"
        shutil.make_archive(str(archive.with_suffix("")), "tar", rootfs)
        self("import", archive, IMAGE).check()

    def leave(self):
        """Gives up the storage and the /run."""
        host.unmount_below(self.directory)
        host.LIBC.umount2(b"/run", host.MNT_DETACH)
        self.directory.rmdir()

    def containers(self):
        """The names of containers that are left in some state directory or as a cgroup."""
        places = [entry for entry in pathlib.Path("/run").glob("*/*") if entry.is_dir()]
        places += (host.CGROUPS / "libpod_parent").glob("libpod-*")
        return [
            str(place) for place in places if re.fullmatch(r"(libpod-)?[0-9a-f]{64}", place.name)
        ]

    def clear(self):
        """Removes all containers, and waits for what looks after them to be gone."""
        self("rm", "--all", "--force", "--time", "0")
        for pid, name in host.descendants().items():
            if name in ("conmon", "podman", "exe"):
                events.wait_exit(pid)
                host.collect(pid)
        assert not self.containers()
        for name in ("libpod_parent/conmon", "libpod_parent"):
            if (host.CGROUPS / name).exists():
                os.rmdir(host.CGROUPS / name)
