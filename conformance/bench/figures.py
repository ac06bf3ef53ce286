"""What has been measured: kept by case and contender, and given as a table and as JSON."""

import json
import os
import platform
import statistics

from cases import FIGURES

CALLS = "calls"


class Figures:
    """All that was measured in one run."""

    def __init__(self, contenders):
        self.contenders = contenders
        self.kept = {}  # case to contender's name to figure to the list of what was seen

    def add(self, case, contender, figures):
        place = self.kept.setdefault(case, {}).setdefault(contender.name, {})
        for name, value in zip(FIGURES, figures):
            place.setdefault(name, []).append(value)

    def add_calls(self, case, contender, count):
        place = self.kept.setdefault(case, {}).setdefault(contender.name, {})
        place.setdefault(CALLS, []).append(count)

    def summary(self, case, name, figure):
        """Median and quartiles of one figure; None where there is none."""
        seen = self.kept[case].get(name, {}).get(figure)
        if not seen:
            return None
        low, middle, high = statistics.quantiles(seen, n=4) if len(seen) > 1 else seen * 3
        return {"median": statistics.median(seen) if len(seen) > 1 else middle,
                "low": low, "high": high, "of": len(seen)}

    def rows(self):
        """(case, figure, summaries in the order of the contenders), where there is anything."""
        for case in self.kept:
            for figure in (*FIGURES, CALLS):
                found = [self.summary(case, c.name, figure) for c in self.contenders]
                if any(found):
                    yield case, figure, found

    def table(self):
        first = self.contenders[0]
        others = self.contenders[1:]
        width = 16
        head = f"{'case':<48}{'figure':<9}" + "".join(f"{c.name:>{width}}" for c in self.contenders)
        lines = [head + "".join(f"{f'{first.name}/{c.name}':>{width}}" for c in others)]
        last = None
        for case, figure, found in self.rows():
            row = f"{case if case != last else '':<48}{figure:<9}"
            row += "".join(f"{show(one, figure):>{width}}" for one in found)
            row += "".join(f"{ratio(found[0], one):>{width}}" for one in found[1:])
            lines.append(row.rstrip())
            last = case
        return "\n".join(lines)

    def save(self, path, options):
        """Everything, as JSON."""
        document = {
            "machine": {"kernel": platform.release(), "processors": os.cpu_count(),
                        "architecture": platform.machine()},
            "options": options,
            "contenders": [{"name": c.name, "version": c.version()} for c in self.contenders],
            "cases": {},
        }
        for case, figure, found in self.rows():
            of_case = document["cases"].setdefault(case, {})
            for contender, one in zip(self.contenders, found):
                if one:
                    of_case.setdefault(contender.name, {})[figure] = one
        with open(path, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.write("\n")


def show(one, figure):
    """The median, and half of the range that the middle half of all lies in."""
    if not one:
        return "-"
    digits = 2 if figure.endswith("ms") else 0
    spread = (one["high"] - one["low"]) / 2
    return f"{one['median']:.{digits}f} ±{spread:.{digits}f}"


def ratio(mine, theirs):
    if not mine or not theirs or not theirs["median"]:
        return "-"
    return f"{mine['median'] / theirs['median']:.3f}"
