"""The program seals itself before it does anything else, the C library's own beginnings included
(CVE-2019-5736; what it is sealed against is in tests/system/seal_test.cpp)."""

import os

import pytest

from harness import own_binary, sandbox, trace
from harness.host import LIBC

pytestmark = [
    pytest.mark.tare("how it is sealed is a matter of its own"),
    pytest.mark.skipif(not trace.STRACE, reason="no strace to look on with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a user has no mounts to make, and seals later"),
]


def calls_before_execveat(box, *words):
    """The names of what the program calls between its execve and the execveat that seals it: a copy
    of it, as the one under test may lie on a read-only mount, where it need not be sealed."""
    names = [call.name for call in trace.record(box, *words, calls="all")[1]]
    assert names.count("execveat") == 1
    return names[1 : names.index("execveat")]


EARLY = ["statfs", "statx", "open_tree", "mount_setattr"]


def test_nothing_is_initialised_in_the_image_that_is_given_up(box):
    own_binary.install_copy(box)
    assert calls_before_execveat(box, "run", "--bundle", box.bundle.path, box.id) == EARLY


def test_nothing_is_initialised_in_the_image_that_exec_gives_up(box):
    own_binary.install_copy(box)
    box.hold()
    assert calls_before_execveat(box, "exec", box.id, "/probe") == EARLY


def test_a_command_that_makes_no_process_is_not_sealed(box):
    assert "execveat" not in [call.name for call in trace.record(box, "list", calls="all")[1]]


# What keeps the image from being written to, and what it is called then.
IMAGES = {
    "a clone of its mount": ({}, "/"),
    "a sealed copy": ({"open_tree": "EPERM"}, "/memfd:tare (deleted)"),
    "a mount that is read-only": ({}, "{binary}"),
}


@pytest.fixture
def installed(box, request):
    """The box's runtime is a copy, on a mount of its own if the image is to be on a read-only one."""
    own_binary.install_copy(box)
    place = os.path.dirname(box.runtime.binary)
    if "read-only" not in request.node.name:
        yield box
        return
    sandbox.mount(place, place, None, 0x1000)  # MS_BIND, and then MS_REMOUNT | MS_BIND | MS_RDONLY
    sandbox.mount(None, place, None, 0x1021)
    yield box
    LIBC.umount2(os.fsencode(place), 2)


# A container cannot be made where open_tree fails, as it does to have a copy sealed.
BOTH = [(i, w) for i in IMAGES for w in own_binary.WAYS if (i, w) != ("a sealed copy", "created")]


@pytest.mark.parametrize(("image", "way"), BOTH)
def test_a_container_with_every_capability_changes_no_image_of_the_program(installed, image, way):
    failing, name = IMAGES[image]
    before, after, said = own_binary.overwrite(installed, way, "privileged", failing=failing)
    assert said == [name.format(binary=installed.runtime.binary), "held", "tried"]
    assert before == after
