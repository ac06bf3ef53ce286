"""Races of a runtime with somebody who exchanges two names: at every moment once, and at random."""

import contextlib
import os
import shutil
import subprocess
import time

from harness.attack import contained
from harness.events import SLOWNESS


class Race:
    """What all races have in common: an attacker who owns `one` and `other`, two names that are
    exchanged while a container is made. A race says how it is laid and what must be so afterwards.
    `hint` is in every path that leads there: before the first call with one, an exchange is the
    same as one before all calls."""

    hint = "vol"
    payload = "busybox"

    def __init__(self, box, canary):
        self.box, self.canary = box, canary
        self.volume = box.path("volume")
        self.volume.mkdir()
        self.flips = self.ran = self.refused = 0
        self.raced = 0.0  # seconds
        self.lay()

    @property
    def one(self):
        return self.volume / "a"

    @property
    def other(self):
        return self.volume / "link"

    def lay(self):
        """Writes the config, once."""

    def reset(self):
        """Makes everything that a run may have changed as it was, before each."""

    def attempt(self):
        """Makes the container."""
        return self.box.run(timeout=15 * SLOWNESS)

    def safe(self, result):
        """Whether a container that ran was as it should be; what is outside is looked at anyhow."""
        return True

    def clear(self):
        """Empties the volume."""
        shutil.rmtree(self.volume)
        self.volume.mkdir()

    def once(self, *stepping):
        """One container, made under the eyes of the stepper; the number of stops."""
        box = self.box
        report = box.path("stops")
        tool = box.template.tool("stepper")
        names = (self.payload, self.one, self.other)
        box.runtime.wrapper = (tool, report, *stepping, self.hint, *names)
        report.unlink(missing_ok=True)
        self.reset()
        try:
            result = self.attempt()
        finally:
            box.runtime.wrapper = ()
        # Without its report the stepper itself has failed, which is no refusal of the runtime.
        assert report.exists(), f"the stepper has failed: {result}"
        self.judge(result)
        return int(report.read_text())

    def judge(self, result):
        """Raises Fired unless the runtime refused, or did what it was told to do."""
        contained(result, lambda: self.safe(result))
        assert self.canary.unchanged
        if result.code == 0:
            self.ran += 1
        else:
            self.refused += 1
        left = self.box.runtime.ids()
        for name in left:
            self.box.runtime.call("delete", "--force", name)
        assert not left or self.box.runtime.kind != "tare", "a failed run has left its container"

    def step(self):
        """One exchange before each call that takes a path, for good or until the next such call."""
        stops = self.once(0, 0)
        assert self.ran == 1, "without an exchange the container does not run"
        for at in range(1, stops + 1):
            for back in (0, 1):
                self.once(at, back)
                self.flips += 1

    @contextlib.contextmanager
    def flipping(self):
        """Exchanges the names without a pause; the number of exchanges is added to `flips`."""
        command = [self.box.template.tool("flipper"), self.one, self.other]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as flipper:
            try:
                yield
            finally:
                self.flips += int(flipper.communicate()[0] or 0)

    def rush(self, seconds):
        """Makes containers until the names have been exchanged for some time, in which alone it is
        raced; the time is added to `raced`."""
        while self.raced < seconds:
            self.reset()
            begin = time.monotonic()
            with self.flipping():
                result = self.attempt()
            self.raced += time.monotonic() - begin
            self.judge(result)

    def link(self, target):
        os.symlink(target, self.other)
