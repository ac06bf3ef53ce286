"""Trees of mounts: propagation, the recursive options, and linux.rootfsPropagation."""

import os

import pytest

from harness import host, sandbox

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, MS_NODIRATIME = 2, 4, 8, 1024, 2048
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_SHARED = 1, 32, 0x1000, 0x4000, 1 << 20


@pytest.fixture
def tree(box):
    """A tmpfs with another one at sub/, in the suite's own mount namespace; not shared."""
    top = box.path("tree")
    top.mkdir()
    sandbox.mount("top", top, "tmpfs", 0, "size=1m")
    (top / "sub").mkdir()
    sandbox.mount("sub", top / "sub", "tmpfs", 0, "size=1m")
    (top / "sub/file").write_text("in the submount")
    yield top
    host.unmount_below(top)


@pytest.fixture
def shared(tree):
    """The same, shared, so that mounts made in it afterwards go where it was bound."""
    sandbox.mount(None, tree, None, MS_SHARED | MS_REC)
    return tree


@pytest.fixture
def restless(box):
    """A root for a container whose mount is shared with the suite's namespace."""
    place = box.bundle.path / "rootfs"
    sandbox.mount(str(place), place, None, MS_BIND)
    sandbox.mount(None, place, None, MS_SHARED)
    yield place
    host.unmount_below(place)


def kinds_of(mount):
    """Its propagation without the numbers: shared, master, unbindable, or nothing for private."""
    return {word.split(":")[0] for word in mount.propagation} - {"propagate_from"}


@pytest.mark.row("mounts.options")
def test_bind_without_rbind_leaves_submounts_out(box, tree):
    box.bundle.mount("/m", "bind", tree, ["bind"])
    facts = box.facts()
    assert facts.mounts_at("/m") and not facts.mounts_at("/m/sub")


@pytest.mark.row("mounts.options")
def test_rbind_takes_submounts_along(box, tree):
    box.bundle.mount("/m", "bind", tree, ["rbind"])
    box.sh("cat /m/sub/file")
    assert box.run().check().out == "in the submount"


@pytest.mark.row("mounts.options")
def test_ro_makes_only_the_top_of_a_tree_read_only(box, tree):
    box.bundle.mount("/m", "bind", tree, ["rbind", "ro"])
    facts = box.facts()
    assert "ro" in facts.mounts_at("/m")[0].options
    assert "rw" in facts.mounts_at("/m/sub")[0].options
    assert "rw" in facts.mounts_at("/m")[0].super_options


SETTING = {
    "rro": "ro",
    "rnosuid": "nosuid",
    "rnodev": "nodev",
    "rnoexec": "noexec",
}
SETTING_TIMES = {"rnoatime": "noatime", "rnodiratime": "nodiratime", "rrelatime": "relatime"}
CLEARING = {"rrw": "ro", "rsuid": "nosuid", "rdev": "nodev", "rexec": "noexec"}
CLEARING_TIMES = {"ratime": "noatime", "rstrictatime": "noatime", "rrelatime": "noatime"}
PARTLY = "sets a part of the field of access times, which the kernel refuses"


def bind_each(box, tree, names):
    """Binds the tree once for each option; the options of its top and of its submount."""
    for name in names:
        box.bundle.mount(f"/m/{name}", "bind", tree, ["rbind", name])
    facts = box.facts()
    both = {name: (f"/m/{name}", f"/m/{name}/sub") for name in names}
    return {n: [facts.mounts_at(t)[-1].options for t in targets] for n, targets in both.items()}


@pytest.fixture
def restricted(tree):
    """The tree with every flag set on both mounts."""
    flags = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME
    for place in (tree / "sub", tree):
        sandbox.mount(None, place, None, MS_REMOUNT | MS_BIND | flags)
    return tree


@pytest.mark.row("mounts.recursive")
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(SETTING, id="flags"),
        pytest.param(SETTING_TIMES, id="times", marks=pytest.mark.peer(crun=PARTLY)),
    ],
)
def test_a_recursive_option_is_set_on_the_whole_tree(box, tree, table):
    for name, (top, sub) in bind_each(box, tree, table).items():
        assert table[name] in top and table[name] in sub, name


@pytest.mark.row("mounts.recursive")
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(CLEARING, id="flags"),
        pytest.param(
            {"rdiratime": "nodiratime"}, id="rdiratime", marks=pytest.mark.peer(crun=PARTLY)
        ),
        pytest.param(
            CLEARING_TIMES, id="times", marks=pytest.mark.peer(runc=f"1.1 {PARTLY}", crun=PARTLY)
        ),
    ],
)
def test_a_recursive_option_is_cleared_on_the_whole_tree(box, restricted, table):
    for name, (top, sub) in bind_each(box, restricted, table).items():
        assert table[name] not in top and table[name] not in sub, name


@pytest.mark.row("mounts.recursive")
@pytest.mark.peer(crun=PARTLY)
def test_rstrictatime_ends_relatime_on_the_whole_tree(box, tree):
    for options in bind_each(box, tree, ["rstrictatime"])["rstrictatime"]:
        assert not {"relatime", "noatime"} & options


@pytest.mark.row("mounts.recursive")
@pytest.mark.peer(runc=f"1.1 {PARTLY}", crun=PARTLY)
def test_rnorelatime_and_rnostrictatime_are_taken(box, tree):
    assert len(bind_each(box, tree, ["rnorelatime", "rnostrictatime"])) == 2


