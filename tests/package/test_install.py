"""What `meson install` puts where, compared with what packaging/README.md says."""

import fnmatch
import json
import os
import re
import shutil
import stat

import pytest

from conftest import TOP, files, run

TABLE = re.findall(r"^\| `(/[^`]+)` \|", (TOP / "packaging/README.md").read_text(), re.M)


def test_what_is_documented_is_what_is_installed(installed):
    there = files(installed)
    for pattern in TABLE:
        assert fnmatch.filter(there, pattern), f"{pattern} is not installed"
    known = [path for path in there if any(fnmatch.fnmatch(path, pattern) for pattern in TABLE)]
    assert known == there, "installed, and in no row"


def test_every_command_has_its_manual_page(installed):
    listed = run(installed / "usr/sbin/tare", "--help").split("COMMANDS:\n")[1].split("\n\n")[0]
    names = {line.split()[0] for line in listed.splitlines()} - {"help"}
    pages = {path.stem for path in (installed / "usr/share/man/man8").iterdir()}
    assert pages == {"tare"} | {f"tare-{name}" for name in names}


def test_only_the_program_is_executable_and_only_root_writes(installed):
    for path in files(installed):
        mode = stat.S_IMODE(os.stat(f"{installed}{path}").st_mode)
        assert mode == (0o755 if path == "/usr/sbin/tare" else 0o644), path


def test_drop_ins_name_the_program_where_the_prefix_puts_it(built, installed, tmp_path):
    place = tmp_path / "elsewhere"
    words = ["--prefix=/opt/tare", "--sbindir=bin", "--sysconfdir=/opt/etc", "-Dtests=false"]
    run("meson", "setup", place, TOP, *words)
    names = {"tare.conf", "10-tare.conf", "containerd.toml", "docker.json"}
    for name in names:
        assert '"/usr/sbin/tare"' in (built / "packaging" / name).read_text(), name
        assert '"/opt/tare/bin/tare"' in (place / "packaging" / name).read_text(), name
    plans = json.loads((place / "meson-info/intro-install_plan.json").read_text())
    for plan in plans.values():
        for entry in plan.values():
            assert entry["destination"].startswith(("{", "/opt/")), entry


def test_pages_are_without_fault_to_mandoc(installed):
    if not shutil.which("mandoc"):
        pytest.skip("no mandoc")
    pages = sorted((installed / "usr/share/man/man8").iterdir())
    assert run("mandoc", "-Tlint", *pages) == ""


def test_a_page_reads_as_its_markdown_says(installed):
    if not shutil.which("man"):
        pytest.skip("no man")
    text = run("man", "-l", installed / "usr/share/man/man8/tare-exec.8",
               env={"MANWIDTH": "78", "MANPAGER": "cat", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
    assert re.search(r"^TARE-EXEC\(8\) +System Manager's Manual +TARE-EXEC\(8\)$", text, re.M)
    assert "\n       -u UID[:GID], --user UID[:GID]\n              The user and group, as numbers." in text
    assert "\n           tare exec --tty --env TERM=xterm web sh\n" in text


def test_a_page_of_an_unknown_form_is_refused(tmp_path):
    page = tmp_path / "page.md"
    for text in ("- a list\n", "| a | b | c |\n|---|---|---|\n| 1 | 2 | 3 |\n"):
        page.write_text(f"% TARE(8)\n\n# NAME\n\n{text}")
        with pytest.raises(AssertionError, match="page.md: "):
            run("/usr/bin/python3", "-B", TOP / "man/render.py", page, "1")
