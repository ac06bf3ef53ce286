"""Podman, with the runtime under test: what its users do all day."""

import os

import pytest

from harness import Pty, events
from harness.box import Box
from harness.podman import IMAGE, PODMAN, Podman

pytestmark = [
    pytest.mark.skipif(not PODMAN, reason="no podman"),
    pytest.mark.peer(crun="1.8 raises RLIMIT_MEMLOCK for a device filter, which root may not here"),
]


@pytest.fixture(scope="module")
def storage(scratch, binary, template):
    """A place with the image in it."""
    box = Box(scratch / "podman-image", binary, template, "image")
    podman = Podman(scratch / "podman", box.runtime)
    podman.adopt(box.rootfs)
    yield podman.directory
    podman.leave()
    box.scrub()


@pytest.fixture
def podman(storage, box):
    made = Podman(storage, box.runtime)
    yield made
    made.clear()


@pytest.fixture
def held(podman):
    """A container named `held` that waits for SIGTERM."""
    podman.start("held", "/probe", "hold")
    wait_for_log(podman, "held", "ready")
    return podman


def wait_for_log(podman, name, text):
    """Returns when the container has said something."""
    reader, writer = os.pipe()
    call = podman.popen("logs", "--follow", name, stdout=writer)
    os.close(writer)
    try:
        events.read_until(reader, text)
    finally:
        call.process.kill()
        call.process.wait()
        os.close(reader)


def test_run_shows_the_output_of_the_program(podman):
    result = podman.run("/bin/sh", "-c", "echo out; echo err >&2").check()
    assert (result.out, result.err) == ("out\n", "err\n")


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (["/bin/true"], 0),
        (["/bin/sh", "-c", "exit 3"], 3),
        (["/probe", "die", "9"], 137),
        (["/etc/passwd"], 126),
        (["/nonexistent"], 127),
        (["nonesuch"], 127),
    ],
    ids=["0", "3", "signal", "permission", "missing", "not in PATH"],
)
def test_run_exits_with(podman, program, code):
    flags = ["--pid", "host"] if program[0] == "/probe" else []
    assert podman.run(*program, flags=flags).code == code


def test_run_passes_standard_input(podman):
    assert (
        podman.run("/bin/cat", flags=["--interactive"], stdin=b"some text\n").out == "some text\n"
    )


def test_run_with_a_terminal_is_a_conversation(podman):
    screen = Pty(31, 97)
    try:
        words = ["run", "--rm", "-it", "--network", "none", "--pids-limit", "-1"]
        words += ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", IMAGE]
        call = screen.popen(podman, *words, "/bin/sh", "-c", "tty; read a; stty size; exit $a")
        screen.until("/dev/pts/0")
        screen.write("5\n")
        screen.until("31 97")
        assert call.wait().code == 5
    finally:
        screen.close()


def test_the_options_of_run_reach_the_program(podman, box):
    shared = box.path("shared")
    shared.mkdir()
    (shared / "file").write_text("shared\n")
    flags = ["--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b c", "--hostname", "named"]
    flags += ["--volume", f"{shared}:/shared:ro", "--tmpfs", "/scratch", "--read-only"]
    flags += ["--cap-drop", "all", "--security-opt", "no-new-privileges"]
    script = (
        "id -u; pwd; echo $A; hostname; cat /shared/file; touch /shared/x /x 2>&1 | grep -c Read-only;"
        " touch /scratch/x && echo well; grep -e NoNewPrivs -e CapEff /proc/self/status | tr -s '\\t\\n' ' '"
    )
    out = podman.run("/bin/sh", "-c", script, flags=flags).check().out.splitlines()
    assert out[:6] == ["1000", "/tmp", "b c", "named", "shared", "2"]
    assert out[-1].split() == ["CapEff:", "0000000000000000", "NoNewPrivs:", "1"]


def test_a_container_in_the_background_is_seen_used_and_removed(held):
    assert held("ps", "--format", "{{.Names}} {{.Status}}").out.startswith("held Up")
    assert held("exec", "held", "/bin/echo", "within").check().out == "within\n"
    assert held("exec", "held", "/bin/sh", "-c", "exit 4").code == 4
    assert held("logs", "held").check().out == "ready\n"
    assert "/probe hold" in held("top", "held", "args").check().out
    held("kill", "--signal", "KILL", "held").check()
    assert held("wait", "held").check().out.strip() == "137"
    held("rm", "held").check()
    assert held("ps", "--all", "--quiet").check().out == ""


@pytest.mark.parametrize(
    ("program", "code"), [("/nonexistent", 127), ("nonesuch", 127), ("/etc/passwd", 126)]
)
def test_exec_of_what_cannot_be_run_exits_with(held, program, code):
    assert held("exec", "held", program).code == code


def test_exec_with_a_terminal_has_one(held):
    screen = Pty(20, 60)
    try:
        call = screen.popen(
            held, "exec", "-it", "held", "/bin/sh", "-c", "read a; stty size; echo got $a"
        )
        screen.write("text\n")
        assert "20 60" in screen.until("got text")
        assert call.wait().code == 0
    finally:
        screen.close()


def test_stop_ends_it_by_sigterm(held):
    held("stop", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"


def test_a_paused_container_is_paused_until_it_is_resumed(held):
    held("pause", "held").check()
    assert held.inspect("held", "{{.State.Status}}") == "paused"
    assert held("exec", "held", "/bin/true").code != 0
    held("unpause", "held").check()
    assert held.inspect("held", "{{.State.Status}}") == "running"
    held("exec", "held", "/bin/true").check()


def test_a_container_can_be_started_again(held):
    held("stop", "--time", "8", "held").check()
    held("start", "held").check()
    wait_for_log(held, "held", "ready\nready")
    assert held.inspect("held", "{{.State.Status}}") == "running"
    held("restart", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Running}}") == "true"


def test_rm_by_force_removes_a_running_container(held):
    held("rm", "--force", "--time", "0", "held").check()
    assert held("ps", "--all", "--quiet").check().out == ""


def test_a_pod_of_two_shares_its_namespaces(held):
    script = "readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts"
    flags = ["--ipc", "container:held", "--uts", "container:held", "--pid", "container:held"]
    theirs = held("exec", "held", "/bin/sh", "-c", script).check().out
    assert held.run("/bin/sh", "-c", script, flags=flags).check().out == theirs
