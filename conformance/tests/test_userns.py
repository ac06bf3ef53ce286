"""User namespaces: mappings and their limits, and what changes for a container in one."""

import os
import stat

import pytest

from harness import exec_calls, making_node, run_calls
from harness.facts import CAPABILITIES

pytestmark = pytest.mark.row("linux.uidMappings")

FIRST, SIZE = 100000, 65536
EVERYTHING = [f"CAP_{name}" for name in CAPABILITIES]


def line(container=0, host=FIRST, size=SIZE):
    return {"containerID": container, "hostID": host, "size": size}


def map_both(box, *lines):
    box.set("linux.uidMappings", list(lines))
    box.set("linux.gidMappings", list(lines))


@pytest.fixture
def mapped(box):
    """A box whose root is an ordinary user of the host."""
    box.bundle.namespace("user")
    box.bundle.namespace("network")  # sysfs is for who owns the network namespace
    map_both(box, line())
    # What hold() and the shell write to is theirs.
    os.chown(box.rootfs, FIRST, FIRST)
    return box


def numbers(text):
    return [[int(word) for word in row.split()] for row in text.strip().splitlines()]


def test_the_mappings_are_those_of_the_config(mapped):
    mapped.set("linux.uidMappings", [line(0, FIRST, 1000), line(1000, FIRST + 5000, 64536)])
    mapped.set("linux.gidMappings", [line(0, FIRST, 65536)])
    mapped.sh("cat /proc/self/uid_map; echo --; cat /proc/self/gid_map")
    uids, gids = mapped.run().check().out.split("--")
    assert numbers(uids) == [[0, FIRST, 1000], [1000, FIRST + 5000, 64536]]
    assert numbers(gids) == [[0, FIRST, 65536]]


def test_root_inside_is_an_ordinary_user_outside(mapped):
    mapped.hold()
    with open(f"/proc/{mapped.pid}/status", encoding="ascii") as file:
        status = dict(row.split(":\t", 1) for row in file.read().splitlines() if ":\t" in row)
    assert status["Uid"].split() == [str(FIRST)] * 4
    assert status["Gid"].split() == [str(FIRST)] * 4
    facts = mapped.exec_facts()
    assert facts["uids"] == [0, 0, 0] and facts["gids"] == [0, 0, 0]


def test_a_user_and_its_groups_are_those_of_the_namespace(mapped):
    mapped.set("process.user", {"uid": 7, "gid": 8, "additionalGids": [9, 10]})
    facts = mapped.facts()
    assert facts["uids"] == [7] * 3 and facts["gids"] == [8] * 3
    assert set(facts["groups"]) - {8} == {9, 10}


def test_an_execd_process_is_in_the_user_namespace(mapped):
    mapped.hold()
    facts = mapped.exec_facts()
    assert facts["namespaces"]["user"] == os.readlink(f"/proc/{mapped.pid}/ns/user")
    assert facts["uids"] == [0, 0, 0]


def test_the_other_namespaces_belong_to_the_user_namespace(mapped):
    for which in ("bounding", "effective", "permitted"):
        mapped.set(f"process.capabilities.{which}", EVERYTHING)
    # Each of these needs a capability in the user namespace that owns the other one.
    found = run_calls(
        mapped,
        ("sethostname", "other", 5),
        ("mount", "none", "/tmp", "tmpfs", 0),
        ("chroot", "/"),
    )
    assert found == ["ok", "ok", "ok"]


def test_all_capabilities_inside_are_none_outside(mapped):
    for which in ("bounding", "effective", "permitted"):
        mapped.set(f"process.capabilities.{which}", EVERYTHING)
    node = making_node("/mem", stat.S_IFCHR | 0o666, os.makedev(1, 1))
    found = run_calls(mapped, node, ("mount", "none", "/tmp", "devtmpfs", 0))
    assert found == ["EPERM", "EPERM"]


def test_files_of_unmapped_owners_belong_to_nobody_and_are_not_roots_to_write(mapped):
    (mapped.rootfs / "foreign").write_text("x")
    mapped.sh("stat -c %u:%g /foreign; echo y > /foreign || echo refused")
    assert mapped.run().check().out == "65534:65534\nrefused\n"


def test_devices_are_there_and_do_their_work(mapped):
    mapped.sh("stat -c '%n %F %t:%T' /dev/null /dev/zero /dev/tty; echo x > /dev/null && echo well")
    assert mapped.run().check().out.splitlines() == [
        "/dev/null character special file 1:3",
        "/dev/zero character special file 1:5",
        "/dev/tty character special file 5:0",
        "well",
    ]


def test_the_usual_mounts_are_there(mapped):
    mapped.bundle.mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777"])
    mapped.bundle.mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"])
    mapped.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid"])
    facts = mapped.facts()
    kinds = {mount.target: mount.kind for mount in facts.mounts}
    assert kinds["/proc"] == "proc" and kinds["/sys"] == "sysfs"
    assert kinds["/dev/mqueue"] == "mqueue" and kinds["/sys/fs/cgroup"] == "cgroup2"


