"""Places in the tree at which no cgroup can be made, or that no process can be put into."""

import subprocess

import pytest

from harness import events, host

pytestmark = pytest.mark.row("linux.cgroupsPath")

CGROUPS = host.CGROUPS


@pytest.fixture
def parent():
    place = CGROUPS / "parent"
    place.mkdir()
    yield place


def refusal(box):
    """What the runtime says of a place that cannot be; there is no container, then."""
    said = box.create(timeout=3 * events.SLOWNESS).fails().said
    assert not box.runtime.ids()
    return said


@pytest.fixture
def threads(parent):
    """A cgroup that may hold threads of its parent's processes, and no process of its own."""
    place = parent / "threads"
    place.mkdir()
    (place / "cgroup.type").write_text("threaded")
    return place


@pytest.mark.peer(crun="1.8 waits for ever")
def test_a_cgroup_that_holds_threads_only_is_refused_or_as_good_as_another(threads, box):
    box.set("linux.cgroupsPath", "/parent/threads")
    box.args("/probe", "hold")
    if box.create(timeout=3 * events.SLOWNESS).code != 0:
        assert not box.runtime.ids()
        return
    box.start().check()
    pid = box.pid
    assert str(pid) in box.runtime.call("ps", box.id).check().out
    box.kill("KILL").check()
    box.wait(pid)
    box.delete().check()
    if threads.exists():
        threads.rmdir()
    threads.mkdir()  # as it was before the test


@pytest.mark.peer(runc="makes it another that holds threads only", crun="1.8 waits for ever")
def test_a_cgroup_below_threads_is_refused(threads, box):
    box.set("linux.cgroupsPath", "/parent/threads/one")
    assert "domain invalid" in refusal(box)
    assert not (threads / "one").exists()


@pytest.mark.peer(crun="leaves those that it has made")
def test_a_place_that_is_too_deep_is_refused_and_nothing_on_the_way_is_left(parent, box):
    (parent / "cgroup.max.depth").write_text("2")
    box.set("linux.cgroupsPath", "/parent/one/two/three")
    assert "parent/one/two/three" in refusal(box)
    assert not (parent / "one").exists()


def test_a_cgroup_that_may_have_no_more_children_says_so(parent, box):
    (parent / "cgroup.max.descendants").write_text("0")
    box.set("linux.cgroupsPath", "/parent/one")
    assert "parent/one" in refusal(box)


def test_a_tree_that_is_read_only_is_named(box):
    box.bundle.save()
    script = 'mount -o remount,bind,ro /sys/fs/cgroup; exec "$@"'
    words = box.runtime.argv("create", "--bundle", box.bundle.path, box.id)
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", *map(str, words)]
    said = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert said.returncode == 1
    assert "read-only file system" in said.stderr.lower() and "cgroup" in said.stderr
    assert not box.runtime.ids()
