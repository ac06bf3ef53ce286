"""checkpoint and restore: what a container was doing goes on, in the same surroundings."""

import os
import pathlib
import socket
import subprocess

import pytest

from harness import events, host
from harness.echo import SCRIPT
from harness.saved import MODE, about, begin, echoes, own, saved  # noqa: F401 (two are fixtures)
from harness.terminal import ConsoleSocket

pytestmark = pytest.mark.guest("criu, on a kernel that it knows")

RUNC_FILES = "dumps no stream that is a file of the host"
CRUN_MODE = "crun's restore forgets --manage-cgroups-mode"


def test_what_the_container_had_in_mind_is_still_there(saved, echoes):
    echo = begin(saved, echoes())
    assert echo.says("one") == "1 one"
    saved.checkpoint().check()
    assert saved.state is None
    again = saved.restore()
    assert again.says("two") == "2 two"
    assert saved.status == "running"


def test_it_can_be_saved_and_go_on_many_times(saved, echoes):
    echo = begin(saved, echoes())
    for number in (1, 2, 3):
        assert echo.says("x") == f"{number} x"
        saved.checkpoint().check()
        echo = saved.restore()
    assert echo.says("x") == "4 x"


def test_a_saved_container_leaves_nothing_but_its_images(saved, echoes):
    before = host.cgroups()
    begin(saved, echoes())
    pid = saved.pid
    saved.checkpoint().check()
    assert host.cgroups() == before
    assert not events.is_running(pid)
    assert (saved.images / "inventory.img").exists()
    assert (saved.path("work") / "dump.log").exists()


def test_the_restored_process_is_left_to_the_caller(saved, echoes):
    begin(saved, echoes())
    saved.checkpoint().check()
    file = saved.path("pid")
    saved.restore("--pid-file", file)
    pid = saved.pid
    assert file.read_text() == str(pid)
    assert about(pid, "PPid") == str(os.getpid())
    assert saved.stop() == -9


def test_left_running_it_goes_on_where_it_is(saved, echoes):
    echo = begin(saved, echoes())
    echo.says("one")
    saved.checkpoint("--leave-running").check()
    assert saved.status == "running"
    assert echo.says("two") == "2 two"


@pytest.mark.peer(crun=CRUN_MODE)
def test_a_second_one_goes_on_from_the_same_images(saved, echoes):
    echo = begin(saved, echoes())
    echo.says("one")
    saved.checkpoint("--leave-running").check()
    other = f"{saved.id}-two"
    second = saved.restore(name=other)
    assert second.says("two") == "2 two"
    assert echo.says("drei") == "2 drei"
    assert set(saved.runtime.ids()) == {saved.id, other}


def test_a_paused_container_can_be_saved(saved, echoes):
    echo = begin(saved, echoes())
    echo.says("one")
    saved.runtime.call("pause", saved.id).check()
    saved.checkpoint().check()
    assert saved.restore().says("two") == "2 two"


@pytest.mark.tare("its own flag")
def test_the_steps_of_a_restore_are_timed(saved, echoes):
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.restore("--timings", saved.path("steps.txt"))
    rows = saved.path("steps.txt").read_text().splitlines()[1:]
    assert {"claim", "start criu", "restore by criu"} <= {row.split(maxsplit=3)[3] for row in rows}


def test_exec_finds_the_restored_container(saved, echoes):
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.restore()
    assert saved.exec("/bin/hostname").check().out == "box\n"


@pytest.mark.peer(runc=RUNC_FILES, crun=RUNC_FILES)
def test_a_stream_may_be_a_file_of_the_host(saved):
    # Two gates: who came back to the same one could find its writer still there, and then its end.
    saved.sh("read -r a < /first; echo $a; read -r a < /second; echo $a; exec sleep 1000")
    first, second = (saved.bundle.rootfs / name for name in ("first", "second"))
    os.mkfifo(first)
    os.mkfifo(second)
    output = saved.path("output")
    with open(output, "ab") as file:
        saved.run("--detach", stdout=file, stderr=subprocess.DEVNULL).check()
        first.write_text("one\n")
        saved.checkpoint().check()
        saved.runtime.popen(
            *("restore", "--detach", "--bundle", saved.bundle.path, "--image-path", saved.images),
            *(*MODE, saved.id), stdout=file, stderr=subprocess.DEVNULL,
        ).wait().check()
    second.write_text("two\n")
    assert events.read_all(os.open(output, os.O_RDONLY), "output").split()[0] == "one"


