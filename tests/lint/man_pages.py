"""The manual pages and what the binary says of itself must be the same."""

import re
import subprocess

from tree import Finding, Skip

SECTIONS = ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "FILES", "EXAMPLES", "SEE ALSO"]
# A flag at the start of a line of --help, with its short or long twin before the description.
HELP_LINE = re.compile(r"^ {1,8}(-{1,2}[A-Za-z][\w-]*(?:[ ,=].*)?)$")
FLAG = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def pages(tree):
    """{command: path}; the page of the program itself is under ''."""
    found = {}
    for path in tree.files:
        match = re.fullmatch(r"man/tare(?:-(\w+))?\.8\.md", path)
        if match:
            found[match.group(1) or ""] = path
    return found


def section(text, name):
    """The body of one section of a page."""
    match = re.search(rf"^# {name}\n(.*?)(?=^# |\Z)", text, re.M | re.S)
    return match.group(1) if match else ""


def page_flags(text):
    """The flags that a page's OPTIONS describes: those in bold at the start of a line."""
    return {
        flag
        for line in re.findall(r"^\*\*-.*$", section(text, "OPTIONS"), re.M)
        for flag in FLAG.findall(line.replace("*", ""))
    }


def help_flags(text):
    """The flags that --help lists; only a line's first column counts, as descriptions name flags too."""
    flags = set()
    for line in text.split("\n"):
        match = HELP_LINE.match(line)
        if match:
            column = re.split(r"\s{2,}|\t", match.group(1))[0]
            flags.update(FLAG.findall(column))
    return flags


def page_sections(tree):
    """manual pages have every section, in order"""
    for path in pages(tree).values():
        found = re.findall(r"^# (.+)$", tree.text(path), re.M)
        if found != SECTIONS:
            yield Finding(path, 1, f"sections are {found}, not {SECTIONS}")


def see_also(tree):
    """manual pages refer only to pages that exist"""
    known = pages(tree)
    for path in known.values():
        for number, match in tree.search(path, r"\*\*tare(?:-(\w+))?\*\*\(8\)", code=False):
            if (match.group(1) or "") not in known:
                yield Finding(path, number, f"{match.group(0)} does not exist")


def ask(binary, *arguments):
    """What the binary prints for --help."""
    asked = subprocess.run([str(binary), *arguments, "--help"], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, check=False, timeout=10)
    if asked.returncode != 0:
        raise RuntimeError(f"--help exits with {asked.returncode}: {asked.stderr.strip()}")
    return asked.stdout


def commands(help_text):
    """The commands that the program's --help lists."""
    heading = r"^(?:COMMANDS|Commands|Subcommands):?[^\n]*\n"
    match = re.search(heading + r"((?:[ \t]+\S[^\n]*\n?|\n)+)", help_text, re.M)
    # What stands further in is the rest of a description.
    names = re.findall(r"^ {1,6}([a-z]+)(?:,| |$)", match.group(1), re.M) if match else []
    return set(names) - {"help"}


def checks(binary):
    """The checks of this file, bound to one binary."""

    def needs_binary():
        if not binary.exists():
            raise Skip(f"{binary} is not built")

    def flags_agree(tree):
        """every flag of --help is in the manual page, and the reverse"""
        needs_binary()
        for command, path in pages(tree).items():
            try:
                printed = help_flags(ask(binary, *([command] if command else [])))
            except RuntimeError as error:
                yield Finding(path, 1, str(error))
                continue
            written = page_flags(tree.text(path))
            for flag in sorted(printed - written):
                yield Finding(path, 1, f"{flag} is in --help and not in OPTIONS")
            for flag in sorted(written - printed):
                yield Finding(path, 1, f"{flag} is in OPTIONS and not in --help")

    def commands_agree(tree):
        """every command has a manual page, and the reverse"""
        needs_binary()
        listed = commands(ask(binary))
        written = {command for command in pages(tree) if command}
        if not listed:
            yield Finding("man", 1, "no commands found in --help")
        for command in sorted(listed ^ written):
            where = "--help" if command in listed else "man/"
            yield Finding("man", 1, f"{command} is only in {where}")

    return [page_sections, see_also, flags_agree, commands_agree]
