"""The callers as fixtures: each with a storage of its own that holds the one image."""

import pytest

from drive import cri, image
from drive.containerd import CONTAINERD, Containerd, make_kubelet
from drive.docker import DOCKERD, Docker
from drive.place import Person, make_people
from drive.podman import PODMAN, Podman
from harness import events, sandbox

MS_SHARED = 1 << 20

# Who calls podman, and by which manager of cgroups. Only the guest has a service manager.
MODES = [("root", "cgroupfs"), ("user", "cgroupfs")]
if events.IN_GUEST:
    MODES += [("root", "systemd"), ("user", "systemd")]


@pytest.fixture(scope="session")
def archive(scratch, template):
    """The image, as a file that every caller can load."""
    rootfs = scratch / "image"
    rootfs.mkdir()
    template.fill(rootfs)
    return image.write(scratch / "image.tar", rootfs)


@pytest.fixture(scope="session")
def own_run(pytestconfig):
    """A /run of the suite's own, where callers and runtimes keep what is theirs; a machine that
    was made for the suite has one already."""
    if pytestconfig.getoption("--on-machine"):
        yield
        return
    sandbox.mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    # As it is on every machine with systemd; podman expects it.
    sandbox.mount(None, "/", None, MS_SHARED)
    people = make_people()
    yield
    for person in people:
        person.leave()


@pytest.fixture(scope="session", params=MODES, ids=["-".join(mode) for mode in MODES])
def podman_storage(request, scratch, archive, binary, own_run):
    if not PODMAN:
        pytest.skip("no podman")
    name, cgroups = request.param
    made = Podman(scratch / f"podman-{name}-{cgroups}", binary, Person(name), cgroups)
    made.load(archive)
    yield made
    made.leave()


@pytest.fixture
def podman(podman_storage):
    """podman, as each of the MODES; nothing of it may be left after the test."""
    yield podman_storage
    assert podman_storage.clear() == []


@pytest.fixture
def held(podman):
    """podman with a container named `held` that waits for SIGTERM."""
    podman.hold()
    return podman


@pytest.fixture(scope="session")
def containerd_storage(scratch, archive, binary, own_run):
    if not CONTAINERD:
        pytest.skip("no containerd")
    made = Containerd(scratch / "containerd", binary)
    made.begin()
    made.load(archive)
    yield made
    made.leave()


@pytest.fixture
def containerd(containerd_storage):
    """containerd and ctr; nothing of a container may be left after the test."""
    yield containerd_storage
    assert containerd_storage.clear() == []


@pytest.fixture(scope="module")
def containerd_cri(scratch, archive, binary, own_run):
    """containerd with kubelet's interface, `cri`, and a directory for `logs`. For its own tests alone:
    while gRPC has a channel open, a fork that runs Python first (Pty.popen) waits for its threads, with
    newer versions for ever."""
    if not CONTAINERD:
        pytest.skip("no containerd")
    if not cri.grpc:
        pytest.skip("no python3-grpcio")
    made = make_kubelet(scratch / "cri", binary, archive)
    yield made
    made.cri.channel.close()
    made.leave()


@pytest.fixture(scope="session")
def docker_storage(scratch, archive, binary, own_run):
    if not DOCKERD:
        pytest.skip("no dockerd")
    made = Docker(scratch / "docker", binary, "systemd" if events.IN_GUEST else "cgroupfs")
    made.begin()
    made.load(archive)
    yield made
    made.leave()


@pytest.fixture
def docker(docker_storage):
    """dockerd and docker; nothing of a container may be left after the test."""
    yield docker_storage
    assert docker_storage.clear() == []
