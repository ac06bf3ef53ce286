"""A rootfs that was made to lead a runtime astray: no mount, file or directory comes out of it.

Each may be refused or contained; what is outside, the canary, stays as it is either way. Nothing
here leads to a place of the host that is not the canary: a runtime that does not pass is led there."""

import os
import stat

import pytest

from harness import Canary, contained, must_end, must_refuse

pytestmark = pytest.mark.row("mounts.target")


@pytest.fixture
def canary(box):
    return Canary(box.path("canary"))


def lay_link(box, canary, target):
    (box.rootfs / "evil").symlink_to(target.format(canary=canary.path))


def lay_fifo(box, canary, _):
    os.mkfifo(box.rootfs / "evil")


def lay_device(box, canary, _):
    os.mknod(box.rootfs / "evil", stat.S_IFCHR | 0o666, os.makedev(1, 3))


def lay_socket(box, canary, _):
    os.mknod(box.rootfs / "evil", stat.S_IFSOCK | 0o666)


def lay_chain(box, canary, _):
    """Forty-one links, one more than the kernel follows, the last of which leads out."""
    (box.rootfs / "link41").symlink_to(canary.path)
    for number in range(40, 0, -1):
        (box.rootfs / f"link{number}").symlink_to(f"/link{number + 1}")
    (box.rootfs / "evil").symlink_to("link1")


def lay_two(box, canary, _):
    (box.rootfs / "step").symlink_to(".." + "/.." * 20)
    (box.rootfs / "evil").symlink_to(f"step{canary.path}")


def lay_dotdot_through_link(box, canary, _):
    (box.rootfs / "far").symlink_to("/usr/bin")
    (box.rootfs / "evil").symlink_to(f"far/../../../../../..{canary.path}")


TRAPS = {
    "an absolute link": (lay_link, "{canary}"),
    "a link upwards": (lay_link, "../../canary"),
    "a link far upwards": (lay_link, "../" * 30 + "{canary}"),
    "a link to a missing place outside": (lay_link, "{canary}/missing/deeper"),
    "a link to a file outside": (lay_link, "{canary}/file"),
    "a dangling link": (lay_link, "/nowhere/at/all"),
    "a link to itself": (lay_link, "evil"),
    "a link to the root": (lay_link, "/"),
    "a link to the process's root": (lay_link, "/proc/self/root"),
    "a link to a descriptor": (lay_link, "/proc/self/fd/3"),
    "a chain of links": (lay_chain, None),
    "two links together": (lay_two, None),
    "a link and dots": (lay_dotdot_through_link, None),
    "a FIFO": (lay_fifo, None),
    "a device": (lay_device, None),
    "a socket": (lay_socket, None),
}


# What leads a walk that does not stay in the rootfs to the canary, and so shows that it does not.
LEADS_OUT = (
    "an absolute link",
    "a link upwards",
    "a link far upwards",
    "a link to the root",
    "a link to the process's root",
    "two links together",
    "a link and dots",
)
A_20 = pytest.mark.attack("A-20", "CVE-2019-18837", "CVE-2015-1335")
TO_THE_ROOT = ("a link to the root", "a link to the process's root")


