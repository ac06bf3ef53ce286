"""process.ioPriority: read back from the kernel for init and for exec."""

import os

import pytest

from harness.scheduling import io_priority

pytestmark = [
    pytest.mark.row("process.ioPriority"),
    pytest.mark.peer(runc="1.1 does not know the field", crun="1.8 does not know the field"),
]


@pytest.mark.parametrize("name, level", [("RT", 0), ("RT", 7), ("BE", 3), ("IDLE", 0)])
def test_the_io_priority_is_that_of_the_config(box, name, level):
    box.set("process.ioPriority", {"class": f"IOPRIO_CLASS_{name}", "priority": level})
    box.set("process.user", {"uid": 1000, "gid": 1000})
    os.chmod(box.rootfs, 0o777)
    box.hold()
    assert io_priority(box.pid) == (name, level)
    value = box.exec_facts()["ioprio"]
    assert (value >> 13, value & 7) == ({"RT": 1, "BE": 2, "IDLE": 3}[name], level)


def test_a_process_file_has_its_own_io_priority(box):
    box.hold()
    process = {
        "args": ["/probe"],
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
    }
    assert box.exec_process(process).check().json["ioprio"] == (2 << 13 | 6)


@pytest.mark.parametrize(
    "priority, words",
    [
        ({"class": "IOPRIO_CLASS_NONE", "priority": 0}, "invalid ioPriority.Class"),
        ({"class": "IOPRIO_CLASS_BE", "priority": 8}, "invalid ioPriority.Priority: 8"),
        ({"class": "IOPRIO_CLASS_BE", "priority": -1}, "invalid ioPriority.Priority: -1"),
        ({"priority": 1}, "class"),
    ],
)
def test_an_io_priority_that_cannot_be_is_refused(box, priority, words):
    box.set("process.ioPriority", priority)
    assert words in box.create().fails().said
