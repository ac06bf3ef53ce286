"""The completion of fish, of what commands.py reads."""

from commands import make

HEAD = """\
# Completion of tare in fish; made from what its --help says.

# The containers below the --root of the line.
function __tare_containers
    set -l words (commandline -opc)
    set -l root (string replace -fr -- '^--root=' '' $words)
    set -l at (contains -i -- --root $words)
    and set root $words[(math $at + 1)]
    if set -q root[1]
        tare --root $root[1] list -q 2>/dev/null
    else
        tare list -q 2>/dev/null
    end
end

# Whether the cursor is behind the command $argv[1], and at its place $argv[2] if that is given.
function __tare_at
    set -l command ''
    set -l place 0
    set -l value no
    for word in (commandline -opc)[2..]
        if test $value = yes
            set value no
        else if string match -q -- '-*' $word
            contains -- "$command $word" $__tare_values
            and set value yes
        else if test -z "$command"
            set command $word
        else
            set place (math $place + 1)
        end
    end
    test "$command" = "$argv[1]"
    and begin
        not set -q argv[2]
        or test $place = $argv[2]
    end
end

complete -c tare -f
"""

KINDS = {
    "files": "-r -F",
    "directories": "-x -a '(__fish_complete_directories)'",
    "other": "-x",
    "nothing": "",
}
PLACES = {
    "containers": "-a '(__tare_containers)'",
    "signals": "-a '(kill -l | string split \" \")'",
    "files": "-F",
    "directories": "-a '(__fish_complete_directories)'",
}


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def flag_line(command, flag):
    words = ["complete -c tare", f"-n '__tare_at \"{command}\"'", f"-l {flag.name}"]
    words += [f"-s {flag.letter}"] if flag.letter else []
    words += [f"-x -a {quoted(' '.join(flag.words))}"] if flag.kind == "words" else [KINDS[flag.kind]]
    return " ".join(word for word in [*words, "-d", quoted(flag.help)] if word)


def place_line(command, number, place):
    what = PLACES.get(place, f"-a {quoted(place)}")
    return f"complete -c tare -n '__tare_at {command} {number}' {what}"


def script(global_flags, commands):
    """The whole file."""
    tables = [("", global_flags), *((one.name, one.flags) for one in commands)]
    values = [
        quoted(f"{name} {spelling}")
        for name, flags in tables
        for flag in flags
        if flag.takes_value
        for spelling in flag.spellings
    ]
    lines = ["", "# The flags that a word follows: of a command and its flag.", "set -g __tare_values \\"]
    lines += [f"    {value} \\" for value in values[:-1]] + [f"    {values[-1]}", ""]
    for one in commands:
        lines.append(f"complete -c tare -n '__tare_at \"\"' -a {one.name} -d {quoted(one.summary)}")
    for name, flags in tables:
        lines += [flag_line(name, flag) for flag in flags]
    for one in commands:
        lines += [place_line(one.name, *place) for place in enumerate(one.places)]
    return HEAD + "\n".join([*lines, ""])


if __name__ == "__main__":
    make(script)
