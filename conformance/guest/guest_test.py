"""Tests of the guest's own promises; `tools/test guest` runs them, and they need no runtime."""

import os
import pathlib
import select
import signal
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent


@pytest.fixture(scope="session", autouse=True)
def guest():
    """The guest is built, or every test is skipped with the reason."""
    built = subprocess.run([HERE / "build"], capture_output=True, text=True, check=False)
    if built.returncode == 3:
        pytest.skip(built.stderr.strip())
    assert built.returncode == 0, built.stderr
    return pathlib.Path(built.stdout.strip())


def argv(*words, command):
    return [HERE / "run", *words, "--", *command]


def run(*words, command):
    return subprocess.run(argv(*words, command=command), capture_output=True, text=True, check=False)


def shell(script, *words):
    """A script that must succeed; its output."""
    result = run(*words, command=["sh", "-euc", script])
    assert result.returncode == 0, result.stderr
    return result.stdout


def children(pid):
    text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8")
    return [int(word) for word in text.split()]


def test_output_and_status_are_the_commands():
    result = run(command=["sh", "-c", "echo to out; echo to err >&2; exit 7"])
    assert (result.stdout, result.stderr, result.returncode) == ("to out\n", "to err\n", 7)


def test_arguments_arrive_as_they_are():
    words = ["a b", "$HOME", "%n", "$$", "*", "'", '"', "", "-x"]
    result = run(command=["printf", "[%s]", *words])
    assert result.stdout == "".join(f"[{word}]" for word in words)


def test_a_program_that_is_missing_and_one_that_is_killed_have_the_status_of_a_shell():
    assert run(command=["/no/such/program"]).returncode == 127
    assert run(command=["sh", "-c", "kill -KILL $$"]).returncode == 137


def test_much_output_comes_whole():
    assert run(command=["seq", "50000"]).stdout == "".join(f"{n}\n" for n in range(1, 50001))


def test_a_share_is_seen_and_cannot_be_changed_and_results_come_out(tmp_path):
    given, made = tmp_path / "given", tmp_path / "made"
    given.mkdir()
    made.mkdir()
    (given / "file").write_text("of the host\n")
    script = "cat file; ! touch file; ! touch new; echo done >/results/result"
    assert shell(script, "--share", given, "--results", made) == "of the host\n"
    assert (made / "result").read_text() == "done\n"
    assert os.listdir(given) == ["file"]


def test_guests_side_by_side_do_not_see_each_other():
    script = "echo {0} >/root/mark; sync; cat /root/*; cat /proc/sys/kernel/random/uuid"
    command = [argv(command=["sh", "-c", script.format(n)]) for n in range(3)]
    running = [subprocess.Popen(c, stdout=subprocess.PIPE, text=True) for c in command]
    said = [process.communicate()[0].split() for process in running]
    assert [words[0] for words in said] == ["0", "1", "2"]
    assert all(len(words) == 2 for words in said)
    # Though all begin with the same memory, their random numbers differ.
    assert len({words[1] for words in said}) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_the_guest_too(number):
    command = argv(command=["sh", "-c", "echo up; exec sleep 1000"])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "up\n"
        ends = [os.pidfd_open(pid) for pid in children(process.pid)]
        process.send_signal(number)
        process.wait(20)
    assert ends
    for end in ends:
        assert select.select([end], [], [], 20)[0], "the emulator is still there"
        os.close(end)


def test_a_command_that_takes_too_long_is_ended():
    result = run("--timeout", "5", command=["sleep", "1000"])
    assert result.returncode == 124
    assert "not done after 5 s" in result.stderr


def test_every_controller_is_handed_on_in_one_pure_hierarchy():
    wanted = {"cpu", "io", "memory", "pids", "hugetlb", "rdma", "misc", "cpuset"}
    script = "cd /sys/fs/cgroup; stat -fc %T .; cat cgroup.controllers cgroup.subtree_control"
    kind, *lists = shell(script).splitlines()
    assert kind == "cgroup2fs"
    assert all(wanted <= set(line.split()) for line in lists)


def test_systemd_is_running_in_order_and_apparmor_is_on():
    assert shell("systemctl is-system-running; aa-enabled").split() == ["running", "Yes"]
    assert "tare-test (enforce)" in shell("cat /sys/kernel/security/apparmor/profiles")


def test_a_user_has_a_bus_and_ids_and_a_cgroup():
    script = (
        "id -u; systemctl --user is-system-running; cut -d: -f2- /etc/subuid;"
        " cat /sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)/cgroup.controllers"
    )
    uid, state, ids, controllers = shell(script, "--user", "user").splitlines()
    assert (uid, state, ids) == ("1000", "running", "100000:65536")
    assert set(controllers.split()) == {"cpuset", "cpu", "io", "memory", "pids"}


def test_the_clock_is_the_hosts():
    assert abs(int(shell("date +%s")) - int(subprocess.check_output(["date", "+%s"]))) < 30
