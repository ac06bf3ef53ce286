"""The program seals itself before it does anything else, the C library's own beginnings included
(CVE-2019-5736; what it is sealed against is in tests/system/seal_test.cpp)."""

import fcntl
import os
import pathlib
import shutil
import struct
import subprocess

import pytest

from harness import host, own_binary, sandbox, trace
from harness.host import LIBC

pytestmark = [
    pytest.mark.tare("how it is sealed is a matter of its own"),
    pytest.mark.skipif(not trace.STRACE, reason="no strace to look on with"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a user has no mounts to make, and seals later"),
]


# The image by the program's own name, or by /proc/self/exe; and how the program is moved into it:
# mapped again from it, and its name with the kernel changed.
NAMED = ["statfs", "readlink", "open_tree", "mount_setattr", "openat", "close", "pread64"]
LINKED = ["statfs", "open_tree", "mount_setattr", "openat"]
MOVED = ["mmap", "brk", "prctl", "close"]


def first_calls(box, *words, failing=None):
    """The names of what the program calls after its execve, each once where it comes many times in a
    row: of a copy of it, as the one under test may lie on a read-only mount, where it need not be
    sealed."""
    own_binary.install_copy(box)
    return names_of(box, *words, failing=failing)


def names_of(box, *words, failing=None):
    names = [call.name for call in trace.record(box, *words, calls="all", failing=failing)[1]]
    return [name for name, before in zip(names[1:], names) if name != before or name == "close"]


def test_nothing_is_initialised_before_the_program_is_sealed(box):
    calls = first_calls(box, "run", "--bundle", box.bundle.path, box.id)
    assert calls[: len(NAMED + MOVED)] == NAMED + MOVED
    assert "execveat" not in calls


def test_nothing_is_initialised_before_the_program_is_sealed_for_exec(box):
    box.hold()
    calls = first_calls(box, "exec", box.id, "/probe")
    assert calls[: len(NAMED + MOVED)] == NAMED + MOVED
    assert "execveat" not in calls


def by_a_link(box):
    link = box.path("runc")
    link.symlink_to(box.runtime.binary)
    return link


def by_a_script(box):
    """Of which the kernel tells the program as if that were what it had executed."""
    script = box.path("script")
    script.write_text(f"#!{box.runtime.binary}\n")
    script.chmod(0o755)
    return script


def test_a_file_begins_with_what_tells_it_from_any_other(box):
    """Its id, in the note that the linker makes (elf(5), "Notes"): what is found by the program's name
    is compared with it, as far as sys/entry.cpp reads."""
    own_binary.install_copy(box)
    beginning = pathlib.Path(box.runtime.binary).read_bytes()[:1024]
    assert struct.pack("III4s", 4, 20, 3, b"GNU\0") in beginning  # NT_GNU_BUILD_ID, of 20 bytes


# And what is called until it shows that the name is of something else.
OTHER_NAMES = {"link": (by_a_link, NAMED[:2]), "script": (by_a_script, [*NAMED, "close"])}


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_a_name_that_is_not_the_programs_own_is_not_believed(box, name):
    own_binary.install_copy(box)
    made, looked = OTHER_NAMES[name]
    box.runtime.binary = str(made(box))
    calls = names_of(box, "run", "--bundle", box.bundle.path, box.id)
    expected = [*looked, *LINKED, "close", *MOVED]
    assert calls[: len(expected)] == expected
    assert "execveat" not in calls


# What may keep the program from being moved, and what has been called by then: a kernel that is told
# by another security module not to map it, or that does not know that the heap may lie below.
HINDRANCES = {
    "openat": ("1..2", [*NAMED[:5], "close", *LINKED, MOVED[0]]),
    "mmap": ("1", [*NAMED, "mmap"]),
    "prctl": ("1", [*NAMED, *MOVED[:-1]]),
}


@pytest.mark.parametrize("hindered", HINDRANCES)
def test_a_program_that_cannot_be_moved_is_executed_before_anything_is_initialised(box, hindered):
    words = ["run", "--bundle", box.bundle.path, box.id]
    times, expected = HINDRANCES[hindered]
    calls = first_calls(box, *words, failing={hindered: f"EPERM:when={times}"})
    assert calls[: calls.index("execveat")] == expected


def test_a_command_that_makes_no_process_is_not_sealed(box):
    assert "execveat" not in [call.name for call in trace.record(box, "list", calls="all")[1]]


def whom_ps_sees(pid):
    """The name, the command line and the environment that ps(1) and others find of a process."""
    place = pathlib.Path("/proc", str(pid))
    return [(place / name).read_bytes() for name in ("comm", "cmdline", "environ")]


@pytest.mark.parametrize("environment", [{}, {"PATH": "/bin", "TARE": "test"}], ids=["bare", "some"])
def test_the_program_is_seen_as_it_was_called(box, environment):
    own_binary.install_copy(box)
    ready = box.bundle.fifo("ready")
    box.args("/probe", "hold", "/ready")
    call = box.popen_run(env=environment)
    assert ready.line() == "ready"
    name, words, variables = whom_ps_sees(call.pid)
    expected = box.runtime.argv("run", "--bundle", box.bundle.path, box.id)
    assert name == b"tare\n"
    assert words.decode().split("\0")[:-1] == [str(word) for word in expected]
    assert variables.decode().split("\0")[:-1] == [f"{key}={value}" for key, value in environment.items()]
    box.kill("KILL").check()
    call.wait()


# What keeps the image from being written to, and what it is called then.
IMAGES = {
    "a clone of its mount": ({}, "/tare"),
    # Where the program is not found by its name.
    "a clone of its mount for it alone": ({"pread64": "EPERM:when=1"}, "/"),
    # Each process's first: without a place for its heap the program is not moved, and what it forks
    # has its heap from elsewhere.
    "a clone that it is executed from": ({"brk": "EPERM:when=1"}, "/tare"),
    "a sealed copy": ({"open_tree": "EPERM"}, "/memfd:tare (deleted)"),
    "a mount that is read-only": ({}, "{binary}"),
    "an overlay of its directory": ({}, "{binary}"),
    "a clone, for all that there is fs-verity": ({}, "/tare"),
}
ENABLE_VERITY = 0x40806685  # FS_IOC_ENABLE_VERITY, with a struct fsverity_enable_arg
SHA256, BLOCK = 1, 4096


def read_only(place):
    sandbox.mount(place, place, None, 0x1000)  # MS_BIND, and then MS_REMOUNT | MS_BIND | MS_RDONLY
    sandbox.mount(None, place, None, 0x1021)


def overlay(place):
    """Of two directories at least, or there would be none to write to."""
    os.mkdir(f"{place}-beside")
    sandbox.mount("overlay", place, "overlay", 0, f"lowerdir={place}:{place}-beside")


def make_file_system(image):
    """An ext4 that may have fs-verity; the guest is given one (guest/suite)."""
    made = pathlib.Path(os.environ.get("TCONF_PROGRAMS", "/nowhere"), "verity.ext4")
    if made.exists():
        shutil.copy(made, image)
    elif shutil.which("mkfs.ext4"):
        command = ["mkfs.ext4", "-q", "-O", "verity", "-b", str(BLOCK), image, "16M"]
        subprocess.run(command, check=True)
    else:
        pytest.skip("no mkfs.ext4")


def verity(place):
    """The program on a file system of its own, with fs-verity: that keeps its contents as they are,
    and neither its mode nor its owner."""
    program = pathlib.Path(place, "tare").read_bytes()
    make_file_system(f"{place}.ext4")
    words = ["mount", "-o", "loop", f"{place}.ext4", place]
    mounted = subprocess.run(words, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no ext4 by a loop device: {mounted.stderr.strip().splitlines()[-1]}")
    copy = pathlib.Path(place, "tare")
    copy.write_bytes(program)
    copy.chmod(0o755)
    fd = os.open(copy, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, ENABLE_VERITY, struct.pack("IIII", 1, SHA256, BLOCK, 0) + bytes(112))
    except OSError as error:
        pytest.skip(f"no fs-verity: {error.strerror}")
    finally:
        os.close(fd)


PLACES = {
    "a mount that is read-only": read_only,
    "an overlay of its directory": overlay,
    "a clone, for all that there is fs-verity": verity,
}


@pytest.fixture
def installed(box, image):
    """The box's runtime is a copy, on a mount of its own if that is what seals it."""
    own_binary.install_copy(box)
    place = os.path.dirname(box.runtime.binary)
    if image not in PLACES:
        yield box
        return
    before = host.mounts()
    try:
        PLACES[image](place)
        box.runtime.binary = os.path.join(place, "tare")
        yield box
    finally:
        if host.mounts() != before:
            LIBC.umount2(os.fsencode(place), 2)


# A container cannot be made where open_tree fails, as it does to have a copy sealed.
BOTH = [(i, w) for i in IMAGES for w in own_binary.WAYS if (i, w) != ("a sealed copy", "created")]


@pytest.mark.parametrize(("image", "way"), BOTH)
def test_a_container_with_every_capability_changes_no_image_of_the_program(installed, image, way):
    failing, name = IMAGES[image]
    before, after, said = own_binary.overwrite(installed, way, "privileged", failing=failing)
    assert said == [name.format(binary=installed.runtime.binary), "held", "tried"]
    assert before == after
