"""Races for what is in /dev, which is an attacker's volume or the image's own."""

import os
import stat

from harness import ConsoleSocket, events, fired_if
from harness.races import Race


class NullReplaced(Race):
    """/dev is a volume whose null is a device at one moment and a link to a file at the next."""

    def lay(self):
        mounts = self.box.config["mounts"]
        self.box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]
        self.box.bundle.mount("/dev", "bind", self.volume, ["bind"])
        (self.box.rootfs / "secret").write_text("the secret\n")
        self.box.set("linux.maskedPaths", ["/secret", "/proc/timer_list"])
        self.box.sh(
            "(stat -c '%F %t:%T' /secret /proc/timer_list; head -c 9 /secret | wc -c) > /found 2>&1"
        )

    @property
    def one(self):
        return self.volume / "null"

    @property
    def other(self):
        return self.volume / "evil"

    def lay_other(self):
        self.other.symlink_to("/secret")

    def reset(self):
        self.clear()
        os.mknod(self.one, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.lay_other()
        (self.box.rootfs / "found").unlink(missing_ok=True)

    def safe(self, result):
        found = (self.box.rootfs / "found").read_text().splitlines()
        return found == ["character special file 1:3"] * 2 + ["0"]


class NullReplacedByFile(NullReplaced):
    """The same with a file in its place."""

    def lay_other(self):
        self.other.write_text("text of the attacker\n")


class NullRemoved(NullReplaced):
    """The same with nothing in its place: a link that leads nowhere."""

    def lay_other(self):
        self.other.symlink_to("/nowhere")


class NullReplacedByCanary(NullReplaced):
    """The same with a link to a file of the host, which is not to be written or given away."""

    def lay(self):
        super().lay()
        self.box.set("process.user", {"uid": 1000, "gid": 1000})
        self.box.args("/bin/true")

    def lay_other(self):
        self.other.symlink_to(self.canary.path / "file")

    def safe(self, result):
        return True


class ConsoleReplaced(NullReplaced):
    """The place of the console, in a /dev that is a volume, is a link at one moment."""

    def lay(self):
        super().lay()
        self.box.set("process.terminal", True)
        self.box.bundle.mount("/dev/pts", "devpts", "devpts", ["newinstance", "ptmxmode=0666"])
        self.box.set("linux.maskedPaths", [])
        self.box.sh("stat -L -c '%F %t' /dev/console > /found 2>&1")

    @property
    def one(self):
        return self.volume / "console"

    def reset(self):
        self.clear()
        (self.volume / "pts").mkdir()
        self.one.write_text("")
        self.other.symlink_to(self.canary.path / "new")
        (self.box.rootfs / "found").unlink(missing_ok=True)

    def attempt(self):
        listener, pid_file = ConsoleSocket(self.box.path("socket")), self.box.path("pid")
        flags = ("--detach", "--console-socket", listener.path, "--pid-file", pid_file)
        try:
            result = self.box.run(*flags)
            self.box.runtime.wrapper = ()
            if result.code == 0:
                fired_if(not os.isatty(listener.receive()), "what came is no terminal")
                events.reap(int(pid_file.read_text()))
                self.box.delete("--force").check()
            return result
        finally:
            listener.close()
            os.unlink(listener.path)

    def safe(self, result):
        # The name may lead to the link by the time that the program looks, and that to nothing.
        found = (self.box.rootfs / "found").read_text().strip()
        return found == "character special file 88" or "No such file" in found


class DevReplaced(Race):
    """The /dev of the image, on which nothing is mounted, is a link at one moment."""

    hint = "dev"

    def lay(self):
        mounts = self.box.config["mounts"]
        self.box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]
        self.box.args("/bin/true")

    @property
    def one(self):
        return self.box.rootfs / "dev"

    @property
    def other(self):
        return self.box.rootfs / "other"

    def reset(self):
        for name in (self.one, self.other):
            if name.is_symlink():
                name.unlink()
            elif name.exists():
                for within in name.iterdir():
                    within.unlink()
                name.rmdir()
        self.one.mkdir()
        self.link(self.canary.path)
