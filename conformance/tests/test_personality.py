"""linux.personality: which machine the processes of a container take theirs for."""

import ctypes
import os
import platform

import pytest

pytestmark = pytest.mark.row("linux.personality")
RUNC = pytest.mark.peer(runc="1.1 does not know the field")
OLD = pytest.mark.peer(runc="1.1 does not know the field", crun="words its errors in its own way")
PER_LINUX32 = 8
ADDR_NO_RANDOMIZE = 0x0040000


@RUNC
@pytest.mark.skipif(platform.machine() != "x86_64", reason="what uname says is known for x86_64")
def test_linux32_shows_a_32_bit_machine_to_init_and_to_exec(box):
    box.set("linux.personality", {"domain": "LINUX32", "flags": []})
    box.sh("uname -m")
    assert box.run().check().out == "i686\n"
    box.hold()
    assert box.exec("uname", "-m").check().out == "i686\n"
    assert box.exec_facts()["personality"] == PER_LINUX32


@RUNC
def test_linux_clears_what_the_caller_had(box):
    def spoil():
        ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)

    box.set("linux.personality", {"domain": "LINUX"})
    assert box.facts(preexec_fn=spoil)["personality"] == 0


@RUNC
def test_a_filter_that_forbids_personality_does_not_forbid_it_to_the_runtime(box):
    box.set("linux.personality", {"domain": "LINUX32"})
    names = ["personality", "set_mempolicy", "sched_setattr", "ioprio_set", "sched_setaffinity"]
    box.set(
        "linux.seccomp",
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": names, "action": "SCMP_ACT_ERRNO"}],
        },
    )
    box.set("linux.memoryPolicy", {"mode": "MPOL_PREFERRED", "nodes": "0"})
    box.set("process.scheduler", {"policy": "SCHED_BATCH", "nice": 3})
    for privileges in (True, False):
        box.set("process.noNewPrivileges", privileges)
        box.sh("uname -m")
        assert box.run().check().out == os.uname().machine.replace("x86_64", "i686") + "\n"


@OLD
@pytest.mark.parametrize(
    "personality, words",
    [
        ({"domain": "LINUX64"}, 'invalid personality domain "LINUX64"'),
        ({}, "domain"),
        ({"domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"]}, "ADDR_NO_RANDOMIZE"),
    ],
)
def test_a_personality_that_cannot_be_is_refused(box, personality, words):
    box.set("linux.personality", personality)
    assert words in box.create().fails().said
