"""What the tests of the installation start from: the program, configured as packagers do, installed."""

import os
import pathlib
import subprocess
import sys

import pytest

sys.dont_write_bytecode = True

TOP = pathlib.Path(__file__).resolve().parents[2]


def run(*argv, **more):
    """Runs a command to its end, and fails the test with what it said if it does not succeed."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    ended = subprocess.run([str(a) for a in argv], text=True, check=False, **{**options, **more})
    assert ended.returncode == 0, f"{argv} exits with {ended.returncode}:\n{ended.stdout[-6000:]}"
    return ended.stdout


@pytest.fixture(scope="session")
def built():
    """A build directory; beside the sources, so that the compiler's cache has what was compiled."""
    place = TOP / "build-package"
    options = ["-Dtests=false", "--prefix=/usr", "--sysconfdir=/etc"]
    if not (place / "build.ninja").exists():
        run("meson", "setup", place, *options, cwd=TOP)
    run("meson", "compile", "-C", place)
    return place


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """The tree that `meson install` makes for DESTDIR."""
    tree = tmp_path_factory.mktemp("installed")
    run("meson", "install", "-C", built, "--no-rebuild", env={**os.environ, "DESTDIR": str(tree)})
    return tree


def files(tree):
    """Every file below a tree, as it will be named."""
    return sorted(f"/{path.relative_to(tree)}" for path in tree.rglob("*") if not path.is_dir())
