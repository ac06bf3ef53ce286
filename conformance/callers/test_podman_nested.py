"""podman: the runtime once more, in a container that podman has made with it."""

import json
import shutil

import pytest

from drive import place
from harness.bundle import base_config

DYNAMIC = "Debian's is not static, and finds no libraries in the image"
pytestmark = [*place.KNOWN, pytest.mark.peer(runc=DYNAMIC, crun=DYNAMIC)]


@pytest.fixture
def nested(podman, template):
    """Runs a script in a privileged container, in which `inner` is the runtime, in a bundle."""
    bundle = podman.directory / "inner"
    (bundle / "rootfs").mkdir(parents=True)
    for name in ("bin", "dev", "proc", "sys"):
        (bundle / "rootfs" / name).mkdir()
    for name in ("bin/busybox", "probe"):
        shutil.copy(template.rootfs / name, bundle / "rootfs" / name)
    config = base_config()
    config["process"]["args"] = ["/probe"]
    (bundle / "config.json").write_text(json.dumps(config))
    podman.person.own(bundle)
    binds = {podman.runtime.binary: "/usr/bin/runtime:ro", bundle: "/bundle"}
    flags = ["--privileged", *(f"--volume={host}:{there}" for host, there in binds.items())]

    def run(script):
        inner = 'inner() { /usr/bin/runtime --root /run/inner "$@"; }; cd /bundle'
        return podman.sh(f"{inner}; {script}", flags)

    yield run
    shutil.rmtree(bundle)


def test_a_container_runs_in_a_container_of_podman(nested):
    assert json.loads(nested("inner run box"))["pid"] == 1


def test_a_container_in_a_container_of_podman_leaves_nothing_there(nested):
    script = """
        cat /proc/mounts >/tmp/before
        inner run box >/dev/null
        cat /proc/mounts >/tmp/after
        cmp /tmp/before /tmp/after
        ls -A /run/inner
        find /sys/fs/cgroup -name box
        echo end
    """
    assert nested(script) == "end\n"
