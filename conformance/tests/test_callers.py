"""What containerd's shim, conmon, podman, CRI-O and BuildKit call, word for word, and in order."""

import json
import os
import signal

import pytest

from harness import ConsoleSocket, Pty, events


@pytest.fixture
def shim(box):
    """Calls the runtime as containerd's shim does: with its prefix, from the bundle."""
    log = box.bundle.path / "log.json"
    prefix = ["--root", box.runtime.root, "--log", log, "--log-format", "json"]

    def call(*words, **more):
        argv = [box.runtime.binary, *prefix, *words]
        return box.runtime.call(argv=argv, cwd=box.bundle.path, **more)

    call.log = log
    return call


def last_error(log):
    """The message that the shim shows to the user."""
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry["msg"] for entry in entries if entry["level"] == "error"][-1].strip()


def test_the_life_of_a_container_of_containerd(box, shim):
    bundle = box.bundle.path
    box.args("/probe", "hold", "/ready")
    ready, told = box.bundle.fifo("ready"), box.bundle.fifo("told")
    box.bundle.save()
    shim("create", "--bundle", bundle, "--pid-file", bundle / "init.pid", box.id).check()
    pid = int((bundle / "init.pid").read_text())
    shim("start", box.id).check()
    assert ready.line() == "ready"
    process = {
        "args": ["/probe", "hold", "/told"],
        "cwd": "/",
        "env": [],
        "user": {"uid": 0, "gid": 0},
    }
    box.path("process").write_text(json.dumps(process))
    words = ["--process", box.path("process"), "--detach", "--pid-file", bundle / "two.pid"]
    shim("exec", *words, box.id).check()
    assert told.line() == "ready"
    other = int((bundle / "two.pid").read_text())
    assert set(shim("ps", "--format", "json", box.id).check().json) == {pid, other}
    shim("pause", box.id).check()
    shim("resume", box.id).check()
    shim("kill", box.id, "15").check()
    # The kernel kills the rest of the pid namespace with its init, which then waits for the shim to
    # collect what is a child of its own.
    assert events.reap(other) == -9
    assert box.wait(pid) == 7
    shim("delete", box.id).check()
    shim("delete", "--force", box.id).check()
    assert not shim.log.exists() or not shim.log.read_text()


@pytest.mark.peer(crun="words its errors in its own way")
def test_containerd_recognises_a_process_that_is_gone(box, shim):
    box.hold()
    box.stop()
    text = shim("kill", box.id, "9").fails().err
    gone = ("os: process already finished", "container not running", "no such process")
    assert any(phrase in text for phrase in gone)


@pytest.mark.peer(crun="1.8 has words that containerd does not know")
def test_containerd_recognises_a_container_that_is_gone(box, shim):
    assert "does not exist" in shim("kill", box.id, "9").fails().err
    assert "does not exist" in shim("delete", box.id).fails().err


def test_containerd_shows_the_last_error_of_the_log(box, shim):
    box.args("/nonexistent")
    box.bundle.save()
    shim("create", "--bundle", box.bundle.path, "--pid-file", box.path("pid"), box.id).fails()
    assert "no such file or directory" in last_error(shim.log).lower()
    shim("state", "nobody").fails()
    assert "no such file" not in last_error(shim.log) or box.runtime.kind == "crun"
    assert len(shim.log.read_text().splitlines()) > 1


def test_kill_all_of_containerd_with_a_numeric_signal(box, shim):
    box.hold()
    pid = box.pid
    shim("kill", "--all", box.id, "9").check()
    assert box.wait(pid) == -9


def test_the_life_of_a_container_of_conmon(box):
    console = ConsoleSocket(box.path("console"))
    pid_file = box.path("pidfile")
    log = box.path("oci-log")
    flags = [box.runtime.binary, f"--root={box.runtime.root}", "--log-format=json", "--log", log]
    box.set("process.terminal", True)
    box.args("/bin/echo", "hello")
    box.bundle.save()
    words = ["--bundle", box.bundle.path, "--pid-file", pid_file, "--console-socket", console.path]
    stderr, theirs = os.pipe()
    box.runtime.call(argv=[*flags, "create", *words, box.id], stderr=theirs).check()
    os.close(theirs)
    master = console.receive()
    box.runtime.call(argv=[*flags, "start", box.id], env={"PATH": "/usr/bin:/bin"}).check()
    assert events.read_until(master, "\n") == "hello\r\n"
    assert box.wait(int(pid_file.read_text())) == 0
    # Nobody holds conmon's pipe open once the container is gone.
    assert events.read_all(stderr, "standard error") == ""
    os.close(stderr)
    box.runtime.call(argv=[*flags, "delete", "--force", box.id], env={}).check()
    console.close()


