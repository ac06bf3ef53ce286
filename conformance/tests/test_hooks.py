"""Hooks: when each stage runs and where, and what it is told."""

import json
import os

import pytest

from harness.hooks import AT_CREATE, INSIDE, STAGES, add, life, make_seen, note, order

pytestmark = pytest.mark.row(*(f"hooks.{stage}" for stage in STAGES))

RUNTIMES = tuple(stage for stage in STAGES if stage not in ("createContainer", INSIDE))
EARLY = pytest.mark.peer(
    runc="1.1 runs poststart at the end of create",
    crun="1.8 does not wait for startContainer before it runs poststart",
)


@pytest.fixture
def seen(box):
    return make_seen(box)


@EARLY
def test_each_stage_runs_at_its_point_of_the_life_and_in_order(box, seen):
    for stage in reversed(STAGES):
        note(box, stage)
    box.sh("echo program >> /seen/order; exec /probe hold /ready")
    ready = box.bundle.fifo("ready")
    box.create().check()
    assert order(seen) == list(AT_CREATE)
    pid = box.pid
    box.start().check()
    assert ready.line() == "ready"
    found = order(seen)
    # Whether poststart is before or after the first line of the program is a race of theirs.
    assert found[:4] == [*AT_CREATE, INSIDE] and set(found[4:]) == {"program", "poststart"}
    box.kill("KILL").check()
    box.wait(pid)
    assert len(order(seen)) == 6
    box.delete().check()
    assert order(seen)[6:] == ["poststop"]


@EARLY
def test_the_hooks_of_a_stage_run_one_after_the_other_as_listed(box, seen):
    for stage in STAGES:
        for number in (1, 2, 3):
            note(box, stage, f"{stage}{number}")
    life(box)
    assert order(seen) == [f"{stage}{number}" for stage in STAGES for number in (1, 2, 3)]


def test_run_runs_all_hooks(box, seen):
    for stage in STAGES:
        note(box, stage)
    box.args("/bin/true")
    box.run().check()
    assert sorted(order(seen)) == sorted(STAGES)
    assert order(seen)[-1] == "poststop"


STATUS = {
    "prestart": "creating",
    "createRuntime": "creating",
    "createContainer": "creating",
    INSIDE: "created",
    "poststart": "running",
    "poststop": "stopped",
}


def states(box, seen):
    for stage in STAGES:
        add(box, stage, f"cat > $SEEN/{stage}.json", stdin=True)
    box.set("annotations", {"org.example.one": '1 / and "quotes"', "two": ""})
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    box.start().check()
    box.kill("KILL").check()
    box.wait(pid)
    box.delete().check()
    return pid, {stage: json.loads((seen / f"{stage}.json").read_text()) for stage in STAGES}


@pytest.mark.peer(crun="1.8 says / for the bundle in startContainer")
def test_every_hook_is_told_the_state(box, seen):
    pid, told = states(box, seen)
    for stage, state in told.items():
        assert state["id"] == box.id, stage
        assert state["bundle"] == str(box.bundle.path), stage
        assert state["ociVersion"].startswith("1."), stage
        assert state["annotations"]["org.example.one"] == '1 / and "quotes"', stage
    for stage in ("prestart", "createRuntime", "poststart"):
        assert told[stage]["pid"] == pid, stage
    assert told["poststop"].get("pid", 0) == 0


@pytest.mark.peer(
    runc="1.1 runs poststart while the container is created",
    crun="1.8 has `created` for what is being created",
)
def test_every_hook_is_told_the_status_of_its_stage(box, seen):
    told = states(box, seen)[1]
    assert {stage: state["status"] for stage, state in told.items()} == STATUS


def test_a_hook_finds_the_namespaces_of_the_container_by_the_pid_it_is_told(box, seen):
    """What libnetwork and CNI plugins live on."""
    box.bundle.namespace("network")
    script = (
        r"""pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); readlink /proc/$pid/ns/net > $SEEN/net"""
    )
    add(box, "createRuntime", script, stdin=True)
    box.hold()
    assert (seen / "net").read_text().strip() == os.readlink(f"/proc/{box.pid}/ns/net")
    assert (seen / "net").read_text().strip() != os.readlink("/proc/self/ns/net")


def test_a_hook_has_its_arguments_and_its_environment_and_nothing_else(box, seen):
    for stage in STAGES:
        # What a shell adds by itself does not count.
        script = (
            f'echo "$0 $*" > $SEEN/{stage}; env -u PWD -u SHLVL -u _ -u OLDPWD >> $SEEN/{stage}'
        )
        add(box, stage, script)
        box.config["hooks"][stage][0]["args"] += ["zero", "one two"]
        box.config["hooks"][stage][0]["env"].append("EXTRA=a b")
    life(box)
    for stage in STAGES:
        first, *environment = (seen / stage).read_text().splitlines()
        assert first == "zero one two"
        names = {line.split("=")[0] for line in environment}
        assert "EXTRA=a b" in environment
        assert names - {"PWD", "SHLVL", "_", "OLDPWD"} == {"EXTRA", "PATH", "SEEN"}, stage


def test_a_hook_without_arguments_has_its_path_as_the_first(box, seen):
    script = box.path("hook")
    script.write_text(f'#!/bin/sh\ncat > /dev/null; echo "$# $0" > {seen}/arguments\n')
    script.chmod(0o755)
    box.set("hooks.createRuntime", [{"path": str(script)}])
    life(box)
    assert (seen / "arguments").read_text() == f"0 {script}\n"


def test_each_stage_runs_in_the_namespaces_of_its_own(box, seen):
    names = ("mnt", "uts", "ipc", "cgroup", "pid")
    for stage in STAGES:
        lines = "; ".join(f"readlink /proc/self/ns/{name}" for name in names)
        add(box, stage, f"({lines}) > $SEEN/{stage}")
    box.args("/probe", "hold")
    box.create().check()
    theirs = [os.readlink(f"/proc/{box.pid}/ns/{name}") for name in names]
    box.start().check()
    box.stop()
    box.delete().check()
    ours = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    found = {stage: (seen / stage).read_text().split() for stage in STAGES}
    for stage in RUNTIMES:
        assert found[stage] == ours, stage
    assert found[INSIDE] == theirs
    # Its path is one of the host, so that the tree it sees is not the container's yet; /proc of
    # the host shows no process of another pid namespace by `self`.
    assert found["createContainer"][0] == theirs[0]


def test_a_hook_inside_sees_the_root_of_the_container_and_the_others_do_not(box, seen):
    for stage in STAGES:
        add(box, stage, f"test -e /probe && echo {stage} >> $SEEN/order; true")
    life(box)
    assert order(seen) == [INSIDE]


def test_later_changes_of_the_config_do_not_reach_the_hooks_of_delete(box, seen):
    note(box, "poststop")
    box.create().check()
    box.bundle.unset("hooks")
    box.bundle.save()
    box.delete("--force").check()
    assert order(seen) == ["poststop"]


def test_exec_runs_no_hooks(box, seen):
    for stage in STAGES:
        note(box, stage)
    box.hold()
    before = order(seen)
    box.exec("true").check()
    assert order(seen) == before
