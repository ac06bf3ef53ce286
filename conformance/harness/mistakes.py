"""What a user gets wrong, as a caller hands it to the runtime, and the words that a person is to read."""

import pytest


def run(*args):
    return lambda box: box.args(*args)


def run_orphan(box):
    """A script for an interpreter that is not there."""
    path = box.rootfs / "bin/orphan"
    path.write_text("#!/bin/interpreter\n")
    path.chmod(0o755)
    box.args("/bin/orphan")


def mount_nothing(box):
    box.bundle.mount("/mnt", "bind", "/nonexistent/source", ["bind"])


def mount_file_on_directory(box):
    box.path("file").write_text("")
    box.bundle.mount("/etc", "bind", str(box.path("file")), ["bind"])


def limit_memory(box):
    box.set("linux.resources", {"memory": {"limit": 4096}})


# By a name: what is done to the config, and words between bars, one of which is said.
MISTAKES = {
    "no such command": (run("nonesuch"), "executable file not found in $PATH"),
    "no such file": (run("/nonexistent"), "no such file or directory"),
    "not executable": (run("/etc/passwd"), "permission denied"),
    "a directory": (run("/etc"), "permission denied|is a directory"),
    "no interpreter": (run_orphan, "no such file or directory"),
    "no source of a bind mount": (mount_nothing, "/nonexistent/source"),
    "a file on a directory": (mount_file_on_directory, "not a directory"),
    "too little memory": (limit_memory, "memory"),
}
NEEDS = {"too little memory": [pytest.mark.needs_controller("memory")]}

# What only the kernel finds, as the program begins.
LATE = ["no interpreter"]


def given(names):
    """Parameters of a test: the mistakes of some names."""
    cases = [pytest.param(*MISTAKES[name], marks=NEEDS.get(name, []), id=name) for name in names]
    return pytest.mark.parametrize(("arrange", "words"), cases)


every = given(MISTAKES)
of_create = given([name for name in MISTAKES if name not in LATE])


def says(text, words):
    return any(word in text for word in words.split("|"))
