"""A seccomp agent: takes listeners on a unix socket and answers the system calls they tell of."""

import array
import dataclasses
import errno
import fcntl
import json
import os
import queue
import select
import socket
import struct
import threading

from harness import events

# _IOWR('!', 0, struct seccomp_notif) and _IOWR('!', 1, struct seccomp_notif_resp), linux/seccomp.h.
RECEIVE, SEND = 0xC0502100, 0xC0182101
NOTIFICATION = struct.Struct("=QIIiIQ6Q")
RESPONSE = struct.Struct("=QqiI")
CONTINUE = 1  # SECCOMP_USER_NOTIF_FLAG_CONTINUE

NUMBERS = {"read": 0, "open": 2, "close": 3, "execve": 59, "fcntl": 72, "mkdir": 83, "chmod": 90}
NUMBERS |= {"fchmod": 91, "openat": 257, "fchmodat": 268}
NAMES = {number: name for name, number in NUMBERS.items()}


@dataclasses.dataclass
class Call:
    """A system call that waits for its answer."""

    listener: int
    key: int
    pid: int  # as the agent sees it
    name: str
    arguments: tuple

    def text(self, index):
        """The string that an argument points to."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.arguments[index])
            return memory.read(256).partition(b"\0")[0].decode()

    def answer(self, value=0, error=0, go_on=False):
        """`go_on` lets the kernel do the call itself."""
        flags = CONTINUE if go_on else 0
        try:
            fcntl.ioctl(self.listener, SEND, RESPONSE.pack(self.key, value, -error, flags))
        except OSError as fault:
            # ENOENT: the caller was killed, or interrupted, in the meantime.
            if fault.errno != errno.ENOENT:
                raise


def let_through(call):
    call.answer(go_on=True)


class Agent:
    """Runs in a thread of the suite. `act` is given each call; what it leaves, is left waiting."""

    def __init__(self, path, act=let_through):
        self.path, self.act = path, act
        self.states = queue.Queue()
        self.calls = queue.Queue()
        self.listeners = []
        self.waker, self.alarm = os.pipe2(os.O_CLOEXEC)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # By a descriptor of the directory, as the path may be longer than an address can be.
        directory = os.open(os.path.dirname(path), os.O_PATH)
        self.socket.bind(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        os.close(directory)
        self.socket.listen()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def state(self):
        """The next container process state that came with a listener."""
        return self._next(self.states, "listener")

    def call(self):
        """The next system call that was told of."""
        return self._next(self.calls, "notification")

    def close(self):
        """Ends like an agent that is killed: with all its listeners."""
        thread, self.thread = self.thread, None
        if thread is None:
            return
        os.close(self.alarm)
        # A call that was killed between poll and ioctl leaves the ioctl waiting for the next one.
        thread.join(events.patience)
        for fd in (self.waker, *self.listeners):
            os.close(fd)
        self.socket.close()
        os.unlink(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @staticmethod
    def _next(waiting, what):
        try:
            return waiting.get(timeout=events.patience)
        except queue.Empty:
            raise events.Missing(f"no {what} within {events.patience} s") from None

    def _serve(self):
        poller = select.poll()
        poller.register(self.waker)
        poller.register(self.socket, select.POLLIN)
        while True:
            for fd, event in poller.poll():
                if fd == self.waker:
                    return
                if fd == self.socket.fileno():
                    for listener in self._accept():
                        self.listeners.append(listener)
                        poller.register(listener, select.POLLIN)
                elif event & select.POLLIN:
                    self._notified(fd)
                else:  # the last process under the filter is gone
                    poller.unregister(fd)

    def _accept(self):
        connection, _ = self.socket.accept()
        with connection:
            descriptors = array.array("i")
            room = socket.CMSG_SPACE(8 * descriptors.itemsize)
            text, control, *_ = connection.recvmsg(1 << 16, room)
            for _, _, data in control:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
            # Not to the end: runc 1.1 keeps the connection.
            while text and not self._told(text):
                text += connection.recv(1 << 16)
        return list(descriptors)

    def _told(self, text):
        try:
            self.states.put(json.loads(text))
        except ValueError:
            return False
        return True

    def _notified(self, listener):
        buffer = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, RECEIVE, buffer)
        except OSError as fault:
            if fault.errno != errno.ENOENT:
                raise
            return
        key, pid, _, number, _, _, *arguments = NOTIFICATION.unpack(buffer)
        call = Call(listener, key, pid, NAMES.get(number, str(number)), tuple(arguments))
        self.calls.put(call)
        self.act(call)
