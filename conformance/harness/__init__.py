"""What the tests of the conformance suite are written with; conformance/README.md shows how."""

from harness.attack import Fired, contained, fired_if, must_end, must_refuse
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
    "Fired",
    "Pty",
    "Result",
    "Runtime",
    "Snapshot",
    "base_config",
    "contained",
    "exec_calls",
    "fired_if",
    "making_node",
    "must_end",
    "must_refuse",
    "opening",
    "reap",
    "run_calls",
    "wait_exit",
    "wait_readable",
]
