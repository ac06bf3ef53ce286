"""What a service manager hands to the runtime: sockets, a socket to notify by; and what annotations
name: files for the output of hooks, a receiver of the pidfd, the groups of the caller."""

import array
import os
import pathlib
import socket

import pytest

from harness import events
from harness.runtime import ENVIRONMENT

class Manager:
    """A service manager's notify socket: it takes messages and lets go of barriers."""

    def __init__(self, path):
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(events.patience)

    @property
    def environment(self):
        return {**ENVIRONMENT, "NOTIFY_SOCKET": self.path}

    def take(self):
        """The next message; a descriptor that comes with it is closed, as systemd does."""
        text, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4))
        for _, _, data in ancillary:
            for number in array.array("i", data):
                os.close(number)
        return text.decode()


@pytest.fixture
def manager(box):
    made = Manager(box.path("manager.sock"))
    yield made
    made.socket.close()


@pytest.mark.row("sd-notify")
@pytest.mark.peer(runc="1.1 does not see the end", crun="binds it at the path of the host")
def test_the_container_is_told_of_a_socket_of_its_own(box, manager):
    box.sh("echo $NOTIFY_SOCKET; stat -c '%F %a' $NOTIFY_SOCKET; stat -c '%F %a' /run/notify")
    call = box.popen_run("--detach", env=manager.environment)
    out = call.wait().check().out.splitlines()
    assert out[0] == "/run/notify/notify.sock"
    assert out[1:] == ["socket 777", "directory 755"]


@pytest.mark.row("sd-notify")
@pytest.mark.peer(runc="1.1 does not see the container end")
def test_a_container_that_ends_without_a_word_does_not_hold_a_detached_run(box, manager):
    box.args("/bin/true")
    box.run("--detach", env=manager.environment).check()


@pytest.mark.row("sd-notify")
@pytest.mark.peer(runc="1.1 passes READY= on only as the first line", crun="goes other ways")
def test_ready_is_passed_on_by_a_detached_run(box, manager):
    box.args("/probe", "hold", "/ready")
    fifo = box.bundle.fifo("ready")
    call = box.popen_run("--detach", env=manager.environment)
    assert fifo.line() == "ready"
    say(box, "STATUS=up\nREADY=1\n")
    assert manager.take() == "READY=1\n"
    assert manager.take() == f"MAINPID={box.pid}\n"
    assert manager.take() == "BARRIER=1"
    call.wait().check()


@pytest.mark.row("sd-notify")
@pytest.mark.peer(runc="1.1 waits for itself", crun="goes other ways")
def test_ready_is_passed_on_by_start_which_can_be_stopped_meanwhile(box, manager):
    box.args("/probe", "hold", "/ready")
    fifo = box.bundle.fifo("ready")
    box.create(env=manager.environment).check()
    call = box.runtime.popen("start", box.id, env=manager.environment)
    assert fifo.line() == "ready"
    assert box.status == "running"
    say(box, "READY=1")
    assert manager.take() == "READY=1\n"
    assert manager.take() == f"MAINPID={box.pid}\n"
    assert manager.take() == "BARRIER=1"
    call.wait().check()


@pytest.mark.row("sd-notify")
@pytest.mark.peer(runc="1.1 forwards no signal before READY=", crun="goes other ways")
def test_ready_is_passed_on_by_a_run_in_the_foreground_which_is_the_main_process(box, manager):
    box.args("/probe", "hold", "/ready")
    fifo = box.bundle.fifo("ready")
    call = box.popen_run(env=manager.environment)
    assert fifo.line() == "ready"
    say(box, "READY=1")
    assert manager.take() == "READY=1\n"
    assert manager.take() == f"MAINPID={call.pid}\n"
    assert manager.take() == "BARRIER=1"
    box.kill("KILL").check()
    assert call.wait().code == 137


@pytest.mark.row("sd-notify")
def test_nothing_is_there_without_a_manager(box):
    facts = box.facts()
    assert "NOTIFY_SOCKET" not in facts.environment
    assert not facts.mounts_at("/run/notify")


def say(box, text):
    """Sends a message from the container's side, through its own view of the socket."""
    path = box.runtime.root / box.id / "notify" / "notify.sock"
    sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sender.sendto(text.encode(), str(path))
    sender.close()


def activate(count):
    """Before the runtime: `count` sockets from 3 on, and its own pid in LISTEN_PID."""

    def arrange():
        for number in range(3, 3 + count):
            os.dup2(1, number)

    return arrange


def activated(box, *words, count):
    """Runs the runtime as systemd would, by a shell that becomes it."""
    box.bundle.save()
    script = f'export LISTEN_PID=$$ LISTEN_FDS={count}; exec "$@"'
    argv = ["/bin/sh", "-c", script, "sh", *box.runtime.argv(*words)]
    return box.runtime.call(argv=argv, close_fds=False, preexec_fn=activate(count + 1))


