"""CRI-O's way of calling, with the conmon that it calls: the arguments, environment and descriptors of
its internal/oci/runtime_oci.go."""

import json

import pytest

from harness import Pty, events, host, mistakes
from harness.crio import CONMON, Crio

pytestmark = pytest.mark.skipif(not CONMON, reason="no conmon")


@pytest.fixture
def crio(box):
    return Crio(box)


@pytest.fixture
def held(crio, box):
    """A container that waits for SIGTERM, below its conmon, as after StartContainer."""
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    said = crio.create()
    assert said["pid"] > 0, said
    crio.pid = said["pid"]
    crio.runtime("start", box.id).check()
    assert ready.line() == "ready"
    yield crio
    if crio.conmon.exists():
        crio.runtime("delete", "--force", box.id)
        crio.exit_code()


def status(crio):
    return json.loads(crio.runtime("state", crio.box.id).check().out)["status"]


def test_the_life_of_a_container_of_cri_o(held, box):
    assert status(held) == "running"
    held.runtime("pause", box.id).check()
    assert status(held) == "paused"
    held.runtime("resume", box.id).check()
    held.runtime("kill", box.id, "TERM").check()
    assert held.exit_code() == 7
    assert status(held) == "stopped"
    held.runtime("delete", "--force", box.id).check()
    held.conmon.unlink()


def test_cri_o_learns_the_pid_and_sees_created(crio, box):
    box.sh("echo said; exit 3")
    said = crio.create()
    assert int((box.bundle.path / "pidfile").read_text()) == said["pid"]
    assert status(crio) == "created"
    crio.runtime("start", box.id).check()
    assert crio.exit_code() == 3
    assert crio.log.read_text().split(" ", 1)[1] == "stdout F said\n"
    crio.runtime("delete", "--force", box.id).check()


@mistakes.of_create
@pytest.mark.peer(crun="says so in capitals")
def test_cri_o_is_told_why_a_container_was_not_created(crio, box, arrange, words):
    arrange(box)
    said = crio.create()
    assert said["pid"] == -1 and mistakes.says(said["message"], words), said
    assert not box.runtime.ids()
    crio.runtime("delete", "--force", box.id)


@pytest.mark.peer(runc="starts the container, whose init then says it", crun="says so in capitals")
def test_cri_o_is_told_of_a_missing_interpreter_when_it_starts(crio, box):
    mistakes.run_orphan(box)
    assert crio.create()["pid"] > 0
    said = crio.runtime("start", box.id).fails().err
    assert "no such file or directory" in said and "/bin/interpreter" in said
    assert crio.exit_code() != 0
    crio.runtime("delete", "--force", box.id).check()


def test_exec_sync_has_the_output_and_the_exit_code(held):
    said, log = held.exec_sync("/bin/sh", "-c", "echo out; echo err >&2; exit 4")
    assert said["exit_code"] == 4
    assert sorted(log) == ["stderr F err", "stdout F out"]


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nonesuch", "executable file not found in $PATH"),
        ("/nonexistent", "no such file or directory"),
        ("/etc/passwd", "permission denied"),
        ("/etc", "permission denied|is a directory"),
    ],
)
@pytest.mark.peer(crun="says so in capitals")
def test_exec_sync_of_what_cannot_be_run_says_why(held, program, words):
    said, _ = held.exec_sync(program)
    assert said["exit_code"] == -1 and mistakes.says(said["message"], words), said


def test_exec_sync_that_takes_too_long_is_ended_by_conmon(held, box):
    said, _ = held.exec_sync("/bin/sh", "-c", "exec sleep 1000", flags=("-T", "1"))
    assert said["exit_code"] == -1 and "timed out" in said["message"]
    pid = int(box.path("exec-pid").read_text())
    events.wait_exit(pid)
    host.collect(pid)  # an orphan of conmon's


def test_a_streaming_exec_is_the_runtime_in_the_foreground(held, box):
    path = held.process_file("/bin/sh", "-c", "cat; echo err >&2; exit 5")
    ended = held.runtime("exec", "--process", path, box.id, stdin=b"typed\n")
    assert (ended.code, ended.out, ended.err) == (5, "typed\n", "err\n")


def test_a_streaming_exec_has_the_terminal_that_cri_o_made(held, box):
    screen = Pty()
    path = held.process_file("/bin/sh", "-c", "test -t 0 && stty size && exit 6", terminal=True)
    words = ["--process", path, box.id]
    call = screen.popen(box.runtime, "exec", *words)
    assert "24 80" in screen.rest()
    assert call.wait().code == 6
    screen.close()


def test_a_streaming_exec_ends_with_its_container(held, box):
    told = box.bundle.fifo("told")
    path = held.process_file("/probe", "hold", "/told")
    call = held.popen("exec", "--process", path, box.id)
    assert told.line() == "ready"
    held.runtime("kill", box.id, "KILL").check()
    assert call.wait().code == 137


@pytest.mark.peer(crun="says not running, with the words of its own")
def test_cri_o_recognises_what_is_gone(held, box):
    held.runtime("kill", box.id, "KILL").check()
    assert held.exit_code() == 137
    text = held.runtime("kill", box.id, "KILL").fails().err
    assert "no such process" in text or "container not running" in text
    held.runtime("delete", "--force", box.id).check()
    held.conmon.unlink()


def test_what_is_left_in_the_pid_namespace_of_the_node_is_killed(crio, box):
    namespaces = [one for one in box.config["linux"]["namespaces"] if one["type"] != "pid"]
    box.config["linux"]["namespaces"] = namespaces
    told = box.bundle.fifo("told")
    box.sh("/probe hold /told & exit 0")
    crio.create()
    crio.runtime("start", box.id).check()
    assert told.line() == "ready"
    assert crio.exit_code() == 0
    crio.runtime("kill", "-a", box.id, "9").check()
    crio.runtime("delete", "--force", box.id).check()


@pytest.mark.needs_controller("pids")
def test_update_reads_the_resources_from_standard_input(held, box):
    resources = json.dumps({"pids": {"limit": 77}}).encode()
    held.runtime("update", "--resources", "-", box.id, stdin=resources).check()
    with open(f"/proc/{held.pid}/cgroup", encoding="utf-8") as file:
        cgroup = next(line for line in file if line.startswith("0::")).strip()[3:]
    assert (host.CGROUPS / cgroup.lstrip("/") / "pids.max").read_text() == "77\n"
