"""A container that answers lines, with the means to save it by checkpoint and to go on."""

import os
import pathlib

import pytest

from harness.echo import SCRIPT, Echo

# A cgroup tree that criu finds mounted is set to the options that it knows of (criu issue 3029).
MODE = ("--manage-cgroups-mode", "ignore")


@pytest.fixture
def echoes():
    """Makes Echos, which are closed at the end."""
    made = []

    def make():
        made.append(Echo())
        return made[-1]

    yield make
    for echo in made:
        echo.close()


@pytest.fixture
def saved(box, echoes):
    """A box whose container answers lines, with the means to save it and go on."""
    box.sh(SCRIPT)
    box.images = box.path("images")
    box.checkpoint = lambda *flags, **more: checkpoint(box, *flags, **more)
    box.restore = lambda *flags, **more: restore(box, echoes(), *flags, **more)
    return box


def begin(box, echo, *flags):
    """Runs the container on the echo's streams; the call has nothing to say."""
    box.run("--detach", *flags, **echo.streams).check()
    return echo


def checkpoint(box, *flags, images=None, **more):
    images = ("--image-path", images or box.images, "--work-path", box.path("work"))
    return box.runtime.call("checkpoint", *images, *MODE, *flags, box.id, **more)


def restore(box, echo, *flags, name=None, images=None):
    """Restores in the background; gives the echo that the container answers on now."""
    box.bundle.save()
    where = ("--image-path", images or box.images, "--work-path", box.path("work"))
    words = ("restore", "--detach", "--bundle", box.bundle.path, *where, *MODE, *flags)
    log = box.path("restore.err")
    with open(log, "wb") as file:
        streams = {**echo.streams, "stderr": file}
        code = box.runtime.popen(*words, name or box.id, **streams).wait().code
    assert code == 0, f"exit {code}: {log.read_text()}"
    return echo


def own(pid, name):
    return os.readlink(f"/proc/{pid}/ns/{name}")


def about(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.split(":", 1)[1].strip()
    return None
