"""A /proc that is not what it seems: labels and parameters do not go where an attacker wants them."""

import os
import pathlib

import pytest

from harness import contained, fired_if, must_refuse


@pytest.mark.attack("A-06", "CVE-2019-16884")
def test_a_profile_that_cannot_be_applied_is_refused(box):
    if os.path.isdir("/sys/kernel/security/apparmor"):
        pytest.skip("this machine has AppArmor: see the tests of the guest")
    box.set("process.apparmorProfile", "tare-test")
    box.args("/bin/true")
    must_refuse(box.run(), "a profile on a machine without AppArmor")


ATTRIBUTES = ["attr/exec", "attr/current", "attr/apparmor/exec", "attr/apparmor/current"]


@pytest.mark.guest("AppArmor with a profile of the tests")
@pytest.mark.attack("A-06", "CVE-2019-16884", "CVE-2025-62596")
@pytest.mark.parametrize("linked", [False, True], ids=["files", "links"])
def test_a_profile_is_not_written_into_files_of_an_image(box, canary, linked):
    box.config["mounts"] = box.config["mounts"][1:]
    box.bundle.mount("/outside", "bind", canary.path, ["bind"])
    for name in (f"proc/{who}/{what}" for who in ("self", "thread-self", "1") for what in ATTRIBUTES):
        place = box.rootfs / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if linked:
            place.symlink_to("/outside/file")
        else:
            place.write_text("unconfined\n")
    box.set("process.apparmorProfile", "tare-test")
    box.args("/probe", "hold")
    if box.create().code == 0 and box.start().code == 0:
        label = pathlib.Path(f"/proc/{box.pid}/attr/apparmor/current").read_text("utf-8")
        fired_if(not label.startswith("tare-test"), f"it runs as {label}")
    assert canary.unchanged


TTL = "net/ipv4/ip_default_ttl"


@pytest.fixture
def setting(box):
    """A container that sets a parameter of its network namespace, and says what became of it."""
    box.bundle.namespace("network")
    box.set("linux.sysctl", {TTL.replace("/", "."): "77"})
    box.sh(f"umount /proc/sys/{TTL} 2>/dev/null; cat /proc/sys/{TTL}")
    return box


@pytest.mark.attack("A-17", "CVE-2025-52881")
def test_a_parameter_is_not_written_into_a_file_that_is_mounted_over_it(setting, canary):
    setting.bundle.mount(f"/proc/sys/{TTL}", "bind", canary.path / "file", ["bind"])
    contained(setting.run(), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.attack("A-17", "CVE-2025-52881")
def test_a_parameter_is_not_written_into_another_that_is_mounted_over_it(setting):
    """Both are the container's own; a real one would be core_pattern or sysrq-trigger."""
    source = "/proc/sys/kernel/domainname"
    setting.bundle.mount(f"/proc/sys/{TTL}", "bind", source, ["bind"])
    setting.sh("cat /proc/sys/kernel/domainname")
    contained(setting.run(), lambda: False)


@pytest.mark.attack("A-17", "CVE-2025-52881")
def test_a_parameter_is_not_written_into_a_directory_that_is_mounted_over_those(setting, canary):
    place = canary.path / TTL
    place.parent.mkdir(parents=True)
    place.write_text("64\n")
    canary.before = canary.picture()
    setting.bundle.mount("/proc/sys", "bind", canary.path, ["bind"])
    contained(setting.run(), lambda: canary.unchanged)
    assert canary.unchanged


@pytest.mark.attack("A-17", "CVE-2025-52881")
def test_a_parameter_is_not_written_into_a_file_of_an_image_without_procfs(setting, canary):
    setting.config["mounts"] = setting.config["mounts"][1:]
    (setting.rootfs / "proc/sys/net").mkdir(parents=True)
    (setting.rootfs / "proc/sys/net/ipv4").symlink_to("/outside")
    (canary.path / "ip_default_ttl").write_text("64\n")
    canary.before = canary.picture()
    setting.bundle.mount("/outside", "bind", canary.path, ["bind"])
    setting.args("/bin/true")
    contained(setting.run(), lambda: canary.unchanged)
    assert canary.unchanged


GLOBAL = [
    "kernel.core_pattern",
    "kernel/core_pattern",
    "/kernel/core_pattern",
    "net/../kernel/core_pattern",
    "kernel/../../sys/kernel/core_pattern",
    "kernel//core_pattern",
]


@pytest.mark.attack("A-40", "CVE-2022-0811", "CVE-2024-3154")
@pytest.mark.parametrize("name", GLOBAL)
def test_no_spelling_of_a_parameter_of_the_host_is_taken(box, name):
    # Where it is taken it changes nothing.
    value = pathlib.Path("/proc/sys/kernel/core_pattern").read_text("utf-8").rstrip("\n")
    if "+" in value:
        pytest.skip("a core_pattern that the naive runtime would take for two")
    box.set("linux.sysctl", {name: value})
    box.args("/bin/true")
    must_refuse(box.run(), f"the parameter {name} of the host")


# Two parameters in the place of one, the second of which nobody set; both are the container's own.
TTL_NAME, OTHER = TTL.replace("/", "."), "kernel.domainname"
SMUGGLED = {
    "a plus in a value": {TTL_NAME: f"64+{OTHER}=fired"},
    "a plus in a name": {f"{TTL_NAME}=64+{OTHER}": "fired"},
    "a line in a value": {TTL_NAME: f"64\n{OTHER}=fired"},
    "a line in a name": {f"{TTL_NAME}=64\n{OTHER}": "fired"},
    "a NUL in a name": {f"{OTHER}\0.x": "fired"},
    "a space after a name": {f"{OTHER} ": "fired"},
}


@pytest.mark.attack("A-40", "CVE-2022-0811")
@pytest.mark.parametrize("how", SMUGGLED)
def test_no_second_parameter_is_smuggled_in_by(box, how):
    box.bundle.namespace("network")
    box.set("linux.sysctl", SMUGGLED[how])
    box.args("/bin/cat", "/proc/sys/kernel/domainname")
    result = box.run()
    contained(result, lambda: "fired" not in result.out)


@pytest.mark.attack("A-48")
def test_what_hides_a_directory_can_be_neither_written_nor_filled(box):
    (box.rootfs / "secrets").mkdir()
    box.set("linux.maskedPaths", ["/secrets", "/proc/fs"])
    box.sh("dd if=/dev/zero of=/secrets/x bs=1024 count=64 2>/dev/null; ls -A /secrets /proc/fs")
    out = box.run().out
    fired_if(" x\n" in f" {out}" or "\nx\n" in out, "a mask has room for an attacker's files")


@pytest.mark.attack("A-48")
def test_five_hundred_masks_are_one_file_system(box):
    names = [f"/tmp/d{number}" for number in range(500)]
    for name in names:
        (box.rootfs / name[1:]).mkdir()
    box.set("linux.maskedPaths", names)
    box.sh("for d in /tmp/d*; do stat -c %d $d; done | sort -u | wc -l")
    made = int(box.run().check().out)
    fired_if(made > 1, f"{made} file systems for 500 masks")
