"""`mounts add` and `mounts remove`: mounts that come and go while a container lives."""

import json
import os

import pytest

from harness import Canary
from harness.facts import Facts

pytestmark = [
    pytest.mark.row("mounts-command"),
    pytest.mark.peer(runc="has no such command", crun="1.8 has no such command"),
]

TMPFS = {"destination": "/hot/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]}


def bind(destination, source, *options):
    more = ["bind", *options]
    return {"destination": destination, "type": "none", "source": str(source), "options": more}


def change(box, word, mounts, **more):
    path = box.path("mounts.json")
    path.write_text(mounts if isinstance(mounts, str) else json.dumps(mounts))
    return box.runtime.call("mounts", word, box.id, path, **more)


def below(box, start="/hot"):
    """The mounts below `start`, as the kernel has them for the container's init."""
    with open(f"/proc/{box.pid}/mountinfo", encoding="utf-8") as file:
        facts = Facts(mountinfo=file.read().splitlines())
    return {mount.target: mount for mount in facts.mounts if mount.target.startswith(start)}


@pytest.fixture
def source(box):
    made = box.path("source")
    made.mkdir()
    (made / "file").write_text("of the host")
    return made


def test_a_bind_of_a_directory_comes_and_goes(box, source):
    box.hold()
    change(box, "add", [bind("/hot/dir", source, "ro", "nosuid")]).check()
    assert box.exec("cat", "/hot/dir/file").check().out == "of the host"
    assert {"ro", "nosuid"} <= below(box)["/hot/dir"].options
    assert box.exec("touch", "/hot/dir/new").code != 0
    change(box, "remove", [{"destination": "/hot/dir"}]).check()
    assert not below(box)
    assert box.exec("cat", "/hot/dir/file").code != 0


def test_a_bind_of_a_file_comes_and_goes(box, source):
    box.hold()
    change(box, "add", [bind("/hot/file", source / "file")]).check()
    assert box.exec("cat", "/hot/file").check().out == "of the host"
    change(box, "remove", [bind("/hot/file", source / "file")]).check()
    assert not below(box)


def test_a_tmpfs_has_its_options(box):
    box.hold()
    change(box, "add", [TMPFS | {"options": ["size=64k", "mode=750", "noexec"]}]).check()
    mount = below(box)["/hot/tmp"]
    assert mount.kind == "tmpfs" and "noexec" in mount.options
    assert "size=64k" in mount.super_options
    assert box.exec("stat", "-c", "%a", "/hot/tmp").check().out == "750\n"


def test_mounts_are_made_in_the_order_of_the_list_and_removed_together(box, source):
    box.hold()
    mounts = [TMPFS, bind("/hot/tmp/dir", source), bind("/hot/tmp/file", source / "file")]
    change(box, "add", mounts).check()
    assert set(below(box)) == {"/hot/tmp", "/hot/tmp/dir", "/hot/tmp/file"}
    change(box, "remove", mounts).check()
    assert not below(box)


@pytest.mark.parametrize("position", range(4))
def test_when_one_of_the_list_fails_none_is_there(box, source, position):
    box.hold()
    mounts = [TMPFS, bind("/hot/b", source), bind("/hot/c", source / "file")]
    mounts.insert(position, TMPFS | {"destination": "/hot/bad", "options": ["nonsense=1"]})
    result = change(box, "add", mounts).fails()
    assert "/hot/bad" in result.err
    assert not below(box)
    assert box.status == "running"


def test_a_source_that_is_not_there_fails_and_none_is_there(box, source):
    box.hold()
    mounts = [bind("/hot/a", source), bind("/hot/b", "/nonexistent")]
    assert "/nonexistent" in change(box, "add", mounts).fails().err
    assert not below(box)


def test_nothing_is_removed_unless_all_are_mount_points(box, source):
    box.hold()
    change(box, "add", [TMPFS, bind("/hot/dir", source)]).check()
    for wrong in ("/hot/nothing", "/hot", "/etc", "/"):
        mounts = [{"destination": "/hot/tmp"}, {"destination": wrong}, {"destination": "/hot/dir"}]
        result = change(box, "remove", mounts).fails()
        assert f'"{wrong}"' in result.said and "/1/destination" in result.err
        assert set(below(box)) == {"/hot/tmp", "/hot/dir"}


def test_the_host_sees_nothing_of_it(box, source):
    box.hold()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        before = file.read()
    change(box, "add", [TMPFS, bind("/hot/dir", source)]).check()
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        assert file.read() == before
    assert not os.listdir(box.rootfs / "hot/tmp")


def test_a_mount_can_be_added_to_a_container_that_waits_to_be_started(box, source):
    ready = box.bundle.fifo("ready")
    box.sh("echo $(cat /hot/dir/file) > /ready")
    box.create().check()
    change(box, "add", [bind("/hot/dir", source)]).check()
    box.start().check()
    assert ready.line() == "of the host"


def test_a_mount_can_be_added_to_a_paused_container(box, source):
    box.hold()
    box.runtime.call("pause", box.id).check()
    change(box, "add", [bind("/hot/dir", source)]).check()
    assert box.status == "paused"
    assert set(below(box)) == {"/hot/dir"}
    change(box, "remove", [bind("/hot/dir", source)]).check()
    assert not below(box)


def test_a_stopped_container_has_no_mounts_to_change(box):
    box.hold()
    box.stop()
    for word in ("add", "remove"):
        assert "not running" in change(box, word, [TMPFS]).fails().err


def test_a_container_without_mounts_of_its_own_is_refused(box):
    box.bundle.without_namespace("mount")
    box.config["mounts"] = []
    for name in ("maskedPaths", "readonlyPaths"):
        box.config["linux"].pop(name, None)
    box.set("root.readonly", False)
    box.hold()
    assert "mount namespace" in change(box, "add", [TMPFS]).fails().err


def test_in_a_user_namespace_what_is_made_belongs_to_its_root(box, source):
    box.bundle.namespace("user")
    box.bundle.namespace("network")
    line = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.set("linux.uidMappings", line)
    box.set("linux.gidMappings", line)
    os.chown(box.rootfs, 100000, 100000)
    box.hold()
    mounts = [TMPFS | {"options": []}, bind("/hot/dir", source)]
    change(box, "add", mounts).check()
    assert box.exec("stat", "-c", "%u", "/hot", "/hot/tmp").check().out == "0\n0\n"
    assert os.stat(box.rootfs / "hot").st_uid == 100000
    box.exec("touch", "/hot/tmp/mine").check()
    change(box, "add", [bind("/hot/mapped", source, "idmap")]).check()
    assert box.exec("stat", "-c", "%u", "/hot/mapped/file").check().out == "0\n"
    change(box, "remove", [bind("/hot/mapped", source)]).check()
    change(box, "add", [*mounts, bind("/hot/none", "/nonexistent")]).fails()
    assert set(below(box)) == {"/hot/tmp", "/hot/dir"}
    change(box, "remove", mounts).check()
    assert not below(box)


def test_a_bind_has_the_ids_that_its_mappings_say(box, source):
    os.chown(source / "file", 7, 8)
    box.hold()
    line = [{"containerID": 7, "hostID": 70, "size": 2}]
    mount = bind("/hot/dir", source) | {"uidMappings": line, "gidMappings": line}
    change(box, "add", [mount]).check()
    assert box.exec("stat", "-c", "%u:%g", "/hot/dir/file").check().out == "70:71\n"
    change(box, "remove", [mount]).check()


@pytest.mark.parametrize("target", ["{canary}", "../" * 30 + "{canary}", "{canary}/new/deeper"])
def test_a_destination_behind_a_link_of_the_container_stays_in_it(box, source, target):
    canary = Canary(box.path("canary"))
    box.hold()
    change(box, "add", []).check()
    target = target.format(canary=canary.path)
    box.exec("ln", "-s", target, "/evil").check()
    change(box, "add", [bind("/evil/in", source), TMPFS | {"destination": "/evil/tmp"}])
    assert canary.unchanged
    for path in below(box, "/"):
        assert "evil" not in path
    for name in ("/evil/in", "/evil/tmp"):
        change(box, "remove", [{"destination": name}]).fails()


def test_a_link_of_the_container_does_not_choose_what_is_unmounted(box):
    box.hold()
    change(box, "add", []).check()
    box.exec("ln", "-s", "/proc", "/evil").check()
    box.exec("ln", "-s", "/dev/pts", "/evil2").check()
    there = set(below(box, "/"))
    for name in ("/evil", "/evil2", "/evil/self"):
        change(box, "remove", [{"destination": name}]).fails()
    assert set(below(box, "/")) == there


@pytest.mark.parametrize("place", ["/proc", "/proc/sys", "/", "/proc/self/exe", "/link/sys"])
def test_nothing_is_mounted_over_the_root_or_in_proc(box, source, place):
    box.hold()
    change(box, "add", []).check()
    box.exec("ln", "-s", "/proc", "/link").check()
    there = below(box, "/")
    change(box, "add", [bind(place, source)]).fails()
    change(box, "add", [TMPFS | {"destination": place}]).fails()
    assert below(box, "/").keys() == there.keys()


@pytest.mark.parametrize(
    "kind, option", [("proc", "nosuid"), ("tmpfs", "remount"), ("none", "copy-symlink,bind")]
)
def test_what_cannot_be_done_to_a_living_container_is_refused_by_name(box, kind, option):
    box.hold()
    source = "/etc" if kind == "none" else kind
    mount = {"destination": "/hot/x", "type": kind, "source": source, "options": option.split(",")}
    result = change(box, "add", [mount]).fails()
    assert "/0: not supported" in result.err
    assert not below(box)


WRONG = {
    "no list": '{"mounts": []}',
    "no JSON": "[",
    "no objects": "[1]",
    "no destination": '[{"type": "tmpfs"}]',
    "no text": '[{"destination": 1}]',
    "a NUL": '[{"destination": "/a\\u0000b", "type": "tmpfs"}]',
    "a name twice": '[{"destination": "/a", "destination": "/b", "type": "tmpfs"}]',
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_file_is_refused_that_holds(box, text):
    box.hold()
    for word in ("add", "remove"):
        assert "mounts.json" in change(box, word, text).fails().err


def test_a_place_that_is_named_twice_is_not_removed(box):
    box.hold()
    change(box, "add", [TMPFS]).check()
    change(box, "remove", [TMPFS, TMPFS | {"destination": "/hot//tmp/"}]).fails()
    assert set(below(box)) == {"/hot/tmp"}


def test_an_empty_list_changes_nothing(box):
    box.hold()
    there = below(box, "/").keys()
    for word in ("add", "remove"):
        change(box, word, []).check()
    assert below(box, "/").keys() == there


def test_bad_usage_of_the_command_is_named(box):
    box.hold()
    assert "frob" in change(box, "frob", []).fails().err
    assert box.runtime.call("mounts", "add", box.id).code != 0
    result = box.runtime.call("mounts", "add", box.id, "/nonexistent").fails()
    assert "/nonexistent" in result.err
    path = box.path("mounts.json")
    assert "does not exist" in box.runtime.call("mounts", "add", "nobody", path).fails().err
