"""The completions, asked by the shells themselves, of a program with containers to be named."""

import os
import pty
import shutil
import subprocess

import pytest

from conftest import run

# A line, and words of which each must be offered (or with a "!" must not).
LINES = [
    ("tare ", "create run exec explain help"),
    ("tare exp", "explain !exec"),
    ("tare --lo", "--log --log-format --log-level !--root"),
    ("tare run --", "--bundle --detach --no-pivot --pid-file !--tty"),
    ("tare --log-format ", "text json !table"),
    ("tare list -f ", "table json !text"),
    ("tare update --cpu-idle ", "0 1"),
    ("tare kill ", "web db !add"),
    ("tare --root OTHER kill ", "lonely !web"),
    ("tare exec -e A=b --user 1 ", "web db"),
    ("tare --log web kill ", "web db !explain"),
    ("tare mounts ", "add remove !web"),
    ("tare mounts add ", "web db !add"),
    ("tare run ", "!web !db"),
    ("tare pause web ", "!web !db"),
    ("tare help ex", "exec explain !run"),
]


@pytest.fixture(scope="module")
def place(installed, tmp_path_factory):
    """A directory in which `tare` is installed as it is, but for the containers that it lists."""
    directory = tmp_path_factory.mktemp("shell")
    stub = directory / "tare"
    stub.write_text('#!/bin/sh\ncase "$*" in\n"list -q") printf "web\\ndb\\n" ;;\n'
                    '"--root OTHER list -q") echo lonely ;;\n*) echo "called with: $*" >&2; exit 1 ;;\nesac\n')
    stub.chmod(0o755)
    return directory


def environment(place):
    return {"PATH": f"{place}:/usr/bin:/bin", "HOME": str(place), "TERM": "dumb", "LC_ALL": "C.UTF-8"}


def by_bash(place, installed, line):
    script = installed / "usr/share/bash-completion/completions/tare"
    ask = """
        source "$1"
        line=$2
        # As readline parts it: at blanks, and at the sign.
        read -ra COMP_WORDS <<<"${line//=/ = }"
        [[ $line == *" " || $line == *= ]] && [[ ${COMP_WORDS[-1]} != = ]] && COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _tare
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    return run("bash", "--norc", "-c", ask, "bash", script, line, env=environment(place),
               cwd=place, stderr=subprocess.PIPE).split()


def by_fish(place, installed, line):
    script = installed / "usr/share/fish/vendor_completions.d/tare.fish"
    ask = "source $argv[1]; complete -C $argv[2]"
    out = run("fish", "--no-config", "-c", ask, script, line, env=environment(place), cwd=place,
              stderr=subprocess.PIPE)
    return [row.split("\t")[0] for row in out.splitlines()]


def by_zsh(place, installed, line):
    """zsh completes on a terminal only; what it would offer is taken from its compadd."""
    ask = """
        fpath=($1 $fpath)
        autoload -Uz compinit && compinit -D -u
        zle -C offer complete-word offer
        offer() {
          compadd() {
            local -a given
            builtin compadd -O given "$@"
            print -rl -- "OFFER:"$^given >>$HOME/offers
            builtin compadd "$@"
          }
          _main_complete
        }
        bindkey '^I' offer
        : >$HOME/offers
        PS1=READY
    """
    (place / ".zshrc").write_text(f"set -- {installed / 'usr/share/zsh/site-functions'}\n{ask}")
    main, theirs = pty.openpty()
    shell = subprocess.Popen(["zsh", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=place,
                             env=environment(place), start_new_session=True)
    os.close(theirs)
    seen = b""
    try:
        while b"READY" not in seen:
            seen += os.read(main, 4096)
        os.write(main, line.encode() + b"\t\x15exit\n")
        try:
            while os.read(main, 4096):
                pass
        except OSError:  # the terminal goes with the shell
            pass
    finally:
        shell.kill()
        shell.wait()
        os.close(main)
    offers = (place / "offers").read_text().splitlines()
    return [row.removeprefix("OFFER:").split(":")[0].rstrip("=") for row in offers]


SHELLS = {"bash": by_bash, "fish": by_fish, "zsh": by_zsh}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line, expected", LINES, ids=[line for line, _ in LINES])
def test_a_shell_offers(shell, line, expected, place, installed):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    offered = SHELLS[shell](place, installed, line)
    for word in expected.split():
        assert (word.lstrip("!") in offered) is not word.startswith("!"), f"{word}: {offered}"


def test_bash_completes_a_value_behind_the_sign(place, installed):
    assert by_bash(place, installed, "tare --log-format=js") == ["json"]
    assert by_bash(place, installed, "tare --log-format=") == ["text", "json"]
