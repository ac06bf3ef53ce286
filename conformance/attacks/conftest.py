"""What the replays have in common."""

import pytest

from harness import Canary


@pytest.fixture
def canary(box):
    return Canary(box.path("canary"))


@pytest.fixture
def own_dev(box):
    """A box with nothing mounted on /dev: it is the image's own."""
    mounts = box.config["mounts"]
    box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]
    return box
