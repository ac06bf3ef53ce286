"""Devices: the default ones, those of the config, and a rootfs that lays traps for their makers."""

import os
import stat

import pytest

from harness import Canary, ConsoleSocket, contained, events, must_end, opening, run_calls

pytestmark = pytest.mark.row("linux.devices")

NODES = {
    "null": "666 1:3",
    "zero": "666 1:5",
    "full": "666 1:7",
    "random": "666 1:8",
    "urandom": "666 1:9",
    "tty": "666 5:0",
}
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def describe(path):
    """A stat command whose output `about` reads."""
    return f"stat -c '%F %a %t:%T %u:%g' {path}"


def node(path, kind="c", major=1, minor=3, **more):
    return {"path": path, "type": kind, "major": major, "minor": minor, **more}


def without_dev(box):
    """Takes /dev and what is below out of the mounts: /dev is the rootfs's own."""
    mounts = box.config["mounts"]
    box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]


def output(box, script):
    box.sh(script)
    return box.run().check().out


def test_the_default_devices_are_there_with_their_modes_and_numbers(box):
    names = " ".join(f"/dev/{name}" for name in NODES)
    out = output(box, f"stat -c '%n %F %a %t:%T %u:%g' {names}")
    wanted = [f"/dev/{name} character special file {about} 0:0" for name, about in NODES.items()]
    assert out.splitlines() == wanted


def test_the_default_links_point_where_programs_expect(box):
    names = " ".join(f"/dev/{name}" for name in LINKS)
    out = output(box, f"for n in {names}; do readlink $n; done")
    assert out.split() == list(LINKS.values())


def test_the_umask_of_the_caller_does_not_change_the_modes_of_devices(box):
    box.set("linux.devices", [node("/dev/own", fileMode=0o622)])
    box.sh(describe("/dev/null /dev/own"))
    out = box.run(umask=0o077).check().out
    assert [line.split()[3] for line in out.splitlines()] == ["666", "622"]


def test_the_default_devices_do_what_they_are_for(box):
    script = (
        "head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null;"
        " (echo x > /dev/full) 2>&1; echo in | cat /dev/stdin"
    )
    out = output(box, script)
    assert out.split("\n")[:2] == ["4", "4"]
    assert "No space left" in out and out.endswith("in\n")


def test_a_terminal_can_be_opened_by_the_ptmx_of_the_container(box):
    assert run_calls(box, opening("/dev/ptmx", os.O_RDWR)) == ["ok"]
    assert output(box, "stat -L -c %t:%T /dev/ptmx; ls /dev/pts") == "5:2\nptmx\n"


def test_there_is_no_console_without_a_terminal(box):
    assert output(box, "test -e /dev/console || echo none") == "none\n"


def test_the_console_of_a_terminal_is_one(box):
    box.set("process.terminal", True)
    box.sh("stat -c '%F %t' /dev/console")
    console = ConsoleSocket(box.path("console"))
    try:
        box.run("--detach", "--console-socket", console.path).check()
        assert "character special file 88" in events.read_until(console.receive(), "\n")
    finally:
        console.close()


EXTRA = {
    "a character device": (node("/dev/x", "c", 10, 229, fileMode=0o640), "character 640 a:e5 0:0"),
    "an unbuffered one": (node("/dev/x", "u", 1, 5, fileMode=0o600), "character 600 1:5 0:0"),
    "a block device": (
        node("/dev/x", "b", 7, 3, fileMode=0o660, uid=5, gid=6),
        "block 660 7:3 5:6",
    ),
    "a deep path": (node("/dev/deep/er/x", "c", 1, 3, fileMode=0o444), "character 444 1:3 0:0"),
    "outside of /dev": (node("/etc/x", "c", 1, 3, fileMode=0o666), "character 666 1:3 0:0"),
    "high numbers": (
        node("/dev/x", "c", 300, 70000, fileMode=0o600),
        "character 600 12c:11170 0:0",
    ),
}


@pytest.mark.parametrize("name", EXTRA)
def test_a_device_of_the_config_is_made_as_it_says(box, name):
    device, wanted = EXTRA[name]
    box.set("linux.devices", [device])
    out = output(box, describe(device["path"])).replace(" special file", "")
    assert out.strip() == wanted


