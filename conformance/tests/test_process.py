"""process: what is run, where, with which environment and as which user."""

import os
import signal
import stat

import pytest

from harness import Snapshot

OWN_WORDS = "words its errors in its own way"


def write_program(box, path, text="#!/bin/sh\necho ran $0\n", mode=0o755):
    place = box.rootfs / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    place.chmod(mode)
    return place


@pytest.mark.row("process.args")
def test_the_program_is_looked_up_in_the_path_of_its_environment(box):
    write_program(box, "opt/one/tool", "#!/bin/sh\necho one\n")
    write_program(box, "opt/two/tool", "#!/bin/sh\necho two\n")
    box.set("process.env", ["PATH=/nonexistent:/opt/two:/opt/one:/bin"])
    box.args("tool")
    assert box.run().check().out == "two\n"


@pytest.mark.row("process.args")
def test_the_path_of_the_caller_does_not_count(box):
    write_program(box, "opt/tool")
    box.set("process.env", ["PATH=/bin"])
    box.args("tool")
    assert box.run(env={"PATH": "/opt:/usr/bin:/bin"}).code == 1


@pytest.mark.row("process.args")
def test_a_file_that_is_not_executable_is_passed_over_in_the_path(box):
    write_program(box, "opt/one/tool", "#!/bin/sh\necho one\n", mode=0o644)
    write_program(box, "opt/two/tool", "#!/bin/sh\necho two\n")
    (box.rootfs / "opt/zero/tool").mkdir(parents=True)
    box.set("process.env", ["PATH=/opt/zero:/opt/one:/opt/two:/bin"])
    box.args("tool")
    assert box.run().check().out == "two\n"


@pytest.mark.row("process.args")
def test_a_program_with_a_slash_is_relative_to_the_working_directory(box):
    write_program(box, "opt/dir/tool", "#!/bin/sh\necho relative\n")
    box.set("process.cwd", "/opt")
    box.args("dir/tool")
    assert box.run().check().out == "relative\n"


@pytest.mark.row("process.args", "process.cwd")
def test_a_program_in_the_working_directory_is_not_found_without_a_path_to_it(box):
    write_program(box, "opt/tool")
    box.set("process.cwd", "/opt")
    box.args("tool")
    box.run().fails()


@pytest.mark.row("process.args")
def test_the_program_may_be_a_symlink_that_is_resolved_in_the_rootfs(box):
    os.symlink("/bin/../../bin/busybox", box.rootfs / "bin/linked")
    os.symlink("/bin/linked", box.rootfs / "bin/echo2")
    box.args("/bin/echo2")
    # busybox goes by its name: it runs, and does not know the applet.
    assert "applet not found" in box.run().err


@pytest.mark.row("process.args")
def test_arguments_arrive_unchanged(box):
    words = ["", " a  b ", "'q\"", "$HOME", "*", "new\nline", "tåre", "-x", "--"]
    box.args("/probe", "facts", *words)
    facts = box.run().check().json
    got = [word.encode("latin-1").decode() for word in facts["args"][2:]]
    assert got == words


@pytest.mark.row("process.args")
def test_the_first_argument_is_the_name_of_the_program_as_given(box):
    box.set("process.env", ["PATH=/"])
    box.args("probe", "facts")
    assert box.run().check().json["args"][0] == "probe"


NOT_RUN = {
    "nonesuch": 'exec: "nonesuch": executable file not found in $PATH',
    "/nonexistent": "no such file or directory",
    "/etc": "permission denied|is a directory",  # Go's words, before and since 1.20
    "/etc/passwd": "permission denied",
    "": "",
}


@pytest.mark.row("process.args")
@pytest.mark.parametrize("command", ["create", "run"])
@pytest.mark.parametrize("program", NOT_RUN)
def test_a_program_that_cannot_be_run_fails_the_command_and_leaves_nothing(box, program, command):
    os.mkdir(box.runtime.root)
    before = Snapshot.take(box.runtime.root)
    box.args(program)
    box.command(command).fails()
    assert before.settled(box.runtime.root) == before


@pytest.mark.row("process.args")
@pytest.mark.peer(crun=OWN_WORDS)
@pytest.mark.parametrize("program", [name for name in NOT_RUN if name])
def test_the_words_for_a_program_that_cannot_be_run(box, program):
    box.args(program)
    said = box.run().fails().said
    assert any(words in said for words in NOT_RUN[program].split("|"))


