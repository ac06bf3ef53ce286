"""What each field of linux.resources makes of the files of a cgroup, at start and by update.

The guest has every controller, a disk, and a kernel of which it may change the parameters."""

import json
import pathlib
import subprocess

import pytest

from harness import host

pytestmark = pytest.mark.guest("needs every controller of cgroup2, and a disk")

CGROUPS = host.CGROUPS
KIB, MIB = 1 << 10, 1 << 20
DISK = {"major": 254, "minor": 0}  # /dev/vda


def place_of(box):
    """The directory of the container's cgroup."""
    with open(f"/proc/{box.pid}/cgroup", encoding="utf-8") as file:
        path = next(line for line in file if line.startswith("0::")).rstrip("\n")[3:]
    return CGROUPS / path.lstrip("/")


def files_of(box, names):
    return {name: (place_of(box) / name).read_text().strip() for name in names}


def throttle(key, rate):
    return {key: [{**DISK, "rate": rate}]}


# Name: resources, and what the kernel says of them afterwards.
FILES = {
    "memory limit": ({"memory": {"limit": 32 * MIB}}, {"memory.max": "33554432"}),
    "memory reservation": (
        {"memory": {"limit": 64 * MIB, "reservation": 16 * MIB}},
        {"memory.max": "67108864", "memory.low": "16777216"},
    ),
    "swap is memory and swap": (
        {"memory": {"limit": 32 * MIB, "swap": 48 * MIB}},
        {"memory.max": "33554432", "memory.swap.max": "16777216"},
    ),
    "swap as large as memory": (
        {"memory": {"limit": 32 * MIB, "swap": 32 * MIB}},
        {"memory.swap.max": "0"},
    ),
    "swap without end": (
        {"memory": {"limit": 32 * MIB, "swap": -1}},
        {"memory.max": "33554432", "memory.swap.max": "max"},
    ),
    "memory without end": (
        {"memory": {"limit": -1}},
        {"memory.max": "max", "memory.swap.max": "max"},
    ),
    "memory that is checked": (
        {"memory": {"limit": 32 * MIB, "checkBeforeUpdate": True}},
        {"memory.max": "33554432"},
    ),
    "kill all at once": ({"unified": {"memory.oom.group": "1"}}, {"memory.oom.group": "1"}),
    "default shares": ({"cpu": {"shares": 1024}}, {"cpu.weight": "100"}),
    "fewest shares": ({"cpu": {"shares": 2}}, {"cpu.weight": "1"}),
    "most shares": ({"cpu": {"shares": 262144}}, {"cpu.weight": "10000"}),
    "no shares": ({"cpu": {"shares": 0}}, {"cpu.weight": "100"}),
    "quota": ({"cpu": {"quota": 50000}}, {"cpu.max": "50000 100000"}),
    "period": ({"cpu": {"period": 200000}}, {"cpu.max": "max 200000"}),
    "quota and period": (
        {"cpu": {"quota": 500000, "period": 1000000}},
        {"cpu.max": "500000 1000000"},
    ),
    "quota without end": ({"cpu": {"quota": -1, "period": 50000}}, {"cpu.max": "max 50000"}),
    "burst": (
        {"cpu": {"quota": 50000, "period": 100000, "burst": 20000}},
        {"cpu.max": "50000 100000", "cpu.max.burst": "20000"},
    ),
    "idle": ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
    "cpus": ({"cpu": {"cpus": "1"}}, {"cpuset.cpus": "1", "cpuset.cpus.effective": "1"}),
    "a range of cpus": ({"cpu": {"cpus": "0-1"}}, {"cpuset.cpus": "0-1"}),
    "mems": ({"cpu": {"mems": "0"}}, {"cpuset.mems": "0", "cpuset.mems.effective": "0"}),
    "pids": ({"pids": {"limit": 50}}, {"pids.max": "50"}),
    "pids without end": ({"pids": {"limit": -1}}, {"pids.max": "max"}),
    "pids of 0 before 1.3": ({"pids": {"limit": 0}}, {"pids.max": "max"}),
    "no limit of pids": ({"pids": {}}, {"pids.max": "max"}),
    "weight": ({"blockIO": {"weight": 1000}}, {"io.weight": "default 10000"}),
    "bytes read": (
        {"blockIO": throttle("throttleReadBpsDevice", MIB)},
        {"io.max": "254:0 rbps=1048576 wbps=max riops=max wiops=max"},
    ),
    "all throttles": (
        {
            "blockIO": {
                **throttle("throttleReadBpsDevice", MIB),
                **throttle("throttleWriteBpsDevice", 2 * MIB),
                **throttle("throttleReadIOPSDevice", 100),
                **throttle("throttleWriteIOPSDevice", 200),
            }
        },
        {"io.max": "254:0 rbps=1048576 wbps=2097152 riops=100 wiops=200"},
    ),
    "huge pages": (
        {"hugepageLimits": [{"pageSize": s, "limit": 1 << 30} for s in ("2MB", "1GB")]},
        {
            "hugetlb.2MB.max": "1073741824",
            "hugetlb.2MB.rsvd.max": "1073741824",
            "hugetlb.1GB.max": "1073741824",
            "hugetlb.1GB.rsvd.max": "1073741824",
        },
    ),
    "unified": (
        {
            "unified": {
                "memory.high": "16777216",
                "pids.max": "77",
                "cpu.weight": "42",
                "io.max": "254:0 rbps=4096\n254:0 wiops=7",
                "hugetlb.2MB.max": "2097152",
                "cgroup.max.depth": "3",
            }
        },
        {
            "memory.high": "16777216",
            "pids.max": "77",
            "cpu.weight": "42",
            "io.max": "254:0 rbps=4096 wbps=max riops=max wiops=7",
            "hugetlb.2MB.max": "2097152",
            "cgroup.max.depth": "3",
        },
    ),
    "unified after the field": (
        {"pids": {"limit": 50}, "unified": {"pids.max": "60"}},
        {"pids.max": "60"},
    ),
}

