"""podman, with the runtime under test made its own by containers.conf, as a user does it."""

import contextlib
import functools
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from drive import image, place
from harness import events, host
from harness.runtime import Runtime

PODMAN = shutil.which("podman", path="/usr/bin:/usr/local/bin")

CONF = """\
[containers]
netns = "none"
log_driver = "k8s-file"
{containers}
[engine]
runtime = "{kind}"
cgroup_manager = "{cgroups}"
events_logger = "file"
{engine}
{packaged}
"""
# Root here may lack CAP_SYS_RESOURCE, and the tree a pids controller, which podman takes for granted.
POOR = """\
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
"""
STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{directory}/root"
{rootless}
runroot = "{directory}/run"
"""


class Podman:
    """Calls of podman by one person with one cgroup manager, in a storage of their own."""

    def __init__(self, directory, runtime, person, cgroups):
        self.directory, self.runtime = pathlib.Path(directory), runtime
        self.person, self.cgroups = person, cgroups
        self.ids = {}  # of containers that were started by a name
        self.used = set()  # the words of calls since the last clear()
        self.directory.mkdir(mode=0o755)
        for name in ("home", "tmp", "calls"):
            (self.directory / name).mkdir()
        self.runtime = Runtime(runtime, self.directory / "calls")
        self.configure()
        self.person.own(self.directory)

    @functools.cached_property
    def is_old(self):
        """Whether it is a podman before 5."""
        said = subprocess.run([PODMAN, "--version"], capture_output=True, text=True, check=True)
        return int(re.search(r"\d+", said.stdout)[0]) < 5

    @property
    def rootless(self):
        return self.person.uid != 0

    def configure(self, engine="", containers=""):
        """Writes the files that podman reads; the words are more lines of their sections."""
        poor = "" if events.IN_GUEST else POOR
        packaged = place.packaged("containers.conf", self.runtime)
        text = CONF.format(
            kind=self.runtime.kind,
            cgroups=self.cgroups,
            engine=engine,
            containers=poor + containers,
            packaged=packaged.split("[engine]\n")[-1],
        )
        (self.directory / "containers.conf").write_text(text)
        (self.directory / "storage.conf").write_text(
            STORAGE.format(
                directory=self.directory,
                driver="overlay",
                # podman 5 would take that for a mistake.
                rootless=f'rootless_storage_path = "{self.directory}/root"' if self.is_old else "",
            )
        )

    @property
    def environment(self):
        home = self.directory / "home"
        return {
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "HOME": str(home),
            "TMPDIR": str(self.directory / "tmp"),
            "TERM": "xterm",
        }

    def popen(self, *args, environment=None, **more):
        argv = [PODMAN, *(str(word) for word in args)]
        self.used.update(argv)
        words, ours = self.person.wrap(argv, {**self.environment, **(environment or {})})
        return self.runtime.popen(argv=words, env=ours, cwd="/", **more)

    def __call__(self, *args, **more):
        return self.popen(*args, **more).wait(6 * events.patience)

    def run(self, *args, flags=(), **more):
        """`podman run --rm FLAGS IMAGE args...`"""
        return self("run", "--rm", *self.flags(flags), image.NAME, *args, **more)

    def flags(self, flags):
        """The flags, with the limits that go when --ulimit is among them."""
        if "--ulimit" in flags and not events.IN_GUEST:
            return ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", *flags]
        return flags

    def sh(self, script, flags=()):
        """What a shell script in a container says, that is to end well."""
        return self.run("/bin/sh", "-c", script, flags=flags).check().out

    def start(self, name, *args, flags=()):
        """`podman run --detach --name NAME FLAGS IMAGE args...`; returns the id."""
        words = ["--detach", "--name", name, *flags, image.NAME]
        self.ids[name] = self("run", *words, *args).check().out.strip()
        return self.ids[name]

    def hold(self, name="held", flags=()):
        """A container that waits for SIGTERM, and ends with 7 then; returns its id."""
        made = self.start(name, "/probe", "hold", flags=flags)
        self.await_log(name, "ready")
        return made

    def await_log(self, name, text):
        """Returns when a container has said something."""
        made = self.inspect(name, "{{.Id}}") if name not in self.ids else self.ids[name]
        log = self.directory / f"root/overlay-containers/{made}/userdata/ctr.log"

        def said():
            lines = log.read_text().splitlines() if log.exists() else []
            return text in "\n".join(line.split(" ", 3)[-1] for line in lines)

        place.until(said, f"{text!r} of {name}")

    def inspect(self, name, template):
        return self("inspect", "--format", template, name).check().out.strip()

    def await_start(self, name):
        """Returns when a container exists that somebody is just making."""
        place.until(lambda: self("container", "exists", name).code == 0, f"container {name}")

    def lends(self, name):
        """Whether /etc/subuid lends ids to a name; a user's own are lent to that user."""
        lines = pathlib.Path("/etc/subuid").read_text().splitlines()
        return self.rootless or any(line.startswith(f"{name}:") for line in lines)

    def need_init(self):
        """Skips the test where there is nothing that podman's --init could be."""
        places = ("/usr/libexec/podman/catatonit", "/usr/bin/catatonit")
        if not any(os.access(place, os.X_OK) for place in places):
            pytest.skip("no catatonit, which podman --init runs")

    def load(self, archive):
        shutil.copy(archive, self.directory / "image.tar")
        self.person.own(self.directory / "image.tar")
        self("load", "--input", self.directory / "image.tar").check()

    def clear(self):
        """Removes containers, pods, volumes and secrets, and tells what stays behind."""
        # A call takes seconds in the guest; so only what there can be is removed.
        rest = ("--all", "--force", "--time", "0")
        if "pod" in self.used:
            self("pod", "rm", *rest)
        if any((self.directory / "root/overlay-containers").glob("?" * 64)):
            self("rm", *rest)
        if any((self.directory / "root/volumes").glob("*")):
            self("volume", "rm", "--all", "--force")
        if "secret" in self.used:
            self("secret", "rm", "--all")
        self.used.clear()
        self.ids.clear()
        place.await_ends(place.processes_with(str(self.directory)))
        # systemd takes its time to remove a scope that has no process any more.
        with contextlib.suppress(AssertionError):
            place.until(lambda: not self.left(), "end of all")
        for name in ("libpod_parent/conmon", "libpod_parent"):
            if self.cgroups == "cgroupfs" and (host.CGROUPS / name).exists():
                os.rmdir(host.CGROUPS / name)
        return self.left()

    def left(self):
        """Containers that are still in the runtime's state directory or a cgroup."""
        names = [self.runtime.kind]
        states = [path for name in names for path in (self.person.runtime_dir / name).glob("*")]
        found = [str(path) for path in states if len(path.name) == 64]
        return found + place.cgroups_named("libpod-[0-9a-f]*")

    def leave(self):
        """Gives up the storage."""
        self("system", "reset", "--force")
        host.unmount_below(self.directory)
        if self.rootless:
            shutil.rmtree(self.directory, ignore_errors=True)
