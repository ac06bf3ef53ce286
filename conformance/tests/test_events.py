"""events: what a container uses, and its kills by the OOM killer, one JSON object a line."""

import json
import os
import signal

import pytest

from harness import events, host

pytestmark = [pytest.mark.row("events-command"), pytest.mark.peer(crun="has no such command")]

SECTIONS = ["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "intel_rdt"]
MIB = 1 << 20


def stats(box):
    """The member `data` of the one event of --stats, whose form is checked."""
    text = box.runtime.call("events", "--stats", box.id).check().out
    assert text.startswith(f'{{"type":"stats","id":"{box.id}","data":{{"cpu":{{')
    assert text.count("\n") == 1 and text.endswith("}\n")
    event = json.loads(text)
    assert list(event) == ["type", "id", "data"]
    return event["data"]


class Watch:
    """`events` on a container, with its output in a pipe."""

    def __init__(self, box, *flags):
        self.fd, theirs = os.pipe2(os.O_CLOEXEC)
        self.call = box.runtime.popen("events", *flags, box.id, stdout=theirs)
        os.close(theirs)

    def until(self, text):
        return events.read_until(self.fd, text)

    def rest(self):
        """What is printed until the end, which must be an ordinary one."""
        try:
            text = events.read_all(self.fd, "events")
        finally:
            os.close(self.fd)
        self.call.wait().check()
        return text


def test_stats_have_the_members_of_runc_in_its_order(box):
    box.hold()
    data = stats(box)
    assert [key for key in data if key in SECTIONS] == SECTIONS
    assert {"kernel", "user"} <= data["cpu"]["usage"].keys()
    assert "cpu_exclusive" in data["cpuset"] and "sched_load_balance" in data["cpuset"]
    for member in ("limit", "failcnt"):
        for amount in ("usage", "swap", "kernel", "kernelTCP"):
            # Newer ones leave out an amount of which all is 0.
            assert isinstance(data["memory"].get(amount, {}).get(member, 0), int)


def test_the_time_that_a_container_has_used_is_counted(box):
    box.hold()
    before = stats(box)["cpu"]["usage"]
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done"
    box.exec("/bin/sh", "-c", script).check()
    after = stats(box)["cpu"]["usage"]
    assert after["total"] > before["total"]
    assert after["user"] + after["kernel"] <= after["total"] + 1000


def test_processes_are_counted_with_and_without_a_controller(box):
    box.hold()
    assert stats(box)["pids"]["current"] == 1


@pytest.mark.peer(runc="1.1 knows of no pressure")
def test_pressure_is_told_where_the_kernel_has_it(box):
    if not os.path.exists("/proc/pressure/cpu"):
        pytest.skip("a kernel without PSI")
    box.hold()
    some = stats(box)["cpu"]["psi"]["some"]
    assert list(some) == ["avg10", "avg60", "avg300", "total"] and some["total"] >= 0


def test_a_container_that_waits_for_its_start_has_statistics(box):
    box.create().check()
    assert "usage" in stats(box)["cpu"]


def test_a_stopped_container_has_none(box):
    box.hold()
    box.stop()
    for flags in (["--stats"], []):
        said = box.runtime.call("events", *flags, box.id).fails().said
        assert f"container with id {box.id} is not running" in said


def test_events_of_what_does_not_exist_is_an_error(box):
    assert "does not exist" in box.runtime.call("events", "--stats", "nonesuch").fails().said


@pytest.mark.parametrize("interval", ["0", "0s", "-1s", "-5ms"])
def test_an_interval_of_nothing_is_refused(box, interval):
    box.hold()
    said = box.runtime.call("events", f"--interval={interval}", box.id).fails().said
    assert "duration interval must be greater than 0" in said


@pytest.mark.parametrize("interval", ["soon", "5", "1 s", ""])
def test_an_interval_that_is_no_time_is_refused(box, interval):
    box.hold()
    said = box.runtime.call("events", "--interval", interval, box.id).fails().said
    assert f'invalid value "{interval}" for flag -interval: parse error' in said


@pytest.mark.peer(runc="1.1 ends at once where there is no memory controller to watch")
@pytest.mark.parametrize("interval", ["100ms", "1s", "0.05s"])
def test_statistics_come_at_every_interval_until_the_container_ends(box, interval):
    box.hold()
    watch = Watch(box, "--interval", interval)
    first = watch.until("\n") + watch.until("\n")
    box.stop()
    lines = (first + watch.rest()).splitlines()
    assert len(lines) >= 2
    for line in lines:
        assert json.loads(line)["type"] == "stats"
        assert line.startswith(f'{{"type":"stats","id":"{box.id}",')


@pytest.mark.tare("asks for what cannot have a cgroup")
def test_a_container_without_a_cgroup_has_no_events(box):
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    box.bundle.save()
    words = ["--root", box.runtime.root, "--cgroup-manager", "disabled", "run", "--detach"]
    box.runtime.bare(*words, "--bundle", box.bundle.path, box.id).check()
    assert ready.line() == "ready"
    said = box.runtime.call("events", "--stats", box.id).fails().said
    assert "events needs a cgroup" in said


@pytest.mark.needs_controller("memory")
def test_memory_is_what_the_cgroup_has(box):
    box.set("linux.resources.memory", {"limit": 64 * MIB})
    box.hold()
    memory = stats(box)["memory"]
    assert memory["usage"]["limit"] == 64 * MIB
    assert 0 < memory["usage"]["usage"] < 64 * MIB
    # memory.stat is counted by each CPU for itself and added up later: it may still be all zeros.
    assert {"anon", "file"} <= set(memory["raw"])


@pytest.mark.needs_controller("memory")
@pytest.mark.tare("peaks of cgroup v2 are not in runc's schema, nor in what it fills in")
def test_the_peaks_of_memory_and_processes_are_told(box):
    box.set("linux.resources.memory", {"limit": 64 * MIB})
    box.set("linux.resources.pids", {"limit": 20})
    box.hold()
    box.exec("/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=16M count=1; :").check()
    data = stats(box)
    assert data["memory"]["usage"]["max"] >= 16 * MIB > data["memory"]["usage"]["usage"]
    assert data["pids"] == {"current": 1, "limit": 20, "peak": data["pids"]["peak"]}
    assert data["pids"]["peak"] >= 2
    assert "limit" in data["memory"]["swapOnly"]


@pytest.mark.needs_controller("cpu")
def test_a_container_that_wants_more_than_its_quota_is_seen_throttled(box):
    box.set("linux.resources.cpu", {"quota": 1000, "period": 100000})
    box.hold()
    assert stats(box)["cpu"]["throttling"].get("throttledPeriods", 0) >= 0
    box.exec("/bin/sh", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done").check()
    throttling = stats(box)["cpu"]["throttling"]
    assert throttling["periods"] > 0 and throttling["throttledPeriods"] > 0
    assert throttling["throttledTime"] > 0


@pytest.mark.guest("reads from its disk, which needs the caches of the whole machine to be dropped")
@pytest.mark.needs_controller("io")
def test_reads_of_a_device_are_counted(box):
    # The controller reaches a cgroup only if something of it is asked for.
    box.set("linux.resources.blockIO", {"weight": 500})
    box.bundle.mount("/disk", "bind", "/usr/lib", ["rbind", "ro"])
    box.hold()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as caches:
        caches.write("3")
    box.exec("/bin/sh", "-c", "cat /disk/os-release /disk/systemd/systemd > /dev/null").check()
    entries = stats(box)["blkio"]["ioServiceBytesRecursive"]
    assert {entry["op"] for entry in entries} == {"Read", "Write"}
    assert max(entry.get("value", 0) for entry in entries if entry["op"] == "Read") > 4096
    assert all(entry.get("major", 0) + entry.get("minor", 0) > 0 for entry in entries)


FILL = "read line < /go; exec dd if=/dev/zero of=/dev/null bs=64M count=1"


@pytest.mark.guest("needs the memory controller, and an OOM kill")
@pytest.mark.needs_controller("memory")
def test_a_container_that_fills_its_memory_is_told_of_and_ends_with_137(box):
    box.set("linux.resources.memory", {"limit": 8 * MIB, "swap": 8 * MIB})
    ready = box.bundle.fifo("ready")
    os.mkfifo(box.rootfs / "go")
    box.sh("echo ready > /ready; " + FILL)
    run = box.popen_run()
    assert ready.line() == "ready"
    watch = Watch(box, "--interval", "100ms")
    watch.until('"type":"stats"')
    with open(box.rootfs / "go", "w", encoding="ascii") as go:
        go.write("go\n")
    text = watch.rest()
    assert f'{{"type":"oom","id":"{box.id}"}}\n' in text
    assert run.wait().code == 128 + signal.SIGKILL


@pytest.mark.guest("needs the memory controller, and an OOM kill")
@pytest.mark.needs_controller("memory")
def test_a_process_that_was_added_and_killed_is_told_of_while_the_container_lives(box):
    box.set("linux.resources.memory", {"limit": 16 * MIB, "swap": 16 * MIB})
    box.hold()
    watch = Watch(box, "--interval", "100ms")
    watch.until('"type":"stats"')
    fill = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"]
    assert box.exec(*fill).code == 128 + signal.SIGKILL
    watch.until(f'{{"type":"oom","id":"{box.id}"}}\n')
    assert box.status == "running"
    box.stop()
    watch.rest()


@pytest.mark.guest("takes the memory controller away from a container")
@pytest.mark.needs_controller("memory")
@pytest.mark.tare("others are not asked how they wait")
def test_without_the_controller_that_it_had_events_does_not_wait_in_circles(box):
    box.set("linux.resources.memory", {"limit": 64 * MIB})
    box.hold()
    watch = Watch(box, "--interval", "1s")
    watch.until('"usage":{"limit":67108864')
    with open(f"/proc/{box.pid}/cgroup", encoding="utf-8") as file:
        parent = host.CGROUPS / file.read().strip()[len("0::/") :] / ".."
    control = parent / "cgroup.subtree_control"
    had = control.read_text().split()
    control.write_text("-memory")
    watch.until('"usage":{"limit":0')
    before = ticks_of(watch.call.pid)
    for _ in range(3):
        watch.until("\n")
    used = ticks_of(watch.call.pid) - before
    if "memory" in had:
        control.write_text("+memory")
    box.stop()
    watch.rest()
    # Half of what a processor has in three intervals.
    assert used < 150


def ticks_of(pid):
    """The time that a process has used, in hundredths of a second."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
