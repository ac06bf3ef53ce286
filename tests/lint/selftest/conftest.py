"""Small trees for the checks to look at."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tree import Tree  # noqa: E402


@pytest.fixture(name="tree_of")
def fixture_tree_of(tmp_path):
    """Makes a Tree from {path: text}."""

    def make(files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return Tree(tmp_path)

    return make
