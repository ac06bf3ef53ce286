"""Who a program is and what it may do: ids that are taken for others, and rights that nobody gave."""

import json
import os
import struct

import pytest

from harness import contained, fired_if, sandbox
from harness.facts import CAPABILITIES, Facts
from harness.host import LIBC

WAYS = ["run", "exec", "exec --process"]


def facts_by(box, way, **more):
    """What a program finds out about itself that was made in one of the WAYS."""
    if way == "run":
        return box.facts(**more)
    box.hold()
    if way == "exec":
        return box.exec_facts(**more)
    process = {**box.config["process"], "args": ["/probe"]}
    return Facts(box.exec_process(process, **more).check().json)


def give(box, *names, which=("bounding", "effective", "permitted")):
    box.set("process.capabilities", {kind: list(names) for kind in which})


@pytest.mark.attack("A-02", "CVE-2016-3697")
@pytest.mark.parametrize("name", ["1000", "1000:5"])
def test_a_number_is_no_name_of_the_images_passwd(box, name):
    (box.rootfs / "etc/passwd").write_text("1000:x:0:0::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n")
    box.hold()
    result = box.exec("/probe", flags=["--user", name])
    contained(result, lambda: result.json["uids"] == [1000] * 3)


# What each may mean; None is what means nothing.
USERS = {
    "1": 1, "0001": 1, " 1": 1, "+1": 1, "1 ": 1, "1:": 1, "1 2": None, "-1": None, ":1": None,
    "4294967295": None, "4294967296": None, "18446744073709551616": None, "1:4294967295": None,
    "0x1": None, "root": None, "x:1": None, "1 : 2": None,
}  # fmt: skip


@pytest.mark.attack("A-24", "CVE-2026-30892")
@pytest.mark.parametrize("user", [u for u in USERS if u != "1:"])
def test_a_user_is_exactly_the_one_that_was_named(box, user):
    box.hold()
    result = box.exec("/probe", flags=["--user", user])
    # Any group but that of the container is one that was not named.
    wanted = [[USERS[user]] * 3, [0] * 3]
    contained(result, lambda: [result.json["uids"], result.json["gids"]] == wanted)


@pytest.mark.attack("A-39", "CVE-2022-2989", "CVE-2022-2990", "CVE-2022-2995")
@pytest.mark.parametrize("way", WAYS)
def test_the_groups_of_the_caller_are_none_of_the_programs(box, way):
    box.set("process.user", {"uid": 1000, "gid": 7})
    groups = facts_by(box, way, preexec_fn=lambda: os.setgroups([4321]))["groups"]
    fired_if(set(groups) - {7}, f"groups {groups}")


@pytest.mark.attack("A-03", "CVE-2016-8867")
@pytest.mark.parametrize("way", WAYS)
def test_a_user_who_is_not_root_has_no_capability_that_is_not_ambient(box, way):
    give(box, "CAP_CHOWN", "CAP_KILL")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    facts = facts_by(box, way)
    held = {which: facts.capabilities(which) for which in ("effective", "permitted", "ambient")}
    fired_if(any(held.values()), f"holds {held}")


@pytest.mark.attack("A-11", "CVE-2022-29162", "CVE-2022-24769", "CVE-2025-27612")
def test_a_capability_of_exec_is_not_inheritable(box):
    give(box, "CAP_KILL")
    box.hold()
    found = box.exec_facts("--cap", "CAP_NET_RAW").capabilities("inheritable")
    fired_if("CAP_NET_RAW" in found, f"inheritable: {found}")


@pytest.mark.attack("A-11", "CVE-2022-27650", "CVE-2022-24769")
def test_the_example_config_makes_nothing_inheritable(box):
    place = box.path("example")
    place.mkdir()
    box.runtime.bare("spec", "--bundle", place, cwd=place).check()
    sets = json.loads((place / "config.json").read_text())["process"]["capabilities"]
    fired_if(sets.get("inheritable"), f"inheritable: {sets.get('inheritable')}")


@pytest.fixture
def with_file_capability(box):
    """/caps/probe has CAP_DAC_OVERRIDE among those that it takes on if they are inheritable."""
    place = box.rootfs / "caps"
    place.mkdir()
    # The suite's own rootfs is nosuid, under which capabilities of files do not count.
    sandbox.mount("caps", place, "tmpfs", 0, "size=8m,mode=755")
    program = place / "probe"
    program.write_bytes((box.rootfs / "probe").read_bytes())
    program.chmod(0o755)
    version, effective = 0x02000000, 1  # VFS_CAP_REVISION_2, capabilities(7)
    bit = 1 << CAPABILITIES.index("DAC_OVERRIDE")
    os.setxattr(program, "security.capability", struct.pack("<5I", version | effective, 0, bit, 0, 0))
    yield box
    LIBC.umount2(os.fsencode(place), 2)


@pytest.mark.attack("A-11", "CVE-2022-24769", "CVE-2022-27649", "CVE-2022-27651")
def test_a_file_that_takes_what_is_inheritable_gains_nothing(with_file_capability):
    box = with_file_capability
    give(box, "CAP_DAC_OVERRIDE")
    box.set("process.noNewPrivileges", False)
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.args("/caps/probe")
    facts = Facts(box.run().check().json)
    fired_if(facts.capabilities("effective"), f"gained {facts.capabilities('effective')}")


@pytest.mark.attack("A-47")
@pytest.mark.parametrize("way", WAYS)
def test_no_secure_bit_is_left_that_keeps_capabilities(box, way):
    box.set("process.user", {"uid": 1000, "gid": 1000})
    facts = facts_by(box, way)
    found = {key: facts[key] for key in ("securebits", "keepcaps")}
    fired_if(any(found.values()), f"{found}")
