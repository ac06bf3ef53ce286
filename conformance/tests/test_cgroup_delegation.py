"""Cgroups that a container manages itself: its own, and one that an annotation names."""

import os
import signal

import pytest

from harness import events, host

FIRST = 100000
ANNOTATION = "run.oci.delegate-cgroup"
FILES = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"]
OF_ANNOTATION = pytest.mark.row("run.oci.delegate-cgroup")
NOT_RUNC = pytest.mark.peer(runc="runc does not know this annotation")


@pytest.fixture
def mapped(box):
    """A box whose root is 100000 outside, with its cgroup mounted writable."""
    maps = [{"containerID": 0, "hostID": FIRST, "size": 65536}]
    for kind in ("user", "network", "cgroup"):
        box.bundle.namespace(kind)
    box.set("linux.uidMappings", maps)
    box.set("linux.gidMappings", maps)
    box.set("linux.cgroupsPath", f"/{box.id}")
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "rw"])
    os.chown(box.rootfs, FIRST, FIRST)
    return box


def owners(box, below=""):
    place = host.CGROUPS / box.id / below
    return [os.stat(place / name).st_uid for name in (".", *FILES)]


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return next(row for row in file if row.startswith("0::")).strip()[3:]


@pytest.mark.peer(runc="runc does it with systemd only")
def test_a_writable_cgroup_is_that_of_the_containers_root(mapped):
    mapped.hold()
    assert owners(mapped) == [FIRST] * 4
    # What limits the container is not its own to change.
    assert os.stat(host.CGROUPS / mapped.id / "cgroup.max.depth").st_uid == 0


@pytest.mark.peer(runc="runc does it with systemd only")
def test_the_containers_root_can_make_cgroups_and_live_in_them(mapped):
    mapped.sh("cd /sys/fs/cgroup && mkdir a && echo $$ > a/cgroup.procs && cat /proc/self/cgroup")
    assert mapped.run().check().out.splitlines()[-1] == "0::/a"


def test_a_container_that_manages_its_cgroup_has_every_controller_that_its_parent_has(box):
    """As what runs in it limits in turn: a container engine, or systemd."""
    box.bundle.namespace("cgroup")
    box.set("linux.cgroupsPath", f"/{box.id}")
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "rw"])
    box.hold()
    above = (host.CGROUPS / "cgroup.controllers").read_text().split()
    assert set((host.CGROUPS / box.id / "cgroup.controllers").read_text().split()) == set(above)


@pytest.mark.peer(runc="runc does it with systemd only", crun="1.8 gives it to root")
def test_a_writable_cgroup_is_that_of_the_containers_user(mapped):
    mapped.set("process.user", {"uid": 7, "gid": 7})
    mapped.args("/probe")
    mapped.create().check()
    assert owners(mapped) == [FIRST + 7] * 4


@pytest.mark.peer(crun="crun gives the cgroup away in any case")
def test_a_cgroup_that_is_mounted_read_only_stays_the_hosts(mapped):
    mapped.config["mounts"][-1]["options"] = ["nosuid", "noexec", "nodev", "ro"]
    mapped.create().check()
    assert owners(mapped) == [0] * 4


@pytest.mark.peer(crun="crun gives the cgroup away in any case")
def test_a_cgroup_without_a_cgroup_namespace_stays_the_hosts(mapped):
    spaces = mapped.config["linux"]["namespaces"]
    mapped.set("linux.namespaces", [one for one in spaces if one["type"] != "cgroup"])
    mapped.create().check()
    assert owners(mapped) == [0] * 4


@OF_ANNOTATION
@pytest.mark.peer(
    runc="runc does not know this annotation",
    crun="1.8 gives the outer cgroup away too",
)
def test_an_annotation_names_a_cgroup_below_to_live_in(mapped):
    mapped.set("annotations", {ANNOTATION: "outer/inner"})
    mapped.hold()
    assert cgroup_of(mapped.pid) == f"/{mapped.id}/outer/inner"
    assert owners(mapped, "outer/inner") == [FIRST] * 4
    assert owners(mapped) == [0] * 4
    mapped.delete("--force").check()
    assert not (host.CGROUPS / mapped.id).exists()


@OF_ANNOTATION
@NOT_RUNC
def test_an_execd_process_lives_in_the_delegated_cgroup_too(mapped):
    mapped.set("annotations", {ANNOTATION: "inner"})
    mapped.hold()
    mapped.exec("/probe", "hold", flags=["--detach", "--pid-file", mapped.path("pid")]).check()
    pid = int(mapped.path("pid").read_text())
    assert cgroup_of(pid) == f"/{mapped.id}/inner"
    os.kill(pid, signal.SIGKILL)
    events.reap(pid)


@OF_ANNOTATION
@NOT_RUNC
@pytest.mark.parametrize(
    "path",
    ["..", "../../x", pytest.param("a/../../b", marks=pytest.mark.peer(crun="1.8 takes it"))],
)
def test_an_annotation_that_leads_out_of_the_cgroup_is_refused(mapped, path):
    mapped.set("annotations", {ANNOTATION: path})
    result = mapped.create()
    assert result.code > 0 and ".." in result.err, result
    assert not mapped.runtime.ids()


@OF_ANNOTATION
def test_a_container_that_fails_leaves_no_delegated_cgroup(mapped):
    mapped.set("annotations", {ANNOTATION: "inner/most"})
    mapped.args("/not/there")
    result = mapped.create()
    assert result.code > 0 and not (host.CGROUPS / mapped.id).exists()


def test_exec_finds_its_place_when_the_containers_own_cgroup_can_hold_no_process(box):
    """As with systemd in a container, which keeps the root of its tree for the tree."""
    controllers = (host.CGROUPS / "cgroup.controllers").read_text().split()
    domain = next((one for one in controllers if one not in ("cpu", "cpuset", "pids")), None)
    if not domain:
        pytest.skip("no controller in this cgroup2 tree that forbids inner processes")
    box.set("linux.cgroupsPath", f"/{box.id}")
    box.bundle.namespace("cgroup")
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "rw"])
    ready = box.bundle.fifo("ready")
    box.sh(
        "cd /sys/fs/cgroup && mkdir init.scope && echo $$ > init.scope/cgroup.procs &&"
        f" echo +{domain} > cgroup.subtree_control && exec /probe hold /ready"
    )
    box.create().check()
    # So that there is something to pass on.
    (host.CGROUPS / "cgroup.subtree_control").write_text(f"+{domain}")
    box.start().check()
    assert ready.line() == "ready"
    box.exec("/probe", "hold", flags=["--detach", "--pid-file", box.path("pid")]).check()
    pid = int(box.path("pid").read_text())
    assert cgroup_of(pid) == f"/{box.id}/init.scope"
    os.kill(pid, signal.SIGKILL)
    events.reap(pid)
