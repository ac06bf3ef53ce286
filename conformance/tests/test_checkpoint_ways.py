"""checkpoint and restore in other ways: ahead, lazily, elsewhere, with settings of one's own."""

import os
import pathlib
import socket
import subprocess

import pytest

from harness import events, host
from harness.saved import MODE, begin, echoes, restore, saved  # noqa: F401 (two are fixtures)

pytestmark = pytest.mark.guest("criu, on a kernel that it knows")

CRUN_MODE = "crun's restore forgets --manage-cgroups-mode"


@pytest.mark.peer(crun=CRUN_MODE)
def test_it_goes_on_in_another_cgroup(saved, echoes):
    saved.set("linux.cgroupsPath", f"/{saved.id}-one")
    begin(saved, echoes())
    saved.checkpoint().check()
    saved.set("linux.cgroupsPath", f"/{saved.id}-two")
    saved.set("linux.resources", {"pids": {"limit": 50}})
    saved.restore()
    place = pathlib.Path(f"/proc/{saved.pid}/cgroup").read_text().strip()
    assert place.endswith(f"/{saved.id}-two")
    assert (host.CGROUPS / f"{saved.id}-two/pids.max").read_text() == "50\n"
    assert not (host.CGROUPS / f"{saved.id}-one").exists()


def test_memory_that_was_written_ahead_is_not_written_again(saved, echoes):
    echo = begin(saved, echoes())
    ahead = saved.path("ahead")
    saved.checkpoint("--pre-dump", images=ahead).check()
    assert saved.status == "running"
    assert echo.says("x") == "1 x"
    saved.checkpoint("--parent-path", "../ahead").check()
    assert os.readlink(saved.images / "parent") == "../ahead"
    assert saved.restore().says("x") == "2 x"


@pytest.mark.parametrize("parent", ["{directory}/ahead", "../nowhere", "../file"])
def test_a_parent_path_that_is_none_is_refused(saved, echoes, parent):
    saved.path("file").touch()
    echo = begin(saved, echoes())
    said = saved.checkpoint("--parent-path", parent.format(directory=saved.directory)).fails().said
    assert "--parent-path" in said
    assert echo.says("x") == "1 x"


@pytest.mark.peer(crun="has no lazy pages")
def test_lazy_pages_are_served_to_the_restore(saved, echoes):
    echo = begin(saved, echoes())
    echo.says("one")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    ready, status = os.pipe()
    words = ("checkpoint", "--lazy-pages", "--page-server", f"127.0.0.1:{port}", *MODE)
    words += ("--status-fd", status, "--image-path", saved.images, "--work-path", saved.path("work"))
    (saved.path("work")).mkdir()
    dump = saved.runtime.popen(*words, saved.id, pass_fds=(status,))
    os.close(status)
    assert events.read_all(ready, "status") == "\0"
    os.close(ready)
    daemon = subprocess.Popen(
        ("criu", "lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", port),
        cwd=saved.images, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    other = f"{saved.id}-two"
    saved.set("linux.cgroupsPath", f"/{other}")
    again = restore(saved, echoes(), "--lazy-pages", "--work-path", saved.images, name=other)
    assert again.says("two") == "2 two"
    assert dump.wait().code == 0
    assert daemon.wait() == 0
    assert saved.state is None


@pytest.mark.peer(crun="asks for crun.conf before runc.conf, and needs libcriu 4.2 for either")
def test_a_container_may_have_settings_of_its_own_for_criu(saved, echoes):
    settings = saved.path("criu.conf")
    settings.write_text("log-file=mine.log\n")
    saved.set("annotations", {"org.criu.config": str(settings)})
    begin(saved, echoes())
    saved.checkpoint().check()
    assert (saved.path("work") / "mine.log").exists()
    assert not (saved.path("work") / "dump.log").exists()


@pytest.mark.tare("has the file for itself")
def test_settings_of_tare_come_before_those_of_runc(saved, echoes):
    directory = pathlib.Path("/etc/criu")
    directory.mkdir(exist_ok=True)
    (directory / "runc.conf").write_text("log-file=runc.log\n")
    (directory / "tare.conf").write_text("log-file=tare.log\n")
    try:
        begin(saved, echoes())
        saved.checkpoint("--leave-running").check()
        assert (saved.path("work") / "tare.log").exists()
        (directory / "tare.conf").unlink()
        saved.checkpoint().check()
        assert (saved.path("work") / "runc.log").exists()
    finally:
        for file in directory.iterdir():
            file.unlink()


def test_podman_finds_that_checkpoints_can_be_made(box):
    box.runtime.call("checkpoint", "--help").check()
    said = box.runtime.call("restore", "--lsm-mount-context")
    assert "flag needs an argument" in said.out + said.err or "requires an argument" in said.err
