"""A terminal from a /dev that is an attacker's: what comes over the console socket is a terminal, and
what is at /dev/console as well, and nothing is made anywhere else."""

import os
import stat

import pytest

from harness import ConsoleSocket, contained, fired_if, must_end

PARAMETER = "/proc/sys/kernel/domainname"  # of the container's own uts namespace


@pytest.fixture
def console(box):
    listener = ConsoleSocket(box.path("console"))
    yield listener
    listener.close()


def terminal_of(box, console):
    """Makes a container with a terminal: what it says of /dev/console, or None if it was refused."""
    box.set("process.terminal", True)
    box.sh("stat -c '%F %t' /dev/console > /found 2>&1")
    result = must_end(lambda: box.create("--console-socket", console.path, timeout=10))
    if result.code != 0:
        contained(result, bool)
        return None
    master = console.receive()
    fired_if(not os.isatty(master), "what came over the console socket is no terminal")
    pid = box.pid
    box.start().check()
    box.wait(pid)
    return (box.rootfs / "found").read_text().strip()


def lay_file(place):
    place.write_text("a file\n")


def lay_fifo(place):
    os.mkfifo(place)


def lay_link(place):
    place.symlink_to(PARAMETER)


def lay_null(place):
    os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 3))


MULTIPLEXERS = {"a file": lay_file, "a FIFO": lay_fifo, "a link": lay_link, "a device": lay_null}


@pytest.mark.attack("A-16", "CVE-2025-52565")
@pytest.mark.parametrize("lay", MULTIPLEXERS)
def test_a_terminal_does_not_come_from_a_ptmx_that_is(box, console, lay):
    """/dev/pts is a volume in which every terminal is a link to a parameter of the kernel."""
    pts = box.path("pts")
    pts.mkdir()
    MULTIPLEXERS[lay](pts / "ptmx")
    for number in range(64):
        (pts / str(number)).symlink_to(PARAMETER)
    entries = box.config["mounts"]
    entries[:] = [m for m in entries if m["destination"] != "/dev/pts"]
    box.bundle.mount("/dev/pts", "bind", pts, ["bind"])
    found = terminal_of(box, console)
    fired_if(found not in (None, "character special file 88"), f"/dev/console is a {found}")


def link_to_another(box, pts):
    """To one of a devpts that is mounted elsewhere in the container."""
    os.symlink("/real/ptmx", pts / "ptmx")
    devpts = {"type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}
    box.config["mounts"].append({"destination": "/real", **devpts})


def bind_of_the_hosts(box, pts):
    (pts / "ptmx").touch()
    box.bundle.mount("/dev/pts/ptmx", "bind", "/dev/pts/ptmx", ["bind"])


ANOTHER = {"a link": link_to_another, "a bind": bind_of_the_hosts}


@pytest.mark.attack("A-16", "CVE-2025-52565")
@pytest.mark.parametrize("another", ANOTHER)
def test_the_terminal_of_a_container_is_not_a_link_that_was_made_before_it(box, console, another):
    """The multiplexer is a devpts's, and the place of its terminals is not."""
    pts = box.path("pts")
    pts.mkdir()
    for number in range(64):
        (pts / str(number)).symlink_to(PARAMETER)
    entries = box.config["mounts"]
    entries[:] = [m for m in entries if m["destination"] != "/dev/pts"]
    box.bundle.mount("/dev/pts", "bind", pts, ["bind"])
    ANOTHER[another](box, pts)
    found = terminal_of(box, console)
    fired_if(found not in (None, "character special file 88"), f"/dev/console is a {found}")


def console_link(place, canary):
    place.symlink_to(canary.path / "new")


def console_link_upwards(place, canary):
    place.symlink_to(f"../../../canary/new-{place.name}")


def console_fifo(place, canary):
    os.mkfifo(place)


CONSOLES = {
    "a link out": console_link,
    "a link upwards": console_link_upwards,
    "a FIFO": console_fifo,
}


@pytest.mark.attack("A-26", "CVE-2026-88264")
@pytest.mark.parametrize("lay", CONSOLES)
def test_no_console_is_made_out_of_the_container_by_one_that_is(own_dev, console, canary, lay):
    own_dev.bundle.mount("/dev/pts", "devpts", "devpts", ["newinstance", "ptmxmode=0666"])
    CONSOLES[lay](own_dev.rootfs / "dev/console", canary)
    found = terminal_of(own_dev, console)
    assert canary.unchanged
    fired_if(found not in (None, "character special file 88"), f"/dev/console is a {found}")
