"""podman: what a user gets wrong is said in the words of podman, with podman's exit status."""

import pytest

from drive import image, mistakes, place
from drive.place import Person
from drive.podman import PODMAN, Podman
from harness import events

pytestmark = place.KNOWN


@mistakes.with_status
def test_run_of_what_cannot_be_run(podman, program, code, words):
    call = podman.run(program).fails(code)
    assert mistakes.says(call.err, words), call.err


@mistakes.with_status
def test_exec_of_what_cannot_be_run(held, program, code, words):
    call = held("exec", "held", program).fails(code)
    assert mistakes.says(call.err, words), call.err


@pytest.mark.peer(runc="starts the container, whose init then says it", crun="as runc")
def test_a_missing_interpreter_is_said_before_anything_runs(held):
    call = held.run("/bin/orphan")
    assert call.code in (126, 127) and "/bin/interpreter" in call.err, call
    call = held("exec", "held", "/bin/orphan").fails(127)
    assert "/bin/interpreter" in call.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--cap-add nonesuch", "CAP_NONESUCH"),
        ("--security-opt seccomp=/nonexistent", "/nonexistent"),
        ("--volume /nonexistent:/data", "/nonexistent"),
        ("--device /dev/nonexistent", "/dev/nonexistent"),
        ("--user nonesuch", "nonesuch"),
        ("--pid container:nonesuch", "nonesuch"),
        ("--sysctl kernel.nonesuch=1", "nonesuch"),
        ("--workdir /etc/notes", "/etc/notes"),
        ("--memory 1k", "memory"),
        ("--ulimit nonesuch=1", "nonesuch"),
        ("--security-opt apparmor=nonesuch", "nonesuch"),
    ],
)
def test_a_flag_that_cannot_be_had_is_refused_by_its_value(podman, flags, words):
    call = podman.run("/bin/true", flags=flags.split())
    assert call.code in (125, 126, 127), call
    assert words in call.err, call.err


def test_a_file_cannot_be_mounted_on_a_directory(podman):
    source = podman.directory / "tmp/file"
    source.write_text("")
    podman.person.own(source)
    call = podman.run("/bin/true", flags=["--volume", f"{source}:/etc"])
    assert call.code in (126, 127) and "not a directory" in call.err.lower(), call


def test_a_second_container_of_a_name_is_refused(held):
    call = held("run", "--name", "held", image.NAME, "/bin/true").fails(125)
    assert 'name "held" is' in call.err


def test_exec_in_what_has_ended_is_refused(held):
    held("stop", "--time", "8", "held").check()
    call = held("exec", "held", "/bin/true").fails(255)
    assert "can only create exec sessions on running containers" in call.err


def test_nothing_is_left_of_what_could_not_start(podman):
    podman.run("/nonexistent").fails(127)
    assert podman("ps", "--all", "--quiet").check().out == ""
    assert podman.left() == []


@pytest.fixture
def lonely(scratch, archive, binary, own_run):
    """podman of a user to whom no ids are lent: there is one id, and setgroups(2) is denied."""
    made = Podman(scratch / "podman-lonely", binary, Person("lonely"), "cgroupfs")
    made.load(archive)
    yield made
    assert made.clear() == []
    made.leave()


@pytest.mark.skipif(not PODMAN, reason="no podman")
@pytest.mark.skipif(events.IN_GUEST, reason="the guest's one user has ids")
def test_a_user_without_ids_is_root_in_a_container_and_nobody_else(lonely):
    assert lonely.sh("id -u; wc -l </proc/self/uid_map") == "0\n1\n"
    call = lonely.run("/bin/true", flags=["--user", "1000"]).fails(126)
    assert mistakes.says(call.err, "setgroups|unable to setup user"), call.err


@pytest.fixture
def sessionless(scratch, archive, binary, own_run):
    """podman of a user whom no login has given a cgroup, a bus or a runtime directory."""
    person = Person("user")
    person.has_session = False
    made = Podman(scratch / "podman-sessionless", binary, person, "cgroupfs")
    made.load(archive)
    yield made
    assert made.clear() == []
    made.leave()


@pytest.mark.skipif(not PODMAN, reason="no podman")
def test_without_a_session_a_container_stays_in_the_cgroup_of_its_caller(sessionless):
    said = sessionless.sh("sed -n s/^0:://p /proc/self/cgroup; id -u", ["--cgroupns", "host"])
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        ours = next(line.strip()[3:] for line in file if line.startswith("0::"))
    assert said == f"{ours}\n0\n"


@pytest.mark.skipif(not PODMAN, reason="no podman")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        # There is no controller, or no right to a cgroup that would have it.
        ("--memory 64m", "memory|no permission is granted for cgroups"),
        ("--cgroup-parent /there", "/sys/fs/cgroup/there"),
    ],
)
def test_without_delegation_what_needs_a_cgroup_is_refused(sessionless, flags, words):
    call = sessionless.run("/bin/true", flags=flags.split())
    assert call.code in (126, 127) and mistakes.says(call.err, words), call


@pytest.mark.guest("a service manager, though not for this user")
def test_without_a_bus_systemd_is_done_without(sessionless):
    sessionless.cgroups = "systemd"
    sessionless.configure()
    said = sessionless.run("/bin/echo", "well")
    assert said.check().out == "well\n" and "cgroupfs" in said.err
