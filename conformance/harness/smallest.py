"""Finds the smallest memory.max under which a runtime can `run` a static program that does nothing.

What is charged to the container is its program, and what the runtime's own processes use once they
are in its cgroup: their stack, heap, page tables, and what the kernel keeps for its mounts. The
kernel charges in batches that it keeps for each CPU, so what fits depends on where a process
happens to run, and more memory may fit less often: a limit counts as enough only if every one of
some runs in a row ends with 0, and the limits are tried from below, as no bisection could be
trusted.
"""

import pathlib
import subprocess

from harness.bundle import Bundle

PAGE = 4096
FIRST, CLOSE, LAST = 64 << 10, 512 << 10, 64 << 20


def suffices(path, root, bundle, limit, runs):
    """Whether that many runs in a row succeed under a limit of so many bytes; else what was said."""
    bundle.set("linux.resources.memory", {"limit": limit})
    bundle.save()
    name = f"small-{pathlib.Path(path).name}"
    for _ in range(runs):
        command = [path, "--root", root, "run", "--bundle", bundle.path, name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            subprocess.run([path, "--root", root, "delete", "--force", name], capture_output=True)
            return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[0]
    return None


def steps():
    """Limits in bytes, from below: three pages apart, and a quarter where nobody looks closely."""
    limit = FIRST
    while limit <= LAST:
        yield limit
        limit += 3 * PAGE if limit < CLOSE else limit // 4 // PAGE * PAGE


def smallest(path, scratch, template, runs=8):
    """The limit in bytes, and what the one below it led to."""
    name = pathlib.Path(path).name
    bundle = Bundle(scratch / f"smallest-{name}", template)
    bundle.config["process"]["args"] = ["/bin/true"]
    why = "nothing was too little"
    for limit in steps():
        said = suffices(path, scratch / f"root-{name}", bundle, limit, runs)
        if said is None:
            return limit, why
        why = said
    raise AssertionError(f"{path} fails with {LAST} bytes: {why}")
