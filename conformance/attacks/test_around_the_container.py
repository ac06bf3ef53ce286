"""What is around a container and not in it: the caller's terminal, sockets, the program file,
and a procfs that is none."""

import os
import pathlib
import re
import select
import shutil
import stat
import tty

import pytest

from harness import Canary, Pty, attack, fired_if, host, must_refuse, sandbox, trace
from harness.facts import SETS, Facts

TIOCSTI = 0x5412
RAISED = pathlib.Path("/proc/sys/dev/tty/legacy_tiocsti")
with_strace = pytest.mark.skipif(not trace.STRACE, reason="no strace to look on with")


@pytest.fixture
def with_false_proc(box):
    """A box whose /proc is a directory of the image's, with what a runtime could ask of procfs."""
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/proc"]
    proc = box.rootfs / "proc"
    for own in ("self", "thread-self", "1", "2"):
        for name, text in {
            "status": "CapBnd:\t000001ffffffffff\nUid:\t0\t0\t0\t0\n",
            "attr/exec": "", "attr/current": "unconfined\n", "attr/apparmor/exec": "",
            "uid_map": "0 0 4294967295\n", "setgroups": "allow\n", "oom_score_adj": "0\n",
            "fd/0": "", "ns/pid": "", "mountinfo": "",
        }.items():  # fmt: skip
            (proc / own / name).parent.mkdir(parents=True, exist_ok=True)
            (proc / own / name).write_text(text)
    (proc / "sys/kernel/seccomp").mkdir(parents=True)
    (proc / "sys/kernel/cap_last_cap").write_text("0\n")
    (proc / "sys/kernel/seccomp/actions_avail").write_text("allow\n")
    return box


def namespaces_of(pid):
    return [os.readlink(f"/proc/{pid}/ns/{kind}") for kind in ("pid", "mnt", "ipc", "uts")]


@pytest.mark.attack("A-33", "CVE-2015-1334")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_what_a_false_procfs_says_changes_nothing(with_false_proc, command):
    box = with_false_proc
    before = {p: p.read_bytes() for p in (box.rootfs / "proc").rglob("*") if p.is_file()}
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.hold()
    pid = box.pid
    if command == "exec":
        place = box.path("pid")
        box.exec("/probe", "hold", flags=["--detach", "--pid-file", place]).check()
        pid = int(place.read_text())
    status = dict(line.split(":\t", 1) for line in trace.status_of(pid).splitlines())
    links = {one: namespaces_of(one) for one in (pid, box.pid)}
    if pid != box.pid:
        host.kill_processes([pid])
    facts = Facts(status=status)
    asked = box.config["process"]["capabilities"]
    for which in SETS:
        wanted = set(asked.get(which, ())) if which == "bounding" else set()
        fired_if(facts.capabilities(which) - wanted, f"{which}: {status[SETS[which]]}")
    fired_if(status["Uid"].split() != ["1000"] * 4, f"ids {status['Uid']}")
    fired_if(links[pid] != links[box.pid], f"namespaces {links}")
    fired_if({p: p.read_bytes() for p in before} != before, "something was written there")


@pytest.mark.attack("A-34", "CVE-2016-8649", "CVE-2016-10124", "CVE-2017-5226")
@pytest.mark.parametrize("command", ["run", "exec"])
def test_nothing_is_typed_on_the_terminal_of_the_caller(box, command):
    if RAISED.exists() and RAISED.read_text().strip() == "0":
        pytest.skip("this kernel has no TIOCSTI for anybody (dev.tty.legacy_tiocsti)")
    said = box.bundle.fifo("said")
    os.mkfifo(box.rootfs / "go")
    words = ["/bin/sh", "-c", f"/act ioctl 0 {TIOCSTI} x > /said; read word < /go"]
    screen = Pty()
    tty.setraw(screen.slave)
    own = os.dup(screen.slave)
    if command == "exec":
        box.hold()
        call = screen.popen(box.runtime, "exec", box.id, *words)
    else:
        box.args(*words)
        box.bundle.save()
        call = screen.popen(box.runtime, "run", "--bundle", box.bundle.path, box.id)
    answer = said.line()
    typed = select.select([own], [], [], 0)[0] != []
    (box.rootfs / "go").write_text("on\n")
    call.wait()
    os.close(own)
    screen.close()
    fired_if(typed or answer == "ok", f"typed: {answer}")


