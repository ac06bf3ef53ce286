"""run: exit codes, signals, --keep, --detach, --pid-file, and whose child the container is."""

import os
import re
import signal

import pytest

from harness import events, host


@pytest.mark.parametrize("code", [0, 1, 42, 126, 127, 255])
def test_run_exits_with_the_code_of_the_container(box, code):
    box.sh(f"exit {code}")
    assert box.run().code == code
    assert box.state is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
def test_run_exits_with_128_and_the_signal_that_ended_the_container(box, number):
    # Pid 1 of a pid namespace is immune to its own signals, so the container shares ours.
    box.bundle.without_namespace("pid")
    box.bundle.config["mounts"][0] = {
        "destination": "/proc",
        "type": "bind",
        "source": "/proc",
        "options": ["rbind", "ro"],
    }
    box.args("/probe", "die", str(int(number)))
    assert box.run().code == 128 + number


def test_run_exits_with_137_when_the_container_is_killed_from_outside(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    call = box.popen_run()
    assert ready.line() == "ready"
    box.kill("KILL").check()
    assert call.wait().code == 128 + 9
    assert box.state is None


def test_run_passes_standard_output_and_error_apart(box):
    box.sh("echo to stdout; echo to stderr >&2")
    result = box.run().check()
    assert (result.out, result.err) == ("to stdout\n", "to stderr\n")


def test_run_passes_standard_input_to_its_end(box):
    text = b"".join(b"line %d\n" % number for number in range(20000))
    box.args("/bin/wc", "-c")
    assert box.run(stdin=text).check().out.split() == [str(len(text))]


def test_run_passes_output_larger_than_a_pipe(box):
    box.args("/bin/seq", "1", "100000")
    assert box.run().check().out.splitlines()[-1] == "100000"


def test_run_ends_though_its_standard_input_stays_open(box):
    box.sh("exit 5")
    ours, theirs = os.pipe()
    try:
        assert box.run(stdin=ours).code == 5
    finally:
        os.close(ours)
        os.close(theirs)


def test_the_container_sees_the_end_of_standard_input(box):
    ours, theirs = os.pipe()
    box.sh("cat; echo end")
    call = box.popen_run(stdin=ours)
    os.close(ours)
    os.write(theirs, b"some\n")
    os.close(theirs)
    assert call.wait().check().out == "some\nend\n"


def hear(fifo):
    """The next signal that the container caught; Go's runtime sends itself SIGURG, which counts not."""
    while (number := int(fifo.line())) == signal.SIGURG:
        pass
    return number


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "USR1", "USR2", "TERM", "CONT", "ALRM"])
def test_run_forwards_signals_to_the_container(box, name):
    ready, heard = box.bundle.fifo("ready"), box.bundle.fifo("heard")
    box.sh("exec /probe catch /ready > /heard")
    call = box.popen_run()
    assert ready.line() == "ready"
    number = signal.Signals[f"SIG{name}"]
    call.process.send_signal(number)
    assert hear(heard) == number
    if name != "TERM":
        call.process.send_signal(signal.SIGTERM)
        assert hear(heard) == signal.SIGTERM
    assert call.wait().code == 0


def test_run_forwards_a_burst_of_different_signals(box):
    ready, heard = box.bundle.fifo("ready"), box.bundle.fifo("heard")
    box.sh("exec /probe catch /ready > /heard")
    call = box.popen_run()
    assert ready.line() == "ready"
    numbers = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT]
    for number in numbers:
        call.process.send_signal(number)
    assert {hear(heard) for _ in numbers} == set(numbers)
    call.process.send_signal(signal.SIGTERM)
    assert call.wait().code == 0


