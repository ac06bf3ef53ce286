"""What every file must be and must not say, whatever is in it."""

import re

from tree import CPP, Finding

MAX_LINES = 400
MIN_COMMENTS, MAX_COMMENTS = 12, 25
MIN_TESTS = 0.8
SIZED = ("src", "include", "tests", "conformance", "tools")
# Names under which anything fits, so that everything ends up there.
VAGUE = {"util", "utils", "common", "helper", "helpers", "manager", "misc"}

# Where a link in a comment or a document may lead: primary sources only.
HOSTS = {
    "www.apache.org", "docs.kernel.org", "www.kernel.org", "git.kernel.org", "lore.kernel.org",
    "man7.org", "github.com", "specs.opencontainers.org", "opencontainers.org", "keepachangelog.com",
    "semver.org", "cve.org", "www.cve.org", "systemd.io", "www.freedesktop.org", "www.w3.org", "json-schema.org",
    "criu.org", "www.debian.org", "docs.podman.io", "docs.docker.com", "containerd.io",
}

# Each with the reason that is printed. [x] keeps a pattern from finding itself.
FORBIDDEN_ANYWHERE = [
    (r"\.\./[s]hared\b|/[w]ork/\w|\.[m]irror/", "points outside the repository"),
    (r"\b(?:[T]ODO|[F]IXME|[X]XX|[H]ACK)\b", "unfinished; finish it, or file an issue"),
]
FORBIDDEN_IN_PRODUCT = [
    (r"\bgoto\s+\w", "goto"),
    (r"\b(?:getpwnam|getpwuid|getgrnam|getgrgid|getgrouplist|initgroups|getaddrinfo|iconv_open)(?:_r)?\s*\(",
     "name services load libraries from the container's rootfs in a static binary"),
    (r"\bstd::(?:thread|jthread|async)\b|\bpthread_(?:create|atfork)\b", "one thread only: see sys/process.hpp"),
    (r"#\s*include\s*<(?:iostream|regex|locale|thread|future|sstream|fstream|iomanip)>",
     "costs start-up time, or opens files without O_CLOEXEC"),
    (r"\b(?:sleep|usleep|nanosleep|clock_nanosleep)\s*\(|\bsleep_(?:for|until)\b", "await an event, never a time"),
    (r"\b(?:mkstemp|mkdtemp|tmpfile|tmpnam)\s*\(", "nothing is written outside --root"),
    (r"\bstd::filesystem::(?:exists|create_director\w+|remove\w*|copy\w*|rename|canonical|read_symlink|"
     r"directory_iterator|recursive_directory_iterator|is_\w+|status|symlink_status|absolute|current_path)\b",
     "std::filesystem follows symlinks; use sys"),
    (r"\b(?:system|popen)\s*\(", "no shell is ever asked"),
    (r"\b(?:exit|atexit|printf|puts|fputs|putchar|fwrite|fopen|fdopen)\s*\(",
     "the program ends without exit(3), so no stream is flushed: see sys/libc_start.cpp"),
]
COMMENTED_OUT = r"^\s*// ?(?:[\w:.>*&-]+(?:<[^>]*>)?\s+)?[\w:.>-]+(?:\([^)]*\)| = [^;]+);\s*$"


def length(tree):
    """no file is longer than 400 lines"""
    for path in tree.below(*SIZED, suffixes=("",)):
        if path.endswith((".json", ".golden", "/link_order.txt")):  # written by programs
            continue
        lines = tree.text(path).count("\n")
        if lines > MAX_LINES:
            yield Finding(path, lines, f"{lines} lines")


def forbidden_anywhere(tree):
    """nothing unfinished, and nothing that points outside the repository"""
    for path in tree.files:
        for pattern, reason in FORBIDDEN_ANYWHERE:
            for number, match in tree.search(path, pattern, code=False):
                yield Finding(path, number, f"{match.group(0)}: {reason}")


def forbidden_in_product(tree):
    """the product uses nothing that is unsafe in a static runtime"""
    for path in tree.below("src", "include"):
        for pattern, reason in FORBIDDEN_IN_PRODUCT:
            for number, match in tree.search(path, pattern):
                yield Finding(path, number, f"{match.group(0).strip()}: {reason}")


def links(tree):
    """links lead to primary sources"""
    for path in tree.files:
        if path == "LICENSE":
            continue
        for number, match in tree.search(path, r"https?://([\w.-]+)", code=False):
            host = match.group(1).rstrip(".")
            if host not in HOSTS:
                yield Finding(path, number, f"{host} is not one of the sources listed in tests/lint/text.py")


