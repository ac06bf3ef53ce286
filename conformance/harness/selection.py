"""Which tests the guest is for: those that say so, and those that another machine has skipped."""

import pathlib

MARKERS = ("guest", "needs_controller")


class Selection:
    """A pytest plugin. `written` is a file that the skipped tests are listed in, one a line;
    `read` is such a list of another machine, and selects what is run here. Both may be None."""

    def __init__(self, written, read):
        self.written, self.read = written, read
        self.skipped = []

    def pytest_collection_modifyitems(self, config, items):
        if not self.read:
            return
        path = pathlib.Path(self.read)
        listed = set(path.read_text("utf-8").splitlines()) if path.exists() else set()
        kept, others = [], []
        for item in items:
            marked = any(item.get_closest_marker(name) for name in MARKERS)
            (kept if marked or item.nodeid in listed else others).append(item)
        config.hook.pytest_deselected(items=others)
        items[:] = kept

    def pytest_runtest_logreport(self, report):
        if report.skipped and not hasattr(report, "wasxfail"):
            self.skipped.append(report.nodeid)

    def pytest_sessionfinish(self):
        if self.written:
            pathlib.Path(self.written).write_text("".join(f"{n}\n" for n in self.skipped), "utf-8")
