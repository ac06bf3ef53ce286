"""linux.namespaces: new ones, joined ones, shared ones, and paths that are none."""

import os
import pathlib
import socket
import stat
import subprocess

import pytest

from harness import events, host, sandbox

pytestmark = pytest.mark.row("linux.namespaces")

# The type in a config to the name below /proc/PID/ns.
NAMES = {
    "pid": "pid",
    "network": "net",
    "mount": "mnt",
    "ipc": "ipc",
    "uts": "uts",
    "user": "user",
    "cgroup": "cgroup",
    "time": "time",
}
NO_TIME = pytest.mark.peer(runc="1.1 does not know time namespaces", crun="1.8 does not know them")
MAPS = [{"containerID": 0, "hostID": 0, "size": 65536}]


def own(kind):
    """The suite's own namespace of a type, which a runtime inherits."""
    return os.readlink(f"/proc/self/ns/{NAMES[kind]}")


def ask_for_all(box):
    """Every namespace but `time` as a new one."""
    for kind in ("pid", "network", "mount", "ipc", "uts", "user", "cgroup"):
        box.bundle.namespace(kind)
    box.set("linux.uidMappings", MAPS)
    box.set("linux.gidMappings", MAPS)


@pytest.fixture
def holder():
    """Makes processes that hold new namespaces; gives back the directory of their links."""
    made = []

    def hold(*flags):
        words = ["unshare", *flags, "sh", "-c", "echo ready; read line"]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        made.append(process)
        assert process.stdout.readline() == b"ready\n"
        return f"/proc/{process.pid}/ns"

    yield hold
    for process in made:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def test_every_namespace_that_is_asked_for_is_new(box):
    ask_for_all(box)
    found = box.facts()["namespaces"]
    assert not [kind for kind in NAMES if kind != "time" and found[NAMES[kind]] == own(kind)]


@NO_TIME
def test_a_time_namespace_is_new(box):
    box.bundle.namespace("time")
    facts = box.facts()
    assert facts["namespaces"]["time"] != own("time")
    assert [line.split() for line in facts["timens_offsets"]] == [
        ["monotonic", "0", "0"],
        ["boottime", "0", "0"],
    ]


@pytest.mark.row("linux.timeOffsets")
@pytest.mark.peer(runc="1.1 ignores the field", crun="1.8 ignores the field")
def test_time_offsets_without_a_time_namespace_are_refused(box):
    box.set("linux.timeOffsets", {"monotonic": {"secs": 1, "nanosecs": 0}})
    box.create().fails()


def test_a_namespace_that_is_not_asked_for_is_shared(box):
    box.bundle.without_namespace("ipc", "cgroup")
    found = box.facts()["namespaces"]
    for kind in ("ipc", "cgroup", "network", "user", "time"):
        assert found[NAMES[kind]] == own(kind), kind


def test_the_host_shares_uts_and_pid_when_these_are_not_asked_for(box):
    box.bundle.without_namespace("uts", "pid")
    box.bundle.unset("hostname")
    box.bundle.config["mounts"][0] = {
        "destination": "/proc",
        "type": "bind",
        "source": "/proc",
        "options": ["rbind", "ro"],
    }
    facts = box.facts()
    assert facts["namespaces"]["uts"] == own("uts") and facts["namespaces"]["pid"] == own("pid")
    assert facts["hostname"] == socket.gethostname()
    assert facts["pid"] > 1


@pytest.mark.peer(runc="1.1 kills them but does not wait for them, so that their cgroup stays")
def test_delete_kills_all_processes_of_a_container_without_a_pid_namespace(box):
    box.bundle.without_namespace("pid")
    box.bundle.config["mounts"][0] = {
        "destination": "/proc",
        "type": "bind",
        "source": "/proc",
        "options": ["rbind", "ro"],
    }
    ready = box.bundle.fifo("ready")
    box.sh("/probe orphan /ready; exec /probe hold")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    there = list(host.descendants())
    assert len(there) >= 2
    box.delete("--force").check()
    for pid in there:
        events.wait_exit(pid)


def test_the_first_process_of_a_new_pid_namespace_is_its_init(box):
    facts = box.facts()
    assert (facts["pid"], facts["ppid"]) == (1, 0)


@pytest.mark.parametrize("kind", ["network", "ipc", "uts", "cgroup", "pid"])
def test_a_namespace_of_another_container_is_joined_by_its_path(box, kind):
    other = box.sibling("other")
    other.bundle.namespace("network")
    other.set("hostname", "theirs")
    other.hold()
    path = f"/proc/{other.pid}/ns/{NAMES[kind]}"
    box.bundle.namespace(kind, path)
    if kind == "uts":
        box.bundle.unset("hostname")
    facts = box.facts()
    assert facts["namespaces"][NAMES[kind]] == os.readlink(path)
    if kind == "uts":
        assert facts["hostname"] == "theirs"
    if kind == "pid":
        assert facts["pid"] > 1
    assert other.status == "running"