def test_conmon_reads_the_whole_error_at_once_from_a_pipe(box):
    box.args("nonesuch")
    box.bundle.save()
    ours, theirs = os.pipe()
    words = ("create", "--bundle", box.bundle.path, "--pid-file", box.path("pid"), box.id)
    call = box.runtime.popen("--log", box.path("log"), "--log-format=json", *words, stderr=theirs)
    os.close(theirs)
    assert call.wait().code == 1
    first = os.read(ours, 8191).decode()
    assert "not found in $PATH" in first
    os.close(ours)


@pytest.mark.peer(crun="says not running, with the words of its own")
def test_crio_recognises_a_container_that_is_not_running(box):
    box.hold()
    box.stop()
    text = box.kill("TERM").fails().err
    assert any(phrase in text for phrase in ("no such process", "container not running"))


def test_crio_runs_execs_in_the_foreground_with_a_process_file(box):
    box.hold()
    screen = Pty()
    path = box.path("process")
    process = {"args": ["sh", "-c", "test -t 0 && exit 12"], "cwd": "/", "env": ["PATH=/bin"]}
    path.write_text(json.dumps({**process, "terminal": True, "user": {"uid": 0, "gid": 0}}))
    call = screen.popen(box.runtime, "exec", "--process", path, box.id)
    screen.rest()
    assert call.wait().code == 12
    screen.close()


def test_a_foreground_exec_that_is_stopped_takes_its_process_along(box):
    box.hold()
    told = box.bundle.fifo("told")
    call = box.runtime.popen(
        "exec", "--pid-file", box.path("pid"), box.id, "/probe", "hold", "/told"
    )
    assert told.line() == "ready"
    call.process.send_signal(signal.SIGTERM)
    assert call.wait().code == 7
    assert not events.is_running(int(box.path("pid").read_text()))


def test_buildkit_runs_in_the_foreground_in_a_process_group_of_its_own(box):
    box.sh("echo built; exit 3")
    box.bundle.save()
    words = ("run", "--bundle", box.bundle.path, box.id)
    flags = ("--log", box.path("log.json"), "--log-format", "json")
    result = box.runtime.popen(*flags, *words, process_group=0).wait()
    assert (result.code, result.out) == (3, "built\n")


@pytest.mark.peer(crun="has words that BuildKit does not know")
def test_buildkit_recognises_a_container_that_is_gone(box):
    box.hold()
    box.stop()
    text = box.kill("9").fails().err.lower()
    known = ("container not running", "container does not exist", "no such process")
    assert any(phrase in text for phrase in known)
    assert any(phrase in box.runtime.call("kill", "nobody", "9").err.lower() for phrase in known)


@pytest.mark.parametrize(
    "arrange, code",
    [
        (lambda box: box.args("nonesuch"), 127),
        (lambda box: box.args("/nonexistent"), 127),
        (lambda box: box.args("/etc/passwd"), 126),
    ],
    ids=["not in PATH", "no such file", "not executable"],
)
def test_podman_finds_its_exit_code_in_the_error(box, arrange, code):
    arrange(box)
    text = box.create().fails().err.lower()
    denied = "permission denied" in text or "operation not permitted" in text
    missing = any(
        phrase in text
        for phrase in (
            "executable file not found in",
            "no such file or directory",
            "open executable",
        )
    )
    assert {126: denied, 127: missing and not denied}[code], text


@pytest.mark.peer(crun="says so in capitals")
@pytest.mark.parametrize("name", ["/nonexistent", "/etc/passwd", "/etc"])
def test_the_texts_of_errno_are_in_lower_case_as_go_prints_them(box, name):
    box.args(name)
    text = box.create().fails().err
    wanted = {
        "/nonexistent": ["no such file or directory"],
        "/etc/passwd": ["permission denied"],
        "/etc": ["permission denied", "is a directory"],  # Go's, before and since 1.20
    }
    assert any(words in text for words in wanted[name])
