"""The completion of bash, of what commands.py reads. It needs nothing of the package bash-completion
but that this loads it."""

from commands import make

HEAD = """\
# Completion of tare in bash; made from what its --help says.

# The containers below the --root of the line.
_tare_containers() {
  local root=() at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case ${COMP_WORDS[at]} in
      --root | -root)
        [[ ${COMP_WORDS[at + 1]} == = ]] && ((at++))
        root=(--root "${COMP_WORDS[at + 1]}")
        ;;
    esac
  done
  tare "${root[@]}" list -q 2>/dev/null
}

# One function for each kind of word; each prints what could stand here.
_tare_words() {
  local place=$1 current=$2
  case $place in
    containers) compgen -W "$(_tare_containers)" -- "$current" ;;
    signals) compgen -W "$(compgen -A signal SIG)" -- "$current" ;;
    files) compgen -f -- "$current" ;;
    directories) compgen -d -- "$current" ;;
    "") ;;
    *) compgen -W "$place" -- "$current" ;;
  esac
}

"""

BODY = """\
_tare() {
  local current=${COMP_WORDS[COMP_CWORD]} command="" place=0 value="" at word
  COMPREPLY=()
  # Bash parts --flag=value at the sign, as COMP_WORDBREAKS has it.
  for ((at = 1; at < COMP_CWORD; at++)); do
    word=${COMP_WORDS[at]}
    if [[ $word == = ]]; then
      [[ -n $value ]] || ((at++))
    elif [[ -n $value ]]; then
      value=""
    elif [[ $word == -* ]]; then
      value=$(_tare_value "$command" "$word")
    elif [[ -z $command ]]; then
      command=$word
    else
      ((place++))
    fi
  done
  [[ $current == = ]] && current=""
  if [[ -n $value ]]; then
    [[ $value == other ]] && return
    [[ $value == files || $value == directories ]] && compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(_tare_words "$value" "$current")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_tare_flags "$command")" -- "$current")
  else
    value=$(_tare_place "$command" "$place")
    [[ $value == files || $value == directories ]] && compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(_tare_words "$value" "$current")
  fi
}

complete -F _tare tare
"""


def function(name, comment, arms):
    lines = [f"# {comment}", f"{name}() {{", '  case "$*" in']
    lines += [f"    {pattern}) echo {text!r} ;;" for pattern, text in arms]
    return "\n".join([*lines, "  esac", "}", "", ""])


def value_of(flag):
    return " ".join(flag.words) if flag.kind == "words" else flag.kind


def script(global_flags, commands):
    """The whole file."""
    tables = [("", global_flags), *((one.name, one.flags) for one in commands)]
    values = [
        (" | ".join(f'"{name} {spelling}"' for spelling in spellings(flag)), value_of(flag))
        for name, flags in tables
        for flag in flags
        if flag.takes_value
    ]
    flags = [
        (f'"{name}"', " ".join(spelling for flag in flags for spelling in flag.spellings))
        for name, flags in tables
    ]
    places = [('" 0"', " ".join(one.name for one in commands))]
    places += [
        (f'"{one.name} {number}"', place)
        for one in commands
        for number, place in enumerate(one.places)
    ]
    return "".join([
        HEAD,
        function("_tare_value", "What follows a flag of a command, where something does.", values),
        function("_tare_flags", "The flags of a command.", flags),
        function("_tare_place", "What stands at a place behind a command; the first one is the command itself.", places),
        BODY,
    ])


def spellings(flag):
    """A long flag is one with a single dash too."""
    return [*flag.spellings, f"-{flag.name}"]


if __name__ == "__main__":
    make(script)
