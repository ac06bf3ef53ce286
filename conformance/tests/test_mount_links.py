"""Binds and symbolic links: copy-symlink, src-nofollow and dest-nofollow."""

import os
import stat

import pytest

from harness.canary import Canary

NEWER = pytest.mark.peer(runc="takes these words for data", crun="1.8 takes them for data")


@pytest.fixture
def link(box):
    """A link beside the file that it leads to."""
    box.path("file").write_text("in the file")
    place = box.path("link")
    place.symlink_to("file")
    return place


def lines(box, script):
    box.sh(script)
    return box.run().check().out.splitlines()


# copy-symlink


@pytest.mark.row("mounts.copy-symlink")
@NEWER
def test_a_copied_link_is_a_link_to_the_same_text(box, link):
    box.bundle.mount("/new/deep/link", "bind", link, ["bind", "copy-symlink"])
    box.sh("readlink /new/deep/link; grep -c /new/deep /proc/self/mountinfo")
    assert box.run().out.splitlines() == ["file", "0"]
    assert os.readlink(box.rootfs / "new/deep/link") == "file"


@pytest.mark.row("mounts.copy-symlink")
def test_a_source_that_is_no_link_is_bound_as_ever(box, link):
    box.bundle.mount("/file", "bind", box.path("file"), ["bind", "copy-symlink"])
    assert lines(box, "cat /file; echo; grep -c ' /file ' /proc/self/mountinfo") == [
        "in the file",
        "1",
    ]


@pytest.mark.row("mounts.copy-symlink")
@NEWER
def test_a_link_that_leads_nowhere_is_copied_all_the_same(box):
    box.path("dangling").symlink_to("/none/such")
    box.bundle.mount("/copy", "bind", box.path("dangling"), ["rbind", "copy-symlink"])
    assert lines(box, "readlink /copy") == ["/none/such"]


@pytest.mark.row("mounts.copy-symlink")
@NEWER
def test_a_link_of_the_rootfs_is_copied_within_it(box):
    (box.rootfs / "from").symlink_to("/some/where")
    box.bundle.mount("/to", "bind", box.rootfs / "from", ["bind", "copy-symlink"])
    assert lines(box, "readlink /to") == ["/some/where"]


@pytest.mark.row("mounts.copy-symlink")
def test_the_same_link_may_be_there_already(box, link):
    (box.rootfs / "link").symlink_to("file")
    box.bundle.mount("/link", "bind", link, ["bind", "copy-symlink"])
    assert lines(box, "readlink /link") == ["file"]


@pytest.mark.row("mounts.copy-symlink")
@NEWER
@pytest.mark.parametrize("what", ["another link", "a file", "a directory"])
def test_anything_else_in_its_place_is_an_error(box, link, what):
    place = box.rootfs / "there"
    if what == "another link":
        place.symlink_to("other")
    elif what == "a file":
        place.write_text("mine")
    else:
        place.mkdir()
    before = os.lstat(place)
    box.bundle.mount("/there", "bind", link, ["bind", "copy-symlink"])
    said = box.create().fails().said
    assert "/there" in said and "is no symbolic link to" in said
    assert os.lstat(place).st_mode == before.st_mode


@pytest.mark.row("mounts.copy-symlink")
def test_the_directory_of_a_copy_is_looked_up_within_the_root(box, link):
    canary = Canary(box.path("host"))
    (box.rootfs / "out").symlink_to(canary.path)
    box.bundle.mount("/out/link", "bind", link, ["bind", "copy-symlink"])
    box.create()
    assert canary.unchanged


