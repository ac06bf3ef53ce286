"""The table of rows by runtimes: what of config.json and around it a runtime has been seen to do."""

import pathlib

ROWS = pathlib.Path(__file__).resolve().parent.parent / "data" / "rows.txt"
FAILED = ("fail", "known")


def all_rows():
    """The rows of the table, in its order."""
    lines = ROWS.read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def cell(outcomes):
    """What one runtime made of the tests of one row."""
    passed = sum(outcome in ("pass", "stale") for outcome in outcomes)
    failed = sum(outcome in FAILED for outcome in outcomes)
    if passed + failed == 0:
        return "skipped" if outcomes else "no test"
    if passed == 0:
        return f"not there ({failed} failed)"
    return f"{passed} passed" + (f", {failed} failed" if failed else "")


def table(names, outcomes, rows):
    """The whole table as text. `rows` maps a test to the rows that it is about."""
    tests = {}
    for test, named in rows.items():
        for row in named:
            tests.setdefault(row, []).append(test)
    lines = [["row", *names]]
    for row in all_rows():
        ran = [
            [outcomes[name][test] for test in tests.get(row, []) if test in outcomes[name]]
            for name in names
        ]
        lines.append([row, *(cell(one) for one in ran)])
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) + 1)]
    padded = (
        "  ".join(f"{text:<{width}}" for text, width in zip(line, widths)).rstrip()
        for line in lines
    )
    return "\n" + "\n".join(padded)
