"""Values that are longer than expected, lead elsewhere, or say nothing; and limits that are not there."""

import os
import re
import stat

import pytest

from harness import Canary, contained, fired_if, host, making_node, opening, run_calls, trace
from harness.calls import words
from harness.terminal import Pty


def smuggled(begin):
    """A text whose length is taken for 16, and whose rest is read as what the child is to be told:
    all namespaces but that of ipc. Every byte of it is one that a string may have."""
    lie = "mount,pid,cgroup,uts,".ljust(0x101, "z")
    text = begin.ljust(16, "-") + "N\x01\x01" + lie
    text += "X\x7f\x7f" + 0x7F7F * "x" + "X\x77\x7f" + 0x7F77 * "x"
    assert len(text) == 65536 + 16
    return text


LONG = ["env", "args", "annotations"]


@pytest.mark.attack("A-09", "CVE-2021-43784")
@pytest.mark.parametrize("where", LONG)
def test_a_long_value_takes_no_namespace_away(box, where):
    words = ["/bin/sh", "-c", "exec /probe"]
    if where == "env":
        box.config["process"]["env"].append(smuggled("A="))
    elif where == "args":
        words.append(smuggled(""))
    else:
        box.config["annotations"] = {"a": smuggled("")}
    box.args(*words)
    result = box.run()

    def separate():
        found = result.json["namespaces"]
        own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "uts", "mnt")}
        return not [kind for kind in own if found[kind] == own[kind]]

    contained(result, separate)


KMSG, FUSE, RANDOM, LOOPS = (1, 11), (10, 229), (10, 183), (10, 237)
DEVICES = (KMSG, FUSE, RANDOM, LOOPS)  # a machine may lack some, and is free to open none
RULES = {
    "none": None,
    "an empty list": [],
    "one that allows": [{"allow": True, "type": "c", "major": 1, "minor": 3, "access": "r"}],
}


def making_and_opening():
    calls = []
    for number, device in enumerate(DEVICES):
        path = f"/node{number}"
        calls += [making_node(path, stat.S_IFCHR | 0o666, os.makedev(*device)), opening(path)]
    return calls


@pytest.mark.attack("A-10")
@pytest.mark.parametrize("rules", RULES)
def test_a_device_that_no_rule_allows_is_not_opened(box, rules):
    for which in ("bounding", "effective", "permitted"):
        box.config["process"]["capabilities"][which] += ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    if RULES[rules] is not None:
        box.set("linux.resources.devices", RULES[rules])
    opens = run_calls(box, *making_and_opening())[1::2]
    fired_if("ok" in opens, f"opened: {opens}")


@pytest.mark.attack("A-10")
def test_no_device_is_opened_in_a_cgroup_of_the_containers_own_either(box):
    for which in ("bounding", "effective", "permitted"):
        box.config["process"]["capabilities"][which] += ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev"])
    box.sh(
        "mkdir /sys/fs/cgroup/inner && echo 0 > /sys/fs/cgroup/inner/cgroup.procs\n"
        f"/act {' '.join(words(making_and_opening()))}"
    )
    opens = box.run().out.split()[1::2]
    fired_if("ok" in opens, f"opened: {opens}")


@pytest.mark.attack("A-12", "CVE-2023-25809")
@pytest.mark.parametrize("mapped", [True, False], ids=["user-namespace", "root"])
def test_a_read_only_cgroup_mount_without_a_namespace_is_read_only(box, mapped):
    box.bundle.without_namespace("cgroup")
    # A sysfs is for a user namespace that has a network namespace of its own.
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/sys"]
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "ro"])
    if mapped:
        box.bundle.namespace("user")
        for which in ("uid", "gid"):
            # Its root is the owner of the cgroups, as a user is of those that are delegated.
            maps = [{"containerID": 0, "hostID": 0, "size": 65536}]
            box.set(f"linux.{which}Mappings", maps)
    box.sh("mkdir /sys/fs/cgroup/escaped; true")
    before = host.cgroups()
    result = box.run()
    after = set(host.cgroups()) - set(before)
    fired_if([name for name in after if "escaped" in name], f"made: {after}")
    contained(result, lambda: not (host.CGROUPS / "escaped").exists())


def cgroup_of(pid):
    return re.search(r"0::(.*)\n", open(f"/proc/{pid}/cgroup", encoding="utf-8").read())[1]


ELSEWHERE = ["../{other}", "/../{other}", "below/../../{other}", "/{other}"]


@pytest.mark.attack("A-28")
@pytest.mark.parametrize("path", ELSEWHERE)
def test_exec_leaves_the_cgroup_of_the_container_by_no_path(box, path):
    other = box.sibling("other")
    other.hold()
    box.hold()
    place = host.CGROUPS / cgroup_of(box.pid).lstrip("/")
    (place / "below").mkdir()
    named = os.path.relpath(cgroup_of(other.pid), os.path.dirname(cgroup_of(box.pid)))
    flags = ["--cgroup", path.format(other=named)]
    result = box.exec("/bin/cat", "/proc/self/cgroup", flags=flags)
    contained(result, lambda: ".." not in result.out)


@pytest.mark.attack("A-28")
@pytest.mark.parametrize("name", ["../canary/made", "{canary}/made", "a/../../canary/made"])
def test_the_id_of_a_container_is_no_path(box, name):
    canary = Canary(box.path("canary"))
    (box.runtime.root / "a").mkdir(parents=True)
    box.id = name.format(canary=canary.path)
    result = box.create()
    assert canary.unchanged
    assert result.code != 0 and result.err.strip()


MUCH, LIMIT = 24 << 20, 24 << 20  # bytes


@pytest.mark.attack("A-41", "CVE-2022-1708")
def test_output_that_nobody_reads_is_not_kept_in_memory(box):
    box.set("process.terminal", True)
    box.args("/bin/dd", "if=/dev/zero", "bs=65536", f"count={MUCH >> 16}", "status=none")
    box.bundle.save()
    screen = Pty()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    got = 0
    while got < MUCH // 2:
        got += len(os.read(screen.master, 65536))
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", trace.status_of(call.pid))[1]) << 10
    got += len(screen.rest())
    assert call.wait().code == 0 and got >= MUCH
    screen.close()
    fired_if(peak > LIMIT, f"{peak >> 20} MiB")
