"""create, start, state, kill and delete: the order that runtime.md gives them."""

import json
import os
import shutil

import pytest

from harness import events, host

OWN_WORDS = "words its errors in its own way"


def test_a_created_container_waits_and_a_started_one_runs(box):
    told = box.bundle.fifo("told")
    box.sh("echo started > /told; exec /probe hold")
    box.create().check()
    assert box.status == "created"
    with pytest.raises(events.Missing):
        told.line(timeout=0.05)
    box.start().check()
    assert told.line() == "started"
    assert box.status == "running"


def test_a_container_goes_through_its_four_states(box):
    assert box.state is None
    box.args("/probe", "hold")
    box.create().check()
    assert box.status == "created"
    box.start().check()
    assert box.status == "running"
    box.stop()
    assert box.status == "stopped"
    box.delete().check()
    assert box.state is None


def test_the_pid_of_state_is_the_program_of_the_config_after_start(box):
    box.hold()
    with open(f"/proc/{box.pid}/cmdline", "rb") as file:
        assert file.read().split(b"\0")[:2] == [b"/probe", b"hold"]


def test_a_stopped_container_has_pid_0(box):
    box.hold()
    box.stop()
    assert box.state.get("pid", 0) == 0


def test_a_container_that_ends_by_itself_is_stopped(box):
    box.sh("exit 3")
    box.create().check()
    pid = box.pid
    box.start().check()
    assert box.wait(pid) == 3
    assert box.status == "stopped"


def test_a_container_whose_dead_init_nobody_collected_is_stopped(box):
    box.sh("exit 0")
    box.create().check()
    pid = box.pid
    box.start().check()
    events.wait_exit(pid)
    assert box.status == "stopped"
    box.delete().check()


def test_starting_twice_fails_and_changes_nothing(box):
    box.hold()
    pid = box.pid
    box.start().fails()
    assert (box.status, box.pid) == ("running", pid)


def test_a_stopped_container_cannot_be_started(box):
    box.hold()
    box.stop()
    box.start().fails()
    assert box.status == "stopped"


def test_a_container_killed_before_start_cannot_be_started(box):
    box.args("/probe")
    box.create().check()
    box.stop()
    box.start().fails()
    assert box.status == "stopped"


def test_a_stopped_container_cannot_be_killed(box):
    box.hold()
    box.stop()
    box.kill("KILL").fails()
    assert box.status == "stopped"


def test_a_running_container_cannot_be_deleted_without_force(box):
    box.hold()
    pid = box.pid
    box.delete().fails()
    assert (box.status, box.pid) == ("running", pid)
    assert events.is_running(pid)


def test_a_paused_container_cannot_be_deleted_without_force(box):
    box.hold()
    box.runtime.call("pause", box.id).check()
    box.delete().fails()
    assert box.status == "paused"
    box.runtime.call("resume", box.id).check()


def test_a_created_container_is_deleted_without_force(box):
    box.args("/probe")
    box.create().check()
    pid = box.pid
    box.delete().check()
    assert box.state is None
    assert not events.is_running(pid)


@pytest.mark.parametrize("stage", ["created", "running", "paused", "stopped"])
def test_delete_with_force_ends_a_container_in_any_state(box, stage):
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    if stage != "created":
        box.start().check()
    if stage == "paused":
        box.runtime.call("pause", box.id).check()
    if stage == "stopped":
        box.stop()
    box.delete("--force").check()
    assert box.state is None
    assert not events.is_running(pid)


@pytest.mark.row("kill-all")
def test_delete_with_force_ends_every_process_of_the_container(box):
    ready = box.bundle.fifo("ready")
    box.sh("sleep 1000 & sleep 1000 & echo ready > /ready; wait")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    box.delete("-f").check()
    assert not [name for name in host.descendants().values() if name == "sleep"]


def test_delete_with_force_succeeds_twice_and_without_a_container(box):
    box.hold()
    box.delete("--force").check()
    again = box.delete("--force").check()
    assert (again.out, again.err) == ("", "")


def test_an_id_can_be_used_again_after_delete(box):
    box.sh("exit 4")
    assert box.run().code == 4
    box.sh("exit 5")
    assert box.run().code == 5


def test_delete_leaves_the_bundle_alone(box):
    box.sh("exit 0")
    box.bundle.save()
    before = host.listing(box.bundle.path)
    box.create().check()
    pid = box.pid
    box.start().check()
    box.wait(pid)
    box.delete().check()
    assert host.listing(box.bundle.path) == before


def test_a_container_can_be_deleted_after_its_bundle_is_gone(box):
    box.hold()
    shutil.rmtree(box.bundle.path, ignore_errors=True)
    box.stop()
    box.delete().check()
    assert box.state is None


@pytest.mark.row("config-snapshot")
def test_config_changed_after_create_has_no_effect(box):
    told = box.bundle.fifo("told")
    box.sh("echo first $WHO > /told")
    box.set("process.env", ["PATH=/bin", "WHO=one"])
    box.create().check()
    box.sh("echo second $WHO > /told")
    box.set("process.env", ["PATH=/bin", "WHO=two"])
    box.set("process.user.uid", 77)
    box.bundle.save()
    box.start().check()
    assert told.line() == "first one"


