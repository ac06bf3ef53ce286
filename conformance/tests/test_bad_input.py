"""Ids, bundles and JSON that are no good: one clear error, and nothing made."""

import json
import os
import re

import pytest

from harness import Snapshot

TARE = "the place of an error is part of what tare promises"


@pytest.fixture
def refused(box):
    """Runs a call that must fail and must change nothing; returns its Result."""
    os.mkdir(box.runtime.root)

    def run(*words, **more):
        before = Snapshot.take(box.runtime.root, box.bundle.path)
        result = box.runtime.call(*words, **more).fails()
        assert before.settled(box.runtime.root, box.bundle.path) == before
        if box.runtime.kind == "tare":
            assert len(result.err.splitlines()) == 1, result
        return result

    return run


@pytest.fixture
def text_refused(box, refused):
    """Like refused, for a create with the given text as config.json."""

    def run(text):
        box.bundle.raw = text
        box.bundle.save()
        return refused("create", "--bundle", box.bundle.path, box.id)

    return run


BAD_IDS = {
    "empty": "",
    "dot": ".",
    "dots": "..",
    "slash": "a/b",
    "climbing": "../outside",
    "absolute": "/abs",
    "space": "a b",
    "newline": "a\nb",
    "percent": "%s%n",
    "umlaut": "tåre",
    "colon": "a:b",
    "at": "a@b",
}


def marked(cases, peers):
    """Parameters by name, those in `peers` with a mark of who is known to fail them and why."""
    return [
        pytest.param(
            case, id=name, marks=[pytest.mark.peer(**peers[name])] if name in peers else []
        )
        for name, case in cases.items()
    ]


ANY_NAME = dict.fromkeys(
    ("absolute", "space", "percent", "umlaut", "colon", "at"),
    {"crun": "1.8 takes every name without a slash inside"},
)


@pytest.mark.parametrize("name", marked(BAD_IDS, ANY_NAME))
def test_an_id_outside_of_the_character_set_is_refused(box, refused, name):
    box.bundle.save()
    refused("create", "--bundle", box.bundle.path, "--", name)


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_bad_id(box, refused):
    box.bundle.save()
    said = refused("create", "--bundle", box.bundle.path, "a b").said
    assert "invalid container id format" in said.lower()


@pytest.mark.parametrize("name", ["../outside", "a/../../outside", ".."])
@pytest.mark.parametrize(
    "command",
    [
        "state",
        "start",
        "kill",
        pytest.param("delete", marks=pytest.mark.peer(crun="removes the directory it climbs to")),
        "pause",
        "resume",
        "exec",
    ],
)
def test_no_command_reaches_outside_of_the_root_by_an_id(box, command, name):
    outside = box.directory / "outside"
    outside.mkdir()
    (box.runtime.root / "a").mkdir(parents=True)
    (outside / "state.json").write_text("{}")
    words = [command, name] + (["true"] if command == "exec" else [])
    assert box.runtime.call(*words).code in (1, 255)
    assert (outside / "state.json").read_text() == "{}"


@pytest.mark.parametrize("name", ["a", "A-1", "with.dot", "under_score", "plus+", "0", "x" * 200])
def test_an_id_inside_of_the_character_set_is_taken(box, name):
    box.id = name
    box.args("/probe")
    box.create().check()
    assert box.state["id"] == name


def test_an_id_in_use_is_refused_and_its_container_is_left_alone(box):
    box.hold()
    before = box.state
    other = box.sibling("-b")
    other.id = box.id
    snapshot = Snapshot.take(box.runtime.root)
    for command in ("create", "run"):
        other.command(command).fails()
    assert box.state == before
    assert snapshot.settled(box.runtime.root) == snapshot


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_an_id_in_use(box):
    box.hold()
    assert "container with given ID already exists" in box.create().fails().said


def test_the_id_of_a_stopped_container_is_in_use_until_delete(box):
    box.hold()
    box.stop()
    box.create().fails()
    box.delete().check()
    box.create().check()


def test_an_id_whose_create_failed_can_be_used_at_once(box):
    box.args("/nonexistent")
    box.create().fails()
    assert box.state is None
    box.args("/probe")
    assert box.facts()["pid"] == 1


