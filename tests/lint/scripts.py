"""The shell scripts and the Python of the repository."""

import ast
import re
import shutil
import subprocess

from tree import Finding, Skip


def shell_scripts(tree):
    """The files that a shell runs."""
    return [path for path in tree.files if re.match(r"#!.*\b(?:ba)?sh\b", tree.text(path)[:80])]


def shell_parses(tree):
    """shell scripts parse, and stop at the first error"""
    for path in shell_scripts(tree):
        checked = subprocess.run(["bash", "-n", path], cwd=tree.root, capture_output=True, text=True,
                                 check=False)
        if checked.returncode != 0:
            yield Finding(path, 1, checked.stderr.strip())
        if not re.search(r"^set -euo pipefail$|^set -eu$", tree.text(path), re.M):
            yield Finding(path, 1, "has no `set -euo pipefail`")


def shellcheck(tree):
    """shellcheck is content"""
    if shutil.which("shellcheck") is None:
        raise Skip("shellcheck is not installed")
    scripts = shell_scripts(tree)
    if not scripts:
        return
    checked = subprocess.run(["shellcheck", "-f", "gcc", *scripts], cwd=tree.root, capture_output=True,
                             text=True, check=False)
    for line in checked.stdout.splitlines():
        path, number, _, what = line.split(":", 3)
        yield Finding(path, int(number), what.strip())


def python_parses(tree):
    """Python parses and says what each module is for"""
    for path in tree.files:
        if not path.endswith(".py"):
            continue
        try:
            module = ast.parse(tree.text(path))
        except SyntaxError as error:
            yield Finding(path, error.lineno or 1, error.msg)
            continue
        if module.body and ast.get_docstring(module) is None:
            yield Finding(path, 1, "has no docstring")


CHECKS = [shell_parses, shellcheck, python_parses]
