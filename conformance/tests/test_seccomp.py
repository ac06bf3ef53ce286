"""linux.seccomp: actions, conditions, architectures, flags, and whom the filter holds."""

import platform
import signal
import subprocess

import pytest

from harness import docker, exec_calls, run_calls

pytestmark = pytest.mark.row("linux.seccomp")

# A call that fails with EBADF when it gets through and whose arguments can be anything.
LET_THROUGH = "EBADF"
SIGSYS = 128 + int(signal.SIGSYS)
X86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="made for x86_64")


def fchmod(mode=0):
    return ("fchmod", -1, mode)


def profile(*rules, **more):
    """Everything is allowed but what the rules are about."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": list(rules),
        **more,
    }


def rule(action, *names, **more):
    return {"names": list(names) or ["fchmod"], "action": f"SCMP_ACT_{action}", **more}


def when(index, operator, value, two=None):
    found = {"index": index, "value": value, "op": f"SCMP_CMP_{operator}"}
    return found if two is None else {**found, "valueTwo": two}


def under(box, *rules, **more):
    box.set("linux.seccomp", profile(*rules, **more))
    return box


def test_there_is_no_filter_without_the_field(box):
    facts = box.facts()
    assert facts["seccomp"] == 0 and facts["status"]["Seccomp"] == "0"


RETURNING = {
    "ALLOW": (rule("ALLOW"), LET_THROUGH),
    "LOG": (rule("LOG"), LET_THROUGH),
    "ERRNO": (rule("ERRNO"), "EPERM"),
    "ERRNO with errnoRet": (rule("ERRNO", errnoRet=5), "EIO"),
    "ERRNO with errnoRet of zero": (rule("ERRNO", errnoRet=0), "ok"),
    "ERRNO with the last errnoRet that has a name": (rule("ERRNO", errnoRet=133), "EHWPOISON"),
    "TRACE without a tracer": (rule("TRACE"), "ENOSYS"),
}


@pytest.mark.parametrize("name", RETURNING)
def test_a_call_gets_what_its_rule_says(box, name):
    made, result = RETURNING[name]
    assert run_calls(under(box, made), ("getpid",), fchmod()) == ["ok", result]


@pytest.mark.parametrize("action", ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"])
def test_a_call_ends_the_process_by_sigsys_with(box, action):
    under(box, rule(action))
    box.sh("/act fchmod -1 0; echo $?")
    assert box.run().check().out == f"{SIGSYS}\n"


def test_a_name_may_have_several_rules_and_a_rule_several_names(box):
    under(
        box,
        rule("ERRNO", "fchmod", "mkdirat", errnoRet=17),
        rule("ERRNO", "symlinkat", errnoRet=18),
    )
    calls = [fchmod(), ("mkdirat", -1, "x", 0), ("symlinkat", "a", -1, "b"), ("fchdir", -1)]
    assert run_calls(box, *calls) == ["EEXIST", "EEXIST", "EXDEV", "EBADF"]


HIGH = 0x1_0000_0000

# The condition, values that it is true for, and values that it is not.
CONDITIONS = {
    "EQ": (when(1, "EQ", 5), [5], [4, 6, 0, HIGH + 5]),
    "EQ of 64 bits": (when(1, "EQ", HIGH + 5), [HIGH + 5], [5, HIGH, HIGH * 2 + 5]),
    "NE": (when(1, "NE", 5), [4, 6, HIGH + 5], [5]),
    "LT": (when(1, "LT", 5), [0, 4], [5, 6, HIGH]),
    "LE": (when(1, "LE", 5), [0, 5], [6, HIGH, HIGH + 5]),
    "GT": (when(1, "GT", 5), [6, HIGH], [0, 4, 5]),
    "GE": (when(1, "GE", 5), [5, 6, HIGH, HIGH + 1], [0, 4]),
    "GE of 64 bits": (when(1, "GE", HIGH + 5), [HIGH + 5, HIGH * 2], [5, 6, HIGH + 4]),
    "MASKED_EQ": (when(1, "MASKED_EQ", 0xF0, 0x50), [0x50, 0x5F, 0x150], [0x40, 0x60, 0]),
    "MASKED_EQ of 64 bits": (
        when(1, "MASKED_EQ", HIGH * 0xFF, HIGH * 3),
        [HIGH * 3, HIGH * 3 + 9],
        [3, HIGH, 0],
    ),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_holds_for_the_values_it_says(box, name):
    condition, true_for, false_for = CONDITIONS[name]
    under(box, rule("ERRNO", args=[condition]))
    found = run_calls(box, *(fchmod(value) for value in true_for + false_for))
    assert found == ["EPERM"] * len(true_for) + [LET_THROUGH] * len(false_for)


def test_all_conditions_of_a_rule_must_hold(box):
    call = ("linkat", -1, "x", -1, "y")
    under(box, rule("ERRNO", "linkat", args=[when(0, "EQ", 0xFFFFFFFFFFFFFFFF), when(4, "EQ", 7)]))
    assert run_calls(box, (*call, 7), (*call, 0)) == ["EPERM", "EBADF"]


def test_one_of_several_rules_for_a_name_is_enough(box):
    under(
        box,
        rule("ERRNO", args=[when(1, "EQ", 3)], errnoRet=17),
        rule("ERRNO", args=[when(1, "EQ", 4)], errnoRet=17),
    )
    found = run_calls(box, fchmod(3), fchmod(4), fchmod(5))
    assert found == ["EEXIST", "EEXIST", LET_THROUGH]


def test_two_conditions_on_the_same_argument_must_both_hold(box):
    under(box, rule("ERRNO", args=[when(1, "GT", 3), when(1, "LT", 6)]))
    found = run_calls(box, fchmod(3), fchmod(4), fchmod(5), fchmod(6))
    assert found in (
        [LET_THROUGH, "EPERM", "EPERM", LET_THROUGH],
        # What runc makes of it, for libseccomp takes one condition for an argument: either holds.
        ["EPERM", "EPERM", "EPERM", "EPERM"],
    )


@pytest.fixture
def allowing(box):
    """A profile that allows what programs need, and answers anything else with EXDEV."""
    if not docker.PROFILE.exists():
        pytest.skip(f"no list of system calls at {docker.PROFILE}")
    made = docker.seccomp({"CAP_KILL"})
    made["defaultErrnoRet"] = 18
    box.set("linux.seccomp", made)
    return box


def test_the_default_action_is_for_every_call_without_a_rule(allowing):
    assert run_calls(allowing, ("getpid",), ("unshare", 0), ("add_key", "u", "d", "p", 1, -3)) == [
        "ok",
        "EXDEV",
        "EXDEV",
    ]


def test_a_default_action_that_kills_does(allowing):
    made = allowing.config["linux"]["seccomp"]
    made.pop("defaultErrnoRet")
    made["defaultAction"] = "SCMP_ACT_KILL_PROCESS"
    allowing.sh("/act getpid; /act unshare 0; echo $?")
    assert allowing.run().check().out == f"ok\n{SIGSYS}\n"


@pytest.mark.peer(crun="gives a call without a name the default action")
def test_a_call_newer_than_the_profile_does_not_exist(allowing):
    """So that a libc that tries the new call first falls back to the old one."""
    allowing.config["linux"]["seccomp"]["defaultErrnoRet"] = 1
    assert run_calls(allowing, (900,), (5000,), ("unshare", 0)) == ["ENOSYS", "ENOSYS", "EPERM"]


def test_an_unknown_name_is_no_error_and_changes_nothing(box):
    under(box, rule("ERRNO", "nonesuch_call", "fchmod"))
    assert run_calls(box, ("getpid",), fchmod()) == ["ok", "EPERM"]


@pytest.fixture
def gated(box):
    """A box on a kernel that has the 32-bit gate: some are built or booted without it."""
    tried = subprocess.run([box.bundle.rootfs / "act", "int80", "20"], check=False, capture_output=True)
    if tried.stdout != b"ok\n":
        pytest.skip("this kernel has no 32-bit gate (ia32_emulation)")
    return box


@X86_64
def test_the_gate_of_another_architecture_is_under_the_same_rules(gated):
    under(gated, rule("ERRNO"), architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
    fchmod_of_i386, getpid_of_i386 = 94, 20
    calls = [("int80", getpid_of_i386), ("int80", fchmod_of_i386, -1, 0), fchmod()]
    assert run_calls(gated, *calls) == ["ok", "EPERM", "EPERM"]


@X86_64
def test_the_gate_of_an_architecture_that_is_not_listed_is_closed(gated):
    under(gated, rule("ERRNO"))
    gated.sh("/act int80 94 -1 0; echo $?")
    assert gated.run().check().out in (f"{SIGSYS}\n", "ENOSYS\n0\n", "EPERM\n0\n")


@X86_64
@pytest.mark.parametrize("listed", [True, False])
def test_the_numbers_of_x32_are_no_way_around_a_rule(box, listed):
    known = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"] if listed else ["SCMP_ARCH_X86_64"]
    under(box, rule("ERRNO"), architectures=known)
    box.sh(f"/act {0x40000000 + 91} -1 0; echo $?")
    assert box.run().check().out in (f"{SIGSYS}\n", "ENOSYS\n0\n", "EPERM\n0\n")


def test_the_native_architecture_need_not_be_listed(box):
    under(box, rule("ERRNO"), architectures=[])
    assert run_calls(box, fchmod()) == ["EPERM"]


FLAGS = [
    [],
    ["SECCOMP_FILTER_FLAG_LOG"],
    ["SECCOMP_FILTER_FLAG_TSYNC"],
    ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
    ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC"],
]


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(f, marks=pytest.mark.peer(runc="1.1 supports no flags")) if f else f
        for f in FLAGS
    ],
    ids=lambda f: "+".join(x[20:] for x in f) or "none",
)
def test_the_filter_holds_with_the_flags(box, flags):
    under(box, rule("ERRNO"), flags=flags)
    assert run_calls(box, fchmod()) == ["EPERM"]


@pytest.mark.parametrize("privileged", [True, False])
@pytest.mark.parametrize("uid", [0, 1000])
@pytest.mark.parametrize("no_new_privs", [True, False])
def test_the_filter_holds_whether_or_not_new_privileges_are_allowed(
    box, no_new_privs, uid, privileged
):
    box.set("process.noNewPrivileges", no_new_privs)
    box.set("process.user", {"uid": uid, "gid": uid})
    if privileged:
        for which in ("bounding", "effective", "permitted"):
            box.config["process"]["capabilities"][which].append("CAP_SYS_ADMIN")
    under(box, rule("ERRNO", errnoRet=17))
    facts = box.facts()
    assert facts["no_new_privs"] == int(no_new_privs)
    assert facts["status"]["Seccomp"] == "2"
    assert run_calls(box, fchmod()) == ["EEXIST"]


FORGETFUL = pytest.mark.peer(crun="1.8 takes noNewPrivileges of an exec from the command line only")


@pytest.mark.parametrize("no_new_privs", [pytest.param(True, marks=FORGETFUL), False])
def test_an_execd_process_is_under_the_filter_too(box, no_new_privs):
    box.set("process.noNewPrivileges", no_new_privs)
    under(box, rule("ERRNO"))
    box.hold()
    assert exec_calls(box, ("getpid",), fchmod()) == ["ok", "EPERM"]
    facts = box.exec_facts()
    assert facts["status"]["Seccomp"] == "2" and facts["no_new_privs"] == int(no_new_privs)


def test_the_filter_is_not_in_the_way_of_the_runtime_itself(box):
    """It is loaded last, when the process has its user, its capabilities and its directory."""
    box.set("process.user", {"uid": 1000, "gid": 1000, "additionalGids": [5]})
    box.set("process.cwd", "/tmp")
    names = "setuid setgid setresuid setresgid setgroups capset chdir fchdir mount setsid dup2 dup3"
    under(box, rule("KILL_PROCESS", *names.split(), "chown", "fchown", "sethostname", "setrlimit"))
    facts = box.facts()
    assert facts["uids"] == [1000] * 3 and facts["cwd"] == "/tmp"


def test_a_rule_may_forbid_what_a_program_needs_only_to_start_others(box):
    under(box, rule("ERRNO", "fork", "vfork", "clone", "clone3"))
    box.sh("echo alive; /bin/true; echo survived")
    result = box.run()
    assert result.out == "alive\n" and result.code != 0


def test_a_profile_of_thousands_of_conditions_is_taken(box):
    rules = [rule("ERRNO", args=[when(1, "EQ", 1000 + n)]) for n in range(1000)]
    under(box, *rules)
    assert run_calls(box, fchmod(1000), fchmod(1999), fchmod(2000)) == [
        "EPERM",
        "EPERM",
        LET_THROUGH,
    ]


BAD = {
    "an unknown action": profile(rule("NONESUCH")),
    "an action in lower case": profile({"names": ["fchmod"], "action": "scmp_act_errno"}),
    "an unknown default action": profile(defaultAction="SCMP_ACT_NONESUCH"),
    "an unknown operator": profile(rule("ERRNO", args=[when(1, "NONESUCH", 1)])),
    "an unknown architecture": profile(architectures=["SCMP_ARCH_NONESUCH"]),
    "an unknown flag": profile(rule("ERRNO"), flags=["SECCOMP_FILTER_FLAG_NONESUCH"]),
    "the seventh argument": profile(rule("ERRNO", args=[when(6, "EQ", 1)])),
    "no action": profile({"names": ["fchmod"]}),
    "a listener without a path": profile(rule("NOTIFY")),
}
LENIENT = {"an unknown flag": "1.8 ignores it", "a listener without a path": "1.8 lets it be"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.peer(crun=LENIENT[n])) if n in LENIENT else n for n in BAD],
)
def test_create_refuses(box, name):
    box.set("linux.seccomp", BAD[name])
    box.create().fails()
    assert not box.runtime.ids()


@pytest.mark.tare("config-linux.md demands these errors, which others leave out")
@pytest.mark.parametrize(
    "bad",
    [
        profile(rule("ALLOW", errnoRet=1)),
        profile(rule("ERRNO", errnoRet=4096)),
        profile(defaultErrnoRet=1),
        {"syscalls": []},
        profile(rule("ERRNO"), listenerMetadata="x"),
    ],
    ids=[
        "errnoRet of ALLOW",
        "errnoRet of 4096",
        "defaultErrnoRet of ALLOW",
        "no default",
        "metadata without a listener",
    ],
)
def test_create_refuses_what_the_specification_forbids(box, bad):
    box.set("linux.seccomp", bad)
    box.create().fails()
