"""linux.memoryPolicy: the NUMA policy of init and of what exec adds."""

import os

import pytest

from harness import Snapshot
from harness.scheduling import memory_policy

pytestmark = pytest.mark.row("linux.memoryPolicy")
OLD = pytest.mark.peer(runc="1.1 does not know the field", crun="1.8 does not know the field")
NUMA = pytest.mark.skipif(
    not os.path.exists("/proc/self/numa_maps"), reason="a kernel without NUMA memory policies"
)


def policy_of(box, mode, nodes=None, flags=None):
    policy = {"mode": f"MPOL_{mode}"}
    if nodes is not None:
        policy["nodes"] = nodes
    if flags is not None:
        policy["flags"] = [f"MPOL_F_{flag}" for flag in flags]
    box.set("linux.memoryPolicy", policy)
    return box


GOOD = {
    "bind": (("BIND", "0"), "bind:0"),
    "bind static": (("BIND", "0", ["STATIC_NODES"]), "bind=static:0"),
    "bind balancing": (("BIND", "0", ["NUMA_BALANCING"]), "bind"),
    "interleave": (("INTERLEAVE", "0"), "interleave:0"),
    "weighted": (("WEIGHTED_INTERLEAVE", "0"), "weighted interleave:0"),
    "preferred": (("PREFERRED", "0"), "prefer:0"),
    "preferred relative": (("PREFERRED", "0", ["RELATIVE_NODES"]), "prefer=relative:0"),
    "preferred nowhere": (("PREFERRED", ""), "local"),
    "preferred many": (("PREFERRED_MANY", "0,"), "prefer (many):0"),
    "local": (("LOCAL",), "local"),
}


def matches(found, wanted):
    """numa_maps writes some modes in two words, of which only the first is looked at."""
    return found.startswith(wanted.split()[0])


@OLD
@NUMA
@pytest.mark.parametrize("name", GOOD)
def test_the_memory_policy_of_the_config_is_that_of_init(box, name):
    arguments, wanted = GOOD[name]
    policy_of(box, *arguments)
    box.hold()
    assert matches(memory_policy(box.pid), wanted)


@NUMA
def test_mpol_default_is_the_policy_of_the_kernel(box):
    policy_of(box, "DEFAULT", "").hold()
    assert memory_policy(box.pid) == "default"


@OLD
@NUMA
def test_the_memory_policy_is_that_of_an_execd_process(box):
    policy_of(box, "INTERLEAVE", "0").hold()
    words = box.exec("cat", "/proc/self/numa_maps").check().out.splitlines()[0].split()
    assert words[1] == "interleave:0"


BAD = {
    "no mode": ({"nodes": "0-7"}, 'invalid memory policy mode ""'),
    "mode": ({"mode": "INTERLEAVE", "nodes": "0"}, 'invalid memory policy mode "INTERLEAVE"'),
    "flag": ({"mode": "MPOL_LOCAL", "flags": ["badflag"]}, "invalid memory policy flag"),
    "nodes": ({"mode": "MPOL_BIND", "nodes": "0-9876543210"}, "invalid memory policy nodes"),
    "none": ({"mode": "MPOL_BIND"}, "mode requires at least one node but got 0"),
    "some": ({"mode": "MPOL_DEFAULT", "nodes": "0-7"}, "mode requires 0 nodes but got 8"),
    "local": ({"mode": "MPOL_LOCAL", "nodes": "0"}, "mode requires 0 nodes but got 1"),
    "both": (
        {
            "mode": "MPOL_BIND",
            "nodes": "0",
            "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"],
        },
        "exclude each other",
    ),
    "balancing": (
        {"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]},
        "MPOL_F_NUMA_BALANCING is for",
    ),
}


@OLD
@pytest.mark.parametrize("name", BAD)
def test_a_memory_policy_that_cannot_be_is_refused_and_nothing_is_left(box, name):
    policy, words = BAD[name]
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    box.set("linux.memoryPolicy", policy)
    assert words in box.create().fails().said
    assert before.settled(box.runtime.root) == before


@OLD
@NUMA
def test_a_node_that_the_machine_has_not_fails_with_the_call(box):
    policy_of(box, "BIND", "4000-4003")
    assert "set_mempolicy" in box.create().fails().said
