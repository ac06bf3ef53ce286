"""A create that fails, at whatever stage, leaves the host as it was, and the id free."""

import os
import stat

import pytest

from harness import host, sandbox


@pytest.fixture
def settled(box):
    """A comparison of the host with what it was when the test began: mounts, cgroups, processes,
    and the entries of the state directory."""
    before = host.Snapshot.take(box.runtime.root)

    def compare():
        after = before.settled(box.runtime.root)
        # What a runtime keeps for all containers is not of this one.
        after.state = [line for line in after.state if not line.startswith(".")]
        assert after == before

    return compare


def last_mount(*entry):
    return lambda box: box.bundle.mount(*entry)


def setting(field, value):
    return lambda box: box.set(field, value)


def failing_hook(stage):
    hook = {"path": "/bin/sh", "args": ["sh", "-c", "cat > /dev/null; exit 1"]}
    return setting(f"hooks.{stage}", [hook])


def no_program(box):
    box.args("/nonexistent")


def directory_as_program(box):
    box.args("/etc")


def program_of_another_kind(box):
    (box.rootfs / "text").write_text("no program\n")
    (box.rootfs / "text").chmod(0o644)
    box.args("/text")


def mismatched_device(box):
    box.config["mounts"] = [m for m in box.config["mounts"] if not m["destination"] == "/dev"]
    (box.rootfs / "dev/x").write_text("")
    box.set("linux.devices", [{"path": "/dev/x", "type": "c", "major": 1, "minor": 3}])


def bad_maps(box):
    box.bundle.namespace("user")
    for which in ("uid", "gid"):
        overlapping = [{"containerID": 0, "hostID": n, "size": 9} for n in (1000, 2000)]
        box.set(f"linux.{which}Mappings", overlapping)


def unmapped_user(box):
    box.bundle.namespace("user")
    box.bundle.namespace("network")
    for which in ("uid", "gid"):
        box.set(f"linux.{which}Mappings", [{"containerID": 0, "hostID": 1000, "size": 9}])
    box.set("process.user", {"uid": 500, "gid": 0})


def directory_in_the_way(box):
    (box.rootfs / "file").write_text("")
    box.bundle.mount("/file/below", "tmpfs", "tmpfs", [])


def proc_is_a_link(box):
    (box.rootfs / "proc").rmdir()
    (box.rootfs / "proc").symlink_to("/tmp")


def cwd_is_a_file(box):
    (box.rootfs / "file").write_text("")
    box.set("process.cwd", "/file")


