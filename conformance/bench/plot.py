"""Draws what was measured as an SVG: a row a case, a dot a contender, on a logarithmic scale."""

import html
import math

COLOURS = ("#0969da", "#8c959f", "#d1570a", "#8250df", "#1a7f37")
LEFT, RIGHT, TOP, ROW, BELOW = 250, 30, 58, 34, 34
WIDTH = 760


def ticks(low, high):
    """1, 2 and 5 of every power of ten between the two."""
    power = math.floor(math.log10(low))
    while 10**power <= high:
        for step in (1, 2, 5):
            if low <= step * 10**power <= high:
                yield step * 10**power
        power += 1


def text(x, y, words, anchor="start", **more):
    extra = "".join(f' {key.replace("_", "-")}="{value}"' for key, value in more.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{html.escape(words)}</text>'


def line(x1, y1, x2, y2, colour, width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
            f' stroke="{colour}" stroke-width="{width}"/>')


def draw(path, figures, cases, figure="wall ms"):
    """Writes the plot of one figure of those cases that were measured."""
    cases = [case for case in cases if case in figures.kept]
    found = {case: [(i, c, figures.summary(case, c.name, figure)) for i, c in enumerate(figures.contenders)]
             for case in cases}
    seen = [one for row in found.values() for _, _, one in row if one]
    low, high = min(o["low"] for o in seen) * 0.85, max(o["high"] for o in seen) * 1.15

    def place(value):
        share = (math.log(value) - math.log(low)) / (math.log(high) - math.log(low))
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    bottom = TOP + ROW * len(cases)
    parts = [f'<rect width="{WIDTH}" height="{bottom + BELOW}" fill="#ffffff"/>']
    for i, contender in enumerate(figures.contenders):
        x = LEFT + 110 * i
        parts.append(f'<circle cx="{x}" cy="20" r="5" fill="{COLOURS[i % len(COLOURS)]}"/>')
        parts.append(text(x + 10, 24, contender.name))
    for tick in ticks(low, high):
        parts.append(line(place(tick), TOP - 8, place(tick), bottom, "#d8dee4"))
        parts.append(text(place(tick), bottom + 16, f"{tick:g}", "middle", fill="#59636e"))
    parts.append(text(LEFT - 14, bottom + 16, figure + ", less is better", "end", fill="#59636e"))
    for row, case in enumerate(cases):
        y = TOP + ROW * row + ROW / 2 - 8
        parts.append(text(LEFT - 14, y + 4, case, "end"))
        # The first last, so that it lies on top.
        for i, _, one in reversed(found[case]):
            if one:
                colour = COLOURS[i % len(COLOURS)]
                parts.append(line(place(one["low"]), y, place(one["high"]), y, colour, 3))
                parts.append(f'<circle cx="{place(one["median"]):.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>')
    body = "\n".join(parts)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + BELOW}"'
                   f' font-family="sans-serif" font-size="13" fill="#1f2328">\n{body}\n</svg>\n')
