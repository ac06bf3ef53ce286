"""The words of mounts: crun's own, all that `features` tells of, tmpcopyup, and ones that clash."""

import json
import os
import stat

import pytest

from harness import host, sandbox

pytestmark = pytest.mark.row("mounts.options")

MS_NOSUID = 2


# Words to what is among the options of the super block, and what is not.
OF_CRUN = {
    "rsync": ({"sync"}, set()),
    "rsync+rasync": (set(), {"sync"}),
    "sync+rasync": (set(), {"sync"}),
    "rdirsync": ({"dirsync"}, set()),
    "rmand": (set(), set()),
    "rnomand": (set(), set()),
}


@pytest.mark.peer(runc="1.1 takes them for data", crun="1.8 takes them for flags of the mount")
def test_words_of_crun_for_the_super_block_are_set_on_it(box):
    for name in OF_CRUN:
        box.bundle.mount(f"/m/{name}", "tmpfs", "tmpfs", name.split("+"))
    facts = box.facts()
    for name, (there, absent) in OF_CRUN.items():
        found = facts.mounts_at(f"/m/{name}")[-1].super_options
        assert there <= found and not absent & found, name


@pytest.mark.peer(crun="1.8 takes them for flags of the mount")
def test_on_a_bind_they_leave_the_flags_of_its_source(box):
    source = box.path("source")
    source.mkdir()
    sandbox.mount("source", source, "tmpfs", MS_NOSUID, "size=1m")
    for name in ("rsync", "rasync", "rdirsync", "rmand", "rnomand"):
        box.bundle.mount(f"/m/{name}", "bind", source, ["bind", name])
    facts = box.facts()
    host.unmount_below(source)
    for name in ("rsync", "rasync", "rdirsync", "rmand", "rnomand"):
        assert "nosuid" in facts.mounts_at(f"/m/{name}")[-1].options, name


SPECIAL = {
    "idmap": ["bind", "idmap=uids=0-9-1;gids=0-9-1"],
    "ridmap": ["rbind", "ridmap=uids=0-9-1;gids=0-9-1"],
    "remount": ["remount", "rw"],
    "copy-symlink": ["bind", "copy-symlink"],
    "src-nofollow": ["bind", "src-nofollow"],
    "dest-nofollow": ["bind", "dest-nofollow"],
}


@pytest.mark.tare("its features are its own")
def test_every_option_that_features_tells_of_is_taken(box):
    told = json.loads(box.runtime.call("features").check().out)["mountOptions"]
    assert len(told) > 60 and set(SPECIAL) < set(told)
    source = box.path("source")
    source.mkdir()
    for word in told:
        options = SPECIAL.get(word, [word])
        kind = None if {"bind", "rbind"} & set(options) else "tmpfs"
        if word == "remount":  # of what is there
            box.bundle.mount(f"/m/{word}", "tmpfs", "tmpfs", [])
        box.bundle.mount(f"/m/{word}", kind, source if kind is None else "tmpfs", options)
    facts = box.facts()
    for word in told:
        assert facts.mounts_at(f"/m/{word}"), word


PROPAGATION = {
    "shared": {"shared"},
    "rshared": {"shared"},
    "private": set(),
    "rprivate": set(),
    "slave": set(),  # of nobody
    "rslave": set(),
    "unbindable": {"unbindable"},
    "runbindable": {"unbindable"},
    "shared+slave+shared": {"shared"},
}


@pytest.mark.row("mounts.propagation")
@pytest.mark.peer(crun="1.8 takes one word only")
def test_a_new_mount_has_the_propagation_of_its_words(box):
    for words in PROPAGATION:
        box.bundle.mount(f"/m/{words}", "tmpfs", "tmpfs", words.split("+"))
    facts = box.facts()
    for words, expected in PROPAGATION.items():
        found = {word.split(":")[0] for word in facts.mounts_at(f"/m/{words}")[-1].propagation}
        assert found == expected, words


def test_words_of_proc_go_to_it(box):
    box.config["mounts"][0]["options"] = ["nosuid", "hidepid=invisible", "subset=pid"]
    mount = box.facts().mounts_at("/proc")[-1]
    assert {"hidepid=invisible", "subset=pid"} <= mount.super_options


@pytest.mark.peer(runc="1.1 leaves it writable", crun="1.8 has no place for /dev/pts then")
def test_a_dev_that_is_read_only_with_all_below_has_its_devices(box):
    box.config["mounts"][1]["options"].append("rro")
    box.sh("echo x > /dev/null && ! touch /dev/new 2>/dev/null && echo well")
    assert box.run().check().out == "well\n"