FAILURES = {
    "the last mount has an unknown option": last_mount("/m", "tmpfs", "tmpfs", ["nonesuch"]),
    "the last mount has no source": last_mount("/m", "bind", "/nonexistent", ["bind"]),
    "the last mount has an unknown type": last_mount("/m", "nonesuch", "none", []),
    "a mount is below a file": directory_in_the_way,
    "proc is a link": proc_is_a_link,
    "a prestart hook fails": failing_hook("prestart"),
    "a createRuntime hook fails": failing_hook("createRuntime"),
    "a createContainer hook fails": failing_hook("createContainer"),
    "there is no program": no_program,
    "the program is a directory": directory_as_program,
    "the program cannot be executed": program_of_another_kind,
    "the directory of the process is a file": cwd_is_a_file,
    "a kernel parameter is the host's": setting("linux.sysctl", {"kernel.core_pattern": "x"}),
    "a kernel parameter is not there": setting("linux.sysctl", {"kernel.msgmax": "many"}),
    "a namespace is none": lambda box: box.bundle.namespace("network", "/etc/passwd"),
    "a namespace is missing": lambda box: box.bundle.namespace("ipc", "/nonexistent"),
    "the maps overlap": bad_maps,
    "the user has no mapping": unmapped_user,
    "a filter has an unknown action": setting(
        "linux.seccomp", {"defaultAction": "SCMP_ACT_NONESUCH"}
    ),
    "the path of the cgroup is too long": setting("linux.cgroupsPath", f"/{'x' * 200}" * 25),
    "a file of the cgroup is not there": setting(
        "linux.resources", {"unified": {"nonesuch.max": "1"}}
    ),
    "the hostname is too long": setting("hostname", "h" * 65),
    "a limit is above what may be": setting(
        "process.rlimits", [{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 1 << 40}]
    ),
    "there is no AppArmor": setting("process.apparmorProfile", "nonesuch"),
    "there is no rootfs": setting("root.path", "nonexistent"),
    "the rootfs is a file": setting("root.path", "config.json"),
    "the propagation is unknown": setting("linux.rootfsPropagation", "nonesuch"),
    "a device is another": mismatched_device,
}
# What the peers do not take for a failure, or do not clean up after.
LEAVES_CGROUP = "1.8 leaves the cgroup"
KNOWN = {
    "a namespace is none": {"crun": LEAVES_CGROUP},
    "a namespace is missing": {"crun": LEAVES_CGROUP},
    "the maps overlap": {"crun": LEAVES_CGROUP, "runc": "1.1 leaves the cgroup, now and then"},
    "the path of the cgroup is too long": {"crun": "1.8 leaves the parents made by then"},
    "a file of the cgroup is not there": {"crun": LEAVES_CGROUP},
    "a limit is above what may be": {"crun": LEAVES_CGROUP},
    "the propagation is unknown": {"crun": "1.8 takes it"},
    "a device is another": {"runc": "1.1 takes it", "crun": "1.8 takes it"},
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.peer(**KNOWN.get(n, {}))) for n in FAILURES]
)
def test_a_create_leaves_nothing_when(box, settled, name):
    pid_file = box.path("pid")
    good = box.sibling("good")
    good.id = box.id
    FAILURES[name](box)
    result = box.create("--pid-file", pid_file)
    assert result.code > 0 and result.err.strip(), result
    settled()
    assert not pid_file.exists()
    assert box.state is None
    good.args("/bin/true")
    good.run().check()
    settled()


@pytest.mark.parametrize("flag", ["--console-socket", "--pid-file"])
def test_a_create_leaves_nothing_when_what_it_is_to_use_outside_is_missing(box, settled, flag):
    if flag == "--console-socket":
        box.set("process.terminal", True)
    box.create(flag, box.path("missing/deep")).fails()
    settled()
    assert box.state is None


def test_a_create_leaves_nothing_when_nobody_listens_at_the_console_socket(box, settled):
    os.mknod(box.path("dead"), stat.S_IFSOCK | 0o600)
    box.set("process.terminal", True)
    box.create("--console-socket", box.path("dead")).fails()
    settled()


@pytest.mark.peer(runc="1.1 only warns", crun="1.8 does not look")
def test_a_create_leaves_a_busy_cgroup_as_it_was(box):
    other = box.sibling("other")
    other.set("linux.cgroupsPath", "/busy")
    other.hold()
    before = host.Snapshot.take(box.runtime.root)
    box.set("linux.cgroupsPath", "/busy")
    box.create().fails()
    assert before.settled(box.runtime.root) == before
    assert other.status == "running"


def test_an_exec_that_fails_leaves_nothing(box):
    box.hold()
    before = host.Snapshot.take(box.runtime.root)
    for program in ("/nonexistent", "/etc", "nonesuch"):
        assert box.exec(program).code != 0
    assert before.settled(box.runtime.root) == before


def test_a_run_that_fails_leaves_nothing(box, settled):
    box.args("/nonexistent")
    assert box.run().code != 0
    settled()


def test_a_container_that_ended_leaves_nothing(box, settled):
    box.bundle.mount("/m", "tmpfs", "tmpfs", ["size=1m"])
    box.set("linux.maskedPaths", ["/proc/timer_list", "/sys/firmware"])
    box.set("root.readonly", True)
    for _ in range(3):
        box.args("/bin/true")
        box.run().check()
    settled()


def test_a_rootfs_can_be_unmounted_and_removed_when_the_container_is_gone(box, settled):
    place = box.rootfs / "usr"
    sandbox.mount("volume", place, "tmpfs", 0, "size=1m")
    try:
        box.bundle.mount("/new", "bind", place, ["rbind"])
        box.hold()
        box.stop()
        box.delete().check()
    finally:
        # Not detached: this fails as long as anybody uses it.
        sandbox.must(host.LIBC.umount2(os.fsencode(place), 0), "unmount")
    settled()
