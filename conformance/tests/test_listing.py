"""What state, list, ps, features and spec print: the forms that callers parse."""

import datetime
import json
import os
import re

import pytest

from harness import Runtime

STATE_KEYS = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created"]
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$")


def test_state_is_one_json_object_with_the_fields_of_the_specification(box):
    box.set("annotations", {"org.example.key": "value"})
    box.hold()
    state = box.state
    assert re.fullmatch(r"\d+\.\d+\.\d+(-\S+)?", state["ociVersion"])
    assert state["id"] == box.id
    assert state["status"] == "running"
    assert isinstance(state["pid"], int) and state["pid"] > 1
    assert state["bundle"] == str(box.bundle.path)
    assert state["annotations"] == {"org.example.key": "value"}


@pytest.mark.peer(crun="orders the fields in its own way")
def test_state_has_the_fields_in_the_order_and_form_of_runc(box):
    box.hold()
    text = box.runtime.call("state", box.id).check().out
    assert text.startswith('{\n  "ociVersion": "')
    assert text.endswith("}")
    keys = list(json.loads(text))
    assert keys[: len(STATE_KEYS)] == STATE_KEYS
    assert "owner" in keys


def test_state_says_when_the_container_was_created(box):
    before = datetime.datetime.now(datetime.timezone.utc)
    box.hold()
    after = datetime.datetime.now(datetime.timezone.utc)
    created = box.state["created"]
    assert RFC3339.fullmatch(created)
    # fromisoformat takes at most microseconds.
    moment = datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", created))
    slack = datetime.timedelta(seconds=1)
    assert before - slack <= moment <= after + slack


@pytest.mark.peer(crun="1.8 prints the path as the config has it")
def test_the_rootfs_of_state_is_absolute_though_the_config_says_it_relatively(box):
    box.hold()
    assert box.state["rootfs"] == str(box.rootfs)


def test_the_bundle_of_state_is_absolute_though_given_relatively(box):
    box.args("/probe", "hold")
    box.bundle.save()
    box.runtime.call("create", "-b", "bundle", box.id, cwd=box.directory).check()
    assert box.state["bundle"] == str(box.bundle.path)


def test_the_bundle_is_the_working_directory_when_not_given(box):
    box.args("/probe", "hold")
    box.bundle.save()
    box.runtime.call("create", box.id, cwd=box.bundle.path).check()
    assert box.state["bundle"] == str(box.bundle.path)


@pytest.mark.row("annotations")
def test_state_without_annotations_in_the_config_has_none_or_an_empty_object(box):
    box.hold()
    assert not box.state.get("annotations")


@pytest.mark.row("annotations")
def test_annotations_with_special_characters_come_back_unchanged(box):
    notes = {
        "quote": 'a "b" \\ c',
        "newline": "a\nb",
        "unicode": "tåre ☃",
        "empty": "",
        "html": "<&>",
    }
    box.set("annotations", notes)
    box.hold()
    assert box.state["annotations"] == notes


@pytest.mark.peer(crun="prints neither ociVersion nor rootfs in lists")
def test_list_as_json_holds_the_state_of_each_container(box):
    other = box.sibling("-b")
    box.hold()
    other.args("/probe")
    other.create().check()
    listed = box.runtime.call("list", "--format", "json").check().json
    assert [entry["id"] for entry in listed] == [box.id, other.id]
    for entry, each in zip(listed, (box, other)):
        state = each.state
        assert {key: entry[key] for key in STATE_KEYS} == {key: state[key] for key in STATE_KEYS}
        assert entry["owner"] == "root"


@pytest.mark.peer(crun="prints its lists over several lines")
def test_list_as_json_is_one_compact_line(box):
    box.hold()
    text = box.runtime.call("list", "--format=json").check().out
    assert re.match(
        rf'\[{{"ociVersion":"[^"]+","id":"{box.id}","pid":\d+,"status":"running",'
        r'"bundle":"[^"]+","rootfs":"[^"]+","created":"[^"]+"',
        text,
    )
    assert text.endswith("]\n") and text.count("\n") == 1


