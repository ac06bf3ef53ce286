"""The census of descriptors: who has what open at each moment at which something of the container, or
a program that is not the runtime, could look or inherit (CVE-2016-9962, CVE-2024-21626)."""

import os
import re
import stat

import pytest

from harness import ConsoleSocket, hooks, trace

with_strace = pytest.mark.skipif(not trace.STRACE, reason="no strace to stop the runtime with")
STREAMS = {0, 1, 2}
KNOWN = {
    "createContainer": {"runc": "1.1 leaves three of its own open"},
    "poststop": {"runc": "1.1 lets it inherit what its caller has"},
}
HOOKS = [pytest.param(s, marks=pytest.mark.peer(**KNOWN.get(s, {}))) for s in hooks.STAGES]


@pytest.fixture
def junk(box):
    """A caller with descriptors of the host that are not close-on-exec, where a runtime's own would
    be and elsewhere."""
    opened = [os.open(place, os.O_RDONLY) for place in ("/", box.directory, "/proc/self/ns/mnt")]
    opened += os.pipe()

    def arrange():
        for number, fd in enumerate(opened * 8):
            os.dup2(fd, 20 + number)

    yield {"close_fds": False, "preexec_fn": arrange}
    for fd in opened:
        os.close(fd)


def is_probe(pid):
    """Whether a process has become the program of the container."""
    return os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "probe"


def first_instruction(box, junk, *words):
    with trace.Halt(box, "execve", *words, wanted=is_probe, **junk) as halt:
        return halt.links()


def kinds(pid):
    """Number to type of file of every descriptor of a process, as stat has it."""
    found = {}
    for number in trace.links_of(pid):
        found[number] = stat.S_IFMT(os.stat(f"/proc/{pid}/fd/{number}").st_mode)
    return found


@with_strace
def test_at_its_first_instruction_the_program_has_its_streams_alone(box, junk):
    box.args("/probe")
    assert set(first_instruction(box, junk, "run", "--bundle", box.bundle.path, box.id)) == STREAMS


@with_strace
def test_at_its_first_instruction_a_program_of_exec_has_its_streams_alone(box, junk):
    box.hold()
    assert set(first_instruction(box, junk, "exec", box.id, "/probe")) == STREAMS


@with_strace
@pytest.mark.parametrize("command", ["run", "exec"])
def test_what_is_preserved_is_there_at_the_first_instruction_and_nothing_else(box, command):
    def arrange():
        for number in range(3, 30):
            os.dup2(2, number)

    flags = ["--preserve-fds", "2"]
    words = ["exec", *flags, box.id, "/probe"]
    if command == "exec":
        box.hold()
    else:
        box.args("/probe")
        words = ["run", *flags, "--bundle", box.bundle.path, box.id]
    found = first_instruction(box, {"close_fds": False, "preexec_fn": arrange}, *words)
    assert set(found) == STREAMS | {3, 4}


@with_strace
def test_at_its_first_instruction_a_program_with_a_terminal_has_that_alone(box, junk):
    socket = ConsoleSocket(box.path("console"))
    box.set("process.terminal", True)
    box.args("/probe")
    flags = ["--bundle", box.bundle.path, "--console-socket", socket.path]
    found = first_instruction(box, junk, "run", "--detach", *flags, box.id)
    socket.receive()
    socket.close()
    assert set(found) == STREAMS
    assert all(re.match(r"/dev/(console|pts/\d+)$", link) for link in found.values())


@pytest.mark.parametrize("stage", HOOKS)
def test_a_hook_has_its_streams_alone(box, junk, stage):
    seen = hooks.make_seen(box)
    hooks.add(box, stage, "ls /proc/self/fd > $SEEN/found")
    box.args("/bin/true")
    box.create(**junk).check()
    pid = box.pid
    box.start(**junk).check()
    box.wait(pid)
    box.delete(**junk).check()
    # 3 is the directory that ls lists.
    assert {int(n) for n in (seen / "found").read_text().split()} == STREAMS | {3}


@pytest.mark.peer(
    runc="1.1 has its log and other pipes of the Go runtime", crun="1.8 closes them at start"
)
def test_a_container_that_waits_to_be_started_holds_fifos_of_its_own_state_alone(box, junk):
    box.create(**junk).check()
    links, found = trace.links_of(box.pid), kinds(box.pid)
    others = set(links) - STREAMS
    for number in others:
        assert found[number] == stat.S_IFIFO, links[number]
        assert links[number].startswith(f"{box.runtime.root}/{box.id}/"), links[number]
    assert len(others) <= 2


@with_strace
@pytest.mark.tare("where it stops is where tare's calls are")
def test_the_joiner_of_exec_has_nothing_of_the_host_open_when_it_makes_the_process(box, junk):
    box.hold()
    # The joiner changes into the working directory last: it is in the container's namespaces then.
    with trace.Halt(box, "setns", "exec", box.id, "/probe", **junk) as halt:
        found = kinds(halt.pid)
        links = halt.links()
        assert stat.S_IFDIR not in found.values(), links
        assert not [link for link in links.values() if link.startswith(("mnt:", "net:", "user:"))]
        # What leads back is a pidfd, of the container's own init, and the sockets to the parent.
        rest = {link.partition("[")[0].partition(":")[0] for n, link in links.items() if n > 2}
        assert rest <= {"socket", "anon_inode", "pipe"}, links


@with_strace
@pytest.mark.tare("where it stops is where tare's calls are")
@pytest.mark.parametrize("call", ["setsid", "close_range", "setresuid", "capset", "prctl"])
def test_a_process_of_exec_that_the_container_can_see_has_its_streams_and_a_socket(box, junk, call):
    box.hold()
    with trace.Halt(box, call, "exec", box.id, "/probe", wanted=trace.is_within, **junk) as halt:
        links = halt.links()
        rest = [link for number, link in links.items() if number not in STREAMS]
        assert len(rest) <= 1 and all(link.startswith("socket:") for link in rest), links
        for place in ("root", "cwd"):
            ours, its = os.stat(f"/proc/{halt.pid}/{place}"), os.stat(f"/proc/{box.pid}/{place}")
            assert (ours.st_dev, ours.st_ino) == (its.st_dev, its.st_ino)


@with_strace
@pytest.mark.tare("where it stops is where tare's calls are")
@pytest.mark.parametrize("call", ["setresuid", "capset"])
def test_init_that_is_no_longer_root_has_nothing_of_the_host_open(box, junk, call):
    """nsenter --join-cgroup kept cgroups open across the change of user (CVE-2026-78408)."""
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.args("/probe")
    words = ["run", "--bundle", box.bundle.path, box.id]
    with trace.Halt(box, call, *words, wanted=trace.is_within, **junk) as halt:
        rest = {number: link for number, link in halt.links().items() if number not in STREAMS}
        assert len(rest) <= 1 and all(link.startswith("socket:") for link in rest.values()), rest
