"""What the tests of the conformance suite are written with; conformance/README.md shows how."""

from harness.box import Box
from harness.bundle import Bundle, base_config
from harness.events import Fifo, reap, wait_exit, wait_readable
from harness.host import Snapshot
from harness.runtime import Result, Runtime
from harness.terminal import ConsoleSocket, Pty

__all__ = [
    "Box",
    "Bundle",
    "ConsoleSocket",
    "Fifo",
    "Pty",
    "Result",
    "Runtime",
    "Snapshot",
    "base_config",
    "reap",
    "wait_exit",
    "wait_readable",
]
