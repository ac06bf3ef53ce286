"""linux.maskedPaths and linux.readonlyPaths, with a /dev of an image that wants to undo them."""

import os
import stat

import pytest

from harness import Canary, contained, must_end, opening, run_calls


@pytest.fixture
def own_dev(box):
    """A box whose /dev is the rootfs's own, as images with a hostile one would have it."""
    mounts = box.config["mounts"]
    box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]
    return box


@pytest.fixture
def secrets(box):
    """A file and a directory in the rootfs to be masked."""
    (box.rootfs / "secret").write_text("the secret\n")
    (box.rootfs / "secrets").mkdir()
    (box.rootfs / "secrets/one").write_text("another\n")
    return box


def output(box, script):
    box.sh(script)
    return box.run().check().out


@pytest.mark.row("linux.maskedPaths")
def test_a_masked_file_is_empty_and_swallows_what_is_written(secrets):
    secrets.set("linux.maskedPaths", ["/secret", "/proc/timer_list"])
    out = output(
        secrets,
        "wc -c < /secret; wc -c < /proc/timer_list; echo x > /secret; wc -c < /secret;"
        " stat -c '%F %t:%T' /secret",
    )
    assert out.splitlines() == ["0", "0", "0", "character special file 1:3"]
    assert (secrets.rootfs / "secret").read_text() == "the secret\n"


@pytest.mark.row("linux.readonlyPaths", "linux.maskedPaths")
def test_a_masked_directory_is_empty_and_read_only(secrets):
    secrets.set("linux.maskedPaths", ["/secrets", "/sys/firmware"])
    out = output(
        secrets,
        "ls -A /secrets /sys/firmware; (touch /secrets/x || mkdir /secrets/y) 2>&1;"
        " stat -c %a /secrets",
    )
    assert "one" not in out and out.count("Read-only file system") == 2


@pytest.mark.row("linux.maskedPaths")
def test_a_masked_directory_has_room_for_nothing(secrets):
    """A-48: the file system of a mask is shared by all or tiny, for there may be many."""
    secrets.set("linux.maskedPaths", ["/secrets"])
    blocks = int(output(secrets, "df -k /secrets | tail -n 1 | awk '{print $2}'"))
    assert blocks <= 4 or "ro" in secrets.facts().mounts_at("/secrets")[0].options


@pytest.mark.row("linux.readonlyPaths")
def test_read_only_paths_are_read_only_and_their_content_is_there(secrets):
    secrets.set("linux.readonlyPaths", ["/secret", "/secrets", "/proc/sys"])
    out = output(
        secrets,
        "cat /secret /secrets/one; (echo x > /secret; touch /secrets/x;"
        " echo x > /proc/sys/kernel/domainname) 2>&1; true",
    )
    assert out.startswith("the secret\nanother\n")
    assert out.count("Read-only file system") == 3


@pytest.mark.row("linux.readonlyPaths")
@pytest.mark.peer(crun="1.8 loses the flags of the file system that it binds")
def test_a_read_only_path_keeps_the_other_flags_of_its_mount(box):
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["nosuid", "nodev", "noexec"])
    (box.rootfs / "m").mkdir()
    box.set("linux.readonlyPaths", ["/m"])
    options = box.facts().mounts_at("/m")[-1].options
    assert {"ro", "nosuid", "nodev", "noexec"} <= options


@pytest.mark.row("linux.readonlyPaths")
def test_a_read_only_path_is_so_with_the_mounts_below_it(box):
    box.bundle.mount("/m/below", "tmpfs", "tmpfs", [])
    box.set("linux.readonlyPaths", ["/m"])
    out = output(box, "touch /m/x 2>&1; test -d /m/below && echo there")
    assert "Read-only file system" in out and "there" in out


@pytest.mark.parametrize("which", ["maskedPaths", "readonlyPaths"])
def test_a_path_that_is_not_there_is_skipped(secrets, which):
    paths = ["/nonexistent", "/proc/nonexistent/deeper", "/secrets/none/deep", "/secret"]
    secrets.set(f"linux.{which}", paths)
    out = output(
        secrets, "(echo x > /secret) 2>&1; wc -c < /secret; test -e /nonexistent || echo none"
    )
    assert ("0\n" in out) if which == "maskedPaths" else ("Read-only" in out)
    assert out.endswith("none\n")
    assert not (secrets.rootfs / "nonexistent").exists()


@pytest.mark.row("linux.maskedPaths")
def test_a_path_that_is_named_twice_is_masked(secrets):
    secrets.set("linux.maskedPaths", ["/secret", "/secret", "/secrets", "/secrets"])
    assert output(secrets, "cat /secret; ls /secrets") == ""


@pytest.mark.row("linux.maskedPaths")
def test_five_hundred_masks_are_made(box):
    for number in range(250):
        (box.rootfs / f"tmp/f{number}").write_text("x")
        (box.rootfs / f"tmp/d{number}").mkdir()
        (box.rootfs / f"tmp/d{number}/x").write_text("x")
    names = [f"/tmp/{kind}{number}" for number in range(250) for kind in "fd"]
    box.set("linux.maskedPaths", names)
    assert output(box, "cat /tmp/f*; ls -A /tmp/d* | grep -c ^x; true") == "0\n"


@pytest.mark.row("linux.maskedPaths")
def test_masks_hold_for_an_execd_process(secrets):
    secrets.set("linux.maskedPaths", ["/secret"])
    secrets.hold()
    assert secrets.exec("/bin/cat", "/secret").check().out == ""


