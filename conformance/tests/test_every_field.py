"""Every property that config.json may have is acted on or refused by name: none is passed over.

data/config_fields.txt lists them; what `tare explain` says of each, with a value that is right and
with one of a wrong type, shows whether anything reads it."""

import json
import pathlib
import re

import pytest

from harness import base_config

pytestmark = pytest.mark.tare("explain is tare's own")

TABLE = pathlib.Path(__file__).resolve().parent.parent / "data" / "config_fields.txt"
# What a machine may be without, as messages have it.
LACKING = re.compile(r"controller|apparmor|selinux|intel rdt|hugepages", re.IGNORECASE)
WRONG = {"string": 7, "integer": "x", "boolean": "x", "array": "x", "object": "x"}
RATE = [{"major": 8, "minor": 0, "rate": 1000}]
MAP = [{"containerID": 0, "hostID": 100000, "size": 65536}]
HOOK = [{"path": "/bin/true", "args": ["true"], "env": ["A=b"], "timeout": 1}]
KILL = {
    f"/process/capabilities/{which}": ["CAP_KILL"]
    for which in ("bounding", "effective", "inheritable", "permitted")
}
OFFSET = {"secs": 1, "nanosecs": 1}
USER = {"/linux/namespaces": "user"}

# Values that are right together, by the pointer of the smallest part that makes sense by itself,
# and what else of the config they need.
PARTS = {
    "/annotations": ({"a": "b"}, {}),
    "/domainname": ("d", {}),
    "/hostname": ("h", {}),
    "/ociVersion": ("1.3.0", {}),
    "/root": ({"path": "rootfs", "readonly": True}, {}),
    "/mounts": ([{"destination": "/m", "type": "tmpfs", "source": "t", "options": ["ro"]}], {}),
    "/mounts/0/uidMappings": (MAP, {"/mounts": "bind", "/mounts/0/gidMappings": MAP}),
    "/mounts/0/gidMappings": (MAP, {"/mounts": "bind", "/mounts/0/uidMappings": MAP}),
    "/linux/devices": (
        [
            {"path": "/dev/x", "type": "c", "major": 1, "minor": 3}
            | {"fileMode": 438, "uid": 0, "gid": 0}
        ],
        {},
    ),
    "/linux/uidMappings": (MAP, USER | {"/linux/gidMappings": MAP}),
    "/linux/gidMappings": (MAP, USER | {"/linux/uidMappings": MAP}),
    "/linux/namespaces/0": ({"type": "ipc", "path": "/proc/self/ns/ipc"}, {}),
    "/linux/netDevices": ({"dummy0": {"name": "eth0"}}, {"/linux/namespaces": "network"}),
    "/linux/timeOffsets": (
        {"monotonic": OFFSET, "boottime": OFFSET},
        {"/linux/namespaces": "time"},
    ),
    "/linux/sysctl": ({"net.core.somaxconn": "9"}, {"/linux/namespaces": "network"}),
    "/linux/cgroupsPath": ("/c", {}),
    "/linux/mountLabel": ("l", {}),
    "/linux/rootfsPropagation": ("private", {}),
    "/linux/maskedPaths": (["/proc/kcore"], {}),
    "/linux/readonlyPaths": (["/proc/sys"], {}),
    "/linux/personality": ({"domain": "LINUX", "flags": []}, {}),
    "/linux/personality/flags/0": ("ADDR_NO_RANDOMIZE", {"/linux/personality/domain": "LINUX"}),
    "/linux/memoryPolicy": (
        {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]},
        {},
    ),
    "/linux/intelRdt": (
        {"closID": "c", "schemata": ["MB:0=1"], "l3CacheSchema": "L3:0=1"}
        | {"memBwSchema": "MB:0=1", "enableMonitoring": True},
        {},
    ),
    "/linux/seccomp": (
        {
            "defaultAction": "SCMP_ACT_ERRNO",
            "defaultErrnoRet": 1,
            "architectures": ["SCMP_ARCH_X86_64"],
            "flags": ["SECCOMP_FILTER_FLAG_LOG"],
            "listenerPath": "/run/listener",
            "listenerMetadata": "m",
            "syscalls": [
                {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}
                | {"args": [{"index": 0, "value": 1, "valueTwo": 1, "op": "SCMP_CMP_MASKED_EQ"}]},
                {"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"},
            ],
        },
        {},
    ),
    "/linux/resources/devices": (
        [{"allow": False, "type": "c", "major": 1, "minor": 3, "access": "rwm"}],
        {},
    ),
    "/linux/resources/hugepageLimits": ([{"pageSize": "2MB", "limit": 1}], {}),
    "/linux/resources/network": (
        {"classID": 1, "priorities": [{"name": "eth0", "priority": 1}]},
        {},
    ),
    "/linux/resources/pids": ({"limit": 9}, {}),
    "/linux/resources/rdma": ({"mlx5_1": {"hcaHandles": 1, "hcaObjects": 1}}, {}),
    "/linux/resources/unified": ({"memory.high": "1000000"}, {}),
    "/linux/resources/blockIO/weightDevice": (
        [{"major": 8, "minor": 0, "weight": 100, "leafWeight": 100}],
        {},
    ),
    "/linux/resources/blockIO/weight": (100, {}),
    "/linux/resources/blockIO/leafWeight": (100, {}),
    "/process/args": (["/bin/sh"], {}),
    "/process/commandLine": ("x", {}),
    "/process/cwd": ("/", {}),
    "/process/env": (["A=b"], {}),
    "/process/apparmorProfile": ("p", {}),
    "/process/selinuxLabel": ("l", {}),
    "/process/terminal": (True, {}),
    "/process/consoleSize": ({"height": 9, "width": 9}, {"/process/terminal": True}),
    "/process/noNewPrivileges": (True, {}),
    "/process/oomScoreAdj": (1, {}),
    "/process/ioPriority": ({"class": "IOPRIO_CLASS_BE", "priority": 1}, {}),
    "/process/execCPUAffinity": ({"initial": "0", "final": "0"}, {}),
    "/process/rlimits": ([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}], {}),
    "/process/scheduler": ({"policy": "SCHED_OTHER", "nice": 1}, {}),
    "/process/scheduler/priority": (1, {"/process/scheduler/policy": "SCHED_FIFO"}),
    "/process/scheduler/flags": (
        ["SCHED_FLAG_RESET_ON_FORK"],
        {"/process/scheduler/policy": "SCHED_OTHER"},
    ),
    "/process/user": (
        {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [1], "username": "x"},
        {},
    ),
}
for stage in "prestart createRuntime createContainer startContainer poststart poststop".split():
    PARTS[f"/hooks/{stage}"] = (HOOK, {})
