"""checkpoint and restore that cannot be: a clear word, and everything as it was."""

import os
import shutil
import subprocess

import pytest

from harness import events, host
from harness.echo import SCRIPT, Echo

pytestmark = pytest.mark.guest("criu, on a kernel that it knows")

MODE = ("--manage-cgroups-mode", "ignore")

# Speaks as criu does, as far as the test needs: VERSION is answered with major 3 and a minor,
# FEATURE_CHECK with none, and what is asked then is left without an answer until somebody writes to
# the FIFO.
IMPOSTOR = """\
#!/usr/bin/python3 -I
import socket, sys
link = socket.socket(fileno=int(sys.argv[2]))
link.recv(65536)
link.send(bytes([8, 10, 16, 1, 82, 4, 8, 3, 16, {minor}]))
asked = link.recv(65536)
if asked.startswith(bytes([8, 9])):
    link.send(bytes([8, 9, 16, 1, 66, 4, 8, 0, 16, 0]))
    asked = link.recv(65536)
if asked:
    open({fifo!r}).read()
"""


@pytest.fixture
def running(box):
    """A box whose container runs and answers lines."""
    box.sh(SCRIPT)
    box.images = box.path("images")
    box.echo = Echo()
    box.run("--detach", **box.echo.streams).check()
    box.saves = lambda *flags, **more: save(box, *flags, **more)
    yield box
    box.echo.close()


def save(box, *flags, images=None, **more):
    return box.runtime.call(
        *("checkpoint", "--image-path", images or box.images, *MODE), *flags, box.id, **more
    )


def go_on(box, *flags, images=None, **more):
    box.bundle.save()
    return box.runtime.call(
        *("restore", "--detach", "--bundle", box.bundle.path, "--image-path"),
        *(images or box.images, *MODE), *flags, box.id, **more,
    )


def impostor(box, minor):
    """The environment in which criu is another program, and the FIFO that it waits at."""
    directory = box.path("bin")
    directory.mkdir()
    fifo = box.path("wait")
    os.mkfifo(fifo)
    program = directory / "criu"
    program.write_text(IMPOSTOR.format(minor=minor, fifo=str(fifo)))
    program.chmod(0o755)
    return {"PATH": f"{directory}:/usr/sbin:/usr/bin:/sbin:/bin"}, fifo


def is_as_before(box):
    return box.status == "running" and box.echo.says("x") == "1 x"


def test_what_does_not_exist_cannot_be_saved(box):
    assert "does not exist" in box.runtime.call("checkpoint", box.id).fails().said


def test_what_does_not_run_cannot_be_saved(box):
    box.images = box.path("images")
    box.args("/bin/true")
    box.create().check()
    assert "created" in save(box).fails().said
    assert box.status == "created"
    box.stop()
    assert "stopped" in save(box).fails().said
    assert not box.images.exists()


@pytest.mark.tare("names what is missing")
def test_without_criu_nothing_is_touched(running):
    hide = 'mount --bind /dev/null "$(command -v criu)"; exec "$@"'
    running.runtime.wrapper = ("unshare", "-m", "/bin/sh", "-c", hide, "sh")
    said = running.saves().fails().said
    assert "there is no program criu" in said
    assert is_as_before(running)
    running.runtime.wrapper = ()
    assert not running.images.exists()


@pytest.mark.tare("is the one whose oldest criu this is")
def test_a_criu_that_is_too_old_is_named_with_its_version(running):
    environment, _ = impostor(running, 15)
    said = running.saves(env=environment).fails().said
    assert "criu 3.15 is too old: 3.16 or newer is needed" in said
    assert is_as_before(running)


@pytest.mark.tare("names the option of the kernel")
@pytest.mark.parametrize(
    "flags, missing",
    [(("--pre-dump",), "MemTrack"), (("--parent-path", "."), "MemTrack"), (("--lazy-pages",), "LazyPages")],
)
def test_what_the_kernel_cannot_do_is_named(running, flags, missing):
    environment, _ = impostor(running, 17)
    said = running.saves(*flags, env=environment).fails().said
    assert f"criu is missing features: {missing}" in said
    assert is_as_before(running)


@pytest.mark.tare("holds its lock for as long as it writes")
def test_a_second_checkpoint_at_once_is_refused(running):
    environment, fifo = impostor(running, 17)
    first = running.runtime.popen(
        *("checkpoint", "--image-path", running.images, *MODE, running.id), env=environment
    )
    with open(fifo, "w", encoding="utf-8"):  # opens once criu has been asked
        assert "busy" in running.saves(images=running.path("other")).fails().said
    assert "criu ended without an answer" in first.wait().fails().said
    assert is_as_before(running)


