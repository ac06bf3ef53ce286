"""SCMP_ACT_NOTIFY: the agent gets the listener and a word of whose it is, and answers the calls."""

import contextlib
import errno
import os
import platform
import socket

import pytest

from harness import events, exec_calls, run_calls
from harness.agent import Agent, let_through

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the agent knows the numbers of x86_64"
)

FLAGLESS = pytest.mark.peer(runc="1.1 supports no flags")
EITHER = pytest.mark.parametrize("no_new_privs", [True, False], ids=["nnp", "privileges"])
FCHMOD = ("fchmod", -1, 0)
IMPORTANT = ["execve", "openat", "open", "read", "close", "fcntl"]


@pytest.fixture
def agent(box):
    with Agent(str(box.path("agent"))) as made:
        yield made


def listened(box, path, *names, metadata="bar", **more):
    """Lets the agent at `path` answer the calls; the metadata is runc's tests'."""
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": [{"names": list(names) or ["fchmod"], "action": "SCMP_ACT_NOTIFY"}],
        **more,
    }
    if path is not None:
        profile["listenerPath"] = str(path)
    if metadata is not None:
        profile["listenerMetadata"] = metadata
    box.set("linux.seccomp", profile)
    return box


def make_elsewhere(call):
    """What runc's own agent does: mkdir makes a directory with another name."""
    if call.name != "mkdir":
        return let_through(call)
    os.mkdir(f"/proc/{call.pid}/root{call.text(0)}-bar")
    return call.answer()


@EITHER
def test_the_agent_makes_the_call_in_place_of_the_process(box, agent, no_new_privs):
    agent.act = make_elsewhere
    box.set("process.noNewPrivileges", no_new_privs)
    listened(box, agent.path, "mkdir")
    box.sh("mkdir /dev/foo && stat /dev/foo-bar >/dev/null && ! test -e /dev/foo && echo done")
    assert box.run().check().out == "done\n"


@EITHER
def test_the_agent_answers_for_an_execd_process_too(box, agent, no_new_privs):
    agent.act = make_elsewhere
    box.set("process.noNewPrivileges", no_new_privs)
    listened(box, agent.path, "mkdir").hold()
    result = box.exec("/bin/sh", "-c", "mkdir /dev/foo && stat /dev/foo-bar >/dev/null && echo done")
    assert result.check().out == "done\n"


