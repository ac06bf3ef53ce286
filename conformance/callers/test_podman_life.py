"""podman from create to rm: what somebody does to a container that runs."""

import os
import signal

import pytest

from drive import image, place
from harness import Pty, events

pytestmark = place.KNOWN


def test_a_container_in_the_background_is_seen_used_and_removed(held):
    assert held("ps", "--format", "{{.Names}} {{.Status}}").out.startswith("held Up")
    assert held("exec", "held", "/bin/echo", "within").check().out == "within\n"
    assert held("logs", "held").check().out == "ready\n"
    held("kill", "--signal", "KILL", "held").check()
    assert held("wait", "held").check().out.strip() == "137"
    held("rm", "held").check()
    assert held("ps", "--all", "--quiet").check().out == ""


def test_logs_follow_it_to_its_end(held):
    call = held.popen("logs", "--follow", "held")
    held("kill", "--signal", "TERM", "held").check()
    assert call.wait(6 * events.patience).check().out == "ready\n"


def test_top_shows_what_runs_in_it(held):
    assert "/probe hold" in held("top", "held", "args").check().out


def test_create_and_start_are_two_steps(podman):
    podman("create", "--name", "later", image.NAME, "/bin/echo", "started").check()
    assert podman.inspect("later", "{{.State.Status}}") == "created"
    assert podman("start", "--attach", "later").check().out == "started\n"


def test_init_makes_it_and_start_starts_it(podman):
    podman("create", "--name", "later", image.NAME, "/bin/echo", "started").check()
    podman("init", "later").check()
    assert podman.inspect("later", "{{.State.Status}}") == "initialized"
    assert podman("start", "--attach", "later").check().out == "started\n"


def test_exec_ends_as_its_program_does(held):
    assert held("exec", "held", "/bin/sh", "-c", "exit 4").code == 4


def test_exec_has_its_own_user_directory_and_environment(held):
    flags = ["--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b c"]
    script = "id -u; pwd; echo $A"
    assert held("exec", *flags, "held", "/bin/sh", "-c", script).check().out == "1000\n/tmp\nb c\n"


def test_exec_passes_standard_input(held):
    call = held("exec", "--interactive", "held", "/bin/cat", stdin=b"some text\n")
    assert call.check().out == "some text\n"


def test_a_privileged_exec_has_every_capability(held):
    script = ["/bin/sh", "-c", "grep CapEff /proc/self/status"]
    less = held("exec", "held", *script).check().out
    more = held("exec", "--privileged", "held", *script).check().out
    assert int(more.split()[1], 16) > int(less.split()[1], 16)


def test_a_detached_exec_goes_on_by_itself(held):
    held("exec", "held", "mkfifo", "/said").fails(127)
    held("exec", "held", "/bin/busybox", "mkfifo", "/said").check()
    held("exec", "--detach", "held", "/bin/sh", "-c", "echo done >/said").check()
    assert held("exec", "held", "/bin/cat", "/said").check().out == "done\n"


def test_exec_with_a_terminal_has_one(held):
    screen = Pty(20, 60)
    try:
        script = "read a; stty size; echo got $a"
        call = screen.popen(held, "exec", "-it", "held", "/bin/sh", "-c", script)
        screen.write("text\n")
        assert "20 60" in screen.until("got text")
        assert call.wait().code == 0
    finally:
        screen.close()


def test_attach_is_a_conversation_with_what_runs(podman):
    script = "echo ready; read a; echo got $a; exit 6"
    podman.start("talks", "/bin/sh", "-c", script, flags=["-it"])
    podman.await_log("talks", "ready")
    screen = Pty()
    try:
        call = screen.popen(podman, "attach", "talks")
        screen.write("text\n")
        screen.until("got text")
        # podman 4's attach ends well whatever the program does.
        assert call.wait().code in (0, 6)
        assert podman("wait", "talks").check().out.strip() == "6"
    finally:
        screen.close()