def commented_out(tree):
    """no code is kept in comments"""
    for path in tree.below("src", "include", "tests"):
        for number, match in tree.search(path, COMMENTED_OUT, code=False):
            yield Finding(path, number, match.group(0).strip())


def names(tree):
    """file names are snake_case and say what is inside"""
    for path in tree.below(*SIZED):
        stem = path.split("/")[-1].rsplit(".", 1)[0]
        if not re.fullmatch(r"[a-z0-9_]+", stem):
            yield Finding(path, 1, "not snake_case")
        words = set(stem.split("_")) | set(path.split("/")[:-1])
        if words & VAGUE:
            yield Finding(path, 1, f"'{(words & VAGUE).pop()}' says nothing about what belongs here")


def headers(tree):
    """a header begins with what it is for, and is included once"""
    for path in tree.below("src", "include"):
        if not path.endswith(".hpp"):
            continue
        if not tree.text(path).startswith("//"):
            yield Finding(path, 1, "begins without a comment that says what it is for")
        if not re.search(r"^#pragma once$", tree.text(path), re.M):
            yield Finding(path, 1, "no #pragma once")


def meson_lists(tree):
    """every source file is built"""
    lists = [path for path in tree.files if path.split("/")[-1] == "meson.build"]
    built = {}
    for path in lists:
        folder = path.removesuffix("meson.build")
        # A list names files relative to itself; tests are named by their stem in a loop.
        for number, match in tree.search(path, r"'([\w/.-]+)'", code=False):
            built.setdefault(folder + match.group(1), (path, number))
    for path in tree.below("src", "tests"):
        if path.endswith(".cpp") and path not in built and path.removesuffix(".cpp") not in built \
                and path.removesuffix("_test.cpp") not in built:
            yield Finding(path, 1, "is in no meson.build")


def mirrored_tests(tree):
    """a unit test stands where its source does, and every feature has one"""
    sources = {path.rsplit(".", 1)[0] for path in tree.below("src")}
    tests = [path for path in tree.below("tests/unit") if path.endswith("_test.cpp")]
    tested = set()
    for path in tests:
        source = "src/" + path.removeprefix("tests/unit/").removesuffix("_test.cpp")
        tested.add(source)
        if source not in sources:
            yield Finding(path, 1, f"{source}.cpp does not exist")
    for path in tree.below("src/features"):
        if path.endswith(".cpp") and path.removesuffix(".cpp") not in tested:
            yield Finding(path, 1, "has no unit test")


def final_newline(tree):
    """a text file ends with one newline and has no spaces at the ends of lines"""
    for path in tree.files:
        if not path.endswith((*CPP, ".py", ".build", ".md")) and not path.startswith(("tools/", ".ci/")):
            continue
        text = tree.text(path)
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield Finding(path, text.count("\n"), "does not end with exactly one newline")
        if not path.endswith(".md"):
            for number, _ in tree.search(path, r"[ \t]+$", code=False):
                yield Finding(path, number, "spaces at the end of the line")


def line_counts(tree, paths):
    """(lines, lines that are comment, lines that are code) of the files."""
    lines = [line.strip() for path in paths for line in tree.text(path).split("\n")]
    comments = sum(line.startswith(("//", "/*", "*")) for line in lines)
    return len(lines), comments, sum(bool(line) for line in lines) - comments


def comment_share(tree):
    """between 12 and 25 percent of the product's lines are comments"""
    _, comments, code = line_counts(tree, tree.below("src", "include"))
    if comments + code == 0:
        return
    percent = 100 * comments / (comments + code)
    if not MIN_COMMENTS <= percent <= MAX_COMMENTS:
        yield Finding("src", 0, f"{percent:.1f} percent")


def test_share(tree):
    """there are at least 8 lines of tests for 10 lines of product"""
    product, _, _ = line_counts(tree, tree.below("src", "include"))
    tests, _, _ = line_counts(tree, tree.below("tests", "conformance", suffixes=(*CPP, ".c", ".py")))
    if tests < MIN_TESTS * product:
        yield Finding("tests", 0, f"{tests} lines for {product}")


CHECKS = [
    length, forbidden_anywhere, forbidden_in_product, links, commented_out, names, headers, meson_lists,
    mirrored_tests, final_newline, comment_share, test_share,
]
