"""exec: its flags, its process file, its exit codes, and its pid file."""

import json
import os
import re
import signal

import pytest

from harness import events, host
from harness.facts import Facts


def failed_itself(result):
    """Checks that it was the runtime that failed, which crun sometimes says with 1."""
    assert result.code == 255 or (result.code == 1 and "crun" in result.argv[0]), result
    assert result.err.strip(), result
    return result


@pytest.fixture
def held(box):
    """A running container to exec into."""
    return box.hold()


def base_process(*args, **more):
    return {
        "args": list(args),
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0},
        **more,
    }


@pytest.mark.parametrize("code", [0, 1, 9, 126, 127, 255])
def test_exec_exits_with_the_code_of_its_process(held, code):
    assert held.exec("sh", "-c", f"exit {code}").code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_exec_exits_with_128_and_the_signal_that_ended_its_process(held, number):
    assert held.exec("/probe", "die", int(number)).code == 128 + number


def test_exec_passes_its_three_streams(held):
    result = held.exec("sh", "-c", "cat; echo err >&2", stdin=b"text\n").check()
    assert (result.out, result.err) == ("text\n", "err\n")


def test_exec_is_in_the_namespaces_and_the_cgroup_of_the_container(held):
    facts = held.exec_facts()
    for kind in ("pid", "mnt", "ipc", "uts", "net", "cgroup"):
        assert facts["namespaces"][kind] == os.readlink(f"/proc/{held.pid}/ns/{kind}")
    assert facts["cgroup"][-1] == "0::/"
    assert facts["pid"] > 1