def test_all_namespaces_of_a_pod_are_joined_together(box):
    other = box.sibling("pause")
    other.bundle.namespace("network")
    other.hold()
    kinds = ("network", "ipc", "uts", "pid")
    for kind in kinds:
        box.bundle.namespace(kind, f"/proc/{other.pid}/ns/{NAMES[kind]}")
    box.bundle.unset("hostname")
    box.hold()
    for kind in kinds:
        link = f"ns/{NAMES[kind]}"
        assert os.readlink(f"/proc/{box.pid}/{link}") == os.readlink(f"/proc/{other.pid}/{link}")
    assert box.exec_facts()["namespaces"]["net"] == os.readlink(f"/proc/{other.pid}/ns/net")
    box.stop()  # The init of a pid namespace waits for everybody in it to be collected.


def test_a_namespace_is_joined_by_a_file_that_it_is_bound_to(box, holder):
    links = holder("--net")
    file = box.path("netns")
    file.touch()
    sandbox.mount(f"{links}/net", file, None, 0x1000)
    try:
        box.bundle.namespace("network", file)
        assert box.facts()["namespaces"]["net"] == os.readlink(f"{links}/net")
    finally:
        host.unmount_below(file)


@pytest.mark.parametrize(
    "maps",
    [
        pytest.param(True, id="with its mappings in the config"),
        pytest.param(
            False,
            id="without mappings",
            marks=pytest.mark.peer(runc="1.1 demands mappings"),
        ),
    ],
)
def test_a_user_namespace_is_joined_by_its_path(box, holder, maps):
    links = holder("--user", "--net")
    for name in ("uid_map", "gid_map"):
        pathlib.Path(links).parent.joinpath(name).write_text("0 0 65536")
    box.bundle.namespace("user", f"{links}/user")
    if maps:
        box.set("linux.uidMappings", MAPS)
        box.set("linux.gidMappings", MAPS)
    # sysfs can be mounted only by who owns the network namespace.
    box.bundle.namespace("network", f"{links}/net")
    facts = box.facts()
    assert facts["namespaces"]["user"] == os.readlink(f"{links}/user")
    assert facts["uids"] == [0, 0, 0]


def mapped(links):
    """Gives a user namespace that is still empty its ids; its root is 100000 outside."""
    for name in ("uid_map", "gid_map"):
        pathlib.Path(links).parent.joinpath(name).write_text("0 100000 65536")


OWN_IDS = pytest.mark.peer(runc="1.1 demands mappings and does not compare them")


@OWN_IDS
def test_the_ids_of_a_joined_user_namespace_hold_for_create_and_exec(box, holder):
    links = holder("--user", "--net")
    mapped(links)
    os.chown(box.rootfs, 100000, 100000)
    box.bundle.namespace("user", f"{links}/user")
    box.bundle.namespace("network", f"{links}/net")
    box.hold()
    facts = box.exec_facts("--user", "7:8")
    assert facts["uids"] == [7, 7, 7] and facts["gids"] == [8, 8, 8]
    result = box.exec("/probe", flags=["--user", "65536"])
    assert result.code in (1, 255) and result.err.strip(), result


@pytest.mark.peer(runc="1.1 ignores them", crun="1.8 ignores them")
@pytest.mark.parametrize("which", ["uidMappings", "gidMappings"])
def test_mappings_that_a_joined_user_namespace_does_not_have_are_refused(box, holder, which):
    links = holder("--user", "--net")
    mapped(links)
    box.bundle.namespace("user", f"{links}/user")
    box.bundle.namespace("network", f"{links}/net")
    good = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    box.set("linux.uidMappings", good)
    box.set("linux.gidMappings", good)
    box.set(f"linux.{which}", MAPS)
    result = box.create().fails()
    assert "both namespace path and non-matching mapping specified" in result.err


def test_an_id_that_a_joined_user_namespace_does_not_map_is_an_error(box, holder):
    links = holder("--user", "--net")
    mapped(links)
    box.bundle.namespace("user", f"{links}/user")
    box.bundle.namespace("network", f"{links}/net")
    box.set("process.user", {"uid": 5, "gid": 65536})
    result = box.create()
    assert result.code > 0 and result.err.strip(), result
    if box.runtime.kind == "tare":
        assert "/process/user/gid" in result.err


@OWN_IDS
def test_a_joined_network_may_belong_to_another_user_namespace_than_the_joined_one(box, holder):
    links = holder("--user")
    mapped(links)
    network = holder("--net")
    os.chown(box.rootfs, 100000, 100000)
    box.bundle.namespace("user", f"{links}/user")
    box.bundle.namespace("network", f"{network}/net")
    # sysfs can be mounted only by who owns the network namespace.
    box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] != "sysfs"]
    box.hold()
    for facts in (box.exec_facts(), box.exec_facts("--user", "1")):
        assert facts["namespaces"]["user"] == os.readlink(f"{links}/user")
        assert facts["namespaces"]["net"] == os.readlink(f"{network}/net")


