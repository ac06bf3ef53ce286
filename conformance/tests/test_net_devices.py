"""linux.netDevices: devices of the host that a container is given, and that come back if it fails."""

import json
import os
import subprocess

import pytest

from harness import hooks
from harness.host import LIBC

CLONE_NEWNET = 0x40000000
ALL_FAIL = pytest.mark.peer(runc="1.1 does not know netDevices", crun="1.8 does not know netDevices")
pytestmark = pytest.mark.row("linux.netDevices")
ADDRESSES = ["192.0.2.7/24", "2001:db8::7/64"]


def ip(*words, pid=None):
    enter = ["nsenter", f"--net=/proc/{pid}/ns/net"] if pid else []
    done = subprocess.run([*enter, "ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, done
    return done.stdout


def device(name, pid=None):
    """A device as `ip` shows it, or None."""
    found = json.loads(ip("-j", "address", "show", pid=pid))
    return next((one for one in found if one.get("ifname") == name), None)


def addresses(found):
    """Its addresses but for those that the kernel gives by itself."""
    rows = found["addr_info"]
    return {f"{row['local']}/{row['prefixlen']}" for row in rows if row["scope"] == "global"}


def is_up(found):
    return "UP" in found["flags"]


@pytest.fixture(autouse=True)
def network():
    """Every test is in a network namespace of its own, with which its devices go."""
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    assert LIBC.unshare(CLONE_NEWNET) == 0
    yield
    assert LIBC.setns(own, CLONE_NEWNET) == 0
    os.close(own)


def add_device(name):
    """A device that is up, with addresses: a dummy or, where the kernel has none, half a veth."""
    dummy = subprocess.run(["ip", "link", "add", name, "type", "dummy"], capture_output=True)
    if dummy.returncode != 0:
        ip("link", "add", name, "type", "veth", "peer", "name", f"{name}.peer")
        ip("link", "set", f"{name}.peer", "up")
    for address in ADDRESSES:
        ip("address", "add", address, "dev", name)
    ip("link", "set", name, "up")


@pytest.fixture
def outside(box):
    """A box with a new network namespace, and a device `out0` on the host."""
    add_device("out0")
    box.bundle.namespace("network")
    return box


@ALL_FAIL
def test_a_device_moves_into_the_container(outside):
    outside.set("linux.netDevices", {"out0": {}})
    outside.hold()
    found = device("out0", outside.pid)
    assert found and is_up(found)
    assert device("out0") is None


@ALL_FAIL
def test_a_device_keeps_its_permanent_global_addresses_of_both_families(outside):
    ip("address", "add", "192.0.2.99/24", "dev", "out0", "valid_lft", "600", "preferred_lft", "600")
    ip("address", "add", "198.51.100.1/32", "dev", "out0", "scope", "link")
    outside.set("linux.netDevices", {"out0": {}})
    outside.hold()
    assert addresses(device("out0", outside.pid)) == set(ADDRESSES)
    assert "198.51.100.1" not in ip("address", "show", "dev", "out0", pid=outside.pid)


@ALL_FAIL
def test_a_peer_address_and_a_broadcast_address_are_kept(outside):
    ip("address", "add", "10.9.0.1", "peer", "10.9.0.2/30", "dev", "out0")
    ip("address", "add", "10.8.0.1/16", "broadcast", "10.8.255.254", "dev", "out0")
    outside.set("linux.netDevices", {"out0": {"name": "in0"}})
    outside.hold()
    shown = ip("address", "show", "dev", "in0", pid=outside.pid)
    assert "inet 10.9.0.1 peer 10.9.0.2/30 scope global in0" in shown
    assert "inet 10.8.0.1/16 brd 10.8.255.254 scope global in0" in shown


@ALL_FAIL
def test_a_device_keeps_its_size_of_packets_and_its_hardware_address(outside):
    ip("link", "set", "out0", "mtu", "1789", "address", "02:11:22:33:44:55")
    outside.set("linux.netDevices", {"out0": {}})
    outside.hold()
    found = device("out0", outside.pid)
    assert found["mtu"] == 1789 and found["address"] == "02:11:22:33:44:55"


@ALL_FAIL
def test_a_device_gets_the_name_that_the_config_gives_it(outside):
    outside.set("linux.netDevices", {"out0": {"name": "in0"}})
    outside.hold()
    assert addresses(device("in0", outside.pid)) == set(ADDRESSES)
    assert device("out0", outside.pid) is None


@ALL_FAIL
def test_a_name_with_a_number_to_be_found_is_numbered_by_the_kernel(outside):
    add_device("out1")
    outside.set("linux.netDevices", {"out0": {"name": "in%d"}, "out1": {"name": "in%d"}})
    outside.hold()
    assert device("in0", outside.pid) and device("in1", outside.pid)


@ALL_FAIL
def test_two_devices_may_trade_names(outside):
    add_device("out1")
    ip("link", "set", "out0", "mtu", "1700")
    outside.set("linux.netDevices", {"out0": {"name": "out1"}, "out1": {"name": "out0"}})
    outside.hold()
    assert device("out1", outside.pid)["mtu"] == 1700 and device("out0", outside.pid)


@ALL_FAIL
def test_a_device_moves_into_a_namespace_that_is_joined(outside):
    words = ["unshare", "-n", "sh", "-c", "echo ready; read line"]
    holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"ready\n"
        outside.bundle.namespace("network", f"/proc/{holder.pid}/ns/net")
        outside.set("linux.netDevices", {"out0": {}})
        outside.hold()
        assert addresses(device("out0", holder.pid)) == set(ADDRESSES)
        outside.stop()
        outside.delete().check()
        # It belongs to the namespace, which is still there.
        assert device("out0", holder.pid)
    finally:
        holder.stdin.close()
        holder.wait()
        holder.stdout.close()


@ALL_FAIL
def test_a_device_moves_into_a_container_with_ids_of_its_own(outside):
    maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    outside.bundle.namespace("user")
    outside.set("linux.uidMappings", maps)
    outside.set("linux.gidMappings", maps)
    os.chown(outside.rootfs, 100000, 100000)
    outside.set("linux.netDevices", {"out0": {}})
    outside.hold()
    assert addresses(device("out0", outside.pid)) == set(ADDRESSES)


@ALL_FAIL
def test_parameters_of_a_device_can_be_set(outside):
    outside.set("linux.netDevices", {"out0": {"name": "in0"}})
    outside.set("linux.sysctl", {"net.ipv4.conf.in0.log_martians": "1"})
    outside.args("/bin/cat", "/proc/sys/net/ipv4/conf/in0/log_martians")
    assert outside.run().check().out == "1\n"


@ALL_FAIL
def test_a_hook_of_create_runtime_finds_the_device_moved(outside):
    seen = hooks.make_seen(outside)
    outside.set("linux.netDevices", {"out0": {}})
    hooks.add(outside, "createRuntime", "ip -o link show > $SEEN/links")
    outside.run().check()
    text = (seen / "links").read_text()
    assert "lo:" in text and "out0:" not in text


@ALL_FAIL
def test_a_virtual_device_ends_with_the_container(outside):
    outside.set("linux.netDevices", {"out0": {}})
    outside.args("/bin/true")
    outside.run().check()
    assert device("out0") is None


# What cannot be: the host has its devices as before.


def restored(name):
    found = device(name)
    assert found and is_up(found), f"{name} has not come back"
    assert addresses(found) == set(ADDRESSES)


@ALL_FAIL
def test_a_second_device_that_cannot_be_moved_brings_the_first_one_back(outside):
    outside.set("linux.netDevices", {"out0": {"name": "in0"}, "out9": {}})
    result = outside.create().fails()
    assert "out9" in result.err
    restored("out0")


@ALL_FAIL
def test_a_name_that_is_taken_brings_all_devices_back(outside):
    add_device("out1")
    outside.set("linux.netDevices", {"out0": {"name": "in0"}, "out1": {"name": "lo"}})
    result = outside.create().fails()
    assert "network device out1" in result.err and "file exists" in result.err
    restored("out0")
    restored("out1")


@ALL_FAIL
def test_a_device_that_was_down_comes_back_down_and_with_leases_and_labels(outside):
    ip("address", "add", "192.0.2.99/25", "dev", "out0", "label", "out0:x", "valid_lft", "600", "preferred_lft", "600")
    ip("link", "set", "out0", "down")
    outside.set("linux.netDevices", {"out0": {}, "out9": {}})
    outside.create().fails()
    found = device("out0")
    assert not is_up(found)
    lease = next(row for row in found["addr_info"] if row["local"] == "192.0.2.99")
    assert lease["label"] == "out0:x" and 0 < lease["valid_life_time"] <= 600


def test_a_container_that_fails_later_gives_its_devices_back(outside):
    outside.set("linux.netDevices", {"out0": {"name": "in0"}})
    outside.args("/not/there")
    outside.create().fails()
    restored("out0")


def test_a_hook_that_fails_gives_the_devices_back(outside):
    hooks.make_seen(outside)
    outside.set("linux.netDevices", {"out0": {}})
    hooks.add(outside, "createRuntime", "exit 3")
    hooks.failed(outside.create())
    restored("out0")


@ALL_FAIL
def test_without_a_network_namespace_of_its_own_no_device_is_moved(outside):
    spaces = outside.config["linux"]["namespaces"]
    outside.set("linux.namespaces", [one for one in spaces if one["type"] != "network"])
    outside.set("linux.netDevices", {"out0": {}})
    result = outside.create().fails()
    assert "unable to move network devices without a private NET namespace" in result.err
    restored("out0")


@ALL_FAIL
def test_a_path_that_leads_to_the_network_of_the_host_is_none_of_its_own(outside):
    outside.bundle.namespace("network", "/proc/self/ns/net")
    outside.set("linux.netDevices", {"out0": {}})
    result = outside.create().fails()
    assert "unable to move network devices without a private NET namespace" in result.err
    restored("out0")


BAD = {
    "no name": {"": {}},
    "a long name": {"abcdefghijklmnop": {}},
    "a path": {"../out0": {}},
    "a colon": {"out0:1": {}},
    "a blank": {"out 0": {}},
    "a dot": {".": {}},
    "a long new name": {"out0": {"name": "abcdefghijklmnop"}},
    "a new name that is a path": {"out0": {"name": "a/b"}},
    "two numbers": {"out0": {"name": "a%d%d"}},
    "another format": {"out0": {"name": "a%s"}},
    "one name for two": {"out0": {"name": "x"}, "out1": {"name": "x"}},
    "a new name for one and the old one of another": {"out0": {"name": "out1"}, "out1": {}},
    "a number for a name": {"out0": {"name": 5}},
    "a text for a device": {"out0": "x"},
    "a list": ["out0"],
}


@ALL_FAIL
@pytest.mark.parametrize("name", BAD)
def test_create_refuses_devices_with(outside, name):
    outside.set("linux.netDevices", BAD[name])
    result = outside.create().fails()
    assert "/linux/netDevices" in result.err, result
    restored("out0")


@pytest.mark.peer(runc="1.1 does not know netDevices", crun="1.8 has no `features`")
def test_features_tell_of_net_devices(box):
    features = box.runtime.bare("features").check().json
    assert features["linux"]["netDevices"] == {"enabled": True}