ROWS = {
    "memory": "linux.resources.memory",
    "cpu": "linux.resources.cpu",
    "pids": "linux.resources.pids",
    "blockIO": "linux.resources.blockIO",
    "hugepageLimits": "linux.resources.hugepageLimits",
    "unified": "linux.resources.unified",
}
RESERVED = "limits what is used and not what is reserved"
PEERS = {"huge pages": {"crun": RESERVED}}


def table(peers, *without):
    """A parameter for each name, with the row of its first field and what peers lack."""
    found = []
    for name, (resources, _) in FILES.items():
        marks = [pytest.mark.row(ROWS[next(iter(resources))])]
        if name in peers:
            marks.append(pytest.mark.peer(**peers[name]))
        if name not in without:
            found.append(pytest.param(name, marks=marks))
    return found


@pytest.mark.parametrize("name", table(PEERS))
def test_at_start_the_files_say_what_the_config_does(box, name):
    resources, files = FILES[name]
    box.set("linux.resources", resources)
    box.hold()
    assert files_of(box, files) == files


def update(box, *flags, resources=None):
    """Calls update, with resources on standard input where they are given."""
    if resources is None:
        return box.runtime.call("update", *flags, box.id)
    text = json.dumps(resources).encode()
    return box.runtime.call("update", "--resources", "-", box.id, stdin=text)


UPDATE_PEERS = {"huge pages": {"crun": RESERVED}}


@pytest.mark.parametrize("name", table(UPDATE_PEERS, "pids of 0 before 1.3"))
def test_update_makes_of_the_files_what_start_does(box, name):
    resources, files = FILES[name]
    box.hold()
    update(box, resources=resources).check()
    assert files_of(box, files) == files


FLAGS = {
    "--memory 32M": {"memory.max": "33554432"},
    "--memory-reservation 16M": {"memory.low": "16777216"},
    "--memory 32M --memory-swap 48M": {"memory.max": "33554432", "memory.swap.max": "16777216"},
    "--memory 32M --memory-swap -1": {"memory.swap.max": "max"},
    "--cpu-share 1024": {"cpu.weight": "100"},
    "--cpu-quota 20000": {"cpu.max": "20000 100000"},
    "--cpu-period 50000": {"cpu.max": "max 50000"},
    "--cpu-quota 20000 --cpu-burst 10000": {"cpu.max": "20000 100000", "cpu.max.burst": "10000"},
    "--cpu-idle 1": {"cpu.idle": "1"},
    "--cpuset-cpus 1 --cpuset-mems 0": {"cpuset.cpus": "1", "cpuset.mems": "0"},
    "--pids-limit 33": {"pids.max": "33"},
    "--blkio-weight 500": {"io.weight": "default 4950"},
}
BYTES = {"crun": "knows no suffixes, and takes 32M for 32"}
FLAG_PEERS = {
    **{flags: BYTES for flags in FLAGS if flags.startswith("--memory")},
    "--cpu-quota 20000 --cpu-burst 10000": {"crun": "has no such flag"},
    "--cpu-idle 1": {"crun": "has no such flag"},
}


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(f, marks=[pytest.mark.peer(**FLAG_PEERS[f])] if f in FLAG_PEERS else [])
        for f in FLAGS
    ],
)
def test_a_flag_of_update_sets_its_file(box, flags):
    box.hold()
    update(box, *flags.split()).check()
    assert files_of(box, FLAGS[flags]) == FLAGS[flags]


