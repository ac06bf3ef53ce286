"""The process that enters a container for exec, as seen by a container that has the host's /proc, which
monitors are given: it can name every process of the host."""

import os

import pytest

from harness import trace
from harness.onlooker import Onlooker

pytestmark = pytest.mark.skipif(not trace.STRACE, reason="no strace to stop the runtime with")

# All that whoever enters needs for the change of user, and not the right to trace.
EQUAL = ["CAP_DAC_OVERRIDE", "CAP_KILL", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"]
LOOK = """\
while read p <&4; do
  found=nothing
  (: < /host/$p/mem) 2> /dev/null && found=memory
  [ -e /host/$p/root/. ] && found=root
  echo $found >&3
done
"""


def test_who_enters_for_exec_cannot_be_read_by_who_may_do_as_much(box):
    box.bundle.mount("/host", "none", "/proc", ["rbind"])
    onlooker = Onlooker(box, LOOK, EQUAL)
    assert onlooker.tell(os.getpid()) == "nothing"
    found = []

    def enters(pid):
        return pid != halt.call.pid and not trace.is_within(pid)

    halt = trace.Halt(box, "setns,prctl,capset,getcwd", "exec", box.id, "/bin/true", wanted=enters)
    with halt:
        while True:
            found.append(onlooker.tell(halt.pid))
            if not halt.next():
                break
    assert len(found) > 2 and set(found) == {"nothing"}, found