ANSWERS = {
    "an error": ({"error": errno.ENOMEDIUM}, "ENOMEDIUM"),
    "a value": ({"value": 0}, "ok"),
    "to go on": ({"go_on": True}, "EBADF"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_process_gets_what_the_agent_says(box, agent, name):
    said, result = ANSWERS[name]
    agent.act = lambda call: call.answer(**said)
    assert run_calls(listened(box, agent.path), ("getpid",), FCHMOD) == ["ok", result]


@EITHER
def test_what_the_runtime_needs_itself_may_be_the_agents_to_answer(box, agent, no_new_privs):
    box.set("process.noNewPrivileges", no_new_privs)
    listened(box, agent.path, *IMPORTANT)
    box.args("/bin/true")
    box.run().check()
    seen = set()
    while not agent.calls.empty():
        seen.add(agent.call().name)
    assert "execve" in seen


OWN_VIEW = pytest.mark.peer(crun="1.8 tells the agent the pid that the container sees")


@pytest.mark.parametrize(
    "no_new_privs", [pytest.param(True, id="nnp", marks=OWN_VIEW), pytest.param(False, id="privileges")]
)
def test_the_agent_has_the_listener_before_start(box, agent, no_new_privs):
    box.set("process.noNewPrivileges", no_new_privs)
    box.set("annotations", {"org.example.key": "value"})
    box.args("/act", "fchmod", "-1", "0")
    listened(box, agent.path).create().check()
    told = agent.state()
    assert told["ociVersion"]
    assert told["fds"] == ["seccompFd"]
    assert told["metadata"] == "bar"
    pid = box.pid
    assert told["pid"] == pid
    state = told["state"]
    assert state.pop("ociVersion")
    assert state == {
        "id": box.id,
        "status": "creating",
        "pid": pid,
        "bundle": str(box.bundle.path),
        "annotations": {"org.example.key": "value"},
    }
    assert agent.calls.empty()
    box.start().check()
    assert agent.call().pid == pid


@OWN_VIEW
def test_the_agent_is_told_of_each_process_that_is_added(box, agent):
    listened(box, agent.path).hold()
    init = agent.state()
    assert exec_calls(box, FCHMOD) == ["EBADF"]
    told = agent.state()
    assert told["fds"] == ["seccompFd"] and told["metadata"] == "bar"
    assert told["pid"] == agent.call().pid != init["pid"]
    assert told["state"]["status"] == "running"
    assert told["state"]["pid"] == init["pid"] == box.pid
    assert told["state"]["id"] == box.id


def test_no_metadata_is_told_where_none_is_given(box, agent):
    listened(box, agent.path, metadata=None)
    box.args("/bin/true")
    box.run().check()
    assert agent.state().get("metadata", "") == ""


@pytest.mark.parametrize(
    "flags",
    [
        ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
        pytest.param(
            ["SECCOMP_FILTER_FLAG_TSYNC"],
            marks=pytest.mark.peer(crun="1.8 gives TSYNC to the kernel without TSYNC_ESRCH"),
        ),
        ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
    ],
    ids=lambda flags: "+".join(flag[20:] for flag in flags),
)
@FLAGLESS
def test_the_agent_answers_with_the_flags(box, agent, flags):
    agent.act = lambda call: call.answer(error=errno.ENOMEDIUM)
    listened(box, agent.path, flags=flags)
    assert run_calls(box, FCHMOD) == ["ENOMEDIUM"]


def test_a_start_container_hook_gets_no_descriptor_more(box, agent):
    count = "set -- /proc/self/fd/*; echo $# >/hooked"
    hook = {"path": "/bin/sh", "args": ["sh", "-c", count]}
    box.set("hooks", {"startContainer": [hook]})
    box.args("/bin/true")
    box.run().check()
    (box.rootfs / "hooked").rename(box.rootfs / "before")
    listened(box, agent.path, "mkdir").run().check()
    assert (box.rootfs / "hooked").read_text() == (box.rootfs / "before").read_text()


def test_the_payload_gets_no_descriptor_more(box, agent):
    listened(box, agent.path, "mkdir")
    box.sh("echo /proc/self/fd/*")
    with_listener = box.run().check().out
    box.bundle.unset("linux.seccomp")
    assert box.run().check().out == with_listener


@pytest.mark.peer(crun="1.8 sends a listener whenever there is a path")
def test_the_path_is_not_used_without_notify(box, agent):
    listened(box, agent.path, syscalls=[])
    assert run_calls(box, FCHMOD) == ["EBADF"]
    assert agent.states.empty()


def test_a_call_fails_as_unknown_once_the_agent_is_gone(box, agent):
    ready, go = box.bundle.fifo("ready"), box.rootfs / "go"
    os.mkfifo(go)
    listened(box, agent.path)
    box.sh("echo ready >/ready; read word </go; /act fchmod -1 0")
    running = box.popen_run()
    assert ready.line() == "ready"
    agent.close()
    go.write_text("go\n")
    assert running.wait().check().out == "ENOSYS\n"


def test_a_call_that_waits_fails_when_the_agent_goes(box, agent):
    agent.act = lambda call: None
    listened(box, agent.path)
    box.args("/act", "fchmod", "-1", "0")
    running = box.popen_run()
    agent.call()
    agent.close()
    assert running.wait().check().out == "ENOSYS\n"


# A container whose process waits for an agent that does not answer.
@pytest.fixture
def stuck(box, agent):
    agent.act = lambda call: None
    box.args("/act", "fchmod", "-1", "0")
    listened(box, agent.path).create().check()
    box.start().check()
    agent.stuck = agent.call()
    return box


def test_a_process_that_waits_for_the_agent_can_be_killed(stuck):
    assert stuck.stop() == -9
    stuck.delete().check()


def test_a_container_that_waits_for_the_agent_can_be_deleted_by_force(stuck):
    pid = stuck.pid
    stuck.delete("--force").check()
    events.wait_exit(pid)


def test_a_container_that_waits_for_the_agent_can_be_paused(stuck, agent):
    pid = stuck.pid
    stuck.runtime.call("pause", stuck.id).check()
    assert stuck.status == "paused"
    agent.act = let_through
    stuck.runtime.call("resume", stuck.id).check()
    # Frozen, it had stopped to wait; thawed, it makes the call anew.
    assert agent.call().key != agent.stuck.key
    assert stuck.wait(pid) == 0


@FLAGLESS
def test_a_container_that_only_a_kill_frees_can_be_killed(box, agent):
    agent.act = lambda call: None
    box.args("/act", "fchmod", "-1", "0")
    listened(box, agent.path, flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]).create().check()
    box.start().check()
    agent.call()
    assert box.stop() == -9


@pytest.mark.peer(runc="1.1 gives up on it")
def test_a_path_longer_than_an_address_is_a_path(box):
    directory = box.path("a" * 100)
    directory.mkdir()
    with Agent(str(directory / ("b" * 60))) as agent:
        agent.act = lambda call: call.answer(error=errno.ENOMEDIUM)
        assert run_calls(listened(box, agent.path), FCHMOD) == ["ENOMEDIUM"]


@contextlib.contextmanager
def deaf(box):
    """A socket that nobody listens on any more."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(box.path("deaf")))
    yield box.path("deaf")


@contextlib.contextmanager
def of_datagrams(box):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(box.path("datagrams")))
        yield box.path("datagrams")


@contextlib.contextmanager
def a_file(box):
    box.path("file").write_text("")
    yield box.path("file")


WRONG = {
    "a path of nothing": lambda box: contextlib.nullcontext("/nonesuch/agent"),
    "an abstract name": lambda box: contextlib.nullcontext("@mysocketishere"),
    "a relative path": lambda box: contextlib.nullcontext("agent"),
    "a socket without a listener": deaf,
    "a socket of datagrams": of_datagrams,
    "a file": a_file,
    "a directory": lambda box: contextlib.nullcontext("/"),
}


@EITHER
@pytest.mark.parametrize("name", WRONG)
def test_create_fails_where_no_agent_takes_the_listener(box, name, no_new_privs):
    box.set("process.noNewPrivileges", no_new_privs)
    with WRONG[name](box) as path:
        result = listened(box, path).create().fails()
    if box.runtime.kind != "crun" and name in ("a path of nothing", "a socket without a listener"):
        assert "failed to connect with seccomp agent" in result.err
    assert box.state is None


@pytest.mark.peer(crun="1.8 lets a filter without a listener be")
@pytest.mark.parametrize("path", [None, ""], ids=["none", "empty"])
def test_create_refuses_notify_without_a_path(box, path):
    result = listened(box, path, metadata=None).create().fails()
    assert "listenerPath is not set" in result.said
    assert box.state is None


@pytest.mark.peer(crun="1.8 hangs")
def test_create_refuses_to_notify_of_write(box, agent):
    result = listened(box, agent.path, "read", "write").create().fails()
    assert "SCMP_ACT_NOTIFY cannot be used for the write syscall" in result.said
    assert agent.states.empty()


@pytest.mark.peer(crun="1.8 hangs")
def test_create_refuses_to_notify_of_everything(box, agent):
    listened(box, agent.path, defaultAction="SCMP_ACT_NOTIFY", syscalls=[]).create().fails()
    assert agent.states.empty()


def test_an_exec_fails_where_the_agent_is_gone_and_leaves_the_container(box, agent):
    listened(box, agent.path).hold()
    agent.close()
    result = box.exec("/bin/true")
    assert result.code == (1 if box.runtime.kind == "crun" else 255)
    assert result.err
    assert box.status == "running" and box.company() == set()
