"""podman: namespaces, volumes, secrets and ids that containers share with others and with the host."""

import os

import pytest

from drive import image, place

pytestmark = place.KNOWN


def test_a_container_joins_the_namespaces_of_another(held):
    script = "for n in ipc uts net; do readlink /proc/self/ns/$n; done"
    flags = [f"--{n}=container:held" for n in ("ipc", "uts", "net", "pid")]
    theirs = held("exec", "held", "/bin/sh", "-c", script).check().out
    assert held.sh(script, flags) == theirs


def test_a_container_that_joined_a_pid_namespace_sees_its_processes(held):
    assert "/probe hold" in held.sh("cat /proc/1/cmdline | tr '\\0' ' '", ["--pid=container:held"])


def make_pod(podman, *more):
    words = ["--name", "pea", "--network", "none", "--infra-image", image.PAUSE]
    if podman.cgroups == "cgroupfs" and podman.is_old:
        # The cgroup that podman 4 makes for a pod forbids all devices, to the runtime too.
        words.append("--share-parent=false")
    # Without a command of its own podman would run catatonit, which the image has not.
    podman("pod", "create", *words, "--infra-command", "/probe hold", *more).check()


def test_a_pod_shares_what_pods_share(podman):
    make_pod(podman)
    flags = ["--pod", "pea"]
    podman.hold("first", flags)
    script = "readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts; readlink /proc/self/ns/net"
    assert podman.sh(script, flags) == podman("exec", "first", "/bin/sh", "-c", script).check().out
    podman("pod", "stop", "--time", "8", "pea").check()
    assert podman.inspect("first", "{{.State.ExitCode}}") == "7"


def test_a_pod_shares_its_processes_if_told(podman):
    make_pod(podman, "--share", "ipc,net,uts,pid")
    said = podman.sh("tr '\\0' ' ' </proc/1/cmdline; echo $$", ["--pod", "pea"]).split()
    assert said[:2] == ["/probe", "hold"] and int(said[2]) > 1


def test_a_pod_is_paused_and_resumed_as_a_whole(podman):
    make_pod(podman)
    podman.hold("first", ["--pod", "pea"])
    podman("pod", "pause", "pea").check()
    assert podman.inspect("first", "{{.State.Status}}") == "paused"
    podman("pod", "unpause", "pea").check()
    podman("exec", "first", "/bin/true").check()


def test_a_volume_outlives_its_containers(podman):
    podman("volume", "create", "kept").check()
    podman.sh("echo written >/data/file", ["--volume", "kept:/data"])
    assert podman.sh("cat /data/file", ["--volume", "kept:/data:ro"]) == "written\n"
    assert "Read-only" in podman.sh("touch /data/x 2>&1 || true", ["--volume", "kept:/data:ro"])


def test_a_directory_of_the_host_is_shared(podman, shared):
    assert podman.sh("cat /data/file", ["--volume", f"{shared}:/data:ro"]) == "of the host\n"
    podman.sh("echo more >>/data/file", ["--volume", f"{shared}:/data"])
    assert (shared / "file").read_text() == "of the host\nmore\n"


@pytest.fixture
def shared(podman):
    """A directory of whoever calls podman, outside of its storage."""
    path = podman.directory / "tmp/shared"
    path.mkdir(exist_ok=True)
    (path / "file").write_text("of the host\n")
    podman.person.own(path)
    return path


def test_mount_options_of_a_volume_are_kept(podman, shared):
    flags = ["--mount", f"type=bind,src={shared},dst=/data,ro=true,bind-propagation=rprivate"]
    said = podman.sh("grep ' /data ' /proc/self/mountinfo", flags)
    assert " ro," in said and "shared:" not in said


def test_only_a_part_of_a_volume_may_be_executed(podman, shared):
    (shared / "program").write_text("#!/bin/sh\necho ran\n")
    (shared / "program").chmod(0o755)
    script = "/data/program || echo not allowed"
    assert podman.sh(script, ["--volume", f"{shared}:/data:exec"]) == "ran\n"
    assert podman.sh(script, ["--volume", f"{shared}:/data:noexec"]) == "not allowed\n"


