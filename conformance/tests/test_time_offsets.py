"""linux.timeOffsets: the clocks of a new time namespace, of init and of what exec adds."""

import os
import time

import pytest

from harness import Snapshot

pytestmark = [
    pytest.mark.row("linux.timeOffsets"),
    pytest.mark.peer(runc="1.1 does not know the field", crun="1.8 does not know time namespaces"),
    pytest.mark.skipif(
        not os.path.exists("/proc/self/timens_offsets"), reason="a kernel without time namespaces"
    ),
]
OFFSETS = {
    "monotonic": {"secs": 7881, "nanosecs": 2718281},
    "boottime": {"secs": 1337000, "nanosecs": 3141519},
}


def rows(facts):
    return [line.split() for line in facts["timens_offsets"]]


@pytest.fixture
def shifted(box):
    box.bundle.namespace("time")
    box.set("linux.timeOffsets", OFFSETS)
    return box


WANTED = [["monotonic", "7881", "2718281"], ["boottime", "1337000", "3141519"]]


def test_the_offsets_are_those_of_the_config(shifted):
    facts = shifted.facts()
    assert rows(facts) == WANTED
    assert facts["namespaces"]["time"] != os.readlink("/proc/self/ns/time")
    assert facts["namespaces"]["time"] == facts["namespaces"]["time_for_children"]


def test_the_clock_that_a_program_reads_is_ahead(shifted):
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    shifted.args("/bin/cat", "/proc/uptime")
    uptime = float(shifted.run().check().out.split()[0])
    assert 1336999 <= uptime - before < 1337060


def test_an_execd_process_has_the_same_clocks(shifted):
    shifted.hold()
    facts = shifted.exec_facts()
    assert rows(facts) == WANTED
    assert facts["namespaces"]["time"] == os.readlink(f"/proc/{shifted.pid}/ns/time")


def test_the_clocks_may_be_set_in_a_user_namespace(shifted):
    shifted.bundle.namespace("user")
    shifted.bundle.namespace("network")
    for which in ("uidMappings", "gidMappings"):
        shifted.set(f"linux.{which}", [{"containerID": 0, "hostID": 100000, "size": 65536}])
    os.chown(shifted.rootfs, 100000, 100000)
    shifted.set("process.user", {"uid": 7, "gid": 7})
    os.chmod(shifted.rootfs, 0o777)
    assert rows(shifted.facts()) == WANTED


def test_the_runtime_keeps_its_own_clock(shifted):
    out = shifted.path("uptime")
    script = f"cat /proc/uptime > {out}"
    for stage in ("createRuntime", "poststart"):
        shifted.set("hooks", {stage: [{"path": "/bin/sh", "args": ["sh", "-c", script]}]})
        shifted.facts()
        assert float(out.read_text().split()[0]) < time.clock_gettime(time.CLOCK_BOOTTIME) + 1
        shifted.runtime.call("delete", "--force", shifted.id)


def test_one_clock_may_go_back_as_far_as_the_machine_runs(box):
    box.bundle.namespace("time")
    box.set("linux.timeOffsets", {"boottime": {"secs": -1, "nanosecs": 999999999}})
    facts = box.facts()
    assert rows(facts) == [["monotonic", "0", "0"], ["boottime", "-1", "999999999"]]


BAD = {
    "clock": ({"realtime": {"secs": 1}}, 'unknown clock "realtime"'),
    "nanoseconds": ({"monotonic": {"nanosecs": 1000000000}}, "nanosecs"),
    "seconds": ({"monotonic": {"secs": "1"}}, "secs"),
    "negative": ({"boottime": {"secs": -9000000000}}, "timens_offsets"),
}


@pytest.mark.parametrize("name", BAD)
def test_offsets_that_cannot_be_are_refused_and_nothing_is_left(box, name):
    offsets, words = BAD[name]
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    box.bundle.namespace("time")
    box.set("linux.timeOffsets", offsets)
    assert words in box.create().fails().said
    assert before.settled(box.runtime.root) == before


def test_offsets_need_a_time_namespace_that_is_new(box):
    box.set("linux.timeOffsets", OFFSETS)
    said = box.create().fails().said
    assert "time namespace offsets specified, but time namespace isn't enabled in the config" in said
    box.bundle.namespace("time", "/proc/self/ns/time")
    said = box.create().fails().said
    assert "both namespace path and time offsets specified" in said
