"""Filesystems that show a namespace, and mounts in user namespaces: what is there, what cannot be."""

import os

import pytest

from harness import host, trace

FIRST, SIZE = 100000, 65536
RUNS_ON = "1.8 goes on without it"
NO_MAP = "1.1 wants mappings of a namespace that is joined as well"


def line(container=0, own=FIRST, size=SIZE):
    return {"containerID": container, "hostID": own, "size": size}


def into_user_namespace(box, *lines):
    box.bundle.namespace("user")
    box.bundle.namespace("network")  # sysfs is for who owns the network namespace
    for key in ("uidMappings", "gidMappings"):
        box.set(f"linux.{key}", list(lines) or [line()])
    os.chown(box.rootfs, FIRST, FIRST)


@pytest.fixture
def user(box):
    into_user_namespace(box)
    return box


@pytest.fixture(params=["no userns", "userns"])
def anywhere(box, request):
    if request.param == "userns":
        into_user_namespace(box)
    return box


# cgroup


@pytest.mark.row("mounts.cgroup")
def test_with_a_cgroup_namespace_its_root_is_what_is_mounted(anywhere):
    anywhere.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid"])
    anywhere.sh(
        "grep ^0:: /proc/self/cgroup | cut -d: -f3; ls -d /sys/fs/cgroup/harness || echo none"
    )
    assert anywhere.run().out.splitlines() == ["/", "none"]


@pytest.mark.row("mounts.cgroup")
def test_without_a_cgroup_namespace_the_whole_tree_is_there(anywhere):
    anywhere.bundle.without_namespace("cgroup")
    anywhere.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid", "noexec", "nodev"])
    # Its own place in the tree is where the kernel says that it is.
    anywhere.sh(
        "cat /sys/fs/cgroup$(grep ^0:: /proc/self/cgroup | cut -d: -f3)/cgroup.procs | grep -c ."
    )
    assert int(anywhere.run().check().out) >= 1
    mount = anywhere.facts().mounts_at("/sys/fs/cgroup")[-1]
    assert mount.kind == "cgroup2" and mount.root == "/"
    assert {"ro", "nosuid", "noexec", "nodev"} <= mount.options


@pytest.mark.row("mounts.cgroup")
def test_a_cgroup_mount_leaves_the_options_of_the_hosts_tree_alone(box):
    def options():
        with open("/proc/self/mountinfo", encoding="utf-8") as file:
            return [row.split(" - ")[1] for row in file if " - cgroup2 " in row]

    before = options()
    box.bundle.without_namespace("cgroup")
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro"])
    box.run().check()
    assert options() == before


@pytest.mark.row("mounts.cgroup")
@pytest.mark.peer(runc="1.1 only tries to mount it")
def test_a_cgroup_namespace_of_another_owner_shows_the_containers_own_cgroup(box):
    into_user_namespace(box)
    box.bundle.namespace("cgroup", "/proc/self/ns/cgroup")
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro"])
    box.sh("ls -d /sys/fs/cgroup/harness || echo none; cat /sys/fs/cgroup/cgroup.procs | grep -c .")
    assert int(box.run().check().out.split()[-1]) >= 1
    assert box.facts().mounts_at("/sys/fs/cgroup")[-1].root == f"/{box.id}"


# mqueue


@pytest.fixture
def queues():
    if not os.path.ismount("/dev/mqueue"):
        pytest.skip("/dev/mqueue is not mounted here")


@pytest.mark.row("mounts")
@pytest.mark.peer(runc="1.1 only tries to mount them", crun="1.8 only tries to mount them")
def test_without_an_ipc_namespace_the_queues_are_the_hosts(user, queues):
    user.bundle.without_namespace("ipc")
    user.bundle.mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"])
    mount = user.facts().mounts_at("/dev/mqueue")[-1]
    assert mount.kind == "mqueue" and {"nosuid", "noexec", "nodev"} <= mount.options


@pytest.mark.row("mounts")
def test_with_an_ipc_namespace_they_are_its_own(anywhere):
    anywhere.bundle.mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"])
    anywhere.sh("ls /dev/mqueue | wc -l; grep -c ' /dev/mqueue ' /proc/self/mountinfo")
    assert anywhere.run().check().out.split() == ["0", "1"]


# proc and sysfs


@pytest.mark.row("mounts.proc")
@pytest.mark.peer(crun="1.8 binds the host's")
def test_proc_without_a_pid_namespace_cannot_be_mounted_in_a_user_namespace(user):
    user.bundle.without_namespace("pid")
    said = user.create().fails().said
    assert "/proc" in said and "operation not permitted" in said
    assert not user.runtime.ids()


@pytest.mark.row("mounts.proc")
@pytest.mark.peer(runc="1.1 only tries to mount it", crun="1.8 leaves it writable")
def test_sysfs_without_a_network_namespace_is_the_hosts_and_read_only(user):
    user.bundle.without_namespace("network")
    mount = user.facts().mounts_at("/sys")[0]
    assert mount.kind == "sysfs" and "ro" in mount.options


# devpts


@pytest.mark.row("mounts")
@pytest.mark.peer(crun="1.8 has other words")
def test_a_group_of_devpts_that_is_not_mapped_is_an_error(box):
    into_user_namespace(box, line(size=1))
    said = box.create().fails().said
    assert "/dev/pts" in said and "invalid argument" in said


