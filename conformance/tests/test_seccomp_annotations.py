"""crun's annotations about seccomp, and rules for calls newer than the libseccomp of Debian 12."""

import base64
import errno
import os
import platform
import struct

import pytest

from harness import exec_calls, run_calls
from harness.agent import Agent
from harness.runtime import ENVIRONMENT

X86_64 = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the agent knows the numbers of x86_64"
)
CRUNS = pytest.mark.peer(runc="these annotations are crun's")
FCHMOD = ("fchmod", -1, 0)
RECEIVER = "run.oci.seccomp.receiver"
PROGRAM = "run.oci.seccomp_bpf_data"
STRICT = "run.oci.seccomp_fail_unknown_syscall"

# Classic BPF: load a word, compare, return; what seccomp(2) answers, linux/seccomp.h.
LOAD, IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO, NOTIFY = 0x7FFF0000, 0x00050000, 0x7FC00000
NR_FCHMOD = 91


def annotate(box, **annotations):
    box.set("annotations", {**box.config.get("annotations", {}), **annotations})


def profile(box, *rules, **more):
    made = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], **more}
    made["syscalls"] = [{"names": names, "action": f"SCMP_ACT_{action}"} for action, names in rules]
    box.set("linux.seccomp", made)
    return box


def program(*instructions):
    """Instructions of (code, jump if true, jump if false, value) as the annotation has them."""
    return base64.b64encode(b"".join(struct.pack("=HBBI", *one) for one in instructions)).decode()


def answering(answer):
    """A program that gives fchmod this answer and allows the rest."""
    return program(
        (LOAD, 0, 0, 0),
        (IF_EQUAL, 0, 1, NR_FCHMOD),
        (RETURN, 0, 0, answer),
        (RETURN, 0, 0, ALLOW),
    )


@pytest.fixture
def agent(box):
    with Agent(str(box.path("agent"))) as made:
        made.act = lambda call: call.answer(error=errno.ENOMEDIUM)
        yield made


@X86_64
@CRUNS
def test_the_agent_of_the_annotation_is_asked(box, agent):
    annotate(box, **{RECEIVER: agent.path})
    assert run_calls(profile(box, ("NOTIFY", ["fchmod"])), FCHMOD) == ["ENOMEDIUM"]
    assert agent.state()["state"]["id"] == box.id


@X86_64
@pytest.mark.parametrize("by_config", [True, pytest.param(False, marks=CRUNS)])
def test_the_config_goes_before_the_annotation_and_that_before_the_variable(box, agent, by_config):
    wrong = {"RUN_OCI_SECCOMP_RECEIVER": "/nonesuch"}
    if by_config:
        annotate(box, **{RECEIVER: "/nonesuch"})
        profile(box, ("NOTIFY", ["fchmod"]), listenerPath=agent.path)
    else:
        annotate(box, **{RECEIVER: agent.path})
        profile(box, ("NOTIFY", ["fchmod"]))
    box.args("/act", "fchmod", "-1", "0")
    assert box.run(env={**ENVIRONMENT, **wrong}).check().out == "ENOMEDIUM\n"


@X86_64
@CRUNS
def test_the_agent_of_the_variable_is_asked_where_there_is_no_other(box, agent):
    profile(box, ("NOTIFY", ["fchmod"]))
    box.args("/act", "fchmod", "-1", "0")
    environment = {**ENVIRONMENT, "RUN_OCI_SECCOMP_RECEIVER": agent.path}
    assert box.run(env=environment).check().out == "ENOMEDIUM\n"


def test_a_relative_agent_is_refused(box):
    annotate(box, **{RECEIVER: "agent"})
    profile(box, ("NOTIFY", ["fchmod"]))
    box.create().fails()
    assert box.state is None


@X86_64
@CRUNS
@pytest.mark.parametrize("beside_rules", [True, False])
def test_a_given_program_decides_in_place_of_the_rules(box, beside_rules):
    annotate(box, **{PROGRAM: answering(ERRNO | errno.EXDEV)})
    if beside_rules:
        profile(box, ("ERRNO", ["fchmod", "getppid"]))
    assert run_calls(box, FCHMOD, ("getppid",)) == ["EXDEV", "ok"]


@X86_64
@pytest.mark.tare("crun 1.8 forgets the program at exec")
def test_a_given_program_holds_for_an_execd_process(box):
    annotate(box, **{PROGRAM: answering(ERRNO | errno.EXDEV)})
    box.hold()
    assert exec_calls(box, FCHMOD) == ["EXDEV"]


