"""Hooks that fail, that are none, and that do not behave; and what becomes of the container."""

import os

import pytest

from harness import Fifo, events, host
from harness.hooks import AT_CREATE, INSIDE, STAGES, add, failed, life, make_seen, note, order


@pytest.fixture
def seen(box):
    return make_seen(box)


@pytest.mark.row("hooks.createRuntime", "hooks.createContainer", "hooks.prestart")
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


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.peer(
    runc="1.1 does not name the stage", crun="words its errors in its own way, and drops the output"
)
@pytest.mark.parametrize("stage", AT_CREATE)
def test_the_error_of_a_hook_has_stage_number_status_and_output(box, seen, stage):
    note(box, stage, "first")
    add(box, stage, "echo a word of the hook >&2; exit 3")
    said = box.create().fails().said
    # The second: runc counts from 0, and callers know the form.
    assert f"error running {stage} hook #1: " in said
    assert "exit status 3" in said and "a word of the hook" in said


@pytest.mark.row("hooks.poststop")
@pytest.mark.peer(crun="1.8 runs them for the first two stages only")
@pytest.mark.parametrize("stage", AT_CREATE)
def test_the_hooks_of_poststop_run_after_a_create_that_failed_in(box, seen, stage):
    add(box, stage, "exit 1")
    note(box, "poststop")
    failed(box.create())
    assert order(seen) == ["poststop"]


@pytest.mark.row("hooks.startContainer")
def test_the_program_does_not_run_when_a_hook_of_start_container_fails(box, seen):
    add(box, INSIDE, "exit 1")
    box.sh("echo program >> /seen/order")
    box.create().check()
    pid = box.pid
    box.start()
    assert box.wait(pid) != 0
    assert order(seen) == []
    assert box.status in (None, "stopped")


@pytest.mark.row("hooks.startContainer")
@pytest.mark.peer(runc="1.1 says 0, for it does not wait", crun="1.8 says 0, for it does not wait")
def test_start_fails_when_a_hook_of_start_container_fails(box, seen):
    add(box, INSIDE, "exit 1")
    box.create().check()
    box.start().fails()
    assert box.status in (None, "stopped")


@pytest.mark.row("hooks.poststart")
@pytest.mark.peer(runc="1.1 only warns", crun="1.8 only warns")
def test_start_fails_and_the_container_stops_when_a_hook_of_poststart_fails(box, seen):
    add(box, "poststart", "exit 1")
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    box.start().fails()
    box.wait(pid)
    assert box.status in (None, "stopped")


@pytest.mark.row("hooks.poststop")
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


@pytest.mark.row("hooks.createRuntime")
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


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.tare("rejects what config.md says a hook must not be before anything is made")
@pytest.mark.parametrize("hook", INVALID.values(), ids=INVALID)
@pytest.mark.parametrize("stage", ["prestart", "poststop"])
def test_a_hook_is_invalid_with(box, stage, hook):
    box.set(f"hooks.{stage}", [hook])
    box.create().fails()


# Hooks that do not behave.


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.peer(crun="words its errors in its own way")
def test_a_hook_that_runs_past_its_timeout_is_killed_and_fails(box, seen):
    add(box, "createRuntime", "exec sleep 1000", timeout=1)
    said = box.create(timeout=8).fails().said
    assert "hook ran past specified timeout of 1.0s" in said


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.peer(
    runc="1.1 waits for the children of the hook", crun="1.8 leaves the children of the hook"
)
def test_what_a_hook_past_its_timeout_started_is_killed_too(box, seen):
    add(box, "createRuntime", "sleep 1000 & sleep 1000", timeout=1)
    before = host.Snapshot.take(box.runtime.root)
    box.create(timeout=2.5).fails()
    assert before.settled(box.runtime.root).processes == before.processes


@pytest.mark.row("hooks.createRuntime")
def test_a_hook_within_its_timeout_is_none_the_worse(box, seen):
    add(box, "createRuntime", "echo ran > $SEEN/order", timeout=30)
    life(box)
    assert order(seen) == ["ran"]


@pytest.mark.row("hooks.createRuntime")
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


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.peer(crun="1.8 dies of SIGPIPE when a hook does not read")
def test_a_hook_that_does_not_read_a_large_state_is_not_waited_for(box, seen):
    box.set("annotations", {"large": "x" * 900_000})
    for stage in STAGES:
        add(box, stage, f"echo {stage} >> $SEEN/order", stdin=True)
    life(box)
    assert sorted(order(seen)) == sorted(STAGES)


@pytest.mark.row("hooks.createRuntime")
def test_a_hook_that_reads_a_large_state_gets_all_of_it(box, seen):
    box.set("annotations", {"large": "x" * 900_000})
    for stage in STAGES:
        add(box, stage, f"wc -c > $SEEN/{stage}", stdin=True)
    life(box)
    for stage in STAGES:
        assert int((seen / stage).read_text()) > 900_000, stage


@pytest.mark.row("hooks.createRuntime")
@pytest.mark.parametrize("code", [0, 1])
def test_a_hook_may_say_more_than_a_pipe_holds(box, seen, code):
    add(box, "createRuntime", f"seq 1 200000; seq 1 200000 >&2; exit {code}")
    assert (box.create().code == 0) == (code == 0)