@pytest.mark.row("linux.maskedPaths")
def test_a_link_that_is_masked_is_masked_where_it_points_within_the_container(secrets):
    canary = Canary(secrets.path("canary"))
    (secrets.rootfs / "link").symlink_to("/secret")
    (secrets.rootfs / "out").symlink_to(canary.path / "file")
    secrets.set("linux.maskedPaths", ["/link", "/out"])
    secrets.sh("cat /secret")
    result = secrets.run()
    assert result.code != 0 or result.out == ""
    assert canary.unchanged


# A-15, CVE-2025-31133: the mask of a file is a /dev/null, and the image's may be anything.


def lay_link(target):
    def lay(place):
        place.symlink_to(target)

    return lay


def lay_file(place):
    place.write_text("a file of the image\n")


def lay_fifo(place):
    os.mkfifo(place)


def lay_other_device(place):
    os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5))


def lay_directory(place):
    place.mkdir()


def lay_nothing(place):
    pass


# The parameter is one of the container's own uts namespace: a mask that fails must hurt nobody.
NULLS = {
    "a link to a kernel parameter": lay_link("/proc/sys/kernel/domainname"),
    "a link to the masked file": lay_link("/secret"),
    "a link to a file that is not there": lay_link("/nowhere"),
    "a link to itself": lay_link("null"),
    "a file": lay_file,
    "a FIFO": lay_fifo,
    "another device": lay_other_device,
    "a directory": lay_directory,
    "nothing": lay_nothing,
}


HOLES = {
    "a link to a kernel parameter": {"runc": "1.1 binds what is there (CVE-2025-31133)"},
    "a link to the masked file": {"runc": "1.1 binds what is there (CVE-2025-31133)"},
    "a file": {"runc": "1.1 binds what is there (CVE-2025-31133)"},
    "another device": {"runc": "1.1 binds what is there (CVE-2025-31133)"},
    "a FIFO": {"runc": "1.1 waits for a writer"},
}


A_15 = pytest.mark.attack("A-15", "CVE-2025-31133", "CVE-2025-62161")


def volume(box, read_only):
    """/dev is a volume that another container has as well."""
    place = box.path("dev")
    place.mkdir()
    box.bundle.mount("/dev", "bind", place, ["bind", *read_only])
    return place


# What /dev is: the image's own, or a volume of others, which may be one that is not to be written to.
DEVS = {
    "the image": lambda box: box.rootfs / "dev",
    "a volume": lambda box: volume(box, []),
    "a read-only volume": lambda box: volume(box, ["ro"]),
}


def marks_of(null, dev):
    """A /dev/null that is missing is made by every runtime, where it can make one."""
    made = null == "nothing" and dev != "a read-only volume"
    return [pytest.mark.peer(**HOLES.get(null, {})), *([] if made else [A_15])]


NULL_OF_DEV = [pytest.param(n, d, marks=marks_of(n, d)) for n in NULLS for d in DEVS]


@pytest.mark.row("linux.maskedPaths")
@pytest.mark.parametrize(("null", "dev"), NULL_OF_DEV)
def test_a_file_is_masked_or_create_fails_when_dev_null_is(own_dev, secrets, null, dev):
    NULLS[null](DEVS[dev](own_dev) / "null")
    own_dev.set("linux.maskedPaths", ["/secret", "/proc/timer_list", "/secrets"])
    names = ("/secret", "/proc/timer_list")
    script = "; ".join(f"stat -c '%F %t:%T' {name}; head -c 100 {name} | wc -c" for name in names)
    # Not to standard output, which a runtime may have lost to the same /dev/null.
    own_dev.sh(f"({script}; ls -A /secrets; cat /proc/sys/kernel/domainname) > /found 2>&1")

    def masked():
        found = (own_dev.rootfs / "found").read_text().splitlines()
        return found == ["character special file 1:3", "0"] * 2 + ["(none)"]

    contained(must_end(lambda: own_dev.run(timeout=5)), masked)


@pytest.mark.row("linux.maskedPaths")
@pytest.mark.parametrize("name", ["secrets", "secret"])
def test_the_masks_of_an_image_are_not_led_out_of_it_by_links(own_dev, secrets, name):
    canary = Canary(own_dev.path("canary"))
    (own_dev.rootfs / "dev/null").symlink_to(canary.path / "null")
    own_dev.set("linux.maskedPaths", [f"/{name}"])
    own_dev.args("/bin/true")
    own_dev.run(timeout=10)
    assert canary.unchanged


BAD = {"relative": "secret", "with a parent": "/tmp/../../secret", "empty": ""}


@pytest.mark.parametrize("which", ["maskedPaths", "readonlyPaths"])
@pytest.mark.parametrize("name", BAD)
def test_an_odd_path_is_refused_or_contained(secrets, which, name):
    canary = Canary(secrets.path("canary"))
    secrets.set(f"linux.{which}", [BAD[name]])
    secrets.args("/bin/true")
    result = secrets.run(timeout=10)
    assert result.code >= 0
    assert canary.unchanged


@pytest.mark.row("linux.maskedPaths")
def test_nothing_below_a_masked_directory_can_be_reached(secrets):
    secrets.set("linux.maskedPaths", ["/secrets"])
    calls = [opening("/secrets/one"), opening("/secrets/../secrets/one")]
    assert run_calls(secrets, *calls) == ["ENOENT", "ENOENT"]
