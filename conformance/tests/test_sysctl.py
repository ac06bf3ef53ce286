"""linux.sysctl: what is set, where, and what is refused because it would be the host's."""

import os
import pathlib

import pytest

pytestmark = pytest.mark.row("linux.sysctl")


def read(path):
    return pathlib.Path(path).read_text(encoding="utf-8")


def shown(box, *names):
    box.args("/bin/cat", *(f"/proc/sys/{name}" for name in names))
    return box.run().check().out.splitlines()


def test_parameters_of_the_network_namespace_are_set(box):
    before = read("/proc/sys/net/ipv4/ip_default_ttl")
    box.bundle.namespace("network")
    box.set(
        "linux.sysctl",
        {"net.ipv4.ip_default_ttl": "77", "net.ipv4.ping_group_range": "0 2147483647"},
    )
    found = shown(box, "net/ipv4/ip_default_ttl", "net/ipv4/ping_group_range")
    assert found == ["77", "0\t2147483647"]
    assert read("/proc/sys/net/ipv4/ip_default_ttl") == before


def test_parameters_of_the_ipc_namespace_are_set(box):
    before = read("/proc/sys/kernel/msgmax"), read("/proc/sys/fs/mqueue/msg_max")
    box.set(
        "linux.sysctl",
        {"kernel.msgmax": "12345", "kernel.shm_rmid_forced": "1", "fs.mqueue.msg_max": "7"},
    )
    found = shown(box, "kernel/msgmax", "kernel/shm_rmid_forced", "fs/mqueue/msg_max")
    assert found == ["12345", "1", "7"]
    assert (read("/proc/sys/kernel/msgmax"), read("/proc/sys/fs/mqueue/msg_max")) == before


def test_a_name_with_slashes_is_one_with_dots_in_it(box):
    box.bundle.namespace("network")
    box.set("linux.sysctl", {"net/ipv4/ip_default_ttl": "78"})
    result = box.create()
    # runc takes both forms of sysctl(8), crun the one; neither may do half of it.
    if result.code == 0:
        box.delete("--force").check()
        assert shown(box, "net/ipv4/ip_default_ttl") == ["78"]


def test_the_domainname_is_a_parameter_of_the_uts_namespace(box):
    box.set("linux.sysctl", {"kernel.domainname": "example.org"})
    assert box.facts()["domainname"] == "example.org"


def test_parameters_are_set_though_the_container_sees_them_read_only(box):
    box.bundle.namespace("network")
    box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": "79"})
    box.set("linux.readonlyPaths", ["/proc/sys"])
    assert shown(box, "net/ipv4/ip_default_ttl") == ["79"]


@pytest.mark.peer(runc="writes through the container's /proc, and needs it whole")
@pytest.mark.parametrize("options", [["ro"], ["subset=pid"], []])
def test_parameters_are_set_whatever_the_containers_procfs_is_like(box, options):
    box.bundle.namespace("network")
    mounts = box.bundle.config["mounts"]
    next(mount for mount in mounts if mount["destination"] == "/proc")["options"] = options
    mounts.append({"destination": "/whole", "type": "proc", "source": "proc"})
    box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": "78"})
    box.args("/bin/cat", "/whole/sys/net/ipv4/ip_default_ttl")
    assert box.run().check().out == "78\n"


def test_a_parameter_of_a_joined_namespace_is_set_there(box):
    other = box.sibling("other")
    other.bundle.namespace("network")
    other.hold()
    box.bundle.namespace("network", f"/proc/{other.pid}/ns/net")
    box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": "80"})
    assert shown(box, "net/ipv4/ip_default_ttl") == ["80"]
    assert other.exec("/bin/cat", "/proc/sys/net/ipv4/ip_default_ttl").check().out == "80\n"