def test_a_fifo_of_the_config_is_made(box):
    box.set("linux.devices", [{"path": "/dev/pipe", "type": "p", "fileMode": 0o620, "uid": 7}])
    assert output(box, describe("/dev/pipe")).strip() == "fifo 620 0:0 7:0"


def test_a_device_without_a_mode_or_an_owner_is_roots(box):
    box.set("linux.devices", [node("/dev/x")])
    kind, _, _, mode, numbers, owner = output(box, describe("/dev/x")).split()
    assert (kind, numbers, owner) == ("character", "1:3", "0:0")
    assert int(mode, 8) & 0o7000 == 0


@pytest.mark.peer(runc="1.1 has no rule for a default device that the config has too")
def test_a_default_device_can_be_given_another_mode_by_the_config(box):
    box.set("linux.devices", [node("/dev/null", fileMode=0o600)])
    mode = output(box, "stat -c '%a %t:%T' /dev/null")
    assert mode in ("600 1:3\n", "666 1:3\n")


def test_a_device_in_a_rootfs_that_matches_is_kept(box):
    without_dev(box)
    os.mknod(box.rootfs / "dev/x", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    box.set("linux.devices", [node("/dev/x")])
    assert "1:3" in output(box, describe("/dev/x"))


@pytest.mark.peer(runc="1.1 keeps whatever is there", crun="1.8 keeps whatever is there")
@pytest.mark.parametrize("there", ["file", "other", "fifo", "directory"])
def test_what_does_not_match_the_device_at_its_path_is_an_error(box, there):
    """config-linux.md: a file that exists there and is not the device MUST generate an error."""
    without_dev(box)
    place = box.rootfs / "dev/x"
    if there == "file":
        place.write_text("")
    elif there == "other":
        os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif there == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    box.set("linux.devices", [node("/dev/x")])
    box.create().fails()


BAD = {
    "an unknown type": node("/dev/x", "z"),
    "no type": {"path": "/dev/x", "major": 1, "minor": 3},
    "no path": {"type": "c", "major": 1, "minor": 3},
}


TAKEN = {
    "an unknown type": {"crun": "1.8 takes it"},
    "no path": {"runc": "1.1 takes it for the directory itself"},
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.peer(**TAKEN.get(n, {}))) for n in BAD]
)
def test_create_refuses_a_device_with(box, name):
    box.set("linux.devices", [BAD[name]])
    box.create().fails()
    assert not box.runtime.ids()


# A-18 and its kin: /dev of the image leads somewhere else.


@pytest.fixture
def canary(box):
    return Canary(box.path("canary"))


def trap(box, canary, name, target):
    place = box.rootfs / name
    if place.is_dir():
        place.rmdir()
    place.symlink_to(target.format(canary=canary.path))


# None leads to a place of the host that is not the canary, for what does not pass this test is led
# there.
TARGETS = ["{canary}", "../../canary", "../canary", "/nowhere", "dev"]


TO_CANARY = TARGETS[:2]
A_18 = pytest.mark.attack("A-18", "CVE-2026-41579", "CVE-2026-47766")
LED_ASTRAY = {  # by whether something is mounted on /dev
    True: {"runc": "1.1 makes its links in whatever directory /dev leads to (CVE-2026-41579)"},
    False: {
        "runc": "1.1 makes its links in whatever directory /dev leads to (CVE-2026-41579)",
        "crun": "1.8 makes everything there (CVE-2026-47766)",
    },
}


@pytest.mark.parametrize(
    ("target", "mounted"),
    [
        pytest.param(t, m, marks=[pytest.mark.peer(**LED_ASTRAY[m]), A_18])
        if t in TO_CANARY
        else (t, m)
        for t in TARGETS
        for m in (True, False)
    ],
)
def test_a_dev_that_is_a_symbolic_link_populates_nothing_outside(box, canary, target, mounted):
    if not mounted:
        without_dev(box)
    trap(box, canary, "dev", target)
    box.set("linux.devices", [node("/dev/extra")])
    box.args("/bin/true")
    contained(box.run(timeout=10), lambda: canary.unchanged)
    assert canary.unchanged


