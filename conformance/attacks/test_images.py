"""An image that was made for the runtime that unpacks nothing of it and walks through all of it."""

import os

import pytest

from harness import contained, fired_if, must_refuse
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
