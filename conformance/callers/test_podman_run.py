"""podman run: what a container is told to be, it is."""

import json
import socket

import pytest

from drive import image, place
from harness import Pty, events

pytestmark = place.KNOWN


def rows(*cases):
    """Parameters from (id, flags, script, what it says)."""
    return pytest.mark.parametrize(
        ("flags", "script", "said"), [pytest.param(*case[1:], id=case[0]) for case in cases]
    )


@rows(
    ("user", "--user 1000:1000", "id -u; id -g", "1000\n1000\n"),
    ("added group", "--user 1000 --group-add 2000", "id -G", "1000 2000\n"),
    ("directory", "--workdir /tmp", "pwd", "/tmp\n"),
    ("environment", "--env A=b --env C", "echo $A$C", "b\n"),
    ("hostname", "--hostname named", "hostname", "named\n"),
    ("read-only root", "--read-only", "touch /x 2>&1 | grep -c Read-only", "1\n"),
    ("read-only root, writable /tmp", "--read-only", "touch /tmp/x && echo well", "well\n"),
    ("tmpfs", "--tmpfs /scratch:size=64k", "grep -c '/scratch.*size=64k' /proc/mounts", "1\n"),
    ("ulimit", "--ulimit core=0:0", "ulimit -c", "0\n"),
    ("ulimit, soft and hard", "--ulimit msgqueue=100:200", "grep msgqueue /proc/self/limits | tr -s ' '",
     "Max msgqueue size 100 200 bytes \n"),
    ("no capability", "--cap-drop all", "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n"),
    ("one capability", "--cap-drop all --cap-add chown", "grep CapEff /proc/self/status",
     "CapEff:\t0000000000000001\n"),
    ("no new privileges", "--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status",
     "NoNewPrivs:\t1\n"),
    ("no seccomp", "--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status",
     "Seccomp:\t0\n"),
    ("seccomp", "", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n"),
    ("masked path", "--security-opt mask=/etc/group", "wc -c </etc/group", "0\n"),
    ("unmasked path", "--security-opt unmask=ALL", "grep -c ' /proc/' /proc/mounts || true", "0\n"),
    ("masked by default", "", "cat /proc/keys | wc -c; ls /proc/scsi | wc -l", "0\n0\n"),
    ("private ipc", "--ipc private", "grep -c ' /dev/shm.*size=64000k' /proc/mounts", "1\n"),
    ("size of shm", "--shm-size 1m", "grep -c ' /dev/shm.*size=1024k' /proc/mounts", "1\n"),
    ("sysctl", "--sysctl kernel.msgmax=4000", "cat /proc/sys/kernel/msgmax", "4000\n"),
    ("privileged", "--privileged", "test -w /proc/sys/kernel/domainname && echo may", "may\n"),
    ("no network", "", "ls /sys/class/net", "lo\n"),
    ("oom score", "--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500\n"),
    ("umask", "--umask 077", "umask", "0077\n"),
    ("host's uts", "--uts host", "test $(hostname) && echo named", "named\n"),
    ("no systemd", "--systemd false", "grep -c ' /run/lock ' /proc/mounts || true", "0\n"),
    ("timezone-free", "--tz UTC", "date +%Z", "UTC\n"),
    ("proc options", "--security-opt proc-opts=hidepid=2", "grep -c '/proc .*hidepid' /proc/mounts", "1\n"),
    ("added host", "--add-host there:10.1.2.3", "grep there /etc/hosts", "10.1.2.3\tthere\n"),
)
def test_run_with(podman, flags, script, said):
    assert podman.sh(script, flags.split()) == said


def test_init_is_the_first_process_and_reaps(podman):
    podman.need_init()
    assert "init" in podman.sh("tr '\\0' ' ' </proc/1/cmdline", ["--init"])


def test_run_shows_the_output_of_the_program(podman):
    result = podman.run("/bin/sh", "-c", "echo out; echo err >&2").check()
    # Beside what podman itself logs: it says so where the cgroups give it no controller to hand on.
    said = [line for line in result.err.splitlines() if not line.startswith("time=")]
    assert (result.out, said) == ("out\n", ["err"])


def test_run_passes_standard_input(podman):
    result = podman.run("/bin/cat", flags=["--interactive"], stdin=b"some text\n")
    assert result.check().out == "some text\n"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        (["/bin/true"], 0),
        (["/bin/sh", "-c", "exit 3"], 3),
        (["/bin/sh", "-c", "exit 125"], 125),
        (["/probe", "die", "9"], 137),
    ],
    ids=["0", "3", "125", "signal"],
)
def test_run_exits_as_the_program_does(podman, program, code):
    flags = ["--pid", "host"] if program[0] == "/probe" else []
    assert podman.run(*program, flags=flags).code == code


