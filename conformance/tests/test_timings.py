"""--timings: how long the steps of a start took, in both processes and on one clock."""

import json
import os

import pytest

pytestmark = pytest.mark.tare("a flag of tare's")

STEPS = {"runtime": {"read and plan", "clone", "attend init"}, "init": {"mounts", "enter the root"}}
EXEC_STEPS = {"runtime": {"joiner and clone", "await execve"}, "init": {"user and capabilities"}}


def read_trace(text):
    """The steps by process: lists of (name, begin, end), in microseconds."""
    events = json.loads(text)["traceEvents"]
    names = {e["pid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    steps = {name: [] for name in names.values()}
    for event in events:
        if event["ph"] == "X":
            span = (event["name"], event["ts"], event["ts"] + event["dur"])
            steps[names[event["pid"]]].append(span)
    return steps


def check(steps, wanted):
    for process, names in wanted.items():
        assert names <= {name for name, _, _ in steps[process]}
        # One after another; the microseconds' fractions are rounded as they are added.
        for (_, _, end), (_, begin, _) in zip(steps[process], steps[process][1:]):
            assert begin == pytest.approx(end, abs=0.01)
    # Init lives between its clone and the end of what the runtime does about it.
    begin = next(begin for name, begin, _ in steps["runtime"] if "clone" in name)
    assert begin <= steps["init"][0][1] <= steps["init"][-1][2] <= steps["runtime"][-1][2]


@pytest.mark.parametrize("command", ["create", "run", "run --detach"])
def test_a_trace_has_the_steps_of_both_processes_on_one_clock(box, command):
    box.args("/bin/true")
    file = box.path("trace.json")
    box.command(*command.split(), "--timings", file).check()
    check(read_trace(file.read_text()), STEPS)


def test_a_trace_of_exec_has_the_steps_of_the_new_process(box):
    box.hold()
    file = box.path("trace.json")
    box.exec("/bin/true", flags=("--timings", file)).check()
    check(read_trace(file.read_text()), EXEC_STEPS)


def test_a_container_with_a_clock_of_its_own_is_on_the_same_one(box):
    box.bundle.namespace("time")
    box.set("linux.timeOffsets", {"monotonic": {"secs": 100000}, "boottime": {"secs": 100000}})
    box.args("/bin/true")
    file = box.path("trace.json")
    box.run("--timings", file).check()
    check(read_trace(file.read_text()), STEPS)


def test_a_table_comes_to_standard_error_and_to_other_files(box):
    box.args("/bin/true")
    file = box.path("table")
    box.run("--timings", file).check()
    said = box.run("--timings", "2").check().err
    for text in (file.read_text(), said):
        head, *lines = text.splitlines()
        assert head.split() == ["at", "us", "for", "us", "in", "step"]
        assert {line.split()[2] for line in lines} == {"runtime", "init"}


def test_a_descriptor_of_the_caller_gets_the_trace_and_the_payload_does_not_get_it(box):
    box.args("/probe")
    here, there = os.pipe()
    try:
        result = box.run("--timings", str(there), pass_fds=[there])
        os.close(there)
        trace = os.read(here, 1 << 16)
    finally:
        os.close(here)
    check(read_trace(trace), STEPS)
    assert {int(number) for number in json.loads(result.check().out)["fds"]} <= {0, 1, 2}


@pytest.mark.parametrize("where", ["0", "77", "/no/such/directory/file"])
def test_where_nothing_can_be_written_nothing_is_made(box, where):
    box.args("/bin/true")
    box.run("--timings", where).fails()
    assert box.state is None


def test_a_descriptor_of_the_payload_is_not_written_to(box):
    box.args("/bin/true")
    box.bundle.save()
    run = ["run", "--bundle", box.bundle.path, "--preserve-fds", "1", "--timings", "3", box.id]
    argv = ["/bin/sh", "-c", 'exec "$@" 3>/dev/null', "sh", *box.runtime.argv(*run)]
    assert "descriptor 3 is the process's own" in box.runtime.call(argv=argv).fails().said
