"""An image that was made for the runtime that unpacks nothing of it and walks through all of it."""

import io
import os
import stat
import tarfile

import pytest

from harness import contained, fired_if, must_end, must_refuse
from harness.watch import IN_CREATE, IN_MOVED_TO, IN_OPEN, Watch


@pytest.fixture
def watch():
    made = Watch()
    yield made
    made.close()


@pytest.mark.attack("A-01", "CVE-2015-3627", "CVE-2015-3629")
def test_a_directory_that_has_become_a_link_since_the_last_run_is_not_followed(box, canary):
    box.args("/bin/true")
    box.run().check()
    os.rename(box.rootfs / "etc", box.rootfs / "was-etc")
    (box.rootfs / "etc").symlink_to(canary.path)
    box.bundle.mount("/etc/x", "tmpfs", "tmpfs", ["size=64k"])
    contained(box.run(), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.attack("A-14", "CVE-2024-45310")
@pytest.mark.parametrize("target", ["{canary}", "../../../canary", "{canary}/directory"])
def test_a_place_for_a_file_is_not_made_behind_a_link(box, canary, target):
    box.path("file").write_text("bound")
    (box.rootfs / "var/link").symlink_to(target.format(canary=canary.path))
    box.bundle.mount("/var/link/a/b/file", "bind", box.path("file"), ["bind"])
    box.args("/bin/true")
    contained(box.run(), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.attack("A-23", "CVE-2025-24965")
@pytest.mark.parametrize("name", ["etc/hostname", "dev"])
def test_what_a_runtime_writes_into_an_image_does_not_go_through_links(own_dev, canary, name):
    place = own_dev.rootfs / name
    if place.is_dir():
        place.rmdir()
    place.symlink_to(canary.path / "passwd" if name == "etc/hostname" else canary.path)
    own_dev.args("/bin/true")
    contained(own_dev.run(), lambda: canary.unchanged)
    assert canary.unchanged


def make_much(box):
    """Gives a box all that a runtime makes something for in an image."""
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/dev"]
    for name in ("proc", "sys"):
        (box.rootfs / name).rmdir()
    source = box.path("source")
    source.touch()
    box.bundle.mount("/of/a/directory", "tmpfs", "tmpfs", ["size=64k"])
    box.bundle.mount("/of/a/file", "bind", source, ["bind"])
    box.set("linux.devices", [{"path": "/dev/of/a/device", "type": "c", "major": 1, "minor": 3}])
    box.set("linux.maskedPaths", ["/proc/timer_list"])
    box.set("process.cwd", "/of/a/way")
    box.args("/bin/true")


def names_in(directory):
    """The paths of all that is below a directory, from there."""
    found = set()
    for path, names, files in os.walk(directory):
        found |= {os.path.relpath(f"{path}/{name}", directory) for name in (*names, *files)}
    return found


def names_made(box, watch):
    """The paths of all that the runtime makes in the image, what it takes away again included."""
    before = names_in(box.rootfs)
    for path, _, _ in os.walk(box.rootfs):
        watch.add(path, IN_CREATE | IN_MOVED_TO)
    box.run().check()
    made = {os.path.relpath(path, box.rootfs) for path in watch.seen()}
    return sorted((made | names_in(box.rootfs)) - before)


def plant_link(place, canary):
    place.symlink_to(canary.path / "new")


def plant_link_to_file(place, canary):
    place.symlink_to(canary.path / "file")


def plant_fifo(place, canary):
    os.mkfifo(place)


def plant_device(place, canary):
    os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 7))


PLANTED = {
    "a link to nothing": plant_link,
    "a link to a file": plant_link_to_file,
    "a FIFO": plant_fifo,
    "a device": plant_device,
}


@pytest.mark.attack("A-23", "CVE-2025-24965")
@pytest.mark.parametrize("planted", PLANTED)
def test_whatever_a_runtime_makes_in_an_image_is_not_taken_for_what_is_in_its_place(
    box, canary, watch, planted
):
    make_much(box)
    names = names_made(box, watch)
    assert names
    for number, name in enumerate(names):
        other = box.sibling(f"-{number}")
        make_much(other)
        place = other.rootfs / name
        place.parent.mkdir(parents=True, exist_ok=True)
        PLANTED[planted](place, canary)
        if planted == "a device":
            watch.add(place, IN_OPEN)
        contained(must_end(lambda: other.run(timeout=5)), lambda: canary.unchanged)  # noqa: B023
        assert canary.unchanged
        opened = watch.seen()
        fired_if(opened, f"opened: {opened}")


@pytest.mark.attack("A-36", "CVE-2019-12439", "CVE-2020-5291")
def test_nothing_is_made_in_a_place_for_temporary_files(box, watch):
    places = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/", box.bundle.path]
    box.args("/bin/true")
    box.bundle.save()
    for place in places:
        if os.path.isdir(place):
            watch.add(place, IN_CREATE | IN_MOVED_TO)
    box.run().check()
    made = [path for path in watch.seen() if "tconf" not in path]
    fired_if(made, f"made: {made}")


@pytest.mark.attack("A-38", "CVE-2026-55686", "CVE-2024-9407")
@pytest.mark.parametrize("target", ["{canary}", "../../canary", "{canary}/directory"])
@pytest.mark.parametrize("user", [0, 1000])
def test_a_working_directory_is_not_made_behind_a_link(box, canary, target, user):
    (box.rootfs / "w").symlink_to(target.format(canary=canary.path))
    box.set("process.cwd", "/w/x/y")
    box.set("process.user", {"uid": user, "gid": user})
    box.args("/bin/true")
    contained(box.run(), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.attack("A-43", "CVE-2020-2023", "CVE-2020-2026", "CVE-2026-24054")
def test_a_root_filesystem_that_is_a_link_is_not_followed(box, canary):
    os.rename(box.rootfs, box.path("was-rootfs"))
    box.rootfs.symlink_to(canary.path)
    must_refuse(box.run(), "a root filesystem that is a link")
    assert canary.unchanged


@pytest.mark.attack("A-43", "CVE-2020-2023", "CVE-2026-24054")
def test_a_root_filesystem_that_is_a_file_is_not_taken_for_an_image_of_one(box, canary):
    os.rename(box.rootfs, box.path("was-rootfs"))
    with tarfile.open(box.rootfs, "w") as archive:
        archive.addfile(tarfile.TarInfo(str(canary.path / "new")), io.BytesIO())
    must_refuse(box.run(), "a root filesystem that is a file")
    assert canary.unchanged


LIBRARIES = [
    "etc/nsswitch.conf",
    "etc/ld.so.preload",
    "etc/ld.so.cache",
    "etc/localtime",
    "lib/x86_64-linux-gnu/libnss_files.so.2",
    "lib/libnss_files.so.2",
    "usr/lib/locale/locale-archive",
    "usr/share/locale/locale.alias",
    "usr/lib/x86_64-linux-gnu/gconv/gconv-modules",
]


@pytest.mark.attack("A-44", "CVE-2019-14271")
@pytest.mark.parametrize("user", [0, 1000, 4242])
def test_no_library_and_no_table_of_the_image_is_opened(box, watch, user):
    for name in LIBRARIES:
        place = box.rootfs / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("of the attacker\n")
        watch.add(place, IN_OPEN)
    box.set("process.user", {"uid": user, "gid": user})
    box.args("/act", "getpid")
    box.run().check()
    opened = watch.seen()
    fired_if(opened, f"opened: {opened}")
