"""podman checkpoint and restore: a container goes on where it was."""

import pytest

from drive import place

pytestmark = pytest.mark.guest("criu")


@pytest.fixture
def counting(podman):
    """A container of root's that has written a number into memory, and says it when it is told to."""
    if podman.rootless:
        pytest.skip("criu of podman is for root")
    if not place.program("criu"):
        pytest.skip("no criu")
    script = "n=41; trap 'n=$((n+1)); echo said $n' USR1; echo ready; while :; do read a <>/wait; done"
    script = f"/bin/busybox mkfifo /wait; {script}"
    podman.start("counts", "/bin/sh", "-c", script)
    podman.await_log("counts", "ready")
    return podman


def say(podman, name, number):
    podman("kill", "--signal", "USR1", name).check()
    podman.await_log(name, f"said {number}")


def test_what_was_checkpointed_goes_on_when_it_is_restored(counting):
    say(counting, "counts", 42)
    counting("container", "checkpoint", "counts").check()
    assert counting.inspect("counts", "{{.State.Running}} {{.State.Checkpointed}}") == "false true"
    counting("container", "restore", "counts").check()
    assert counting.inspect("counts", "{{.State.Running}}") == "true"
    say(counting, "counts", 43)
    assert counting("exec", "counts", "/bin/echo", "within").check().out == "within\n"


def test_a_checkpoint_leaves_it_running_if_told(counting):
    counting("container", "checkpoint", "--leave-running", "counts").check()
    assert counting.inspect("counts", "{{.State.Running}}") == "true"
    say(counting, "counts", 42)


def test_an_exported_checkpoint_is_restored_under_another_name(counting):
    archive = counting.directory / "tmp/checkpoint.tar"
    say(counting, "counts", 42)
    counting("container", "checkpoint", "--export", archive, "counts").check()
    counting("rm", "counts").check()
    words = ["container", "restore", "--import", archive, "--name", "again"]
    counting(*words).check()
    say(counting, "again", 43)
