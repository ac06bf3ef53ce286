"""The two sides of terminals: what conmon does with a console socket, and a user at a tty."""

import array
import fcntl
import os
import pty
import signal
import socket
import struct
import termios

from harness import events


class ConsoleSocket:
    """Listens as conmon does, and takes the one descriptor that the runtime sends."""

    def __init__(self, path):
        self.path = str(path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.path)
        self.listener.listen(1)
        self.fds = []
        self.payload = b""

    def receive(self, timeout=None):
        """Returns the descriptor that came; fds and payload keep everything that did."""
        events.wait_readable(self.listener, "connection to the console socket", timeout)
        connection, _ = self.listener.accept()
        with connection:
            events.wait_readable(connection, "message on the console socket", timeout)
            self.payload, ancillary, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(4 * 16))
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(data[: len(data) - len(data) % received.itemsize])
                self.fds += received
        assert self.fds, "the message carried no descriptor"
        return self.fds[0]

    def close(self):
        self.listener.close()
        for fd in self.fds:
            os.close(fd)
        self.fds.clear()


class Pty:
    """A terminal with the runtime on its far side, as a user's shell would start it."""

    def __init__(self, rows=24, columns=80):
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)

    def resize(self, rows, columns, tell=None):
        """Sets the size; `tell` is a pid that gets SIGWINCH, when it is not in the foreground."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            os.kill(tell, signal.SIGWINCH)

    def popen(self, runtime, *args):
        """Starts the runtime as leader of a session whose controlling terminal this is."""

        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        call = runtime.popen(
            *args,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=own_terminal,
        )
        os.close(self.slave)
        self.slave = -1
        return call

    def write(self, text):
        os.write(self.master, text.encode())

    def until(self, text, timeout=None):
        """What the terminal showed up to and with `text`."""
        return events.read_until(self.master, text, timeout)

    def rest(self, timeout=None):
        """What it shows from here until the far side is closed."""
        return events.read_all(self.master, "terminal", timeout)

    def size(self):
        return struct.unpack("HHHH", fcntl.ioctl(self.master, termios.TIOCGWINSZ, b"\0" * 8))[:2]

    def close(self):
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)
