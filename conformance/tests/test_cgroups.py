"""The container's cgroup: where it is, who is in it from when on, what is refused, and its end."""

import os
import signal
import subprocess

import pytest

from harness import events, host

pytestmark = pytest.mark.row("linux.cgroupsPath")

CGROUPS = host.CGROUPS
RW_CGROUP = ("/sys/fs/cgroup", "cgroup", "cgroup", ["rw", "nosuid", "noexec", "nodev"])


@pytest.fixture
def parent():
    """A cgroup that is there before the container and stays after it."""
    place = CGROUPS / "parent"
    place.mkdir()
    yield place
    # The box, which was made after it, has cleared it away by now.


@pytest.fixture
def existing(parent):
    """A cgroup at the place where the container's is to be."""
    place = parent / "there"
    place.mkdir()
    return place


def cgroup_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        return next(line for line in file if line.startswith("0::")).rstrip("\n")[3:]


def place_of(box):
    return CGROUPS / cgroup_of(box.pid).lstrip("/")


def refused(result):
    """Checks that a call failed by itself and gave a reason."""
    assert result.code > 0 and result.err.strip(), result
    return result


def test_an_absolute_path_is_one_below_the_mount_of_the_hierarchy(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.hold()
    assert cgroup_of(box.pid) == "/parent/one"
    assert (CGROUPS / "parent/one/cgroup.procs").read_text().split() == [str(box.pid)]


def test_missing_parents_are_made(parent, box):
    box.set("linux.cgroupsPath", "/parent/made/deep/one")
    box.hold()
    assert cgroup_of(box.pid) == "/parent/made/deep/one"
    box.stop()
    box.delete().check()
    # Whether a runtime takes away the parents that it made is its own affair.
    for name in ("made/deep", "made"):
        if (parent / name).exists():
            (parent / name).rmdir()


def test_a_relative_path_is_below_a_place_of_the_runtimes_choice(box):
    box.set("linux.cgroupsPath", "relative")
    box.hold()
    assert cgroup_of(box.pid).endswith("/relative")


def test_without_a_path_each_container_has_a_cgroup_of_its_own(box):
    box.hold()
    other = box.sibling("other")
    other.hold()
    paths = {cgroup_of(box.pid), cgroup_of(other.pid), cgroup_of("self")}
    assert len(paths) == 3
    assert box.id in cgroup_of(box.pid)


def test_the_program_is_in_its_cgroup_from_its_first_instruction(parent, box):
    box.bundle.without_namespace("cgroup")
    box.set("linux.cgroupsPath", "/parent/one")
    box.args("/bin/cat", "/proc/self/cgroup")
    assert box.run().check().out.splitlines()[-1] == "0::/parent/one"


def test_the_cgroup_is_the_root_of_a_new_cgroup_namespace(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.args("/bin/cat", "/proc/self/cgroup")
    assert box.run().check().out.splitlines()[-1] == "0::/"


def test_the_hooks_of_create_find_the_init_in_its_cgroup(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    script = r"""pid=$(sed 's/.*"pid": *\([0-9]*\).*/\1/'); tail -n 1 /proc/$pid/cgroup > $0"""
    out = str(box.path("seen"))
    hook = {"path": "/bin/sh", "args": ["sh", "-c", script, out], "env": ["PATH=/bin:/usr/bin"]}
    box.set("hooks.createRuntime", [hook])
    box.create().check()
    assert box.path("seen").read_text() == "0::/parent/one\n"


def test_an_execd_process_is_in_the_cgroup_of_the_container(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.hold()
    told = box.bundle.fifo("told")
    call = box.runtime.popen("exec", box.id, "/probe", "hold", "/told")
    assert told.line() == "ready"
    assert len((parent / "one/cgroup.procs").read_text().split()) == 2
    box.kill("KILL").check()
    call.wait()


ODD = ["with space", "x" * 255, "ümlaut", "per%cent", "a.scope", "-dash", "new\nline"]


@pytest.mark.parametrize(
    "name", ODD, ids=["space", "long", "utf8", "percent", "scope", "dash", "newline"]
)
def test_a_name_of_odd_characters_is_a_name(parent, box, name):
    box.set("linux.cgroupsPath", f"/parent/{name}")
    result = box.create()
    if name == "new\nline":
        # The kernel does not take it.
        refused(result)
    else:
        result.check()
        assert (parent / name).is_dir()


@pytest.mark.peer(crun="1.8 leaves the parents that it has made by then")
def test_a_path_longer_than_the_kernel_takes_is_an_error(parent, box):
    box.set("linux.cgroupsPath", "/parent/" + f"{'deep' * 50}/" * 25 + "x")
    refused(box.create())
    assert not box.runtime.ids()


@pytest.mark.peer(crun="1.8 makes the directory outside")
@pytest.mark.parametrize("start", ["/parent", "", "/parent/.."])
def test_dots_in_a_path_do_not_lead_out_of_the_hierarchy(parent, box, start):
    outside = box.path("outside")
    dots = start + "/.." * 12
    box.set("linux.cgroupsPath", f"{dots}{outside}".lstrip("" if start else "/"))
    result = box.create()
    assert not outside.exists()
    if result.code == 0:
        assert place_of(box).joinpath("cgroup.procs").exists()
        assert "/.." not in cgroup_of(box.pid)
        top = CGROUPS / "tmp"
        box.delete("--force").check()
        host.kill_cgroups([n for n in host.cgroups() if n.split("/")[0] == top.name])


# What is there already.


def test_an_empty_cgroup_that_exists_is_used_and_removed(existing, box):
    box.set("linux.cgroupsPath", "/parent/there")
    box.hold()
    assert cgroup_of(box.pid) == "/parent/there"
    box.stop()
    box.delete().check()
    if existing.exists():
        pytest.fail("the cgroup is still there")
    existing.mkdir()  # as it was before the test


@pytest.fixture
def occupied(existing, box):
    """A cgroup with somebody else's process in it, which must not be hurt."""
    process = subprocess.Popen(["sleep", "1000"])
    (existing / "cgroup.procs").write_text(str(process.pid))
    yield process
    assert process.poll() is None, "the process in the cgroup was killed"
    process.kill()
    process.wait()


SHARES = pytest.mark.peer(runc="1.1 only warns", crun="1.8 does not look")


@SHARES
def test_a_cgroup_with_processes_in_it_is_refused(occupied, box):
    box.set("linux.cgroupsPath", "/parent/there")
    said = box.create().fails().said
    assert "container's cgroup is not empty: 1 process(es) found" in said
    assert occupied.poll() is None
    assert not box.runtime.ids()
    assert (CGROUPS / "parent/there").is_dir()


@pytest.mark.peer(crun="1.8 waits for a frozen init")
def test_a_frozen_cgroup_is_refused(existing, box):
    (existing / "cgroup.freeze").write_text("1")
    box.set("linux.cgroupsPath", "/parent/there")
    said = box.create(timeout=3).fails().said
    assert "container's cgroup unexpectedly frozen" in said


@pytest.mark.peer(
    runc="1.1 looks at the cgroup itself only, and waits", crun="1.8 waits for a frozen init"
)
def test_a_cgroup_below_a_frozen_one_is_refused(parent, box):
    (parent / "cgroup.freeze").write_text("1")
    box.set("linux.cgroupsPath", "/parent/one")
    try:
        said = box.create(timeout=3).fails().said
        assert "frozen" in said
    finally:
        (parent / "cgroup.freeze").write_text("0")


@SHARES
def test_two_containers_do_not_share_a_cgroup(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.hold()
    other = box.sibling("other")
    other.set("linux.cgroupsPath", "/parent/one")
    refused(other.create())
    assert box.status == "running"


# The end.


def test_the_cgroup_is_gone_after_delete(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.hold()
    box.stop()
    box.delete().check()
    assert not (parent / "one").exists() and parent.exists()


def test_cgroups_that_the_container_made_are_gone_too(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.bundle.mount(*RW_CGROUP)
    ready = box.bundle.fifo("ready")
    box.sh("cd /sys/fs/cgroup && mkdir -p a/b c && echo $$ > a/b/cgroup.procs; /probe hold /ready")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    assert cgroup_of(box.pid) == "/parent/one/a/b"
    box.delete("--force").check()
    assert not (parent / "one").exists()


def test_an_exec_after_the_init_moved_to_a_cgroup_below_stays_in_the_containers(parent, box):
    box.set("linux.cgroupsPath", "/parent/one")
    box.bundle.mount(*RW_CGROUP)
    ready = box.bundle.fifo("ready")
    box.sh("cd /sys/fs/cgroup && mkdir a && echo $$ > a/cgroup.procs; exec /probe hold /ready")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    pid_file = box.path("pid")
    box.exec("/probe", "hold", flags=["--detach", "--pid-file", pid_file]).check()
    pid = int(pid_file.read_text())
    assert cgroup_of(pid).startswith("/parent/one")
    os.kill(pid, signal.SIGKILL)
    events.reap(pid)


def test_a_readonly_mount_of_the_cgroup_lets_nothing_be_made(box):
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["ro", "nosuid"])
    box.sh("cd /sys/fs/cgroup; mkdir x 2>&1; echo $$ > cgroup.procs || true; ls cgroup.procs")
    result = box.run().check()
    assert "Read-only file system" in result.out and "cgroup.procs" in result.out
    assert "Read-only file system" in result.err


# Freezing.


def frozen(box):
    text = (place_of(box) / "cgroup.events").read_text()
    return "frozen 1" in text


def test_pause_freezes_and_resume_thaws(box):
    told = box.bundle.fifo("told")
    ready = box.bundle.fifo("ready")
    box.sh("exec /probe catch /ready > /told")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    box.runtime.call("pause", box.id).check()
    assert frozen(box) and box.status == "paused"
    box.kill("USR1").check()
    with pytest.raises(events.Missing):
        told.line(timeout=0.1)
    box.runtime.call("resume", box.id).check()
    assert told.line() == str(int(signal.SIGUSR1))
    assert not frozen(box) and box.status == "running"


def test_every_process_of_the_container_is_frozen_by_pause(box):
    box.hold()
    told = box.bundle.fifo("told")
    call = box.runtime.popen("exec", box.id, "/probe", "catch", "/told")
    assert told.line() == "ready"
    box.runtime.call("pause", box.id).check()
    assert frozen(box)
    box.kill("KILL").check()
    call.wait()


def test_sigkill_ends_a_paused_container(box):
    box.hold()
    box.runtime.call("pause", box.id).check()
    assert box.stop() == -signal.SIGKILL
    box.delete().check()


def test_another_signal_reaches_a_paused_container_when_it_is_resumed(box):
    box.hold()
    box.runtime.call("pause", box.id).check()
    pid = box.pid
    box.kill("TERM").check()
    assert events.is_running(pid)
    box.runtime.call("resume", box.id).check()
    assert box.wait(pid) == 7


def test_a_paused_container_is_deleted_by_force_only(box):
    box.hold()
    box.runtime.call("pause", box.id).check()
    box.delete().fails()
    assert box.status == "paused"
    box.delete("--force").check()
    assert box.state is None
