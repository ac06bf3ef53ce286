"""docker, with a dockerd whose default runtime it is: from run to build, and what it says of mistakes."""

import json
import os
import signal

import pytest

from drive import image, mistakes, place
from harness import Pty

pytestmark = place.KNOWN


@pytest.fixture
def held(docker):
    """docker with a container named `held` that waits for SIGTERM."""
    docker.hold()
    return docker


def test_docker_shows_the_runtime_and_its_version(docker):
    said = docker("info", "--format", "{{json .}}").check().out
    about = json.loads(said)
    name = about["DefaultRuntime"]
    assert about["Runtimes"][name]["path"] == str(docker.runtime.binary)


def test_run_shows_the_output_of_the_program(docker):
    result = docker.run("/bin/sh", "-c", "echo out; echo err >&2").check()
    assert (result.out, result.err) == ("out\n", "err\n")


@pytest.mark.parametrize("code", [0, 3, 125])
def test_run_exits_as_the_program_does(docker, code):
    assert docker.run("/bin/sh", "-c", f"exit {code}").code == code


def test_run_passes_standard_input(docker):
    assert docker.run("/bin/cat", flags=["-i"], stdin=b"some text\n").check().out == "some text\n"


def test_run_with_a_terminal_is_a_conversation(docker):
    screen = Pty(31, 97)
    try:
        script = "tty; read a; until stty size | grep '31 97'; do :; done; exit $a"
        words = ["run", "--rm", "-it", "--network", "none", image.NAME, "/bin/sh", "-c", script]
        call = screen.popen(docker, *words)
        screen.until("/dev/pts/0")
        screen.write("5\n")
        screen.until("31 97")
        assert call.wait().code == 5
    finally:
        screen.close()


@pytest.mark.parametrize(
    ("flags", "script", "said"),
    [
        ("--user 1000:1000", "id -u; id -g", "1000\n1000\n"),
        ("--workdir /tmp", "pwd", "/tmp\n"),
        ("--env A=b", "echo $A", "b\n"),
        ("--hostname named", "hostname", "named\n"),
        ("--read-only", "touch /x 2>&1 | grep -c Read-only", "1\n"),
        ("--tmpfs /t:size=64k", "grep -c '/t .*size=64k' /proc/mounts", "1\n"),
        ("--cap-drop all", "grep CapEff /proc/self/status", "CapEff:\t0000000000000000\n"),
        ("--privileged", "test -w /proc/sys/kernel/domainname && echo may", "may\n"),
        ("--security-opt no-new-privileges", "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"),
        ("--security-opt seccomp=unconfined", "grep Seccomp: /proc/self/status", "Seccomp:\t0\n"),
        ("", "grep Seccomp: /proc/self/status", "Seccomp:\t2\n"),
        ("--init", "cat /proc/1/comm", "docker-init\n"),
        ("--ipc private --shm-size 1m", "grep -c ' /dev/shm .*size=1024k' /proc/mounts", "1\n"),
        ("--sysctl kernel.msgmax=4000", "cat /proc/sys/kernel/msgmax", "4000\n"),
        ("--ulimit core=0:0", "ulimit -c", "0\n"),
        ("--device /dev/null:/dev/null2", "test -c /dev/null2 && echo device", "device\n"),
        ("--group-add 2000", "id -G", "0 2000\n"),
        ("--cgroupns private", "sed -n s/^0:://p /proc/self/cgroup", "/\n"),
        ("--pid host", "readlink /proc/self/ns/pid >/dev/null; test -d /proc/2 && echo host", "host\n"),
        ("--oom-score-adj 500", "cat /proc/self/oom_score_adj", "500\n"),
    ],
)
def test_run_with(docker, flags, script, said):
    if "--init" in flags and not place.program("docker-init"):
        pytest.skip("no docker-init, which docker's --init runs")
    if "--privileged" in flags and not place.has_every_capability():
        pytest.skip("root here has not every capability, which docker gives")
    assert docker.sh(script, flags.split()) == said


def test_volumes_are_shared_and_read_only(docker):
    docker.sh("echo written >/data/file", ["--volume", "kept:/data"])
    assert docker.sh("cat /data/file", ["--volume", "kept:/data"]) == "written\n"
    said = docker.sh("touch /data/x 2>&1 | grep -c Read-only", ["--volume", "kept:/data:ro"])
    assert said == "1\n"
    docker("volume", "rm", "kept").check()


