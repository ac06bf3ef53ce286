"""The systemd driver: a container's cgroup is a scope, and systemd's view of it the kernel's."""

import os
import pathlib
import signal
import socket
import subprocess

import pytest

from harness import events

pytestmark = pytest.mark.guest("a service manager")

# systemd knows nothing of the cgroup namespace and the mounts that the suite is in. A mount made
# outside of cgroup namespaces sets the tree's options for everybody: the ones that systemd has given.
CGROUPS = pathlib.Path("/proc/1/root/sys/fs/cgroup")
OUTSIDE = ("nsenter", "-t", "1", "-C", "unshare", "-m", "/bin/sh", "-c")
OUTSIDE += ('mount -t cgroup2 -o "$0" cgroup2 /sys/fs/cgroup; exec "$@"',)
SLICE = "tconf.slice"
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


@pytest.fixture
def scoped(box):
    """A box whose runtime leaves the cgroup to systemd, and the name of its unit."""
    box.runtime.wrapper = (*OUTSIDE, tree_options())
    box.runtime.globals = ("--systemd-cgroup",)
    box.set("linux.cgroupsPath", f"{SLICE}:tconf:{box.id}")
    box.unit = f"tconf-{box.id}.scope"
    box.place = CGROUPS / SLICE / box.unit
    yield box
    if box.state:
        box.delete("--force").check()
    left = systemctl("list-units", "--all", "--plain", "--no-legend", "tconf-*.scope").stdout
    assert left == "", "units left"
    systemctl("stop", SLICE)


def tree_options():
    with open("/proc/1/mountinfo", encoding="utf-8") as file:
        return next(line.split()[-1] for line in file if " - cgroup2 " in line)


def systemctl(*words):
    return subprocess.run(("systemctl", *words), capture_output=True, text=True, check=False)


def shown(unit, *names):
    """Properties of a unit, by their names."""
    words = systemctl("show", unit, *(f"--property={name}" for name in names)).stdout.split("\n")
    return dict(line.split("=", 1) for line in words if line)


def read(box, name):
    return (box.place / name).read_text().strip()


def test_the_container_lives_in_a_scope_of_its_slice(scoped):
    scoped.hold()
    about = shown(scoped.unit, "ControlGroup", "Slice", "Delegate", "ActiveState")
    assert about == {
        "ControlGroup": f"/{SLICE}/{scoped.unit}",
        "Slice": SLICE,
        "Delegate": "yes",
        "ActiveState": "active",
    }
    assert str(scoped.pid) in read(scoped, "cgroup.procs").split()


def test_the_scope_is_gone_with_the_container(scoped):
    scoped.hold()
    scoped.stop()
    scoped.delete().check()
    assert shown(scoped.unit, "LoadState")["LoadState"] == "not-found"
    assert not scoped.place.exists()


def test_a_container_of_the_same_name_can_follow_at_once(scoped):
    for _ in range(3):
        scoped.args("/bin/true")
        scoped.run().check()


def test_a_scope_with_too_little_memory_is_said_to_have_it(scoped):
    scoped.set("linux.resources.memory", {"limit": 4096})
    assert "memory limit" in scoped.create().fails().err


def test_without_a_path_the_scope_is_named_for_the_container(scoped):
    scoped.set("linux.cgroupsPath", "")
    scoped.hold()
    place = (CGROUPS / "system.slice").glob(f"*-{scoped.id}.scope")
    assert [read_pids(one) for one in place] == [[str(scoped.pid)]]


def read_pids(place):
    return (place / "cgroup.procs").read_text().split()