@X86_64
@CRUNS
def test_a_given_program_may_ask_the_agent(box, agent):
    annotate(box, **{PROGRAM: answering(NOTIFY), RECEIVER: agent.path})
    assert run_calls(box, FCHMOD) == ["ENOMEDIUM"]


@X86_64
@pytest.mark.tare("crun tells of the listener without a write")
@pytest.mark.parametrize("answer", [NOTIFY, ERRNO | errno.EPERM], ids=["notify", "errno"])
def test_a_given_program_that_lets_no_write_through_is_refused(box, agent, answer):
    steps = [(LOAD, 0, 0, 0), (IF_EQUAL, 0, 1, 1), (RETURN, 0, 0, answer)]
    steps += [(IF_EQUAL, 0, 1, NR_FCHMOD), (RETURN, 0, 0, NOTIFY), (RETURN, 0, 0, ALLOW)]
    annotate(box, **{PROGRAM: program(*steps), RECEIVER: agent.path})
    # Where write is forbidden, nothing can be said of it afterwards either.
    assert "write" in box.create().fails().err
    assert box.state is None and agent.states.empty()


LONG = program(*[(RETURN, 0, 0, ALLOW)] * 4097)
NO_PROGRAM = {
    "no base64": "?",
    "nothing": "",
    "half an instruction": base64.b64encode(b"1234").decode(),
    "more than the kernel takes": LONG,
    "an opcode that there is not": program((0xFFFF, 0, 0, 0)),
    "a jump out of it": program((IF_EQUAL, 9, 9, 0), (RETURN, 0, 0, ALLOW)),
    "no return at its end": program((LOAD, 0, 0, 0)),
    "a load out of bounds": program((LOAD, 0, 0, 4096), (RETURN, 0, 0, ALLOW)),
    "a notification that nobody gets": answering(NOTIFY),
}


@pytest.mark.tare("crun 1.8 takes some of them, and says little of others")
@pytest.mark.parametrize("no_new_privs", [True, False], ids=["nnp", "privileges"])
@pytest.mark.parametrize("name", NO_PROGRAM)
def test_a_given_program_that_is_none_is_refused(box, name, no_new_privs):
    box.set("process.noNewPrivileges", no_new_privs)
    annotate(box, **{PROGRAM: NO_PROGRAM[name]})
    box.args("/bin/true")
    result = box.run().fails()
    assert "seccomp" in result.err
    assert box.state is None


@CRUNS
@pytest.mark.parametrize("value", ["1", "true"])
def test_an_unknown_name_is_an_error_where_the_annotation_says_so(box, value):
    annotate(box, **{STRICT: value})
    profile(box, ("ERRNO", ["fchmod", "nonesuch_call"]))
    assert "nonesuch_call" in box.create().fails().err
    assert box.state is None


def test_an_unknown_name_is_none_where_the_annotation_says_so(box):
    annotate(box, **{STRICT: "0"})
    assert run_calls(profile(box, ("ERRNO", ["fchmod", "nonesuch_call"])), FCHMOD) == ["EPERM"]


@pytest.mark.tare("the others have no such command")
def test_explain_names_the_unknown(box):
    profile(box, ("ERRNO", ["fchmod", "nonesuch_call", "mseal"]))
    box.bundle.save()
    said = box.runtime.call("explain", box.bundle.path).check().out
    assert "ignore, as there are no such syscalls: nonesuch_call" in said


# Numbers, names and arguments of calls that Debian 12's libseccomp does not know.
NEWER = {"lsm_list_modules": (461, 0, 0, 1), "mseal": (462, 1, 1, 1), "statmount": (457, 0, 0, 0, 0)}
OLD_LIBRARY = "do without calls that their libseccomp does not know"


@pytest.mark.peer(runc=OLD_LIBRARY, crun=OLD_LIBRARY)
@pytest.mark.parametrize("name", NEWER)
def test_a_call_newer_than_libseccomp_can_be_forbidden(box, name):
    assert run_calls(profile(box, ("KILL", ["nonesuch"])), NEWER[name]) != ["EPERM"]
    assert run_calls(profile(box, ("ERRNO", [name])), NEWER[name]) == ["EPERM"]


@pytest.mark.tare("only tare tells which flags the kernel has")
def test_features_tells_of_the_flags_that_the_kernel_has(box):
    found = box.runtime.bare("features").check().json["linux"]["seccomp"]
    assert set(found["supportedFlags"]) <= set(found["knownFlags"])
    waits = "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" in found["supportedFlags"]
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    assert waits == (release >= (5, 19))
    assert "SCMP_ACT_NOTIFY" in found["actions"]
