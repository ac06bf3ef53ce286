"""linux.resources: what a cgroup limits, as the kernel tells it, and limits that cannot be set."""

import pytest

from harness import host

CGROUPS = host.CGROUPS


def place_of(box):
    """The directory of the container's cgroup."""
    with open(f"/proc/{box.pid}/cgroup", encoding="utf-8") as file:
        path = next(line for line in file if line.startswith("0::")).rstrip("\n")[3:]
    return CGROUPS / path.lstrip("/")


def refused(result):
    """Checks that a call failed by itself and gave a reason."""
    assert result.code > 0 and result.err.strip(), result
    return result


MISSING = {
    "memory": ("memory", {"limit": 1 << 26}),
    "pids": ("pids", {"limit": 10}),
    "cpu": ("cpu", {"shares": 512}),
    "cpuset": ("cpu", {"cpus": "0"}),
    "io": ("blockIO", {"throttleReadBpsDevice": [{"major": 1, "minor": 0, "rate": 1 << 20}]}),
    "rdma": ("rdma", {"mlx5_1": {"hcaHandles": 3}}),
    "hugetlb": ("hugepageLimits", [{"pageSize": "2MB", "limit": 1 << 22}]),
}


@pytest.mark.tare("a limit that cannot be set is refused with the name of what is missing")
@pytest.mark.parametrize("controller", MISSING)
def test_a_limit_whose_controller_is_missing_is_refused_by_its_name(box, controller):
    if controller in (CGROUPS / "cgroup.controllers").read_text().split():
        pytest.skip(f"the {controller} controller is there")
    field, value = MISSING[controller]
    box.set(f"linux.resources.{field}", value)
    said = box.create().fails().said
    assert controller in said and "controller" in said


@pytest.mark.row("linux.resources.unified")
@pytest.mark.peer(crun="1.8 leaves the cgroup of a create that failed")
def test_unified_sets_files_of_the_cgroup_and_refuses_what_is_not_there(box):
    box.set("linux.resources.unified", {"cgroup.max.descendants": "17", "cgroup.max.depth": "3"})
    box.create().check()
    assert (place_of(box) / "cgroup.max.descendants").read_text() == "17\n"
    box.delete("--force").check()
    for key in ("nonesuch.max", "../x", "a/b"):
        box.set("linux.resources.unified", {key: "1"})
        refused(box.create())


LIMITS = {
    "memory": ("memory", {"limit": 1 << 26, "reservation": 1 << 25}, "memory.max", "67108864"),
    "pids": ("pids", {"limit": 50}, "pids.max", "50"),
    "cpu": ("cpu", {"quota": 50000, "period": 100000}, "cpu.max", "50000 100000"),
}


@pytest.mark.row("linux.resources.memory", "linux.resources.cpu", "linux.resources.pids")
@pytest.mark.parametrize(
    "controller", [pytest.param(n, marks=pytest.mark.needs_controller(n)) for n in LIMITS]
)
def test_a_limit_is_the_one_of_the_config(box, controller):
    field, value, file, text = LIMITS[controller]
    box.set(f"linux.resources.{field}", value)
    box.create().check()
    assert (place_of(box) / file).read_text().strip() == text


@pytest.mark.row("linux.resources.hugepageLimits")
@pytest.mark.needs_controller("hugetlb")
@pytest.mark.peer(
    runc="1.1 limits what is used and not what is reserved",
    crun="limits what is used and not what is reserved",
)
def test_a_limit_of_huge_pages_holds_for_using_and_for_reserving(box):
    box.set("linux.resources.hugepageLimits", [{"pageSize": "2MB", "limit": 1 << 22}])
    box.create().check()
    for file in ("hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"):
        assert (place_of(box) / file).read_text() == "4194304\n"


@pytest.mark.needs_controller("hugetlb")
@pytest.mark.peer(crun="1.8 leaves the cgroup of a create that failed")
@pytest.mark.parametrize("size", ["3MB", "2mb", "2MB/../x", "../2MB", ""])
def test_a_size_that_no_page_has_is_refused(box, size):
    box.set("linux.resources.hugepageLimits", [{"pageSize": size, "limit": 1 << 22}])
    refused(box.create())
    assert box.state is None


WEIGHTS = {9: None, 10: "1", 500: "4950", 1000: "10000", 1001: None}


@pytest.mark.row("linux.resources.blockIO")
@pytest.mark.needs_controller("io")
@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_weight_of_io_is_one_for_bfq_or_converted(box, weight):
    box.set("linux.resources.blockIO", {"weight": weight})
    if WEIGHTS[weight] is None:
        refused(box.create())
        return
    box.create().check()
    bfq = place_of(box) / "io.bfq.weight"
    if bfq.exists():
        assert bfq.read_text().split()[-1] == str(weight)
    else:
        assert (place_of(box) / "io.weight").read_text().split()[1] == WEIGHTS[weight]


LEFT_ALONE = {
    "memory": {"swappiness": 60, "kernel": 1 << 30},
    "cpu": {"realtimeRuntime": 1000, "realtimePeriod": 10000},
    "network": {"classID": 1 << 20, "priorities": [{"name": "lo", "priority": 5}]},
    "blockIO": {"leafWeight": 500},
}


@pytest.mark.peer(crun="refuses them by name, and 1.8 leaves the cgroup")
@pytest.mark.parametrize("field", LEFT_ALONE)
def test_limits_that_only_cgroup_v1_has_are_left_alone(box, field):
    box.set(f"linux.resources.{field}", LEFT_ALONE[field])
    box.create().check()
    assert box.status == "created"


@pytest.mark.tare("what is left alone is said by `explain`")
def test_explain_names_what_is_left_alone(box):
    box.set("linux.resources.memory", {"swappiness": 60})
    box.bundle.save()
    said = box.runtime.call("explain", box.bundle.path).check().out
    assert "left alone" in said and "/linux/resources/memory/swappiness" in said