LIMITS = {
    "memory.max": ({"memory": {"limit": 1 << 26}}, "67108864", "MemoryMax", "67108864"),
    "memory.low": ({"memory": {"reservation": 1 << 22}}, "4194304", "MemoryLow", "4194304"),
    "memory.swap.max": (
        {"memory": {"limit": 1 << 26, "swap": 3 << 25}},
        "33554432",
        "MemorySwapMax",
        "33554432",
    ),
    "pids.max": ({"pids": {"limit": 20}}, "20", "TasksMax", "20"),
    "cpuset.cpus": ({"cpu": {"cpus": "0"}}, "0", "AllowedCPUs", "0"),
    "cpuset.mems": ({"cpu": {"mems": "0"}}, "0", "AllowedMemoryNodes", "0"),
    "cpu.max": (
        {"cpu": {"quota": 50000, "period": 100000}},
        "50000 100000",
        "CPUQuotaPerSecUSec",
        "500ms",
    ),
    "memory.high": ({"unified": {"memory.high": "33554432"}}, "33554432", "MemoryHigh", "33554432"),
}


@pytest.mark.parametrize("file", LIMITS)
def test_a_limit_is_both_the_kernels_and_systemds(scoped, file):
    resources, kernels, name, systemds = LIMITS[file]
    for key, value in resources.items():
        scoped.set(f"linux.resources.{key}", value)
    scoped.hold()
    assert read(scoped, file) == kernels
    assert shown(scoped.unit, name) == {name: systemds}


def test_cpu_shares_are_one_weight_for_both(scoped):
    scoped.set("linux.resources.cpu", {"shares": 512})
    scoped.hold()
    assert shown(scoped.unit, "CPUWeight") == {"CPUWeight": read(scoped, "cpu.weight")}


def test_a_limit_that_systemd_has_no_property_for_reaches_the_kernel(scoped):
    scoped.set("linux.resources.unified", {"cgroup.max.depth": "7"})
    scoped.hold()
    assert read(scoped, "cgroup.max.depth") == "7"


@pytest.mark.row("org.systemd.property")
def test_an_annotation_is_a_property_of_the_scope(scoped):
    scoped.set("annotations", {"org.systemd.property.TimeoutStopSec": "uint64 7"})
    scoped.hold()
    assert shown(scoped.unit, "TimeoutStopUSec") == {"TimeoutStopUSec": "7s"}


@pytest.mark.parametrize(
    "annotation",
    [
        ("org.systemd.property.TimeoutStopSec", "uint64"),
        ("org.systemd.property.TimeoutStopSec", "'x'"),
        ("org.systemd.property.No-Letter", "true"),
        ("org.systemd.property.NoSuchThing", "true"),
    ],
)
@pytest.mark.row("org.systemd.property")
def test_a_wrong_annotation_is_an_error_and_no_scope_is_left(scoped, annotation):
    scoped.set("annotations", dict([annotation]))
    said = scoped.run().fails().said
    assert annotation[0].rsplit(".", 1)[1].removesuffix("Sec") in said
    assert shown(scoped.unit, "LoadState")["LoadState"] == "not-found"


PATHS = {
    "/absolute": 'expected cgroupsPath to be of format "slice:prefix:name"',
    "relative": "expected cgroupsPath",
    "a:b": "expected cgroupsPath",
    "a:b:c:d": "expected cgroupsPath",
    "a.service:b:c": "invalid slice name: a.service",
    "a--b.slice:b:c": "invalid slice name: a--b.slice",
    "a.slice:b:c.slice": '"c.slice" is a slice',
    "a.slice:b:c/d": "cannot be the name of a systemd unit",
    "a.slice:b:": "names no unit",
}


@pytest.mark.tare("finds a name that is none before it asks systemd")
@pytest.mark.parametrize("path", PATHS)
def test_a_path_that_names_no_scope_is_refused(scoped, path):
    scoped.set("linux.cgroupsPath", path)
    assert PATHS[path] in scoped.run().fails().said


def test_exec_is_in_the_scope(scoped):
    scoped.hold()
    pid = scoped.path("pid")
    scoped.exec("/probe", "hold", flags=("--detach", "--pid-file", pid)).check()
    assert sorted(read_pids(scoped.place)) == sorted([str(scoped.pid), pid.read_text()])
    os.kill(int(pid.read_text()), signal.SIGKILL)
    events.reap(int(pid.read_text()))


