"""Waiting for something to happen: always for the event itself, never for a span of time."""

import errno
import os
import select
import time

IN_GUEST = os.path.exists("/etc/tare-guest")  # see guest/README.md
SLOWNESS = 8 if IN_GUEST else 1  # how many times longer an emulated machine may take
patience = 10.0 * SLOWNESS  # seconds after which a test calls an awaited event missing


class Missing(AssertionError):
    """An event that a test waited for did not come."""


def wait_readable(fd, what, timeout=None):
    """Returns when `fd` has something to read (or its other end is gone)."""
    timeout = patience if timeout is None else timeout
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    if not poller.poll(timeout * 1000):
        raise Missing(f"no {what} within {timeout} s")


def wait_exit(pid, timeout=None):
    """Returns when the process has ended; a process that is gone already has."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        wait_readable(pidfd, f"end of process {pid}", timeout)
    finally:
        os.close(pidfd)


def reap(pid, timeout=None):
    """Waits for a child of ours and returns its exit code, minus the signal number if killed."""
    wait_exit(pid, timeout)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def is_running(pid):
    """Whether the process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def read_all(fd, what, timeout=None):
    """Reads to the end of a pipe, socket or terminal (whose end is EIO)."""
    deadline = time.monotonic() + (patience if timeout is None else timeout)
    parts = []
    while True:
        wait_readable(fd, f"end of {what}", max(0.0, deadline - time.monotonic()))
        try:
            part = os.read(fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            part = b""
        if not part:
            return b"".join(parts).decode("utf-8", "replace")
        parts.append(part)


def read_until(fd, text, timeout=None):
    """Reads until `text` has come, and returns everything up to then."""
    deadline = time.monotonic() + (patience if timeout is None else timeout)
    got = b""
    while text.encode() not in got:
        wait_readable(fd, f"{text!r} after {got!r}", max(0.0, deadline - time.monotonic()))
        try:
            part = os.read(fd, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            part = b""
        if not part:
            raise Missing(f"the end came before {text!r}: {got!r}")
        got += part
    return got.decode("utf-8", "replace")


class Fifo:
    """A FIFO, usually in a rootfs, through which a container tells the test something."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        os.chmod(path, 0o666)
        # Non-blocking, so that opening does not wait for the writer; poll waits for what is written.
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def line(self, timeout=None):
        """The next line that somebody writes, without its newline."""
        got = b""
        while not got.endswith(b"\n"):
            wait_readable(self.fd, f"line in {self.path}", timeout)
            part = os.read(self.fd, 1)
            if not part:
                raise Missing(f"{self.path} was closed after {got!r}")
            got += part
        return got.decode().rstrip("\n")

    def is_readable(self):
        """Whether somebody has written something by now."""
        return bool(select.select([self.fd], [], [], 0)[0])

    def close(self):
        os.close(self.fd)
