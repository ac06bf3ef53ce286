"""A static program that asks for a name, a locale or a library loads what an image has of them, as
docker cp did (CVE-2019-14271). Nothing of the runtime opens any of these, whatever lies there."""

import ctypes
import os
import struct

import pytest

from harness import host

IN_OPEN, IN_ACCESS, IN_NONBLOCK, IN_CLOEXEC = 0x20, 0x01, 0o4000, 0o2000000
EVENT = struct.Struct("iIII")

LOOKED_UP = (
    "etc/nsswitch.conf etc/ld.so.preload etc/ld.so.cache etc/ld.so.conf etc/localtime"
    " etc/locale.alias etc/hosts etc/resolv.conf etc/host.conf etc/gai.conf etc/protocols etc/services etc/shadow"
    " etc/gshadow etc/subuid etc/subgid etc/login.defs etc/tare etc/mtab etc/machine-id"
    " lib/libnss_files.so.2 lib64/libnss_files.so.2 usr/lib/libnss_compat.so.2 lib/libc.so.6"
    " lib/x86_64-linux-gnu/libnss_files.so.2 usr/lib/x86_64-linux-gnu/libnss_systemd.so.2"
    " lib64/ld-linux-x86-64.so.2 usr/lib/x86_64-linux-gnu/gconv/gconv-modules"
    " usr/lib/x86_64-linux-gnu/gconv/gconv-modules.cache usr/lib/locale/locale-archive"
    " usr/lib/locale/C.utf8/LC_CTYPE usr/share/locale/locale.alias usr/share/zoneinfo/UTC"
    " var/run/nscd/socket run/dbus/system_bus_socket"
).split()
ODD = {"LC_ALL": "de_DE.UTF-8", "TZ": "Europe/Berlin", "PATH": "/usr/bin:/bin"}


class Watch:
    """Says which of some files have been opened since it was made, by anybody."""

    def __init__(self, root, names):
        self.fd = host.LIBC.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        self.names = {}
        for name in names:
            path = ctypes.c_char_p(os.fsencode(root / name))
            self.names[host.LIBC.inotify_add_watch(self.fd, path, IN_OPEN | IN_ACCESS)] = name
        assert min(self.names) > 0 and len(self.names) == len(names)

    @property
    def opened(self):
        found = set()
        while True:
            try:
                text = os.read(self.fd, 65536)
            except BlockingIOError:
                return sorted(found)
            while text:
                number, _, _, length = EVENT.unpack_from(text)
                found.add(self.names[number])
                text = text[EVENT.size + length :]


@pytest.fixture(params=["file", "fifo"])
def watch(request, box):
    """The box's image has everything that a library might look for, as files or as FIFOs."""
    for name in LOOKED_UP:
        path = box.rootfs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if request.param == "fifo":
            os.mkfifo(path)
        else:
            path.write_text("nonsense\n")
    made = Watch(box.rootfs, LOOKED_UP)
    yield made
    os.close(made.fd)


def test_the_watch_sees_what_is_opened(box, watch):
    box.sh("cat < /etc/ld.so.preload & kill $!; exec 3<>/etc/nsswitch.conf; true")
    box.run().check()
    assert "etc/nsswitch.conf" in watch.opened


def test_create_start_and_delete_open_nothing_that_libraries_look_for(box, watch):
    box.set("process.user", {"uid": 1000, "gid": 1000, "additionalGids": [5]})
    box.bundle.namespace("network")
    box.set("process.env", ["PATH=/bin:/"])
    box.args("probe", "die", "9")
    box.create(env=ODD).check()
    pid = box.pid
    box.start(env=ODD).check()
    box.wait(pid)
    box.delete(env=ODD).check()
    assert watch.opened == []


def test_a_terminal_and_hooks_inside_open_none_either(box, watch):
    box.set("process.terminal", True)
    box.set("hooks.startContainer", [{"path": "/probe", "args": ["probe", "die", "0"]}])
    box.set("process.env", [])
    box.args("/probe")
    box.run(env=ODD)
    assert watch.opened == []


@pytest.mark.parametrize("user", ["1000", "1000:5", "0"])
def test_exec_opens_none_for_whatever_user(box, watch, user):
    box.hold()
    box.exec("/probe", flags=["--user", user, "--env", "TZ=Europe/Berlin"], env=ODD).check()
    box.exec("nonesuch", env=ODD)
    assert watch.opened == []


def test_an_error_opens_none(box, watch):
    box.args("/nonesuch")
    box.run(env=ODD).fails()
    assert watch.opened == []
