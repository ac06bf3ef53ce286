#!/usr/bin/env python3
"""Makes the linker's script of tare: GNU ld's own, with the code that a container needs side by side.

src/link_script.py ORDER OUTPUT COMMAND...    COMMAND is the compiler's that links, with its flags

A page of the program is mapped when it is first used, with its neighbours of the same 64 KiB; scattered
over 2 MiB, the code of one `exec` takes 66 page faults in its three processes, side by side it takes 20.

The constants lie before the code and not behind it: in one mapping with the headers, which nobody may write
to or execute either, where GNU ld has two. Each mapping is made for each execve, is made again to seal the
program (sys/entry.cpp), and is copied for each child.
"""

import pathlib
import re
import subprocess
import sys

RULE = "="
# Where GNU ld puts code; what stands before the first pattern comes before everything else.
FIRST = "*(.text.unlikely"
# Its constants, from the first section of them to where what can be written to is made to begin; and where the
# code is made to begin on a page of its own.
CONSTANTS = re.compile(r"^  \.rodata .*?(?=^  /\* Adjust the address for the data segment)", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^  \. = ALIGN\(CONSTANT \(MAXPAGESIZE\)\);\n(?=.*^  \.init )", re.MULTILINE | re.DOTALL)


def with_constants_first(script):
    """As it is, where it is of another form: then there is a mapping more."""
    constants = CONSTANTS.search(script)
    code = CODE.search(script)
    if not constants or not code or code.start() > constants.start():
        return script
    start, end = constants.span()
    return script[: code.start()] + constants.group() + script[code.start() : start] + script[end:]


def main():
    order, output, *command = sys.argv[1:]
    said = subprocess.run([*command, "-Wl,--verbose"], capture_output=True, text=True, check=False).stdout
    parts = said.split("\n" + RULE * 50 + "\n")
    if len(parts) < 3 or parts[1].count(FIRST) != 1:
        sys.exit(f"{command[0]} does not link with GNU ld, or with one whose script is of another form")
    lines = [line for line in pathlib.Path(order).read_text().splitlines() if not line.startswith("#")]
    script = parts[1].replace(FIRST, "\n    ".join([*lines, FIRST]))
    pathlib.Path(output).write_text(with_constants_first(script))


if __name__ == "__main__":
    main()
