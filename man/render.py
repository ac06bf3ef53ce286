"""Makes a manual page, man(7), of one of the Markdown pages beside this file, on standard output.

    render.py PAGE.md VERSION

It knows what the pages use and refuses the rest: headings, paragraphs, definition lists, indented
examples, tables of two columns, bold, italics and code.
"""

import os
import re
import sys
import time

MANUAL = "System Manager's Manual"


def escape(text):
    """Text as roff takes it: a hyphen that is typed must stay one, and no line is a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\\&" + text if text.startswith(".") else text


def inline(text):
    """Bold, italics and code of one paragraph."""
    marks = re.compile(r"\*\*(.+?)\*\*|(?<!\w)_(.+?)_(?!\w)|\*(.+?)\*|`(.+?)`")
    out, at = [], 0
    for match in marks.finditer(text):
        out.append(escape(text[at : match.start()]))
        bold, slanted, italic, code = match.groups()
        font, words = ("B", bold or code) if bold or code else ("I", italic or slanted)
        if "*" in words:
            raise ValueError(f"marks within marks: {match.group(0)}")
        out.append(f"\\f{font}{escape(words)}\\fR")
        at = match.end()
    out.append(escape(text[at:]))
    return "".join(out)


def wrapped(words, width=78):
    """The lines of a paragraph; roff fills them again, but people read the source too."""
    lines, line = [], ""
    for word in words.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    lines.append(line)
    # A line that begins with a control character would be a request.
    return "\n".join("\\&" + one if one[:1] in ".'" else one for one in lines)


def blocks(text):
    """The lines of each block; blank lines part them, but not those within an example."""
    block, found = [], []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            block.append(line)
        elif block:
            found.append(block)
            block = []
    return found


def table(rows):
    """A table of two columns is a list of what stands in the first."""
    out = []
    for row in rows[2:]:
        cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
        if len(cells) != 2:
            raise ValueError(f"a table has two columns: {row}")
        out += [".TP", inline(cells[0]), wrapped(inline(cells[1]))]
    return out


def example(lines):
    """Text that stands as it is."""
    return [".RS 4", ".nf", *[escape(line[4:]) for line in lines], ".fi", ".RE"]


def definition(lines):
    """A term and what it means."""
    at = next(n for n, line in enumerate(lines) if line.startswith(":   "))
    term = inline(" ".join(lines[:at]))
    body = " ".join([lines[at][4:], *(line.strip() for line in lines[at + 1 :])])
    return [".TP", term, wrapped(inline(body))]


def heading(line):
    """.SH or .SS."""
    marks, title = re.fullmatch(r"(#{1,2}) (.+)", line).groups()
    return [f"{'.SH' if len(marks) == 1 else '.SS'} {escape(title)}"]


def body(text):
    """The page without its first line, as lines of roff."""
    out, example_before = [], False
    for lines in blocks(text):
        first = lines[0]
        is_example = first.startswith("    ")
        after_heading = bool(out) and out[-1].startswith((".SH", ".SS"))
        if is_example and example_before:
            # One example with a blank line in it.
            out[-2:] = [".sp", *example(lines)[2:]]
        elif first.startswith("#"):
            out += heading(first)
        elif first.startswith("|"):
            out += table(lines)
        elif is_example:
            # Right below a heading there is nothing to set it off from.
            out += example(lines) if after_heading else [".PP", *example(lines)]
        elif any(line.startswith(":   ") for line in lines):
            out += definition(lines)
        elif re.match(r"[-*+] |\d+\. |>|```", first):
            raise ValueError(f"not of the forms that are known: {first}")
        else:
            out += [] if after_heading else [".PP"]
            out.append(wrapped(inline(" ".join(lines))))
        example_before = is_example
    return out


def page(source, version, date):
    """The whole page; the first line is `% NAME(SECTION)`."""
    first, text = source.split("\n", 1)
    name, section = re.fullmatch(r"% ([A-Z-]+)\((\d)\)", first).groups()
    title = f'.TH {name} {section} {date} "tare {version}" "{MANUAL}"'
    # Without .nh a hyphen of a long option could be one of a broken word.
    return "\n".join([title, ".nh", ".ad l", *body(text), ""])


def main():
    path, version = sys.argv[1:]
    # Who builds twice is to get the same page twice: reproducible-builds' variable, or the source's own time.
    when = os.environ.get("SOURCE_DATE_EPOCH") or os.stat(path).st_mtime
    date = time.strftime("%Y-%m-%d", time.gmtime(int(float(when))))
    with open(path, encoding="utf-8") as file:
        source = file.read()
    try:
        print(page(source, version, date), end="")
    except ValueError as error:
        sys.exit(f"{path}: {error}")


if __name__ == "__main__":
    main()