@pytest.mark.peer(crun="takes the working directory from the process file only")
def test_exec_has_the_process_of_the_config_as_its_own(box):
    box.set("process.env", ["PATH=/bin", "COLOUR=green"])
    box.set("process.cwd", "/tmp")
    box.set("process.user", {"uid": 1000, "gid": 1000, "additionalGids": [2000]})
    box.set("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 321, "hard": 456}])
    os.chmod(box.rootfs / "tmp", 0o1777)
    box.hold()
    facts = box.exec_facts()
    assert facts.environment["COLOUR"] == "green"
    assert facts["cwd"] == "/tmp"
    assert facts["uids"] == [1000] * 3 and facts["gids"] == [1000] * 3
    assert 2000 in facts["groups"]
    assert facts["rlimits"]["RLIMIT_CORE"] == [321, 456]
    assert facts["no_new_privs"] == 1


def test_exec_has_the_capabilities_of_the_config(held):
    expected = set(held.config["process"]["capabilities"]["bounding"])
    facts = held.exec_facts()
    for which in ("bounding", "effective", "permitted"):
        assert facts.capabilities(which) == expected
    assert not facts.capabilities("ambient")


@pytest.mark.parametrize("flags", [("--cwd", "/tmp"), ("--cwd=/tmp",)])
def test_cwd_sets_the_working_directory(held, flags):
    assert held.exec_facts(*flags)["cwd"] == "/tmp"


@pytest.mark.peer(crun="enters it as the user, without the right to")
def test_a_working_directory_that_is_closed_to_the_new_user_is_entered_all_the_same(box):
    closed = box.rootfs / "closed"
    closed.mkdir(0o700)
    os.chown(closed, 42, 42)
    box.set("process.cwd", "/closed")
    box.set("process.user", {"uid": 42, "gid": 42})
    box.set("process.capabilities", {})
    box.hold()
    assert box.exec_facts("--user", "0")["cwd"] == "/closed"


@pytest.mark.peer(crun="makes the directory")
def test_a_working_directory_that_is_not_there_is_an_error_of_exec_itself(held):
    result = failed_itself(held.exec("true", flags=["--cwd", "/nonexistent/at/all"]))
    assert "no such file or directory" in result.err


@pytest.mark.peer(crun="1.8 lets --env replace the environment of the config")
@pytest.mark.parametrize("flag", ["--env", "-e"])
def test_env_adds_to_the_environment_of_the_config_and_the_last_one_wins(held, flag):
    facts = held.exec_facts(flag, "ONE=1", flag, "TWO=2 and more", flag, "TERM=dumb")
    assert facts.environment["ONE"] == "1"
    assert facts.environment["TWO"] == "2 and more"
    assert facts.environment["TERM"] == "dumb"
    assert facts.environment["PATH"].endswith(":/bin")


@pytest.mark.parametrize("flag", ["--user", "-u"])
def test_user_sets_uid_and_gid(held, flag):
    facts = held.exec_facts(flag, "1000:2000")
    assert facts["uids"] == [1000] * 3 and facts["gids"] == [2000] * 3


def test_user_without_a_gid_keeps_the_gid_of_the_config(held):
    facts = held.exec_facts("--user", "1000")
    assert facts["uids"] == [1000] * 3 and facts["gids"] == [0] * 3


NEGATIVE = pytest.mark.peer(crun="takes an id that is none")


@pytest.mark.parametrize(
    "user",
    [
        "nobody",
        "1000:staff",
        pytest.param("-1", marks=NEGATIVE),
        pytest.param("4294967295", marks=NEGATIVE),
    ],
)
def test_user_refuses_what_is_no_id(held, user):
    failed_itself(held.exec("/probe", flags=["--user", user]))


@pytest.mark.peer(crun="1.8 does not have this flag")
@pytest.mark.parametrize("flag", ["--additional-gids", "-g"])
def test_additional_gids_adds_groups(held, flag):
    assert {100, 101} <= set(held.exec_facts(flag, "100", flag, "101")["groups"])


@pytest.mark.peer(crun="lets --cap replace the capabilities of the config")
@pytest.mark.parametrize("flag", ["--cap", "-c"])
def test_cap_adds_capabilities(held, flag):
    facts = held.exec_facts(flag, "CAP_NET_RAW", flag, "CAP_CHOWN")
    wanted = {"CAP_NET_RAW", "CAP_CHOWN", "CAP_KILL"}
    for which in ("bounding", "effective", "permitted"):
        assert wanted <= facts.capabilities(which), which


def test_no_new_privs_is_set_by_the_flag_where_the_config_does_not(box):
    box.set("process.noNewPrivileges", False)
    box.hold()
    assert box.exec_facts()["no_new_privs"] == 0
    assert box.exec_facts("--no-new-privs")["no_new_privs"] == 1


@pytest.mark.parametrize("flag", ["--process", "-p"])
def test_a_process_file_describes_the_whole_process(held, flag):
    path = held.path("process.json")
    process = base_process("/probe", env=["A=b"], cwd="/tmp", user={"uid": 5, "gid": 6})
    process["capabilities"] = {"bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}
    process["noNewPrivileges"] = True
    path.write_text(json.dumps(process))
    facts = Facts(held.runtime.call("exec", flag, path, held.id).check().json)
    assert facts.environment["A"] == "b" and facts["cwd"] == "/tmp"
    assert facts["uids"] == [5] * 3 and facts["gids"] == [6] * 3
    assert facts.capabilities("bounding") == {"CAP_CHOWN"}
    assert facts["no_new_privs"] == 1


def test_a_process_file_may_be_a_descriptor_that_a_shell_has_opened(held):
    """`exec --process <(...)` of a shell, which names it /dev/fd/N."""
    read_end, write_end = os.pipe()
    os.write(write_end, json.dumps(base_process("sh", "-c", "exit 42")).encode())
    os.close(write_end)
    named = f"/dev/fd/{read_end}"
    result = held.runtime.call("exec", "--process", named, held.id, pass_fds=[read_end])
    os.close(read_end)
    assert result.code == 42, result


def test_a_process_file_may_ask_for_less_than_the_config(held):
    process = base_process("/probe", capabilities={})
    facts = Facts(held.exec_process(process).check().json)
    assert not facts.capabilities("effective")
    assert facts["no_new_privs"] == 0


@pytest.mark.peer(runc="1.1 takes the umask of the config only")
def test_a_process_file_sets_umask_and_rlimits_and_groups(held):
    process = base_process("/probe")
    process["user"] = {"uid": 1, "gid": 2, "umask": 0o27, "additionalGids": [3, 4]}
    process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 1}]
    facts = Facts(held.exec_process(process).check().json)
    assert facts["umask"] == 0o27
    assert {3, 4} <= set(facts["groups"])
    assert facts["rlimits"]["RLIMIT_CORE"] == [0, 1]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"args": "sh"}', '{"args": []}', "{}"])
