"""Id-mapped mounts: files of a bind that have other owners in the container than on the host."""

import os

import pytest

from harness import host, sandbox

pytestmark = pytest.mark.row("mounts.idmap")

FIRST, SIZE = 100000, 65536
NOBODY = (65534, 65534)
NONE = "1.1 has no id-mapped mounts"

MS_BIND = 0x1000


def line(container, own, size):
    return {"containerID": container, "hostID": own, "size": size}


def add(box, destination, source, options=("bind",), uids=None, gids=None):
    """A bind with mappings, each a list of (container, host, size)."""
    entry = {"destination": destination, "source": str(source), "options": list(options)}
    for key, lines in (("uidMappings", uids), ("gidMappings", gids)):
        if lines is not None:
            entry[key] = [line(*words) for words in lines]
    box.config["mounts"].append(entry)


def into_user_namespace(box):
    """The container's root is FIRST of the host from now on; also gives what ids are there then."""
    box.bundle.namespace("user")
    box.bundle.namespace("network")  # sysfs is for who owns the network namespace
    for key in ("uidMappings", "gidMappings"):
        box.set(f"linux.{key}", [line(0, FIRST, SIZE)])
    os.chown(box.rootfs, FIRST, FIRST)


@pytest.fixture(params=["no userns", "userns"])
def anywhere(box, request):
    """A box without and one with a user namespace; `seen` gives an id of the host as it looks."""
    if request.param == "userns":
        into_user_namespace(box)
        box.seen = lambda uid, gid: (uid - FIRST, gid - FIRST)
        box.foreign = lambda uid, gid: NOBODY
    else:
        box.seen = lambda uid, gid: (uid, gid)
        box.foreign = box.seen
    return box


@pytest.fixture
def user(box):
    into_user_namespace(box)
    return box


def fill(directory, **owners):
    directory.mkdir(parents=True, exist_ok=True)
    for name, (uid, gid) in owners.items():
        (directory / name).write_text(name)
        os.chown(directory / name, uid, gid)
    return directory


def owners(box, *paths):
    """Runs the container; the owner of each path as it sees it."""
    box.sh(f"stat -c '%u %g' {' '.join(paths)}")
    return [tuple(map(int, row.split())) for row in box.run().check().out.splitlines()]


@pytest.fixture
def source(box):
    return fill(box.path("source"), root=(0, 0), one=(1, 1))


@pytest.fixture
def several(box):
    return fill(box.path("several"), foo=(100, 211), bar=(101, 222), baz=(102, 233))


@pytest.fixture
def tree(box):
    """A directory with another one mounted in it."""
    top = fill(box.path("tree"), foo=(100, 211), bar=(200, 222), baz=(300, 233))
    below = fill(box.path("below"), foo=(100, 211), bar=(101, 222), baz=(102, 233))
    (top / "sub").mkdir()
    sandbox.mount(str(below), top / "sub", None, MS_BIND)
    yield top
    host.unmount_below(top)


MAPPED = {"uids": [(0, FIRST, SIZE)], "gids": [(0, FIRST, SIZE)]}


@pytest.mark.peer(runc=NONE)
def test_files_have_the_owners_of_the_mapping(anywhere, source):
    add(anywhere, "/m", source, **MAPPED)
    expected = [anywhere.seen(FIRST, FIRST), anywhere.seen(FIRST + 1, FIRST + 1)]
    assert owners(anywhere, "/m/root", "/m/one") == expected


@pytest.mark.peer(runc=NONE)
def test_the_same_directory_without_a_mapping_is_as_it_was(anywhere, source):
    add(anywhere, "/m", source, **MAPPED)
    add(anywhere, "/plain", source)
    expected = [anywhere.seen(FIRST, FIRST), anywhere.foreign(0, 0)]
    assert owners(anywhere, "/m/root", "/plain/root") == expected


