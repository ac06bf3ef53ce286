"""A process of the runtime that the container can see, on its way to becoming a program: what it has
open, where it is, what it is made of. It is stopped at each of its steps, and looked at from inside."""

import os
import shutil
import stat

import pytest

from harness import Canary, fired_if, own_binary, trace
from harness.onlooker import Onlooker

pytestmark = pytest.mark.skipif(not trace.STRACE, reason="no strace to stop the runtime with")

LOOK = """\
while read p <&4; do
  found=nothing
  for place in /proc/$p/fd/* /proc/$p/root /proc/$p/cwd; do
    for up in . .. ../.. ../../.. ../../../..; do
      [ -e $place/$up/canary/file ] && found=$place/$up
    done
  done
  {more}
  echo $found >&3
done
"""


@pytest.fixture
def canary(box):
    return Canary(box.path("canary"))


# The memory and the descriptors of another are there to take for who may trace, whatever a runtime
# does. strace is its tracer already; pidfd_getfd asks for the same right as ptrace.
MEMORY = "(: < /proc/$p/mem) 2> /dev/null && found=memory"
COPIES = """case $(/act pidfd_open $p 0 , pidfd_getfd 5 0 0) in *ok*ok) found=descriptor ;; esac"""
TRACER, EQUAL = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"], ["CAP_DAC_OVERRIDE", "CAP_KILL"]
LOOKERS = {
    "who may trace": (TRACER, ""),
    "who may do what it may": (EQUAL, ""),
    "who may do what it may, at its memory": (EQUAL, MEMORY),
    "who may do what it may, by its descriptors": (EQUAL, COPIES),
}


A_04 = pytest.mark.attack("A-04", "CVE-2016-9962", "CVE-2020-14300")


@A_04
@pytest.mark.parametrize("looker", LOOKERS)
def test_nothing_of_the_host_is_reached_through_a_process_of_exec(box, canary, looker):
    capabilities, more = LOOKERS[looker]
    onlooker = Onlooker(box, LOOK.replace("{more}", more), capabilities)
    found, stops = [], 0
    with trace.Halt(box, own_binary.STEPS, "exec", box.id, "/bin/true", wanted=trace.is_within) as halt:
        while True:
            stops += 1
            found.append(onlooker.tell(trace.pid_within(halt.pid)))
            if not halt.next():
                break
    fired_if(set(found) != {"nothing"}, f"{found}")
    assert stops > 3 and canary.unchanged


EXECS = 200


@A_04
@pytest.mark.parametrize("looker", ["who may trace", "who may do what it may"])
def test_two_hundred_processes_of_exec_are_not_caught_by_one_that_waits_for_them(
    box, canary, looker
):
    shutil.copy(box.template.tool("spy"), box.rootfs / "spy")
    said = box.bundle.fifo("said")
    capabilities = LOOKERS[looker][0]
    box.set("process.capabilities", dict.fromkeys(("bounding", "effective", "permitted"), capabilities))
    how = "look" if looker == "who may trace" else "attach"
    box.sh(f"exec /spy {canary.path}/file {how} > /said")
    box.create().check()
    box.start().check()
    assert said.line() == "ready"
    for _ in range(EXECS):
        box.exec("/bin/true").check()
        if said.is_readable():
            break
    (box.rootfs / "stop").touch()
    found = said.line()
    fired_if(not found.startswith("done"), f"a process of exec was caught by {found}")
    assert canary.unchanged
    # On two processors some are seen; a spy that has seen none has proved nothing.
    assert int(found.split()[2]) > 0


@pytest.mark.attack("A-46", "CVE-2026-78408")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_no_directory_of_the_host_is_open_once_the_user_has_changed(box, command):
    box.set("process.user", {"uid": 1000, "gid": 1000})
    words = ["run", "--bundle", box.bundle.path, box.id]
    if command == "exec":
        box.hold()
        words = ["exec", box.id, "/probe"]
    box.args("/probe")
    with trace.Halt(box, "setresuid,capset,execve", *words, wanted=trace.is_within) as halt:
        while True:
            kept = [
                link
                for number, link in halt.links().items()
                if number > 2 and stat.S_ISDIR(os.stat(f"/proc/{halt.pid}/fd/{number}").st_mode)
            ]
            fired_if(kept, f"open: {kept}")
            if not halt.next():
                break


@pytest.mark.attack("A-05", "CVE-2019-5736", "CVE-2020-14298")
@pytest.mark.parametrize("attacker", own_binary.ATTACKERS)
@pytest.mark.parametrize("way", own_binary.WAYS)
def test_the_runtime_is_not_overwritten_through_its_own_processes(box, way, attacker):
    own_binary.install_copy(box)
    before, after, said = own_binary.overwrite(box, way, attacker)
    fired_if(before != after, f"the binary was {before}, and is {after} ({said})")
