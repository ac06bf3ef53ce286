"""Capabilities, resource limits, no_new_privs, oom_score_adj: read back from inside."""

import json
import os
import pathlib
import resource

import pytest

from harness import Snapshot
from harness.facts import CAPABILITIES, Facts
from harness.host import LIBC

FIVE = ("bounding", "effective", "permitted", "inheritable", "ambient")


@pytest.mark.row("process.capabilities")
@pytest.mark.parametrize("user", [0, 1000])
def test_all_five_capability_sets_are_those_of_the_config(box, user):
    sets = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_MKNOD"],
        "permitted": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "inheritable": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "ambient": ["CAP_CHOWN"],
    }
    box.set("process.capabilities", sets)
    box.set("process.user", {"uid": user, "gid": user})
    box.set("process.noNewPrivileges", False)
    facts = box.facts()
    found = {which: facts.capabilities(which) for which in FIVE}
    assert found["bounding"] == set(sets["bounding"])
    assert found["inheritable"] == set(sets["inheritable"])
    assert found["ambient"] == set(sets["ambient"])
    if user:
        # execve leaves a user who is not root what is ambient.
        assert found["permitted"] == found["effective"] == set(sets["ambient"])
    else:
        # execve gives root the inheritable and the bounding set.
        assert found["permitted"] == found["effective"] == set(sets["bounding"])


@pytest.mark.row("process.capabilities")
def test_without_capabilities_in_the_config_root_has_none(box):
    box.bundle.unset("process.capabilities")
    facts = box.facts()
    assert all(not facts.capabilities(which) for which in FIVE)


@pytest.mark.row("process.capabilities")
@pytest.mark.parametrize("which", ["bounding", "inheritable", "ambient"])
def test_an_absent_capability_set_is_empty(box, which):
    sets = {name: ["CAP_KILL"] for name in FIVE if name != which}
    # The ambient set must be a part of the inheritable one, and that of the bounding one.
    for part in {"inheritable": ["ambient"], "bounding": ["ambient", "inheritable"]}.get(which, []):
        sets.pop(part)
    box.set("process.capabilities", sets)
    box.set("process.user", {"uid": 1000, "gid": 1000})
    facts = box.facts()
    assert not facts.capabilities(which)
    rest = set(sets) - {"effective", "permitted"}
    assert all(facts.capabilities(name) == {"CAP_KILL"} for name in rest)


@pytest.mark.row("process.capabilities")
def test_capabilities_are_enforced(box):
    # chown needs CAP_CHOWN, which the config does not give.
    box.sh("chown 5 /etc/group 2>&1; kill -0 1 && echo kill works")
    out = box.run().out
    assert "not permitted" in out and "kill works" in out
    assert os.stat(box.rootfs / "etc/group").st_uid == 0


@pytest.mark.row("process.capabilities")
def test_the_secure_bits_are_not_changed_for_the_container(box):
    assert box.facts()["securebits"] == 0


@pytest.mark.row("process.capabilities")
def test_every_capability_that_the_runtime_has_can_be_given(box):
    status = pathlib.Path("/proc/self/status").read_text()
    bits = next(int(l.split()[1], 16) for l in status.splitlines() if l.startswith("CapBnd"))
    names = [f"CAP_{name}" for number, name in enumerate(CAPABILITIES) if bits >> number & 1]
    box.set("process.capabilities", {which: names for which in FIVE})
    facts = box.facts()
    for which in FIVE:
        assert facts.capabilities(which) == set(names), which


@pytest.mark.row("process.capabilities")
@pytest.mark.peer(crun="says nothing, or refuses it")
def test_an_unknown_capability_is_never_taken_for_another_one(box):
    box.set("process.capabilities", {which: ["CAP_KILL", "CAP_NONESUCH"] for which in FIVE})
    box.args("/probe")
    result = box.run().check()
    assert "0000000000000020" in result.out
    assert "CAP_NONESUCH" in result.err, "config.md: logged as a warning"


@pytest.mark.row("process.capabilities")
@pytest.mark.peer(runc="1.1 says nothing", crun="says nothing")
def test_an_ambient_capability_that_the_kernel_would_refuse_is_left_out_with_a_word(box):
    kill, chown = "CAP_KILL", "CAP_CHOWN"
    sets = {which: [kill, chown] for which in FIVE} | {"inheritable": [kill]}
    box.set("process.capabilities", sets)
    box.args("/probe")
    result = box.run().check()
    assert Facts(json.loads(result.out)).capabilities("ambient") == {kill}
    assert "can't raise ambient capability CAP_CHOWN: " in result.err


@pytest.mark.row("process.capabilities")
def test_an_ambient_set_without_an_inheritable_one_is_left_out(box):
    """buildah's config of every RUN, whose output a warning would end up in."""
    box.set("process.capabilities", {which: ["CAP_KILL"] for which in FIVE} | {"inheritable": []})
    box.args("/probe")
    result = box.run().check()
    assert Facts(json.loads(result.out)).capabilities("ambient") == set()
    assert result.err == ""