BEFORE = {
    "memory": {"limit": 64 * MIB, "reservation": 8 * MIB, "swap": 128 * MIB},
    "cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1"},
    "pids": {"limit": 40},
    "blockIO": {"weight": 100, **throttle("throttleReadBpsDevice", MIB)},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 8 * MIB}],
    "unified": {"memory.high": str(60 * MIB)},
}
AFTER = {
    "memory": {"limit": 32 * MIB, "reservation": 4 * MIB, "swap": 48 * MIB},
    "cpu": {"shares": 256, "quota": 30000, "period": 60000, "burst": 2000, "cpus": "1"},
    "pids": {"limit": 30},
    "blockIO": {"weight": 200, **throttle("throttleWriteIOPSDevice", 50)},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
    "unified": {"memory.high": str(30 * MIB)},
}
TOUCHED = (
    "memory.max memory.low memory.high memory.swap.max cpu.weight cpu.max cpu.max.burst"
    " cpuset.cpus pids.max io.weight io.max hugetlb.2MB.max hugetlb.2MB.rsvd.max"
).split()


@pytest.mark.tare("a refused update leaves nothing changed")
def test_an_update_that_fails_in_the_end_undoes_all_before(box):
    box.set("linux.resources", BEFORE)
    box.hold()
    before = files_of(box, TOUCHED)
    bad = {**AFTER, "unified": {**AFTER["unified"], "cgroup.max.depth": "many"}}
    said = update(box, resources=bad).fails().said
    assert "cgroup.max.depth" in said
    assert files_of(box, TOUCHED) == before
    update(box, resources=AFTER).check()
    after = files_of(box, TOUCHED)
    assert all(after[name] != before[name] for name in TOUCHED), after


@pytest.mark.tare("others lack some of the fields, or kill")
def test_a_cpu_that_is_not_there_is_refused_by_its_file(box):
    box.set("linux.resources.cpu", {"cpus": "0"})
    box.hold()
    said = update(box, "--cpuset-cpus", "99").fails().said
    assert "cpuset.cpus" in said and "99" in said
    assert files_of(box, ["cpuset.cpus"]) == {"cpuset.cpus": "0"}


def used(box):
    return int((place_of(box) / "memory.current").read_text())


