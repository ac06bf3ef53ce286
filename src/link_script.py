#!/usr/bin/env python3
"""Makes the linker's script of tare: GNU ld's own, with the code that a container needs side by side.

src/link_script.py ORDER OUTPUT COMMAND...    COMMAND is the compiler's that links, with its flags

A page of the program is mapped when it is first used, with its neighbours of the same 64 KiB; scattered
over 2 MiB, the code of one `exec` takes 66 page faults in its three processes, side by side it takes 20.
"""

import pathlib
import subprocess
import sys

RULE = "="
# Where GNU ld puts code; what stands before the first pattern comes before everything else.
FIRST = "*(.text.unlikely"


def main():
    order, output, *command = sys.argv[1:]
    said = subprocess.run([*command, "-Wl,--verbose"], capture_output=True, text=True, check=False).stdout
    parts = said.split("\n" + RULE * 50 + "\n")
    if len(parts) < 3 or parts[1].count(FIRST) != 1:
        sys.exit(f"{command[0]} does not link with GNU ld, or with one whose script is of another form")
    lines = [line for line in pathlib.Path(order).read_text().splitlines() if not line.startswith("#")]
    pathlib.Path(output).write_text(parts[1].replace(FIRST, "\n    ".join([*lines, FIRST])))


if __name__ == "__main__":
    main()
