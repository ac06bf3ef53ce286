"""Values for every property that are out of all range, contradict each other or are no text at all:
each is refused in a line, or taken for what it is; nothing crashes, hangs or is reserved for them."""

import json
import re

import pytest

from harness import Box, base_config

import test_every_field as every

pytestmark = pytest.mark.tare("explain is tare's own")

MARK = "@@here@@"
LONG = "x" * (1 << 20)
DEEP = '{"a":' * 10000 + "1" + "}" * 10000

# JSON, put where the value of each property is.
HOSTILE = {
    "a NUL": '"a\\u0000b"',
    "1 MiB": json.dumps(LONG),
    "1e400": "1e400",
    "-0": "-0",
    "1.5": "1.5",
    "-1": "-1",
    "-2^63-1": str(-(1 << 63) - 1),
    "2^64-1": str((1 << 64) - 1),
    "2^64": str(1 << 64),
    "a newline": '"a\\nb"',
    "an escape of a terminal": '"\\u001b[2J"',
    "dots": '"../../../../../../etc/passwd"',
    "an empty string": '""',
    "an empty object": "{}",
    "null": "null",
    "an empty name": '{"": ""}',
}
# What no value may be, whatever the property: it is found as the text is read.
RAW = {
    "deep objects": DEEP.encode(),
    "deep lists": b"[" * 10000 + b"]" * 10000,
    "-1e400": b"-1e400",
    "a thousand digits": b"9" * 1000,
    "a lone surrogate": b'"\\ud800"',
    "a duplicate": b'{"a": 1, "a": 1}',
    "invalid UTF-8": b'"\xff\xfe"',
    "overlong UTF-8": b'"\xc0\xaf"',
    "a raw NUL": b'"a\x00b"',
    "a BOM": b"\xef\xbb\xbf1",
    "half a value": b'"',
    "a comment": b"1 // one",
    "NaN": b"NaN",
}
# What no property may hold, though it is a value.
NEVER = ("a NUL", "1e400", "1.5", "2^64", "-2^63-1")
POINTERS = [pointer for pointer, _, other in every.FIELDS if not other]


@pytest.fixture(scope="module")
def plain(scratch, binary, template):
    box = Box(scratch / "hostile", binary, template, "hostile")
    box.bundle.path.mkdir(exist_ok=True)
    yield box
    box.clear()
    box.scrub()


def explain(box, raw):
    (box.bundle.path / "config.json").write_bytes(raw)
    return box.runtime.bare("explain", box.bundle.path)


def around(pointer):
    """The text of a config before and after the value of a property."""
    config = every.prepared(pointer)
    every.put(config, pointer, MARK)
    return (half.encode() for half in json.dumps(config).split(json.dumps(MARK)))


def check_refusal(result, name):
    assert result.code == 1, f"{name}: exit {result.code}: {result.err[:500]}"
    lines = result.err.splitlines()
    assert len(lines) == 1, f"{name}: {result.err[:500]}"
    # Nothing in it moves the cursor of a terminal.
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", lines[0]), f"{name}: {lines[0][:500]!r}"


@pytest.mark.parametrize("pointer", POINTERS)
def test_no_value_makes_the_runtime_crash_or_fall_silent(plain, pointer):
    before, after = around(pointer)
    for name, value in HOSTILE.items():
        result = explain(plain, before + value.encode() + after)
        if result.code == 0:
            assert name not in NEVER, f"{name} was taken"
        else:
            check_refusal(result, name)


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("pointer", ["/hostname", "/process/args/0", "/process/oomScoreAdj"])
def test_what_is_no_value_is_refused(plain, pointer, name):
    before, after = around(pointer)
    check_refusal(explain(plain, before + RAW[name] + after), name)


CONTRADICTIONS = {
    "a user namespace by path with mappings that are not its own": {
        "/linux/namespaces/0": {"type": "user", "path": "/proc/self/ns/user"},
        "/linux/uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
    },
    "mappings without a user namespace": {
        "/linux/uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}],
    },
    "mappings that overlap": {
        "/linux/namespaces/0": {"type": "user"},
        "/linux/uidMappings": [
            {"containerID": 0, "hostID": 5, "size": 10},
            {"containerID": 5, "hostID": 50, "size": 10},
        ],
        "/linux/gidMappings": [{"containerID": 0, "hostID": 5, "size": 10}],
    },
    "mappings past the end of all ids": {
        "/linux/namespaces/0": {"type": "user"},
        "/linux/uidMappings": [{"containerID": 0, "hostID": (1 << 32) - 2, "size": 9}],
        "/linux/gidMappings": [{"containerID": 0, "hostID": 5, "size": 10}],
    },
    "a soft limit above the hard one": {
        "/process/rlimits": [{"type": "RLIMIT_NOFILE", "soft": 9, "hard": 8}],
    },
    "a limit twice": {
        "/process/rlimits": [{"type": "RLIMIT_NOFILE", "soft": 8, "hard": 8}] * 2,
    },
    "a namespace twice": {
        "/linux/namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "pid"}],
    },
    "time offsets without a time namespace": {"/linux/timeOffsets": {"boottime": {"secs": 1}}},
    "mounts without a mount namespace": {"/linux/namespaces": [{"type": "uts"}]},
    "a host's sysctl": {"/linux/sysctl": {"vm.swappiness": "1"}},
    "a working directory that is relative": {"/process/cwd": "tmp"},
    "no program": {"/process/args": []},
    "a variable without a name": {"/process/env": ["=x"]},
    "a bind without a source": {
        "/mounts": [{"destination": "/m", "options": ["bind"]}],
    },
    "a mount over the root": {
        "/mounts": [{"destination": "/", "type": "tmpfs", "source": "tmpfs"}],
    },
    "a hook with a relative path": {"/hooks/prestart": [{"path": "true"}]},
    "a hook with no time": {"/hooks/prestart": [{"path": "/bin/true", "timeout": 0}]},
    "a version of another age": {"/ociVersion": "2.0.0"},
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_config_is_refused_that_has(plain, name):
    config = base_config()
    for pointer, value in CONTRADICTIONS[name].items():
        every.put(config, pointer, every.fresh(value))
    result = explain(plain, json.dumps(config).encode())
    if result.code == 0:
        result = refused_by_create(plain, config)
    result.fails()
    assert len(result.err.splitlines()) == 1


def refused_by_create(box, config):
    """For what only the kernel can tell."""
    box.bundle.config.clear()
    box.bundle.config.update(config)
    result = box.create()
    box.delete("--force")
    return result


@pytest.mark.parametrize("start", [b"\xff\xfe", b"\x00", b"// a\n", b"{}"])
def test_a_config_is_refused_that_begins_with(plain, start):
    result = explain(plain, start + json.dumps(base_config()).encode())
    result.fails()
    assert "config.json" in result.err


def test_a_byte_order_mark_makes_no_difference(plain):
    config = json.dumps(base_config()).encode()
    with_mark = explain(plain, b"\xef\xbb\xbf" + config).check()
    assert with_mark.out == explain(plain, config).check().out


def test_a_config_as_large_as_can_be_is_read_or_refused_in_good_time(plain):
    config = base_config()
    config["process"]["env"] = [f"A{n}={'x' * 1000}" for n in range(10000)]
    explain(plain, json.dumps(config).encode()).check()
    config["process"]["env"] *= 2
    assert explain(plain, json.dumps(config).encode()).fails().err