def test_in_the_foreground_it_ends_as_its_process_does(saved, echoes):
    saved.sh('read -r code; exit "$code"')
    begin(saved, echoes())
    saved.checkpoint().check()
    echo = echoes()
    saved.bundle.save()
    call = saved.runtime.popen(
        *("restore", "--bundle", saved.bundle.path, "--image-path", saved.images, *MODE, saved.id),
        **echo.streams,
    )
    os.write(echo.to_it, b"7\n")
    assert call.wait().code == 7
    assert saved.state is None


def test_a_terminal_goes_to_the_console_socket(saved):
    saved.set("process.terminal", True)
    console = ConsoleSocket(saved.path("first"))
    try:
        saved.run("--detach", "--console-socket", console.path).check()
        first = console.receive()
        os.write(first, b"one\n")
        assert "1 one" in events.read_until(first, "1 one")
        saved.checkpoint().check()
    finally:
        console.close()
    console = ConsoleSocket(saved.path("second"))
    try:
        where = ("--bundle", saved.bundle.path, "--image-path", saved.images)
        words = ("restore", "--detach", *where, *MODE, "--console-socket", console.path, saved.id)
        saved.runtime.call(*words).check()
        second = console.receive()
        os.write(second, b"two\n")
        assert "2 two" in events.read_until(second, "2 two")
    finally:
        console.close()


def test_mounts_from_the_host_are_mounted_again(saved, echoes):
    shared, inner = saved.path("shared"), saved.path("inner")
    for directory in (shared, inner):
        directory.mkdir()
        (directory / "name").write_text(directory.name)
    (saved.bundle.rootfs / "real").mkdir()
    (saved.bundle.rootfs / "link").symlink_to("/real/place")
    saved.bundle.mount("/data", "bind", str(shared), ["bind"])
    saved.bundle.mount("/data/in/ner", "bind", str(inner), ["bind", "ro"])
    saved.bundle.mount("/link", "bind", str(inner), ["bind"])
    begin(saved, echoes())
    saved.checkpoint().check()
    # The mount point, made by create within the mount above it, is made again.
    (shared / "in" / "ner").rmdir()
    (shared / "in").rmdir()
    saved.restore()
    read = saved.exec("/bin/cat", "/data/name", "/data/in/ner/name", "/real/place/name").check()
    assert read.out == "sharedinnerinner"
    assert saved.exec("/bin/touch", "/data/in/ner/new").code != 0


def test_mounts_that_hear_of_the_hosts_do_so_again(saved, echoes):
    whole = saved.path("whole")
    whole.mkdir()
    subprocess.run(("mount", "-t", "tmpfs", "none", whole), check=True)
    try:
        subprocess.run(("mount", "--make-shared", whole), check=True)
        # Among the mounts that are followed is the one of the state itself.
        saved.runtime.root = whole / "state"
        for name in ("one", "two"):
            (whole / name).mkdir()
            (whole / name / "name").write_text(name)
        saved.bundle.mount("/data", "bind", str(whole / "one"), ["bind"])
        saved.bundle.mount("/data/in/ner", "bind", str(whole / "two"), ["bind", "ro"])
        begin(saved, echoes())
        saved.checkpoint().check()
        saved.restore()
        read = saved.exec("/bin/cat", "/data/name", "/data/in/ner/name").check()
        assert read.out == "onetwo"
        assert saved.exec("/bin/touch", "/data/in/ner/new").code != 0
        for place in ("/data", "/data/in/ner"):
            assert "master:" in saved.exec("/bin/grep", f" {place} ", "/proc/self/mountinfo").check().out
        saved.delete("--force").check()
    finally:
        subprocess.run(("umount", "-l", whole), check=True)


