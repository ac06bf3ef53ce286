"""update: new limits for a running container, all of them or none."""

import json
import os
import stat

import pytest

from harness import exec_calls, host, making_node, opening

CGROUPS = host.CGROUPS

def place_of(box):
    """The directory of the container's cgroup."""
    with open(f"/proc/{box.pid}/cgroup", encoding="utf-8") as file:
        path = next(line for line in file if line.startswith("0::")).rstrip("\n")[3:]
    return CGROUPS / path.lstrip("/")


def update(box, *flags, resources=None):
    """Calls update, with resources as a file where they are given."""
    if resources is not None:
        path = box.path("resources.json")
        path.write_text(resources if isinstance(resources, str) else json.dumps(resources))
        flags = (*flags, "--resources", path)
    return box.runtime.call("update", *flags, box.id)


@pytest.mark.peer(crun="tells of a file of its own that is missing")
def test_update_of_what_does_not_exist_is_an_error(box):
    assert "does not exist" in update(box, "--pids-limit", "5").fails().said


@pytest.mark.peer(crun="looks for the controller first")
def test_update_of_a_stopped_container_is_an_error(box):
    box.hold()
    box.stop()
    assert "not running" in update(box, "--pids-limit", "5").fails().said


def test_nothing_to_change_is_no_error(box):
    box.hold()
    update(box).check()
    update(box, resources={}).check()


@pytest.mark.tare("sets files that runc's update leaves out")
def test_a_file_of_the_cgroup_gets_its_new_value(box):
    box.set("linux.resources.unified", {"cgroup.max.depth": "3"})
    box.hold()
    update(box, resources={"unified": {"cgroup.max.depth": "5"}}).check()
    assert (place_of(box) / "cgroup.max.depth").read_text() == "5\n"


@pytest.mark.tare("a refused update leaves nothing changed")
def test_a_value_that_is_refused_undoes_the_ones_before(box):
    box.set("linux.resources.unified", {"cgroup.max.depth": "3"})
    box.hold()
    bad = {"unified": {"cgroup.max.depth": "5", "cgroup.max.descendants": "many"}}
    said = update(box, resources=bad).fails().said
    assert "cgroup.max.descendants" in said and "invalid argument" in said
    assert (place_of(box) / "cgroup.max.depth").read_text() == "3\n"


@pytest.mark.needs_controller("hugetlb")
@pytest.mark.tare("runc's update knows no huge pages")
def test_huge_pages_are_limited_anew_and_a_controller_is_enabled_for_it(box):
    box.hold()
    update(box, resources={"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]}).check()
    assert (place_of(box) / "hugetlb.2MB.max").read_text() == "4194304\n"
    assert (place_of(box) / "hugetlb.2MB.rsvd.max").read_text() == "4194304\n"
    bad = {
        "hugepageLimits": [{"pageSize": "2MB", "limit": 2097152}],
        "unified": {"hugetlb.2MB.nonesuch": "1"},
    }
    update(box, resources=bad).fails()
    assert (place_of(box) / "hugetlb.2MB.max").read_text() == "4194304\n"


@pytest.mark.needs_controller("pids")
def test_the_number_of_processes_is_limited_anew(box):
    box.set("linux.resources.pids", {"limit": 20})
    box.hold()
    for word, text in (("50", "50"), ("-1", "max"), ("0", "1")):
        update(box, "--pids-limit", word).check()
        assert (place_of(box) / "pids.max").read_text().strip() == text


@pytest.mark.needs_controller("cpu")
def test_quota_and_period_change_one_by_one(box):
    box.set("linux.resources.cpu", {"quota": 500000, "period": 1000000})
    box.hold()
    for flags, text in (
        (["--cpu-period", "900000"], "500000 900000"),
        (["--cpu-quota", "600000"], "600000 900000"),
        (["--cpu-quota", "-1"], "max 900000"),
    ):
        update(box, *flags).check()
        assert (place_of(box) / "cpu.max").read_text().strip() == text


@pytest.mark.needs_controller("memory")
def test_memory_is_limited_anew(box):
    box.set("linux.resources.memory", {"limit": 1 << 25})
    box.hold()
    update(box, "--memory", "50M").check()
    assert (place_of(box) / "memory.max").read_text() == "52428800\n"
    update(box, "--memory", "-1").check()
    assert (place_of(box) / "memory.max").read_text() == "max\n"


@pytest.mark.needs_controller("memory")
@pytest.mark.tare("others have the kernel kill")
def test_a_limit_that_cannot_be_kept_is_refused_and_kills_nothing(box):
    box.set("linux.resources.memory", {"limit": 1 << 25})
    box.hold()
    high = (place_of(box) / "memory.high").read_text()
    said = update(box, "--memory", "4096").fails().said
    assert "can't be lowered" in said
    assert box.status == "running"
    assert (place_of(box) / "memory.max").read_text() == "33554432\n"
    assert (place_of(box) / "memory.high").read_text() == high


@pytest.mark.tare("runc's update leaves device rules aside")
def test_device_rules_are_replaced(box):
    for which in ("bounding", "effective", "permitted"):
        box.config["process"]["capabilities"][which] += ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    box.set("linux.resources.devices", [{"allow": False, "access": "rwm"}])
    box.hold()
    calls = [
        making_node("/fuse", stat.S_IFCHR | 0o666, os.makedev(10, 229)),
        opening("/fuse"),
        opening("/dev/null"),
    ]
    assert exec_calls(box, *calls) == ["ok", "EPERM", "ok"]
    fuse = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rwm"}
    update(box, resources={"devices": [{"allow": False, "access": "rwm"}, fuse]}).check()
    assert exec_calls(box, *calls[1:]) == ["ok", "ok"]
    update(box, resources={"devices": [{"allow": False, "access": "rwm"}]}).check()
    assert exec_calls(box, *calls[1:]) == ["EPERM", "ok"]


REFUSED = {
    "a word for a number": ["--cpu-quota", "many"],
    "a word for bytes": ["--memory", "12 parsecs"],
    "a weight out of range": ["--blkio-weight", "5"],
    "swap without a memory limit": ["--memory-swap", "100M"],
    "realtime": ["--cpu-rt-runtime", "5000"],
    "a cache schema": ["--l3-cache-schema", "L3:0=f"],
    "a bandwidth schema": ["--mem-bw-schema", "MB:0=20"],
}


@pytest.mark.tare("the others fail for other reasons here")
@pytest.mark.parametrize("name", REFUSED)
def test_update_refuses(box, name):
    box.hold()
    update(box, *REFUSED[name]).fails()
    assert box.status == "running"


LENIENT = pytest.mark.peer(crun="1.8 passes over a value of another type")
NO_RESOURCES = ["[]", '{"pids": 3}', '{"pids": {"limit": "x"}}']


@pytest.mark.parametrize(
    "text", ["", "{", *(pytest.param(text, marks=LENIENT) for text in NO_RESOURCES)]
)
def test_what_is_no_resources_is_refused(box, text):
    box.hold()
    update(box, resources=text).fails()
