#!/usr/bin/env python3
"""Runs clang-tidy over src/, once for each state of a file.

    tests/lint/tidy.py BUILD_DIRECTORY

A file is looked at again only when it, a header of ours that it reaches, its compile command or
.clang-tidy has changed: what was clean is remembered below BUILD_DIRECTORY/clang-tidy by the hash of
all of these. Each file counts as one test; prints the findings, and last the counts.
"""

import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

from rooms import includes
from tree import Tree

ROOT = Path(__file__).resolve().parents[2]
# What g++ is told and clang 14 does not know, or takes for an error.
CLANG_ONLY = ["-Wno-unknown-warning-option", "-Wno-unused-command-line-argument", "-Qunused-arguments"]
# The analyser walks this many states of a function, a tenth of its default. That is four times as fast
# over the whole of src/, and found no less where both were tried.
LESS_ANALYSIS = ["-Xclang", "-analyzer-config", "-Xclang", "max-nodes=20000"]
# clang 14 wants a promise in writing before it zeroes variables; without the option it does the rest.
DROPPED = ("-ftrivial-auto-var-init=", "-fcf-protection", "-Werror", "-W")


def reached(tree, path, seen):
    """The file and every header of ours that it includes, however indirectly."""
    if path in seen or path not in tree.files:
        return seen
    seen.add(path)
    for _, target in includes(tree, path):
        reached(tree, "include/" + target if target.startswith("tare/") else "src/" + target, seen)
    return seen


def arguments_of(entry):
    """The compile command without the compiler, the output and what clang does not take."""
    words = entry.get("arguments") or shlex.split(entry["command"])
    kept = []
    skip = False
    for word in words[1:]:
        if skip:
            skip = False
        elif word in ("-o", "-MF", "-MQ", "-MT", "-c"):
            skip = word != "-c"
        elif not word.startswith(DROPPED) and word != entry["file"] and not word.startswith("-MD"):
            kept.append(word)
    # The driver may be ccache.
    return [word for word in kept if word not in ("g++", "c++", "/usr/bin/g++", "/usr/bin/c++")]


def key_of(tree, path, arguments):
    """The hash of everything that the verdict depends on."""
    digest = hashlib.sha256(json.dumps(arguments).encode())
    for part in [".clang-tidy", *sorted(reached(tree, path, set()))]:
        digest.update(part.encode() + b"\0" + tree.text(part).encode() + b"\0")
    return digest.hexdigest()


def examine(path, directory, arguments):
    """What clang-tidy has to say about the file; nothing when it is clean."""
    ran = subprocess.run(
        ["clang-tidy", "--quiet", str(ROOT / path), "--", *arguments, *CLANG_ONLY, *LESS_ANALYSIS],
        cwd=directory, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
    )
    return "" if ran.returncode == 0 else (ran.stdout.strip() or ran.stderr.strip())


def main():
    build = Path(sys.argv[1]).resolve()
    tree = Tree(ROOT)
    stamps = build / "clang-tidy"
    stamps.mkdir(exist_ok=True)
    work = {}
    fresh = 0
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
        if not path.startswith("src/") or path in work:
            continue
        arguments = arguments_of(entry)
        stamp = stamps / key_of(tree, path, arguments)
        if stamp.exists():
            stamp.touch()
            fresh += 1
        else:
            work[path] = (stamp, entry["directory"], arguments)
    passed, failed = fresh, 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = {path: pool.submit(examine, path, *rest) for path, (_, *rest) in work.items()}
        for path, answer in asked.items():
            if answer.result():
                failed += 1
                print(f"FAILED: clang-tidy {path}\n{answer.result()}")
            else:
                passed += 1
                work[path][0].touch()
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