@pytest.mark.row("config-snapshot")
@pytest.mark.parametrize("damage", ["removed", "not JSON", "other annotations"])
def test_a_config_spoilt_after_create_hinders_no_command(box, damage):
    box.set("annotations", {"is": "kept"})
    box.args("/probe", "hold")
    box.create().check()
    config = box.bundle.path / "config.json"
    if damage == "removed":
        config.unlink()
    elif damage == "not JSON":
        config.write_text("{")
    else:
        config.write_text(json.dumps({**box.config, "annotations": {"is": "changed"}}))
    box.start().check()
    assert box.state["annotations"] == {"is": "kept"}
    box.stop()
    box.delete().check()


@pytest.mark.parametrize(
    "words",
    [
        ("state",),
        ("start",),
        ("kill",),
        ("delete",),
        ("pause",),
        ("resume",),
        pytest.param(("ps",), marks=pytest.mark.peer(crun="ps exits with 253")),
        ("exec", "/probe"),
    ],
    ids=lambda words: words[0],
)
def test_an_unknown_container_is_an_error_for_every_command(box, words):
    code = 255 if words[0] == "exec" and box.runtime.kind != "crun" else 1
    box.runtime.call(words[0], "nobody", *words[1:]).fails(code)


PHRASES = [
    ("state", "container does not exist"),
    ("kill", "container does not exist"),
    ("delete", "container does not exist"),
    ("start", "container does not exist"),
]


@pytest.mark.peer(crun=OWN_WORDS)
@pytest.mark.parametrize("command, phrase", PHRASES, ids=[c for c, _ in PHRASES])
def test_the_words_for_an_unknown_container(box, command, phrase):
    assert phrase in box.runtime.call(command, "nobody").fails().first_error


@pytest.mark.peer(crun=OWN_WORDS)
def test_the_words_for_wrong_states_of_a_running_container(box):
    box.hold()
    assert "cannot start an already running container" in box.start().fails().first_error
    assert (
        f"cannot delete container {box.id} that is not stopped: running"
        in box.delete().fails().first_error
    )
    assert "container not paused" in box.runtime.call("resume", box.id).fails().first_error


@pytest.mark.peer(crun=OWN_WORDS)
def test_the_words_for_wrong_states_of_a_stopped_container(box):
    box.hold()
    box.stop()
    assert "cannot start a container that has stopped" in box.start().fails().first_error
    assert "container not running" in box.kill("TERM").fails().first_error
    assert "container not running" in box.runtime.call("pause", box.id).fails().first_error


@pytest.mark.peer(crun=OWN_WORDS)
def test_the_words_for_starting_a_paused_container(box):
    box.hold()
    box.runtime.call("pause", box.id).check()
    phrase = "cannot start a container in the paused state"
    assert phrase in box.start().fails().first_error
    box.runtime.call("resume", box.id).check()


def test_pause_stops_the_processes_and_resume_continues_them(box):
    ready = box.bundle.fifo("ready")
    beats = box.bundle.fifo("beats")
    box.sh("echo ready > /ready; while :; do echo beat > /beats; done")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    assert beats.line() == "beat"
    box.runtime.call("pause", box.id).check()
    assert box.status == "paused"
    frozen = host.CGROUPS / cgroup_of(box.pid) / "cgroup.events"
    assert "frozen 1" in frozen.read_text()
    box.runtime.call("resume", box.id).check()
    assert box.status == "running"
    assert "frozen 0" in frozen.read_text()


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return next(line for line in file if line.startswith("0::")).strip()[4:]


def test_a_paused_container_is_killed_by_sigkill(box):
    box.hold()
    pid = box.pid
    box.runtime.call("pause", box.id).check()
    box.kill("KILL").check()
    assert box.wait(pid) == -9
    assert box.status == "stopped"


@pytest.mark.peer(crun="pauses a paused and resumes a running container without a word")
def test_pausing_twice_and_resuming_a_running_container_are_errors(box):
    box.hold()
    box.runtime.call("resume", box.id).fails()
    box.runtime.call("pause", box.id).check()
    box.runtime.call("pause", box.id).fails()
    assert box.status == "paused"
    box.runtime.call("resume", box.id).check()


def test_the_init_left_by_create_is_a_child_of_the_caller(box):
    box.args("/probe", "hold")
    box.create().check()
    with open(f"/proc/{box.pid}/stat", encoding="utf-8") as file:
        parent = int(file.read().rpartition(")")[2].split()[1])
    assert parent == os.getpid()
    assert not box.company()


def test_nothing_of_the_runtime_stays_beside_a_running_container(box):
    box.hold()
    assert not box.company()


def test_the_init_has_the_exit_status_of_its_program(box):
    box.hold()
    pid = box.pid
    box.kill("TERM").check()
    assert box.wait(pid) == 7