@pytest.mark.peer(runc="1.1 asks for read-only without the flags that are locked")
def test_flags_that_the_namespace_locks_do_not_hinder_a_bind(mapped):
    """The scratch file system has nosuid, which a bind of it in a user namespace must keep."""
    source = mapped.path("source")
    source.mkdir()
    mapped.bundle.mount("/bound", "bind", source, ["bind", "ro"])
    options = mapped.facts().mounts_at("/bound")[0].options
    assert "ro" in options


def test_a_root_that_is_read_only_is_so(mapped):
    mapped.set("root.readonly", True)
    mapped.sh("touch /x 2>&1 || echo refused")
    assert "refused" in mapped.run().check().out


def test_masks_and_read_only_paths_hold(mapped):
    mapped.set("linux.maskedPaths", ["/proc/timer_list", "/sys/firmware"])
    mapped.set("linux.readonlyPaths", ["/proc/sys"])
    mapped.sh(
        "cat /proc/timer_list | wc -c; ls /sys/firmware | wc -l; echo x > /proc/sys/kernel/domainname"
    )
    result = mapped.run()
    assert result.out.split() == ["0", "0"] and result.code != 0


def test_the_parameters_of_the_namespaces_are_set(mapped):
    mapped.set("linux.sysctl", {"net.ipv4.ip_forward": "1"})
    mapped.args("/bin/cat", "/proc/sys/net/ipv4/ip_forward")
    assert mapped.run().check().out == "1\n"


def test_a_working_directory_of_the_user_is_entered(mapped):
    place = mapped.rootfs / "home/own"
    place.mkdir()
    os.chown(place, FIRST + 7, FIRST + 7)
    place.chmod(0o700)
    mapped.set("process.user", {"uid": 7, "gid": 7})
    mapped.set("process.cwd", "/home/own")
    assert mapped.facts()["cwd"] == "/home/own"


@pytest.mark.parametrize("count", [1, 2, 6, 340])
def test_a_map_may_have_as_many_lines_as_the_kernel_takes(mapped, count):
    # Short numbers, for all lines together must fit into one page.
    lines = [[n, 1339 - n, 1] for n in range(count)]
    map_both(mapped, *(line(*words) for words in lines))
    mapped.config["mounts"] = [m for m in mapped.config["mounts"] if m["type"] != "devpts"]
    mapped.args("/bin/cat", "/proc/self/uid_map")
    assert numbers(mapped.run().check().out) == lines


# What cannot be.

LONG = [line(n, FIRST + n, 1) for n in range(5000)]
BAD = {
    "341 lines": LONG[:341],
    "5000 lines": LONG,
    "lines that overlap inside": [line(0, FIRST, 10), line(5, FIRST + 100, 10)],
    "lines that overlap outside": [line(0, FIRST, 10), line(10, FIRST + 5, 10)],
    "a size of zero": [line(0, FIRST, 0)],
    "a range past the last id": [line(0, 4294967290, 100)],
    "a negative id": [line(-1, FIRST, 10)],
    "an id that is too large": [line(0, 1 << 32, 10)],
    "no lines": [],
}
LEAVES_CGROUP = pytest.mark.peer(
    runc="1.1 does not wait for the end of a child that failed, so that its cgroup may stay",
    crun="1.8 fails, but leaves the cgroup",
)


@LEAVES_CGROUP
@pytest.mark.parametrize("name", BAD)
def test_create_refuses_a_map_with(mapped, name):
    map_both(mapped, *BAD[name])
    result = mapped.create()
    assert result.code > 0 and result.err.strip(), result
    assert mapped.state is None and not mapped.runtime.ids()


@pytest.mark.peer(runc="1.1 ignores them", crun="1.8 ignores them")
def test_mappings_without_a_user_namespace_are_refused(box):
    map_both(box, line())
    box.create().fails()


USERS = {
    "uid": {"uid": 70000, "gid": 0},
    "gid": {"uid": 0, "gid": 70000},
    "additional gid": {"uid": 0, "gid": 0, "additionalGids": [70000]},
}


@LEAVES_CGROUP
@pytest.mark.parametrize("which", USERS)
def test_an_id_without_a_mapping_is_an_error(mapped, which):
    mapped.set("process.user", USERS[which])
    result = mapped.create()
    assert result.code > 0 and result.err.strip(), result
    assert not mapped.runtime.ids()


def test_a_process_in_a_user_namespace_cannot_be_given_an_unmapped_id_by_exec(mapped):
    mapped.hold()
    result = mapped.exec("/probe", flags=["--user", "70000"])
    assert result.code in (1, 255) and result.err.strip()


def test_the_map_of_the_whole_host_is_a_user_namespace_all_the_same(mapped):
    map_both(mapped, line(0, 0, 4294967295))
    os.chown(mapped.rootfs, 0, 0)
    for which in ("bounding", "effective", "permitted"):
        mapped.set(f"process.capabilities.{which}", EVERYTHING)
    facts = mapped.facts()
    assert facts["namespaces"]["user"] != os.readlink("/proc/self/ns/user")
    mapped.hold()
    assert exec_calls(mapped, making_node("/mem", stat.S_IFCHR | 0o666, 257)) == ["EPERM"]
