"""linux.intelRdt: refused where there is no resctrl, and at work where there is one."""

import pathlib

import pytest

pytestmark = pytest.mark.row("linux.intelRdt")


def resctrl():
    """Where resctrl is mounted, or nothing."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        if " - resctrl " in line:
            return pathlib.Path(line.split(" ")[4])
    return None


RDT = resctrl()
without = pytest.mark.skipif(RDT is not None, reason="resctrl is mounted")
needed = pytest.mark.skipif(RDT is None, reason="no resctrl is mounted on this machine")

ASKED = {
    "a schema of the cache": {"l3CacheSchema": "L3:0=f"},
    "a schema of bandwidth": {"closID": "x", "memBwSchema": "MB:0=20"},
    "a class": {"closID": "nonesuch"},
}


IGNORED = "1.8 goes on without"
PEERS = {name: {"crun": IGNORED} for name in ASKED}
PEERS["a class"]["runc"] = "1.1 goes on without where there is no schema"


@without
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.peer(**PEERS[name])) for name in ASKED]
)
def test_without_resctrl_it_is_refused_and_nothing_is_left(box, name):
    box.set("linux.intelRdt", ASKED[name])
    assert "Intel RDT" in box.create().fails().said
    assert box.state is None


@pytest.mark.peer(crun="1.8 does not look at a class without resctrl")
@pytest.mark.parametrize("clos", ["..", ".", "a/b", "/a"])
def test_a_class_outside_of_resctrl_is_refused(box, clos):
    box.set("linux.intelRdt", {"closID": clos, "l3CacheSchema": "L3:0=f"})
    box.create().fails()
    assert box.state is None


@needed
def test_a_class_of_its_own_is_made_and_goes_with_the_container(box):
    box.set("linux.intelRdt", {"enableMonitoring": True})
    box.hold()
    group = RDT / box.id
    assert str(box.pid) in (group / "tasks").read_text().split()
    box.stop()
    box.delete().check()
    assert not group.exists()


@needed
def test_a_class_that_must_exist_and_does_not_is_an_error(box):
    box.set("linux.intelRdt", {"closID": "tconf-nonesuch"})
    assert "must be pre-created" in box.create().fails().said
    assert not (RDT / "tconf-nonesuch").exists()