@pytest.mark.peer(crun="prints an empty array, not runc's null")
def test_an_empty_list_as_json_is_null(box):
    os.mkdir(box.runtime.root)
    assert box.runtime.call("list", "--format", "json").check().out == "null\n"


def test_an_empty_list_as_json_is_no_entry(box):
    os.mkdir(box.runtime.root)
    assert not box.runtime.call("list", "--format", "json").check().json


def test_list_shows_only_ids_when_asked_to_be_quiet(box):
    other = box.sibling("-b")
    box.hold()
    other.args("/probe")
    other.create().check()
    assert box.runtime.call("list", "-q").check().out.split() == [box.id, other.id]
    assert box.runtime.call("list", "--quiet").check().out.split() == [box.id, other.id]


@pytest.mark.peer(crun="has a table of its own")
def test_list_as_a_table_has_the_columns_of_runc(box):
    box.hold()
    head, row = box.runtime.call("list").check().out.splitlines()
    assert head.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    fields = row.split()
    assert fields[:4] == [box.id, str(box.pid), "running", str(box.bundle.path)]
    assert fields[5] == "root"
    for number, name in enumerate(head.split()[1:], 1):
        assert row[head.index(name) - 1] == " ", "columns are not aligned"
        assert row[head.index(name) :].startswith(fields[number])


def test_list_shows_a_stopped_container_with_pid_0(box):
    box.hold()
    box.stop()
    listed = box.runtime.call("list", "--format", "json").check().json
    assert [(e["id"], e["pid"], e["status"]) for e in listed] == [(box.id, 0, "stopped")]


def test_list_refuses_an_unknown_format(box):
    os.mkdir(box.runtime.root)
    box.runtime.call("list", "--format", "yaml").fails()


@pytest.mark.peer(crun="is content with a missing root", runc="1.1 is content with a missing root")
def test_list_of_a_missing_explicit_root_is_an_error(box):
    box.runtime.call("list").fails()


def test_containers_of_another_root_are_not_listed(box):
    box.hold()
    elsewhere = Runtime(box.runtime.binary, box.directory / "elsewhere")
    elsewhere.root.mkdir(parents=True)
    assert not elsewhere.call("list", "--format", "json").check().json
    assert elsewhere.call("state", box.id).code == 1


def test_list_skips_what_is_no_container(box):
    box.hold()
    (box.runtime.root / "rubbish").mkdir()
    result = box.runtime.call("list", "--quiet").check()
    assert box.id in result.out.split()
    (box.runtime.root / "rubbish").rmdir()


def test_ps_as_json_is_the_array_of_host_pids(box):
    box.hold()
    assert box.runtime.call("ps", "--format", "json", box.id).check().json == [box.pid]
    assert box.runtime.call("ps", "-f", "json", box.id).check().json == [box.pid]


@pytest.mark.peer(crun="prints the array over several lines")
def test_ps_as_json_is_one_compact_line(box):
    box.hold()
    assert box.runtime.call("ps", "--format=json", box.id).check().out == f"[{box.pid}]\n"


def test_ps_counts_every_process_of_the_container(box):
    ready = box.bundle.fifo("ready")
    box.sh("sleep 1000 & sleep 1000 & echo ready > /ready; wait")
    box.create().check()
    box.start().check()
    assert ready.line() == "ready"
    pids = box.runtime.call("ps", "--format", "json", box.id).check().json
    assert len(pids) == len(set(pids)) == 3
    assert box.pid in pids


def test_ps_as_a_table_has_a_pid_column_with_the_init_in_it(box):
    box.hold()
    head, *rows = box.runtime.call("ps", box.id).check().out.splitlines()
    column = head.split().index("PID")
    assert [row.split()[column] for row in rows] == [str(box.pid)]


@pytest.mark.peer(crun="takes no options for ps(1)")
def test_ps_passes_its_arguments_to_ps(box):
    box.hold()
    table = box.runtime.call("ps", box.id, "-e", "-o", "pid,args").check().out
    assert table.splitlines()[0].split() == ["PID", "COMMAND"]
    assert table.splitlines()[1].split() == [str(box.pid), "/probe", "hold", "/ready"]


