"""What the shipped binary must be: static, hardened and small. Read from its ELF headers."""

import json
import re
import shutil
import subprocess

from tree import Finding, Skip

MAX_BYTES = 3 * 1024 * 1024

# What the compiler is told, each against a class of mistakes in our own code. For the linker's part
# there are the checks of the binary itself.
HARDENING = {
    "-fstack-protector-strong": "a stack that is overrun ends the process",
    "-D_FORTIFY_SOURCE=3": "so does a copy that is larger than what it goes into",
    "-D_GLIBCXX_ASSERTIONS": "so does an index that is out of range",
    "-ftrivial-auto-var-init=zero": "what was not initialised is zero",
    "-fcf-protection": "an indirect call leads to the beginning of a function",
}


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


def fixed_text(path):
    """nothing in the binary is relocated in its code, and no directory is searched for it"""
    for tag in ("TEXTREL", "RPATH", "RUNPATH"):
        if f"({tag})" in readelf(path, "-d"):
            yield f"has {tag}"


def branch_targets(path):
    """the binary's functions begin with a mark where an indirect call may lead"""
    # Debian 12's libc.a is built without, so the linker leaves the property out that would have the
    # hardware look; the marks of our own code cost a byte of alignment here and there, and stay.
    if not re.search(r"Machine:.*X86-64", readelf(path, "-h")):
        raise Skip("only known for x86-64")
    marks = path.read_bytes().count(b"\xf3\x0f\x1e\xfa")
    if marks < 1000:
        yield f"only {marks} endbr64"


def checked_copies(path):
    """the binary's copies are checked where the size is known (_FORTIFY_SOURCE)"""
    # Stripped, there is no symbol to look for: these are the last words of what they call.
    if b"buffer overflow detected" not in path.read_bytes():
        yield "calls no checked function of the C library"


def hardening_flags(path):
    """every source of the binary is compiled with the hardening flags"""
    commands = path.parent / "compile_commands.json"
    if not commands.exists():
        raise Skip(f"no {commands}")
    for entry in json.loads(commands.read_text()):
        if not re.search(r"(^|/)src/", entry["file"]):
            continue
        given = entry["command"].split()
        if any(word.startswith("-fsanitize=") for word in given):
            raise Skip("a sanitized build has other flags")
        for flag in HARDENING:
            if flag not in given:
                yield f"{entry['file']} is compiled without {flag}"


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


PROPERTIES = [static_pie, full_relro, no_executable_data, fixed_text, stack_protector, branch_targets,
              checked_copies, hardening_flags, small]


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
