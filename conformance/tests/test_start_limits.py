"""A start or an exec that runs into a limit of the machine says which, where, and what it is."""

import pathlib

import pytest

from harness import host, sandbox

CGROUPS = host.CGROUPS
TARE = pytest.mark.tare("the others leave it to the reader to find the limit")


@pytest.fixture
def parent():
    """A cgroup that is there before the box, which clears it away in the end."""
    place = CGROUPS / "parent"
    place.mkdir()
    return place


@TARE
@pytest.mark.guest("needs the memory controller, and an OOM kill")
@pytest.mark.parametrize("where", ["own", "parent"])
def test_too_little_memory_for_init_is_told_with_its_limit(parent, box, where):
    """Of two limits the one that was hit is told."""
    box.set("linux.cgroupsPath", "/parent/one")
    place, limit = parent / "one", 4096
    box.set("linux.resources.memory", {"limit": limit})
    if where == "parent":
        place = parent
        box.set("linux.resources.memory", {"limit": 64 << 20})
        # Before the limit, as a cgroup is memory too.
        (parent / "cgroup.subtree_control").write_text("+memory")
        (parent / "one").mkdir()
        (parent / "memory.max").write_text(str(limit))
    said = box.create().fails().said
    assert "container init was OOM-killed (memory limit too low?)" in said
    assert f"memory.max of {place} is {limit}" in said
    assert box.state is None
    # What was there before stays, and what was not does not.
    assert (parent / "one").exists() == (where == "parent")
    if where == "parent":
        (parent / "one").rmdir()


@TARE
@pytest.mark.needs_controller("pids")
def test_too_few_processes_for_an_exec_are_told_with_their_limit(box):
    box.set("linux.cgroupsPath", "/few")
    box.set("linux.resources.pids", {"limit": 1})
    box.hold()
    said = box.exec("/bin/true").fails(255).said
    assert "resource temporarily unavailable" in said
    assert f"pids.max of {CGROUPS / 'few'} is 1" in said


@TARE
@pytest.mark.needs_controller("pids")
def test_too_few_processes_for_init_are_told_with_their_limit(parent, box):
    (parent / "pids.max").write_text("0")
    box.set("linux.cgroupsPath", "/parent/one")
    said = box.create().fails().said
    assert f"pids.max of {parent} is 0" in said
    assert not (parent / "one").exists()


@TARE
@pytest.mark.guest("changes a parameter of the kernel")
@pytest.mark.parametrize("kind, file", [("user", "user"), ("ipc", "ipc")])
def test_too_few_namespaces_are_told_with_their_limit(box, kind, file):
    limit = pathlib.Path(f"/proc/sys/user/max_{file}_namespaces")
    before = limit.read_text(encoding="ascii")
    if kind == "user":
        box.bundle.namespace("user")
        maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        box.set("linux.uidMappings", maps)
        box.set("linux.gidMappings", maps)
    limit.write_text("0", encoding="ascii")
    try:
        said = box.create().fails().said
    finally:
        limit.write_text(before, encoding="ascii")
    assert f"{limit} is 0" in said and "no space left on device" in said


@TARE
def test_a_full_disk_is_told_with_the_file_that_did_not_fit(box):
    root = box.runtime.root
    root.mkdir(parents=True)
    sandbox.mount("tmpfs", root, "tmpfs", 0, "size=64k")
    try:
        with pytest.raises(OSError), open(root / ".filler", "wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        said = box.create().fails().said
        assert "no space left on device" in said and str(root) in said
        assert box.runtime.ids() == []
    finally:
        host.unmount_below(root)


@TARE
@pytest.mark.guest("needs the memory controller, and an OOM kill")
@pytest.mark.parametrize("how", ["run", "run --detach", "start"])
def test_too_little_memory_for_execve_is_told_with_its_limit(box, how):
    """Past the start gate: execve copies the arguments, which are charged to the container."""
    box.set("linux.cgroupsPath", "/tight")
    limit = 768 << 10
    box.set("linux.resources.memory", {"limit": limit})
    box.args("/bin/true", *["x" * (100 << 10)] * 15)
    if how == "start":
        box.create().check()
        said = box.start().fails().said
        assert box.status == "stopped"
    else:
        said = box.run(*how.split()[1:]).fails().said
        assert box.state is None
    assert "container init was OOM-killed (memory limit too low?)" in said
    assert f"memory.max of {CGROUPS / 'tight'} is {limit}" in said
