"""Values of config.json that the specification or the kernel forbids: refused, and nothing made."""

import os

import pytest

from harness import Snapshot

TAKEN = "takes it without a word"
LEAK = "leaves its cgroup behind"
CODE = "exits with 255"
HANG = "waits for a writer of the fifo for ever"
LATER = "does not know the field yet"


class Case:
    """One thing wrong with a config: how to make it, and who is known not to mind.

    `said` must be in tare's message. `late` is for what is found when the rootfs has been filled, and
    leaves in it what was made there before.
    """

    def __init__(self, name, change, said=None, late=False, **peers):
        self.name, self.change, self.said, self.late, self.peers = name, change, said, late, peers

    def param(self):
        marks = [pytest.mark.peer(**self.peers)] if self.peers else []
        return pytest.param(self, id=self.name, marks=marks)


def value(dotted, new):
    return lambda box: box.set(dotted, new)


def gone(dotted):
    return lambda box: box.bundle.unset(dotted)


def namespace(**entry):
    return lambda box: box.config["linux"]["namespaces"].append(entry)


def seccomp(**fields):
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], **fields}
    return lambda box: box.set("linux.seccomp", profile)


def rule(**fields):
    return seccomp(syscalls=[{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", **fields}])


def limit(kind, soft=10, hard=20):
    return {"type": kind, "soft": soft, "hard": hard}


def hook(**fields):
    return lambda box: box.set("hooks", {"createRuntime": [{"path": "/bin/true", **fields}]})


def a_fifo_as_namespace(box):
    box.bundle.fifo("pipe")
    box.bundle.namespace("ipc", box.rootfs / "pipe")


def a_file_in_place_of_a_device(box):
    box.bundle.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] == "/proc"]
    (box.rootfs / "dev/special").write_text("no device")
    box.set("linux.devices", [{"path": "/dev/special", "type": "c", "major": 1, "minor": 3}])


def bare_namespaces(*kinds):
    return lambda box: box.bundle.without_namespace(*kinds)


def both(*changes):
    return lambda box: [change(box) for change in changes]


def mount(destination, kind=None, source=None, options=None):
    return lambda box: box.bundle.mount(destination, kind, source, options)


PROCESS = [
    Case("no args", gone("process.args"), "args", crun=TAKEN),
    Case("empty args", value("process.args", []), "args"),
    Case("no cwd", gone("process.cwd"), "cwd"),
    Case("a relative cwd", value("process.cwd", "tmp"), "cwd", crun=TAKEN),
    Case("an empty cwd", value("process.cwd", ""), "cwd"),
    Case("a uid of -1", value("process.user.uid", -1)),
    Case("a uid of 2^32", value("process.user.uid", 1 << 32)),
    Case("a gid of 2^32 - 1", value("process.user.gid", (1 << 32) - 1), crun=TAKEN),
    Case(
        "a duplicate rlimit",
        value("process.rlimits", [limit("RLIMIT_CORE")] * 2),
        "RLIMIT_CORE",
        runc=TAKEN,
        crun=TAKEN,
    ),
    Case(
        "an unknown rlimit",
        value("process.rlimits", [limit("RLIMIT_NONESUCH")]),
        "RLIMIT_NONESUCH",
        crun=LEAK,
    ),
    Case(
        "a soft rlimit above the hard",
        value("process.rlimits", [limit("RLIMIT_CORE", 2, 1)]),
        crun=LEAK,
    ),
    Case("an oom score of 1001", value("process.oomScoreAdj", 1001), crun=LEAK),
    Case("an oom score of -1001", value("process.oomScoreAdj", -1001), crun=LEAK),
    Case("an apparmor profile without apparmor", value("process.apparmorProfile", "nonesuch")),
    Case("an selinux label without selinux", value("process.selinuxLabel", "a:b:c:s0")),
    Case(
        "a NUL in an argument", value("process.args", ["/bin/echo", "a\0b"]), runc=TAKEN, crun=TAKEN
    ),
    Case("a NUL in the environment", value("process.env", ["PATH=/bin", "A=a\0b"]), crun=TAKEN),
]

ROOT = [
    Case("no root", gone("root"), "root"),
    Case("a root that is not there", value("root.path", "nonesuch"), "nonesuch"),
    Case("a root that is a file", value("root.path", "config.json")),
    Case("an empty root path", value("root.path", "")),
    Case("a host name without a uts namespace", bare_namespaces("uts"), "hostname"),
    Case("an empty annotation key", value("annotations", {"": "x"}), runc=TAKEN, crun=TAKEN),
]

MOUNTS = [
    Case(
        "a mount without a destination", lambda box: box.config["mounts"].append({"type": "tmpfs"})
    ),
    Case("a mount of an unknown type", mount("/mnt", "nonesuchfs", "x"), "nonesuchfs"),
    Case("a bind of what is not there", mount("/mnt", "bind", "/nonesuch", ["bind"]), "/nonesuch"),
    Case(
        "proc over a link",
        lambda box: (os.rmdir(box.rootfs / "proc"), os.symlink("/tmp", box.rootfs / "proc")),
    ),
    Case("a tmpfs of a nonsense size", mount("/mnt", "tmpfs", "tmpfs", ["size=nonsense"])),
]

HOOKS = [
    Case("a hook with a relative path", hook(path="bin/true"), "bin/true", crun=CODE),
    Case("a hook that is not there", hook(path="/nonesuch"), "/nonesuch", crun=CODE),
    Case("a hook without a path", lambda box: box.set("hooks", {"createRuntime": [{}]})),
    Case("a hook with a timeout of 0", hook(timeout=0), "timeout", crun=TAKEN),
    Case("a hook with a negative timeout", hook(timeout=-1), "timeout"),
]

LINUX = [
    Case("a duplicate namespace", namespace(type="uts"), "uts", crun=TAKEN),
    Case("an unknown namespace", namespace(type="nonesuch"), "nonesuch", crun=LEAK),
    Case("a namespace without a type", namespace(path="/proc/self/ns/net")),
    Case(
        "a namespace of another type",
        namespace(type="network", path="/proc/self/ns/uts"),
        crun=LEAK,
    ),
    Case(
        "a namespace path to nothing",
        namespace(type="network", path="/nonesuch"),
        "/nonesuch",
        crun=LEAK,
    ),
    Case("a relative namespace path", namespace(type="network", path="self/ns/net"), crun=LEAK),
    Case("a namespace path to a device", namespace(type="network", path="/dev/zero"), crun=LEAK),
    Case("a namespace path to a fifo", a_fifo_as_namespace, runc=HANG, crun=HANG),
    Case("a user namespace without mappings", namespace(type="user")),
    Case(
        "a device of an unknown type",
        value("linux.devices", [{"path": "/dev/x", "type": "z", "major": 1, "minor": 1}]),
        crun=TAKEN,
    ),
    Case(
        "a device without a path",
        value("linux.devices", [{"type": "c", "major": 1, "minor": 1}]),
        runc=TAKEN,
    ),
    Case(
        "a file in place of a device",
        a_file_in_place_of_a_device,
        late=True,
        runc=TAKEN,
        crun=TAKEN,
    ),
    Case("a sysctl of the host", value("linux.sysctl", {"vm.swappiness": "10"}), "vm.swappiness"),
    Case(
        "a sysctl of a namespace that is shared",
        both(bare_namespaces("ipc"), value("linux.sysctl", {"kernel.msgmax": "4096"})),
        "kernel.msgmax",
    ),
    Case("a sysctl that climbs", value("linux.sysctl", {"net/../kernel/core_pattern": "x"})),
    Case(
        "a nonsense value of a sysctl",
        value("linux.sysctl", {"kernel.msgmax": "nonsense"}),
        "msgmax",
    ),
    Case(
        "an unknown rootfs propagation",
        value("linux.rootfsPropagation", "nonesuch"),
        "nonesuch",
        crun=TAKEN,
    ),
    Case(
        "time offsets without a time namespace",
        value("linux.timeOffsets", {"monotonic": {"secs": 1}}),
        runc=LATER,
        crun=LATER,
    ),
    Case(
        "an unknown personality",
        value("linux.personality", {"domain": "NONESUCH"}),
        runc=LATER,
    ),
]

CGROUP = [
    Case("a cgroup path with a NUL", value("linux.cgroupsPath", "/a\0b"), crun=TAKEN),
    Case(
        "an unknown unified key",
        value("linux.resources", {"unified": {"nonesuch.max": "1"}}),
        "nonesuch",
        crun=LEAK,
    ),
    Case(
        "a unified key with a slash",
        value("linux.resources", {"unified": {"../cgroup.freeze": "1"}}),
        "cgroup.freeze",
        crun=TAKEN,
    ),
    Case(
        "shares of a cgroup that is idle",
        value("linux.resources", {"cpu": {"shares": 200, "idle": 1}}),
        "/linux/resources/cpu/shares",
    ),
    Case(
        "a device rule of an unknown type",
        value("linux.resources", {"devices": [{"allow": True, "type": "z", "access": "r"}]}),
        crun=TAKEN,
    ),
    Case(
        "a device rule of unknown access",
        value("linux.resources", {"devices": [{"allow": True, "type": "c", "access": "q"}]}),
        runc=TAKEN,
        crun=TAKEN,
    ),
]

SECCOMP = [
    Case("an unknown default action", seccomp(defaultAction="SCMP_ACT_NONESUCH"), "NONESUCH"),
    Case("no default action", lambda box: box.set("linux.seccomp", {"syscalls": []}), runc=TAKEN),
    Case("an unknown action", rule(action="SCMP_ACT_NONESUCH"), "NONESUCH"),
    Case("an unknown architecture", seccomp(architectures=["SCMP_ARCH_NONESUCH"]), "NONESUCH"),
    Case(
        "an unknown flag", seccomp(flags=["SECCOMP_FILTER_FLAG_NONESUCH"]), "NONESUCH", crun=TAKEN
    ),
    Case(
        "an unknown operator",
        rule(args=[{"index": 0, "value": 1, "op": "SCMP_CMP_NONESUCH"}]),
        "NONESUCH",
    ),
    Case("an argument index of 6", rule(args=[{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}])),
    Case("a rule without names", seccomp(syscalls=[{"action": "SCMP_ACT_ERRNO"}]), runc=TAKEN),
    Case(
        "an errno for an action that has none", rule(action="SCMP_ACT_KILL", errnoRet=1), runc=TAKEN
    ),
    Case(
        "listener metadata without a listener",
        seccomp(listenerMetadata="x"),
        runc=TAKEN,
        crun=TAKEN,
    ),
]

ALL = PROCESS + ROOT + MOUNTS + HOOKS + LINUX + CGROUP + SECCOMP


@pytest.mark.parametrize("case", [case.param() for case in ALL])
def test_a_bad_config_is_refused_and_nothing_is_made(box, case):
    os.mkdir(box.runtime.root)
    case.change(box)
    box.bundle.save()
    before = Snapshot.take(box.runtime.root, box.bundle.path)
    result = box.create().fails()
    after = before.settled(box.runtime.root, box.bundle.path)
    if case.late or box.runtime.kind != "tare":
        after.files = before.files  # peers leave mount targets and the like in the rootfs
    assert after == before
    if box.runtime.kind == "tare":
        assert len(result.err.splitlines()) == 1, result
        assert case.said is None or case.said.lower() in result.said.lower(), result


def test_unknown_properties_are_ignored(box):
    box.set("org.example", {"a": [1, 2, {"b": None}]})
    box.set("linux.nonesuch", True)
    box.set("process.user.nonesuch", "x")
    box.config["mounts"][0]["nonesuch"] = 1
    assert box.facts()["pid"] == 1


def test_sections_for_other_platforms_are_ignored(box):
    box.set("windows", {"layerFolders": ["C:\\nonesuch"]})
    box.set("solaris", {"milestone": "svc:/nonesuch"})
    box.set("vm", {"kernel": {"path": "/nonesuch"}})
    assert box.facts()["pid"] == 1


def test_empty_objects_and_lists_are_as_if_they_were_absent(box):
    for field in ("hooks", "annotations", "linux.sysctl", "linux.resources"):
        box.set(field, {})
    for field in ("linux.devices", "linux.maskedPaths", "linux.readonlyPaths", "process.rlimits"):
        box.set(field, [])
    assert box.facts()["pid"] == 1


def test_the_user_name_is_not_for_this_platform(box):
    box.set("process.user.username", "nobody")
    assert box.facts()["uids"] == [0, 0, 0]
