"""Terminals: the console socket, the size, a foreground run and exec in a tty, the pidfd socket."""

import array
import os
import re
import signal
import socket
import stat
import termios

import pytest

from harness import ConsoleSocket, Pty, events

pytestmark = pytest.mark.row("process.terminal")


SIZE = pytest.mark.peer(crun="1.8 does not follow the size of the terminal")


@pytest.fixture
def console(box):
    listener = ConsoleSocket(box.path("console"))
    yield listener
    listener.close()


@pytest.fixture
def screen():
    made = Pty(30, 90)
    yield made
    made.close()


@pytest.fixture
def with_terminal(box):
    """A container whose config asks for a terminal."""
    box.set("process.terminal", True)
    return box


def test_create_sends_the_master_of_a_terminal_to_the_console_socket(with_terminal, console):
    box = with_terminal
    box.args("/bin/echo", "to the terminal")
    box.create("--console-socket", console.path).check()
    master = console.receive()
    assert stat.S_ISCHR(os.fstat(master).st_mode) and os.isatty(master)
    assert len(console.fds) == 1
    pid = box.pid
    box.start().check()
    assert box.wait(pid) == 0
    assert events.read_until(master, "\n") == "to the terminal\r\n"


def test_the_payload_beside_the_terminal_is_a_short_name(with_terminal, console):
    with_terminal.create("--console-socket", console.path).check()
    console.receive()
    assert 0 < len(console.payload) < 4096
    assert console.payload.rstrip(b"\0").decode().isprintable()


def test_the_container_has_its_terminal_on_all_three_streams_and_as_its_own(with_terminal, console):
    box = with_terminal
    box.args("/probe")
    box.run("--detach", "--console-socket", console.path).check()
    text = events.read_until(console.receive(), '"kernel":')
    assert re.search(r'"tty":\{"0":true,"1":true,"2":true,"controlling":true', text)
    assert re.search(r'"sid":1,', text)


def test_the_terminal_is_a_device_of_the_container(with_terminal, console):
    box = with_terminal
    box.sh("tty; ls -l /dev/console | cut -c1; stat -c %t:%T /dev/console $(tty)")
    box.run("--detach", "--console-socket", console.path).check()
    name, kind, first, second = events.read_all(console.receive(), "output").split()
    assert re.fullmatch(r"/dev/(pts/0|console)", name)
    assert kind == "c"
    assert first == second, "/dev/console is not the terminal"


def test_the_terminal_belongs_to_the_user_of_the_container(with_terminal, console):
    box = with_terminal
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.sh("stat -c '%u %a' /dev/console; stat -Lc '%u %a' /proc/self/fd/1")
    box.run("--detach", "--console-socket", console.path).check()
    lines = events.read_all(console.receive(), "output").splitlines()
    assert lines == ["1000 620", "1000 620"]


@pytest.mark.row("process.consoleSize")
def test_the_console_size_of_the_config_is_the_size_of_the_terminal(with_terminal, console):
    box = with_terminal
    box.set("process.consoleSize", {"height": 11, "width": 22})
    box.args("/probe", "winsize")
    box.run("--detach", "--console-socket", console.path).check()
    events.read_until(console.receive(), "11 22\r\n")


def test_input_at_the_terminal_reaches_the_container(with_terminal, console):
    box = with_terminal
    box.sh("read line; echo got $line")
    box.run("--detach", "--console-socket", console.path).check()
    master = console.receive()
    os.write(master, b"hello\n")
    assert "got hello" in events.read_until(master, "got hello")


def test_ctrl_c_at_the_terminal_interrupts_the_container(with_terminal, console):
    box = with_terminal
    box.args("/probe", "catch")
    box.run("--detach", "--console-socket", console.path).check()
    master = console.receive()
    events.read_until(master, "ready")
    os.write(master, b"\x03")
    assert "2\r\n" in events.read_until(master, "2\r\n")


def test_the_end_of_the_terminal_hangs_up_the_container(with_terminal, console):
    box = with_terminal
    heard = box.bundle.fifo("heard")
    box.sh("exec /probe catch > /heard")
    box.run("--detach", "--console-socket", console.path).check()
    assert heard.line() == "ready"
    console.receive()
    console.close()
    assert heard.line() == str(int(signal.SIGHUP))