@pytest.mark.row("mounts.recursive")
@pytest.mark.peer(crun="1.8 lacks these")
def test_symbolic_links_are_not_followed_in_a_tree_with_rnosymfollow(box, tree):
    box.bundle.mount("/m", "bind", tree, ["rbind", "rnosymfollow"])
    box.bundle.mount("/n", "bind", tree, ["rbind", "rsymfollow"])
    facts = box.facts()
    for target in ("/m", "/m/sub"):
        assert "nosymfollow" in facts.mounts_at(target)[-1].options
    for target in ("/n", "/n/sub"):
        assert "nosymfollow" not in facts.mounts_at(target)[-1].options


@pytest.mark.row("mounts.recursive")
def test_several_recursive_options_hold_together(box, tree):
    box.bundle.mount("/m", "bind", tree, ["rbind", "rro", "rnosuid", "rnodev", "rnoexec"])
    facts = box.facts()
    for target in ("/m", "/m/sub"):
        assert {"ro", "nosuid", "nodev", "noexec"} <= facts.mounts_at(target)[-1].options


@pytest.mark.row("mounts.recursive")
def test_a_recursive_option_does_not_reach_the_source(box, tree):
    box.bundle.mount("/m", "bind", tree, ["rbind", "rro"])
    box.run().check()
    (tree / "sub/new").write_text("still writable")


PROPAGATION = {
    # option: the top, the submount; the source is shared
    "private": (set(), {"shared"}),
    "rprivate": (set(), set()),
    "slave": ({"master"}, {"shared"}),
    "rslave": ({"master"}, {"master"}),
    "shared": ({"shared"}, {"shared"}),
    "rshared": ({"shared"}, {"shared"}),
    "unbindable": ({"unbindable"}, {"shared"}),
    "runbindable": ({"unbindable"}, {"unbindable"}),
}


@pytest.mark.row("mounts.propagation")
@pytest.mark.parametrize("name", PROPAGATION)
def test_the_propagation_of_a_mount_is_as_its_option_says(box, shared, name):
    # Otherwise the root's own rslave of the default would show through.
    box.set("linux.rootfsPropagation", "shared")
    box.bundle.mount("/m", "bind", shared, ["rbind", name])
    facts = box.facts()
    top, sub = PROPAGATION[name]
    assert kinds_of(facts.mounts_at("/m")[0]) == top
    if name.startswith("r"):
        assert kinds_of(facts.mounts_at("/m/sub")[0]) == sub


def inside(box, *words):
    return box.exec(*words).check().out


@pytest.mark.row("mounts.propagation")
@pytest.mark.peer(crun="1.8 makes the whole tree private before it binds anything of it")
def test_a_slave_mount_gets_what_the_host_mounts_later_and_gives_nothing_back(box, shared):
    box.set("process.capabilities.bounding", ["CAP_SYS_ADMIN"])
    box.set("process.capabilities.effective", ["CAP_SYS_ADMIN"])
    box.set("process.capabilities.permitted", ["CAP_SYS_ADMIN"])
    (shared / "later").mkdir()
    box.bundle.mount("/m", "bind", shared, ["rbind", "rslave"])
    box.hold()
    sandbox.mount("late", shared / "later", "tmpfs", 0, "size=1m")
    assert "/m/later" in inside(box, "cat", "/proc/self/mountinfo")
    inside(box, "mount", "-t", "tmpfs", "none", "/m/sub")
    assert (shared / "sub/file").read_text() == "in the submount"


@pytest.mark.row("mounts.propagation")
def test_a_private_mount_gets_nothing_of_what_the_host_mounts_later(box, shared):
    (shared / "later").mkdir()
    box.bundle.mount("/m", "bind", shared, ["rbind", "rprivate"])
    box.hold()
    sandbox.mount("late", shared / "later", "tmpfs", 0, "size=1m")
    assert "/m/later" not in inside(box, "cat", "/proc/self/mountinfo")


@pytest.mark.row("mounts.propagation")
def test_the_mounts_of_a_container_do_not_reach_the_host(box, restless):
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["size=1m"])
    box.hold()
    assert "/m" in inside(box, "cat", "/proc/self/mountinfo")
    assert not os.path.ismount(restless / "m")


ROOT = {  # what must be there, and what must not
    "private": (set(), {"shared", "master"}),
    "rprivate": (set(), {"shared", "master"}),
    "slave": (set(), {"shared"}),
    "rslave": (set(), {"shared"}),
    "shared": ({"shared"}, set()),
    "rshared": ({"shared"}, set()),
    "unbindable": ({"unbindable"}, {"shared"}),
    "runbindable": ({"unbindable"}, {"shared"}),
}
BEFORE_BINDING = pytest.mark.peer(runc="1.1 sets it before it binds the root, and there it is lost")
LOST = ("shared", "rshared", "unbindable", "runbindable")


@pytest.mark.row("linux.rootfsPropagation")
@pytest.mark.parametrize(
    "value", [pytest.param(v, marks=BEFORE_BINDING) if v in LOST else v for v in ROOT]
)
def test_the_propagation_of_the_root_is_the_one_of_the_config(box, restless, value):
    box.set("linux.rootfsPropagation", value)
    there, absent = ROOT[value]
    found = kinds_of(box.facts().mounts_at("/")[-1])
    assert there <= found and not absent & found


@pytest.mark.row("linux.rootfsPropagation")
def test_the_root_of_a_container_is_not_shared_when_the_config_says_nothing(box, restless):
    mount = box.facts().mounts_at("/")[-1]
    assert "shared" not in kinds_of(mount)


@pytest.mark.row("linux.rootfsPropagation")
@pytest.mark.peer(crun="1.8 takes a mount option for one")
@pytest.mark.parametrize("value", ["nonesuch", "Private", "rw"])
def test_an_unknown_propagation_of_the_root_is_an_error(box, value):
    box.set("linux.rootfsPropagation", value)
    box.create().fails()
    assert not box.runtime.ids()