@A_18
@pytest.mark.parametrize("name", ["dev/pts", "dev/shm", "dev/mqueue"])
def test_a_mount_below_dev_makes_nothing_behind_a_link_of_the_image(box, canary, name):
    without_dev(box)
    trap(box, canary, name, "../../../canary/new")
    kind = {"dev/pts": "devpts", "dev/mqueue": "mqueue"}.get(name, "tmpfs")
    box.bundle.mount(f"/{name}", kind, kind, [])
    box.args("/bin/true")
    contained(box.run(timeout=10), lambda: canary.unchanged)
    assert canary.unchanged


INSIDE = ["null", "ptmx", "fd", "stdin", "pts", "console", "shm", "tty"]


@pytest.mark.parametrize("name", INSIDE)
def test_a_link_in_the_dev_of_an_image_is_not_followed_out(box, canary, name):
    without_dev(box)
    (box.rootfs / "dev" / name).symlink_to(canary.path / ("file" if name != "ptmx" else "ptmx"))
    box.args("/bin/true")
    box.run(timeout=10)
    assert canary.unchanged


IN_PLACE = [(n, k) for n in ("null", "console", "ptmx") for k in ("fifo", "file", "directory")]
# CVE-2026-88265's kin: their device number of zero is that of a pipe.
TAKEN_FOR_NULL = [("null", "fifo"), ("null", "file")]
A_27 = pytest.mark.attack("A-27", "CVE-2026-88265")
LOSES = pytest.mark.peer(
    runc="1.1 puts it in place of streams that are pipes", crun="1.8 puts it in their place"
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*w, marks=[LOSES, A_27]) if w in TAKEN_FOR_NULL else w for w in IN_PLACE],
)
def test_what_is_in_place_of_a_device_in_an_image_does_not_hang_the_runtime(box, name, kind):
    without_dev(box)
    place = box.rootfs / "dev" / name
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "file":
        place.write_text("text of the image")
    else:
        place.mkdir()
    box.sh("echo out; echo err >&2")
    result = must_end(lambda: box.run(timeout=10))
    contained(result, lambda: (result.out, result.err) == ("out\n", "err\n"))


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_the_console_of_an_image_is_covered_or_the_run_refused_where_it_is_a(box, kind):
    without_dev(box)
    box.bundle.mount("/dev/pts", "devpts", "devpts", ["newinstance", "ptmxmode=0666"])
    place = box.rootfs / "dev/console"
    if kind == "file":
        place.write_text("text of the image")
    else:
        place.mkdir()
    box.set("process.terminal", True)
    box.sh("stat -c %F /dev/console > /found")
    listener = ConsoleSocket(box.path("socket"))
    result = box.create("--console-socket", listener.path)
    if result.code == 0:
        pid = box.pid
        box.start().check()
        box.wait(pid)
        assert (box.rootfs / "found").read_text() == "character special file\n"
    else:
        assert kind == "directory" and result.err.strip()
    listener.close()


@A_27
def test_the_output_of_a_container_does_not_go_to_a_null_of_the_image(box, canary):
    """A-27: a /dev/null that is a file, and streams that are pipes."""
    without_dev(box)
    (box.rootfs / "dev/null").symlink_to(canary.path / "file")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.sh("echo to the caller")
    reader, writer = os.pipe()
    call = box.popen_run(stdout=writer)
    os.close(writer)
    result = call.wait()
    text = os.read(reader, 100)
    os.close(reader)
    assert canary.unchanged
    contained(result, lambda: text == b"to the caller\n")


@pytest.mark.attack("A-20", "CVE-2019-18837")
def test_a_device_path_with_dots_is_contained(box, canary):
    box.set("linux.devices", [node(f"/dev/../../../../../..{canary.path}/device")])
    box.args("/bin/true")
    box.run()
    assert canary.unchanged


@pytest.mark.attack("A-20", "CVE-2019-18837")
def test_a_device_below_a_link_of_the_image_is_contained(box, canary):
    (box.rootfs / "link").symlink_to(canary.path)
    box.set("linux.devices", [node("/link/device")])
    box.args("/bin/true")
    box.run()
    assert canary.unchanged
