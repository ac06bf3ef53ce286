"""Options and fixtures of the conformance suite; see README.md for how a test uses them."""

import itertools
import os
import pathlib
import signal
import sys

import pytest

sys.dont_write_bytecode = True

from harness import attack, events, host, sandbox  # noqa: E402
from harness.box import Box  # noqa: E402
from harness.bundle import Template  # noqa: E402
from harness.report import Report  # noqa: E402
from harness.runtime import kind_of  # noqa: E402
from harness.selection import Selection  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
collect_ignore = ["tests/test_every_call.py"]  # it takes minutes: name it to run it
LIMIT = 60 * events.SLOWNESS  # seconds that a test may take before it counts as hung


def pytest_addoption(parser):
    group = parser.getgroup("conformance")
    group.addoption("--runtime", default=str(HERE.parent / "build" / "tare"), metavar="PATH")
    group.addoption("--results", metavar="FILE", help="write every outcome to FILE as JSON")
    group.addoption("--list-skipped", metavar="FILE", help="list in FILE what this machine skips")
    group.addoption(
        "--for-guest", metavar="FILE", help="only what is marked for the guest, or listed in FILE"
    )
    group.addoption(
        "--on-machine", action="store_true", help="without mounts and cgroups of the suite's own"
    )
    group.addoption("--attacks", action="store_true", help="replays only; see attacks/run")
    group.addoption("--race-seconds", type=float, default=5.0, help="of all free-running races")
    group.addoption("--keep-going-dirty", action="store_true", help="do not fail tests that leak")


def pytest_configure(config):
    runtime = os.path.abspath(config.getoption("--runtime"))
    if not config.option.collectonly:
        if os.geteuid() != 0:
            pytest.exit("the conformance suite needs root", 3)
        if not os.access(runtime, os.X_OK):
            pytest.exit(f"no runtime at {runtime}: build it or name one with --runtime", 3)
        # An end by SIGTERM is to clear up like one by ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        enter = sandbox.stay if config.getoption("--on-machine") else sandbox.enter
        config.scratch = pathlib.Path(enter())
        if config.getoption("--attacks"):
            results = config.getoption("--results") or config.scratch
            needed = [os.path.dirname(path) for path in (runtime, results)]
            attack.be_alone(config.scratch, *needed)
            if kind_of(runtime) == "naive":
                runtime = attack.install_naive(config.scratch)
    config.option.runtime = runtime
    config.pluginmanager.register(Report(kind_of(runtime), config.getoption("--results")))
    lists = [config.getoption(name) for name in ("--list-skipped", "--for-guest")]
    config.pluginmanager.register(Selection(*lists))


def pytest_runtest_setup(item):
    marker = item.get_closest_marker("guest")
    if marker and not events.IN_GUEST:
        pytest.skip(f"only in the guest: {' '.join(marker.args)}")


@pytest.fixture(scope="session")
def scratch(pytestconfig):
    """A directory for the session, on a tmpfs of its own; its path is short enough for sockets."""
    return pytestconfig.scratch


@pytest.fixture(scope="session")
def template(scratch):
    return Template(scratch)


@pytest.fixture(scope="session")
def binary(pytestconfig):
    return pytestconfig.getoption("--runtime")


@pytest.fixture(scope="session")
def kind(binary):
    """`tare`, `runc`, `crun` or `youki`."""
    return kind_of(binary)


@pytest.fixture(scope="session")
def serial():
    return itertools.count(1)


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs fails, and the next one has its turn."""

    def give_up(number, frame):
        raise TimeoutError(f"{request.node.name} took more than {limit} s")

    marker = request.node.get_closest_marker("attack")
    limit = 10 * LIMIT if marker and "racing" in marker.kwargs else LIMIT
    # A peer that is known to hang need not be waited for long.
    known = request.node.get_closest_marker("xfail")
    events.patience = (1.0 if known else 10.0) * events.SLOWNESS
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def prefix(pytestconfig):
    """What the names of containers begin with; no other session on the machine has the same."""
    return f"box{os.getpid()}-" if pytestconfig.getoption("--attacks") else "box"


@pytest.fixture(scope="session")
def invariants(binary, prefix):
    return attack.Invariants(binary, prefix)


@pytest.fixture(autouse=True)
def unharmed(request):
    """After a replay the host is as it was, whatever else came of it."""
    watched = request.config.getoption("--attacks") and request.node.get_closest_marker("attack")
    known = request.getfixturevalue("invariants") if watched else None
    yield
    if known:
        known.compare()


@pytest.fixture
def box(request, scratch, template, binary, serial, prefix):
    """A container to be; afterwards the host must be as it was before."""
    needs = request.node.get_closest_marker("needs_controller")
    if needs:
        there = (host.CGROUPS / "cgroup.controllers").read_text().split()
        missing = [name for name in needs.args if name not in there]
        if missing:
            pytest.skip(f"no {', '.join(missing)} controller in this cgroup2 tree")
    number = next(serial)
    before = host.Snapshot.take()
    made = Box(scratch / str(number), binary, template, f"{prefix}{number}")
    yield made
    try:
        made.clear()
        after = before.settled(made.runtime.root)
    finally:
        made.scrub()
    if not request.config.getoption("--keep-going-dirty"):
        assert after == before, "left behind after delete --force"