def test_a_secret_is_a_file_and_a_variable(podman):
    path = podman.directory / "tmp/secret"
    path.write_text("hidden")
    podman("secret", "create", "word", path).check()
    assert podman.sh("cat /run/secrets/word", ["--secret", "word"]) == "hidden"
    flags = ["--secret", "word,type=env,target=WORD"]
    assert podman.sh("echo $WORD", flags) == "hidden\n"


def test_volumes_of_another_container_are_there(podman):
    podman.hold(flags=["--volume", "shared:/data"])
    podman("exec", "held", "/bin/touch", "/data/theirs").check()
    assert podman.sh("ls /data", ["--volumes-from", "held"]) == "theirs\n"


def test_ids_are_mapped_as_told(podman):
    if podman.rootless:
        flags = ["--uidmap", "0:1:100", "--gidmap", "0:1:100"]
    else:
        flags = ["--uidmap", "0:200000:100", "--gidmap", "0:200000:100"]
    said = podman.sh("cat /proc/self/uid_map", flags).split()
    assert said[0] == "0" and said[2] == "100"


@pytest.mark.peer(runc="1.1 has no id-mapped mounts")
def test_an_id_mapped_volume_shows_files_as_the_container_s(podman, shared):
    if podman.rootless:
        pytest.skip("an id-mapped mount is for root")
    flags = ["--uidmap", "0:200000:100", "--gidmap", "0:200000:100"]
    flags += ["--volume", f"{shared}:/data:idmap"]
    assert podman.sh("stat -c %u /data/file; touch /data/new", flags) == "0\n"
    assert os.stat(shared / "new").st_uid == 0


def test_keep_id_makes_the_caller_the_user(podman):
    if not podman.rootless:
        pytest.skip("keep-id is for users who are not root")
    assert podman.sh("id -u", ["--userns", "keep-id"]) == f"{podman.person.uid}\n"


def test_nomap_leaves_the_caller_out(podman):
    if not podman.rootless:
        pytest.skip("nomap is for users who are not root")
    said = podman.sh("cat /proc/self/uid_map", ["--userns", "nomap"])
    assert said.split()[:2] == ["0", "1"]


def test_an_automatic_user_namespace_has_ids_of_its_own(podman):
    if not podman.lends("containers"):
        pytest.skip("no ids lent to `containers` in /etc/subuid")
    first = podman.sh("cat /proc/self/uid_map", ["--userns=auto:size=512"])
    assert first.split()[2] == "512"


def test_the_host_s_namespaces_can_be_had(podman):
    names = ["pid", "net", "uts"]
    if os.path.exists("/dev/mqueue"):  # without it a user cannot have the host's ipc
        names.append("ipc")
    script = f"for n in {' '.join(names)}; do readlink /proc/self/ns/$n; done"
    said = podman.sh(script, [f"--{n}=host" for n in names])
    assert said.split() == [os.readlink(f"/proc/self/ns/{n}") for n in names]


def test_a_namespace_can_be_given_by_its_path(held):
    pid = held.inspect("held", "{{.State.Pid}}")
    theirs = held("exec", "held", "readlink", "/proc/self/ns/net").check().out
    assert held.sh("readlink /proc/self/ns/net", [f"--net=ns:/proc/{pid}/ns/net"]) == theirs


def test_descriptors_are_preserved(podman):
    if podman.rootless:
        pytest.skip("the user's service manager does not pass them on")
    reader, writer = os.pipe()
    words = ["run", "--rm", "--preserve-fds", "1", image.NAME, "/bin/sh", "-c", "echo kept >&3"]
    try:
        podman(*words, pass_fds=(3,), preexec_fn=lambda: os.dup2(writer, 3)).check()
        assert os.read(reader, 100) == b"kept\n"
    finally:
        os.close(reader)
        os.close(writer)
