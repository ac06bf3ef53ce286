"""Values that are longer than expected, lead elsewhere, or say nothing; and limits that are not there."""

import os
import re
import stat

import pytest

from harness import Canary, contained, exec_calls, fired_if, making_node, opening, run_calls, trace
from harness.calls import words
from harness.terminal import Pty


def smuggled(begin, end=""):
    """A text whose length is taken for 16, and whose rest is read as what the child is to be told:
    all namespaces but that of ipc. Every byte of it is one that a string may have."""
    lie = "mount,pid,cgroup,uts,".ljust(0x101, "z")
    text = begin.ljust(16, "-") + "N\x01\x01" + lie
    text += "X\x7f\x7f" + 0x7F7F * "x" + "X\x77\x7f" + 0x7F77 * "x"
    assert len(text) == 65536 + 16
    return text[: len(text) - len(end)] + end


LONG = {
    "env": lambda box: box.config["process"]["env"].append(smuggled("A=")),
    "args": lambda box: box.args("/bin/sh", "-c", "exec /probe", smuggled("")),
    "annotations": lambda box: box.set("annotations", {"a": smuggled("")}),
    "root": lambda box: box.set("root.path", smuggled("rootfs/", "/..")),
    "cgroupsPath": lambda box: box.set("linux.cgroupsPath", smuggled("/", f"/../{box.id}")),
    "options of a mount": lambda box: box.bundle.mount(
        "/mnt", "bind", box.rootfs, ["bind", smuggled("x=")]
    ),
    "args of a hook": lambda box: box.set(
        "hooks.createRuntime", [{"path": "/bin/true", "args": ["true", smuggled("")]}]
    ),
}


@pytest.mark.attack("A-09", "CVE-2021-43784")
@pytest.mark.parametrize("where", LONG)
def test_a_long_value_takes_no_namespace_away(box, where):
    LONG[where](box)
    result = box.run()

    def separate():
        found = result.json["namespaces"]
        own = {kind: os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "ipc", "uts", "mnt")}
        return not [kind for kind in own if found[kind] == own[kind]]

    contained(result, separate)


MANY = 5000


@pytest.mark.attack("A-09", "CVE-2021-43784")
@pytest.mark.parametrize("which", ["uid", "gid"])
def test_a_map_of_five_thousand_lines_is_whole_or_refused(box, which):
    box.bundle.namespace("user")
    box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] not in ("sysfs", "devpts")]
    for kind in ("uid", "gid"):
        number = MANY if kind == which else 1
        lines = [{"containerID": n, "hostID": 2 * n, "size": 1} for n in range(number)]
        box.set(f"linux.{kind}Mappings", lines)
    box.args("/bin/wc", "-l", f"/proc/self/{which}_map")
    result = box.run()
    contained(result, lambda: int(result.out.split()[0]) == MANY)


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


@pytest.mark.attack("A-10")
def test_no_device_is_opened_after_an_update_either(box):
    for which in ("bounding", "effective", "permitted"):
        box.config["process"]["capabilities"][which] += ["CAP_MKNOD", "CAP_DAC_OVERRIDE"]
    box.hold()
    box.runtime.call("update", "--resources", "-", box.id, stdin=b"{}").check()
    opens = exec_calls(box, *making_and_opening())[1::2]
    fired_if("ok" in opens, f"opened: {opens}")


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
