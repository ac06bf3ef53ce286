"""The table of attacks in SECURITY.md and the replays of conformance/: each is in both."""

import re

from tree import Finding

TABLE = "SECURITY.md"
ROW = re.compile(r"^\| (A-\d+) \|([^|]*)\|", re.M)
NUMBER = re.compile(r'"(A-\d\d)"')
CVE = re.compile(r"CVE-\d{4}-\d{4,7}")


def rows(tree):
    """Number of an attack to what it was published as."""
    text = tree.text(TABLE) if TABLE in tree.files else ""
    return {number: set(CVE.findall(published)) for number, published in ROW.findall(text)}


def replays(tree):
    """(file, line, number, CVEs) of each marker of a replay."""
    for path in tree.below("conformance", suffixes=(".py",)):
        text = tree.text(path)
        for match in re.finditer(r'"A-\d\d"(?:,\s*"CVE-[\d-]+")*', text):
            line = text.count("\n", 0, match.start()) + 1
            yield path, line, NUMBER.search(match.group(0))[1], set(CVE.findall(match.group(0)))


def replays_are_in_the_table(tree):
    """every replay of an attack is in the table of SECURITY.md, with what it names"""
    known = rows(tree)
    for path, line, number, published in replays(tree):
        if number not in known:
            yield Finding(path, line, f"{number} is not in {TABLE}")
        for cve in sorted(published - known.get(number, set())):
            yield Finding(path, line, f"{cve} is not in the row {number} of {TABLE}")


def rows_are_replayed(tree):
    """every attack in the table of SECURITY.md has a replay"""
    replayed = {number for _, _, number, _ in replays(tree)}
    text = tree.text(TABLE) if TABLE in tree.files else ""
    for match in ROW.finditer(text):
        if match[1] not in replayed:
            line = text.count("\n", 0, match.start()) + 1
            yield Finding(TABLE, line, f"{match[1]} is replayed nowhere")


CHECKS = [replays_are_in_the_table, rows_are_replayed]