for which in ("Read", "Write"):
    for unit in ("Bps", "IOPS"):
        PARTS[f"/linux/resources/blockIO/throttle{which}{unit}Device"] = (RATE, {})
for which in "ambient bounding effective inheritable permitted".split():
    PARTS[f"/process/capabilities/{which}"] = (["CAP_KILL"], KILL)
for which in ("limit", "reservation", "swap", "kernel", "kernelTCP"):
    PARTS[f"/linux/resources/memory/{which}"] = (
        1 << 30,
        {"/linux/resources/memory/limit": 1 << 30},
    )
PARTS["/linux/resources/memory/swappiness"] = (60, {})
for which in ("disableOOMKiller", "useHierarchy", "checkBeforeUpdate"):
    PARTS[f"/linux/resources/memory/{which}"] = (True, {"/linux/resources/memory/limit": 1 << 30})
for which in ("shares", "period", "quota", "burst", "realtimePeriod", "realtimeRuntime"):
    PARTS[f"/linux/resources/cpu/{which}"] = (
        20000,
        {"/linux/resources/cpu/quota": 20000, "/linux/resources/cpu/period": 50000},
    )
PARTS["/linux/resources/cpu/idle"] = (1, {})
for which in ("cpus", "mems"):
    PARTS[f"/linux/resources/cpu/{which}"] = ("0", {})
for which in ("runtime", "deadline", "period"):
    PARTS[f"/process/scheduler/{which}"] = (
        1 << 20,
        {f"/process/scheduler/{other}": 1 << 20 for other in ("runtime", "deadline", "period")}
        | {"/process/scheduler/policy": "SCHED_DEADLINE"},
    )


def fields():
    for line in TABLE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            pointer, types, *other = line.split()
            yield pointer, types.split("|"), bool(other)