def test_a_user_namespace_without_a_root_is_refused(box, holder):
    links = holder("--user", "--net")
    box.bundle.namespace("user", f"{links}/user")
    box.bundle.namespace("network", f"{links}/net")
    result = box.create()
    assert result.code > 0 and result.err.strip(), result


@NO_TIME
def test_a_time_namespace_is_joined_by_its_path(box, holder):
    links = holder("--time", "--monotonic", "50", "--fork")
    box.bundle.namespace("time", f"{links}/time_for_children")
    facts = box.facts()
    assert facts["namespaces"]["time"] == os.readlink(f"{links}/time_for_children")


@pytest.mark.parametrize("kind", ["network", "ipc"])
def test_a_path_to_the_runtimes_own_namespace_shares_it(box, kind):
    box.bundle.namespace(kind, f"/proc/{os.getpid()}/ns/{NAMES[kind]}")
    assert box.facts()["namespaces"][NAMES[kind]] == own(kind)


def test_the_loopback_device_of_a_new_network_namespace_is_up(box):
    box.bundle.namespace("network")
    box.args("/bin/cat", "/sys/class/net/lo/flags")
    assert int(box.run().check().out, 16) & 1, "IFF_UP"


def test_the_devices_of_a_joined_network_namespace_are_left_alone(box, holder):
    box.bundle.namespace("network", f"{holder('--net')}/net")
    box.args("/bin/cat", "/sys/class/net/lo/flags")
    assert not int(box.run().check().out, 16) & 1, "IFF_UP"


LEAVES_CGROUP = pytest.mark.peer(crun="1.8 fails, but leaves the cgroup")
WRONG = {"network": "uts", "uts": "net", "ipc": "mnt", "pid": "ipc", "cgroup": "net"}


@pytest.mark.peer(
    runc="1.1 leaves the cgroup, now and then", crun="1.8 fails, but leaves the cgroup"
)
@pytest.mark.parametrize("kind", WRONG)
def test_a_path_to_a_namespace_of_another_type_is_an_error(box, kind):
    box.bundle.namespace(kind, f"/proc/{os.getpid()}/ns/{WRONG[kind]}")
    box.create().fails()


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    os.mknod(path, stat.S_IFSOCK | 0o600)


def make_file(path):
    path.write_text("no namespace")


def make_device(path):
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


def make_directory(path):
    path.mkdir()


def make_loop(path):
    path.symlink_to(path)


def make_nothing(path):
    pass


HANGS = pytest.mark.peer(runc="1.1 waits for a writer", crun="1.8 waits for a writer")
MAKERS = (make_socket, make_file, make_device, make_directory, make_loop, make_nothing)


@pytest.mark.parametrize(
    "make",
    [pytest.param(make_fifo, marks=HANGS), *(pytest.param(m, marks=LEAVES_CGROUP) for m in MAKERS)],
    ids=lambda make: make.__name__.removeprefix("make_"),
)
def test_a_path_to_what_is_no_namespace_is_an_error_and_no_hang(box, make):
    make(box.path("ns"))
    for kind in ("network", "pid", "user"):
        box.bundle.namespace(kind, box.path("ns"))
        box.create(timeout=3).fails()
        box.bundle.without_namespace(kind)


@LEAVES_CGROUP
def test_a_relative_path_is_an_error(box):
    box.bundle.namespace("network", "proc/self/ns/net")
    box.create(cwd="/").fails()


@pytest.mark.peer(crun="1.8 takes the last of them")
@pytest.mark.parametrize("kind", ["pid", "network", "mount", "uts", "ipc", "cgroup"])
def test_the_same_type_twice_is_an_error(box, kind):
    box.bundle.without_namespace(kind)
    box.config["linux"]["namespaces"] += [{"type": kind}, {"type": kind}]
    box.create().fails()


@LEAVES_CGROUP
@pytest.mark.parametrize("kind", ["nonesuch", "net", "PID", ""])
def test_an_unknown_type_is_an_error(box, kind):
    box.config["linux"]["namespaces"].append({"type": kind})
    box.create().fails()


def test_namespaces_are_gone_with_the_container(box):
    box.bundle.namespace("network")
    box.hold()
    kinds = ("net", "ipc", "uts", "mnt")
    held = {os.readlink(f"/proc/{box.pid}/ns/{kind}") for kind in kinds}
    box.stop()
    box.delete().check()
    left = {os.readlink(f"/proc/{pid}/ns/{kind}") for pid in host.descendants() for kind in kinds}
    assert not held & left
