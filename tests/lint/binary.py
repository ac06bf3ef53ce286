"""What the shipped binary must be: static, hardened and small. Read from its ELF headers."""

import re
import shutil
import subprocess

from tree import Finding, Skip

MAX_BYTES = 3 * 1024 * 1024


def readelf(path, *options):
    """What readelf prints for the file."""
    if shutil.which("readelf") is None:
        raise Skip("binutils is not installed")
    return subprocess.run(["readelf", "-W", *options, str(path)], capture_output=True, text=True,
                          check=True).stdout


def segments(path):
    """(type, flags) of each program header."""
    rows = re.findall(r"^  (\w+) +0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3})", readelf(path, "-l"), re.M)
    return [(kind, flags.replace(" ", "")) for kind, flags in rows]


def static_pie(path):
    """the binary is static and position independent"""
    if not re.search(r"Type:\s+DYN", readelf(path, "-h")):
        yield "not position independent"
    kinds = [kind for kind, _ in segments(path)]
    if "INTERP" in kinds:
        yield "asks for a dynamic loader"
    if "(NEEDED)" in readelf(path, "-d"):
        yield "asks for shared libraries"


def full_relro(path):
    """the binary's relocations are read-only (full RELRO)"""
    if "GNU_RELRO" not in [kind for kind, _ in segments(path)]:
        yield "no GNU_RELRO segment"
    if not re.search(r"BIND_NOW|FLAGS.*\bNOW\b", readelf(path, "-d")):
        yield "binds lazily"


def no_executable_data(path):
    """nothing in the binary is both writable and executable, the stack included"""
    found = segments(path)
    for kind, flags in found:
        if "W" in flags and "E" in flags:
            yield f"{kind} is {flags}"
    if "GNU_STACK" not in [kind for kind, _ in found]:
        yield "no GNU_STACK header: the kernel makes the stack executable"


def stack_protector(path):
    """the binary's functions guard their stack"""
    # Stripped, there is no symbol to look for; the guard is read from %fs:0x28 at each such function.
    if shutil.which("objdump") is None:
        raise Skip("binutils is not installed")
    if not re.search(r"Machine:.*X86-64", readelf(path, "-h")):
        raise Skip("only known for x86-64")
    code = subprocess.run(["objdump", "-d", "--no-show-raw-insn", str(path)], capture_output=True,
                          text=True, check=True).stdout
    guards = code.count("%fs:0x28")
    if guards < 200:
        yield f"only {guards} instructions touch the stack guard"


def small(path):
    """the binary is stripped and below 3 MB"""
    if ".symtab" in readelf(path, "-S"):
        yield "not stripped"
    size = path.stat().st_size
    if size >= MAX_BYTES:
        yield f"{size} bytes"


PROPERTIES = [static_pie, full_relro, no_executable_data, stack_protector, small]


def checks(path):
    """The checks of this file, bound to one binary."""

    def bind(examine):
        def check(_tree):
            if not path.exists():
                raise Skip(f"{path} is not built")
            for what in examine(path):
                yield Finding(str(path), 0, what)

        check.__doc__ = examine.__doc__
        return check

    return [bind(examine) for examine in PROPERTIES]