def is_contained(box, canary):
    """Runs what was arranged; whether it ran or was refused, nothing outside is touched."""
    box.args("/bin/true")
    contained(must_end(lambda: box.run(timeout=15)), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.parametrize(
    "trap", [pytest.param(t, marks=A_20) if t in LEADS_OUT else t for t in TRAPS]
)
def test_a_target_does_not_leave_the_rootfs_through(box, canary, trap):
    lay, target = TRAPS[trap]
    lay(box, canary, target)
    file, directory = box.path("file"), box.path("directory")
    file.write_text("bound")
    directory.mkdir()
    # From the root of the host the rest of the way is the path of the canary.
    evil = f"/evil{canary.path}" if trap in TO_THE_ROOT else "/evil"
    for mount in (
        (evil, "bind", file, ["bind"]),
        (evil, "tmpfs", "tmpfs", ["size=64k"]),
        (f"{evil}/directory", "bind", directory, ["bind"]),
        (f"{evil}/a/b/c", "bind", file, ["bind"]),
    ):
        box.bundle.config["mounts"] = box.bundle.config["mounts"][:4]
        box.bundle.mount(*mount)
        is_contained(box, canary)


@pytest.mark.peer(crun="1.8 makes no directory behind a link that leads nowhere")
@pytest.mark.parametrize("trap", ["an absolute link", "a link upwards", "a link far upwards"])
def test_a_target_behind_a_link_that_leads_out_is_made_within(box, canary, trap):
    lay, target = TRAPS[trap]
    lay(box, canary, target)
    box.bundle.mount("/evil/made", "tmpfs", "tmpfs", ["size=64k"])
    points = [mount.target for mount in box.facts().mounts]
    assert points[-1].endswith("/made")
    assert canary.unchanged


@A_20
def test_dots_in_a_destination_do_not_lead_out(box, canary):
    for dots in ("/../../../../../..", "/usr/../../../../../../..", "../../../../../.."):
        box.bundle.config["mounts"] = box.bundle.config["mounts"][:4]
        box.bundle.mount(f"{dots}{canary.path}/new", "tmpfs", "tmpfs", ["size=64k"])
        is_contained(box, canary)


def test_tmpcopyup_copies_nothing_from_outside(box, canary):
    (box.rootfs / "up").symlink_to(canary.path)
    box.bundle.mount("/up", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
    box.sh("ls -A /up")
    assert "ptmx" not in box.run().out
    assert canary.unchanged


def test_tmpcopyup_does_not_open_what_it_copies(box, canary):
    below = box.rootfs / "below"
    below.mkdir()
    os.mkfifo(below / "fifo")
    (below / "link").symlink_to(canary.path / "file")
    (below / "file").write_text("text")
    box.bundle.mount("/below", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
    box.sh("stat -c %F /below/link")
    result = box.run(timeout=15)
    assert result.code != 0 or result.out == "symbolic link\n"
    assert canary.unchanged


ORDINARY = pytest.mark.peer(crun="words its errors in its own way")


@pytest.mark.attack(
    "A-07", "CVE-2019-19921", "CVE-2023-27561", "CVE-2023-28642", "CVE-2025-54867"
)
@pytest.mark.row("mounts.proc")
@pytest.mark.parametrize("name", ["proc", "sys"])
@pytest.mark.parametrize("trap", ["/bad", "/nowhere", "{canary}", "../../canary"])
def test_proc_and_sys_are_not_mounted_through_a_symbolic_link(box, canary, name, trap):
    (box.rootfs / "bad").mkdir()
    (box.rootfs / name).rmdir()
    (box.rootfs / name).symlink_to(trap.format(canary=canary.path))
    must_refuse(box.create(), f"a link at /{name}")
    assert canary.unchanged


@pytest.mark.row("mounts.proc")
@ORDINARY
@pytest.mark.parametrize("name", ["proc", "sys"])
def test_the_error_for_a_symbolic_link_at_proc_or_sys_says_what_it_must_be(box, name):
    (box.rootfs / "bad").mkdir()
    (box.rootfs / name).rmdir()
    (box.rootfs / name).symlink_to("/bad")
    assert "must be mounted on ordinary directory" in box.create().fails().said


@pytest.mark.attack("A-07", "CVE-2019-19921", "CVE-2023-27561")
@pytest.mark.row("mounts.proc")
@pytest.mark.peer(runc="1.1 makes the directory through the link, outside of the rootfs")
def test_proc_below_a_symbolic_link_is_refused_or_where_the_link_says(box, canary):
    (box.rootfs / "b/proc").mkdir(parents=True)
    (box.rootfs / "a").symlink_to(canary.path)
    box.bundle.mount("/a/proc", "proc", "proc", [])
    is_contained(box, canary)


@pytest.mark.row("mounts.proc")
def test_proc_on_a_file_is_refused(box):
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "proc").write_text("a file")
    box.create().fails()


# what would make the runtime's own writes below /proc, to labels and to kernel
# parameters, go to files of the container's choice.
A_17 = pytest.mark.attack("A-17", "CVE-2025-52881")
A_01 = pytest.mark.attack("A-01", "CVE-2015-3630", "CVE-2015-3631")
OVER_PROC = [
    "/proc/self",
    "/proc/1",
    "/proc/sys",
    "/proc/self/attr",
    "/proc/thread-self",
    "/proc/sys/net",
    "/proc/../proc/self",
    "/./proc//sys",
]


# The same places, by what has no source: CVE-2025-52881 had labels go wherever /proc/self led.
OVER_PROC_BY_TMPFS = [
    *(pytest.param(f"/proc/{name}", marks=A_01) for name in ("sys", "1/attr", "bus")),
    *(pytest.param(f"/proc/{name}", marks=A_17) for name in ("self", "thread-self", "self/attr")),
]


@pytest.mark.row("mounts.proc")
@pytest.mark.peer(crun="lets a config mount over /proc as it likes")
@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/proc", marks=pytest.mark.attack("A-06", "CVE-2019-16884")),
        *(pytest.param(target, marks=A_01) for target in OVER_PROC),
    ],
)
def test_nothing_of_another_file_system_is_mounted_over_proc(box, target):
    fake = box.path("fake")
    for name in ("self/attr/apparmor", "thread-self/attr", "sys/net", "1"):
        (fake / name).mkdir(parents=True)
    if target == "/proc":
        box.bundle.config["mounts"] = box.bundle.config["mounts"][1:]
    box.bundle.mount(target, "bind", fake, ["bind"])
    must_refuse(box.create(), f"a mount over {target}")


