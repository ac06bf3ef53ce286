"""containerd by its CRI socket, as kubelet uses it: pods, containers, probes, limits, mistakes."""

import os

import pytest

from drive import cri, image, mistakes, place
from drive.containerd import make_kubelet
from harness import host, sandbox

pytestmark = place.KNOWN


@pytest.fixture
def kubelet(containerd_cri):
    """A client of the CRI, and a directory for logs; no pod is left after the test."""
    yield containerd_cri.cri
    containerd_cri.cri.remove_all()
    assert containerd_cri.clear() == []


@pytest.fixture
def pod(kubelet, containerd_cri):
    return kubelet.sandbox(containerd_cri.logs)


def log_of(containerd_cri, name):
    """What a container said, without the stamps of the log."""
    lines = (containerd_cri.logs / name).read_text().splitlines()
    return "".join(line.split(" ", 3)[3] + "\n" for line in lines)


@pytest.fixture
def said(kubelet, containerd_cri, pod):
    """What a script says that a container of the pod runs, which has to end well."""

    def run(script, **more):
        made, log = kubelet.create(pod, image.NAME, ["/bin/sh", "-c", script], **more)
        kubelet.simple("StartContainer", made)
        place.until(lambda: kubelet.state(made) == cri.EXITED, "end of the container")
        assert kubelet.status(made).get(7, [0])[0] == 0, kubelet.status(made)
        return log_of(containerd_cri, log)

    return run


@pytest.fixture
def held(kubelet, pod):
    """The id of a container that waits for SIGTERM."""
    made, _ = kubelet.create(pod, image.NAME, ["/probe", "hold"])
    kubelet.simple("StartContainer", made)
    return made


def test_a_container_of_a_pod_runs_and_its_output_is_kept(said):
    assert said("echo out; echo err >&2 ").splitlines() in (["out", "err"], ["err", "out"])


def test_the_exit_code_is_the_program_s(kubelet, pod):
    made, _ = kubelet.create(pod, image.NAME, ["/bin/sh", "-c", "exit 7"])
    kubelet.simple("StartContainer", made)
    place.until(lambda: kubelet.state(made) == cri.EXITED, "end of the container")
    assert kubelet.status(made)[7] == [7]


def test_exec_is_a_probe_with_a_status(kubelet, held):
    assert kubelet.exec(held, "/bin/echo", "well") == (0, "well\n", "")
    assert kubelet.exec(held, "/bin/sh", "-c", "echo ill >&2; exit 3") == (3, "", "ill\n")


def test_stop_ends_it_by_sigterm(kubelet, held):
    kubelet.simple("StopContainer", held, timeout=30)
    assert kubelet.state(held) == cri.EXITED
    assert kubelet.status(held)[7] == [7]


def test_stop_kills_what_does_not_listen(kubelet, pod):
    script = "trap '' TERM; while :; do read a </dev/zero; done"
    made, _ = kubelet.create(pod, image.NAME, ["/bin/sh", "-c", script])
    kubelet.simple("StartContainer", made)
    kubelet.simple("StopContainer", made, timeout=1)
    assert kubelet.status(made)[7] == [137]


@pytest.mark.parametrize(
    ("security", "script", "words"),
    [
        ({"run_as_user": {"value": 1000}}, "id -u", "1000\n"),
        ({"readonly_rootfs": True}, "touch /x 2>&1 | grep -c Read-only", "1\n"),
        ({"no_new_privs": True}, "grep NoNewPrivs /proc/self/status", "NoNewPrivs:\t1\n"),
        ({"capabilities": {"drop": ["ALL"]}}, "grep CapEff /proc/self/status",
         "CapEff:\t0000000000000000\n"),
        ({}, "echo $$", "1\n"),
        ({"namespace_options": {"network": cri.NODE, "pid": cri.POD}},
         "test $$ -gt 1; grep -c tail /proc/1/cmdline", "1\n"),
    ],
    ids=["user", "read-only", "no new privileges", "no capabilities", "own pids", "pids of the pod"],
)
def test_a_security_context_is_obeyed(said, security, script, words):
    # The mode of pids is the container's own unless told otherwise.
    security = {"namespace_options": {"network": cri.NODE, "pid": cri.CONTAINER}, **security}
    assert said(script, security=security) == words


