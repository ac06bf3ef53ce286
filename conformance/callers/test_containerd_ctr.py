"""containerd by ctr: the shim's use of the runtime, from run to a daemon that is restarted."""

import json
import os
import pathlib
import signal

import pytest

from drive import mistakes, place
from harness import Pty, events, host, sandbox


pytestmark = place.KNOWN
# ctr tells the size of the terminal only after the start.
SIZE = "until stty size 2>/dev/null | grep '%s'; do :; done"


@pytest.fixture
def held(containerd):
    """containerd with a container named `held` that waits for SIGTERM."""
    containerd.hold()
    return containerd


def test_run_shows_the_output_of_the_program(containerd):
    result = containerd.run("/bin/sh", "-c", "echo out; echo err >&2").check()
    assert (result.out, result.err) == ("out\n", "err\n")


@pytest.mark.parametrize("code", [0, 3, 125])
def test_run_exits_as_the_program_does(containerd, code):
    assert containerd.run("/bin/sh", "-c", f"exit {code}").code == code


def test_a_signal_is_a_status(containerd):
    containerd.hold("dies")
    call = containerd.popen("tasks", "attach", "dies")
    containerd("tasks", "kill", "--signal", "KILL", "dies").check()
    assert call.wait().code == 137


@pytest.mark.parametrize(
    ("flags", "script", "said"),
    [
        ("--user 1000:1000", "id -u; id -g", "1000\n1000\n"),
        ("--cwd /tmp", "pwd", "/tmp\n"),
        ("--env A=b", "echo $A", "b\n"),
        ("--read-only", "touch /x 2>&1 | grep -c Read-only", "1\n"),
        ("--privileged", "grep CapBnd /proc/self/status | grep -c 0000000000000000", "0\n"),
        ("--seccomp", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n"),
        ("--net-host", "test -d /proc/sys/net/core && echo net", "net\n"),
        ("--mount type=tmpfs,dst=/t,options=size=64k", "grep -c '/t .*size=64k' /proc/mounts", "1\n"),
        ("--hostname named", "hostname", "named\n"),
        ("", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"),
        ("--allow-new-privs", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t0\n"),
        ("--device /dev/loop-control", "test -c /dev/loop-control && echo device", "device\n"),
        ("--label a=b --annotation c=d", "echo labelled", "labelled\n"),
    ],
)
def test_run_with(containerd, flags, script, said):
    call = containerd.run("/bin/sh", "-c", script, flags=flags.split())
    skip_unknown(call)
    if said == "0\n":
        assert call.out == said
    else:
        assert call.check().out == said


def skip_unknown(call):
    """Skips the test of a flag that this version of ctr does not know."""
    unknown = call.err.partition("flag provided but not defined: ")[2]
    if unknown:
        pytest.skip(f"this ctr does not know {unknown.strip()}")


def test_a_bind_mount_is_there_and_read_only(containerd):
    path = containerd.directory / "shared"
    path.mkdir(exist_ok=True)
    (path / "file").write_text("of the host\n")
    flags = ["--mount", f"type=bind,src={path},dst=/data,options=rbind:ro"]
    said = containerd.sh("cat /data/file; touch /data/x 2>&1 | grep -c Read-only", flags)
    assert said == "of the host\n1\n"


def test_a_recursive_read_only_mount_is_all_read_only(containerd):
    path = containerd.directory / "deep"
    (path / "below").mkdir(parents=True, exist_ok=True)
    mounted = path / "below"
    sandbox.mount("tconf", mounted, "tmpfs")
    try:
        flags = ["--mount", f"type=bind,src={path},dst=/data,options=rbind:rro"]
        said = containerd.sh("touch /data/below/x 2>&1 | grep -c Read-only", flags)
        assert said == "1\n"
    finally:
        host.LIBC.umount2(os.fsencode(mounted), 2)


def test_run_with_a_terminal_is_a_conversation(containerd):
    screen = Pty(31, 97)
    try:
        script = f"tty; read a; {SIZE % '31 97'}; exit $a"
        words = containerd.words("talks", "/bin/sh", "-c", script, more=["--rm", "-t"])
        call = screen.popen(containerd, *words)
        screen.until("/dev/pts/0")
        screen.write("5\n")
        screen.until("31 97")
        assert call.wait().code == 5
    finally:
        screen.close()


def test_exec_ends_as_its_program_does(held):
    call = held.exec("held", "/bin/sh", "-c", "echo within; exit 4")
    assert (call.out, call.code) == ("within\n", 4)


def test_exec_has_its_own_directory_and_user(held):
    call = held.exec("held", "/bin/sh", "-c", "id -u; pwd", flags=["--user", "1000", "--cwd", "/tmp"])
    assert call.check().out == "1000\n/tmp\n"


def test_exec_with_a_terminal_has_one(held):
    screen = Pty(20, 60)
    try:
        call = screen.popen(
            held, "tasks", "exec", "-t", "--exec-id", "tty", "held", "/bin/sh", "-c",
            f"read a; {SIZE % '20 60'}; echo got $a",
        )
        screen.write("text\n")
        assert "20 60" in screen.until("got text")
        assert call.wait().code == 0
    finally:
        screen.close()


def test_kill_sends_a_signal_and_the_task_has_ended(held):
    held("tasks", "kill", "--signal", "SIGTERM", "held").check()
    place.until(lambda: held.status("held") == "STOPPED", "end of the task")
    said = held("tasks", "delete", "held")
    assert said.code == 7 or "non-zero exit code 7" in said.err


def test_kill_all_reaches_every_process(held):
    held("tasks", "exec", "--detach", "--exec-id", "more", "held", "/probe", "hold").check()
    pid = held.pid("held")
    held("tasks", "kill", "--all", "--signal", "SIGKILL", "held").check()
    events.wait_exit(pid)
    place.until(lambda: held.status("held") == "STOPPED", "end of the task")


def test_kill_of_what_has_ended_says_so(held):
    held("tasks", "kill", "--signal", "SIGKILL", "held").check()
    place.until(lambda: held.status("held") == "STOPPED", "end of the task")
    assert "not found" in held("tasks", "kill", "held").fails().err


def test_a_paused_task_is_paused_until_it_is_resumed(held):
    held("tasks", "pause", "held").check()
    assert held.status("held") == "PAUSED"
    assert held.exec("held", "/bin/true").code != 0
    held("tasks", "resume", "held").check()
    assert held.status("held") == "RUNNING"
    held.exec("held", "/bin/true").check()


def test_ps_lists_the_processes(held):
    assert str(held.pid("held")) in held("tasks", "ps", "held").check().out.split()


def test_metrics_are_of_its_cgroup(held):
    place.need_controller("cpu")
    told = json.loads(held("tasks", "metrics", "--format", "json", "held").check().out)
    told = told.get("metrics", told)
    assert int(told["cpu"]["usage_usec"]) > 0


def test_a_memory_limit_is_the_cgroup_s(containerd):
    place.need_controller("memory")
    flags = ["--memory-limit", str(64 << 20)]
    containerd.hold(flags=flags)
    limit = host.CGROUPS / containerd.namespace / "held/memory.max"
    assert limit.read_text() == f"{64 << 20}\n"


def test_a_user_namespace_has_the_ids_that_are_told(containerd):
    ids = "0:200000:65536"
    said = containerd.sh("cat /proc/self/uid_map; id -u", ["--uidmap", ids, "--gidmap", ids])
    assert said.split() == ["0", "200000", "65536", "0"]


@pytest.mark.guest("criu")
def test_a_checkpoint_of_a_task_is_an_image_that_goes_on(held):
    """`ctr containers checkpoint` and `restore`, which also keep what was written."""
    held.exec("held", "/bin/touch", "/written").check()
    held("containers", "checkpoint", "--rw", "--task", "held", "localhost/kept:latest").check()
    held.remove("held")
    held("containers", "restore", "--rw", "--live", "again", "localhost/kept:latest").check()
    held.exec("again", "/bin/ls", "/written").check()
    held("tasks", "kill", "--signal", "SIGTERM", "again").check()
    place.until(lambda: held.status("again") == "STOPPED", "end of the task")
    held("images", "remove", "--sync", "localhost/kept:latest").check()


@pytest.mark.guest("a service manager")
def test_the_systemd_driver_makes_a_scope(containerd):
    flags = ["--runc-systemd-cgroup", "--cgroup", "tconf.slice:ctr:held"]
    containerd.hold(flags=flags)
    told = pathlib.Path(f"/proc/{containerd.pid('held')}/cgroup").read_text()
    assert told == "0::/tconf.slice/ctr-held.scope\n"
    containerd.exec("held", "/bin/true").check()
    containerd.remove("held")
    place.until(lambda: not place.cgroups_named("ctr-held.scope"), "end of the scope")


def test_a_state_directory_of_its_own_is_where_the_runtime_keeps_it(containerd):
    root = containerd.directory / "runtime"
    containerd.hold(flags=["--runc-root", str(root)])
    assert (root / containerd.namespace / "held").is_dir()
    assert not pathlib.Path(f"/run/containerd/runc/{containerd.namespace}/held").exists()
    containerd.exec("held", "/bin/true").check()
    containerd.remove("held")
    assert not (root / containerd.namespace / "held").exists()


def test_events_tell_of_its_life(containerd):
    reader, writer = os.pipe()
    call = containerd.popen("events", stdout=writer)
    os.close(writer)
    try:
        # It has subscribed only after a moment that nothing tells of: so something happens until it has.
        place.until(lambda: seen(containerd, reader), "event")
        containerd.run("/bin/true").check()
        said = events.read_until(reader, "/tasks/delete")
        for topic in ("/tasks/create", "/tasks/start", "/tasks/exit"):
            assert topic in said
    finally:
        call.process.kill()
        call.process.wait()
        os.close(reader)


def seen(containerd, reader):
    """Whether the label that is put onto a namespace has come through as an event."""
    containerd("namespaces", "label", "tconf", f"n={os.urandom(4).hex()}").check()
    try:
        events.wait_readable(reader, "event", 0.2)
    except events.Missing:
        return False
    return True


def test_containers_outlive_the_daemon(held):
    pid = held.pid("held")
    held.end()
    held.begin()
    assert (held.status("held"), held.pid("held")) == ("RUNNING", pid)
    held.exec("held", "/bin/true").check()
    held("tasks", "kill", "--signal", "SIGTERM", "held").check()
    place.until(lambda: held.status("held") == "STOPPED", "end of the task")


def test_a_shim_that_is_killed_leaves_what_containerd_can_clear(held):
    pid = held.pid("held")
    shim = next(p for p in place.processes_with(held.socket) if p != held.daemon.pid)
    os.kill(shim, signal.SIGKILL)
    events.wait_exit(shim)
    place.until(lambda: held.status("held") in ("", "STOPPED", "UNKNOWN"), "notice of it")
    events.wait_exit(pid)


@mistakes.without_status
def test_run_of_what_cannot_be_run_is_refused(containerd, program, words):
    call = containerd.run(program).fails()
    assert mistakes.says(call.err, words), call.err


@mistakes.without_status
def test_exec_of_what_cannot_be_run_is_refused(held, program, words):
    call = held.exec("held", program).fails()
    assert mistakes.says(call.err, words), call.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--mount type=bind,src=/nonexistent,dst=/data,options=rbind", "/nonexistent"),
        pytest.param(
            "--mount type=nonesuch,src=x,dst=/data",
            "nonesuch",
            marks=pytest.mark.peer(runc="says `no such device` and not of what"),
        ),
        ("--user nonesuch", "nonesuch|no users found"),
        ("--cwd /etc/notes", "/etc/notes"),
        ("--apparmor-profile nonesuch", "nonesuch|apparmor"),
    ],
)
def test_a_flag_that_cannot_be_had_is_refused(containerd, flags, words):
    call = containerd.run("/bin/true", flags=flags.split()).fails()
    skip_unknown(call)
    assert mistakes.says(call.err, words), call.err


def test_a_file_cannot_be_mounted_on_a_directory(containerd):
    source = containerd.directory / "file"
    source.write_text("")
    flags = ["--mount", f"type=bind,src={source},dst=/etc,options=rbind"]
    call = containerd.run("/bin/true", flags=flags).fails()
    assert "not a directory" in call.err.lower(), call.err


def test_a_capability_that_no_kernel_has_is_not_had(containerd):
    """ctr leaves its names to the runtime, which by the specification goes on without one."""
    script = "grep CapBnd /proc/self/status"
    assert containerd.sh(script, ["--cap-add", "CAP_NONESUCH"]) == containerd.sh(script)


def test_a_memory_limit_too_small_is_named(containerd):
    place.need_controller("memory")
    call = containerd.run("/bin/true", flags=["--memory-limit", "4096"]).fails()
    assert "memory" in call.err.lower(), call.err