# All of these name parameters of the host, by one way or another.
HOSTS = [
    "kernel.core_pattern",
    "kernel.modprobe",
    "vm.swappiness",
    "fs.file-max",
    "kernel.hostname/../core_pattern",
    "net.ipv4/../../kernel/core_pattern",
    "net.../kernel.core_pattern",
    "fs.mqueue/../file-max",
    "kernel/core_pattern",
    "net/../kernel/core_pattern",
    "/proc/sys/kernel/core_pattern",
    "kernel.msgmax\n",
    " kernel.msgmax",
    "kernel..core_pattern",
]


@pytest.mark.parametrize("name", HOSTS, ids=lambda name: repr(name))
def test_a_parameter_of_the_host_is_refused(box, name):
    box.bundle.namespace("network")
    before = [
        read(f"/proc/sys/{n}") for n in ("kernel/core_pattern", "vm/swappiness", "fs/file-max")
    ]
    box.set("linux.sysctl", {name: before[0].strip()})
    result = box.create()
    assert result.code > 0 and result.err.strip(), result
    after = [
        read(f"/proc/sys/{n}") for n in ("kernel/core_pattern", "vm/swappiness", "fs/file-max")
    ]
    assert after == before
    assert not box.runtime.ids()


WITHOUT = {
    "net.ipv4.ip_default_ttl": "network",
    "kernel.msgmax": "ipc",
    "kernel.domainname": "uts",
}


@pytest.mark.parametrize("name", WITHOUT)
def test_a_parameter_whose_namespace_is_the_hosts_is_refused(box, name):
    box.bundle.without_namespace(WITHOUT[name])
    if WITHOUT[name] == "uts":
        box.bundle.unset("hostname")
    box.set("linux.sysctl", {name: "100"})
    result = box.create()
    assert result.code > 0 and result.err.strip(), result
    assert not box.runtime.ids()


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_error_says_which_namespace_is_missing(box):
    box.bundle.without_namespace("ipc")
    box.set("linux.sysctl", {"kernel.msgmax": "100"})
    assert 'sysctl "kernel.msgmax" is not ' in box.create().fails().said


@pytest.mark.peer(crun="1.8 fails, but leaves the cgroup")
def test_a_path_to_the_namespace_of_the_host_is_the_hosts(box):
    box.bundle.namespace("network", f"/proc/{os.getpid()}/ns/net")
    before = read("/proc/sys/net/ipv4/ip_default_ttl")
    box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": before.strip()})
    box.create().fails()


def test_the_hostname_is_refused_as_a_parameter_beside_the_field(box):
    box.set("linux.sysctl", {"kernel.hostname": "other"})
    result = box.create()
    assert result.code > 0 and result.err.strip(), result


def test_a_parameter_that_is_not_there_is_an_error(box):
    box.bundle.namespace("network")
    box.set("linux.sysctl", {"net.nonesuch.parameter": "1"})
    result = box.create()
    assert result.code > 0 and "no such file" in result.err.lower()


def test_a_value_that_the_kernel_does_not_take_is_an_error(box):
    box.bundle.namespace("network")
    box.set("linux.sysctl", {"net.ipv4.ip_default_ttl": "many"})
    result = box.create()
    assert result.code > 0 and "invalid argument" in result.err.lower()


@pytest.mark.peer(runc="1.1 does not take user.*", crun="1.8 does not take user.*")
def test_limits_of_users_are_those_of_the_user_namespace(box):
    before = read("/proc/sys/user/max_uts_namespaces")
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    for kind in ("user", "network"):
        box.bundle.namespace(kind)
    box.set("linux.uidMappings", maps)
    box.set("linux.gidMappings", maps)
    os.chown(box.rootfs, 100000, 100000)
    box.set("linux.sysctl", {"user.max_uts_namespaces": "17"})
    assert shown(box, "user/max_uts_namespaces") == ["17"]
    assert read("/proc/sys/user/max_uts_namespaces") == before


def test_limits_of_users_are_refused_without_a_user_namespace(box):
    box.set("linux.sysctl", {"user.max_uts_namespaces": "17"})
    result = box.create()
    assert result.code > 0 and "user" in result.err, result
