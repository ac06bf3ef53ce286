"""process.scheduler: read back from the kernel for init and for exec."""

import os

import pytest

from harness import Snapshot
from harness.scheduling import Scheduling, scheduling

pytestmark = pytest.mark.row("process.scheduler")

OLD = pytest.mark.peer(runc="1.1 does not know the field", crun="1.8 does not know the field")

ALL_CPUS = os.sysconf("SC_NPROCESSORS_CONF")
DEADLINE = {
    "policy": "SCHED_DEADLINE",
    "runtime": 2000000,
    "deadline": 20000000,
    "period": 40000000,
}


def held(box, **scheduler):
    box.set("process.scheduler", scheduler)
    return box.hold()


def fields(pid, *names):
    found = scheduling(pid)
    return tuple(getattr(found, name) for name in names)


@OLD
@pytest.mark.parametrize("policy, nice", [("OTHER", 7), ("OTHER", -9), ("BATCH", 19), ("IDLE", 0)])
def test_a_policy_with_its_nice_value_is_set(box, policy, nice):
    held(box, policy=f"SCHED_{policy}", nice=nice)
    assert fields(box.pid, "policy", "nice") == (policy, nice)


@OLD
@pytest.mark.parametrize("policy, priority", [("FIFO", 1), ("RR", 99)])
def test_a_real_time_policy_with_its_priority_is_set(box, policy, priority):
    held(box, policy=f"SCHED_{policy}", priority=priority)
    assert fields(box.pid, "policy", "priority") == (policy, priority)


@OLD
def test_a_real_time_policy_is_set_for_a_user_without_capabilities(box):
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.set("process.capabilities", {})
    os.chmod(box.rootfs, 0o777)
    box.set("process.scheduler", {"policy": "SCHED_FIFO", "priority": 5})
    assert box.facts()["scheduler"] == 1


@OLD
def test_a_real_time_policy_is_set_in_a_user_namespace(box):
    box.bundle.namespace("user")
    box.bundle.namespace("network")
    for which in ("uidMappings", "gidMappings"):
        box.set(f"linux.{which}", [{"containerID": 0, "hostID": 100000, "size": 65536}])
    os.chown(box.rootfs, 100000, 100000)
    held(box, policy="SCHED_RR", priority=3)
    assert fields(box.pid, "policy", "priority") == ("RR", 3)


@OLD
def test_a_deadline_is_set(box):
    held(box, **DEADLINE)
    assert scheduling(box.pid) == Scheduling("DEADLINE", 0, 0, 0, 2000000, 20000000, 40000000)


@OLD
def test_reset_on_fork_is_set_and_the_heirs_are_ordinary(box):
    held(box, policy="SCHED_FIFO", priority=9, flags=["SCHED_FLAG_RESET_ON_FORK"])
    assert fields(box.pid, "policy", "flags") == ("FIFO", 1)
    box.stop()
    box.delete().check()
    box.sh("/probe | cat")  # Forked by the shell.
    assert box.run().check().json["scheduler"] == 0


@OLD
def test_an_execd_process_has_the_scheduler_of_the_config(box):
    held(box, policy="SCHED_BATCH", nice=11)
    facts = box.exec_facts()
    assert (facts["scheduler"], facts["nice"]) == (3, 11)


@OLD
def test_a_process_file_has_its_own_scheduler(box):
    held(box, policy="SCHED_BATCH", nice=11)
    process = {
        "args": ["/probe"],
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0},
        "scheduler": {"policy": "SCHED_FIFO", "priority": 42},
    }
    assert box.exec_process(process).check().json["scheduler"] == 1
    process["user"] = {"uid": 1000, "gid": 1000}
    assert box.exec_process(process).check().json["scheduler"] == 1


@OLD
def test_an_execd_process_may_have_a_deadline(box):
    box.hold()
    process = {
        "args": ["/probe"],
        "cwd": "/",
        "user": {"uid": 1000, "gid": 1000},
        "scheduler": dict(DEADLINE, flags=["SCHED_FLAG_RESET_ON_FORK"]),
    }
    assert box.exec_process(process).check().json["scheduler"] == 0x40000000 | 6
    process["scheduler"]["runtime"] = 30000000
    assert "runtime <= deadline" in box.exec_process(process).said


@OLD
def test_a_process_file_without_a_scheduler_has_that_of_the_config(box):
    held(box, policy="SCHED_BATCH", nice=11)
    process = {"args": ["/probe"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
    assert box.exec_process(process).check().json["scheduler"] == 3


def test_without_a_scheduler_the_callers_stays(box):
    box.hold()
    assert fields(box.pid, "policy", "nice") == ("OTHER", 0)


BAD = {
    "no policy": ({}, "scheduler policy is required"),
    "no such policy": ({"policy": "SCHED_NONE"}, "invalid scheduler policy"),
    "SCHED_ISO": ({"policy": "SCHED_ISO"}, "SCHED_ISO"),
    "nice": ({"policy": "SCHED_OTHER", "nice": 20}, "invalid scheduler.nice: 20"),
    "priority for OTHER": (
        {"policy": "SCHED_OTHER", "priority": 3},
        "scheduler.priority can only be specified for SchedFIFO or SchedRR policy",
    ),
    "no priority": ({"policy": "SCHED_FIFO"}, "priority from 1 to 99"),
    "priority 100": ({"policy": "SCHED_RR", "priority": 100}, "priority from 1 to 99"),
    "runtime for FIFO": (
        {"policy": "SCHED_FIFO", "priority": 1, "runtime": 5000},
        "scheduler runtime/deadline/period can only be specified for SchedDeadline policy",
    ),
    "runtime beyond deadline": (dict(DEADLINE, runtime=30000000), "runtime <= deadline"),
    "deadline beyond period": (dict(DEADLINE, deadline=50000000), "deadline <= period"),
    "flag": ({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]}, "SCHED_FLAG_NONE"),
}


@OLD
@pytest.mark.parametrize("name", BAD)
def test_a_scheduler_that_cannot_be_is_refused_and_nothing_is_left(box, name):
    scheduler, words = BAD[name]
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    box.set("process.scheduler", scheduler)
    assert words in box.create().fails().said
    assert before.settled(box.runtime.root) == before


@OLD
def test_what_the_kernel_refuses_names_the_call_and_leaves_nothing(box):
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    # Below kernel.sched_deadline_period_min_us.
    box.set("process.scheduler", dict(DEADLINE, runtime=2000, deadline=4000, period=4000))
    assert "sched_setattr" in box.create().fails().said
    assert before.settled(box.runtime.root) == before


@OLD
@pytest.mark.needs_controller("cpuset")
@pytest.mark.skipif(ALL_CPUS < 2, reason="one CPU: every cpuset has them all")
def test_a_deadline_together_with_cpus_is_refused_in_runcs_words(box):
    box.set("linux.resources.cpu", {"cpus": "0"})
    box.set("process.scheduler", DEADLINE)
    said = box.create().fails().said
    assert "process scheduler can't be used together with AllowedCPUs" in said


@OLD
def test_a_deadline_that_could_not_run_its_own_hooks_is_refused(box):
    box.set("hooks", {"startContainer": [{"path": "/bin/true"}]})
    box.set("process.scheduler", DEADLINE)
    assert "cannot fork" in box.create().fails().said
