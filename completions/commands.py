"""What a shell has to know to complete the words of tare, read from what --help prints.

The three scripts beside this file make a shell's completion of it, on standard output; each is called
with the path of the program.
"""

import dataclasses
import re
import subprocess
import sys

# "--bundle PATH, -b PATH  the bundle"
FLAG = re.compile(r"^   --(?P<name>[\w-]+)(?: (?P<value>\S+))?(?:, -(?P<letter>\w)(?: \S+)?)?  +(?P<help>\S.*)$")
COMMAND = re.compile(r"^   (?P<name>[a-z]+)  +(?P<summary>\S.*)$")
# "table (default) or json: ...", "error (default), warning or debug"
CHOICES = re.compile(r"^((?:\w+(?: \(default\))?, )*\w+(?: \(default\))? or \w+)(?: \(default\))?(?=$|:)")
# Paths in the container are not on this machine.
INSIDE = {("exec", "cwd"), ("exec", "cgroup")}

# The id that these are given is that of no container yet.
NAMES_NEW = ("create", "run")


@dataclasses.dataclass
class Flag:
    """One flag; `kind` is what its value is: nothing, words, directories, files or other."""

    name: str
    letter: str
    value: str
    help: str
    kind: str
    words: list

    @property
    def spellings(self):
        return [f"--{self.name}", *([f"-{self.letter}"] if self.letter else [])]

    @property
    def takes_value(self):
        return self.kind != "nothing"


@dataclasses.dataclass
class Command:
    """One command; `places` says what stands at each place: containers, signals, files, ..."""

    name: str
    summary: str
    flags: list
    places: list


def kind_of(command, name, value, text):
    """The kind of a flag's value, and its words if there are only these."""
    if not value:
        return "nothing", []
    if re.fullmatch(r"\w+(\|\w+)+", value):
        return "words", value.split("|")
    choices = CHOICES.match(text)
    if choices:
        return "words", re.split(r", | or ", choices.group(1).replace(" (default)", ""))
    if (command, name) in INSIDE:
        return "other", []
    if value == "DIR" or name == "bundle":
        return "directories", []
    return ("files", []) if value in ("FILE", "PATH") else ("other", [])


def flags_of(command, text):
    """The flags that a --help lists."""
    found = []
    for line in text.split("\n"):
        match = FLAG.match(line)
        if match:
            name, value, letter, help_text = match.group("name", "value", "letter", "help")
            kind, words = kind_of(command, name, value, help_text)
            found.append(Flag(name, letter or "", value or "", help_text, kind, words))
    if not found:
        raise ValueError(f"--help of {command or 'the program'} lists no flags")
    return found


def places_of(usage):
    """What stands at each place, from a line "tare kill [options] <container-id> [signal]"."""
    if usage.split()[1] in NAMES_NEW:
        return []
    known = {"<container-id>": "containers", "[signal]": "signals", "<bundle>": "directories", "<file>": "files"}
    places = []
    for word in usage.split()[3:]:
        if re.fullmatch(r"\w+(\|\w+)+", word):
            places.append(word.replace("|", " "))
        elif word in known:
            places.append(known[word])
        else:
            break  # what belongs to another program: exec's command, ps(1)'s options
    return places


def ask(program, *words):
    return subprocess.run([program, *words, "--help"], stdin=subprocess.DEVNULL, check=True,
                          capture_output=True, text=True).stdout


def command(program, name, summary):
    text = ask(program, name)
    usage = re.search(r"^USAGE:\n   (.+)$", text, re.M).group(1)
    return Command(name, summary, flags_of(name, text), places_of(usage))


def read(program):
    """The flags of the program itself, and its commands."""
    text = ask(program)
    listed = text.split("COMMANDS:\n")[1].split("\n\n")[0].split("\n")
    rows = [COMMAND.match(line).group("name", "summary") for line in listed]
    commands = [command(program, *row) for row in rows if row[0] != "help"]
    topics = " ".join(one.name for one in commands)
    commands.append(Command("help", dict(rows)["help"], [], [topics]))
    return flags_of("", text), commands


def make(script):
    """Prints what `script` makes of the program that is named on the command line."""
    print(script(*read(sys.argv[1])), end="")