@pytest.mark.row("process.args")
def test_a_script_with_a_missing_interpreter_is_an_error(box):
    write_program(box, "opt/script", "#!/nonexistent/sh\n")
    box.args("/opt/script")
    assert "no such file or directory" in box.run().fails().said.lower()


@pytest.mark.row("process.args")
def test_a_file_of_an_unknown_format_is_an_error(box):
    write_program(box, "opt/blob", "\x01\x02\x03\x04")
    box.args("/opt/blob")
    result = box.run()
    assert result.code != 0
    assert "exec format error" in result.said.lower()


@pytest.mark.row("process.env")
def test_the_environment_is_that_of_the_config_and_nothing_of_the_caller(box):
    box.set("process.env", ["PATH=/bin", "A=1", "EMPTY=", "B=x=y"])
    facts = box.facts(env={"PATH": "/usr/bin:/bin", "SECRET": "s", "LANG": "C"})
    environment = facts.environment
    environment.pop("HOME", None)
    assert environment == {"PATH": "/bin", "A": "1", "EMPTY": "", "B": "x=y"}


@pytest.mark.row("process.env")
def test_the_last_of_duplicate_variables_wins(box):
    box.set("process.env", ["PATH=/bin", "A=1", "A=2", "A=3"])
    facts = box.facts()
    assert [entry for entry in facts["env"] if entry.startswith("A=")] == ["A=3"]


@pytest.mark.row("process.env")
@pytest.mark.parametrize(
    "uid, home",
    [
        (0, "/root"),
        (1000, "/home"),
        pytest.param(4242, "/", marks=pytest.mark.peer(crun="leaves HOME out")),
    ],
)
def test_home_comes_from_the_passwd_file_of_the_container(box, uid, home):
    box.set("process.env", ["PATH=/bin"])
    box.set("process.user", {"uid": uid, "gid": uid})
    assert box.facts().environment["HOME"] == home


@pytest.mark.row("process.env")
def test_home_of_the_config_is_kept(box):
    box.set("process.env", ["PATH=/bin", "HOME=/elsewhere"])
    assert box.facts().environment["HOME"] == "/elsewhere"


@pytest.mark.row("process.env")
@pytest.mark.parametrize("kind", ["missing", "dangling link", "directory", "garbage"])
def test_a_broken_passwd_file_is_no_obstacle(box, kind):
    passwd = box.rootfs / "etc/passwd"
    passwd.unlink()
    if kind == "dangling link":
        os.symlink("/nonexistent", passwd)
    elif kind == "directory":
        passwd.mkdir()
    elif kind == "garbage":
        passwd.write_bytes(b"::::\nroot\n\xff\xfe:x:-1:99999999999999999999\n" * 10)
    box.args("/bin/echo", "runs")
    result = box.run()
    assert result.out == "runs\n" or (kind == "directory" and result.code == 1)


@pytest.mark.row("process.env")
def test_a_passwd_link_out_of_the_rootfs_is_not_followed_there(box):
    outside = box.path("outside")
    outside.write_text("root:x:0:0:root:/stolen:/bin/sh\n")
    (box.rootfs / "etc/passwd").unlink()
    os.symlink(f"/../../../../../../../../..{outside}", box.rootfs / "etc/passwd")
    box.set("process.env", ["PATH=/bin"])
    assert box.facts().environment.get("HOME") != "/stolen"


@pytest.mark.row("process.cwd")
def test_the_working_directory_is_that_of_the_config(box):
    box.set("process.cwd", "/usr/bin")
    assert box.facts()["cwd"] == "/usr/bin"


@pytest.mark.row("process.cwd")
def test_a_missing_working_directory_is_made(box):
    box.set("process.cwd", "/made/for/us")
    assert box.facts()["cwd"] == "/made/for/us"
    mode = os.stat(box.rootfs / "made/for/us").st_mode
    assert stat.S_ISDIR(mode) and mode & 0o777 == 0o755


@pytest.mark.row("process.cwd")
def test_a_working_directory_that_is_a_file_is_an_error(box):
    box.set("process.cwd", "/etc/passwd")
    assert "not a directory" in box.run().fails().said.lower()


@pytest.mark.row("process.cwd")
def test_a_working_directory_through_a_link_stays_in_the_rootfs(box):
    outside = box.path("outside")
    outside.mkdir()
    os.symlink(outside, box.rootfs / "link")
    box.set("process.cwd", "/link/made")
    result = box.run()
    assert list(outside.iterdir()) == []
    if result.code == 0:
        assert result.json["cwd"].startswith(str(outside)), "the same path, inside"
        assert (box.rootfs / str(outside).lstrip("/")).is_dir()


