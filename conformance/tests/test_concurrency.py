"""Several calls at once on one root, and on one id."""

import os
import subprocess

import pytest

from harness import events


def test_of_many_creates_of_one_id_exactly_one_succeeds(box):
    box.args("/probe", "hold")
    box.bundle.save()
    words = ("create", "--bundle", box.bundle.path, box.id)
    calls = [box.runtime.popen(*words) for _ in range(8)]
    results = [call.wait() for call in calls]
    assert sorted(result.code for result in results) == [0] + [1] * 7
    assert box.status == "created"
    assert not box.company()


def test_many_containers_live_and_end_side_by_side(box):
    boxes = [box.sibling(f"-{number}") for number in range(6)]
    for number, each in enumerate(boxes):
        each.sh(f"exit {number}")
    calls = [each.popen_run() for each in boxes]
    assert [call.wait().code for call in calls] == list(range(6))
    assert box.runtime.ids() == []


def together(calls):
    """The statuses of calls that are all under way at once."""
    return [call.wait().code for call in list(calls)]


def test_fifty_containers_come_and_go_at_once_and_leave_nothing(box):
    boxes = [box.sibling(f"-{number}") for number in range(50)]
    for each in boxes:
        each.bundle.unset("linux.cgroupsPath")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    codes = together(each.popen("create", **quiet) for each in boxes)
    assert codes == [0] * len(boxes)
    assert sorted(box.runtime.ids()) == sorted(each.id for each in boxes)
    codes = together(box.runtime.popen("delete", "--force", each.id) for each in boxes)
    assert codes == [0] * len(boxes)
    assert box.runtime.ids() == []


@pytest.mark.peer(runc="lists fail when a container goes at the wrong moment")
def test_list_works_while_containers_come_and_go(box):
    box.hold()
    others = [box.sibling(f"-{number}") for number in range(4)]
    for each in others:
        each.sh("exit 0")
    calls = [each.popen_run() for each in others]
    while any(call.process.poll() is None for call in calls):
        listed = box.runtime.call("list", "--format", "json").check().json
        assert box.id in [entry["id"] for entry in listed]
    assert all(call.wait().code == 0 for call in calls)


@pytest.mark.peer(runc="a second start waits for ever for the first one's gate")
def test_of_two_starts_exactly_one_succeeds_and_the_program_runs_once(box):
    told = box.bundle.fifo("told")
    box.sh("echo ran > /told; exec /probe hold")
    box.create().check()
    calls = [box.runtime.popen("start", box.id) for _ in range(4)]
    codes = sorted(call.wait().code for call in calls)
    assert codes == [0, 1, 1, 1]
    assert told.line() == "ran"
    with pytest.raises(events.Missing):
        told.line(0.05)


def test_deletes_at_once_leave_nothing_and_do_not_hang(box):
    box.hold()
    calls = [box.runtime.popen("delete", "--force", box.id) for _ in range(4)]
    results = [call.wait() for call in calls]
    assert any(result.code == 0 for result in results)
    assert box.state is None


@pytest.mark.peer(crun="delete and run come across each other")
def test_a_foreground_run_survives_that_somebody_else_deletes_the_container(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    call = box.popen_run()
    assert ready.line() == "ready"
    box.delete("--force").check()
    assert call.wait().code == 128 + 9


@pytest.mark.peer(runc="1.1 runs poststart hooks in create already")
def test_kill_is_not_held_up_by_a_start_under_way(box):
    """A start that waits, here for a hook, must not keep kill from the container."""
    hook = box.bundle.fifo("hook")
    go = box.path("go")
    os.mkfifo(go)
    script = f"echo hook > {hook.path}; read line < {go}"
    box.set("hooks", {"poststart": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]})
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    call = box.runtime.popen("start", box.id)
    assert hook.line() == "hook"
    box.kill("KILL", timeout=5).check()
    assert box.wait(pid) == -9
    with open(go, "w", encoding="utf-8") as file:
        file.write("go\n")
    call.wait()
