"""Races with an attacker who owns a directory that the runtime goes through: a name of his is a
directory at one moment and a link out of the container at the next.

Each is tried with an exchange at every system call that a path goes into, then at random."""

import os

import dev_races
import pytest

from harness.races import Race


class MountBelowLink(Race):
    """A tmpfs is mounted below a directory of a shared volume, where it is there already."""

    target = "{canary}"

    @property
    def rest(self):
        return ""

    def lay(self):
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        self.box.bundle.mount(f"/vol/a{self.rest}/b", "tmpfs", "marker", ["size=64k"])
        self.box.args("/bin/cat", "/proc/self/mountinfo")
        (self.canary.path / "b").mkdir()
        self.canary.before = self.canary.picture()

    def reset(self):
        self.clear()
        os.makedirs(f"{self.one}{self.rest}/b")
        self.link(self.target.format(canary=self.canary.path))

    def safe(self, result):
        # What is mounted on a place of the host cannot be seen from within.
        return " tmpfs marker " in result.out


class MountBelowRoot(MountBelowLink):
    """The same with a link to the root, from which the rest of the way is that of the canary."""

    target = "/"

    @property
    def rest(self):
        return self.canary.path


class MountUpwards(MountBelowRoot):
    """The same with a link that goes up, as in the first published exploit."""

    target = "../" * 20


class DirectoryMade(Race):
    """A mount point that has to be made first, four directories deep."""

    def lay(self):
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        self.box.bundle.mount("/vol/a/b/c/d/e", "tmpfs", "marker", ["size=64k"])
        self.box.args("/bin/true")

    def reset(self):
        self.clear()
        self.one.mkdir()
        self.link(self.canary.path)


class FileMade(DirectoryMade):
    """A mount point that is a file and has to be made first."""

    def lay(self):
        source = self.box.path("file")
        source.write_text("bound")
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        self.box.bundle.mount("/vol/a/b/c/file", "bind", source, ["bind"])
        self.box.args("/bin/true")


class ProcReplaced(Race):
    """/proc is a directory or a link to another place of the container: whatever procfs there is
    in the end has its masks."""

    hint = "proc"
    places = ("/proc", "/other", "/fake")

    @property
    def one(self):
        return self.box.rootfs / "proc"

    @property
    def other(self):
        return self.box.rootfs / "other"

    def lay(self):
        self.box.set("linux.maskedPaths", ["/proc/timer_list"])
        self.box.set("linux.readonlyPaths", ["/proc/sys"])
        (self.box.rootfs / "fake").mkdir()
        self.box.sh(
            f"for d in {' '.join(self.places)}; do [ -d $d/sys/kernel ] || continue;"
            " stat -c '%F %t:%T' $d/timer_list;"
            " (echo box > $d/sys/kernel/domainname) 2>/dev/null && echo written; done; true"
        )

    def reset(self):
        if self.one.is_symlink():
            os.rename(self.other, self.box.rootfs / "aside")
            os.rename(self.one, self.other)
            os.rename(self.box.rootfs / "aside", self.one)
        if not self.other.is_symlink():
            self.other.symlink_to("/fake")

    def safe(self, result):
        return set(result.out.splitlines()) <= {"character special file 1:3"}


class ProcReplacedByDirectory(ProcReplaced):
    """The same with another directory, which no look at the type tells from the first."""

    places = ("/proc", "/other")

    def reset(self):
        self.other.mkdir(exist_ok=True)


class SysReplaced(ProcReplaced):
    """The same for /sys."""

    hint = "sys"

    @property
    def one(self):
        return self.box.rootfs / "sys"

    def lay(self):
        self.box.set("linux.maskedPaths", ["/sys/kernel"])
        (self.box.rootfs / "fake").mkdir()
        self.box.sh("ls -A /sys/kernel /other/kernel /fake/kernel 2>/dev/null | grep -v :; true")

    def safe(self, result):
        return result.out.split() == []


class SysctlRedirected(ProcReplaced):
    """A kernel parameter is set while /proc leads to a directory with a file of the same name."""

    def lay(self):
        place = self.canary.path / "sys/net/ipv4"
        place.mkdir(parents=True)
        (place / "ip_default_ttl").write_text("canary\n")
        self.canary.before = self.canary.picture()
        (self.box.rootfs / "fake").mkdir()
        self.box.bundle.mount("/fake", "bind", self.canary.path, ["bind"])
        self.box.bundle.namespace("network")
        self.box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": "77"})
        self.box.sh(
            "for d in /proc /other; do [ -d $d/self ] && cat $d/sys/net/ipv4/ip_default_ttl; done;"
            " true"
        )

    def safe(self, result):
        # Between a look at what is there and the reading of it, it may be the other.
        return set(result.out.split()) <= {"77", "canary"}


