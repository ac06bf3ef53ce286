"""Callers with an odd environment, and a working directory that wants to be the host's."""

import json
import os
import re
import signal
import subprocess

import pytest

from harness import contained, fired_if, host
from harness.facts import Facts

STREAMS = {"0", "1", "2"}


def plain(facts):
    """The facts that an odd caller must not change."""
    kept = (
        "uids",
        "gids",
        "groups",
        "cwd",
        "env",
        "hostname",
        "umask",
        "nice",
        "no_new_privs",
        "blocked_signals",
        "ignored_signals",
        "pdeathsig",
        "oom_score_adj",
    )
    return {key: facts[key] for key in kept}


def with_umask(box):
    return {"umask": 0o077}


def without_environment(box):
    return {"env": {}}


def with_odd_environment(box):
    return {
        "env": {
            "PATH": "",
            "HOME": "/nonexistent",
            "LC_ALL": "tr_TR.UTF-8",
            "TMPDIR": "/nope",
            "LISTEN_PID": "1",
            "LD_PRELOAD": "/nonexistent.so",
            "GODEBUG": "x" * 10000,
        }
    }


def with_blocked_signals(box):
    def block():
        everything = set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}
        signal.pthread_sigmask(signal.SIG_BLOCK, everything)

    return {"preexec_fn": block}


def with_ignored_signals(box):
    def ignore():
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGHUP, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    return {"preexec_fn": ignore, "restore_signals": False}


def with_a_directory_that_is_gone(box):
    def go():
        place = box.path("gone")
        place.mkdir()
        os.chdir(place)
        place.rmdir()

    return {"preexec_fn": go}


def with_death_signal(box):
    def arrange():
        host.LIBC.prctl(1, signal.SIGKILL, 0, 0, 0)

    return {"preexec_fn": arrange}


def with_low_priority(box):
    return {"preexec_fn": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})}


CALLERS = {
    "a umask of 077": with_umask,
    "no environment": without_environment,
    "an odd environment": with_odd_environment,
    "SIGCHLD and others ignored": with_ignored_signals,
    "all signals blocked": with_blocked_signals,
    "a working directory that is gone": with_a_directory_that_is_gone,
    "a death signal": with_death_signal,
    "one processor": with_low_priority,
}
KNOWN = {
    "SIGCHLD and others ignored": {"crun": "1.8 waits for the signal of its child in vain"},
    "all signals blocked": {"runc": "1.1 passes blocked signals on"},
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.peer(**KNOWN.get(n, {}))) for n in CALLERS]
)
def test_the_container_is_the_same_when_the_caller_has(box, name):
    wanted = plain(box.facts())
    assert plain(box.facts(**CALLERS[name](box))) == wanted
    # And in steps, with an exec.
    box.args("/probe", "hold")
    box.create(**CALLERS[name](box)).check()
    pid = box.pid
    box.start(**CALLERS[name](box)).check()
    assert box.exec("/bin/true", **CALLERS[name](box)).code == 0
    box.kill("KILL", **CALLERS[name](box)).check()
    box.wait(pid)
    box.delete(**CALLERS[name](box)).check()


@pytest.mark.peer(
    runc="1.1 makes directories with the umask of the caller",
    crun="1.8 does, and makes them sticky",
)
def test_what_is_made_in_the_rootfs_does_not_have_the_umask_of_the_caller(box):
    box.bundle.mount("/made/deep", "tmpfs", "tmpfs", [])
    box.set("process.cwd", "/dwelling/here")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.args("/bin/pwd")
    result = box.run(umask=0o077).check()
    assert result.out == "/dwelling/here\n"
    for name in ("made", "dwelling"):
        assert os.stat(box.rootfs / name).st_mode & 0o777 == 0o755, name


@pytest.mark.peer(crun="1.8 fails, and leaves the cgroup")
@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_closed_streams_do_not_let_a_file_of_the_runtime_take_their_place(box, closed):
    def close():
        for fd in closed:
            os.close(fd)

    box.args("/bin/sh", "-c", "ls -l /proc/self/fd > /found 2>&1")
    assert box.run(preexec_fn=close).code >= 0
    listing = (box.rootfs / "found").read_text() if (box.rootfs / "found").exists() else ""
    links = dict(re.findall(r"(\d+) -> (\S+)", listing))
    for fd, target in links.items():
        if int(fd) in closed and fd not in ("1", "2"):
            assert target == "/dev/null" or target.startswith("pipe:"), (fd, target)
    for target in links.values():
        assert "state" not in target and "config.json" not in target
    host.collect_dead()


@pytest.fixture
def junk(box):
    """Arranges a caller with descriptors of the host that are not close-on-exec."""
    opened = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(8)]
    opened += [os.open(box.directory, os.O_PATH), os.open("/proc/self/ns/mnt", os.O_RDONLY)]
    opened += list(os.pipe())

    def arrange():
        for number, fd in enumerate(opened):
            for first in (70, 140, 200):
                os.dup2(fd, first + number)
            # Low ones as well, where the runtime's own would be.
            os.set_inheritable(fd, True)

    yield {"close_fds": False, "preexec_fn": arrange}
    for fd in opened:
        os.close(fd)


def test_the_program_inherits_its_three_streams_and_nothing_of_the_caller(box, junk):
    assert set(box.facts(**junk)["fds"]) == STREAMS


