"""The checks of the binary and the manual pages, on programs made for the purpose."""

import json
import shutil
import subprocess

import binary
import man_pages
import pytest
from tree import Skip

PAGE = "".join(f"# {name}\ntext\n\n" for name in man_pages.SECTIONS)


def compiled(tmp_path, *flags):
    """A small program built with the given flags."""
    if shutil.which("gcc") is None:
        pytest.skip("no compiler")
    (tmp_path / "a.c").write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "a.c", "-o", "a", *flags], cwd=tmp_path, check=True)
    return tmp_path / "a"


@pytest.mark.parametrize("examine, flags, expected", [
    (binary.static_pie, [], "asks for a dynamic loader"),
    (binary.static_pie, ["-static", "-no-pie"], "not position independent"),
    (binary.full_relro, ["-static-pie", "-Wl,-z,norelro"], "no GNU_RELRO"),
    (binary.full_relro, ["-Wl,-z,lazy"], "binds lazily"),
    (binary.no_executable_data, ["-Wl,-z,execstack"], "GNU_STACK is RWE"),
    (binary.stack_protector, ["-static-pie", "-fno-stack-protector", "-nostartfiles", "-nostdlib", "-Wl,-emain"],
     "stack guard"),
    (binary.fixed_text, ["-Wl,-rpath,/nowhere", "-Wl,--disable-new-dtags"], "has RPATH"),
    (binary.fixed_text, ["-Wl,-rpath,/nowhere"], "has RUNPATH"),
    (binary.branch_targets, ["-fcf-protection=none"], "endbr64"),
    (binary.checked_copies, [], "no checked function"),
    (binary.small, [], "not stripped"),
])
def test_finds_a_badly_linked_binary(tmp_path, examine, flags, expected):
    path = compiled(tmp_path, *flags)
    assert any(expected in what for what in examine(path)), list(examine(path))


def test_finds_a_source_that_is_compiled_without_a_flag(tmp_path):
    given = [f"c++ {' '.join(flag for flag in binary.HARDENING if flag != left_out)} -c"
             for left_out in ("none", "-fcf-protection")]
    entries = [{"file": f"../src/{n}.cpp", "command": command} for n, command in enumerate(given)]
    (tmp_path / "compile_commands.json").write_text(json.dumps(entries))
    found = list(binary.hardening_flags(tmp_path / "tare"))
    assert found == ["../src/1.cpp is compiled without -fcf-protection"]


def test_finds_a_large_binary(tmp_path):
    path = compiled(tmp_path, "-s")
    with open(path, "ab") as file:
        file.truncate(binary.MAX_BYTES)
    assert list(binary.small(path)) == [f"{binary.MAX_BYTES} bytes"]


def test_accepts_a_well_linked_binary(tmp_path):
    path = compiled(tmp_path, "-static-pie", "-s", "-Wl,-z,relro,-z,now")
    for examine in (binary.static_pie, binary.full_relro, binary.no_executable_data, binary.small):
        assert list(examine(path)) == [], examine.__doc__


def test_a_missing_binary_is_skipped_and_not_passed(tmp_path):
    for check in binary.checks(tmp_path / "none"):
        with pytest.raises(Skip):
            list(check(None))


HELP = """Usage: tare start [OPTIONS] ID

Options:
  -h,--help                   Print this help
  -b, --bundle TEXT           the bundle, as in --root
      --no-pivot              do not pivot
"""


def test_flags_are_read_from_the_first_column_of_help():
    assert man_pages.help_flags(HELP) == {"-h", "--help", "-b", "--bundle", "--no-pivot"}


def test_flags_are_read_from_options_of_a_page():
    page = "# OPTIONS\n**-b**, **--bundle** *PATH*\n:   As in --root.\n\n**--no-pivot**\n:   x\n\n# FILES\n**--no**\n"
    assert man_pages.page_flags(page) == {"-b", "--bundle", "--no-pivot"}


def program(tmp_path, command_help, program_help):
    """A program that prints the given helps."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\nif [ $# -gt 1 ]; then cat <<'E'\n{command_help}\nE\n"
                    f"else cat <<'E'\n{program_help}\nE\nfi\n")
    path.chmod(0o755)
    return path


def run(tree, path):
    """The findings of each check of the pages, by the check's first word."""
    return {check.__name__: [str(found) for found in check(tree)] for check in man_pages.checks(path)}


def test_pages_are_compared_with_the_binary(tree_of, tmp_path):
    tree = tree_of({
        "man/tare.8.md": PAGE.replace("# OPTIONS\ntext", "# OPTIONS\n**--root** *DIR*\n:   x"),
        "man/tare-start.8.md": PAGE.replace("# OPTIONS\ntext", "# OPTIONS\n**--gone**\n:   x"),
        "man/tare-lost.8.md": PAGE.replace("# EXIT STATUS\n", "").replace("text", "see **tare-none**(8)"),
    })
    path = program(tmp_path, "Options:\n  --new  x", "Options:\n  --root DIR  x\n\nCommands:\n  start  x\n  stop  x\n")
    found = run(tree, path)
    assert any("sections are" in what for what in found["page_sections"])
    assert any("tare-none" in what for what in found["see_also"])
    assert "man/tare-start.8.md:1: --new is in --help and not in OPTIONS" in found["flags_agree"]
    assert "man/tare-start.8.md:1: --gone is in OPTIONS and not in --help" in found["flags_agree"]
    assert not any("man/tare.8.md" in what for what in found["flags_agree"])
    assert found["commands_agree"] == ["man:1: lost is only in man/", "man:1: stop is only in --help"]


def test_a_program_without_commands_is_found(tree_of, tmp_path):
    tree = tree_of({"man/tare-start.8.md": PAGE})
    assert "man:1: no commands found in --help" in run(tree, program(tmp_path, "", ""))["commands_agree"]
