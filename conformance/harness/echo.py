"""A container that answers lines, each with its number: what it has counted is its memory."""

import os
import subprocess

from harness import events

SCRIPT = 'n=0; while read -r word; do n=$((n+1)); echo "$n $word"; done'


class Echo:
    """The far ends of its standard input and output."""

    def __init__(self):
        self.near_in, self.to_it = os.pipe()
        self.from_it, self.near_out = os.pipe()

    @property
    def streams(self):
        """For the call that makes the container, which is given them as its own."""
        return {"stdin": self.near_in, "stdout": self.near_out, "stderr": subprocess.DEVNULL}

    def says(self, word):
        """What it answers to a line."""
        os.write(self.to_it, f"{word}\n".encode())
        return events.read_until(self.from_it, "\n").strip()

    def close(self):
        for fd in (self.near_in, self.to_it, self.from_it, self.near_out):
            os.close(fd)