@pytest.mark.row("mounts")
def test_devpts_without_a_group_needs_no_mapping(box):
    into_user_namespace(box, line(size=1))
    pts = next(m for m in box.config["mounts"] if m["type"] == "devpts")
    pts["options"] = [word for word in pts["options"] if not word.startswith("gid=")]
    assert box.facts().mounts_at("/dev/pts")[-1].kind == "devpts"


# Devices


NODES = {"/dev/null": "1:3", "/dev/zero": "1:5", "/dev/full": "1:7", "/dev/tty": "5:0"}


def check_devices(box):
    box.sh(
        f"stat -c '%n %t:%T' {' '.join(NODES)}; echo x > /dev/null && head -c 2 /dev/zero | wc -c"
    )
    *nodes, count = box.run().check().out.splitlines()
    assert dict(node.split() for node in nodes) == NODES and count == "2"
    targets = {mount.target for mount in box.facts().mounts}
    assert set(NODES) <= targets, "bound, not made"


@pytest.mark.row("linux.devices")
def test_devices_are_bound_in_a_user_namespace(user):
    check_devices(user)


@pytest.mark.row("linux.devices")
@pytest.mark.peer(runc="1.1 wants mappings as well")
def test_devices_are_bound_in_a_user_namespace_that_is_joined(box):
    first = box.sibling("-first")
    into_user_namespace(first)
    first.hold()
    os.chown(box.rootfs, FIRST, FIRST)
    box.bundle.namespace("user", f"/proc/{first.pid}/ns/user")
    box.bundle.namespace("network", f"/proc/{first.pid}/ns/net")
    check_devices(box)


@pytest.mark.row("linux.devices")
@pytest.mark.parametrize(
    "joined",
    [
        pytest.param(False, id="new", marks=pytest.mark.peer(crun=RUNS_ON)),
        pytest.param(True, id="joined", marks=pytest.mark.peer(runc=NO_MAP, crun=RUNS_ON)),
    ],
)
def test_a_device_that_the_host_has_not_cannot_be_bound(box, joined):
    if joined:
        first = box.sibling("-first")
        into_user_namespace(first)
        first.hold()
        os.chown(box.rootfs, FIRST, FIRST)
        box.bundle.namespace("user", f"/proc/{first.pid}/ns/user")
        box.bundle.namespace("network", f"/proc/{first.pid}/ns/net")
    else:
        into_user_namespace(box)
    box.set("linux.devices", [{"path": "/dev/nonesuch", "type": "c", "major": 1, "minor": 3}])
    assert "/dev/nonesuch" in box.create().fails().said


# overlay


@pytest.fixture
def layers(box):
    """So many layers that their names do not fit into one value; the names of the files in them."""
    top = box.path("layers")
    names = [f"{'layer' * 8}-{number}" for number in range(12)]
    for name in names:
        (top / name).mkdir(parents=True)
        (top / name / name).write_text("")
        (top / name / "which").write_text(name)
    (top / "upper").mkdir()
    (top / "work").mkdir()
    yield top, names
    host.unmount_below(top)


@pytest.mark.row("mounts.options")
def test_an_overlay_may_have_more_layers_than_fit_into_one_value(box, layers):
    top, names = layers
    lower = ":".join(str(top / name) for name in names)
    assert len(lower) > 500
    words = [f"lowerdir={lower}", f"upperdir={top}/upper", f"workdir={top}/work"]
    box.bundle.mount("/o", "overlay", "overlay", words)
    box.sh("cat /o/which; echo; ls /o | wc -l; touch /o/new")
    assert box.run().check().out.split() == [names[0], str(len(names) + 1)]
    assert (top / "upper/new").exists()


@pytest.mark.row("mounts.options")
@pytest.mark.peer(runc="1.1 leaves it to the kernel", crun="1.8 leaves it to the kernel")
def test_an_option_that_is_too_long_is_named(box):
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["size=" + "1" * 300])
    said = box.create().fails().said
    assert 'option "size" has 300 bytes' in said and "/m" in said


# What a start costs on a host with many mounts


def births(box, hooked=False):
    """The clone3 and setns of a run: a copy of the host's mounts is what CLONE_NEWNS asks clone3 for."""
    if hooked:
        box.set("hooks", {"createContainer": [{"path": "/bin/true"}]})
    words = ("run", "--bundle", box.bundle.path, box.id)
    calls = trace.record(box, *words, calls="clone3,setns")[1]
    made = [call for call in calls if call.name == "setns" or "CLONE_NEWPID" in call.text]
    return [(call.name, "CLONE_NEWNS" in call.text) for call in made]


@pytest.mark.tare("a property of its design")
@pytest.mark.guest("Linux 7.0 can make a mount namespace that is not a copy")
def test_no_mount_of_the_host_is_copied_for_a_container(box):
    assert births(box) == [("clone3", False), ("setns", True)]


@pytest.mark.tare("a property of its design")
@pytest.mark.skipif(not trace.STRACE, reason="no strace to look on with")
def test_a_hook_of_the_container_finds_the_mounts_of_the_host(box):
    assert births(box, hooked=True) == [("clone3", True)]
