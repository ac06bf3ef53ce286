"""Calling the runtime under test, with a --root of its own and with a time limit."""

import dataclasses
import itertools
import json
import os
import pathlib
import subprocess

from harness import events

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "TERM": "xterm"}
KNOWN = ("crun", "runc", "youki", "naive")


class Hung(AssertionError):
    """A runtime that did not come back."""


@dataclasses.dataclass
class Result:
    """How one call of the runtime ended, and what it printed."""

    argv: list
    code: int
    out: str
    err: str

    def check(self):
        """Fails the test unless the call succeeded; returns itself for chaining."""
        assert self.code == 0, f"exit {self.code} of {self}"
        return self

    def fails(self, code=1):
        """Fails the test unless the call failed in the ordinary way; returns itself."""
        assert self.code == code, f"exit {self.code}, expected {code}, of {self}"
        assert self.err.strip(), f"no word on standard error of {self}"
        return self

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def first_error(self):
        """The first line on standard error: all that conmon shows."""
        return self.err.splitlines()[0] if self.err else ""

    @property
    def said(self):
        """Standard error with the quotes of logrus' text form taken off again."""
        return self.err.replace('\\"', '"')

    def __str__(self):
        return f"`{' '.join(self.argv)}`\nstdout: {self.out!r}\nstderr: {self.err!r}"


class Call:
    """A call of the runtime that is under way; output goes to files, so that nothing can block."""

    def __init__(self, process, argv, out, err):
        self.process, self.argv, self.out, self.err = process, argv, out, err

    @property
    def pid(self):
        return self.process.pid

    def wait(self, timeout=None):
        """Waits for the runtime itself, not for a container that it left, and returns the Result."""
        timeout = 2 * events.patience if timeout is None else timeout
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Hung(f"hung for {timeout} s: {self.result(None)}") from None
        return self.result(code)

    def result(self, code):
        read = [f.read_text("utf-8", "replace") if f else "" for f in (self.out, self.err)]
        return Result([str(a) for a in self.argv], code, *read)


class Runtime:
    """The binary under test together with one --root directory."""

    _serial = itertools.count()

    def __init__(self, binary, scratch):
        self.binary = pathlib.Path(binary)
        self.scratch = pathlib.Path(scratch)
        self.root = self.scratch / "state"
        self.kind = kind_of(binary)
        self.wrapper = ()  # words that execute the binary somewhere else
        self.globals = ()  # options that go before every command, beside --root
        self.caller = {}  # what makes every call one of another user's: user=, group= of Popen

    def argv(self, *args):
        words = (*self.wrapper, self.binary, "--root", self.root, *self.globals, *args)
        return [str(a) for a in words]

    def popen(self, *args, argv=None, env=None, stdin=None, stdout=None, stderr=None, **more):
        """Starts a call. stdin may be bytes; stdout and stderr go to files unless given."""
        argv = [str(a) for a in argv] if argv else self.argv(*args)
        stem = self.scratch / f"call{next(self._serial)}"
        out = err = given = None
        if stdout is None:
            out = stem.with_suffix(".out")
            stdout = open(out, "wb")
        if stderr is None:
            err = stem.with_suffix(".err")
            stderr = open(err, "wb")
        if isinstance(stdin, bytes):
            given = stem.with_suffix(".in")
            given.write_bytes(stdin)
            stdin = open(given, "rb")
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=stdout,
                stderr=stderr,
                env=ENVIRONMENT if env is None else env,
                **{**self.caller, **more},
            )
        finally:
            for file, ours in ((stdout, out), (stderr, err), (stdin, given)):
                if ours:
                    file.close()
        return Call(process, argv, out, err)

    def call(self, *args, timeout=None, **more):
        """Runs `BINARY --root ROOT args...` to its end."""
        return self.popen(*args, **more).wait(timeout)

    def bare(self, *args, **more):
        """Runs `BINARY args...`, without the --root."""
        return self.call(argv=[self.binary, *args], **more)

    def ids(self):
        """The names in the state directory, whatever they are."""
        try:
            return sorted(n for n in os.listdir(self.root) if not n.startswith("."))
        except FileNotFoundError:
            return []


def kind_of(binary):
    """Which runtime a binary is, by its name; what is none of the known ones is `tare`."""
    name = pathlib.Path(binary).name
    return next((known for known in KNOWN if known in name), "tare")