@pytest.mark.row("mounts.proc")
@pytest.mark.peer(runc="1.1 looks at binds only", crun="lets a config mount over /proc as it likes")
@pytest.mark.parametrize("target", OVER_PROC_BY_TMPFS)
def test_no_tmpfs_is_mounted_below_proc(box, target):
    box.bundle.mount(target, "tmpfs", "tmpfs", [])
    must_refuse(box.create(), f"a tmpfs on {target}")


@A_01
@pytest.mark.row("mounts.proc")
@pytest.mark.peer(crun="lets a config mount over /proc as it likes")
def test_proc_is_not_covered_by_way_of_a_symbolic_link(box):
    box.path("fake").mkdir()
    (box.rootfs / "alias").symlink_to("/proc")
    box.bundle.mount("/alias/sys", "bind", box.path("fake"), ["bind"])
    must_refuse(box.create(), "a mount over /proc/sys by way of a link")


ALLOWED_IN_PROC = ["cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg"]


@pytest.mark.row("mounts.proc")
def test_the_files_that_lxcfs_shows_may_be_bound_below_proc(box):
    there = [name for name in ALLOWED_IN_PROC if os.path.exists(f"/proc/{name}")]
    for name in there:
        box.path(name).write_text(f"made up {name}\n")
        box.bundle.mount(f"/proc/{name}", "bind", box.path(name), ["bind"])
    box.args("/bin/cat", *(f"/proc/{name}" for name in there))
    assert box.run().check().out.splitlines() == [f"made up {name}" for name in there]


@pytest.mark.row("mounts.proc")
def test_the_whole_proc_of_the_host_may_be_bound(box):
    box.bundle.without_namespace("pid")
    box.bundle.config["mounts"][0] = {
        "destination": "/proc",
        "type": "bind",
        "source": "/proc",
        "options": ["rbind", "ro"],
    }
    box.sh("test -e /proc/self/status && echo there")
    assert box.run().check().out == "there\n"


@pytest.mark.parametrize("target", ["/", "", "/.", "/.."])
def test_a_mount_over_the_root_itself_is_refused_or_does_not_uncover_the_host(box, canary, target):
    box.bundle.mount(target, "bind", box.rootfs, ["bind"])
    box.sh(f"test -e {canary.path} && echo seen; true")
    assert "seen" not in box.run().out
    assert canary.unchanged


def test_the_root_of_the_host_is_out_of_sight(box, canary):
    box.sh(f"test -e {canary.path} || test -e /../..{canary.path} && echo seen; true")
    assert box.run().check().out == ""


def test_a_rootfs_with_old_device_nodes_and_links_in_place_of_files_is_contained(box, canary):
    """A-23: every name that a runtime might make or open in a rootfs is a trap."""
    for name in ("etc/passwd", "etc/group"):
        (box.rootfs / name).unlink()
        (box.rootfs / name).symlink_to(canary.path / "passwd")
    for name in (".empty", "run/notify", "dev/console", "etc/hostname", "etc/mtab", ".pivot_root"):
        (box.rootfs / name).symlink_to(canary.path / "new")
    is_contained(box, canary)
    assert not (canary.path / "new").exists()
