"""A runtime that is killed in the middle leaves what `delete --force` clears away, whatever the
middle was: strace kills it, or the child it has made, at the Nth call of a name."""

import os
import shutil

import pytest

from harness import events, host

STRACE = shutil.which("strace")
pytestmark = pytest.mark.skipif(not STRACE, reason="no strace to kill the runtime with")

# The calls at which something is made, begun or handed over, and at which of them it ends there;
# runtimes differ in which name of a group they call.
CREATE = {
    "making directories": {"mkdirat": (1, 2, 3, 5, 8), "mkdir": (1, 2)},
    "opening": {"openat2": (1, 4, 9, 16), "openat": (6, 12, 20)},
    "making a process": {"clone3": (1, 2), "clone": (1, 2, 3), "socketpair": (1,)},
    "writing": {"write": (1, 2, 3, 4, 6), "sendmsg": (1, 2)},
    "reading": {"read": (2, 4, 7), "recvmsg": (1, 2)},
    "mounting": {"fsopen": (1, 3), "move_mount": (1, 4), "mount": (1, 3, 6), "umount2": (1,)},
    "making devices": {"mknodat": (1, 5), "bpf": (1, 2)},
    "changing the root": {"pivot_root": (1,)},
    "dropping privileges": {"setresuid": (1,), "capset": (1,), "close_range": (1, 3)},
    "recording": {"renameat": (1,), "renameat2": (1,), "rename": (1,), "flock": (1, 2)},
    "ending": {"exit_group": (1,)},
}
START = {
    "opening": {"openat": (3, 8, 12), "openat2": (1, 2)},
    "letting go": {"write": (1,), "sendmsg": (1,), "unlinkat": (1,), "unlink": (1,)},
}
DELETE = {
    "removing": {"unlinkat": (1, 2, 3, 5), "rmdir": (1,), "unlink": (1,)},
    "killing": {"pidfd_send_signal": (1,), "write": (1,), "kill": (1,)},
    "opening": {"openat2": (1, 3), "openat": (3, 6)},
}


def under_strace(box, name, number, *words):
    """Calls the runtime so that SIGKILL comes at the Nth call of a name by any of its processes."""
    box.bundle.save()
    inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={number}"]
    # With -D strace is not the parent, and goes on to follow an init that stays.
    command = [STRACE, "-D", "-f", "-qqq", "-o", "/dev/null", *inject]
    return box.runtime.call(argv=[*command, *box.runtime.argv(*words)])


def cleared(box, before):
    """Checks that the state can be told, and that delete --force removes every trace, twice."""
    state = box.runtime.call("state", box.id)
    assert state.code == 0 or state.err.strip()
    if box.runtime.root.exists():
        box.runtime.call("list").check()
    host.collect_dead()
    box.delete("--force").check()
    box.delete("--force").check()
    after = before.settled(box.runtime.root)
    after.state = [line for line in after.state if not line.startswith(".")]
    assert after == before


def survives(box, points, prepare, *words):
    """Kills at each of the points in turn, and clears away what is left."""
    killed = 0
    for name, numbers in points.items():
        for number in numbers:
            before = host.Snapshot.take(box.runtime.root)
            prepare()
            result = under_strace(box, name, number, *words)
            killed += result.code != 0
            cleared(box, before)
    assert killed, "nothing was killed"


NO_RECORD = "has no record of the cgroup and the child before both are there"
LEAKS = {
    "runc": "opening, writing, mounting, making devices, dropping privileges, recording",
    "crun": "making directories, making a process, writing, mounting, recording",
}


def marks(what):
    reasons = {kind: NO_RECORD for kind, groups in LEAKS.items() if what in groups.split(", ")}
    return pytest.mark.peer(**reasons)


@pytest.mark.parametrize("what", [pytest.param(what, marks=marks(what)) for what in CREATE])
def test_delete_clears_away_what_a_create_left_that_was_killed_when(box, what):
    """And the id is free again: the next create has it."""
    box.args("/probe", "hold")
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["size=1m"])
    words = ["create", "--bundle", box.bundle.path, box.id]
    survives(box, CREATE[what], lambda: None, *words)
    box.create().check()
    assert box.status == "created"


@pytest.mark.parametrize("what", START)
def test_delete_clears_away_what_a_start_left_that_was_killed_when(box, what):
    box.args("/probe", "hold")
    survives(box, START[what], lambda: box.create().check(), "start", box.id)


@pytest.mark.parametrize("what", DELETE)
def test_delete_finishes_what_a_delete_left_that_was_killed_when(box, what):
    box.args("/probe", "hold")
    survives(box, DELETE[what], lambda: box.create().check(), "delete", "--force", box.id)


def test_an_exec_that_was_killed_leaves_the_container_running(box):
    box.hold()
    before = host.Snapshot.take(box.runtime.root)
    for name in ("clone3", "clone", "setns", "openat", "close_range", "execveat", "execve"):
        under_strace(box, name, 2 if name == "execve" else 1, "exec", box.id, "/bin/true")
        after = before.settled(box.runtime.root)
        assert after == before, name
        assert box.status == "running"
    box.exec("/bin/true").check()


def test_a_container_whose_foreground_runtime_was_killed_is_still_there_to_delete(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    before = host.Snapshot.take(box.runtime.root)
    call = box.popen_run()
    assert ready.line() == "ready"
    os.kill(call.pid, 9)
    call.process.wait()
    assert box.status in ("running", "stopped")
    cleared(box, before)


def test_an_init_that_is_killed_while_it_is_created_is_a_stopped_container(box):
    box.args("/probe", "hold")
    box.create().check()
    pid = box.pid
    os.kill(pid, 9)
    events.wait_exit(pid)
    assert box.status == "stopped"
    box.start().fails()
    box.wait(pid)
    box.delete().check()
