#!/usr/bin/env python3
"""Runs every check of this directory; each counts as one test.

    tests/lint/run.py [--binary build/tare]

Prints what failed, and last `N passed, N failed, N skipped`. Without --binary, or when there is none
yet, what needs one is skipped.
"""

import argparse
import sys
from pathlib import Path

import attacks
import binary
import functions
import man_pages
import rooms
import scripts
import text
from tree import Tree, report

ROOT = Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description="the rules of CONTRIBUTING.md, checked")
    parser.add_argument("--binary", type=Path, default=ROOT / "build/tare")
    options = parser.parse_args()
    checks = [
        *rooms.CHECKS, *attacks.CHECKS, *text.CHECKS, *functions.CHECKS, *scripts.CHECKS,
        *binary.checks(options.binary), *man_pages.checks(options.binary),
    ]
    passed, failed, skipped = report(Tree(ROOT), checks)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