@pytest.mark.row("run.oci.systemd.subgroup")
@pytest.mark.peer(runc="has no such annotation")
def test_the_process_is_in_the_subgroup_of_the_scope_and_exec_too(scoped):
    scoped.set("annotations", {"run.oci.systemd.subgroup": "payload"})
    scoped.set("linux.resources.pids", {"limit": 20})
    scoped.hold()
    assert read_pids(scoped.place / "payload") == [str(scoped.pid)]
    assert read(scoped, "pids.max") == "20"
    scoped.exec("/bin/true").check()


DEVICES = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"},
]


def test_no_device_is_lost_by_a_daemon_reload(scoped):
    scoped.set("linux.resources.devices", DEVICES)
    scoped.hold()
    systemctl("daemon-reload")
    scoped.exec("/bin/sh", "-c", "head -c 1 /dev/zero >/dev/null && echo >/dev/null").check()


def test_systemd_knows_the_devices(scoped):
    scoped.set("linux.resources.devices", DEVICES)
    scoped.hold()
    about = shown(scoped.unit, "DevicePolicy", "DeviceAllow")
    assert about["DevicePolicy"] == "strict"
    listed = systemctl("show", scoped.unit, "--property=DeviceAllow").stdout
    assert "/dev/char/10:200 rw" in listed


def test_an_update_is_both_the_kernels_and_systemds_and_outlives_a_reload(scoped):
    scoped.set("linux.resources.pids", {"limit": 20})
    scoped.hold()
    scoped.runtime.call("update", "--pids-limit", "30", "--memory", "64M", scoped.id).check()
    systemctl("daemon-reload")
    assert (read(scoped, "pids.max"), read(scoped, "memory.max")) == ("30", "67108864")
    assert shown(scoped.unit, "TasksMax", "MemoryMax") == {"TasksMax": "30", "MemoryMax": "67108864"}


@pytest.mark.tare("an update is all or nothing")
def test_a_refused_update_leaves_systemd_as_it_was(scoped):
    scoped.set("linux.resources.pids", {"limit": 20})
    scoped.hold()
    resources = scoped.path("resources.json")
    resources.write_text('{"pids": {"limit": 30}, "unified": {"memory.max": "nonsense"}}')
    scoped.runtime.call("update", "--resources", resources, scoped.id).fails()
    assert read(scoped, "pids.max") == "20"
    assert shown(scoped.unit, "TasksMax") == {"TasksMax": "20"}


def test_a_leftover_that_has_failed_makes_way(scoped):
    script = ("systemd-run", "--scope", f"--unit={scoped.unit}", "--quiet", "/bin/sh", "-c", "exit 1")
    subprocess.run(script, check=False, capture_output=True)
    scoped.args("/bin/true")
    scoped.run().check()


