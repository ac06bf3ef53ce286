"""Places where a runtime is seldom: in a container, on a read-only root, on an initramfs, without an
environment, under a unit of a user's service manager."""

import json
import os
import pathlib
import re
import shutil
import stat
import sys

import pytest

from harness import events, host, sandbox
from harness.bundle import base_config
from harness.facts import Facts
from harness.person import Person

MS_BIND, MS_REC, MS_REMOUNT, MS_RDONLY = 4096, 16384, 32, 1
ALL = sorted(
    f"CAP_{name}"
    for name in (
        "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_ADMIN NET_BIND_SERVICE NET_RAW SETFCAP"
        " SETGID SETPCAP SETUID SYS_ADMIN SYS_CHROOT SYS_PTRACE"
    ).split()
)
STATE = "/run/inner"  # the inner runtime's --root


def system_directories():
    """Mounts that make a program of the host find its libraries."""
    names = [name for name in ("usr", "lib", "lib64", "bin") if os.path.isdir(f"/{name}")]
    return [
        {"destination": f"/{name}", "source": f"/{name}", "type": "bind", "options": ["rbind", "ro"]}
        for name in names
    ]


@pytest.fixture
def nested(box):
    """A box that may do in its namespaces what root may, with the runtime and a bundle in it."""
    inner = box.path("inner")
    (inner / "rootfs").mkdir(parents=True)
    box.template.fill(inner / "rootfs")
    box.inner = base_config()
    for name in ("bounding", "effective", "permitted", "inheritable"):
        box.set(f"process.capabilities.{name}", ALL)
    box.set("process.noNewPrivileges", False)
    cgroup = {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"}
    binary = {"destination": "/run/runtime", "source": str(box.runtime.binary), "type": "bind"}
    bundle = {"destination": "/run/bundle", "source": str(inner), "type": "bind", "options": ["rbind"]}
    run = {"destination": "/run", "type": "tmpfs", "source": "tmpfs"}
    box.config["mounts"] += [
        *system_directories(),
        {**cgroup, "options": ["rw", "nosuid", "noexec", "nodev"]},
        run,
        {**binary, "options": ["bind", "ro"]},
        bundle,
    ]

    def run_inside(*words):
        """Runs a script in the outer container; `tare` in it is the runtime."""
        (inner / "config.json").write_text(json.dumps(box.inner))
        script = f'tare() {{ /run/runtime --root {STATE} "$@"; }}; cd /run/bundle; {"; ".join(words)}'
        box.sh(script)
        return box.run()

    box.run_inside = run_inside
    return box


def test_a_container_runs_in_a_container(nested):
    found = Facts(nested.run_inside("tare run inner").check().json)
    assert found["pid"] == 1 and found["uids"] == [0, 0, 0]


def test_exec_state_kill_and_delete_work_in_a_container(nested):
    nested.inner["process"]["args"] = ["/bin/sh", "-c", "echo >/ready; exec sleep 1000"]
    said = nested.run_inside(
        "set -e",
        "mkfifo rootfs/ready",
        "tare run --detach inner >/dev/null 2>&1 </dev/null",
        "read x <rootfs/ready || true",
        "tare exec inner /bin/echo executed",
        "tare list -q",
        "tare kill inner KILL",
        "tare delete --force inner",
        "tare list -q",
        "ls -A " + STATE,
    )
    assert said.check().out == "executed\ninner\n"


def test_what_is_made_in_a_container_is_below_its_cgroup(nested):
    namespaces = nested.inner["linux"]["namespaces"]
    nested.inner["linux"]["namespaces"] = [one for one in namespaces if one["type"] != "cgroup"]
    nested.inner["linux"]["cgroupsPath"] = "/below"
    nested.inner["process"]["args"] = ["/bin/cat", "/proc/self/cgroup"]
    said = nested.run_inside("tare run inner", "cat /proc/self/cgroup").check().out.split()
    assert "0::/below" in said and said[-1] == "0::/"


@pytest.mark.peer(runc="1.1 has no other /sys where sysfs may not be mounted")
def test_a_container_of_a_user_namespace_runs_in_a_container(nested):
    ids = [{"containerID": 0, "hostID": 0, "size": 1000}]
    nested.inner["linux"]["namespaces"].append({"type": "user"})
    nested.inner["linux"]["uidMappings"] = nested.inner["linux"]["gidMappings"] = ids
    nested.inner["mounts"] = [m for m in nested.inner["mounts"] if m["type"] != "devpts"]
    nested.inner["process"]["args"] = ["/bin/cat", "/proc/self/uid_map"]
    said = nested.run_inside("chown -R 0:0 rootfs", "tare run inner").check()
    assert said.out.split() == ["0", "0", "1000"]


@pytest.mark.tare("says what is wrong")
def test_without_privilege_in_a_container_the_error_says_which_call(nested):
    for name in ("bounding", "effective", "permitted", "inheritable"):
        nested.set(f"process.capabilities.{name}", [])
    said = nested.run_inside("tare run inner")
    assert said.code == 1
    assert re.search(r"\w+(\([^)]+\)| \[\d+\]<[^>]+>): operation not permitted", said.err)


@pytest.fixture
def read_only(box):
    """A box whose runtime sees everything read-only but the state directory and the cgroups."""
    box.runtime.root.mkdir()
    script = """
        for at in $(awk '{ print $2 }' /proc/self/mounts); do
          case $at in
            /proc* | /sys* | /dev*) ;;
            *) mount -o remount,bind,ro "$at" 2>/dev/null || true ;;
          esac
        done
        mount -t tmpfs none "$0"
        exec "$@"
    """
    box.runtime.wrapper = ("unshare", "-m", "/bin/sh", "-c", script, box.runtime.root)
    return box


WRITABLE = pytest.mark.peer(crun="1.8 makes the rootfs writable unless root.readonly is set")


@pytest.mark.parametrize("readonly", [True, pytest.param(False, marks=WRITABLE)])
def test_a_container_runs_where_every_filesystem_is_read_only(read_only, readonly):
    read_only.set("root.readonly", readonly)
    read_only.sh("! touch /tmp/x 2>/dev/null && echo read-only")
    assert read_only.run().check().out == "read-only\n"


@WRITABLE
def test_a_mount_point_that_cannot_be_made_there_is_an_error(read_only):
    read_only.config["mounts"].append({"destination": "/absent", "type": "tmpfs", "source": "tmpfs"})
    text = read_only.run().fails().err.lower()
    assert "read-only file system" in text and "absent" in text


@pytest.fixture
def on_initramfs(box):
    """A box whose runtime is on the root filesystem that the kernel began with."""
    program = pathlib.Path(host.__file__).parent / "initramfs.py"
    scratch = box.directory.parent
    binary = box.path("runtime")
    binary.write_bytes(pathlib.Path(box.runtime.binary).read_bytes())
    binary.chmod(0o755)
    wrapper = (sys.executable, "-B", program, scratch)
    tried = box.runtime.call(argv=[*wrapper, "/usr/bin/busybox", "true"])
    if tried.code != 0:
        pytest.skip(f"no root filesystem below the root: {tried.err}")
    box.runtime.wrapper, box.runtime.binary = wrapper, binary
    return box


def test_no_pivot_runs_a_container_from_an_initramfs(on_initramfs):
    found = on_initramfs.facts("--no-pivot")
    assert found["pid"] == 1 and found["cwd"] == "/"
    on_initramfs.sh("ls /; cat /proc/self/mounts")
    said = on_initramfs.run("--no-pivot").check().out
    assert "probe" in said.split() and "/usr" not in said


@pytest.mark.tare("gives a hint")
def test_without_no_pivot_the_error_on_an_initramfs_names_the_option(on_initramfs):
    tell = [*on_initramfs.runtime.wrapper, "/usr/bin/busybox", "cat", "/proc/self/mountinfo"]
    mounts = [line.split() for line in on_initramfs.runtime.call(argv=tell).check().out.splitlines()]
    if any(fields[4] == "/" and fields[0] != fields[1] for fields in mounts):
        pytest.skip("this kernel mounts its first root on another, and it can be pivoted")
    on_initramfs.args("/bin/true")
    log = on_initramfs.path("log")
    on_initramfs.runtime.globals = ("--log", log, "--log-format", "json")
    text = on_initramfs.run().fails().err
    assert "pivot_root" in text and "invalid argument" in text
    assert "--no-pivot" in json.loads(log.read_text())["hint"]


@pytest.mark.peer(runc="looks for ps in PATH only", crun="has no table of ps(1)")
def test_the_table_of_ps_needs_no_environment(box):
    box.hold()
    said = box.runtime.call("ps", box.id, env={}).check().out
    assert str(box.pid) in said.split() and "probe hold" in said


@pytest.fixture
def service(binary, template):
    """A unit of the guest's user that runs a container in the foreground."""
    with Person(binary, template) as person:
        person.config["process"]["args"] = ["/probe", "hold", "/ready"]
        person.save()
        ready = person.bundle / "rootfs/ready"
        person.ready = events.Fifo(ready)
        directory = pathlib.Path(f"/run/user/{person.uid}/systemd/user")
        person.unit = directory / "tconf-box.service"
        words = f"{binary} --root {person.directory}/state"
        start = f"ExecStart={words} run --bundle {person.bundle} box"
        directory.mkdir(parents=True, exist_ok=True)
        person.told = person.directory / "told"
        tell = f"ExecStopPost=/bin/sh -c 'echo $$SERVICE_RESULT $$EXIT_STATUS >{person.told}'"
        lines = ["[Service]", "Delegate=yes", "SuccessExitStatus=7", start, tell, ""]
        person.unit.write_text("\n".join(lines))
        os.chown(person.unit, person.uid, person.gid)
        yield person
        person.call("systemctl", "--user", "stop", person.unit.name)
        person.ready.close()
        person.unit.unlink()


@pytest.mark.guest("a service manager of a user")
def test_a_unit_of_a_user_runs_and_stops_a_container(service):
    service.call("systemctl", "--user", "start", service.unit.name).check()
    assert service.ready.line() == "ready"
    assert service.runtime("state", "box").check().json["status"] == "running"
    service.call("systemctl", "--user", "stop", service.unit.name).check()
    # systemd's SIGTERM reached the program, which ended with 7, and so did `run`.
    assert service.told.read_text() == "success 7\n"
    assert service.runtime("list", "-q").check().out == ""


NO_DIRECTORIES = {
    "a file": lambda place: place.write_text("an image, it may seem"),
    "a FIFO": os.mkfifo,
    "a socket": lambda place: os.mknod(place, stat.S_IFSOCK | 0o600),
    "a character device": lambda place: os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "a block device": lambda place: os.mknod(place, stat.S_IFBLK | 0o600, os.makedev(7, 0)),
}


@pytest.mark.row("root")
@pytest.mark.parametrize("kind", NO_DIRECTORIES)
def test_a_root_filesystem_is_no(box, kind):
    """What it is is asked of what was opened: none is waited for, and none is taken for an image."""
    shutil.rmtree(box.rootfs)
    NO_DIRECTORIES[kind](box.rootfs)
    said = box.create().fails().said
    assert "rootfs" in said


@pytest.mark.row("root")
def test_an_empty_root_filesystem_has_no_program(box):
    shutil.rmtree(box.rootfs)
    box.rootfs.mkdir()
    box.args("/bin/true")
    result = box.run()
    assert result.code != 0 and "/bin/true" in result.said
