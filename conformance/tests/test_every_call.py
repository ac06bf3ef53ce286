"""A runtime that is killed at each of its system calls in turn, its processes as they come to it, where
test_killed.py has chosen ones. It takes minutes, and is run when it is named (conftest.py)."""

import collections
import re

import pytest
from test_killed import STRACE, cleared, under_strace

from harness import host

pytestmark = pytest.mark.skipif(not STRACE, reason="no strace to kill the runtime with")
PARTS = 8  # of the points of each command, each within a test's time


def nothing(box):
    pass


def create(box):
    box.create().check()


def start(box):
    create(box)
    box.start().check()


def pause(box):
    start(box)
    box.runtime.call("pause", box.id).check()


COMMANDS = {
    "create": (nothing, ["create", "--bundle", "{bundle}", "{id}"]),
    "run": (nothing, ["run", "--detach", "--bundle", "{bundle}", "{id}"]),
    "start": (create, ["start", "{id}"]),
    "exec": (start, ["exec", "{id}", "/bin/true"]),
    "kill": (start, ["kill", "{id}", "KILL"]),
    "pause": (start, ["pause", "{id}"]),
    "resume": (pause, ["resume", "{id}"]),
    "update": (start, ["update", "--resources", "{resources}", "{id}"]),
    "delete": (start, ["delete", "--force", "{id}"]),
}


def points(box, prepare, words):
    """Name and number of each call that any process of an undisturbed run makes."""
    before = host.Snapshot.take(box.runtime.root)
    prepare(box)
    out = box.path("calls")
    command = [STRACE, "-D", "-f", "-qqq", "-s", "0", "-e", "signal=none", "-o", out]
    box.runtime.call(argv=[*command, *box.runtime.argv(*words)]).check()
    cleared(box, before)  # with init strace has ended, too
    calls = collections.Counter(re.findall(r"^(\d+) +(\w+)\(", out.read_text("utf-8"), re.M))
    most = collections.Counter()
    for (_, name), number in calls.items():
        most[name] = max(most[name], number)
    return [(name, n) for name in sorted(most) for n in range(1, most[name] + 1)]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_left_is_cleared_away_wherever_it_is_killed(box, command, part, record_property):
    prepare, words = COMMANDS[command]
    places = {"bundle": box.bundle.path, "resources": box.path("resources"), "id": box.id}
    words = [word.format(**places) for word in words]
    box.path("resources").write_text("{}")
    box.args("/probe", "hold")
    box.bundle.save()
    mine = points(box, prepare, words)[part::PARTS]
    killed = 0
    for name, number in mine:
        before = host.Snapshot.take(box.runtime.root)
        prepare(box)
        killed += under_strace(box, name, number, *words).code != 0
        cleared(box, before)
    record_property(f"{command} killed", f"{killed} times, of {len(mine)} points")
    assert killed
