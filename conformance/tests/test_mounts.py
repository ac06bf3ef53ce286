"""mounts: types, options read back from mountinfo, order, and targets that have to be made."""

import os
import stat

import pytest

from harness.facts import Facts

pytestmark = pytest.mark.row("mounts")


def shown(box, *targets):
    """Runs the probe; for each target the topmost mount at it."""
    facts = box.facts()
    found = {}
    for target in targets:
        mounts = facts.mounts_at(target)
        assert mounts, f"nothing is mounted on {target}"
        found[target] = mounts[-1]
    return found


def options_of(box, kind, names, source="tmpfs", base=()):
    """Mounts once for each name, at /m/NAME; the options that are read back, and those of the super
    block after a colon, less what all have."""
    for name in names:
        box.bundle.mount(f"/m/{name}", kind, source, [*base, *name.split("+")])
    found = shown(box, *(f"/m/{name}" for name in names))
    return {
        name: found[f"/m/{name}"].options | {f":{o}" for o in found[f"/m/{name}"].super_options}
        for name in names
    }


KINDS = {
    "proc": "proc",
    "sysfs": "sysfs",
    "tmpfs": "tmpfs",
    "devpts": "devpts",
    "mqueue": "mqueue",
    "cgroup": "cgroup2",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mount_of_each_type_is_a_file_system_of_that_type(box, kind):
    box.bundle.mount("/m", kind, kind, ["nosuid", "noexec", "nodev"])
    mount = shown(box, "/m")["/m"]
    assert mount.kind == KINDS[kind]
    assert {"nosuid", "noexec", "nodev"} <= mount.options


# Option to what must be among the options, and what must not.
CLASSIC = {
    "ro": ({"ro"}, {"rw"}),
    "rw": ({"rw"}, {"ro"}),
    "nosuid": ({"nosuid"}, set()),
    "nodev": ({"nodev"}, set()),
    "noexec": ({"noexec"}, set()),
    "noatime": ({"noatime"}, {"relatime"}),
    "nodiratime": ({"nodiratime"}, set()),
    "relatime": ({"relatime"}, {"noatime"}),
    "strictatime": (set(), {"relatime", "noatime"}),
    "suid": (set(), {"nosuid"}),
    "dev": (set(), {"nodev"}),
    "exec": (set(), {"noexec"}),
    "ro+nosuid+nodev+noexec+noatime": ({"ro", "nosuid", "nodev", "noexec", "noatime"}, {"rw"}),
}
TAKEN_BACK = {
    "nosuid+suid": (set(), {"nosuid"}),
    "nodev+dev": (set(), {"nodev"}),
    "noexec+exec": (set(), {"noexec"}),
    "suid+nosuid": ({"nosuid"}, set()),
    "noatime+atime": (set(), {"noatime"}),
    "nodiratime+diratime": (set(), {"nodiratime"}),
    "ro+rw": ({"rw"}, {"ro"}),
    "rw+ro": ({"ro"}, {"rw"}),
    "sync+async": (set(), {":sync"}),
}
OF_THE_SUPER_BLOCK = {
    "sync": ({":sync"}, set()),
    "async": (set(), {":sync"}),
    "dirsync": ({":dirsync"}, set()),
}
WITHOUT_TRACE = {name: (set(), set()) for name in ("mand", "nomand", "norelatime", "nostrictatime")}
NEWER = {
    "lazytime": ({":lazytime"}, set()),
    "nolazytime": (set(), {":lazytime"}),
    "iversion": (set(), set()),
    "noiversion": (set(), set()),
    "loud": (set(), set()),
    "silent": (set(), set()),
}
DEFAULTS = {"defaults": ({"rw"}, {"nosuid", "nodev", "noexec"})}
SYMFOLLOW = {"nosymfollow": ({"nosymfollow"}, set()), "symfollow": (set(), {"nosymfollow"})}

NOT_TAKEN_BACK = pytest.mark.peer(crun="1.8 only ever adds options")


def check(found, expected):
    wrong = {
        name: found[name]
        for name, (there, absent) in expected.items()
        if not there <= found[name] or absent & found[name]
    }
    assert not wrong


@pytest.mark.row("mounts.options")
@pytest.mark.parametrize(
    "table",
    [
        pytest.param(CLASSIC, id="classic"),
        pytest.param(OF_THE_SUPER_BLOCK, id="super-block"),
        pytest.param(WITHOUT_TRACE, id="without-trace"),
        pytest.param(NEWER, id="newer", marks=pytest.mark.peer(crun="1.8 has none of these")),
        pytest.param(TAKEN_BACK, id="taken-back", marks=NOT_TAKEN_BACK),
        pytest.param(DEFAULTS, id="defaults", marks=pytest.mark.peer(runc="1.1 takes it for data")),
        pytest.param(SYMFOLLOW, id="symfollow", marks=pytest.mark.peer(crun="1.8 lacks these")),
    ],
)
def test_options_of_a_tmpfs_are_read_back_as_given(box, table):
    check(options_of(box, "tmpfs", table), table)


@pytest.mark.row("mounts.options")
@pytest.mark.parametrize(
    "table",
    [CLASSIC, pytest.param(TAKEN_BACK, marks=NOT_TAKEN_BACK)],
    ids=["classic", "taken-back"],
)
def test_options_of_a_bind_are_read_back_as_given(box, table):
    source = box.path("source")
    source.mkdir()
    # What belongs to the super block, and the nosuid of the scratch file system, are the source's.
    table = {n: e for n, e in table.items() if n not in ("suid", "nosuid+suid", "sync+async")}
    table.pop("strictatime", None)
    check(options_of(box, "bind", table, source, ["bind"]), table)


@pytest.mark.row("mounts.options")
def test_data_goes_to_the_file_system(box):
    box.bundle.mount("/m", "tmpfs", "named", ["size=1m", "nr_inodes=77", "mode=0710", "uid=5"])
    mount = shown(box, "/m")["/m"]
    assert mount.source == "named"
    assert {"size=1024k", "nr_inodes=77", "mode=710", "uid=5"} <= mount.super_options


BAD = {
    "an unknown option": ("/m", "tmpfs", "tmpfs", ["nonesuch"]),
    "a bad value": ("/m", "tmpfs", "tmpfs", ["size=many"]),
    "an unknown type": ("/m", "nonesuchfs", "none", []),
    "a missing source": ("/m", "bind", "/nonexistent/source", ["bind"]),
    "no type": ("/m", None, "tmpfs", []),
}


@pytest.mark.parametrize("entry", BAD.values(), ids=BAD)
def test_a_mount_cannot_be_made_with(box, entry):
    box.bundle.mount("/before", "tmpfs", "tmpfs", [])
    box.bundle.mount(*entry)
    box.create().fails()
    assert box.state is None
    assert not box.runtime.ids()


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_error_names_the_mount(box):
    box.bundle.mount("/wanted/here", "tmpfs", "tmpfs", ["nonesuch"])
    said = box.create().fails().said
    assert "error mounting" in said and "/wanted/here" in said and "invalid argument" in said


def test_mounts_are_made_in_the_order_of_the_config(box):
    below, above = box.path("below"), box.path("above")
    for place, text in ((below, "below"), (above, "above")):
        place.mkdir()
        (place / "file").write_text(text)
    box.bundle.mount("/a", "bind", below, ["bind"])
    box.bundle.mount("/a/inner", "tmpfs", "tmpfs", ["size=1m"])
    box.bundle.mount("/b", "bind", below, ["bind"])
    box.bundle.mount("/b", "bind", above, ["bind"])
    box.sh("cat /a/file; echo; cat /b/file; echo; cut -d' ' -f1,2,5 /proc/self/mountinfo")
    lines = box.run().check().out.splitlines()
    assert lines[:2] == ["below", "above"]
    # Which mount lies on which; the order of the lines tells only when each was made.
    mounts = [line.split() for line in lines[2:]]
    (outer,) = [own for own, _, place in mounts if place == "/a"]
    assert [parent for _, parent, place in mounts if place == "/a/inner"] == [outer]
    first, second = [(own, parent) for own, parent, place in mounts if place == "/b"]
    assert first[0] == second[1] or second[0] == first[1], "one lies on the other"


def test_targets_are_made_as_directories_or_files_after_their_sources(box):
    directory, file, link = box.path("directory"), box.path("file"), box.path("link")
    directory.mkdir()
    (directory / "in").write_text("in the directory")
    file.write_text("in the file")
    link.symlink_to("file")
    box.bundle.mount("/new/deep/directory", "bind", directory, ["rbind"])
    box.bundle.mount("/new/deep/file", "bind", file, ["bind"])
    box.bundle.mount("/new/link", "bind", link, ["bind"])
    box.sh("cat /new/deep/directory/in /new/deep/file /new/link")
    assert box.run().check().out == "in the directoryin the filein the file"
    assert (box.rootfs / "new/deep/directory").is_dir()
    assert stat.S_ISREG(os.lstat(box.rootfs / "new/deep/file").st_mode)
    assert not (box.rootfs / "new/deep/file").read_text()


@pytest.mark.peer(crun="makes them sticky")
def test_directories_made_for_targets_are_roots_and_for_all_to_read(box):
    box.bundle.mount("/new/deep/directory", "tmpfs", "tmpfs", [])
    box.run().check()
    for name in ("new", "new/deep", "new/deep/directory"):
        about = os.stat(box.rootfs / name)
        assert (stat.S_IMODE(about.st_mode), about.st_uid, about.st_gid) == (0o755, 0, 0)


def test_a_socket_and_a_fifo_can_be_bound(box):
    os.mkfifo(box.path("fifo"))
    box.bundle.mount("/s/fifo", "bind", box.path("fifo"), ["bind"])
    os.mknod(box.path("socket"), stat.S_IFSOCK | 0o600)
    box.bundle.mount("/s/socket", "bind", box.path("socket"), ["bind"])
    box.sh("stat -c %F /s/*")
    assert box.run().check().out == "fifo\nsocket\n"


def test_a_relative_source_of_a_bind_is_one_of_the_bundle(box):
    (box.bundle.path / "some").write_text("of the bundle")
    box.bundle.mount("/file", "bind", "some", ["bind"])
    box.args("/bin/cat", "/file")
    assert box.run(cwd="/").check().out == "of the bundle"


def test_a_relative_destination_is_one_of_the_root(box):
    box.bundle.mount("some/where", "tmpfs", "tmpfs", [])
    assert shown(box, "/some/where")


@pytest.mark.row("mounts.options")
@pytest.mark.parametrize("kind", ["bind", "none", None])
def test_the_option_bind_makes_a_bind_whatever_the_type(box, kind):
    box.path("file").write_text("bound")
    box.bundle.mount("/file", kind, box.path("file"), ["bind"])
    box.args("/bin/cat", "/file")
    assert box.run().check().out == "bound"


def test_names_with_spaces_and_other_odd_characters(box):
    name = 'a b\tc\\d"e%f'
    box.path(name).write_text("odd")
    box.bundle.mount(f"/odd/{name}", "bind", box.path(name), ["bind"])
    box.args("/bin/cat", f"/odd/{name}")
    assert box.run().check().out == "odd"


def test_a_readonly_root_does_not_keep_targets_from_being_made(box):
    box.set("root.readonly", True)
    box.bundle.mount("/new/target", "tmpfs", "tmpfs", ["size=1m"])
    box.sh("touch /new/target/x && ! touch /new/y 2>/dev/null && echo well")
    assert box.run().check().out == "well\n"


def test_a_target_behind_a_symbolic_link_of_the_rootfs_is_where_it_points(box):
    (box.rootfs / "var/run").symlink_to("/run")
    (box.rootfs / "var/up").symlink_to("../../../run")
    box.bundle.mount("/var/run/one", "tmpfs", "tmpfs", [])
    box.bundle.mount("/var/up/two", "tmpfs", "tmpfs", [])
    assert shown(box, "/run/one", "/run/two")
    assert (box.rootfs / "run/one").is_dir()


@pytest.mark.row("mounts.tmpcopyup")
def test_tmpcopyup_starts_with_a_copy_of_what_is_below(box):
    below = box.rootfs / "below"
    below.mkdir()
    (below / "file").write_text("text")
    (below / "file").chmod(0o640)
    os.chown(below / "file", 7, 8)
    (below / "link").symlink_to("/nonexistent")
    (below / "deep/er").mkdir(parents=True)
    (below / "deep/er/file").write_text("deep")
    below.chmod(0o751)
    box.bundle.mount("/below", "tmpfs", "tmpfs", ["tmpcopyup", "size=1m", "nosuid"])
    box.sh(
        "cat /below/deep/er/file; echo; readlink /below/link; stat -c %a:%u:%g /below/file;"
        " echo more > /below/new; grep ' /below ' /proc/self/mountinfo"
    )
    *lines, info = box.run().check().out.splitlines()
    assert lines == ["deep", "/nonexistent", "640:7:8"]
    mount = Facts(mountinfo=[info]).mounts[0]
    assert mount.kind == "tmpfs" and "nosuid" in mount.options
    assert not (below / "new").exists()


@pytest.mark.row("mounts.options")
def test_a_remount_changes_the_options_of_the_mount_that_is_there(box):
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["size=1m"])
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["remount", "ro", "size=1m"])
    facts = box.facts()
    assert len(facts.mounts_at("/m")) == 1
    assert "ro" in facts.mounts_at("/m")[0].options


def test_a_hundred_mounts_are_all_there(box):
    box.path("file").write_text("x")
    for number in range(100):
        box.bundle.mount(f"/many/{number}", "bind", box.path("file"), ["bind", "ro"])
    facts = box.facts()
    assert sum(mount.target.startswith("/many/") for mount in facts.mounts) == 100


@pytest.mark.peer(runc="1.1 needs the container's /proc", crun="1.8 demands the field")
def test_a_config_without_mounts_makes_none_but_the_root(box):
    box.bundle.unset("mounts")
    box.sh("ls /proc")
    assert box.run().check().out == ""