@pytest.fixture
def setuid(box):
    """The runtime, set-user-ID root, where the kernel heeds that: not on the suite's own tmpfs."""
    place = box.path("setuid")
    place.mkdir()
    sandbox.mount("setuid", place, "tmpfs", 0, "size=32m,mode=755")
    if box.runtime.kind == "naive":
        binary = pathlib.Path(attack.install_naive(place))
        (binary.parent / "interpreter").chmod(0o4755)
    else:
        binary = pathlib.Path(shutil.copy(box.runtime.binary, place))
        binary.chmod(0o4755)
    before, box.runtime.binary = box.runtime.binary, binary
    yield box
    box.clear()
    box.runtime.binary = before
    host.LIBC.umount2(os.fsencode(place), 2)


@pytest.mark.attack("A-35", "CVE-2018-6556", "CVE-2017-5985")
@pytest.mark.parametrize("command", ["create", "delete"])
def test_a_runtime_that_is_set_user_id_does_nothing_for_who_calls_it(setuid, command):
    box = setuid
    canary = Canary(box.path("canary"))
    canary.path.chmod(0o700)
    box.path("open").mkdir(mode=0o777)
    box.path("open").chmod(0o777)
    box.runtime.root = box.path("open") / "state"
    box.bundle.save()
    box.runtime.caller = {"user": 1000, "group": 1000, "extra_groups": []}
    if command == "create":
        flags = ["--bundle", box.bundle.path, "--pid-file", canary.path / "pid"]
        result = box.runtime.call("create", *flags, box.id)
    else:
        box.runtime.root = canary.path
        result = box.runtime.call("delete", "--force", "directory")
    box.runtime.caller = {}
    box.runtime.root = box.path("open") / "state"
    assert canary.unchanged
    must_refuse(result, "a call with the rights of another")


@pytest.mark.attack("A-35", "CVE-2018-6556")
def test_an_error_does_not_tell_what_there_is_in_a_directory_of_another(setuid):
    """There is a file and there is none: whoever may not look is told the same of both."""
    box = setuid
    canary = Canary(box.path("canary"))
    canary.path.chmod(0o700)
    box.runtime.caller = {"user": 1000, "group": 1000, "extra_groups": []}
    said = []
    for name in ("file", "none"):
        result = box.runtime.call("create", "--bundle", canary.path / name, box.id)
        said.append(re.sub(r'time="[^"]*"', "", result.err).replace(f"/{name}", "/NAME"))
    box.runtime.caller = {}
    assert all(said), "no word on standard error"
    fired_if(said[0] != said[1], f"{said}")


@with_strace
@pytest.mark.attack("A-42", "CVE-2020-15257")
@pytest.mark.parametrize("command", ["run", "exec", "notify"])
def test_no_socket_has_an_abstract_name(box, command):
    box.args("/bin/true")
    words, more = ["run", "--bundle", box.bundle.path, box.id], None
    if command == "exec":
        box.hold()
        words = ["exec", box.id, "/bin/true"]
    if command == "notify":
        more = {"env": {"NOTIFY_SOCKET": str(box.path("notify")), "PATH": "/usr/bin:/bin"}}
    calls = "bind,connect,sendto,listen"
    _, made = trace.record(box, *words, calls=calls, prepare=more)
    abstract = [str(call) for call in made if 'sun_path=@"' in call.text]
    fired_if(abstract, f"{abstract}")


@pytest.mark.attack("A-42", "CVE-2020-15257")
def test_the_state_directory_is_for_nobody_else(box):
    box.create().check()
    for place in (box.runtime.root, box.runtime.root / box.id):
        mode = stat.S_IMODE(os.stat(place).st_mode)
        fired_if(mode & 0o077 & ~0o011, f"{place} has mode {mode:o}")