def test_environment_and_directory_are_as_told(said):
    envs = [{"key": "A", "value": "b c"}]
    assert said("echo $A; pwd", envs=envs, working_dir="/tmp") == "b c\n/tmp\n"


def test_containers_of_a_pod_share_its_namespaces(kubelet, held, said):
    script = "readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts"
    assert said(script) == kubelet.exec(held, "/bin/sh", "-c", script)[1]


@pytest.fixture
def shared(containerd_cri):
    path = containerd_cri.directory / "volume"
    (path / "below").mkdir(parents=True, exist_ok=True)
    sandbox.mount("tconf", path / "below", "tmpfs")
    yield path
    host.LIBC.umount2(os.fsencode(path / "below"), 2)


def test_a_volume_is_there_and_may_be_read_only(said, shared):
    (shared / "file").write_text("of the host\n")
    mount = {"container_path": "/data", "host_path": str(shared), "readonly": True}
    script = "cat /data/file; touch /data/x 2>&1 | grep -c Read-only"
    assert said(script, mounts=[mount]) == "of the host\n1\n"


def test_a_volume_may_be_read_only_in_all_its_depth(kubelet, said, shared):
    if not kubelet.can("recursive_read_only_mounts"):
        pytest.skip("this containerd has no recursive read-only mounts")
    mount = {"container_path": "/data", "host_path": str(shared), "readonly": True}
    mount["recursive_read_only"] = True
    assert said("touch /data/below/x 2>&1 | grep -c Read-only", mounts=[mount]) == "1\n"


def test_a_pod_can_have_a_network_of_its_own(kubelet, containerd_cri):
    options = {"network": cri.POD}
    pod = kubelet.sandbox(containerd_cri.logs, options)
    held, _ = kubelet.create(pod, image.NAME, ["/probe", "hold"], {"namespace_options": options})
    kubelet.simple("StartContainer", held)
    said = kubelet.exec(held, "/bin/sh", "-c", "ls /sys/class/net; readlink /proc/self/ns/net")[1]
    devices, ours = said.split()
    assert devices == "lo" and ours != os.readlink("/proc/self/ns/net")


def test_a_pod_can_have_a_user_namespace(kubelet, containerd_cri):
    if not kubelet.can("user_namespaces"):
        pytest.skip("this containerd has no user namespaces")
    ids = {"host_id": 200000, "container_id": 0, "length": 65536}
    options = {"network": cri.POD, "userns_options": {"mode": cri.POD, "uids": ids, "gids": ids}}
    pod = kubelet.sandbox(containerd_cri.logs, options)
    security = {"namespace_options": options}
    made, log = kubelet.create(pod, image.NAME, ["/bin/cat", "/proc/self/uid_map"], security)
    kubelet.simple("StartContainer", made)
    place.until(lambda: kubelet.state(made) == cri.EXITED, "end of the container")
    assert log_of(containerd_cri, log).split() == ["0", "200000", "65536"]


def test_update_changes_a_limit(kubelet, held):
    place.need_controller("memory")
    kubelet.update(held, memory_limit_in_bytes=96 << 20)
    assert kubelet.exec(held, "/bin/cat", "/sys/fs/cgroup/memory.max")[1] == f"{96 << 20}\n"


@mistakes.without_status
def test_what_cannot_be_run_is_refused(kubelet, pod, program, words):
    made, _ = kubelet.create(pod, image.NAME, [program])
    with pytest.raises(cri.Refused, match="failed to (create|start) containerd task") as told:
        kubelet.simple("StartContainer", made)
    assert mistakes.says(str(told.value), words), told.value