def test_the_death_of_a_child_in_the_container_is_no_signal_to_forward(box):
    heard = box.bundle.fifo("heard")
    # sh leaves an orphan behind, which dies as a child of the container's init.
    box.sh("(sleep 0 &); exec /probe catch > /heard")
    call = box.popen_run()
    assert heard.line() == "ready"
    call.process.send_signal(signal.SIGCHLD)
    call.process.send_signal(signal.SIGTERM)
    rest = [heard.line()]
    while rest[-1] != str(int(signal.SIGTERM)):
        rest.append(heard.line())
    assert rest.count(str(int(signal.SIGCHLD))) <= 1, "ours was forwarded too"
    assert call.wait().code == 0


def test_run_removes_the_container_at_its_end(box):
    before = host.Snapshot.take(box.runtime.root)
    box.sh("exit 0")
    box.run().check()
    after = before.settled(box.runtime.root)
    # The state directory itself may have come into being.
    assert after.cgroups == before.cgroups and after.mounts == before.mounts
    assert box.runtime.ids() == []


@pytest.mark.peer(crun="1.8 has no --keep")
def test_keep_leaves_the_stopped_container(box):
    box.sh("exit 3")
    assert box.run("--keep").code == 3
    assert box.status == "stopped"
    box.delete().check()


@pytest.mark.parametrize("flag", ["--detach", "-d"])
def test_detach_returns_while_the_container_runs(box, flag):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    box.run(flag).check()
    assert ready.line() == "ready"
    assert box.status == "running"
    assert not box.company()
    pid = box.pid
    box.kill("TERM").check()
    assert box.wait(pid) == 7
    assert box.status == "stopped", "a detached container stays until it is deleted"


def test_a_detached_container_keeps_the_standard_output_of_the_caller(box):
    ours, theirs = os.pipe()
    box.sh("echo from the container")
    box.run("--detach", stdout=theirs).check()
    os.close(theirs)
    assert events.read_all(ours, "output") == "from the container\n"
    os.close(ours)