@pytest.mark.peer(crun="takes no options for ps(1)")
def test_ps_without_a_pid_column_is_an_error(box):
    box.hold()
    result = box.runtime.call("ps", box.id, "-e", "-o", "args").fails()
    assert "couldn't find PID field in ps output" in result.err


@pytest.mark.peer(crun="prints broken JSON without a process")
def test_ps_of_a_stopped_container_lists_no_process(box):
    box.hold()
    box.stop()
    assert not box.runtime.call("ps", "--format", "json", box.id).check().json
    assert len(box.runtime.call("ps", box.id).check().out.splitlines()) == 1, "the heading alone"


FEATURES = pytest.mark.peer(crun="1.8 has no features command")


@FEATURES
def test_features_is_json_that_names_what_callers_look_for(box):
    features = box.runtime.bare("features").check().json
    assert re.fullmatch(r"\d+\.\d+\.\d+", features["ociVersionMin"])
    assert re.match(r"\d+\.\d+\.\d+", features["ociVersionMax"])
    assert {"bind", "rbind", "ro", "nosuid", "rro", "tmpcopyup"} <= set(features["mountOptions"])
    kinds = {"pid", "mount", "uts", "ipc", "network", "cgroup", "user"}
    assert kinds <= set(features["linux"]["namespaces"])
    assert {"CAP_CHOWN", "CAP_SYS_ADMIN"} <= set(features["linux"]["capabilities"])
    assert features["linux"]["cgroup"]["v2"] is True


@FEATURES
def test_features_names_all_hooks(box):
    hooks = box.runtime.bare("features").check().json["hooks"]
    assert set(hooks) == {
        "prestart",
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    }


@FEATURES
def test_features_describes_seccomp(box):
    seccomp = box.runtime.bare("features").check().json["linux"]["seccomp"]
    assert seccomp["enabled"] is True
    assert {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL"} <= set(seccomp["actions"])
    assert {"SCMP_CMP_EQ", "SCMP_CMP_MASKED_EQ"} <= set(seccomp["operators"])
    assert "SCMP_ARCH_X86_64" in seccomp["archs"]


def test_spec_writes_a_config_that_runs(box):
    place = box.path("fresh")
    place.mkdir()
    box.runtime.bare("spec", cwd=place).check()
    config = json.loads((place / "config.json").read_text())
    assert config["process"]["args"] == ["sh"]
    assert config["process"]["terminal"] is True
    assert config["root"] == {"path": "rootfs", "readonly": True}
    config["process"].update(terminal=False, args=["/bin/echo", "it runs"])
    # The device rules need a privilege that this machine may lack for crun.
    config["linux"].get("resources", {}).pop("devices", None)
    box.bundle.config = config
    assert box.run().check().out == "it runs\n"


def test_spec_takes_the_bundle_to_write_to(box):
    place = box.path("fresh")
    place.mkdir()
    box.runtime.bare("spec", "--bundle", place).check()
    assert (place / "config.json").exists()


@pytest.mark.peer(crun="indents with spaces")
def test_spec_indents_with_tabs(box):
    box.runtime.bare("spec", cwd=box.directory).check()
    lines = (box.path("config.json")).read_text().splitlines()
    assert lines[0] == "{" and lines[1].startswith('\t"ociVersion": "')


def test_spec_does_not_overwrite_a_config(box):
    place = box.path("config.json")
    place.write_text("mine")
    box.runtime.bare("spec", cwd=box.directory).fails()
    assert place.read_text() == "mine"


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_of_spec_about_an_existing_config(box):
    box.path("config.json").write_text("mine")
    result = box.runtime.bare("spec", cwd=box.directory).fails()
    assert "File config.json exists. Remove it first" in result.first_error


@pytest.mark.peer(crun="leaves the mappings out")
def test_spec_rootless_maps_the_caller_to_root(box):
    box.runtime.bare("spec", "--rootless", cwd=box.directory).check()
    linux = json.loads(box.path("config.json").read_text())["linux"]
    assert "user" in [namespace["type"] for namespace in linux["namespaces"]]
    expected = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    assert linux["uidMappings"] == expected
    assert linux["gidMappings"] == [{**expected[0], "hostID": os.getegid()}]
    assert "resources" not in linux
