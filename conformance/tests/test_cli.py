"""The command line: global flags, where flags may stand, help, version, and bad usage."""

import json
import os
import re
import pytest

COMMANDS = "create start state kill delete run exec list ps pause resume spec features".split()


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_succeeds_and_names_it(box, command):
    if command == "features" and box.runtime.kind == "crun":
        pytest.skip("crun 1.8 has no features command")
    for flag in ("--help", "-h" if box.runtime.kind != "crun" else "-?"):
        result = box.runtime.bare(command, flag).check()
        assert command in result.out and not result.err


@pytest.mark.peer(crun="has no help command")
@pytest.mark.parametrize("command", COMMANDS)
def test_help_with_a_command_prints_the_help_of_that_command(box, command):
    assert (
        box.runtime.bare("help", command).check().out
        == box.runtime.bare(command, "--help").check().out
    )


def test_help_of_all_names_every_command(box):
    text = box.runtime.bare("--help").check().out
    wanted = set(COMMANDS) - ({"features"} if box.runtime.kind == "crun" else set())
    assert wanted <= set(re.findall(r"[a-z]+", text))


@pytest.mark.peer(crun="has no help command")
def test_help_of_an_unknown_topic_fails_in_the_words_of_runc(box):
    result = box.runtime.bare("help", "foo")
    assert result.code != 0
    assert "No help topic for 'foo'" in result.err


@pytest.mark.parametrize("flag", ["--version", "-v"])
def test_version_has_the_lines_that_callers_parse(box, flag):
    if flag == "-v" and box.runtime.kind == "crun":
        pytest.skip("crun takes -V")
    lines = box.runtime.bare(flag).check().out.splitlines()
    assert re.match(r"\S+ version \d+\.\d+(\.\d+)?", lines[0])
    assert any(re.match(r"spec: \d+\.\d+\.\d+", line) for line in lines[1:])


@pytest.mark.parametrize(
    "words", [("frobnicate",), ("state", "--frobnicate", "x"), ("--frob", "list")]
)
def test_unknown_commands_and_flags_fail_and_are_named(box, words):
    result = box.runtime.bare(*words)
    assert 0 < result.code < 126
    assert "frob" in result.err


@pytest.mark.tare("runc exits with 1 for a flag but 3 for a command, crun with 64 for a flag")
@pytest.mark.parametrize(
    "words", [("frobnicate",), ("state", "--frobnicate", "x"), ("--frob", "list")]
)
def test_unknown_commands_and_flags_exit_with_1(box, words):
    box.runtime.bare(*words).fails(1)


@pytest.mark.parametrize(
    "words",
    [
        ("state",),
        ("start",),
        ("delete",),
        ("kill",),
        ("pause",),
        ("resume",),
        ("create",),
        ("run",),
        ("ps",),
    ],
    ids=lambda words: words[0],
)
def test_a_missing_id_is_bad_usage(box, words):
    box.bundle.save()
    result = box.runtime.call(*words, cwd=box.bundle.path)
    assert 0 < result.code < 126
    assert result.err.strip()


@pytest.mark.parametrize(
    "command", ["state", "start", "delete", "pause", "resume", "create", "run"]
)
def test_a_second_id_is_bad_usage(box, command):
    box.bundle.save()
    box.runtime.call(command, "one", "two", cwd=box.bundle.path).fails()
    assert box.runtime.ids() == []


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_missing_id(box):
    result = box.runtime.call("state").fails()
    assert re.search(r'"state\\?" requires exactly 1 argument', result.err)


def test_a_flag_without_its_value_is_bad_usage(box):
    result = box.runtime.bare("create", "--bundle")
    assert 0 < result.code < 126
    assert result.err.strip()


def test_the_words_for_a_flag_without_its_value_are_those_that_podman_probes_for(box):
    result = box.runtime.bare("create", "--console-socket")
    assert re.search(r"flag needs an argument|requires an argument", result.out + result.err)


