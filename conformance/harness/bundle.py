"""Real bundles: a busybox rootfs with the probe in it, and a config.json made from Python."""

import copy
import json
import os
import pathlib
import shutil
import subprocess

from harness.events import Fifo

APPLETS = (
    "awk cat chmod chown cp cut df dirname dd echo env false find grep head hostname id kill ln ls"
    " mkdir mknod mount mv nproc ps pwd readlink rm rmdir sed seq sh sleep sort stat stty tail tee"
    " test touch tr true tty umount uname wc"
).split()

DIRECTORIES = "bin dev etc home proc root run sys tmp usr usr/bin var".split()

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
probe:x:1000:1000:Probe:/home:/bin/sh
"""
GROUP = "root:x:0:\ndaemon:x:1:\nprobe:x:1000:\nextra:x:2000:probe\n"

PROGRAMS = ("probe", "act")  # made from probe/*.c

_BASE = {
    "ociVersion": "1.0.2",
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/probe"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
        "cwd": "/",
        "capabilities": {
            name: ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
            for name in ("bounding", "effective", "permitted")
        },
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {
            "destination": "/sys",
            "type": "sysfs",
            "source": "sysfs",
            "options": ["nosuid", "noexec", "nodev", "ro"],
        },
    ],
    "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "cgroup")]},
}


def base_config():
    """The config that tests start from: small and quick, without a network namespace."""
    return copy.deepcopy(_BASE)


def compile_program(name, program):
    source = pathlib.Path(__file__).parent.parent / "probe" / f"{name}.c"
    flags = ["-static", "-Os", "-Wall", "-Wextra"]
    subprocess.run(["gcc", *flags, "-o", program, source], check=True)


class Template:
    """The rootfs that bundles are filled from, by hard links, made once per session."""

    def __init__(self, directory):
        self.rootfs = pathlib.Path(directory) / "template"
        (self.rootfs / "bin").mkdir(parents=True)
        made = os.environ.get("TCONF_PROGRAMS")  # by somebody who had a compiler
        for name in PROGRAMS:
            if made:
                shutil.copy(pathlib.Path(made) / name, self.rootfs / name)
            else:
                compile_program(name, self.rootfs / name)
        busybox = shutil.which("busybox")
        if not busybox:
            raise FileNotFoundError("no busybox: install Debian's busybox-static")
        shutil.copy(busybox, self.rootfs / "bin" / "busybox")

    def tool(self, name):
        """The path of a program of ours that is for the outside, made from probe/NAME.c once."""
        made = os.environ.get("TCONF_PROGRAMS")
        path = pathlib.Path(made) / name if made else self.rootfs.parent / name
        if not path.exists():
            compile_program(name, path)
        return path

    def fill(self, rootfs):
        """Makes a rootfs in the empty directory `rootfs`."""
        for name in DIRECTORIES:
            (rootfs / name).mkdir(exist_ok=True)
        (rootfs / "tmp").chmod(0o1777)
        for name in (*PROGRAMS, "bin/busybox"):
            os.link(self.rootfs / name, rootfs / name)
        for name in APPLETS:
            os.symlink("busybox", rootfs / "bin" / name)
        (rootfs / "etc/passwd").write_text(PASSWD)
        (rootfs / "etc/group").write_text(GROUP)


class Bundle:
    """One bundle on disk: `config` is a dict, written by save() before the runtime reads it."""

    def __init__(self, path, template):
        self.path = pathlib.Path(path)
        self.rootfs = self.path / "rootfs"
        self.rootfs.mkdir(parents=True)
        template.fill(self.rootfs)
        self.config = base_config()
        self.raw = None  # text that save() writes in place of `config`
        self.fifos = []

    def save(self):
        """Writes config.json."""
        text = json.dumps(self.config, indent=1) if self.raw is None else self.raw
        mode = "wb" if isinstance(text, bytes) else "w"
        with open(self.path / "config.json", mode) as file:
            file.write(text)

    def set(self, dotted, value):
        """Sets a field by its dotted path, `process.user.uid`, making objects on the way."""
        *parents, last = dotted.split(".")
        place = self.config
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value

    def unset(self, dotted):
        """Removes a field by its dotted path."""
        *parents, last = dotted.split(".")
        place = self.config
        for name in parents:
            place = place[name]
        place.pop(last, None)

    def namespace(self, kind, path=None):
        """Adds a namespace to the config, or changes the one of that kind."""
        self.without_namespace(kind)
        entry = {"type": kind} if path is None else {"type": kind, "path": str(path)}
        self.config["linux"]["namespaces"].append(entry)

    def without_namespace(self, *kinds):
        """Takes namespaces out of the config: the container shares the runtime's."""
        spaces = self.config["linux"]["namespaces"]
        self.config["linux"]["namespaces"] = [n for n in spaces if n["type"] not in kinds]

    def mount(self, destination, kind=None, source=None, options=None):
        """Adds a mount to the config."""
        entry = {"destination": destination}
        for key, value in (("type", kind), ("source", source), ("options", options)):
            if value is not None:
                entry[key] = str(value) if key == "source" else value
        self.config.setdefault("mounts", []).append(entry)

    def fifo(self, name):
        """Makes a FIFO in the root of the rootfs that the container can write a line to."""
        fifo = Fifo(self.rootfs / name)
        self.fifos.append(fifo)
        return fifo

    def close(self):
        for fifo in self.fifos:
            fifo.close()
        self.fifos.clear()