def test_exec_with_a_terminal_sends_it_to_the_console_socket(box, console):
    box.hold()
    flags = ["--tty", "--detach", "--console-socket", console.path]
    box.exec("sh", "-c", "test -t 0 && test -t 2 && echo a tty", flags=flags).check()
    assert events.read_until(console.receive(), "\n") == "a tty\r\n"
    assert len(console.fds) == 1


@pytest.mark.row("process.consoleSize")
def test_exec_by_process_file_with_a_terminal_has_its_size(box, console):
    box.hold()
    process = {
        "terminal": True,
        "consoleSize": {"height": 13, "width": 31},
        "args": ["/probe", "winsize"],
        "cwd": "/",
        "env": [],
        "user": {"uid": 0, "gid": 0},
    }
    box.exec_process(process, flags=["--detach", "--console-socket", console.path]).check()
    events.read_until(console.receive(), "13 31\r\n")


def test_a_terminal_for_a_detached_container_needs_a_console_socket(with_terminal):
    for command in ("create", "run"):
        flags = ["--detach"] if command == "run" else []
        with_terminal.command(command, *flags).fails()
        assert with_terminal.runtime.ids() == []


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_words_for_a_missing_console_socket(with_terminal):
    said = with_terminal.create().fails().said
    assert "cannot allocate tty if runc will detach without setting console socket" in said


@pytest.mark.peer(crun="ignores it")
def test_a_console_socket_without_a_terminal_is_an_error(box, console):
    result = box.create("--console-socket", console.path).fails()
    assert "cannot use console socket if runc will not detach or allocate tty" in result.said


def test_a_console_socket_that_is_not_there_fails_the_create_and_leaves_nothing(with_terminal):
    with_terminal.create("--console-socket", with_terminal.path("nowhere")).fails()
    assert with_terminal.runtime.ids() == []


def test_run_in_a_terminal_gives_the_container_a_terminal_of_its_own(with_terminal, screen):
    box = with_terminal
    box.sh("tty; test -t 0 && test -t 1 && echo both")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    text = screen.rest()
    assert re.search(r"/dev/(pts/0|console)\r\nboth\r\n", text)
    assert call.wait().code == 0


def test_run_in_a_terminal_exits_with_the_code_of_the_container(with_terminal, screen):
    box = with_terminal
    box.sh("exit 33")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    screen.rest()
    assert call.wait().code == 33


LINES = pytest.mark.peer(
    runc="wants a controlling terminal of its own", crun="hands on the carriage returns"
)


@LINES
def test_what_comes_out_of_a_terminal_into_a_file_has_the_line_ends_of_the_program(with_terminal):
    with_terminal.sh("test -t 1 && echo one; printf 'two\\nthree\\r\\n'")
    path = with_terminal.path("out")
    with path.open("wb") as out:
        with_terminal.run(stdout=out).check()
    assert path.read_bytes() == b"one\ntwo\nthree\r\n"


@LINES
def test_exec_has_the_line_ends_of_the_program_as_well(box):
    box.hold()
    path = box.path("out")
    with path.open("wb") as out:
        box.exec("sh", "-c", "test -t 1 && echo one", flags=["--tty"], stdout=out).check()
    assert path.read_bytes() == b"one\n"


@SIZE
def test_run_in_a_terminal_takes_over_its_size_and_follows_it(with_terminal, screen):
    box = with_terminal
    box.args("/probe", "winsize")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    screen.until("30 90\r\n")
    screen.resize(31, 92)
    screen.until("31 92\r\n")
    box.kill("TERM").check()
    screen.rest()
    assert call.wait().code == 0


def test_ctrl_c_in_a_terminal_reaches_the_container_and_not_the_runtime(with_terminal, screen):
    box = with_terminal
    box.args("/probe", "catch")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    screen.until("ready")
    screen.write("\x03")
    screen.until("2\r\n")
    box.kill("TERM").check()
    screen.until("15\r\n")
    screen.rest()
    assert call.wait().code == 0