def test_a_created_and_started_program_inherits_nothing_either(box, junk):
    out = box.bundle.fifo("out")
    box.sh("/probe > /facts; echo done > /out")
    box.create(**junk).check()
    pid = box.pid
    box.start(**junk).check()
    assert out.line() == "done"
    box.wait(pid)
    facts = Facts(json.loads((box.rootfs / "facts").read_text()))
    assert set(facts["fds"]) == STREAMS


def test_an_execd_program_inherits_nothing_of_the_caller(box, junk):
    box.hold()
    assert set(box.exec_facts(**junk)["fds"]) == STREAMS


@pytest.mark.peer(crun="1.8 closes them when it starts the program")
def test_a_container_that_waits_to_be_started_holds_nothing_of_the_caller(box, junk):
    box.create(**junk).check()
    held = []
    for fd in os.listdir(f"/proc/{box.pid}/fd"):
        try:
            held.append(os.readlink(f"/proc/{box.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    assert "/" not in held and str(box.directory) not in held
    assert not [link for link in held if link.startswith("mnt:")]


# A descriptor that leads out of the container, as a working directory.
A_13 = pytest.mark.attack("A-13", "CVE-2024-21626")
HANDS_ON = pytest.mark.peer(crun="1.8 closes what its caller has open when the program begins")
# Every number that a descriptor of a runtime may have, in parts, each of which has some of `junk`.
WAYS = {
    **{f"{n}-{n + 63}": [f"/proc/self/fd/{m}" for m in range(max(n, 3), n + 64)] for n in (0, 64, 128, 192)},
    "others": [
        *(f"/proc/self/fd/{n}/../.." for n in (7, 200, 203)),
        *(f"/proc/1/fd/{n}" for n in (8, 200)),
        *(f"/proc/thread-self/fd/{n}" for n in (7, 200)),
        "/proc/self/cwd",
        "/link",
    ],
}  # fmt: skip
in_parts = pytest.mark.parametrize("ways", WAYS)


def looking_out(box):
    """A script that says what of the host it finds below or above its working directory."""
    (box.directory / "canary").touch()
    places = f"canary .{box.directory}/canary cgroup.procs"
    return f"""\
for up in . .. ../.. ../../..; do
  for place in {places}; do
    [ -e $up/$place ] && echo outside: $up/$place
  done
done
true"""


@A_13
@HANDS_ON
@pytest.mark.row("process.cwd")
@in_parts
def test_a_working_directory_by_a_descriptor_does_not_lead_out(box, junk, ways):
    (box.rootfs / "link").symlink_to("/proc/self/fd/200")
    for way in WAYS[ways]:
        box.set("process.cwd", way)
        box.sh(looking_out(box))
        result = box.run(**junk)
        box.delete("--force")  # what a run that was refused may have left
        contained(result, lambda: "outside" not in result.out)  # noqa: B023


@A_13
@HANDS_ON
@pytest.mark.row("process.cwd")
@in_parts
def test_a_working_directory_of_an_exec_by_a_descriptor_does_not_lead_out(box, junk, ways):
    (box.rootfs / "link").symlink_to("/proc/self/fd/200")
    box.hold()
    for way in WAYS[ways]:
        words = ["/bin/sh", "-c", looking_out(box)]
        result = box.exec(*words, flags=["--cwd", way], **junk)
        contained(result, lambda: "outside" not in result.out)  # noqa: B023


@A_13
@HANDS_ON
@pytest.mark.row("process.args")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_a_program_by_a_descriptor_is_not_one_of_the_host(box, junk, command):
    outside = f"{box.template.rootfs}/bin/busybox"
    if command == "exec":
        box.hold()
    for number in (7, 8, 9, 200, 203):
        words = [f"/proc/self/fd/{number}{outside}", "echo", "of the host"]
        box.args(*words)
        result = box.run(**junk) if command == "run" else box.exec(*words, **junk)
        fired_if("of the host" in result.out, f"{result}")
        assert result.code != 0


@pytest.mark.row("process.cwd")
def test_a_directory_that_is_not_there_is_made_for_create(box):
    box.set("process.cwd", "/made/for/it")
    box.args("/bin/pwd")
    assert box.run().check().out == "/made/for/it\n"
    assert (box.rootfs / "made/for/it").is_dir()


@pytest.mark.row("process.cwd")
def test_a_directory_that_is_not_there_is_an_error_of_exec_and_is_not_made(box):
    box.hold()
    result = box.exec("/bin/pwd", flags=["--cwd", "/not/there"])
    assert result.code in (1, 255) and "no such file or directory" in result.err.lower()
    assert not (box.rootfs / "not").exists()


@pytest.mark.row("process.cwd")
def test_a_working_directory_behind_a_link_of_the_image_is_made_within(box):
    outside = box.path("outside")
    outside.mkdir()
    (box.rootfs / "w").symlink_to(outside)
    box.set("process.cwd", "/w/made")
    box.args("/bin/true")
    box.run()
    assert not list(outside.iterdir())


@pytest.mark.row("process.args")
def test_a_runtime_without_arguments_in_argv_does_not_crash(box):
    """CVE-2021-4034's kin: argc is zero."""
    binary = str(box.runtime.binary)
    script = f"import os; os.execv({binary!r}, [])"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script], capture_output=True, timeout=10, check=False
    )
    assert done.returncode >= 0, "died of a signal"
