"""BuildKit's way of calling: the arguments, groups, signals and descriptors of its runcexecutor."""

import ctypes
import json
import os
import signal

import pytest

from harness import Pty, events, host, mistakes, sandbox

pytestmark = pytest.mark.peer(crun="1.8 has no run --keep")
PDEATHSIG = 1


class BuildKit:
    """Calls as BuildKit makes them by go-runc: no --root, so the default one is below a /run that is
    the test's own; a process group of its own; the death of the caller is the runtime's."""

    def __init__(self, box):
        self.box = box
        self.log = box.path("runc-log.json")

    def popen(self, *words, **more):
        argv = [self.box.runtime.binary, "--log", self.log, "--log-format", "json", *words]

        def die_with_the_caller():
            host.LIBC.prctl(PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)

        options = {"process_group": 0, "preexec_fn": die_with_the_caller, **more}
        return self.box.runtime.popen(argv=argv, **options)

    def __call__(self, *words, **more):
        return self.popen(*words, **more).wait()

    def run(self, **more):
        self.box.bundle.save()
        return self.popen("run", "--bundle", self.box.bundle.path, "--keep", self.box.id, **more)

    def state(self):
        return json.loads(self("state", self.box.id).check().out)

    def process_file(self, state, *argv):
        """From the config of the bundle that state names, as it is needed for exec."""
        with open(os.path.join(state["bundle"], "config.json"), encoding="utf-8") as file:
            process = json.load(file)["process"]
        path = self.box.path("process")
        path.write_text(json.dumps({**process, "args": list(argv), "terminal": False}))
        return path


@pytest.fixture
def buildkit(box):
    sandbox.mount("buildkit", "/run", "tmpfs", 0, "mode=755")
    made = BuildKit(box)
    yield made
    made("delete", "--force", box.id)
    host.LIBC.umount2(b"/run", host.MNT_DETACH)


@pytest.fixture
def held(buildkit, box):
    """A build step that is under way."""
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    buildkit.step = buildkit.run()
    assert ready.line() == "ready"
    yield buildkit
    if buildkit.step.process.poll() is None:
        buildkit("kill", box.id, "9")
        buildkit.step.wait()


def test_a_step_has_its_output_and_its_exit_code(buildkit, box):
    box.sh("cat; echo err >&2; exit 3")
    ended = buildkit.run(stdin=b"typed\n").wait()
    assert (ended.code, ended.out, ended.err) == (3, "typed\n", "err\n")
    # --keep: the cgroup is read first, and the container deleted then.
    assert buildkit.state()["status"] == "stopped"
    buildkit("delete", box.id).check()
    assert not buildkit.log.exists() or buildkit.log.read_text() == ""


@pytest.mark.peer(crun="1.8 has no rootfs in its state")
def test_exec_finds_bundle_and_rootfs_in_the_state(held, box):
    state = held.state()
    assert (state["status"], state["bundle"]) == ("running", str(box.bundle.path))
    assert state["rootfs"] == str(box.rootfs)
    path = held.process_file(state, "/bin/sh", "-c", "echo in; exit 4")
    ended = held("exec", "--process", path, "--pid-file", box.path("pid"), box.id)
    assert (ended.code, ended.out) == (4, "in\n")


def test_a_step_that_is_given_up_is_killed_by_the_runtime(held, box):
    held("kill", box.id, "9").check()
    assert held.step.wait().code == 137


def test_an_exec_that_is_given_up_is_killed_by_its_pid_file(held, box):
    told = box.bundle.fifo("told")
    path = held.process_file(held.state(), "/probe", "hold", "/told")
    call = held.popen("exec", "--process", path, "--pid-file", box.path("pid"), box.id)
    assert told.line() == "ready"
    while not box.path("pid").exists():  # it comes when the program has begun; BuildKit looks often
        os.sched_yield()
    os.kill(int(box.path("pid").read_text()), signal.SIGKILL)
    assert call.wait().code == 137
    assert held.state()["status"] == "running"


@pytest.mark.peer(crun="has words that BuildKit does not know")
def test_the_kill_of_a_step_that_has_ended_is_recognised(held, box):
    held("kill", box.id, "9").check()
    held.step.wait()
    known = ("container not running", "container does not exist", "no such process")
    assert any(words in held("kill", box.id, "9").fails().err.lower() for words in known)
    held("delete", box.id).check()
    assert any(words in held("kill", box.id, "9").fails().err.lower() for words in known)


def test_a_step_with_a_terminal_is_resized_by_sigwinch_to_the_runtime(buildkit, box):
    screen = Pty()
    ready = box.bundle.fifo("ready")
    box.set("process.terminal", True)
    box.sh("trap 'stty size; exit 8' WINCH; echo ready > /ready; while :; do read x; done")
    side = screen.slave
    call = buildkit.run(stdin=side, stdout=side, stderr=side)
    os.close(side)
    screen.slave = -1
    assert ready.line() == "ready"
    screen.resize(33, 99, tell=call.pid)
    assert "33 99" in events.read_until(screen.master, "99")
    screen.write("\n")
    assert call.wait().code == 8
    screen.close()


@pytest.mark.peer(runc="1.1 logs what its init said as well", crun="1.8 has no run --keep")
@mistakes.every
def test_a_step_that_cannot_begin_is_one_error_in_the_log(buildkit, box, arrange, words):
    arrange(box)
    ended = buildkit.run().wait()
    assert ended.code == 1
    (line,) = buildkit.log.read_text().splitlines()
    assert mistakes.says(json.loads(line)["msg"], words)
    assert mistakes.says(ended.err, words)