@pytest.mark.row("process.cwd")
def test_dots_in_the_working_directory_do_not_lead_out(box):
    box.set("process.cwd", "/../../../../usr")
    result = box.run()
    assert result.code == 1 or result.json["cwd"] == "/usr"


@pytest.mark.row("process.cwd")
def test_a_user_may_start_in_a_directory_that_only_root_can_enter(box):
    place = box.rootfs / "private"
    place.mkdir(mode=0o700)
    box.set("process.cwd", "/private")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    facts = box.facts()
    assert facts["cwd"] == "/private"


@pytest.mark.row("process.cwd")
def test_a_user_may_start_in_a_directory_that_only_he_can_enter(box):
    place = box.rootfs / "own"
    place.mkdir(mode=0o700)
    os.chown(place, 1000, 1000)
    box.set("process.cwd", "/own")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    assert box.facts()["cwd"] == "/own"


@pytest.mark.row("process.args", "process.cwd")
@pytest.mark.parametrize("fd", range(3, 12))
def test_no_descriptor_leads_to_the_host_as_a_working_directory(box, fd):
    """CVE-2024-21626: a directory of the host, left open, as the working directory."""
    box.set("process.cwd", f"/proc/self/fd/{fd}")
    box.args("/bin/sh", "-c", "ls ../../.. ; pwd -P")
    result = box.run()
    assert result.code != 0 or "tconf" not in result.out


@pytest.mark.row("process.user")
def test_uid_gid_and_groups_are_those_of_the_config(box):
    box.set("process.user", {"uid": 12, "gid": 34, "additionalGids": [56, 78]})
    facts = box.facts()
    assert facts["uids"] == [12] * 3 and facts["gids"] == [34] * 3
    assert set(facts["groups"]) - {34} == {56, 78}


@pytest.mark.row("process.user")
def test_without_additional_gids_no_group_of_the_caller_stays(box):
    facts = box.facts(preexec_fn=lambda: os.setgroups([4, 24, 27]))
    assert set(facts["groups"]) <= {0}


@pytest.mark.row("process.user")
@pytest.mark.parametrize("mask", [0o0, 0o22, 0o27, 0o777])
def test_the_umask_is_that_of_the_config(box, mask):
    box.set("process.user.umask", mask)
    assert box.facts()["umask"] == mask


@pytest.mark.row("process.user")
def test_without_a_umask_in_the_config_it_is_0022(box):
    assert box.facts(umask=0o77)["umask"] == 0o22


def test_the_streams_belong_to_the_user_where_that_is_needed_to_open_them_again(box):
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.sh("echo once more > /dev/stdout")
    ours, theirs = os.pipe()
    box.run(stdout=theirs)
    os.close(theirs)
    with os.fdopen(ours) as file:
        assert file.read() == "once more\n"


@pytest.mark.peer(runc="passes the blocked signals of the caller on")
def test_the_container_starts_with_clean_signal_settings(box):
    def spoil():
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})

    facts = box.facts(preexec_fn=spoil, restore_signals=False)
    assert facts["blocked_signals"] == []
    assert facts["pdeathsig"] == 0


def test_the_container_is_a_session_leader_of_its_own(box):
    facts = box.facts()
    assert (facts["pid"], facts["sid"], facts["pgid"]) == (1, 1, 1)


@pytest.mark.row("hostname")
def test_the_hostname_is_that_of_the_config(box):
    box.set("hostname", "a-name")
    assert box.facts()["hostname"] == "a-name"
    assert os.uname().nodename != "a-name"


@pytest.mark.row("domainname")
@pytest.mark.peer(runc="1.1 does not know the field")
def test_the_domainname_is_that_of_the_config(box):
    box.set("domainname", "example.org")
    assert box.facts()["domainname"] == "example.org"


@pytest.mark.row("root")
def test_a_readonly_root_cannot_be_written(box):
    box.set("root.readonly", True)
    box.sh("echo x > /file || echo refused")
    assert box.run().check().out == "refused\n"
    assert not (box.rootfs / "file").exists()


@pytest.mark.row("root")
def test_an_absolute_root_path_works_as_well(box):
    box.set("root.path", str(box.rootfs))
    assert box.facts()["pid"] == 1