def test_a_unit_of_somebody_else_is_left_alone(scoped):
    other = subprocess.Popen(
        ("systemd-run", "--scope", f"--unit={scoped.unit}", "--quiet", "/bin/cat"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    other.stdin.write(b"here\n")
    other.stdin.flush()
    assert other.stdout.readline() == b"here\n"
    scoped.args("/bin/true")
    scoped.run().fails()
    assert shown(scoped.unit, "ActiveState") == {"ActiveState": "active"}
    other.communicate()


@pytest.mark.tare("tells what it was that it could not reach")
def test_without_a_bus_the_error_says_so(scoped):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    said = scoped.run(env=env).fails().said
    assert "systemd: connect to unix:path=/nowhere" in said
    assert "no such file or directory" in said
    assert not scoped.place.exists()


@pytest.mark.tare("waits 30 s and not for ever")
def test_a_bus_that_does_not_answer_is_not_waited_for_without_end(scoped):
    with socket.socket(socket.AF_UNIX) as bus:
        bus.bind(str(scoped.path("bus")))
        bus.listen()
        address = f"unix:path={scoped.path('bus')}"
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": address}
        said = scoped.run(env=env, timeout=100).fails().said
    assert f"systemd: connect to {address}" in said and "timed out" in said
    assert not scoped.runtime.ids()


@pytest.mark.tare("commands that systemd has no part in need no bus")
def test_a_running_container_is_watched_and_signalled_without_a_bus(scoped):
    scoped.hold()
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nowhere"}
    for words in (("state", scoped.id), ("pause", scoped.id), ("resume", scoped.id), ("list",)):
        scoped.runtime.call(*words, env=env).check()
    scoped.exec("/bin/true", env=env).check()
    scoped.kill("KILL", env=env).check()


def test_the_period_of_a_quota_that_is_none_is_kept_for_the_next(scoped):
    scoped.hold()
    scoped.runtime.call("update", "--cpu-period", "50000", scoped.id).check()
    assert read(scoped, "cpu.max") == "max 50000"
    scoped.runtime.call("update", "--cpu-quota", "20000", scoped.id).check()
    assert read(scoped, "cpu.max") == "20000 50000"


@pytest.mark.peer(crun="says what systemd says")
def test_a_scope_that_is_in_use_is_a_cgroup_that_is_not_empty(scoped):
    scoped.hold()
    other = scoped.sibling("-two")
    other.set("linux.cgroupsPath", scoped.config["linux"]["cgroupsPath"])
    other.args("/bin/true")
    assert "container's cgroup is not empty" in other.run().fails().said
    assert scoped.status == "running"


def test_fifty_scopes_come_and_go_at_once_and_leave_nothing(scoped):
    boxes = [scoped.sibling(f"-{number}") for number in range(50)]
    for each in boxes:
        each.set("linux.cgroupsPath", f"{SLICE}:tconf:{each.id}")
    calls = [each.popen("create", **QUIET) for each in boxes]
    assert [call.wait().code for call in calls] == [0] * len(boxes)
    assert len(list((CGROUPS / SLICE).glob("tconf-*.scope"))) == len(boxes)
    calls = [scoped.runtime.popen("delete", "--force", each.id) for each in boxes]
    assert [call.wait().code for call in calls] == [0] * len(boxes)
    assert not scoped.runtime.ids()
    assert not list((CGROUPS / SLICE).glob("tconf-*.scope"))


def silent(scoped):
    """Has the container wait without a word, deaf to SIGTERM as the first of its pid namespace."""
    os.mkfifo(scoped.rootfs / "never")
    scoped.sh("while :; do read -r x < /never; done")
    return QUIET


def test_a_scope_that_has_failed_is_gone_with_delete(scoped):
    limits = {"RuntimeMaxSec": "1", "TimeoutStopSec": "1"}
    scoped.set("annotations", {f"org.systemd.property.{name}": limits[name] for name in limits})
    scoped.run("--detach", **silent(scoped)).check()
    assert scoped.wait() == -signal.SIGKILL
    while shown(scoped.unit, "ActiveState")["ActiveState"] != "failed":
        pass  # systemd learns of it a moment later; the test's own time limit ends this
    scoped.delete().check()
    assert shown(scoped.unit, "LoadState")["LoadState"] == "not-found"


def test_what_was_saved_goes_on_in_a_scope_of_its_own(scoped):
    quiet = silent(scoped)
    scoped.run("--detach", **quiet).check()
    images = scoped.path("images")
    mode = ("--manage-cgroups-mode", "ignore", "--image-path", images)
    scoped.runtime.call("checkpoint", *mode, scoped.id).check()
    assert shown(scoped.unit, "LoadState")["LoadState"] == "not-found"
    words = ("restore", "--detach", "--bundle", scoped.bundle.path, *mode, scoped.id)
    assert scoped.runtime.popen(*words, **quiet).wait().code == 0
    assert str(scoped.pid) in read(scoped, "cgroup.procs").split()
    assert shown(scoped.unit, "ActiveState")["ActiveState"] == "active"
