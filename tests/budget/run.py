#!/usr/bin/python3
"""Counts what tare costs, and fails where that is more than tests/budget/budget.txt allows.

    tests/budget/run.py BUILD_DIRECTORY [--show]

Counted, not timed: system calls and page faults until the payload is executed, the size of the binary,
and the instructions of reading and planning a config.json. Whoever makes something dearer raises its
line in budget.txt by hand, in the same change, where a reviewer sees it; whoever makes it much cheaper
lowers it. --show prints every figure.
Needs root for the containers, strace and valgrind; what is missing is skipped by name.
"""

import argparse
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "conformance"))
sys.dont_write_bytecode = True

from harness import docker, sandbox  # noqa: E402
from harness.bundle import Bundle, Template  # noqa: E402

BUDGET = HERE / "budget.txt"
PAYLOAD = "/bin/true"
MODERN = (6, 9)
ROUNDS = 5  # page faults depend on what is in the page cache, and on where things are in memory


class Missing(Exception):
    """What a figure needs is not there; says what."""


def need(condition, what):
    if not condition:
        raise Missing(what)


def budgets():
    """The figures by name, as budget.txt has them."""
    lines = [line.split("#")[0].split() for line in BUDGET.read_text().splitlines()]
    return {name: int(most) for name, most in filter(None, lines)}


def make_bundle(scratch, template, name, arguments):
    bundle = Bundle(scratch / name, template)
    if name.startswith("docker"):
        docker.dress(type("Box", (), {"bundle": bundle}))
    bundle.config["process"]["args"] = arguments
    bundle.config["process"]["terminal"] = False
    # Limits are a matter of which controllers there are; a raised rlimit of who calls.
    bundle.config["process"].pop("rlimits", None)
    bundle.unset("linux.cgroupsPath")
    bundle.unset("linux.resources")
    bundle.save()
    return bundle


class Containers:
    """Runs containers in a private place, made at the first use; one of them keeps running."""

    def __init__(self, binary):
        self.binary = binary
        self.bundles = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.bundles:
            subprocess.run(self.command("delete", "--force", "host"), check=False)

    def command(self, *arguments):
        return [str(self.binary), "--root", str(self.scratch / "root"), *map(str, arguments)]

    def prepare(self):
        need(os.geteuid() == 0, "containers need root")
        if self.bundles:
            return
        self.scratch = pathlib.Path(sandbox.enter())
        template = Template(self.scratch)
        names = ["plain", "docker"] if docker.PROFILE.exists() else ["plain"]
        bundles = {n: make_bundle(self.scratch, template, n, [PAYLOAD]) for n in names}
        held = make_bundle(self.scratch, template, "held", ["/probe", "hold"])
        subprocess.run(self.command("run", "--detach", "--bundle", held.path, "host"),
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.bundles = bundles

    def bundle(self, name):
        """The bundle `plain` or `docker`."""
        self.prepare()
        need(name in self.bundles, f"no {docker.PROFILE}: install podman")
        return self.bundles[name]

    def calls(self, what):
        """The command line of `run.plain`, `run.docker` or `exec`."""
        self.prepare()
        if what == "exec":
            return self.command("exec", "host", PAYLOAD)
        bundle = self.bundle(what.removeprefix("run."))
        return self.command("run", "--bundle", bundle.path, "counted")


def run(command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def kernel():
    return tuple(int(part) for part in re.match(r"(\d+)\.(\d+)", os.uname().release).groups())


def count_system_calls(trace):
    """The system calls in a trace of `strace -f`, but for what the payload makes itself."""
    count, executed = 0, set()
    for line in trace.splitlines():
        pid, call = line.split(maxsplit=1)
        if pid in executed or call.startswith(("<...", "+++", "---")):
            continue
        count += 1
        if call.startswith("execve(") and PAYLOAD in call:
            executed.add(pid)
    return count


def system_calls(containers, what):
    need(shutil.which("strace"), "no strace")
    need(kernel() >= MODERN, "this kernel lacks calls that save others: pidfs, fchmodat2")
    command = containers.calls(what)
    run(command)  # the seccomp filter is in its cache then
    file = containers.scratch / "trace"
    seen = []
    for _ in range(ROUNDS):
        run(["strace", "-f", "-qq", "-e", "signal=none", "-o", file, *command])
        seen.append(count_system_calls(file.read_text()))
    return min(seen)


def page_faults(containers, what):
    command = containers.calls(what)
    seen = []
    for _ in range(4 * ROUNDS):
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, status, use = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
        seen.append(use.ru_minflt + use.ru_majflt)
    return int(statistics.median(seen))


def instructions(containers, what):
    """Of reading and planning a bundle's config.json, in thousands."""
    need(shutil.which("valgrind"), "no valgrind")
    bundle = containers.bundle(what)
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=read_and_plan",
               f"--callgrind-out-file={containers.scratch}/callgrind",
               containers.binary.parent / "tests/plan_once", bundle.path / "config.json"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found:
        sys.exit(f"callgrind: exit status {done.returncode}\n{done.stderr}")
    return int(found[1]) // 1000


def size(containers, _):
    """Of the binary as it is shipped, in KiB."""
    return containers.binary.stat().st_size // 1024


COUNTS = {"syscalls": system_calls, "faults": page_faults, "kinstructions": instructions, "KiB": size}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--show", action="store_true", help="print every figure")
    options = parser.parse_args()
    passed = failed = skipped = 0
    with Containers((options.build / "tare").resolve()) as containers:
        for name, most in budgets().items():
            unit, _, what = name.partition(".")
            try:
                found = COUNTS[unit](containers, what)
            except Missing as reason:
                skipped += 1
                print(f"skipped: {name}: {reason}")
                continue
            if options.show:
                print(f"{name:<24}{found:>8}   of {most}")
            if found > most:
                failed += 1
                print(f"FAILED: {name}: {found}, and the budget is {most}: make it cheaper, or raise the"
                      f" line in {BUDGET.relative_to(ROOT)} and say why in the commit")
            else:
                passed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