@pytest.mark.peer(runc=NONE)
def test_what_the_container_writes_has_the_filesystems_owner(user, source):
    add(user, "/m", source, **MAPPED)
    os.chmod(source, 0o755)
    user.sh("echo x > /m/new && stat -c '%u %g' /m/new")
    assert user.run().check().out == "0 0\n"
    about = os.stat(source / "new")
    assert (about.st_uid, about.st_gid) == (0, 0)


@pytest.mark.peer(runc=NONE)
def test_a_user_that_the_mapping_lacks_cannot_write(box, source):
    add(box, "/m", source, **MAPPED)
    os.chmod(source, 0o777)
    box.sh("echo x > /m/new")
    result = box.run()
    assert result.code != 0 and "too large" in result.err
    assert not (source / "new").exists()


@pytest.mark.peer(runc=NONE, crun="1.8 does not follow a source that is a link")
def test_one_directory_may_be_mapped_in_several_ways(anywhere, several):
    link = anywhere.path("link")
    link.symlink_to("several")
    for number, place in enumerate((several, several, link)):
        shift = FIRST + 1000 * number
        add(
            anywhere, f"/m{number}", place, uids=[(100, shift, 100)], gids=[(200, shift + 500, 100)]
        )
    expected = [
        anywhere.seen(FIRST + 1000 * number + uid, FIRST + 1000 * number + 500 + gid)
        for number in range(3)
        for uid, gid in ((0, 11), (1, 22), (2, 33))
    ]
    places = [f"/m{number}/{name}" for number in range(3) for name in ("foo", "bar", "baz")]
    assert owners(anywhere, *places) == expected