def test_stop_ends_it_by_sigterm(held):
    held("stop", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"


def test_stop_kills_what_does_not_listen(podman):
    podman.start("deaf", "/bin/sh", "-c", "trap '' TERM; echo ready; read a <&1", flags=["-t"])
    podman.await_log("deaf", "ready")
    podman("stop", "--time", "1", "deaf").check()
    assert podman.inspect("deaf", "{{.State.ExitCode}}") == "137"


@pytest.mark.parametrize("name", ["USR1", "SIGHUP", "15"])
def test_kill_sends_the_signal_that_is_asked_for(podman, name):
    words = {"USR1": "USR1", "SIGHUP": "HUP", "15": "TERM"}
    script = f"trap 'echo got; exit 3' {words[name]}; echo ready; while :; do read a <&1; done"
    podman.start("listens", "/bin/sh", "-c", script, flags=["-t"])
    podman.await_log("listens", "ready")
    podman("kill", "--signal", name, "listens").check()
    assert podman("wait", "listens").check().out.strip() == "3"


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
    held.await_log("held", "ready\nready")
    held("restart", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Running}}") == "true"


def test_rm_by_force_removes_a_running_container(held):
    held("rm", "--force", "--time", "0", "held").check()
    assert held("ps", "--all", "--quiet").check().out == ""


def test_the_signal_of_the_client_reaches_the_program(podman):
    script = "trap 'echo got; exit 9' TERM; echo ready; while :; do read a <&1; done"
    call = podman.popen("run", "--rm", "--name", "far", "-t", image.NAME, "/bin/sh", "-c", script)
    podman.await_start("far")
    podman.await_log("far", "ready")
    if podman.rootless:
        podman("kill", "--signal", "TERM", "far").check()
    else:
        os.kill(call.pid, signal.SIGTERM)
    assert call.wait(60).code == 9


def test_a_restart_policy_starts_it_again(podman):
    script = "echo ran; test $(wc -c </tries) = 3 && exit 0; echo -n x >>/tries; exit 1"
    script = f"touch /tries; {script}"
    podman.start("tries", "/bin/sh", "-c", script, flags=["--restart", "on-failure:5"])
    place.until(lambda: podman.inspect("tries", "{{.RestartCount}}") == "3", "third restart")
    place.until(lambda: podman.inspect("tries", "{{.State.Running}}") == "false", "end")
    assert podman.inspect("tries", "{{.State.ExitCode}}") == "0"


def test_a_healthcheck_says_how_it_is(podman):
    flags = ["--health-cmd", "test -e /well", "--health-retries", "1", "--health-interval", "disable"]
    podman.hold("ill", flags=flags)
    assert podman("healthcheck", "run", "ill").code == 1
    podman("exec", "ill", "/bin/touch", "/well").check()
    podman("healthcheck", "run", "ill").check()
    assert podman.inspect("ill", "{{.State.Health.Status}}") == "healthy"


def test_commit_and_diff_see_what_was_written(held):
    held("exec", "held", "/bin/touch", "/written").check()
    assert "A /written" in held("diff", "held").check().out


def test_cp_goes_both_ways(held):
    source = held.directory / "tmp/source"
    source.write_text("copied\n")
    held("cp", source, "held:/copy").check()
    assert held("exec", "held", "/bin/cat", "/copy").check().out == "copied\n"
    assert held("cp", "held:/copy", "-").code == 0


def test_update_changes_a_limit(podman):
    place.need_controller("memory")
    if podman.rootless and podman.cgroups == "cgroupfs":
        pytest.skip("podman gives a user limits by the systemd driver only")
    podman.hold(flags=["--memory", "64m"])
    podman("update", "--memory", "96m", "held").check()
    limit = podman("exec", "held", "/bin/cat", "/sys/fs/cgroup/memory.max").check().out
    assert int(limit) == 96 << 20


def test_stats_counts_its_processes(held):
    place.need_controller("pids")
    said = held("stats", "--no-stream", "--format", "{{.PIDs}}", "held").check().out
    assert said.strip() == "1"
