"""A caller who is not root: user namespaces of its own id, and of ids that /etc/subuid lends it."""

import os
import pwd
import shutil

import pytest

from harness import host, sandbox
from harness.facts import Facts

CALLER = pwd.getpwnam("games")
LENT, COUNT = 300000, 65536
pytestmark = pytest.mark.row("rootless")
MS_BIND = 4096


def line(container, host_id, size):
    return {"containerID": container, "hostID": host_id, "size": size}


def give(path):
    for place, names, files in os.walk(path):
        for name in [".", *names, *files]:
            os.chown(os.path.join(place, name), CALLER.pw_uid, CALLER.pw_gid, follow_symlinks=False)


@pytest.fixture
def plain(box):
    """A box of the user's own, in a user namespace in which it is root and the only one."""
    box.bundle.namespace("user")
    box.bundle.namespace("network")
    box.set("linux.uidMappings", [line(0, CALLER.pw_uid, 1)])
    box.set("linux.gidMappings", [line(0, CALLER.pw_gid, 1)])
    box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] != "devpts"]
    give(box.directory)
    box.runtime.caller = {"user": CALLER.pw_uid, "group": CALLER.pw_gid, "extra_groups": []}
    return box


def lend(box, users, groups):
    """Makes these the files that newuidmap and newgidmap ask."""
    for name, text in (("subuid", users), ("subgid", groups)):
        place = box.path(name)
        place.write_text(text)
        target = f"/etc/{name}"
        if not os.path.exists(target):
            pytest.skip(f"no {target}: uidmap is not installed")
        sandbox.mount(str(place), target, None, MS_BIND)


@pytest.fixture
def lent(plain):
    """The same with 65536 further ids, which are lent to the user."""
    if not shutil.which("newuidmap"):
        pytest.skip("no newuidmap: uidmap is not installed")
    text = f"{CALLER.pw_name}:{LENT}:{COUNT}\n"
    lend(plain, text, text)
    plain.set("linux.uidMappings", [line(0, CALLER.pw_uid, 1), line(1, LENT, COUNT)])
    plain.set("linux.gidMappings", [line(0, CALLER.pw_gid, 1), line(1, LENT, COUNT)])
    yield plain
    for name in ("subuid", "subgid"):
        host.LIBC.umount2(f"/etc/{name}".encode(), 0)


def hold(box):
    """As Box.hold, with what the program writes to being the user's."""
    ready = box.bundle.fifo("ready")
    give(box.rootfs)
    box.args("/probe", "hold", "/ready")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"


def facts(box, **more):
    box.args("/probe")
    return Facts(box.run(**more).check().json)


def test_a_user_is_root_in_a_container_of_its_own_id(plain):
    found = facts(plain)
    assert found["uids"] == [0, 0, 0] and found["gids"] == [0, 0, 0]


def test_ids_that_are_lent_are_mapped(lent):
    lent.sh("cat /proc/self/uid_map /proc/self/gid_map; cat /proc/self/setgroups")
    words = lent.run().check().out.split()
    uids = [0, CALLER.pw_uid, 1, 1, LENT, COUNT]
    gids = [0, CALLER.pw_gid, 1, 1, LENT, COUNT]
    assert words == [str(number) for number in uids + gids] + ["allow"]


@pytest.mark.peer(runc="refuses additional groups to every caller who is not root")
def test_a_user_and_groups_that_are_lent_are_set(lent):
    lent.set("process.user", {"uid": 7, "gid": 8, "additionalGids": [9, 10]})
    found = facts(lent)
    assert found["uids"] == [7, 7, 7] and found["gids"] == [8, 8, 8]
    assert set(found["groups"]) - {8} == {9, 10}


def test_a_file_of_a_lent_id_is_so_on_the_host(lent):
    for name in ("bounding", "effective", "permitted"):
        lent.set(f"process.capabilities.{name}", ["CAP_CHOWN"])
    lent.sh("echo x > /tmp/file; chown 5:6 /tmp/file")
    lent.run().check()
    about = os.stat(lent.rootfs / "tmp/file")
    assert (about.st_uid, about.st_gid) == (LENT + 4, LENT + 5)


@pytest.mark.peer(runc="1.1 looks in PATH only")
def test_programs_are_found_without_a_path(lent):
    assert facts(lent, env={})["uids"] == [0, 0, 0]


@pytest.mark.peer(
    runc="1.1 does not get as many lines through to newuidmap",
    crun="1.8 takes 6 lines at most for newuidmap",
)
def test_a_map_of_many_lines_is_lent_too(lent):
    rows = [line(0, CALLER.pw_uid, 1)] + [line(n, LENT + 2 * n, 1) for n in range(1, 100)]
    lent.set("linux.uidMappings", rows)
    lent.sh("wc -l < /proc/self/uid_map")
    assert lent.run().check().out == "100\n"


@pytest.mark.peer(crun="1.8 starts without them")
def test_without_setgroups_no_groups_can_be_set(plain):
    plain.set("process.user", {"uid": 0, "gid": 0, "additionalGids": [0]})
    result = plain.run()
    assert result.code > 0 and result.err.strip()


def test_ones_own_id_alone_denies_setgroups(plain):
    plain.sh("cat /proc/self/setgroups")
    assert plain.run().check().out == "deny\n"