BAD_BUNDLES = {
    "missing": lambda box: box.path("nowhere"),
    "a file": lambda box: box.bundle.path / "config.json",
    "without a config": lambda box: box.bundle.rootfs,
    "empty name": lambda box: "",
}


@pytest.mark.parametrize("bundle", BAD_BUNDLES.values(), ids=BAD_BUNDLES)
def test_a_bundle_that_is_none_is_refused(box, refused, bundle):
    box.bundle.save()
    refused("create", "--bundle", bundle(box), box.id)


@pytest.mark.parametrize("kind", ["directory", "dangling link", "link to itself", "device"])
def test_a_config_that_is_no_file_is_refused(box, refused, kind):
    place = box.bundle.path / "config.json"
    if kind == "directory":
        place.mkdir()
    elif kind == "dangling link":
        place.symlink_to("nowhere")
    elif kind == "link to itself":
        place.symlink_to("config.json")
    else:
        place.symlink_to("/dev/null")
    refused("create", "--bundle", box.bundle.path, box.id)


@pytest.mark.peer(runc="waits for a writer for ever", crun="waits for a writer for ever")
def test_a_config_that_is_a_fifo_is_refused_without_waiting(box, refused):
    os.mkfifo(box.bundle.path / "config.json")
    refused("create", "--bundle", box.bundle.path, box.id, timeout=2)


def test_a_missing_config_is_named(box, refused):
    assert "config.json" in refused("create", "--bundle", box.bundle.path, box.id).said


BAD_JSON = {
    "empty": "",
    "blank": " \n",
    "unclosed": '{"ociVersion": "1.0.2"',
    "a comma too many": '{"ociVersion": "1.0.2",}',
    "trailing bytes": "{}x",
    "no quotes": "{ociVersion: 1}",
    "single quotes": "{'ociVersion': '1.0.2'}",
    "a comment": "{} // comment",
    "a bad escape": '{"ociVersion": "\\q"}',
    "a control character": '{"ociVersion": "a\nb"}',
    "a bad number": '{"process": {"oomScoreAdj": 01}}',
    "half a keyword": '{"process": tru}',
    "utf-16": '{"ociVersion": "1.0.2"}'.encode("utf-16"),
    "zeros": b"\0" * 100,
}


@pytest.mark.parametrize("text", BAD_JSON.values(), ids=BAD_JSON)
def test_text_that_is_no_json_is_refused(text_refused, text):
    text_refused(text)


@pytest.mark.peer(runc="takes invalid UTF-8")
def test_text_that_is_no_utf_8_is_refused(box, text_refused):
    box.set("annotations", {"key": "MARK"})
    text_refused(json.dumps(box.config).encode().replace(b"MARK", b"\xff\xfe"))


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        pytest.param("null", marks=pytest.mark.peer(runc="crashes")),
        '"text"',
        "1",
        "true",
        "[{}]",
    ],
)
def test_json_that_is_no_object_is_refused(text_refused, text):
    text_refused(text)


