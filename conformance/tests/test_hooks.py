"""Hooks: when each stage runs and where, what it is told, and what follows from a failure."""

import json
import os

import pytest

from harness import Fifo, events, host

STAGES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
AT_CREATE = STAGES[:3]
INSIDE = "startContainer"  # the one that runs in the container's own root
RUNTIMES = tuple(stage for stage in STAGES if stage not in ("createContainer", INSIDE))


@pytest.fixture
def seen(box):
    """Where hooks write down what they see; below the rootfs, so that INSIDE can reach it too."""
    place = box.rootfs / "seen"
    place.mkdir()
    return place


def add(box, stage, script, stdin=False, **more):
    """Adds a hook that is a shell script; `$SEEN` in it is the place to write to. It reads its
    standard input to the end first, unless `stdin` says that the script has its own ways."""
    place = "/seen" if stage == INSIDE else str(box.rootfs / "seen")
    script = script if stdin else f"cat > /dev/null; {script}"
    hook = {
        "path": "/bin/sh",
        "args": ["sh", "-c", script],
        "env": [f"SEEN={place}", "PATH=/bin:/usr/bin"],
        **more,
    }
    box.config.setdefault("hooks", {}).setdefault(stage, []).append(hook)


def failed(result):
    """Checks that a call failed, with any status (crun has 255 for a hook) and with a word."""
    assert result.code > 0 and result.err.strip(), result
    return result


def note(box, stage, word=None):
    add(box, stage, f"echo {word or stage} >> $SEEN/order")


def order(seen):
    path = seen / "order"
    return path.read_text().split() if path.exists() else []


EARLY = pytest.mark.peer(
    runc="1.1 runs poststart at the end of create",
    crun="1.8 does not wait for startContainer before it runs poststart",
)


def life(box):
    """A whole life: create, start, the end of the program, delete."""
    box.args("/bin/true")
    box.create().check()
    pid = box.pid
    box.start().check()
    box.wait(pid)
    box.delete().check()


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
    box.set("annotations", {"org.example.one": "1 / and \"quotes\"", "two": ""})
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
    script = r"""pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); readlink /proc/$pid/ns/net > $SEEN/net"""
    add(box, "createRuntime", script, stdin=True)
    box.hold()
    assert (seen / "net").read_text().strip() == os.readlink(f"/proc/{box.pid}/ns/net")
    assert (seen / "net").read_text().strip() != os.readlink("/proc/self/ns/net")


def test_a_hook_has_its_arguments_and_its_environment_and_nothing_else(box, seen):
    for stage in STAGES:
        # What a shell adds by itself does not count.
        script = f'echo "$0 $*" > $SEEN/{stage}; env -u PWD -u SHLVL -u _ -u OLDPWD >> $SEEN/{stage}'
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


@pytest.mark.peer(runc="1.1 leaves three of its own open in createContainer")
def test_a_hook_inherits_no_descriptors_but_its_own_three(box, seen):
    for stage in STAGES:
        # ls has one for the directory.
        add(box, stage, f"ls /proc/self/fd | wc -l > $SEEN/{stage}")
    life(box)
    counts = {stage: int((seen / stage).read_text()) for stage in STAGES}
    assert counts == dict.fromkeys(STAGES, 4)


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


# Failures.


@pytest.mark.parametrize("stage", AT_CREATE)
def test_create_fails_and_is_undone_when_a_hook_fails_in(box, seen, stage):
    before = host.Snapshot.take(box.runtime.root)
    note(box, stage, "first")
    add(box, stage, "echo a word of the hook >&2; exit 3")
    note(box, stage, "never")
    for later in STAGES[STAGES.index(stage) + 1 : 5]:
        note(box, later)
    failed(box.create())
    assert box.state is None and not box.runtime.ids()
    assert order(seen) == ["first"]
    assert before.settled(box.runtime.root).processes == before.processes


@pytest.mark.peer(
    runc="1.1 does not name the stage", crun="words its errors in its own way, and drops the output"
)
@pytest.mark.parametrize("stage", AT_CREATE)
def test_the_error_of_a_hook_has_stage_number_status_and_output(box, seen, stage):
    note(box, stage, "first")
    add(box, stage, "echo a word of the hook >&2; exit 3")
    said = box.create().fails().said
    assert f"error running {stage} hook #2: " in said
    assert "exit status 3" in said and "a word of the hook" in said


@pytest.mark.peer(crun="1.8 runs them for the first two stages only")
@pytest.mark.parametrize("stage", AT_CREATE)
def test_the_hooks_of_poststop_run_after_a_create_that_failed_in(box, seen, stage):
    add(box, stage, "exit 1")
    note(box, "poststop")
    failed(box.create())
    assert order(seen) == ["poststop"]


def test_the_program_does_not_run_when_a_hook_of_start_container_fails(box, seen):
    add(box, INSIDE, "exit 1")
    box.sh("echo program >> /seen/order")
    box.create().check()
    pid = box.pid
    box.start()
    assert box.wait(pid) != 0
    assert order(seen) == []
    assert box.status in (None, "stopped")