def test_a_container_joins_the_namespaces_of_another(docker):
    docker.hold(flags=["--ipc", "shareable"])
    script = "for n in ipc net; do readlink /proc/self/ns/$n; done; grep -c hold /proc/1/cmdline"
    words = ["--ipc", "container:held", "--pid", "container:held", "--network", "container:held"]
    theirs = docker("exec", "held", "/bin/sh", "-c", script).check().out
    said = docker("run", "--rm", *words, image.NAME, "/bin/sh", "-c", script).check().out
    assert said == theirs


def test_a_container_in_the_background_is_seen_used_and_removed(held):
    assert held("exec", "held", "/bin/echo", "within").check().out == "within\n"
    assert held("exec", "held", "/bin/sh", "-c", "exit 4").code == 4
    assert "/probe hold" in held("top", "held").check().out
    held("kill", "--signal", "KILL", "held").check()
    assert held("wait", "held").check().out.strip() == "137"
    held("rm", "held").check()


def test_exec_with_a_terminal_has_one(held):
    screen = Pty(20, 60)
    try:
        script = "read a; until stty size | grep '20 60'; do :; done; echo got $a"
        call = screen.popen(held, "exec", "-it", "held", "/bin/sh", "-c", script)
        screen.write("text\n")
        assert "20 60" in screen.until("got text")
        assert call.wait().code == 0
    finally:
        screen.close()


def test_exec_has_its_own_user_directory_and_environment(held):
    flags = ["--user", "1000:1000", "--workdir", "/tmp", "--env", "A=b c"]
    script = "id -u; pwd; echo $A"
    assert held("exec", *flags, "held", "/bin/sh", "-c", script).check().out == "1000\n/tmp\nb c\n"


def test_a_privileged_exec_has_every_capability(held):
    if not place.has_every_capability():
        pytest.skip("root here has not every capability, which docker gives")
    script = ["/bin/sh", "-c", "grep CapEff /proc/self/status"]
    less = held("exec", "held", *script).check().out
    more = held("exec", "--privileged", "held", *script).check().out
    assert int(more.split()[1], 16) > int(less.split()[1], 16)


def test_stop_ends_it_by_sigterm(held):
    held("stop", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Status}} {{.State.ExitCode}}") == "exited 7"


def test_a_paused_container_is_paused_until_it_is_resumed(held):
    held("pause", "held").check()
    assert held.inspect("held", "{{.State.Status}}") == "paused"
    assert "is paused" in held("exec", "held", "/bin/true").fails().err
    held("unpause", "held").check()
    held("exec", "held", "/bin/true").check()


def test_a_container_can_be_restarted(held):
    held("restart", "--time", "8", "held").check()
    assert held.inspect("held", "{{.State.Running}} {{.RestartCount}}") == "true 0"


def test_a_restart_policy_starts_it_again(docker):
    script = "test $(cat /data/tries | wc -c) = 3 && exit 0; echo -n x >>/data/tries; exit 1"
    flags = ["--restart", "on-failure:5", "--volume", "/data"]
    docker.start("tries", "/bin/sh", "-c", script, flags=flags)
    place.until(lambda: docker.inspect("tries", "{{.RestartCount}}") == "3", "third restart")
    place.until(lambda: docker.inspect("tries", "{{.State.Status}}") == "exited", "end")
    assert docker.inspect("tries", "{{.State.ExitCode}}") == "0"


def test_the_policy_always_starts_again_what_was_killed(docker):
    docker.hold(flags=["--restart", "always"])
    os.kill(int(docker.inspect("held", "{{.State.Pid}}")), signal.SIGKILL)
    place.until(lambda: docker.inspect("held", "{{.RestartCount}}") == "1", "restart")
    place.until(lambda: docker.inspect("held", "{{.State.Running}}") == "true", "start")


def test_what_was_stopped_stays_so_with_unless_stopped_when_the_daemon_starts(docker):
    for name in ("always", "unless-stopped"):
        docker.hold(name, ["--restart", name])
    docker("stop", "--time", "8", "always", "unless-stopped").check()
    docker.end()
    docker.begin()
    place.until(lambda: docker.inspect("always", "{{.State.Running}}") == "true", "start")
    assert docker.inspect("unless-stopped", "{{.State.Running}}") == "false"


def test_a_healthcheck_says_how_it_is(docker):
    flags = ["--health-cmd", "test -e /well", "--health-interval", "200ms", "--health-retries", "1"]
    docker.hold("ill", flags)
    health = "{{.State.Health.Status}}"
    place.until(lambda: docker.inspect("ill", health) == "unhealthy", "illness")
    docker("exec", "ill", "/bin/touch", "/well").check()
    place.until(lambda: docker.inspect("ill", health) == "healthy", "health")


