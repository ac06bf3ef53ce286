"""Turns the known failures of peers into outcomes, and writes all outcomes to a file for `run`."""

import json

import pytest

from harness import fields
from harness.attack import Fired


class Report:
    """A pytest plugin: one outcome per test, `pass`, `fail`, `known`, `stale` or `skip`."""

    def __init__(self, kind, path):
        self.kind, self.path = kind, path
        self.outcomes, self.reasons = {}, {}
        self.rows = {}
        self.attacks, self.fired = {}, []
        self.figures = []

    def pytest_collection_modifyitems(self, items):
        known = set(fields.all_rows())
        for item in items:
            rows = [row for marker in item.iter_markers("row") for row in marker.args]
            for row in rows:
                if row not in known:
                    raise pytest.UsageError(f"{item.nodeid}: no row {row} in {fields.ROWS.name}")
            if rows:
                self.rows[item.nodeid] = rows
            for marker in item.iter_markers("attack"):
                self.attacks[item.nodeid] = [*marker.args, *marker.kwargs, *marker.kwargs.values()]
            for marker in item.iter_markers("peer"):
                if self.kind in marker.kwargs:
                    reason = marker.kwargs[self.kind]
                    item.add_marker(pytest.mark.xfail(reason=reason, strict=False))
            for marker in item.iter_markers("tare"):
                if self.kind not in ("tare", "naive"):
                    reason = f"only tare: {' '.join(marker.args)}"
                    item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_runtest_makereport(self, item, call):
        if call.excinfo and call.excinfo.errisinstance(Fired):
            self.fired.append(item.nodeid)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid
        if hasattr(report, "wasxfail"):
            outcome = "stale" if report.passed else "known"
            self.reasons[name] = report.wasxfail
        elif report.failed:
            outcome = "fail"
        elif report.skipped:
            outcome = "skip"
            self.reasons[name] = report.longrepr[2].removeprefix("Skipped: ")
        else:
            outcome = "pass"
        if report.when == "call":
            self.figures += report.user_properties
        # setup and teardown pass unseen; a failed one spoils the test.
        if report.when == "call" or outcome not in ("pass", "stale"):
            if self.outcomes.get(name) not in ("fail", "known"):
                self.outcomes[name] = outcome

    def pytest_terminal_summary(self, terminalreporter):
        """What tests have measured, by record_property."""
        for name, text in self.figures:
            terminalreporter.write_line(f"figure: {name}: {text}")

    def found(self):
        """All that `run` wants to know of a session."""
        return {
            "outcomes": self.outcomes,
            "reasons": self.reasons,
            "rows": self.rows,
            "attacks": self.attacks,
            "fired": self.fired,
            "figures": self.figures,
        }

    def pytest_sessionfinish(self):
        if self.path:
            with open(self.path, "w", encoding="utf-8") as file:
                json.dump(self.found(), file)