@pytest.mark.parametrize("cut", range(1, 10))
def test_a_truncated_config_is_refused(box, text_refused, cut):
    text = json.dumps(box.config)
    text_refused(text[: len(text) * cut // 10])


def test_deep_nesting_is_no_crash(text_refused):
    text_refused("[" * 100000)


@pytest.mark.peer(runc="takes the last", crun="takes one of them")
def test_a_duplicate_name_is_refused(box, text_refused):
    text = json.dumps(box.config)
    text_refused(text.replace('"hostname":', '"hostname": "first", "hostname":', 1))


@pytest.mark.tare(TARE)
@pytest.mark.parametrize(
    "text, line, column",
    [
        ('{\n  "ociVersion": "1.0.2",\n  "root": {,}\n}', 3, 12),
        ('{\n  "ociVersion": "1.0.2"\n  "root": {}\n}', 3, 3),
        ('{"ociVersion": tru}', 1, 19),
    ],
)
def test_a_syntax_error_names_its_line_and_column(text_refused, text, line, column):
    said = text_refused(text).said
    assert "config.json" in said
    found = re.search(r"line (\d+),? column (\d+)", said)
    assert found, said
    assert int(found[1]) == line
    # Where exactly a parser notices is its own matter, within a token.
    assert abs(int(found[2]) - column) <= 6


WRONG_TYPES = [
    ("ociVersion", 1),
    ("hostname", 5),
    ("annotations", []),
    ("annotations", {"key": 1}),
    ("root", "rootfs"),
    ("root.readonly", "yes"),
    ("process", []),
    ("process.terminal", "true"),
    ("process.args", "sh"),
    ("process.args", ["sh", 1]),
    ("process.env", {"PATH": "/bin"}),
    ("process.cwd", 1),
    ("process.user", "root"),
    ("process.user.uid", "0"),
    ("process.user.uid", 1.5),
    ("process.user.additionalGids", [1, "2"]),
    ("process.capabilities", ["CAP_KILL"]),
    ("process.capabilities.bounding", "CAP_KILL"),
    ("process.rlimits", {"type": "RLIMIT_CORE"}),
    ("process.noNewPrivileges", 1),
    ("process.oomScoreAdj", "1"),
    ("mounts", {}),
    ("mounts", ["/proc"]),
    ("mounts", [{"destination": 1}]),
    ("mounts", [{"destination": "/proc", "type": "proc", "options": "ro"}]),
    ("hooks", []),
    ("hooks.prestart", {}),
    ("linux", []),
    ("linux.namespaces", "pid"),
    ("linux.namespaces", [{"type": 1}]),
    ("linux.maskedPaths", "/proc/kcore"),
    ("linux.sysctl", {"net.ipv4.ip_forward": 1}),
    ("linux.resources", []),
    ("linux.resources.pids", 5),
    ("linux.resources.pids.limit", "5"),
    ("linux.seccomp", []),
    ("linux.seccomp.syscalls", {}),
]


def pointer_of(dotted, wrong):
    """The JSON pointer to the part of `wrong` that has the wrong type."""
    path = "/" + dotted.replace(".", "/")
    if dotted == "process.args" and isinstance(wrong, list):
        return f"{path}/1"
    if dotted == "mounts" and isinstance(wrong, list):
        if isinstance(wrong[0], str):
            return f"{path}/0"
        return f"{path}/0/{'options' if 'options' in wrong[0] else 'destination'}"
    deeper = {"process.user.additionalGids": "/1", "linux.namespaces": "/0/type"}
    if dotted in deeper and isinstance(wrong, list):
        return path + deeper[dotted]
    if dotted in ("annotations", "linux.sysctl") and isinstance(wrong, dict):
        return f"{path}/{next(iter(wrong))}"
    return path


NOTICED_BY_CRUN = "ociVersion root process process.cwd linux linux.sysctl linux.seccomp.syscalls mounts={}".split()
NOTICED_BY_CRUN += [
    'annotations={"key": 1}',
    "process.user.uid=1.5",
    'process.user.additionalGids=[1, "2"]',
    'mounts=["/proc"]',
    'mounts=[{"destination": 1}]',
    'linux.namespaces=[{"type": 1}]',
]


def type_id(dotted, wrong):
    return f"{dotted}={json.dumps(wrong)}"


def type_params():
    for dotted, wrong in WRONG_TYPES:
        noticed = dotted in NOTICED_BY_CRUN or type_id(dotted, wrong) in NOTICED_BY_CRUN
        marks = [] if noticed else [pytest.mark.peer(crun="coerces or ignores it")]
        yield pytest.param(dotted, wrong, id=type_id(dotted, wrong), marks=marks)


@pytest.mark.parametrize("dotted, wrong", list(type_params()))
def test_a_value_of_the_wrong_type_is_refused(box, text_refused, dotted, wrong):
    box.set(dotted, wrong)
    text_refused(json.dumps(box.config))


@pytest.mark.tare(TARE)
@pytest.mark.parametrize("dotted, wrong", WRONG_TYPES, ids=[type_id(*case) for case in WRONG_TYPES])
def test_a_value_of_the_wrong_type_is_named_by_its_pointer(box, text_refused, dotted, wrong):
    box.set(dotted, wrong)
    said = text_refused(json.dumps(box.config)).said
    assert pointer_of(dotted, wrong) in said