# tmpcopyup


@pytest.fixture
def full(box):
    """A directory of the rootfs with one of everything."""
    place = box.rootfs / "full"
    place.mkdir()
    (place / "set-id").write_text("x")
    os.chown(place / "set-id", 3, 4)
    (place / "set-id").chmod(0o6751)
    (place / "sticky").mkdir()
    os.chown(place / "sticky", 5, 6)
    (place / "sticky").chmod(0o1777)
    (place / "sticky/within").write_text("y")
    os.mkfifo(place / "fifo")
    os.mknod(place / "node", stat.S_IFCHR | 0o640, os.makedev(1, 3))
    (place / "absolute").symlink_to("/etc/passwd")
    (place / "dangling").symlink_to("../nowhere")
    os.lchown(place / "dangling", 7, 8)
    os.chown(place, 9, 10)
    place.chmod(0o2755)
    return place


COPIES = {
    "/full": "2755 9:10 directory",
    "/full/set-id": "6751 3:4 regular file",
    "/full/sticky": "1777 5:6 directory",
    "/full/fifo": "644 0:0 fifo",
    "/full/node": "640 0:0 character special file",
    "/full/absolute": "777 0:0 symbolic link",
    "/full/dangling": "777 7:8 symbolic link",
}


@pytest.mark.row("mounts.tmpcopyup")
@pytest.mark.peer(runc="1.1 cannot copy a fifo", crun="1.8 loses owners and modes")
def test_a_copy_has_every_owner_and_mode_of_what_it_covers(box, full):
    box.bundle.mount("/full", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
    box.sh(
        f"stat -c '%a %u:%g %F' {' '.join(COPIES)}; for l in absolute dangling; do readlink /full/$l; done"
    )
    lines = box.run().check().out.splitlines()
    found = [line.replace("regular empty file", "regular file") for line in lines]
    assert dict(zip(COPIES, found)) == COPIES
    assert found[len(COPIES) :] == ["/etc/passwd", "../nowhere"]


@pytest.mark.row("mounts.tmpcopyup")
@pytest.mark.peer(runc="1.1 cannot copy a fifo")
def test_a_copy_may_be_read_only_in_the_end(box, full):
    box.bundle.mount("/full", "tmpfs", "tmpfs", ["tmpcopyup", "ro", "size=1m"])
    box.sh("cat /full/sticky/within; touch /full/new 2>/dev/null || echo refused")
    assert box.run().check().out == "yrefused\n"


@pytest.mark.row("mounts.tmpcopyup")
def test_a_copy_of_what_is_missing_is_empty(box):
    box.bundle.mount("/none/such", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m"])
    box.sh("ls -A /none/such | wc -l")
    assert box.run().check().out == "0\n"


@pytest.mark.row("mounts.tmpcopyup")
def test_a_copy_that_does_not_fit_is_an_error(box):
    (box.rootfs / "large").mkdir()
    (box.rootfs / "large/file").write_bytes(b"x" * 100_000)
    box.bundle.mount("/large", "tmpfs", "tmpfs", ["tmpcopyup", "size=8k"])
    assert "o space left" in box.create().fails().said


# What cannot be.

CLASHES = {
    "tmpcopyup of a bind": ("bind", ["bind", "tmpcopyup"], "tmpcopyup is for tmpfs only"),
    "tmpcopyup of proc": ("proc", ["tmpcopyup"], "tmpcopyup is for tmpfs only"),
    "tmpcopyup of a remount": ("tmpfs", ["remount", "tmpcopyup"], "tmpcopyup is for tmpfs only"),
    "data of a bind": ("bind", ["bind", "size=1m"], "cannot have any filesystem-specific options"),
    "a word of capitals": ("tmpfs", ["RO"], "RO"),
    "a word with a blank": ("tmpfs", [" ro"], " ro"),
    "a value for nothing": ("tmpfs", ["nonesuch=1"], "nonesuch"),
}


@pytest.mark.tare("other runtimes go on, or have other words")
@pytest.mark.parametrize("name", CLASHES)
def test_create_refuses(box, name):
    kind, words, said = CLASHES[name]
    source = box.path("source")
    source.mkdir()
    box.bundle.mount("/m", kind, source if "bind" in words else kind, words)
    assert said in box.create().fails().said
    assert not box.runtime.ids() and not (box.rootfs / "m").exists()