@pytest.mark.peer(runc=NONE, crun="1.8 runs out of descriptors")
def test_twenty_mounts_with_one_mapping_leave_no_descriptor_and_fit_a_low_limit(user, source):
    for number in range(20):
        add(user, f"/m{number}", source, **MAPPED)
    user.set("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 20, "hard": 20}])
    user.sh("stat -c '%u %g' /m19/one; ls /proc/self/fd | wc -l")
    assert user.run().check().out.splitlines() == ["1 1", "4"]


SPLIT = {
    "uids": [(100, FIRST + 1000, 1), (101, FIRST + 2000, 1), (102, FIRST + 3000, 1)],
    "gids": [(210, FIRST + 1100, 10), (220, FIRST + 2200, 10), (230, FIRST + 3300, 10)],
}


@pytest.mark.peer(runc=NONE)
def test_a_mapping_of_many_pieces_maps_each(anywhere, several):
    add(anywhere, "/m", several, **SPLIT)
    assert owners(anywhere, "/m/foo", "/m/bar", "/m/baz") == [
        anywhere.seen(FIRST + 1000, FIRST + 1101),
        anywhere.seen(FIRST + 2000, FIRST + 2202),
        anywhere.seen(FIRST + 3000, FIRST + 3303),
    ]


OF_A_TREE = {
    "uids": [(100, FIRST + 1000, 3), (200, FIRST + 2000, 3), (300, FIRST + 3000, 3)],
    "gids": SPLIT["gids"],
}
PLACES = [f"/m/{name}" for name in ("foo", "bar", "baz")]
BELOW = [f"/m/sub/{name}" for name in ("foo", "bar", "baz")]


def top_of_tree(box):
    return [
        box.seen(FIRST + 1000, FIRST + 1101),
        box.seen(FIRST + 2000, FIRST + 2202),
        box.seen(FIRST + 3000, FIRST + 3303),
    ]


@pytest.mark.peer(runc=NONE, crun="1.8 binds no submounts beside a mapping")
@pytest.mark.parametrize("words", [[], ["idmap"]], ids=["no word", "idmap"])
def test_only_the_top_of_a_tree_is_mapped(anywhere, tree, words):
    add(anywhere, "/m", tree, ["rbind", *words], **OF_A_TREE)
    below = [anywhere.foreign(*ids) for ids in ((100, 211), (101, 222), (102, 233))]
    assert owners(anywhere, *PLACES, *BELOW) == top_of_tree(anywhere) + below


@pytest.mark.peer(runc=NONE, crun="1.8 binds no submounts beside a mapping")
def test_ridmap_maps_the_whole_tree(anywhere, tree):
    add(anywhere, "/m", tree, ["rbind", "ridmap"], **OF_A_TREE)
    below = [
        anywhere.seen(FIRST + 1000, FIRST + 1101),
        anywhere.seen(FIRST + 1001, FIRST + 2202),
        anywhere.seen(FIRST + 1002, FIRST + 3303),
    ]
    assert owners(anywhere, *PLACES, *BELOW) == top_of_tree(anywhere) + below


@pytest.mark.peer(runc=NONE, crun="1.8 binds no submounts beside a mapping")
@pytest.mark.parametrize("word", ["idmap", "ridmap"])
def test_without_mappings_the_containers_own_are_taken(user, tree, word):
    add(user, "/m", tree, ["rbind", word])
    below = [NOBODY] * 3 if word == "idmap" else [(100, 211), (101, 222), (102, 233)]
    assert owners(user, *PLACES, *BELOW) == [(100, 211), (200, 222), (300, 233)] + below


@pytest.mark.peer(runc=NONE, crun="1.8 binds no submounts beside a mapping")
@pytest.mark.parametrize("word", ["idmap", "ridmap"])
def test_without_mappings_a_joined_user_namespaces_are_taken(box, tree, word):
    first = box.sibling("-first")
    into_user_namespace(first)
    first.hold()
    os.chown(box.rootfs, FIRST, FIRST)
    box.bundle.namespace("user", f"/proc/{first.pid}/ns/user")
    box.bundle.namespace("network", f"/proc/{first.pid}/ns/net")
    add(box, "/m", tree, ["rbind", word])
    below = [NOBODY] * 3 if word == "idmap" else [(100, 211), (101, 222), (102, 233)]
    assert owners(box, *PLACES, *BELOW) == [(100, 211), (200, 222), (300, 233)] + below


@pytest.mark.peer(runc=NONE, crun="1.8 loses them beside a mapping")
def test_propagation_and_flags_hold_beside_a_mapping(user, source):
    add(user, "/m", source, ["bind", "shared", "ro", "nosuid"], **MAPPED)
    mount = user.facts().mounts_at("/m")[0]
    assert any(word.startswith("shared:") for word in mount.propagation)
    assert {"ro", "nosuid", "idmapped"} <= mount.options


@pytest.mark.peer(runc=NONE)
def test_a_relative_destination_may_be_mapped(user, source):
    add(user, "some/where", source, **MAPPED)
    assert owners(user, "/some/where/one") == [(1, 1)]


@pytest.mark.peer(runc=NONE, crun="1.8 looks it up on the host")
def test_a_source_in_the_rootfs_may_be_mapped_and_is_looked_up_within_it(user):
    inside = fill(user.rootfs / "inside", one=(1, 1))
    (user.rootfs / "to").symlink_to("/inside")
    add(user, "/m", inside, **MAPPED)
    add(user, "/linked", user.rootfs / "to", **MAPPED)
    assert owners(user, "/m/one", "/linked/one") == [(1, 1), (1, 1)]


@pytest.mark.peer(runc=NONE, crun="1.8 looks it up on the host")
def test_a_source_in_the_rootfs_is_mapped_as_earlier_mounts_have_made_it(anywhere, source):
    below = anywhere.rootfs / "below"
    below.mkdir()
    os.chown(below, FIRST, FIRST)
    add(anywhere, "/below", source)
    add(anywhere, "/m", below, **MAPPED)
    add(anywhere, "/again", anywhere.rootfs / "below/one", **MAPPED)
    (anywhere.rootfs / "again").touch()
    mapped = [anywhere.seen(FIRST, FIRST), anywhere.seen(FIRST + 1, FIRST + 1)]
    assert owners(anywhere, "/m/root", "/again") == mapped
    assert (source / "root").stat().st_uid == 0, "the host's own file"


@pytest.mark.peer(runc=NONE)
def test_a_file_may_be_mapped(user, source):
    add(user, "/etc/group", source / "one", **MAPPED)
    assert owners(user, "/etc/group") == [(1, 1)]


# crun's form of the option: FIRST-HOST-SIZE.


@pytest.mark.peer(runc=NONE)
def test_the_option_may_hold_the_mappings(anywhere, several):
    text = f"uids=100-{FIRST + 1000}-1#101-{FIRST + 2000}-2;gids=200-{FIRST + 3000}-100"
    add(anywhere, "/m", several, ["bind", f"idmap={text}"])
    assert owners(anywhere, "/m/foo", "/m/bar", "/m/baz") == [
        anywhere.seen(FIRST + 1000, FIRST + 3011),
        anywhere.seen(FIRST + 2000, FIRST + 3022),
        anywhere.seen(FIRST + 2001, FIRST + 3033),
    ]


@pytest.mark.peer(runc=NONE, crun="1.8 knows no relative ones")
def test_a_mapping_in_the_option_may_be_relative_to_the_containers(user, several):
    for key in ("uidMappings", "gidMappings"):
        user.set(f"linux.{key}", [line(0, FIRST, 1), line(1, FIRST + 5000, 1000)])
    add(user, "/m", several, ["rbind", "ridmap=uids=@100-7-10;gids=@200-300-100"])
    assert owners(user, "/m/foo", "/m/bar") == [(7, 311), (8, 322)]


# What cannot be.

ONE = [(0, FIRST, 10)]
BAD = {
    "no bind": ({"options": [], "uids": ONE, "gids": ONE}, "only supported for bind-mounts"),
    "no gids": ({"uids": ONE}, "must have both uid and gid mappings"),
    "no uids": ({"gids": ONE}, "must have both uid and gid mappings"),
    "a word alone": ({"options": ["bind", "idmap"]}, "must have both uid and gid mappings"),
    "uids that overlap": ({"uids": ONE + [(5, 9000, 10)], "gids": ONE}, "overlap"),
    "a size of zero": ({"uids": [(0, 1, 0)], "gids": ONE}, "/uidMappings/0/size"),
    "a negative id": ({"uids": [(-1, 1, 1)], "gids": ONE}, "/uidMappings/0/containerID"),
    "a triple of two": ({"options": ["bind", "idmap=uids=0-1"]}, "FIRST-HOST-SIZE"),
    "a triple of words": ({"options": ["bind", "idmap=uids=a-b-c"]}, "FIRST-HOST-SIZE"),
    "other things": ({"options": ["bind", "idmap=pids=0-1-1"]}, '"uids=" or "gids="'),
    "a relative one alone": (
        {"options": ["bind", "idmap=uids=@0-0-1;gids=@0-0-1"]},
        "no mappings of a user namespace",
    ),
    "both forms": (
        {"options": ["bind", "idmap=uids=0-1-1"], "uids": ONE, "gids": ONE},
        "more than once",
    ),
    "a remount": ({"options": ["remount", "bind"], "uids": ONE, "gids": ONE}, "only supported"),
}


@pytest.mark.peer(runc=NONE, crun="1.8 has other words, or goes on")
@pytest.mark.parametrize("name", BAD)
def test_a_mapping_is_refused_with(box, source, name):
    what, said = BAD[name]
    add(box, "/m", source, **what)
    if name == "no bind":
        box.config["mounts"][-1]["type"] = "tmpfs"
    assert said in box.create().fails().said
    assert not (box.rootfs / "m").exists()


@pytest.mark.peer(runc=NONE, crun="1.8 does not name the mount")
def test_a_file_system_that_cannot_be_mapped_is_named_with_the_reason(box):
    add(box, "/m", "/proc", ["bind"], **MAPPED)
    said = box.create().fails().said
    assert "/m" in said and "map the ids of the mount" in said and "invalid argument" in said


@pytest.mark.peer(runc=NONE, crun="1.8 cannot join it")
def test_a_joined_user_namespace_that_is_the_hosts_maps_nothing(box, source):
    box.bundle.namespace("user", "/proc/self/ns/user")
    add(box, "/m", source, ["bind", "idmap"])
    assert "maps no id to another" in box.create().fails().said