def test_flags_may_stand_with_an_equals_sign(box):
    box.args("/probe", "hold")
    box.bundle.save()
    root, bundle = f"--root={box.runtime.root}", f"--bundle={box.bundle.path}"
    box.runtime.bare(root, "create", bundle, f"--pid-file={box.path('pid')}", box.id).check()
    assert box.path("pid").read_text() == str(box.pid)


@pytest.mark.peer(crun="takes long flags with two dashes only")
def test_long_flags_may_stand_with_one_dash(box):
    box.args("/probe", "hold")
    box.bundle.save()
    box.runtime.bare(
        "-root", box.runtime.root, "create", "-bundle", box.bundle.path, box.id
    ).check()
    assert box.status == "created"
    box.delete("-force").check()


@pytest.mark.peer(crun="takes long flags with two dashes only")
def test_the_no_subreaper_flag_is_known_with_one_dash(box):
    box.sh("exit 6")
    assert box.run("-no-subreaper").code == 6


@pytest.mark.peer(crun="stops looking for flags at the first word")
def test_flags_may_stand_after_the_id(box):
    box.args("/probe", "hold")
    box.bundle.save()
    box.runtime.call("create", box.id, "--bundle", box.bundle.path, "--no-new-keyring").check()
    assert box.status == "created"
    box.runtime.call("delete", box.id, "--force").check()
    assert box.state is None


def test_flags_after_the_id_of_exec_belong_to_the_program(box):
    box.hold()
    assert box.exec("echo", "--cwd", "/nowhere", "-t").check().out == "--cwd /nowhere -t\n"


def test_two_dashes_end_the_flags(box):
    box.hold()
    assert box.runtime.call("state", "--", box.id).check().json["id"] == box.id
    assert box.runtime.call("exec", "--", box.id, "echo", "-n", "a").check().out == "a"


@pytest.mark.parametrize("value", ["true", "false", "auto"])
def test_rootless_is_accepted_with_its_three_values(box, value):
    os.mkdir(box.runtime.root)
    box.runtime.call(f"--rootless={value}", "list").check()
    box.runtime.call("--rootless", value, "list").check()


def test_systemd_cgroup_and_debug_are_accepted_before_any_command(box):
    os.mkdir(box.runtime.root)
    box.runtime.call("--debug", "--systemd-cgroup", "list").check()


@pytest.mark.peer(runc="has no --cgroup-manager")
@pytest.mark.parametrize("value", ["cgroupfs", "systemd", "disabled"])
def test_cgroup_manager_is_accepted_as_by_crun(box, value):
    os.mkdir(box.runtime.root)
    box.runtime.call("--cgroup-manager", value, "list").check()
    box.runtime.call(f"--cgroup-manager={value}", "list").check()


@pytest.mark.peer(runc="has no --cgroup-manager", crun="1.8 falls back to a driver")
def test_an_unknown_cgroup_manager_is_an_error(box):
    os.mkdir(box.runtime.root)
    assert "nonesuch" in box.runtime.call("--cgroup-manager", "nonesuch", "list").fails().err


@pytest.mark.peer(crun="takes /", runc="1.1 takes /")
def test_the_root_of_everything_is_no_state_directory(box):
    result = box.runtime.bare("--root", "/", "list").fails()
    assert "--root" in result.err


def test_a_relative_root_is_relative_to_the_working_directory(box):
    box.hold()
    result = box.runtime.bare("--root", "state", "state", box.id, cwd=box.directory)
    assert result.check().json["id"] == box.id


def test_the_state_directory_is_made_when_it_is_missing(box):
    box.runtime.root = box.runtime.root / "a" / "b"
    box.hold()
    assert box.status == "running"


def test_the_log_file_is_appended_to(box):
    log = box.path("log")
    log.write_text("before\n")
    box.runtime.call("--log", log, "state", "nobody").fails()
    lines = log.read_text().splitlines()
    assert lines[0] == "before" and len(lines) > 1


