"""kill: which signals it knows by which names, and whom it reaches."""

import signal
import subprocess

import pytest

from harness import host


@pytest.fixture
def heard(box):
    """The FIFO in which a running container writes the number of every signal it gets."""
    ready, fifo = box.bundle.fifo("ready"), box.bundle.fifo("heard")
    box.sh("exec /probe catch /ready > /heard")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    return fifo


@pytest.mark.parametrize("number", [1, 2, 3, 10, 12, 14, 15, 18, 28])
def test_a_signal_is_known_by_its_number(box, heard, number):
    box.kill(str(number)).check()
    assert heard.line() == str(number)


NAMES = "HUP INT QUIT ILL TRAP ABRT BUS FPE USR1 SEGV USR2 PIPE ALRM TERM CHLD CONT URG XCPU XFSZ"
NAMES += " VTALRM PROF WINCH IO PWR SYS TSTP TTIN TTOU"


@pytest.mark.parametrize("name", NAMES.split())
def test_a_signal_is_known_by_its_name(box, heard, name):
    box.kill(name).check()
    assert heard.line() == str(int(signal.Signals[f"SIG{name}"]))


CAPITALS = pytest.mark.peer(crun="takes capitals only")


@pytest.mark.parametrize(
    "name", ["SIGUSR1"] + [pytest.param(n, marks=CAPITALS) for n in ("usr1", "sigusr1", "SigUsr1")]
)
def test_a_name_may_have_its_prefix_and_any_case(box, heard, name):
    box.kill(name).check()
    assert heard.line() == str(int(signal.SIGUSR1))


def test_without_a_signal_it_is_sigterm(box, heard):
    box.kill().check()
    assert heard.line() == str(int(signal.SIGTERM))


def test_a_real_time_signal_is_known_by_its_number(box, heard):
    box.kill("35").check()
    assert heard.line() == "35"


TAKEN = pytest.mark.peer(crun="1.8 takes an unknown name for no signal, and succeeds")


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=TAKEN) for n in ("NONESUCH", "SIG", "1x", "SIGSIGTERM", "TERM ")]
    + ["-5", "9999"],
)
def test_an_unknown_signal_is_an_error_and_nothing_is_sent(box, heard, name):
    box.runtime.call("kill", "--", box.id, name).fails()
    box.kill("USR1").check()
    assert heard.line() == str(int(signal.SIGUSR1))


@TAKEN
def test_the_words_for_an_unknown_signal(box):
    box.hold()
    assert 'unknown signal "NONESUCH"' in box.kill("NONESUCH").fails().said


def test_kill_reaches_a_container_that_waits_to_be_started(box):
    box.args("/probe")
    box.create().check()
    pid = box.pid
    box.kill("KILL").check()
    assert box.wait(pid) == -9
    assert box.status == "stopped"


@pytest.mark.peer(crun="1.8's init ignores it as the kernel does for a namespace's init")
@pytest.mark.parametrize("name", ["HUP", "INT", "TERM"])
def test_a_container_that_waits_to_be_started_ends_at_a_signal_to_end(box, name):
    box.args("/probe")
    box.create().check()
    pid = box.pid
    box.kill(name).check()
    assert box.wait(pid) != 0
    assert box.status == "stopped"
    box.start().fails()


def test_kill_reaches_the_init_alone(box):
    ready, heard = box.bundle.fifo("ready"), box.bundle.fifo("heard")
    box.sh("/probe catch /ready > /heard & echo $! > /child; exec /probe catch > /dev/null")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    box.kill("USR1").check()
    box.exec("sh", "-c", "kill -USR2 $(cat /child)").check()
    assert heard.line() == str(int(signal.SIGUSR2)), "the init's signal came here too"


@pytest.mark.row("kill-all")
@pytest.mark.parametrize("flag", ["--all", "-a"])
def test_kill_with_all_ends_every_process_of_the_container(box, flag):
    ready = box.bundle.fifo("ready")
    box.sh("sleep 1000 & sleep 1000 & echo ready > /ready; wait")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    pid = box.pid
    box.runtime.call("kill", flag, box.id, "KILL").check()
    assert box.wait(pid) == -9
    assert not [name for name in host.descendants().values() if name == "sleep"]


@pytest.mark.row("kill-all")
def test_kill_with_all_of_a_stopped_container_is_no_error(box):
    box.hold()
    box.stop()
    box.runtime.call("kill", "--all", box.id, "KILL").check()


@pytest.mark.row("kill-all")
@pytest.mark.peer(runc="1.1 removes the cgroup before its processes are gone, in vain")
def test_sigkill_without_a_pid_namespace_ends_every_process(box):
    ready = box.bundle.fifo("ready")
    box.bundle.without_namespace("pid")
    box.sh("sleep 1000 & sleep 1000 & echo ready > /ready; wait")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    pid = box.pid
    members = (host.CGROUPS / host.cgroups()[0] / "cgroup.procs").read_text().split()
    assert len(members) == 3
    box.kill("KILL").check()
    box.wait(pid)
    box.delete("--force").check()
    left = set(host.descendants()) & {int(member) for member in members}
    assert not [p for p in left if host.events.is_running(p)]


@pytest.mark.row("pid-reuse")
def test_a_process_that_took_over_the_pid_of_a_dead_init_is_left_alone(box):
    """As after a wrap-around of the pids: kill, state and delete must know it for a stranger."""
    box.hold()
    pid = box.pid
    box.stop()
    stranger = process_with_pid(pid)
    try:
        assert box.status == "stopped"
        box.kill("KILL").fails()
        box.delete("--force").check()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def process_with_pid(pid):
    """Starts `sleep` under the given pid; others may get in between, so it is tried anew."""
    for _ in range(50):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="utf-8") as file:
            file.write(str(pid - 1))
        process = subprocess.Popen(["sleep", "1000"])
        if process.pid == pid:
            return process
        process.kill()
        process.wait()
    pytest.skip("the pid could not be had again")