def test_run_leaves_no_process_between_itself_and_the_container(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    call = box.popen_run()
    assert ready.line() == "ready"
    with open(f"/proc/{box.pid}/stat", encoding="utf-8") as file:
        assert int(file.read().rpartition(")")[2].split()[1]) == call.pid
    assert set(host.descendants()) == {call.pid, box.pid}
    box.kill("TERM").check()
    assert call.wait().code == 7


@pytest.mark.parametrize("command", ["create", "run"])
def test_the_pid_file_holds_the_decimal_pid_and_nothing_else(box, command):
    box.args("/probe", "hold")
    flags = ["--detach"] if command == "run" else []
    box.command(command, *flags, "--pid-file", box.path("pid")).check()
    text = box.path("pid").read_text()
    assert re.fullmatch(r"[1-9][0-9]*", text)
    assert int(text) == box.pid


@pytest.mark.peer(crun="writes it relative to the bundle")
def test_a_relative_pid_file_is_relative_to_the_working_directory(box):
    box.args("/probe", "hold")
    box.create("--pid-file", "pid", cwd=box.directory).check()
    assert box.path("pid").read_text() == str(box.pid)


def test_an_older_pid_file_is_replaced(box):
    box.path("pid").write_text("4194304 and more")
    box.args("/probe", "hold")
    box.create("--pid-file", box.path("pid")).check()
    assert box.path("pid").read_text() == str(box.pid)


def test_a_pid_file_that_cannot_be_written_fails_the_create_and_leaves_nothing(box):
    os.mkdir(box.runtime.root)
    before = host.Snapshot.take(box.runtime.root)
    box.args("/probe", "hold")
    box.create("--pid-file", "/nonexistent/pid").fails()
    assert before.settled(box.runtime.root) == before


def test_a_failed_create_writes_no_pid_file(box):
    box.args("/nonexistent")
    box.create("--pid-file", box.path("pid")).fails()
    assert not box.path("pid").exists()


@pytest.mark.peer(crun="writes it after the program was started")
def test_the_pid_file_is_there_when_run_in_the_foreground(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    call = box.popen_run("--pid-file", box.path("pid"))
    assert ready.line() == "ready"
    assert box.path("pid").read_text() == str(box.pid)
    box.kill("TERM").check()
    assert call.wait().code == 7


def test_run_of_a_program_that_is_not_there_fails_and_leaves_nothing(box):
    os.mkdir(box.runtime.root)
    before = host.Snapshot.take(box.runtime.root)
    box.args("/nonexistent")
    result = box.run().fails()
    assert "no such file or directory" in result.first_error.lower()
    assert before.settled(box.runtime.root) == before


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_container_that_cannot_be_created(box):
    box.args("nonesuch")
    result = box.create().fails()
    phrase = r'create failed: unable to start container process: .*exec: "nonesuch": '
    assert re.search(phrase + r"executable file not found in \$PATH", result.said)


@pytest.mark.row("preserve-fds")
def test_preserved_descriptors_reach_the_container_and_no_others(box):
    kept, lost = os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDWR)

    def arrange():
        os.dup2(kept, 3)
        os.dup2(kept, 4)
        os.dup2(lost, 5)

    box.args("/probe")
    facts = box.run("--preserve-fds", "2", close_fds=False, preexec_fn=arrange).check().json
    os.close(kept)
    os.close(lost)
    assert {fd: facts["fds"].get(fd) for fd in ("3", "4")} == {"3": "/dev/null", "4": "/dev/null"}
    assert set(facts["fds"]) == {"0", "1", "2", "3", "4"}


def test_open_descriptors_of_the_caller_do_not_reach_the_container(box):
    box.args("/probe")
    files = [os.open("/etc/passwd", os.O_RDONLY) for _ in range(5)]
    facts = box.run(pass_fds=files).check().json
    for fd in files:
        os.close(fd)
    assert set(facts["fds"]) == {"0", "1", "2"}


@pytest.mark.row("preserve-fds")
@pytest.mark.peer(crun="passes what is there", runc="1.1 reports it with other words")
def test_a_preserved_descriptor_that_is_not_there_is_an_error(box):
    box.args("/probe")
    result = box.run("--preserve-fds", "3").fails()
    assert "preserved-fd" in result.err


@pytest.mark.row("preserve-fds")
@pytest.mark.parametrize("command", ["run", "exec"])
@pytest.mark.peer(runc="wants every one of them open")
def test_gaps_between_preserved_descriptors_stay_gaps(box, command):
    """podman's --preserve-fd=4,7, which crun can do."""
    if command == "exec":
        box.hold()
    box.runtime.wrapper = ("/bin/sh", "-c", 'exec "$@" 4</etc/passwd 7</etc/passwd', "sh")
    flags = ("--preserve-fds", "5")
    opened = (box.facts(*flags) if command == "run" else box.exec_facts(*flags))["fds"]
    assert set(opened) == {"0", "1", "2", "4", "7"}
    assert opened["4"] == opened["7"] == "/etc/passwd"


def join_named_keyring():
    """Gives the caller of the runtime a session keyring that can be known again."""
    keyctl, join_session_keyring = 250, 1
    assert host.LIBC.syscall(keyctl, join_session_keyring, b"the-callers") > 0


@pytest.mark.row("keyring")
def test_the_container_has_a_session_keyring_of_its_own(box):
    found = box.facts(preexec_fn=join_named_keyring)["session_keyring"]
    assert found.startswith("keyring;") and not found.endswith("the-callers")


@pytest.mark.row("keyring")
def test_no_new_keyring_leaves_the_keyring_of_the_caller(box):
    found = box.facts("--no-new-keyring", preexec_fn=join_named_keyring)["session_keyring"]
    assert found.endswith(";the-callers")


@pytest.mark.row("no-pivot")
def test_no_pivot_gives_the_same_root(box):
    facts = box.facts("--no-pivot")
    assert facts["cwd"] == "/" and facts["pid"] == 1