@pytest.mark.peer(crun="writes bare text")
def test_the_text_log_has_the_form_of_logrus(box):
    log = box.path("log")
    result = box.runtime.call(f"--log={log}", "state", "nobody").fails()
    lines = log.read_text().splitlines()
    assert len(lines) == 1
    assert re.fullmatch(
        r'time="[-0-9T:.Z+]+" level=error msg="?container does not exist"?', lines[0]
    )
    assert "container does not exist" in result.first_error


FAILURES = {
    "unknown container": ("state", "nobody"),
    "no bundle": pytest.param(
        ("create", "--bundle", "/nonexistent", "name"),
        marks=pytest.mark.peer(crun="looks for the bundle before it opens the log"),
    ),
    "unknown signal": ("kill", "nobody", "NONSENSE"),
}


@pytest.mark.parametrize("words", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("joined", [True, False], ids=["joined", "apart"])
def test_a_failure_leaves_exactly_one_json_line_in_the_log(box, words, joined):
    log = box.path("log.json")
    flags = (
        [f"--log={log}", "--log-format=json"] if joined else ["--log", log, "--log-format", "json"]
    )
    result = box.runtime.call(*flags, *words).fails()
    entry = json.loads(log.read_text())  # one object and nothing else, as podman reads it
    assert entry["level"] == "error"
    assert entry["msg"].strip()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", entry["time"])
    assert entry["msg"].splitlines()[0].strip() in result.first_error


@pytest.mark.peer(runc="1.1 adds a warning about a counter of a cgroup that is gone")
def test_a_failure_at_exec_time_leaves_exactly_one_json_line_in_the_log(box):
    box.args("/nonexistent")
    log = box.path("log.json")
    box.bundle.save()
    flags = ("--log", log, "--log-format", "json", "run", "--bundle", box.bundle.path, box.id)
    result = box.runtime.call(*flags).fails()
    entry = json.loads(log.read_text())
    assert entry["level"] == "error"
    assert "no such file or directory" in entry["msg"].lower()
    assert "no such file or directory" in result.first_error.lower()


def test_a_success_leaves_no_line_in_the_json_log(box):
    log = box.path("log.json")
    box.sh("exit 0")
    box.bundle.save()
    flags = ("--log", log, "--log-format", "json", "run", "--bundle", box.bundle.path, box.id)
    result = box.runtime.call(*flags).check()
    assert not log.exists() or log.read_text() == ""
    assert (result.out, result.err) == ("", "")


@pytest.mark.peer(crun="1.8 logs no debug lines")
def test_debug_adds_debug_lines_to_the_log(box):
    log = box.path("log")
    box.sh("exit 0")
    box.bundle.save()
    words = ("run", "--bundle", box.bundle.path, box.id)
    box.runtime.call("--debug", "--log", log, *words).check()
    assert "level=debug" in log.read_text()
    box.runtime.call("--debug", f"--log={log}.json", "--log-format", "json", *words).check()
    entries = [json.loads(line) for line in open(f"{log}.json", encoding="utf-8")]
    assert entries and {entry["level"] for entry in entries} == {"debug"}


def test_an_unknown_log_format_is_an_error(box):
    os.mkdir(box.runtime.root)
    assert "xml" in box.runtime.call("--log-format", "xml", "list").fails().err


def test_a_log_that_cannot_be_opened_is_an_error(box):
    os.mkdir(box.runtime.root)
    result = box.runtime.call("--log", "/nonexistent/log", "list").fails()
    assert "no such file or directory" in result.err.lower()


def test_commands_work_without_any_environment(box):
    box.args("/probe", "hold", "/ready")
    ready = box.bundle.fifo("ready")
    box.create(env={}).check()
    box.start(env={}).check()
    assert ready.line() == "ready"
    assert box.runtime.call("state", box.id, env={}).check().json["status"] == "running"
    box.runtime.call("pause", box.id, env={}).check()
    box.runtime.call("resume", box.id, env={}).check()
    pid = box.pid
    box.kill("9", env={}).check()
    box.wait(pid)
    box.delete("--force", env={}).check()


def test_an_error_is_one_line_on_standard_error(box):
    result = box.runtime.call("state", "nobody").fails()
    assert result.out == ""
    assert len(result.err.splitlines()) == 1
