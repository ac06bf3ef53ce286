"""On which CPUs a container's processes may run: the whole cpuset, or what execCPUAffinity says."""

import os

import pytest

from harness import Snapshot

pytestmark = pytest.mark.row("process.execCPUAffinity")

CPUS = sorted(os.sched_getaffinity(0))
SEVERAL = pytest.mark.skipif(len(CPUS) < 2, reason="this suite may run on one CPU only")
OLD = pytest.mark.peer(runc="1.1 does not know the field", crun="1.8 does not know the field")
RESET = pytest.mark.peer(runc="1.1 passes the mask of its caller on", crun="1.8 passes it on")


def pinned():
    """Has the runtime start on one CPU, as a caller that systemd pinned would."""
    os.sched_setaffinity(0, {CPUS[0]})


def allowed(facts):
    numbers = set()
    for part in facts["status"]["Cpus_allowed_list"].split(","):
        first, _, last = part.partition("-")
        numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def exec_with(box, affinity, **more):
    process = {
        "args": ["/probe"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "execCPUAffinity": affinity,
    }
    return box.exec_process(process, **more)


@RESET
@SEVERAL
def test_the_affinity_of_the_caller_is_not_that_of_the_container(box):
    assert set(CPUS) <= allowed(box.facts(preexec_fn=pinned))


@RESET
@SEVERAL
def test_the_affinity_of_the_caller_is_not_that_of_an_execd_process(box):
    box.hold()
    assert set(CPUS) <= allowed(box.exec_facts(preexec_fn=pinned))


@OLD
@SEVERAL
def test_the_final_affinity_is_that_of_the_execd_process(box):
    box.hold()
    last = CPUS[-1]
    assert allowed(exec_with(box, {"initial": str(CPUS[0]), "final": str(last)}).check().json) == {last}
    # Beyond 1,024, and beyond any kernel: without effect, as with the kernel itself.
    far = f" {last} , 2000-2003,"
    assert allowed(exec_with(box, {"final": far}).check().json) == {last}


@OLD
@SEVERAL
def test_with_an_initial_affinity_alone_the_process_keeps_it(box):
    box.hold()
    assert allowed(exec_with(box, {"initial": str(CPUS[1])}).check().json) == {CPUS[1]}
    assert allowed(exec_with(box, {"initial": "", "final": ""}, preexec_fn=pinned).check().json) >= set(CPUS)


@OLD
@SEVERAL
def test_the_affinity_of_the_config_is_that_of_exec_and_not_of_init(box):
    box.set("process.execCPUAffinity", {"initial": str(CPUS[0]), "final": str(CPUS[1])})
    box.hold()
    assert os.sched_getaffinity(box.pid) >= set(CPUS)
    assert allowed(box.exec_facts()) == {CPUS[1]}
    process = {"args": ["/probe"], "cwd": "/", "user": {"uid": 0, "gid": 0}}
    assert allowed(box.exec_process(process).check().json) == {CPUS[1]}


@OLD
@pytest.mark.parametrize("text", ["x", "1-0", "-1", "0-", "1;2", "0x1", ",", "99999999999999999999"])
@pytest.mark.parametrize("stage", ["initial", "final"])
def test_what_is_no_list_of_cpus_is_refused(box, stage, text):
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    box.set("process.execCPUAffinity", {stage: text})
    assert f"execCPUAffinity/{stage}" in box.create().fails().said
    assert before.settled(box.runtime.root) == before


@OLD
@pytest.mark.parametrize("stage", ["initial", "final"])
def test_a_cpu_that_the_machine_has_not_fails_exec(box, stage):
    box.hold()
    result = exec_with(box, {stage: "5000"})
    assert result.code == 255
    assert f"set the {stage} CPU affinity 5000" in result.said
