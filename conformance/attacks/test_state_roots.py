"""A directory for the state of containers that somebody else has made before us."""

import os

import pytest

from harness import must_refuse


def lay_link(root, canary):
    root.symlink_to(canary.path)


def lay_open(root, canary):
    root.mkdir()
    root.chmod(0o777)


def lay_foreign(root, canary):
    root.mkdir()
    os.chown(root, 1000, 1000)


def lay_group(root, canary):
    root.mkdir()
    root.chmod(0o770)
    os.chown(root, 0, 1000)


ROOTS = {
    "a link": lay_link,
    "for everyone to write": lay_open,
    "another user's": lay_foreign,
    "for a group to write": lay_group,
}


@pytest.mark.attack("A-33", "CVE-2015-1331")
@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.tare("runc and crun use whatever is there")
def test_state_is_not_kept_in_a_directory_that_is(box, canary, root):
    ROOTS[root](box.runtime.root, canary)
    box.args("/bin/true")
    result = box.run()
    if box.runtime.root.is_symlink():
        box.runtime.root.unlink()
    must_refuse(result, f"a --root that is {root}")
    assert canary.unchanged
