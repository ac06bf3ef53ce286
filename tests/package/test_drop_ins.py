"""The drop-ins, read by the programs that they are for."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from conftest import TOP, run

# With the namespace of processes ends what podman leaves behind to tidy up in its storage.
IN_PRIVATE = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--mount-proc", "sh", "-euc"]
# A machine may lack what the directory stands in; nothing outside of the mounts is changed.
PLACE = """
    mount -t tmpfs none /etc/containers
    mkdir /etc/containers/containers.conf.d
    cp "$1" /etc/containers/containers.conf.d
    mount -t tmpfs none /usr/sbin
    ln -s "$2" /usr/sbin/tare
    echo '{"default":[{"type":"insecureAcceptAnything"}]}' >/etc/containers/policy.json
"""


def needs(program):
    if not shutil.which(program):
        pytest.skip(f"no {program}")
    if os.geteuid() != 0:
        pytest.skip("not root")


# Root of a container or of a small machine may lack CAP_SYS_RESOURCE, which podman's own limits need.
LIMITS = ["--pids-limit", "-1", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


@pytest.fixture
def podman(installed):
    """Calls podman, with the drop-in in the place where it is installed; `calls` is what it asked of
    the runtime."""
    needs("podman")
    home = pathlib.Path(tempfile.mkdtemp(prefix="tp.", dir="/tmp"))  # podman wants short paths
    spy, told = home / "spy", home / "calls"
    spy.write_text(f'#!/bin/sh\necho "$*" >>{told}\nexec {TOP}/build-package/tare "$@"\n')
    spy.chmod(0o755)
    words = ["--root", home / "root", "--runroot", home / "run", "--tmpdir", home / "tmp"]
    words += ["--storage-driver", "vfs", "--events-backend", "none", "--cgroup-manager", "cgroupfs"]

    def call(*args):
        command = ["sh", installed / "etc/containers/containers.conf.d/tare.conf", spy, "podman", *words]
        argv = [*IN_PRIVATE, f'{PLACE}\nshift 2\nexec "$@"', *command, "--runtime", "tare", *args]
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home)}
        return subprocess.run([str(a) for a in argv], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)

    call.home = home
    call.calls = lambda: told.read_text().splitlines()
    yield call
    shutil.rmtree(home)


def test_podman_knows_tare_by_its_name(podman):
    said = json.loads(podman("info", "--format", "json").stdout)["host"]["ociRuntime"]
    assert (said["name"], said["path"]) == ("tare", "/usr/sbin/tare")
    assert said["version"].startswith("tare version ")


def test_containerd_knows_tare_by_the_import(installed, tmp_path):
    needs("containerd")
    config = tmp_path / "config.toml"
    config.write_text(f'version = 2\nimports = ["{installed}/usr/share/tare/containerd.toml"]\n')
    said = run("containerd", "--config", config, "config", "dump", stderr=None)
    tables = [part for part in said.split("\n\n") if "runtimes.tare" in part]
    assert any("io.containerd.runc.v2" in table for table in tables)
    assert any('BinaryName = "/usr/sbin/tare"' in table.replace("'", '"') for table in tables)


def test_the_words_for_docker_are_json(installed):
    said = json.loads((installed / "usr/share/tare/docker.json").read_text())
    assert said == {"runtimes": {"tare": {"path": "/usr/sbin/tare"}}}


def test_what_cri_o_reads_is_toml(installed):
    tomllib = pytest.importorskip("tomllib")
    said = tomllib.loads((installed / "etc/crio/crio.conf.d/10-tare.conf").read_text())
    handler = said["crio"]["runtime"]["runtimes"]["tare"]
    assert handler == {"runtime_path": "/usr/sbin/tare", "runtime_type": "oci", "runtime_root": "/run/tare"}


def test_podman_asks_tare_for_json_errors_and_for_no_cgroup(podman):
    rootfs = podman.home / "rootfs"
    (rootfs / "etc").mkdir(parents=True)
    words = ["--rm", "--network", "none", "--cgroups", "disabled", *LIMITS, "--rootfs", rootfs, "/nonexistent"]
    ended = podman("run", *words)
    assert ended.returncode == 127, ended.stderr
    create = next(line for line in podman.calls() if " create " in line)
    assert "--log-format=json" in create and "--cgroup-manager disabled" in create
    assert "no such file or directory" in ended.stderr
    # The log is parsed: what podman shows is the message, and not a line of JSON.
    assert '"level"' not in ended.stderr


def test_podman_takes_tare_for_no_virtual_machine(installed):
    assert "runtime_supports_kvm" not in [
        line.split(" ")[0] for line in
        (installed / "etc/containers/containers.conf.d/tare.conf").read_text().splitlines()
    ]