@pytest.mark.peer(runc="mounts it anew without the mapping", crun="as runc")
def test_id_mapped_mounts_have_their_mapping(saved, echoes):
    shared = saved.path("shared")
    shared.mkdir()
    (shared / "mine").touch()
    os.chown(shared / "mine", 1000, 1000)
    saved.bundle.mount("/data", "bind", str(shared), ["bind"])
    mapping = [{"containerID": 1000, "hostID": 2000, "size": 1}]
    saved.config["mounts"][-1].update(uidMappings=mapping, gidMappings=mapping)
    begin(saved, echoes())
    look = ("/bin/stat", "-c", "%u", "/data/mine")
    assert saved.exec(*look).check().out == "2000\n"
    saved.checkpoint().check()
    saved.restore()
    assert saved.exec(*look).check().out == "2000\n"


@pytest.mark.parametrize("kind, name", [("network", "net"), ("ipc", "ipc"), ("uts", "uts")])
def test_a_namespace_joined_by_path_is_joined_again(saved, echoes, kind, name):
    with subprocess.Popen(("unshare", f"--{name}", "sleep", "1000")) as keeper:
        try:
            while own(keeper.pid, name) == own("self", name):
                pass
            path = f"/proc/{keeper.pid}/ns/{name}"
            saved.bundle.without_namespace(kind)
            saved.bundle.namespace(kind, path)
            saved.config.pop("hostname", None)
            begin(saved, echoes())
            saved.checkpoint().check()
            assert saved.restore().says("x") == "1 x"
            assert own(saved.pid, name) == own(keeper.pid, name)
        finally:
            saved.delete("--force")
            keeper.kill()


def test_a_hundred_processes_go_on(saved, echoes):
    def count():
        return len(saved.runtime.call("ps", "--format", "json", saved.id).check().json)

    # criu interrupts a sleep, and busybox's sleep then ends; its tail goes on.
    saved.sh(f"for i in $(seq 100); do tail -f /etc/passwd > /dev/null & done; {SCRIPT}")
    echo = begin(saved, echoes())
    echo.says("x")
    before = count()
    assert before == 101
    saved.checkpoint().check()
    assert saved.restore().says("x") == "2 x"
    after = count()
    assert after == 101


def test_an_open_connection_stays_open(saved, echoes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        os.symlink("busybox", saved.rootfs / "bin" / "nc")
        saved.args("/bin/nc", "127.0.0.1", str(port))
        begin(saved, echoes())
        events.wait_readable(server, "connection")
        connection, _ = server.accept()
        with connection:
            said = saved.checkpoint().fails().said
            assert "criu failed" in said
            saved.checkpoint("--tcp-established").check()
            again = saved.restore("--tcp-established")
            connection.sendall(b"hello\n")
            assert events.read_until(again.from_it, "\n") == "hello\n"


def test_the_seccomp_filter_goes_along(saved, echoes):
    rule = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}
    saved.set("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.restore()
    assert about(saved.pid, "Seccomp") == "2"
    assert "Input/output error" in saved.exec("/bin/mkdir", "/tmp/x").err


def test_the_apparmor_profile_goes_along(saved, echoes):
    saved.set("process.apparmorProfile", "tare-test")
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.restore()
    current = pathlib.Path(f"/proc/{saved.pid}/attr/current").read_text()
    assert current.startswith("tare-test ")


@pytest.mark.peer(crun="runs no hooks")
def test_hooks_are_run_once_the_namespaces_are_there(saved, echoes):
    seen = saved.path("seen")
    script = f'cat >> {seen}; echo " $0" >> {seen}'
    hook = lambda name: [{"path": "/bin/sh", "args": ["sh", "-c", script, name]}]  # noqa: E731
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.set("hooks", {name: hook(name) for name in ("prestart", "createRuntime")})
    saved.restore()
    told = seen.read_text()
    assert [line.split()[-1] for line in told.splitlines()] == ["prestart", "createRuntime"]
    assert f'"pid":{saved.pid}' in told.replace(" ", "")


@pytest.mark.peer(crun="runs no hooks")
def test_a_hook_that_fails_undoes_the_restore(saved, echoes):
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.set("hooks", {"createRuntime": [{"path": "/bin/false"}]})
    before = host.descendants()
    saved.bundle.save()
    words = ("--bundle", saved.bundle.path, "--image-path", saved.images, *MODE)
    said = saved.runtime.call("restore", "--detach", *words, saved.id).fails().said
    assert "error running createRuntime hook #0" in said
    assert saved.state is None
    for pid in set(host.descendants()) - set(before):
        events.reap(pid)  # what criu has killed is its caller's to reap
    assert host.descendants() == before