@pytest.mark.row("process.rlimits")
def test_a_rlimit_of_every_kind_can_be_lowered(box):
    limits = {
        "RLIMIT_AS": (1 << 30, 1 << 31),
        "RLIMIT_CORE": (0, 1024),
        "RLIMIT_CPU": (100, 200),
        "RLIMIT_DATA": (1 << 28, 1 << 29),
        "RLIMIT_FSIZE": (1 << 20, 1 << 21),
        "RLIMIT_LOCKS": (10, 20),
        "RLIMIT_MEMLOCK": (4096, 65536),
        "RLIMIT_MSGQUEUE": (1000, 2000),
        "RLIMIT_NOFILE": (100, 200),
        "RLIMIT_NPROC": (1000, 2000),
        "RLIMIT_RSS": (1 << 28, 1 << 29),
        "RLIMIT_RTTIME": (1000000, 2000000),
        "RLIMIT_SIGPENDING": (100, 200),
        "RLIMIT_STACK": (1 << 20, 1 << 22),
    }
    box.set(
        "process.rlimits",
        [{"type": kind, "soft": soft, "hard": hard} for kind, (soft, hard) in limits.items()],
    )
    facts = box.facts()
    assert {kind: tuple(facts["rlimits"][kind]) for kind in limits} == limits


@pytest.mark.row("process.rlimits")
def test_a_rlimit_that_is_not_in_the_config_is_inherited(box):
    facts = box.facts()
    soft, hard = resource.getrlimit(resource.RLIMIT_SIGPENDING)
    assert facts["rlimits"]["RLIMIT_SIGPENDING"] == [soft, hard]


@pytest.mark.row("process.rlimits")
@pytest.mark.peer(
    crun="exec without a process file sets no limits", runc="1.1 races with Go, which raises it"
)
def test_a_rlimit_holds_for_exec_too(box):
    box.set("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 88}])
    box.hold()
    assert box.exec_facts()["rlimits"]["RLIMIT_NOFILE"] == [77, 88]


@pytest.mark.row("process.rlimits")
@pytest.mark.peer(crun="leaves its cgroup behind")
def test_a_rlimit_that_may_not_be_set_is_an_error_and_leaves_nothing(box):
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)

    def give_up_the_privilege():
        resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))
        LIBC.prctl(24, 24, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_SYS_RESOURCE: lost at execve

    box.set("process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}])
    box.args("/probe")
    result = box.run(preexec_fn=give_up_the_privilege).fails()
    assert "operation not permitted" in result.said.lower()
    assert before.settled(box.runtime.root) == before


@pytest.mark.row("process.noNewPrivileges")
@pytest.mark.parametrize("value", [True, False])
def test_no_new_privs_is_as_in_the_config(box, value):
    box.set("process.noNewPrivileges", value)
    assert box.facts()["no_new_privs"] == int(value)


@pytest.mark.row("process.noNewPrivileges")
def test_without_no_new_privs_in_the_config_it_is_off(box):
    box.bundle.unset("process.noNewPrivileges")
    assert box.facts()["no_new_privs"] == 0


@pytest.mark.row("process.noNewPrivileges")
def test_a_setuid_program_gains_nothing_under_no_new_privs(box):
    probe = box.rootfs / "setuid"
    probe.write_bytes((box.rootfs / "probe").read_bytes())
    probe.chmod(0o4755)
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.args("/setuid")
    # The rootfs of the suite is mounted nosuid, so that only one of the two reasons is tested here.
    assert box.run().check().json["uids"] == [1000] * 3


@pytest.mark.row("process.oomScoreAdj")
@pytest.mark.parametrize("value", [0, 100, 1000])
def test_the_oom_score_adjustment_is_that_of_the_config(box, value):
    box.set("process.oomScoreAdj", value)
    assert box.facts()["oom_score_adj"] == [str(value)]


@pytest.mark.row("process.oomScoreAdj")
def test_without_an_oom_score_adjustment_that_of_the_caller_stays(box):
    def adjust():
        pathlib.Path("/proc/self/oom_score_adj").write_text("345")

    assert box.facts(preexec_fn=adjust)["oom_score_adj"] == ["345"]


@pytest.mark.row("self-exe")
def test_the_container_may_be_dumped_by_nobody_outside_but_knows_itself(box):
    # The runtime guards itself while it sets up; the program must not inherit that.
    assert box.facts()["dumpable"] == 1


def test_nothing_of_the_runtime_is_open_in_the_container(box):
    facts = box.facts()
    assert set(facts["fds"]) == {"0", "1", "2"}
    box.hold()
    assert set(box.exec_facts()["fds"]) == {"0", "1", "2"}


def test_personality_scheduler_and_priority_are_the_defaults(box):
    facts = box.facts()
    assert (facts["personality"], facts["scheduler"], facts["nice"]) == (0, 0, 0)


@pytest.mark.peer(crun="lets --cap replace the capabilities of the config")
def test_a_capability_that_is_inheritable_in_the_config_becomes_ambient_by_cap(box):
    held = {"CAP_KILL", "CAP_SYSLOG", "CAP_CHOWN"}
    box.set(
        "process.capabilities",
        {
            "bounding": sorted(held),
            "permitted": ["CAP_KILL"],
            "effective": ["CAP_KILL"],
            "inheritable": ["CAP_KILL", "CAP_SYSLOG"],
            "ambient": ["CAP_KILL"],
        },
    )
    box.hold()
    facts = box.exec_facts("--cap", "CAP_SYSLOG", "--cap", "CAP_CHOWN")
    assert facts.capabilities("permitted") == held
    assert facts.capabilities("ambient") == {"CAP_KILL", "CAP_SYSLOG"}
    assert facts.capabilities("inheritable") == {"CAP_KILL", "CAP_SYSLOG"}