def test_ids_that_are_not_lent_are_an_error_that_names_the_file(lent):
    lent.set("linux.uidMappings", [line(0, CALLER.pw_uid, 1), line(1, LENT - 1, COUNT)])
    result = lent.create()
    assert result.code > 0 and result.err.strip()
    if lent.runtime.kind == "tare":
        assert "newuidmap" in result.err and "/etc/subuid" in result.err
        assert f"{CALLER.pw_uid}:{LENT - 1}:{COUNT}" in result.err
    assert not lent.runtime.ids()


def test_groups_that_are_not_lent_are_an_error_that_names_the_file(lent):
    lent.set("linux.gidMappings", [line(0, CALLER.pw_gid, 1), line(1, LENT, COUNT + 1)])
    result = lent.create()
    assert result.code > 0 and result.err.strip()
    if lent.runtime.kind == "tare":
        assert "newgidmap" in result.err and "/etc/subgid" in result.err
    assert not lent.runtime.ids()


@pytest.mark.tare("crun makes a user namespace nobody has asked for")
def test_without_a_user_namespace_a_user_can_make_no_container(plain):
    spaces = plain.config["linux"]["namespaces"]
    plain.set("linux.namespaces", [one for one in spaces if one["type"] != "user"])
    for name in ("uidMappings", "gidMappings"):
        del plain.config["linux"][name]
    result = plain.create().fails()
    assert "rootless container requires user namespaces" in result.err


def test_a_user_lives_a_whole_life_with_a_container(lent):
    hold(lent)
    found = Facts(lent.exec("/probe").check().json)
    assert found["uids"] == [0, 0, 0]
    assert found["namespaces"]["user"] == os.readlink(f"/proc/{lent.pid}/ns/user")
    found = Facts(lent.exec("/probe", flags=["--user", "7:8"]).check().json)
    assert found["uids"] == [7, 7, 7] and found["gids"] == [8, 8, 8]
    pid = lent.pid
    lent.kill("KILL").check()
    lent.wait(pid)
    lent.delete().check()
    assert not lent.runtime.ids()


@pytest.mark.peer(runc="1.1 demands mappings")
def test_a_second_container_joins_the_user_namespace_of_the_first(plain):
    hold(plain)
    links = f"/proc/{plain.pid}/ns"

    other = plain.sibling("two")
    other.config.update({k: v for k, v in plain.config.items() if k != "process"})
    for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc")):
        other.bundle.namespace(kind, f"{links}/{name}")
    for name in ("uidMappings", "gidMappings"):
        other.config["linux"].pop(name, None)
    give(other.bundle.path)
    found = facts(other)
    assert found["uids"] == [0, 0, 0]
    for name in ("user", "net", "ipc"):
        assert found["namespaces"][name] == os.readlink(f"{links}/{name}")


def test_the_root_of_a_user_is_below_its_runtime_directory(plain):
    place = plain.path("xdg")
    place.mkdir()
    os.chown(place, CALLER.pw_uid, CALLER.pw_gid)
    plain.args("/bin/true")
    plain.bundle.save()
    env = {"XDG_RUNTIME_DIR": str(place), "PATH": os.environ["PATH"]}
    words = ["create", "--bundle", plain.bundle.path, plain.id]
    plain.runtime.bare(*words, env=env).check()
    names = [place / name / plain.id for name in ("tare", "runc", "crun")]
    assert any(name.is_dir() for name in names)
    plain.runtime.bare("delete", "--force", plain.id, env=env).check()


@pytest.mark.parametrize("value", ["true", "auto", "false"])
def test_the_flag_rootless_changes_nothing_for_who_needs_no_cgroup(plain, value):
    if plain.runtime.kind == "crun":
        pytest.skip("crun has no --rootless")
    plain.args("/bin/true")
    plain.bundle.save()
    words = [f"--rootless={value}", "run", "--bundle", plain.bundle.path, plain.id]
    result = plain.runtime.call(*words)
    assert result.code == (1 if value == "false" else 0), result


@pytest.mark.row("process.scheduler", "process.ioPriority", "linux.timeOffsets")
@pytest.mark.peer(runc="1.1 knows none of the fields", crun="1.8 knows none of the fields")
def test_what_needs_no_privilege_of_the_host_is_set_for_a_user_too(plain):
    plain.bundle.namespace("time")
    plain.set("process.scheduler", {"policy": "SCHED_BATCH", "nice": 5})
    plain.set("process.ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 6})
    plain.set("linux.personality", {"domain": "LINUX32"})
    plain.set("linux.timeOffsets", {"boottime": {"secs": 1000}})
    for facts in (plain.facts(), plain.hold().exec_facts()):
        assert (facts["scheduler"], facts["nice"]) == (3, 5)
        assert facts["ioprio"] == (2 << 13 | 6)
        assert facts["personality"] == 8
        assert facts["timens_offsets"][1].split() == ["boottime", "1000", "0"]


@pytest.mark.peer(crun="1.8 goes on without it")
def test_a_limit_that_cannot_be_set_is_an_error_and_no_silence(plain):
    plain.set("linux.resources", {"pids": {"limit": 20}})
    result = plain.create()
    assert result.code > 0 and result.err.strip(), result
    assert not plain.runtime.ids()


def test_a_device_of_the_network_is_not_a_users_to_move(plain):
    if plain.runtime.kind != "tare":
        pytest.skip("older versions of the others do not know netDevices")
    plain.set("linux.netDevices", {"lo": {"name": "lo1"}})
    result = plain.create().fails()
    assert "network devices are not supported for rootless containers" in result.err
