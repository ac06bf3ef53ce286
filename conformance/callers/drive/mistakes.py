"""What a user gets wrong in the same way with every caller: programs that cannot be run, and the words
that a person reads then. The caller adds its own around them."""

import pytest

NOT_FOUND = 'executable file `nonesuch` not found in $PATH|exec: "nonesuch": executable file not found'
# A program of the image, the status of podman and docker for it, and what is said, by one or the other runtime.
PROGRAMS = [
    ("nonesuch", 127, NOT_FOUND),
    ("/nonexistent", 127, "no such file or directory"),
    ("/etc/notes", 126, "permission denied"),
    ("/etc", 126, "permission denied|is a directory"),
]
# The status of this one is another with runtimes that let the kernel find it out.
ORPHAN = ("/bin/orphan", 127, "no such file or directory")

with_status = pytest.mark.parametrize(("program", "code", "words"), PROGRAMS)
without_status = pytest.mark.parametrize(
    ("program", "words"), [(program, words) for program, _, words in [*PROGRAMS, ORPHAN]]
)


def says(text, words):
    """Whether one of the words between bars is said; runtimes differ in capitals."""
    return any(word in text.lower() for word in words.lower().split("|"))