@pytest.mark.peer(runc="1.1 says 0, for it does not wait", crun="1.8 says 0, for it does not wait")
def test_start_fails_when_a_hook_of_start_container_fails(box, seen):
    add(box, INSIDE, "exit 1")
    box.create().check()
    box.start().fails()
    assert box.status in (None, "stopped")


@pytest.mark.peer(runc="1.1 only warns", crun="1.8 only warns")
def test_start_fails_and_the_container_stops_when_a_hook_of_poststart_fails(box, seen):
    add(box, "poststart", "exit 1")
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    box.start().fails()
    box.wait(pid)
    assert box.status in (None, "stopped")


@pytest.mark.peer(runc="1.1 runs no hook after one that failed")
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["delete", "delete --force"])
def test_a_failure_of_poststop_holds_neither_the_next_hook_nor_the_delete_up(box, seen, force):
    note(box, "poststop", "first")
    add(box, "poststop", "exit 1")
    note(box, "poststop", "third")
    box.hold()
    box.stop()
    box.delete(*force).check()
    assert order(seen) == ["first", "third"]
    assert box.state is None


BAD_PATHS = {
    "missing": "/nonexistent/hook",
    "a directory": "/etc",
    "not executable": "/etc/passwd",
}


@pytest.mark.parametrize("path", BAD_PATHS.values(), ids=BAD_PATHS)
@pytest.mark.parametrize("stage", AT_CREATE)
def test_create_fails_when_the_program_of_a_hook_is(box, stage, path):
    box.set(f"hooks.{stage}", [{"path": path}])
    failed(box.create())
    assert not box.runtime.ids()


INVALID = {
    "a relative path": {"path": "bin/true"},
    "no path": {"args": ["true"]},
    "an empty path": {"path": ""},
    "a timeout of zero": {"path": "/bin/true", "timeout": 0},
    "a timeout below zero": {"path": "/bin/true", "timeout": -1},
}


@pytest.mark.tare("rejects what config.md says a hook must not be before anything is made")
@pytest.mark.parametrize("hook", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("stage", ["prestart", "poststop"])
def test_a_hook_is_invalid_with(box, stage, hook):
    box.set(f"hooks.{stage}", [hook])
    box.create().fails()


# Hooks that do not behave.


@pytest.mark.peer(crun="words its errors in its own way")
def test_a_hook_that_runs_past_its_timeout_is_killed_and_fails(box, seen):
    add(box, "createRuntime", "exec sleep 1000", timeout=1)
    said = box.create(timeout=8).fails().said
    assert "hook ran past specified timeout of 1.0s" in said


@pytest.mark.peer(
    runc="1.1 waits for the children of the hook", crun="1.8 leaves the children of the hook"
)
def test_what_a_hook_past_its_timeout_started_is_killed_too(box, seen):
    add(box, "createRuntime", "sleep 1000 & sleep 1000", timeout=1)
    box.create(timeout=2.5).fails()
    assert "sleep" not in host.descendants().values()


def test_a_hook_within_its_timeout_is_none_the_worse(box, seen):
    add(box, "createRuntime", "echo ran > $SEEN/order", timeout=30)
    life(box)
    assert order(seen) == ["ran"]


@pytest.mark.peer(runc="1.1 waits for the end of the hook's output")
@pytest.mark.parametrize("stage", ["createRuntime", "poststart", "poststop"])
def test_a_hook_that_leaves_a_process_with_its_output_open_holds_nobody_up(box, seen, stage):
    gate = Fifo(box.path("gate"))
    add(box, stage, f"(exec 3< {gate.path}; read line <&3) & exit 0")
    box.args("/bin/true")
    try:
        box.create(timeout=3).check()
        pid = box.pid
        box.start(timeout=3).check()
        box.wait(pid)
        box.delete(timeout=3).check()
    finally:
        # Whoever still waits there may go.
        fd = os.open(gate.path, os.O_RDWR)
        os.write(fd, b"\n\n\n")
        for process in host.descendants():
            events.wait_exit(process)
        os.close(fd)
        gate.close()


@pytest.mark.peer(crun="1.8 dies of SIGPIPE when a hook does not read")
def test_a_hook_that_does_not_read_a_large_state_is_not_waited_for(box, seen):
    box.set("annotations", {"large": "x" * 900_000})
    for stage in STAGES:
        add(box, stage, f"echo {stage} >> $SEEN/order", stdin=True)
    life(box)
    assert sorted(order(seen)) == sorted(STAGES)


def test_a_hook_that_reads_a_large_state_gets_all_of_it(box, seen):
    box.set("annotations", {"large": "x" * 900_000})
    for stage in STAGES:
        add(box, stage, f"wc -c > $SEEN/{stage}", stdin=True)
    life(box)
    for stage in STAGES:
        assert int((seen / stage).read_text()) > 900_000, stage


@pytest.mark.parametrize("code", [0, 1])
def test_a_hook_may_say_more_than_a_pipe_holds(box, seen, code):
    add(box, "createRuntime", f"seq 1 200000; seq 1 200000 >&2; exit {code}")
    assert (box.create().code == 0) == (code == 0)
