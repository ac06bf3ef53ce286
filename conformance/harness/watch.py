"""Being told by the kernel who opens or makes what: inotify(7)."""

import ctypes
import os
import struct

from harness.host import LIBC

IN_OPEN, IN_CREATE, IN_MOVED_TO = 0x20, 0x100, 0x80
IN_NONBLOCK, IN_CLOEXEC = 0o4000, 0o2000000


class Watch:
    """Collects events on files and directories from when it is told of them."""

    def __init__(self):
        self.fd = LIBC.inotify_init1(IN_NONBLOCK | IN_CLOEXEC)
        assert self.fd >= 0
        self.paths = {}

    def add(self, path, mask):
        number = LIBC.inotify_add_watch(self.fd, os.fsencode(path), ctypes.c_uint32(mask))
        assert number >= 0, f"cannot watch {path}"
        self.paths[number] = str(path)

    def seen(self):
        """The paths that something has happened to, in order."""
        found = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return found
            while data:
                number, _, _, length = struct.unpack_from("iIII", data)
                name = data[16 : 16 + length].rstrip(b"\0")
                found.append(os.path.join(self.paths.get(number, "?"), os.fsdecode(name)))
                data = data[16 + length :]

    def close(self):
        os.close(self.fd)