@pytest.mark.row("socket-activation")
@pytest.mark.peer(crun="leaves LISTEN_PID as the config has it")
def test_sockets_of_a_service_manager_are_the_containers(box):
    box.args("/probe")
    facts = activated(box, "run", "--bundle", box.bundle.path, box.id, count=2).check().json
    environment = dict(entry.split("=", 1) for entry in facts["env"])
    assert (environment["LISTEN_FDS"], environment["LISTEN_PID"]) == ("2", "1")
    assert set(facts["fds"]) == {"0", "1", "2", "3", "4"}


@pytest.mark.row("socket-activation")
@pytest.mark.peer(crun="leaves LISTEN_PID as the config has it")
def test_preserved_descriptors_come_after_those_of_the_service_manager(box):
    box.args("/probe")
    words = ["run", "--preserve-fds", "1", "--bundle", box.bundle.path, box.id]
    facts = activated(box, *words, count=2).check().json
    assert "LISTEN_FDS=2" in facts["env"]
    assert set(facts["fds"]) == {"0", "1", "2", "3", "4", "5"}


@pytest.mark.row("socket-activation")
@pytest.mark.peer(crun="passes what is there", runc="1.1 reports it with other words")
def test_a_missing_preserved_descriptor_is_counted_after_the_service_managers(box):
    box.args("/probe")
    words = ["run", "--preserve-fds", "2", "--bundle", box.bundle.path, box.id]
    result = activated(box, *words, count=1).fails()
    assert "unable to stat preserved-fd 1 (of 2): " in result.said


@pytest.mark.row("socket-activation")
@pytest.mark.peer(crun="does not look at LISTEN_PID")
def test_sockets_for_another_process_are_nobodys(box):
    box.args("/probe")
    environment = {**ENVIRONMENT, "LISTEN_PID": "1", "LISTEN_FDS": "1"}
    facts = box.run(env=environment, close_fds=False, preexec_fn=activate(1)).check().json
    assert not any(entry.startswith("LISTEN_") for entry in facts["env"])
    assert set(facts["fds"]) == {"0", "1", "2"}


@pytest.mark.row("run.oci.keep_original_groups")
@pytest.mark.peer(runc="does not know the annotation")
def test_the_annotation_keeps_the_groups_of_the_caller(box):
    box.set("annotations", {"run.oci.keep_original_groups": "1"})
    box.set("process.user.additionalGids", [7])
    facts = box.facts(preexec_fn=lambda: os.setgroups([1234, 1235]))
    assert {1234, 1235} <= set(facts["groups"]) and 7 not in facts["groups"]


@pytest.mark.row("run.oci.keep_original_groups")
def test_groups_of_the_caller_are_not_kept_where_the_annotation_says_0(box):
    box.set("annotations", {"run.oci.keep_original_groups": "0"})
    facts = box.facts(preexec_fn=lambda: os.setgroups([1234]))
    assert 1234 not in facts["groups"]


@pytest.mark.row("run.oci.pidfd_receiver")
@pytest.mark.peer(runc="does not know the annotation")
def test_the_annotation_names_who_is_sent_a_pidfd(box):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(box.path("pidfd.sock")))
    server.listen(1)
    server.settimeout(events.patience)
    box.set("annotations", {"run.oci.pidfd_receiver": str(box.path("pidfd.sock"))})
    box.hold()
    connection, _ = server.accept()
    _, ancillary, _, _ = connection.recvmsg(64, socket.CMSG_SPACE(4))
    (number,) = array.array("i", ancillary[0][2])
    info = pathlib.Path(f"/proc/self/fdinfo/{number}").read_text()
    os.close(number)
    connection.close()
    server.close()
    assert f"Pid:\t{box.pid}\n" in info


HOOK = {"path": "/bin/sh", "args": ["sh", "-c", "cat >/dev/null; echo out; echo err >&2"]}


@pytest.mark.row("run.oci.hooks")
@pytest.mark.peer(runc="does not know the annotations")
def test_the_output_of_hooks_is_appended_to_the_files_of_the_annotations(box):
    out, err = box.path("out.log"), box.path("err.log")
    out.write_text("before\n")
    box.set(
        "annotations", {"run.oci.hooks.stdout": str(out), "run.oci.hooks.stderr": str(err)}
    )
    stages = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart")
    box.set("hooks", {stage: [HOOK] for stage in (*stages, "poststop")})
    box.args("/probe")
    facts = box.run().check().json
    assert out.read_text() == "before\n" + "out\n" * 6
    assert err.read_text() == "err\n" * 6
    assert set(facts["fds"]) == {"0", "1", "2"}


@pytest.mark.row("run.oci.hooks")
@pytest.mark.peer(runc="does not know the annotations")
def test_a_file_for_output_that_cannot_be_opened_is_an_error(box):
    box.set("annotations", {"run.oci.hooks.stdout": "/nonexistent/log"})
    box.set("hooks", {"createRuntime": [HOOK]})
    box.args("/bin/true")
    assert "/nonexistent/log" in box.create().fails().said