def test_typing_is_echoed_once_and_control_d_ends_the_input(with_terminal, screen):
    box = with_terminal
    box.sh("echo ready; cat; echo end")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    screen.until("ready\r\n")
    screen.write("word\n")
    assert screen.until("word\r\nword\r\n")
    screen.write("\x04")
    assert screen.rest() == "end\r\n"
    assert call.wait().code == 0


def test_the_terminal_of_the_caller_is_as_before_after_run(with_terminal, screen):
    box = with_terminal
    before = termios.tcgetattr(screen.master)
    box.sh("stty raw; exit 0")
    box.bundle.save()
    keep = os.dup(screen.slave)
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    assert call.wait().code == 0
    assert termios.tcgetattr(keep) == before
    os.close(keep)


def test_much_output_comes_through_the_terminal_whole(with_terminal, screen):
    box = with_terminal
    box.args("/bin/seq", "1", "20000")
    box.bundle.save()
    call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    lines = screen.rest().split()
    assert lines == [str(number) for number in range(1, 20001)]
    assert call.wait().code == 0


@SIZE
def test_exec_in_a_terminal_takes_over_its_size_and_follows_it(box, screen):
    box.hold()
    call = screen.popen(box.runtime, "exec", "--tty", box.id, "/probe", "winsize")
    screen.until("30 90\r\n")
    screen.resize(31, 92)
    screen.until("31 92\r\n")
    call.process.send_signal(signal.SIGTERM)
    screen.rest()
    assert call.wait().code == 0


@SIZE
@pytest.mark.parametrize("how", ["run", "exec"])
def test_a_resize_that_is_signalled_without_a_foreground_process_group_is_followed(
    box, screen, how
):
    """As BuildKit does it: its own terminal on 0, 1 and 2, and SIGWINCH sent by hand."""
    if how == "exec":
        box.hold()
        words = ("exec", "--tty", box.id, "/probe", "winsize")
    else:
        box.set("process.terminal", True)
        box.args("/probe", "winsize")
        box.bundle.save()
        words = ("run", "--bundle", box.bundle.path, box.id)
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), screen.slave)
    call = box.runtime.popen(*words, **streams, start_new_session=True)
    screen.until("30 90\r\n")
    screen.resize(32, 93, tell=call.pid)
    screen.until("32 93\r\n")
    call.process.send_signal(signal.SIGTERM)
    assert call.wait().code == 0


PIDFD = pytest.mark.peer(runc="1.1 has no --pidfd-socket", crun="has no --pidfd-socket")


def take_pidfd(listener):
    connection, _ = listener.accept()
    with connection:
        payload, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
    fds = array.array("i")
    fds.frombytes(ancillary[0][2])
    return payload, list(fds)


def pid_of(pidfd):
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pid:"))


@PIDFD
@pytest.mark.parametrize("command", ["create", "run"])
def test_the_pidfd_socket_gets_a_pidfd_of_init_before_the_runtime_returns(box, command):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(box.path("pidfd")))
        listener.listen(1)
        listener.settimeout(events.patience)
        box.args("/probe", "hold")
        flags = ["--detach"] if command == "run" else []
        box.command(command, *flags, "--pidfd-socket", box.path("pidfd")).check()
        payload, fds = take_pidfd(listener)
    assert payload and len(fds) == 1
    assert pid_of(fds[0]) == box.pid
    os.close(fds[0])


@PIDFD
def test_the_pidfd_socket_of_exec_gets_a_pidfd_of_its_process(box):
    box.hold()
    told = box.bundle.fifo("told")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(box.path("pidfd")))
        listener.listen(1)
        listener.settimeout(events.patience)
        flags = ["--detach", "--pid-file", box.path("pid"), "--pidfd-socket", box.path("pidfd")]
        box.exec("/probe", "hold", "/told", flags=flags).check()
        _, fds = take_pidfd(listener)
    assert told.line() == "ready"
    assert pid_of(fds[0]) == int(box.path("pid").read_text())
    signal.pidfd_send_signal(fds[0], signal.SIGKILL)
    os.close(fds[0])