FIELDS = list(fields())


def fresh(value):
    """A copy that shares nothing with what it was made from, nor within itself."""
    return json.loads(json.dumps(value))


def put(config, pointer, value):
    """Sets what the pointer names, making objects and lists on the way; gives the real pointer."""
    here, real = config, ""
    parts = pointer.split("/")[1:]
    for part, after in zip(parts, [*parts[1:], None]):
        part = next(iter(here)) if part == "*" else part
        real += f"/{part}"
        key = int(part) if isinstance(here, list) else part
        if isinstance(here, list) and not here:
            here.append({})
        if after is None:
            here[key] = value
        elif isinstance(here, dict):
            here.setdefault(key, [] if after == "0" else {})
        here = here[key]
    return real


def prepared(pointer):
    """A config with the part that the property is in, and what else that part needs."""
    config = base_config()
    owner = max((p for p in PARTS if f"{pointer}/".startswith(f"{p}/")), key=len, default=None)
    if owner is None:
        # An object that holds nothing but what the table has more of: one of those.
        owner = next((p for p in PARTS if p.startswith(f"{pointer}/")), None)
    if owner:
        value, needs = PARTS[owner]
        for name, more in needs.items():
            if name == "/linux/namespaces" and isinstance(more, str):
                present = config["linux"]["namespaces"]
                if more not in [one["type"] for one in present]:
                    present.append({"type": more})
            elif more == "bind":
                config["mounts"] = [{"destination": "/m", "source": "/", "options": ["bind"]}]
            else:
                put(config, name, fresh(more))
        put(config, owner, fresh(value))
    return config


def real_pointer(config, pointer):
    here, real = config, ""
    for part in pointer.split("/")[1:]:
        if part == "*":
            part = next(iter(here))
        here = here[int(part)] if isinstance(here, list) else here.get(part, {})
        real += f"/{part}"
    return real


def explain(box, config):
    path = box.bundle.path
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    return box.runtime.bare("explain", path)


def names(text, pointer):
    """Whether a message is about the property or about an object or list that it is in."""
    parts = pointer.split("/")
    return any("/".join(parts[:n]) in text for n in range(len(parts), 1, -1))


@pytest.fixture(scope="module")
def plain(scratch, binary, template):
    from harness import Box

    box = Box(scratch / "fields", binary, template, "fields")
    yield box
    box.clear()
    box.scrub()


@pytest.mark.parametrize("pointer, types, other", FIELDS, ids=[p for p, _, _ in FIELDS])
def test_a_wrong_type_is_named_or_the_field_is_refused(plain, pointer, types, other):
    config = prepared(pointer)
    real = put(config, pointer, WRONG[types[0]])
    result = explain(plain, config)
    if other and result.code == 0:
        assert f"({real})" in result.out and "ignored" in result.out
        return
    result.fails()
    named = f" {real}: " in result.err
    refused = "not supported" in result.err and names(result.err, real)
    assert named or refused, result.err


@pytest.mark.parametrize("pointer, types, other", FIELDS, ids=[p for p, _, _ in FIELDS])
def test_a_right_value_is_taken_or_the_field_is_refused(plain, pointer, types, other):
    config = prepared(pointer)
    result = explain(plain, config)
    if LACKING.search(result.err):
        pytest.skip(f"this machine has no {LACKING.search(result.err)[0]}")
    if result.code:
        assert names(result.err, real_pointer(config, pointer)), result.err
        assert "expected" not in result.err, result.err
    elif not other:
        assert f"({real_pointer(config, pointer)})" not in ignored(result.out)


def ignored(text):
    return "".join(line for line in text.splitlines() if line.startswith("ignored"))


def test_a_property_that_nobody_knows_is_ignored_and_listed(plain):
    config = base_config()
    config["x~y/z"] = {"deep": 1}
    config["process"]["user"]["nick"] = "a"
    config["mounts"] = [{"destination": "/m", "type": "tmpfs", "what": None}]
    config["windows"] = {"layerFolders": []}
    result = explain(plain, config).check()
    lines = [line for line in result.out.splitlines() if line.startswith("ignored")]
    found = {line.split("(")[-1].rstrip(")") for line in lines}
    assert found == {"/x~0y~1z", "/process/user/nick", "/mounts/0/what", "/windows"}
