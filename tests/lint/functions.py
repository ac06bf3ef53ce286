"""Sizes and documentation of functions, measured by universal-ctags and pmccabe."""

import json
import re
import shutil
import subprocess

from tree import Finding, Skip

MAX_LINES = 60
MAX_COMPLEXITY = 15


def ctags(tree, kinds, paths):
    """The tags of the given kinds in the given files."""
    if shutil.which("ctags") is None:
        raise Skip("universal-ctags is not installed")
    found = subprocess.run(
        ["ctags", "--output-format=json", "--fields=+neKSa", f"--kinds-C++={kinds}",
         "--language-force=C++", "-L", "-", "-f", "-"],
        cwd=tree.root, input="\n".join(paths), capture_output=True, text=True, check=True,
    )
    return [json.loads(line) for line in found.stdout.splitlines()]


def function_length(tree):
    """no function is longer than 60 lines"""
    for tag in ctags(tree, "f", tree.below("src", "include", "tests")):
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        # A TEST_CASE is a macro that ctags takes for a function called TEST_CASE.
        if length > MAX_LINES:
            yield Finding(tag["path"], tag["line"], f"{tag['name']} has {length} lines")


def complexity(tree):
    """no function has a cyclomatic complexity above 15"""
    paths = [path for path in tree.below("src", "include") if path.endswith(".cpp")]
    if not paths:
        return
    if shutil.which("pmccabe") is None:
        raise Skip("pmccabe is not installed")
    measured = subprocess.run(["pmccabe", *paths], cwd=tree.root, capture_output=True, text=True,
                              check=False)
    for row in measured.stdout.splitlines():
        columns = row.split("\t")
        if columns[0].isdigit() and int(columns[1]) > MAX_COMPLEXITY:
            place = re.match(r"(.+)\((\d+)\): (.+)", columns[5])
            yield Finding(place[1], int(place[2]), f"{place[3]} has a complexity of {columns[1]}")


def _documented(lines, index):
    """Whether a comment stands above, with nothing between but declarations of the same group."""
    while index >= 0 and re.match(r"\s*[^\s/*].*(?:[;,(>)=\]]|inline|static|const)\s*$", lines[index]):
        index -= 1
    return index >= 0 and re.match(r"\s*(//|\*)|.*\*/\s*$", lines[index]) is not None


def _explains_itself(line, name):
    """Special members and operators, whose meaning the language fixes."""
    return (
        name.startswith(("operator", "~"))
        or re.search(r"=\s*(default|delete)\s*;", line) is not None
        or re.search(r"; +//", line) is not None
    )


def header_comments(tree):
    """every function that a header offers has a sentence that says what it does"""
    headers = [path for path in tree.below("src", "include") if path.endswith(".hpp")]
    for tag in ctags(tree, "p", headers):
        path, name, number = tag["path"], tag["name"], tag["line"]
        if tag.get("access") == "private":
            continue
        lines = tree.text(path).split("\n")
        constructor = name == tag.get("scope", "").split("::")[-1]
        if constructor or _explains_itself(lines[number - 1], name):
            continue
        if not _documented(lines, number - 2):
            yield Finding(path, number, f"{name} has no sentence above it")


CHECKS = [function_length, complexity, header_comments]