def test_a_bad_process_file_is_a_failure_of_its_own(held, text):
    path = held.path("process.json")
    path.write_text(text)
    failed_itself(held.runtime.call("exec", "--process", path, held.id))


def test_a_missing_process_file_is_a_failure_of_its_own(held):
    result = held.runtime.call("exec", "--process", "/nonexistent", held.id)
    assert "no such file or directory" in failed_itself(result).err.lower()


def test_exec_without_a_program_is_an_error(held):
    result = held.runtime.call("exec", held.id)
    assert result.code != 0 and result.err.strip()


NOT_RUN = {
    "nonesuch": 'exec: "nonesuch": executable file not found in $PATH',
    "/nonexistent": "no such file or directory",
    "/etc": "permission denied|is a directory",  # Go's words, before and since 1.20
    "/etc/passwd": "permission denied",
}


@pytest.mark.parametrize("program", NOT_RUN)
def test_a_program_that_cannot_be_run_is_a_failure_of_exec_itself(held, program):
    failed_itself(held.exec(program))


@pytest.mark.peer(crun="words its errors in its own way")
@pytest.mark.parametrize("program", NOT_RUN)
def test_the_words_for_a_program_that_cannot_be_run(held, program):
    said = failed_itself(held.exec(program)).said
    assert "exec failed: unable to start container process: " in said
    assert any(words in said for words in NOT_RUN[program].split("|"))


def test_detach_returns_while_the_process_runs_as_a_child_of_the_caller(held):
    ready, pid_file = held.bundle.fifo("told"), held.path("pid")
    flags = ["--detach", "--pid-file", pid_file]
    held.exec("/probe", "hold", "/told", flags=flags).check()
    assert ready.line() == "ready"
    assert re.fullmatch(r"[1-9][0-9]*", pid_file.read_text())
    pid = int(pid_file.read_text())
    assert pid in host.descendants() and not held.company(pid)
    os.kill(pid, signal.SIGTERM)
    assert events.reap(pid) == 7


@pytest.mark.parametrize("flag", ["-d", "--detach"])
def test_a_detached_exec_of_a_program_that_is_not_there_fails(held, flag):
    failed_itself(held.exec("nonesuch", flags=[flag]))
    assert not held.company()


def test_no_pid_file_is_written_when_the_program_is_not_there(held):
    pid_file = held.path("pid")
    failed_itself(held.exec("nonesuch", flags=["--detach", "--pid-file", pid_file]))
    assert not pid_file.exists()


def test_the_pid_file_of_a_foreground_exec_names_its_process(held):
    pid_file = held.path("pid")
    done = held.exec("sh", "-c", "grep NSpid /proc/self/status", flags=["--pid-file", pid_file])
    assert done.check().out
    assert re.fullmatch(r"[1-9][0-9]*", pid_file.read_text())


def test_a_foreground_exec_forwards_signals(held):
    told = held.bundle.fifo("told")
    call = held.runtime.popen("exec", held.id, "/probe", "catch", "/told")
    assert told.line() == "ready"
    call.process.send_signal(signal.SIGUSR1)
    call.process.send_signal(signal.SIGTERM)
    result = call.wait().check()
    assert set(result.out.split()) >= {str(int(signal.SIGTERM))}


