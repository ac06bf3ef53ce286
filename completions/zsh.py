"""The completion of zsh, of what commands.py reads."""

from commands import make

HEAD = """\
#compdef tare
# Completion of tare in zsh; made from what its --help says.

# The containers below the --root of the line, which _tare has put into root.
_tare_containers() {
  local -a ids
  ids=(${(f)"$(tare $root list -q 2>/dev/null)"})
  compadd "$@" -a ids
}

"""

# _arguments is called right here: zsh gives back the words that it takes off when a function returns.
FOOT = """\
_tare() {
  local curcontext=$curcontext state line
  local -a root
  typeset -A opt_args
  GLOBAL && return
  [[ $state == arguments ]] || return 1
  [[ -n ${opt_args[--root]} ]] && root=(--root ${(Q)opt_args[--root]})
  (( $+functions[_tare_of_$line[1]] )) && _tare_of_$line[1]
}

_tare "$@"
"""

ACTIONS = {
    "files": "_files",
    "directories": "_files -/",
    "containers": "_tare_containers",
    "signals": "_signals -s",
    "other": " ",
}


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def escaped(text):
    """Text within a specification of _arguments."""
    for char in "\\[]:":
        text = text.replace(char, "\\" + char)
    return text


def action(kind, words=()):
    return f"({' '.join(words)})" if words else ACTIONS[kind]


def flag_lines(flag):
    """One specification for each spelling, of which each excludes the others unless it may be repeated."""
    again = "may be repeated" in flag.help
    excluded = "*" if again else f"({' '.join(flag.spellings)})"
    for spelling in flag.spellings:
        mark = "" if not flag.takes_value else "=" if spelling.startswith("--") else "+"
        value = f":{escaped(flag.value)}:{action(flag.kind, flag.words)}" if flag.takes_value else ""
        yield quoted(f"{excluded}{spelling}{mark}[{escaped(flag.help)}]{value}")


def place_lines(places):
    for number, place in enumerate(places, 1):
        what = ACTIONS.get(place) or f"({place})"
        yield quoted(f"{number}:{place.split()[0] if place in ACTIONS else 'word'}:{what}")


def arguments(flags, specifications):
    return " \\\n    ".join([f"_arguments {flags}", *specifications])


def script(global_flags, commands):
    """The whole file."""
    names = " ".join(f"{one.name}\\:{quoted_word(one.summary)}" for one in commands)
    words = [line for flag in global_flags for line in flag_lines(flag)]
    words += [quoted(f"1:command:(({names}))"), quoted("*::argument:->arguments")]
    text = HEAD
    for one in commands:
        specifications = [line for flag in one.flags for line in flag_lines(flag)]
        called = arguments("-S", [*specifications, *place_lines(one.places)])
        text += f"_tare_of_{one.name}() {{\n  {called}\n}}\n\n"
    return text + FOOT.replace("GLOBAL", arguments("-C -S", words))


def quoted_word(text):
    """A description within a list of words."""
    return '"' + text.replace('"', '\\"') + '"'


if __name__ == "__main__":
    make(script)