def test_update_changes_a_limit(docker):
    place.need_controller("memory")
    docker.hold(flags=["--memory", "64m"])
    docker("update", "--memory", "96m", "--memory-swap", "96m", "held").check()
    limit = docker("exec", "held", "/bin/cat", "/sys/fs/cgroup/memory.max").check().out
    assert int(limit) == 96 << 20


def test_update_changes_the_restart_policy_of_a_running_container(held):
    held("update", "--restart", "always", "held").check()
    assert held.inspect("held", "{{.HostConfig.RestartPolicy.Name}}") == "always"


def test_stats_counts_its_processes(held):
    place.need_controller("pids")
    said = held("stats", "--no-stream", "--format", "{{.PIDs}}", "held").check().out
    assert said.strip() == "1"


def test_stats_see_it_work(docker):
    place.need_controller("cpu")
    docker.start("works", "/bin/sh", "-c", "while :; do :; done")
    said = docker("stats", "--no-stream", "--format", "{{.CPUPerc}}", "works").check().out
    assert float(said.strip().rstrip("%")) > 0


def test_a_runtime_is_added_by_a_flag_of_the_daemon(docker):
    docker.end()
    docker.begin(by_flag=True)
    assert docker.run("/bin/echo", "well").check().out == "well\n"
    docker.end()
    docker.begin()


def test_containers_outlive_the_daemon(docker):
    docker.hold()
    docker.end()
    docker.begin()
    assert docker.inspect("held", "{{.State.Running}}") == "true"
    docker("exec", "held", "/bin/true").check()


@pytest.fixture
def context(docker):
    """A directory for `docker build`."""
    path = docker.directory / "context"
    path.mkdir(exist_ok=True)
    return path


@pytest.mark.parametrize("builder", ["0", "1"], ids=["classic", "BuildKit"])
def test_build_runs_its_steps(docker, context, builder):
    lines = [f"FROM {image.NAME}", f"RUN echo built by {builder} >/built && id -u >>/built"]
    (context / "Dockerfile").write_text("\n".join([*lines, 'CMD ["/bin/cat", "/built"]', ""]))
    words = ["build", "--network", "none", "--no-cache", "--tag", "built", context]
    docker(*words, environment={"DOCKER_BUILDKIT": builder}).check()
    said = docker("run", "--rm", "--network", "none", "built").check().out
    assert said == f"built by {builder}\n0\n"
    docker("image", "rm", "--force", "built").check()


@pytest.mark.parametrize("builder", ["0", "1"], ids=["classic", "BuildKit"])
def test_a_step_that_fails_fails_the_build(docker, context, builder):
    (context / "Dockerfile").write_text(f"FROM {image.NAME}\nRUN exit 42\n")
    words = ["build", "--network", "none", "--no-cache", context]
    call = docker(*words, environment={"DOCKER_BUILDKIT": builder})
    assert call.code != 0 and "42" in call.err + call.out


@mistakes.with_status
def test_run_of_what_cannot_be_run(docker, program, code, words):
    call = docker.run(program).fails(code)
    assert mistakes.says(call.err, words), call.err


@pytest.mark.peer(runc="starts the container, whose init then says it", crun="as runc")
def test_a_missing_interpreter_is_said_before_anything_runs(docker):
    call = docker.run("/bin/orphan").fails(127)
    assert "/bin/interpreter" in call.err


@mistakes.with_status
def test_exec_of_what_cannot_be_run(held, program, code, words):
    call = held("exec", "held", program)
    # docker 20 has 126 for whatever exec could not start.
    assert call.code in (code, 126) and "OCI runtime exec failed" in call.out + call.err, call
    assert mistakes.says(call.out + call.err, words), call


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--cap-add nonesuch", "CAP_NONESUCH"),
        ("--mount type=bind,src=/nonexistent,dst=/data", "/nonexistent"),
        ("--device /dev/nonexistent", "/dev/nonexistent"),
        ("--user nonesuch", "nonesuch"),
        ("--pid container:nonesuch", "nonesuch"),
        ("--sysctl kernel.nonesuch=1", "nonesuch"),
        ("--workdir /etc/notes", "not a directory"),
        ("--memory 1k", "memory"),
        ("--runtime nonesuch", "nonesuch"),
    ],
)
def test_a_flag_that_cannot_be_had_is_refused(docker, flags, words):
    call = docker.run("/bin/true", flags=flags.split())
    assert call.code in (125, 126, 127), call
    assert words.lower() in call.err.lower(), call.err


def test_a_file_cannot_be_mounted_on_a_directory(docker):
    source = docker.directory / "file"
    source.write_text("")
    call = docker.run("/bin/true", flags=["--volume", f"{source}:/etc"])
    assert call.code in (125, 127) and "trying to mount a directory onto a file" in call.err, call