def test_run_with_a_terminal_is_a_conversation(podman):
    screen = Pty(31, 97)
    try:
        script = "tty; read a; stty size; exit $a"
        words = ["run", "--rm", "-it", image.NAME, "/bin/sh", "-c", script]
        call = screen.popen(podman, *words)
        screen.until("/dev/pts/0")
        screen.write("5\n")
        screen.until("31 97")
        assert call.wait().code == 5
    finally:
        screen.close()


def test_a_device_is_there_and_may_be_used(podman):
    script = "head -c 3 /dev/null2; test -c /dev/null2 && echo device"
    assert podman.sh(script, ["--device", "/dev/null:/dev/null2:rw"]) == "device\n"


def test_a_device_without_permission_may_not_be_written(podman):
    if podman.rootless:
        pytest.skip("a user's devices are bind mounts, and no filter stands before them")
    script = ": </dev/mine && echo read; (: >/dev/mine) 2>/dev/null || echo no"
    said = podman.sh(script, ["--device", "/dev/loop-control:/dev/mine:r"])
    assert said == "read\nno\n"


def test_a_seccomp_profile_is_obeyed(podman):
    profile = podman.directory / "home/profile.json"
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    profile.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))
    said = podman.sh("mkdir /x 2>&1 || true", ["--security-opt", f"seccomp={profile}"])
    assert "Operation not supported" in said


@pytest.mark.parametrize("place", ["host", "private"])
def test_a_cgroup_namespace_shows(podman, place):
    said = podman.sh("sed -n s/^0:://p /proc/self/cgroup", ["--cgroupns", place])
    assert (said == "/\n") == (place == "private")


def test_without_cgroups_the_container_runs_where_podman_does(podman):
    call = podman.run("/bin/true", flags=["--cgroups", "disabled"])
    if podman.runtime.kind == "runc":
        assert call.code != 0
    else:
        call.check()


def test_systemd_in_a_container_gets_what_it_needs(podman):
    script = "grep -c -E ' (/run|/run/lock|/tmp|/var/log/journal) ' /proc/mounts; echo $container"
    said = podman.sh(script, ["--systemd", "always"])
    assert said == "4\npodman\n"


@pytest.mark.parametrize("mode", ["container", "conmon", "ignore"])
def test_readiness_is_told_to_the_one_who_started_it(podman, mode):
    """sd_notify(3): of the program, of conmon as soon as it runs, or of nobody."""
    path = podman.directory / "tmp/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.settimeout(events.patience)
        flags = ["--sdnotify", mode, "--name", "told"]
        script = 'test "$NOTIFY_SOCKET" && echo has a socket || echo has none'
        call = podman(
            "run", *flags, image.NAME, "/bin/sh", "-c", script,
            environment={"NOTIFY_SOCKET": str(path)},
        )
        assert ("has a socket" in call.check().out) == (mode == "container")
        path.unlink()
        if mode == "conmon":
            assert b"MAINPID=" in listener.recv(4096)


def test_a_program_tells_that_it_is_ready_to_the_one_who_started_it(podman):
    path = podman.directory / "tmp/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        path.chmod(0o777)
        listener.settimeout(events.patience)
        words = ["run", "--rm", "--sdnotify", "container", image.NAME, "/probe", "notify", "READY=1"]
        podman(*words, environment={"NOTIFY_SOCKET": str(path)}).check()
        path.unlink()
        while b"READY=1" not in listener.recv(4096):
            pass