@pytest.mark.peer(crun="leaves what it has written")
@pytest.mark.peer(runc="leaves what it has written")
def test_a_disk_that_is_full_leaves_the_container_as_it_was(running):
    disk = running.path("disk")
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        said = running.saves("--work-path", running.path("work"), images=disk / "images").fails().said
        assert "criu failed: type DUMP" in said
        assert "No space left" in said
        assert list(disk.iterdir()) == []
        assert is_as_before(running)
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.peer(crun="takes the word")
@pytest.mark.parametrize(
    "flags, word",
    [
        (("--manage-cgroups-mode", "some"), "manage-cgroups-mode"),
        (("--empty-ns", "ipc"), "ipc"),
        (("--page-server", "here"), "ADDRESS:PORT"),
        (("--page-server", "here:x"), "port"),
        (("--lazy-pages", "--status-fd", "77"), "status-fd"),
    ],
)
def test_a_value_that_means_nothing_is_refused(running, flags, word):
    assert word in running.saves(*flags).fails().said
    assert is_as_before(running)
    assert not running.images.exists() or os.listdir(running.images) == []


def saved(running):
    running.saves().check()
    return running


@pytest.mark.parametrize("kind", ["nothing", "empty", "file"])
def test_what_is_no_checkpoint_is_not_restored(box, kind):
    box.images = box.path("images")
    if kind == "empty":
        box.images.mkdir()
    elif kind == "file":
        box.images.touch()
    box.sh("true")
    go_on(box).fails()
    assert box.state is None


@pytest.mark.parametrize("name", ["inventory.img", "pstree.img", "descriptors.json"])
def test_an_image_of_which_a_file_is_missing_is_not_restored(running, name):
    before = host.cgroups()
    saved(running)
    (running.images / name).unlink()
    go_on(running).fails()
    assert running.state is None
    assert host.cgroups() <= before


def test_an_image_that_is_cut_short_is_not_restored(running):
    saved(running)
    for image in running.images.glob("core-*.img"):
        os.truncate(image, image.stat().st_size // 2)
    said = go_on(running).fails().said
    assert "criu" in said
    assert running.state is None


@pytest.mark.tare("criu would read the missing end for ever")
def test_memory_that_is_cut_short_is_not_restored(running):
    saved(running)
    for image in running.images.glob("pages-*.img"):
        os.truncate(image, image.stat().st_size // 2)
    assert "damaged checkpoint: pages-" in go_on(running).fails().said
    assert running.state is None


@pytest.mark.peer(crun="leaves a process behind")
def test_an_image_of_another_container_is_not_restored(running):
    saved(running)
    running.bundle.mount("/data", "bind", str(running.path("data")), ["bind"])
    running.path("data").mkdir()
    running.config["mounts"] = [m for m in running.config["mounts"] if m["destination"] != "/dev"]
    shutil.rmtree(running.bundle.rootfs / "bin")
    go_on(running).fails()
    assert running.state is None


def test_the_id_must_be_free(running):
    running.saves("--leave-running").check()
    assert "already exists" in go_on(running).fails().said
    assert is_as_before(running)


def test_a_terminal_needs_somewhere_to_go(running):
    saved(running)
    running.set("process.terminal", True)
    assert "console socket" in go_on(running).fails().said
    assert running.state is None


@pytest.mark.tare("refuses it before anything is made")
def test_only_root_can(running):
    running.path("bin").mkdir()
    tare = running.path("bin") / "tare"
    shutil.copy(running.runtime.binary, tare)
    for directory in (running.directory, *running.directory.parents):
        if str(directory) != "/":
            directory.chmod(directory.stat().st_mode | 0o11)
    for command in (("checkpoint",), ("restore",)):
        words = ["setpriv", "--reuid=1000", "--clear-groups", tare, "--root", "/tmp/none"]
        done = subprocess.run([*words, *command, "x"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"{command[0]} requires root" in done.stderr
    assert is_as_before(running)


def test_a_restore_that_is_killed_leaves_no_mount(running):
    saved(running)
    environment, fifo = impostor(running, 17)
    before = host.mounts()
    running.bundle.save()
    call = running.runtime.popen(
        *("restore", "--detach", "--bundle", running.bundle.path, "--image-path", running.images),
        *(*MODE, running.id), env=environment,
    )
    with open(fifo, "w", encoding="utf-8"):
        call.process.kill()
        call.process.wait()
    assert host.mounts() == before
    running.delete("--force").check()
    assert events.IN_GUEST
