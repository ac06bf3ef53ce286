#!/usr/bin/env python3
"""Checks that every C++ file is formatted as .clang-format says; each file counts as one test."""

import subprocess
import sys
from pathlib import Path

from tree import Tree

ROOT = Path(__file__).resolve().parents[2]


def main():
    tree = Tree(ROOT)
    paths = tree.below("src", "include", "tests", "conformance")
    if not paths:
        print("0 passed, 0 failed, 0 skipped")
        return 0
    ran = subprocess.run(["clang-format", "--dry-run", "--Werror", *paths], cwd=ROOT,
                         capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    lines = ran.stderr.splitlines()
    # The first finding of each file tells; `clang-format -i` finds the rest.
    bad = {}
    for line in lines:
        if ": error: " in line:
            bad.setdefault(line.split(":", 1)[0], line)
    if ran.returncode != 0 and not bad:
        bad = {"clang-format": ran.stderr.strip()}
    for line in bad.values():
        print(f"FAILED: {line}")
    if bad:
        print("cure: clang-format -i " + " ".join(sorted(bad)))
    print(f"{len(paths) - len(bad)} passed, {len(bad)} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
