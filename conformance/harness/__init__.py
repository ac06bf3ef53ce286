"""What the tests of the conformance suite are written with; conformance/README.md shows how."""

from harness.box import Box
from harness.bundle import Bundle, base_config
from harness.calls import exec_calls, making_node, opening, run_calls
from harness.canary import Canary
from harness.events import Fifo, reap, wait_exit, wait_readable
from harness.host import Snapshot
from harness.runtime import Result, Runtime
from harness.terminal import ConsoleSocket, Pty

__all__ = [
    "Box",
    "Bundle",
    "Canary",
    "ConsoleSocket",
    "Fifo",
    "Pty",
    "Result",
    "Runtime",
    "Snapshot",
    "base_config",
    "exec_calls",
    "making_node",
    "opening",
    "reap",
    "run_calls",
    "wait_exit",
    "wait_readable",
]