def test_a_foreground_exec_ends_with_the_container(held):
    told = held.bundle.fifo("told")
    call = held.runtime.popen("exec", held.id, "/probe", "hold", "/told")
    assert told.line() == "ready"
    held.stop()
    assert call.wait().code == 128 + 9


def test_exec_into_a_container_that_was_killed_fails_and_says_so(held):
    held.stop()
    failed_itself(held.exec("true"))


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_stopped_container(held):
    held.stop()
    said = held.exec("true").fails(255).said
    assert "cannot exec in a stopped container" in said


def test_exec_into_a_paused_container_fails(held):
    held.runtime.call("pause", held.id).check()
    failed_itself(held.exec("true"))
    held.runtime.call("resume", held.id).check()
    held.exec("true").check()


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_paused_container(held):
    held.runtime.call("pause", held.id).check()
    said = held.exec("true").fails(255).said
    assert "cannot exec in a paused container (use --ignore-paused to override)" in said
    held.runtime.call("resume", held.id).check()


@pytest.mark.peer(crun="1.8 does not have this flag")
def test_ignore_paused_waits_for_the_container_to_be_resumed(held):
    held.runtime.call("pause", held.id).check()
    call = held.runtime.popen("exec", "--ignore-paused", held.id, "echo", "thawed")
    with pytest.raises(events.Missing):
        events.wait_exit(call.pid, 0.1)
    held.runtime.call("resume", held.id).check()
    assert call.wait().check().out == "thawed\n"


@pytest.mark.row("preserve-fds")
def test_preserved_descriptors_reach_the_process_and_no_others(held):
    null, zero = os.open("/dev/null", os.O_RDWR), os.open("/dev/zero", os.O_RDWR)

    def arrange():
        os.dup2(null, 3)
        os.dup2(zero, 4)

    flags = {"close_fds": False, "preexec_fn": arrange}
    facts = held.exec_facts("--preserve-fds", "1", **flags)
    os.close(null)
    os.close(zero)
    assert facts["fds"].pop("3") == "/dev/null"
    assert set(facts["fds"]) == {"0", "1", "2"}


def test_many_execs_at_once_all_run(held):
    calls = [held.runtime.popen("exec", held.id, "echo", number) for number in range(8)]
    assert [call.wait().check().out for call in calls] == [f"{n}\n" for n in range(8)]


def test_an_exec_does_not_change_the_state_of_the_container(held):
    before = held.state
    held.exec("false")
    held.exec("nonesuch")
    assert held.state == before


def test_cgroup_runs_the_process_in_a_cgroup_below_that_of_the_container(held):
    top = host.CGROUPS / host.cgroups()[0]
    (top / "below").mkdir()
    told = held.bundle.fifo("told")
    flags = ["--cgroup", "below", "--detach", "--pid-file", held.path("pid")]
    held.exec("/probe", "hold", "/told", flags=flags).check()
    assert told.line() == "ready"
    assert (top / "below/cgroup.procs").read_text() == held.path("pid").read_text() + "\n"
    failed_itself(held.exec("true", flags=["--cgroup", "nonesuch"]))
    failed_itself(held.exec("true", flags=["--cgroup", "../.."]))
    # The container's init cannot end before this child of ours is collected.
    host.kill_processes([int(held.path("pid").read_text())])


@pytest.mark.peer(crun="takes an empty profile for one")
def test_the_flags_for_security_modules_are_known_and_may_be_empty(held):
    held.exec("true", flags=["--apparmor", "", "--process-label", ""]).check()


@pytest.mark.row("process.apparmorProfile")
def test_an_apparmor_profile_without_apparmor_is_an_error(held):
    failed_itself(held.exec("true", flags=["--apparmor", "nonesuch"]))