class SourceReplaced(Race):
    """The source of a bind that is not to be followed is a link at one moment."""

    def lay(self):
        self.box.bundle.mount("/m", "bind", self.one, ["bind", "src-nofollow"])
        self.box.sh("cat /m/file 2>/dev/null; true")

    def reset(self):
        self.clear()
        self.one.mkdir()
        (self.one / "file").write_text("ours\n")
        self.link(self.canary.path)

    def safe(self, result):
        return "canary" not in result.out


class WorkingDirectoryMade(Race):
    """The working directory has to be made, in a directory of a shared volume."""

    def lay(self):
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        self.box.set("process.cwd", "/vol/a/way/place")
        self.box.args("/bin/true")

    def reset(self):
        self.clear()
        self.one.mkdir()
        self.link(self.canary.path)


class CopiedUp(Race):
    """What is copied into a tmpfs is that of the container's own directory."""

    def lay(self):
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        self.box.bundle.mount("/vol/a", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
        self.box.sh("cat /vol/a/file /vol/link/file 2>/dev/null; true")

    def reset(self):
        self.clear()
        self.one.mkdir()
        (self.one / "file").write_text("ours\n")
        self.link(self.canary.path)

    def safe(self, result):
        return "canary" not in result.out


class DeviceMade(Race):
    """A device of the config has its directory in a shared volume."""

    def lay(self):
        self.box.bundle.mount("/vol", "bind", self.volume, ["bind"])
        device = {"path": "/vol/a/b/null", "type": "c", "major": 1, "minor": 3}
        self.box.set("linux.devices", [device])
        self.box.args("/bin/true")

    def reset(self):
        self.clear()
        self.one.mkdir()
        self.link(self.canary.path)


RACES = [
    (MountBelowLink, "A-08", "CVE-2021-30465"),
    (MountBelowRoot, "A-08", "CVE-2021-30465"),
    (MountUpwards, "A-08", "CVE-2021-30465"),
    (DirectoryMade, "A-14", "CVE-2024-45310"),
    (FileMade, "A-14", "CVE-2024-45310"),
    (DeviceMade, "A-14", "CVE-2024-45310"),
    (ProcReplaced, "A-07", "CVE-2019-19921", "CVE-2023-27561"),
    (ProcReplacedByDirectory, "A-07", "CVE-2019-19921", "CVE-2023-27561"),
    (SysReplaced, "A-07", "CVE-2023-28642"),
    (SysctlRedirected, "A-17", "CVE-2025-52881"),
    (dev_races.NullReplaced, "A-15", "CVE-2025-31133"),
    (dev_races.NullReplacedByFile, "A-15", "CVE-2025-31133"),
    (dev_races.NullRemoved, "A-15", "CVE-2025-31133"),
    (dev_races.NullReplacedByCanary, "A-27", "CVE-2026-88265"),
    (dev_races.ConsoleReplaced, "A-16", "CVE-2025-52565", "CVE-2026-88264"),
    (dev_races.DevReplaced, "A-18", "CVE-2026-41579", "CVE-2026-47766"),
    (SourceReplaced, "A-37", "CVE-2024-42472"),
    (WorkingDirectoryMade, "A-38", "CVE-2024-1753", "CVE-2024-9676"),
    (CopiedUp, "A-45", "CVE-2017-1002101", "CVE-2021-25741", "CVE-2018-15664"),
]


def raced(how):
    """Every race, as an attack of the two kinds: stepped, and raced freely."""
    return [
        pytest.param(race, id=race.__name__, marks=pytest.mark.attack(*about, racing=how))
        for race, *about in RACES
    ]


@pytest.mark.parametrize("race", raced("stepped"))
def test_no_single_exchange_leads_out_of_the_container(box, canary, race, record_property):
    run = race(box, canary)
    run.step()
    record_property(f"{race.__name__} stepped", f"{run.flips} exchanges, {run.ran} ran")


@pytest.mark.parametrize("race", raced("raced"))
def test_nothing_leads_out_while_names_are_exchanged(
    box, canary, race, record_property, pytestconfig
):
    run = race(box, canary)
    run.rush(pytestconfig.getoption("--race-seconds") / len(RACES))
    text = f"{run.flips} exchanges in {run.raced:.2f} s, {run.ran} ran"
    record_property(f"{race.__name__} raced", text)