@pytest.mark.parametrize(
    ("mount", "words"),
    [({"container_path": "/etc", "host_path": "FILE"}, "not a directory"),
     ({"container_path": "/bin/sh", "host_path": "DIRECTORY"}, "directory")],
)
def test_a_mount_that_cannot_be_is_refused(kubelet, containerd_cri, pod, mount, words):
    (containerd_cri.directory / "FILE").write_text("")
    (containerd_cri.directory / "DIRECTORY").mkdir(exist_ok=True)
    mount = {**mount, "host_path": str(containerd_cri.directory / mount["host_path"])}
    made, _ = kubelet.create(pod, image.NAME, ["/bin/true"], mounts=[mount])
    with pytest.raises(cri.Refused, match="failed to create containerd task") as told:
        kubelet.simple("StartContainer", made)
    assert words in str(told.value).lower()


def test_a_memory_limit_too_small_is_named(kubelet, pod):
    place.need_controller("memory")
    small = {"resources": {"memory_limit_in_bytes": 4096}}
    made, _ = kubelet.create(pod, image.NAME, ["/bin/true"], linux=small)
    with pytest.raises(cri.Refused, match="memory"):
        kubelet.simple("StartContainer", made)


@mistakes.without_status
def test_a_probe_that_cannot_be_run_is_refused(kubelet, held, program, words):
    with pytest.raises(cri.Refused, match="failed to exec in container") as told:
        kubelet.exec(held, program)
    assert mistakes.says(str(told.value), words), told.value


def test_a_source_of_a_volume_that_is_not_there_is_made_by_containerd(said, containerd_cri):
    source = containerd_cri.directory / "made"
    assert said("ls /data | wc -l", mounts=[{"container_path": "/data", "host_path": str(source)}]) == "0\n"
    assert source.is_dir()
    source.rmdir()


def test_a_capability_that_no_kernel_has_is_not_had(said):
    """containerd leaves its names to the runtime, which by the specification goes on without one."""
    script = "grep CapBnd /proc/self/status"
    assert said(script, security={"capabilities": {"add": ["NONESUCH"]}}) == said(script)


def test_a_probe_in_what_has_ended_is_refused(kubelet, held):
    kubelet.simple("StopContainer", held, timeout=30)
    with pytest.raises(cri.Refused, match="not running|EXITED"):
        kubelet.exec(held, "/bin/true")


def test_stats_tell_what_a_container_has_used(kubelet, held):
    place.need_controller("cpu")
    place.until(lambda: kubelet.usage(held) > 0, "use of the processor")


def test_a_containerd_of_today_finds_what_the_runtime_can(kubelet):
    """By `features`; an older containerd does not ask."""
    if kubelet.version < (2,):
        pytest.skip("a containerd before 2")
    assert kubelet.can("user_namespaces") and kubelet.can("recursive_read_only_mounts")


@pytest.mark.guest("a service manager")
def test_the_systemd_driver_makes_scopes_in_the_slice_of_the_pod(scratch, archive, binary, own_run):
    made = make_kubelet(scratch / "cri-systemd", binary, archive, systemd=True)
    try:
        pod = made.cri.sandbox(made.logs, cgroup_parent="tconf-pod.slice")
        held, _ = made.cri.create(pod, image.NAME, ["/probe", "hold"])
        made.cri.simple("StartContainer", held)
        assert len(place.cgroups_named(f"tconf-pod.slice/cri-containerd-{held}.scope")) == 1
        assert made.cri.exec(held, "/bin/echo", "well")[1] == "well\n"
        made.cri.update(held, memory_limit_in_bytes=96 << 20)
        said = made.cri.exec(held, "/bin/cat", "/sys/fs/cgroup/memory.max")[1]
        assert said == f"{96 << 20}\n"
    finally:
        made.cri.remove_all()
        left = made.clear()
        made.cri.channel.close()
        made.leave()
    assert left == []
    place.until(lambda: not place.cgroups_named("cri-containerd-*.scope"), "end of the scopes")


def test_containers_outlive_the_daemon(kubelet, held, containerd_cri):
    containerd_cri.end()
    containerd_cri.begin()
    kubelet.connect()
    assert kubelet.exec(held, "/bin/echo", "well")[1] == "well\n"
