"""linux.resources.devices: which devices a container may make and open, by the eBPF of its cgroup."""

import os
import stat

import pytest

from harness import exec_calls, making_node, opening, run_calls

pytestmark = [
    pytest.mark.row("linux.resources.devices"),
    pytest.mark.peer(
        crun="1.8 raises RLIMIT_MEMLOCK for a device filter, which root may not everywhere"
    ),
]

DENY_ALL = {"allow": False, "access": "rwm"}
# Devices that none of the default rules is about; FUSE is one that anybody may open.
MEM, KMSG, LOOP, FUSE = (1, 1), (1, 11), (7, 0), (10, 229)


def allow(kind, numbers, access="rwm"):
    found = {"allow": True, "access": access}
    for key, value in (("type", kind), ("major", numbers[0]), ("minor", numbers[1])):
        if value is not None:
            found[key] = value
    return found


def deny(kind, numbers, access="rwm"):
    return {**allow(kind, numbers, access), "allow": False}


@pytest.fixture
def free(box):
    """A box whose processes may make nodes and read them, if the filter lets them."""
    for which in ("bounding", "effective", "permitted"):
        capabilities = box.config["process"]["capabilities"][which]
        capabilities += ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO"]
    return box


def node(name, numbers, kind=stat.S_IFCHR):
    """The calls that make a node and open it for reading, and for writing."""
    path = f"/{name}"
    made = making_node(path, kind | 0o666, os.makedev(*numbers))
    return [made, opening(path), opening(path, os.O_WRONLY)]


def tried(box, rules, numbers, kind=stat.S_IFCHR):
    """What becomes of mknod, of opening to read and to write, under these rules."""
    box.set("linux.resources.devices", rules)
    return run_calls(box, *node("node", numbers, kind))


ALL = ["ok", "ok", "ok"]
MADE = ["ok", "EPERM", "EPERM"]  # mknod of anything is among the default rules

DEFAULTS = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
}


@pytest.mark.parametrize("rules", [[DENY_ALL], [], None], ids=["deny all", "empty", "absent"])
def test_the_default_devices_are_allowed_and_others_denied(free, rules):
    if rules is not None:
        free.set("linux.resources.devices", rules)
    calls = [call for name, numbers in DEFAULTS.items() for call in node(name, numbers)]
    others = node("mem", MEM) + node("kmsg", KMSG) + node("loop", LOOP, stat.S_IFBLK)
    found = run_calls(free, *calls, *others)
    assert found[: len(calls)] == ["ok"] * len(calls)
    assert found[len(calls) :] == MADE * 3


def test_the_terminal_devices_are_allowed(free):
    free.set("linux.resources.devices", [DENY_ALL])
    ptmx = opening("/dev/ptmx", os.O_RDWR)
    # Without a controlling terminal the driver, not the filter, says no.
    assert run_calls(free, ptmx, opening("/dev/tty", os.O_RDWR)) == ["ok", "ENXIO"]


RULES = {
    "one device": ([DENY_ALL, allow("c", FUSE)], FUSE, ALL),
    "its neighbour": ([DENY_ALL, allow("c", FUSE)], MEM, MADE),
    "the same numbers of the other type": ([DENY_ALL, allow("b", FUSE)], FUSE, MADE),
    "reading only": ([DENY_ALL, allow("c", FUSE, "r")], FUSE, ["ok", "ok", "EPERM"]),
    "writing only": ([DENY_ALL, allow("c", FUSE, "w")], FUSE, ["ok", "EPERM", "ok"]),
    "making only": ([DENY_ALL, allow("c", FUSE, "m")], FUSE, MADE),
    "every minor": ([DENY_ALL, allow("c", (10, None))], FUSE, ALL),
    "every major": ([DENY_ALL, allow("c", (None, None))], FUSE, ALL),
    "every device": ([{"allow": True, "access": "rwm"}], FUSE, ALL),
    "every device of type a": ([{"allow": True, "type": "a", "access": "rwm"}], FUSE, ALL),
    "nothing after everything": ([{"allow": True, "access": "rwm"}, DENY_ALL], FUSE, MADE),
    "a rule without a deny": ([allow("c", FUSE)], MEM, MADE),
    "an allow after a deny of it": ([DENY_ALL, deny("c", FUSE), allow("c", FUSE)], FUSE, ALL),
    "a deny after an allow of it": ([DENY_ALL, allow("c", FUSE), deny("c", FUSE)], FUSE, MADE),
}


@pytest.mark.parametrize("name", RULES)
def test_a_device_is_allowed_as_the_rules_say(free, name):
    rules, numbers, wanted = RULES[name]
    assert tried(free, rules, numbers) == wanted


def test_a_deny_among_everything_holds(free):
    found = tried(free, [{"allow": True, "access": "rwm"}, deny("c", FUSE)], FUSE)
    # That nodes of any kind may be made is one of the default rules, and which wins is open.
    assert found in (["EPERM", "ENOENT", "ENOENT"], MADE)


def test_a_block_device_is_under_the_rules_of_block_devices(free):
    rules = [DENY_ALL, allow("b", LOOP, "rm")]
    found = tried(free, rules, LOOP, stat.S_IFBLK)
    assert found[0] == "ok" and found[1] != "EPERM" and found[2] == "EPERM"


def test_a_device_of_the_config_may_be_used(free):
    free.set("linux.devices", [{"path": "/dev/own", "type": "c", "major": 10, "minor": 229}])
    free.set("linux.resources.devices", [DENY_ALL, allow("c", FUSE, "r")])
    assert run_calls(free, opening("/dev/own"), opening("/dev/own", os.O_WRONLY)) == ["ok", "EPERM"]


def test_many_rules_are_taken(free):
    rules = [DENY_ALL, *(allow("c", (200 + n // 50, n % 50)) for n in range(300)), allow("c", FUSE)]
    assert tried(free, rules, FUSE) == ALL


def test_an_execd_process_is_under_the_rules(free):
    free.set("linux.resources.devices", [DENY_ALL, allow("c", FUSE, "r")])
    free.hold()
    calls = node("fuse", FUSE) + node("mem", MEM)
    assert exec_calls(free, *calls) == ["ok", "ok", "EPERM", *MADE]


def test_a_cgroup_that_the_container_makes_is_under_the_rules(free):
    free.set("linux.resources.devices", [DENY_ALL])
    free.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["rw"])
    free.sh(
        "mkdir /sys/fs/cgroup/below && echo $$ > /sys/fs/cgroup/below/cgroup.procs;"
        " mknod /fuse c 10 229; /act openat -100 /fuse 0"
    )
    assert free.run().check().out.split() == ["EPERM"]


BAD = {
    "an unknown type": {"allow": True, "type": "z", "major": 1, "minor": 3, "access": "rwm"},
    "an unknown access": {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "x"},
}


LENIENT = pytest.mark.peer(runc="1.1 takes the letters that it knows")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=LENIENT) if "access" in n else n for n in BAD]
)
def test_create_refuses_a_rule_with(box, name):
    box.set("linux.resources.devices", [BAD[name]])
    box.create().fails()
