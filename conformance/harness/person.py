"""The guest's user, who is not root: commands as they come from the user's own service manager."""

import json
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile

from harness import events
from harness.bundle import base_config
from harness.runtime import Result


class Person:
    """`user` of the guest with a bundle at home; leaving the `with` block removes that."""

    def __init__(self, binary, template, name="user"):
        about = pwd.getpwnam(name)
        self.binary, self.template = binary, template
        self.name, self.uid, self.gid = name, about.pw_uid, about.pw_gid
        # The service manager is outside of the suite's mounts, so /tmp's scratch would not do.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tconf.", dir=about.pw_dir))
        self.bundle = self.directory / "bundle"
        self.config = base_config()

    def __enter__(self):
        rootfs = self.bundle / "rootfs"
        rootfs.mkdir(parents=True)
        for name in ("proc", "dev", "sys"):
            (rootfs / name).mkdir()
        for name in ("probe", "act", "bin/busybox"):
            (rootfs / name).parent.mkdir(exist_ok=True)
            shutil.copy(self.template.rootfs / name, rootfs / name)
        os.symlink("busybox", rootfs / "bin/sh")
        # What a user who is not root can have; spec --rootless writes the same.
        ids = {"containerID": 0, "size": 1}
        self.config["linux"]["uidMappings"] = [{**ids, "hostID": self.uid}]
        self.config["linux"]["gidMappings"] = [{**ids, "hostID": self.gid}]
        self.config["linux"]["namespaces"].append({"type": "user"})
        for mount in self.config["mounts"]:
            mount["options"] = [o for o in mount.get("options", []) if not o.startswith("gid=")]
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory)

    def command(self, *argv):
        """The words that run a command in a unit of the user's, with a cgroup delegated to it."""
        bus = f"/run/user/{self.uid}"
        words = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", "env", "-i"]
        words += ["PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"XDG_RUNTIME_DIR={bus}"]
        words += [f"DBUS_SESSION_BUS_ADDRESS=unix:path={bus}/bus", "systemd-run", "--user", "--quiet"]
        words += ["--pipe", "--wait", "--collect", "--expand-environment=no", "-p", "Delegate=yes"]
        return [str(word) for word in (*words, "--", *argv)]

    def call(self, *argv):
        """Runs any command as the user, to its end."""
        argv = self.command(*argv)
        ended = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * events.patience,
            check=False,
        )
        return Result(argv, ended.returncode, ended.stdout, ended.stderr)

    def runtime(self, *args):
        """Runs the runtime as the user, with a --root at home."""
        return self.call(self.binary, "--root", self.directory / "state", *args)

    def save(self):
        """Writes config.json and makes all of it the user's."""
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        subprocess.run(["chown", "-R", f"{self.uid}:{self.gid}", self.directory], check=True)

    def run(self, *flags, name="box", options=()):
        """`OPTIONS run FLAGS NAME` of the bundle as config says."""
        self.save()
        return self.runtime(*options, "run", "--bundle", self.bundle, *flags, name)
