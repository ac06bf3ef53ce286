"""What the kernel says of a program's privileges is what its config asks for, all of it at once, for a
container and for what is added to it."""

import pathlib

import pytest

from harness.facts import SETS

LABEL = pathlib.Path("/proc/self/attr/current")
ASKED = {
    "bounding": {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SETUID"},
    "permitted": {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"},
    "effective": {"CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"},
    "inheritable": {"CAP_CHOWN", "CAP_KILL"},
    "ambient": {"CAP_KILL"},
}
GROUPS = [5, 2000, 3000]
FILTER = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [{"names": ["swapon"], "action": "SCMP_ACT_ERRNO"}],
}
DISABLED, FILTERED = 0, 2  # seccomp(2)


def expected(user, no_new_privileges, filtered):
    """What the kernel is to say after execve, capabilities(7)."""
    held = {which: set(names) for which, names in ASKED.items()}
    # Root gets what may be had, but no more than it has if it is to gain no privileges.
    of_root = ASKED["permitted"] if no_new_privileges else ASKED["bounding"]
    # An execve that gains a capability says so in this way, prctl(2).
    suid_dumpable = int(pathlib.Path("/proc/sys/fs/suid_dumpable").read_text("utf-8"))
    held["permitted"] = held["effective"] = of_root if user == 0 else ASKED["ambient"]
    return {
        "capabilities": held,
        "uids": [user] * 3,
        "gids": [7] * 3,
        "groups": GROUPS,
        "securebits": 0,
        "keepcaps": 0,
        "dumpable": suid_dumpable if user == 0 and not no_new_privileges else 1,
        "no_new_privs": int(no_new_privileges),
        "seccomp": FILTERED if filtered else DISABLED,
        "label": label(),
    }


def label():
    """What a program has that no label is asked for; none where there is no security module."""
    try:
        return LABEL.read_text("utf-8").splitlines()
    except OSError:
        return []


def found(facts):
    about = {key: facts[key] for key in expected(0, True, True) if key != "capabilities"}
    about["groups"] = sorted(set(about["groups"]) - {7})
    return {"capabilities": {which: facts.capabilities(which) for which in SETS}, **about}


OF_EXEC = pytest.mark.peer(crun="1.8 gives a plain exec the user and the capabilities of root")


@pytest.fixture(params=["run", pytest.param("exec", marks=OF_EXEC), "exec --process"])
def facts_by(request, box):
    """A function that gives the facts of a program in the box, made in one of three ways."""

    def look():
        if request.param == "run":
            return box.facts()
        box.hold()
        if request.param == "exec":
            return box.exec_facts()
        process = {**box.config["process"], "args": ["/probe"]}
        return type(box.exec_facts())(box.exec_process(process).check().json)

    return look


@pytest.mark.parametrize("filtered", [True, False], ids=["filtered", "unfiltered"])
@pytest.mark.parametrize("no_new_privileges", [True, False], ids=["nnp", "without-nnp"])
@pytest.mark.parametrize("user", [0, 1000])
def test_the_kernel_says_what_was_asked_for(box, facts_by, user, no_new_privileges, filtered):
    box.set("process.capabilities", {which: sorted(names) for which, names in ASKED.items()})
    box.set("process.user", {"uid": user, "gid": 7, "additionalGids": GROUPS})
    box.set("process.noNewPrivileges", no_new_privileges)
    if filtered:
        box.set("linux.seccomp", FILTER)
    assert found(facts_by()) == expected(user, no_new_privileges, filtered)


def test_without_groups_of_its_own_a_program_has_none_of_the_callers(box, facts_by):
    """CVE-2022-2989: a group that a file denies is no longer denied when it is lost, or gained."""
    box.set("process.user", {"uid": 1000, "gid": 7})
    assert set(facts_by()["groups"]) <= {7}


@pytest.mark.peer(crun="1.8 names it by the id alone")
def test_the_session_keyring_is_a_new_one_of_the_container(box, facts_by):
    session = facts_by()["session_keyring"].split(";")
    assert session[0] == "keyring" and session[-1] == f"_ses.{box.id}"