@pytest.fixture
def reader(box):
    """A container with 20 MiB and more of its memory in pages of files, which can be dropped."""
    box.bundle.mount("/disk", "bind", "/usr/lib", ["rbind", "ro"])
    box.set("linux.resources.memory", {"limit": 64 * MIB, "swap": 64 * MIB})
    box.hold()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    names = subprocess.run(
        ["find", "/usr/lib", "-type", "f", "-size", "+3M", "-size", "-40M"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    for name in names:
        box.exec("/bin/cp", name.replace("/usr/lib", "/disk", 1), "/dev/null").check()
        if used(box) > 20 * MIB:
            return box
    pytest.fail(f"only {used(box)} bytes are in use")


def test_a_limit_below_what_is_used_squeezes_what_can_be_dropped(reader):
    update(reader, "--memory", str(8 * MIB), "--memory-swap", str(8 * MIB)).check()
    assert files_of(reader, ["memory.max"]) == {"memory.max": str(8 * MIB)}
    assert used(reader) <= 8 * MIB and reader.status == "running"


@pytest.mark.peer(crun="does not know checkBeforeUpdate")
def test_a_limit_that_is_checked_is_refused_below_what_is_used(reader):
    limits = {"limit": 8 * MIB, "swap": 8 * MIB, "checkBeforeUpdate": True}
    said = update(reader, resources={"memory": limits}).fails().said
    assert "rejecting memory" in said
    assert files_of(reader, ["memory.max"]) == {"memory.max": str(64 * MIB)}
    update(reader, resources={"memory": {**limits, "limit": 60 * MIB, "swap": 60 * MIB}}).check()


@pytest.mark.row("linux.resources.pids")
@pytest.mark.peer(crun="sets no limit then")
def test_a_limit_of_0_processes_is_one_from_1_3_on(box):
    box.set("ociVersion", "1.3.0")
    box.set("linux.resources.pids", {"limit": 0})
    box.create().check()
    assert files_of(box, ["pids.max"]) == {"pids.max": "1"}


@pytest.mark.row("linux.resources.pids")
@pytest.mark.peer(crun="lifts the limit then", runc="before 1.4 it takes 0 for nothing given")
@pytest.mark.parametrize("version", ["1.0.2", "1.3.0"])
@pytest.mark.parametrize("how", ["--pids-limit", "--resources"])
def test_an_update_to_0_processes_is_a_limit_of_one_whatever_the_version(box, version, how):
    """Where a config before 1.3 means no limit by 0 when the container is made."""
    box.set("ociVersion", version)
    box.set("linux.resources.pids", {"limit": 5})
    box.hold()
    flags, resources = ([how, "0"], None) if how == "--pids-limit" else ([], {"pids": {"limit": 0}})
    update(box, *flags, resources=resources).check()
    assert files_of(box, ["pids.max"]) == {"pids.max": "1"}


@pytest.fixture
def bfq():
    """The disk under the scheduler that knows weights."""
    scheduler = pathlib.Path("/sys/block/vda/queue/scheduler")
    words = scheduler.read_text(encoding="ascii").split()
    before = next(word.strip("[]") for word in words if word.startswith("["))
    subprocess.run(["modprobe", "bfq"], check=True)
    scheduler.write_text("bfq", encoding="ascii")
    yield
    scheduler.write_text(before, encoding="ascii")


@pytest.mark.row("linux.resources.blockIO")
def test_the_scheduler_that_knows_weights_gets_them_unconverted(bfq, box):
    device = {**DISK, "weight": 300}
    box.set("linux.resources.blockIO", {"weight": 500, "weightDevice": [device]})
    box.hold()
    assert (place_of(box) / "io.bfq.weight").read_text().splitlines() == ["default 500", "254:0 300"]


ABSENT = {
    "an RDMA device": ({"rdma": {"mlx5_1": {"hcaHandles": 3}}}, "rdma.max"),
    "a disk": (
        {"blockIO": {"throttleReadBpsDevice": [{"major": 7, "minor": 99, "rate": 1}]}},
        "io.max",
    ),
    "a misc resource": ({"unified": {"misc.max": "sev 10"}}, "misc.max"),
    "a node": ({"cpu": {"mems": "7"}}, "cpuset.mems"),
    "a size of page": ({"hugepageLimits": [{"pageSize": "4MB", "limit": 1 << 22}]}, "hugetlb.4MB"),
}


@pytest.mark.row("linux.resources.rdma")
@pytest.mark.tare("says which file; the others leave some of it out")
@pytest.mark.parametrize("name", ABSENT)
def test_what_this_machine_does_not_have_is_refused_by_its_file(box, name):
    resources, file = ABSENT[name]
    box.set("linux.resources", resources)
    said = box.create().fails().said
    assert file in said
    assert box.state is None and not (CGROUPS / box.id).exists()


MANY = 50


def test_many_containers_at_once_leave_nothing(box):
    """The box compares mounts, cgroups and processes afterwards."""
    before = host.Snapshot.take()
    box.set("linux.resources", {"memory": {"limit": 32 * MIB}, "pids": {"limit": 10}})
    boxes = [box.sibling(f"-{number}") for number in range(MANY)]
    for each in boxes:
        each.bundle.config = box.bundle.config
        each.args("/probe", "hold")
        each.bundle.save()
    calls = [each.runtime.popen("create", "--bundle", each.bundle.path, each.id) for each in boxes]
    assert [call.wait(400).code for call in calls] == [0] * MANY
    assert len(box.runtime.ids()) == MANY
    calls = [each.runtime.popen("delete", "--force", each.id) for each in boxes]
    assert [call.wait(400).code for call in calls] == [0] * MANY
    assert box.runtime.ids() == []
    assert before.settled() == before