# src-nofollow


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_a_source_that_is_a_link_is_bound_itself(box, link):
    (box.rootfs / "place").write_text("covered")
    (box.rootfs / "file").write_text("in the container")
    box.bundle.mount("/place", "bind", link, ["bind", "src-nofollow"])
    assert lines(box, "readlink /place; cat /place") == ["file", "in the container"]


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_a_target_is_made_for_a_link_that_is_bound(box, link):
    box.bundle.mount("/made", "bind", link, ["bind", "src-nofollow"])
    assert lines(box, "readlink /made") == ["file"]
    assert stat.S_ISREG(os.lstat(box.rootfs / "made").st_mode)


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_a_link_of_the_rootfs_is_bound_itself(box):
    (box.rootfs / "from").symlink_to("/bin/busybox")
    box.bundle.mount("/to", "bind", box.rootfs / "from", ["bind", "src-nofollow"])
    assert lines(box, "readlink /to") == ["/bin/busybox"]


# dest-nofollow


@pytest.fixture
def led(box):
    """A link in the rootfs to a file in it."""
    (box.rootfs / "leads").symlink_to("target")
    (box.rootfs / "target").write_text("the target")
    return box


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_a_destination_that_is_a_link_is_covered_itself(led, link):
    led.bundle.mount("/leads", "bind", led.path("file"), ["bind", "dest-nofollow"])
    assert lines(led, "cat /leads; echo; cat /target; echo; readlink /leads || echo none") == [
        "in the file",
        "the target",
        "none",
    ]


@pytest.mark.row("mounts.nofollow")
def test_without_the_word_what_it_leads_to_is_covered(led, link):
    led.bundle.mount("/leads", "bind", led.path("file"), ["bind"])
    assert lines(led, "readlink /leads; cat /target") == ["target", "in the file"]


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_a_link_may_be_bound_on_a_link(led, link):
    led.bundle.mount("/leads", "bind", link, ["bind", "src-nofollow", "dest-nofollow"])
    assert lines(led, "readlink /leads; readlink /target || echo none") == ["file", "none"]


@pytest.mark.row("mounts.nofollow")
def test_a_destination_that_is_missing_is_made(box, link):
    box.bundle.mount("/made", "bind", box.path("file"), ["bind", "dest-nofollow"])
    assert lines(box, "cat /made") == ["in the file"]


@pytest.mark.row("mounts.nofollow")
@NEWER
def test_links_on_the_way_are_followed_within_the_root(led, link):
    (led.rootfs / "dir").mkdir()
    (led.rootfs / "dir/last").symlink_to("/target")
    (led.rootfs / "way").symlink_to("../../dir")
    led.bundle.mount("/way/last", "bind", led.path("file"), ["bind", "dest-nofollow"])
    assert lines(led, "cat /dir/last; echo; cat /target") == ["in the file", "the target"]


@pytest.mark.row("mounts.nofollow")
@pytest.mark.peer(crun="1.8 words its errors in its own way")
@pytest.mark.parametrize("place", ["/proc/cmdline", "/proc/self/status"])
def test_procfs_cannot_be_covered_by_way_of_a_link(box, link, place):
    leads, name = os.path.split(place)
    (box.rootfs / "way").symlink_to(leads)
    box.bundle.mount(f"/way/{name}", "bind", box.path("file"), ["bind", "dest-nofollow"])
    assert "inside /proc" in box.create().fails().said


# What cannot be.

BAD = {
    "copy-symlink+src-nofollow": "copy-symlink excludes",
    "copy-symlink+dest-nofollow": "copy-symlink excludes",
}


@pytest.mark.row("mounts.copy-symlink")
@NEWER
@pytest.mark.parametrize("words", BAD)
def test_words_that_contradict_each_other_are_refused(box, link, words):
    box.bundle.mount("/m", "bind", link, ["bind", *words.split("+")])
    assert BAD[words] in box.create().fails().said


@pytest.mark.row("mounts.nofollow")
@NEWER
@pytest.mark.parametrize("word", ["copy-symlink", "src-nofollow", "dest-nofollow"])
def test_they_are_for_binds_only(box, word):
    box.bundle.mount("/m", "tmpfs", "tmpfs", [word])
    assert f"{word} is for binds only" in box.create().fails().said
