"""The source tree as the checks see it, and the form in which they report.

A check is a function that takes a Tree and yields Findings; its first doc line is its name in the
report. It never prints, so that the tests of the checks can look at what it found.
"""

import os
import re
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

CPP = (".cpp", ".hpp")


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    what: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.what}"


class Skip(Exception):
    """Raised by a check that cannot be made here; says why."""


# A raw string, an ordinary string, a character, a comment: what is not code.
_NOT_CODE = re.compile(
    r"""R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"
      | "(?:\\.|[^"\\\n])*"
      | (?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])+'
      | //[^\n]*
      | /\*.*?\*/""",
    re.S | re.X,
)


def blank_text(source):
    """C++ without the contents of strings and comments; every line stays where it was."""

    def blank(match):
        text = match.group(0)
        if text.startswith(("/", "R")):
            return re.sub(r"[^\n]", " ", text)
        return text[0] + " " * (len(text) - 2) + text[-1]

    # The name of an included file looks like a string and is needed.
    lines = []
    for line in _NOT_CODE.sub(blank, source).split("\n"):
        lines.append(line)
    for number, line in enumerate(source.split("\n")):
        if re.match(r"\s*#\s*include", line) and re.match(r"\s*#\s*include", lines[number]):
            lines[number] = line
    return "\n".join(lines)


@dataclass
class Tree:
    """The repository below `root`; paths are strings relative to it."""

    root: Path
    _text: dict = field(default_factory=dict)
    _code: dict = field(default_factory=dict)

    @cached_property
    def files(self):
        """Every file that is, or is about to be, in the repository."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=self.root,
            capture_output=True,
            text=True,
            check=False,
        )
        if listed.returncode == 0:
            names = [name for name in listed.stdout.split("\0") if name]
        else:
            names = [
                os.path.relpath(os.path.join(folder, name), self.root)
                for folder, _, found in os.walk(self.root)
                for name in found
            ]
        return sorted(name for name in set(names) if (self.root / name).is_file())

    def below(self, *folders, suffixes=CPP):
        """The files below any of the folders that end in one of the suffixes."""
        starts = tuple(folder + "/" for folder in folders)
        return [name for name in self.files if name.startswith(starts) and name.endswith(suffixes)]

    def text(self, path):
        if path not in self._text:
            self._text[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self._text[path]

    def code(self, path):
        if path not in self._code:
            self._code[path] = blank_text(self.text(path))
        return self._code[path]

    def search(self, path, pattern, code=True):
        """(line number, match) of each match, line by line."""
        text = self.code(path) if code else self.text(path)
        for number, line in enumerate(text.split("\n"), 1):
            for match in re.finditer(pattern, line):
                yield number, match


def report(tree, checks):
    """Runs the checks, prints what failed and why something was skipped; returns the counts."""
    passed = failed = skipped = 0
    for check in checks:
        name = (check.__doc__ or check.__name__).strip().split("\n")[0].rstrip(".")
        try:
            findings = sorted(set(check(tree)), key=lambda found: (found.path, found.line))
        except Skip as reason:
            skipped += 1
            print(f"skipped: {name}: {reason}")
            continue
        if findings:
            failed += 1
            print(f"FAILED: {name}")
            for finding in findings:
                print(f"  {finding}")
        else:
            passed += 1
    return passed, failed, skipped
