"""The config that Docker makes: what the container finds is compared, field by field, with what
runc gives it on the same bundle."""

import os
import shutil
import stat
from fnmatch import fnmatchcase

import pytest

from harness import docker, exec_calls, host, making_node, opening, run_calls
from harness.box import Box
from harness.facts import Facts

MASKED_FILES = "mount /proc/[!afsb]*"  # keys, kcore, timer_list ..., and none of the directories

# What may differ from runc, for which runtimes, and why. Patterns are of the fields that `look`
# returns; those of an exec'd process have `exec ` before them, and the same rules.
ALLOWED = (
    ("exec p*id", "any", "pids depend on how many processes a runtime makes in the pid namespace"),
    ("exec sid", "any", "so does the number of the session"),
    ("exec status.*gid", "any", "and that of the thread group"),
    ("exec status.NStgid", "any", "and that of the thread group"),
    ("exec status.Pid", "any", "and the pid in the status file"),
    (
        f"{MASKED_FILES} *",
        "any",
        "a mask is a /dev/null; whose, the container's or the host's, is"
        " the runtime's choice, and CVE-2025-31133 speaks for the host's",
    ),
    (
        "mount /proc/acpi super options",
        "any",
        "the mask of a directory is an empty read-only tmpfs"
        " of any size, with the flag on the mount or on the file system",
    ),
    ("mount /sys/firmware super options", "any", "the same"),
    (
        "mount /proc/acpi options",
        "tare",
        "the mask has nosuid, nodev and noexec besides ro: an empty directory needs none of the three",
    ),
    ("mount /sys/firmware options", "tare", "the same"),
    ("mount /proc/acpi root", "any", "the same, when one tmpfs serves all masks"),
    ("mount /sys/firmware root", "any", "the same"),
    ("order of mounts", "any", "whether masks or read-only paths come first cannot be told"),
    (
        "mount /sys super options",
        "any",
        "ro belongs to the mount; on the file system it would hold"
        " for every mount of the same network namespace's sysfs",
    ),
    ("mount /sys/fs/cgroup source", "crun", "names the source by the type"),
    ("mount / options", "crun", "binds the rootfs without the flags of its file system"),
    ("mount /etc/* options", "crun", "binds without the flags of the source's file system"),
    ("mount /proc/* options", "crun", "read-only paths lose nosuid, nodev and noexec"),
    ("dev", "crun", "makes /dev/core where the kernel has no /proc/kcore"),
    ("links", "crun", "makes /dev/core where the kernel has no /proc/kcore"),
    ("exec groups", "crun", "1.8 forgets the groups of the config in exec"),
    ("exec status.Groups", "crun", "1.8 forgets the groups of the config in exec"),
)

FIELDS_OF_STATUS = (
    "Umask State Tgid NStgid Pid PPid Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs"
    " Seccomp Seccomp_filters SigIgn SigBlk Cpus_allowed_list Mems_allowed_list Threads"
).split()

SCRIPT = r"""
section() { echo "== $1"; }
section id; id
section ulimit; ulimit -a; ulimit -H -a
section names; hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf
section cgroup; cat /proc/self/cgroup; ls /sys/fs/cgroup | sort
section dev; cd /dev; stat -c '%n %F %a %u:%g %t:%T' * pts/* | grep -v '^fd/'
section links; for n in /dev/*; do test -L $n && echo "$n $(readlink $n)"; done
section roots; stat -c '%n %a %u:%g' / /dev /dev/pts /dev/shm /dev/mqueue /proc /sys /sys/fs/cgroup
section masked
for n in acpi asound kcore keys latency_stats timer_list timer_stats sched_debug scsi; do
  test -e /proc/$n || continue
  echo "$n $(stat -c '%F %t:%T' /proc/$n) $(ls -A /proc/$n 2>&1 | head -c 100 | wc -c) $(head -c 9 /proc/$n 2>/dev/null | wc -c)"
done
ls /sys/firmware
section readonly
for n in bus fs irq sys/kernel sys/net; do touch /proc/$n/x 2>&1; done
echo 0 2>&1 > /proc/sysrq-trigger
section sysctl; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range
section net; cat /proc/net/dev | sed 's/:.*//'
section self; pwd; env | sort; ls -l /proc/self/fd | wc -l; cat /proc/self/oom_score_adj
"""


def allowed(field, kind):
    """Whether there is a reason for which a field may differ from runc's."""
    bare = field.removeprefix("exec ")
    return any(
        kinds in ("any", kind) and (fnmatchcase(field, pattern) or fnmatchcase(bare, pattern))
        for pattern, kinds, _ in ALLOWED
    )


def sections(text):
    """The output of SCRIPT as a dict from section to text."""
    return dict(part.split("\n", 1) for part in text.split("== ")[1:])


def flatten(facts):
    """The fields to compare, by name."""
    found = {f"status.{name}": facts["status"].get(name) for name in FIELDS_OF_STATUS}
    for name in (
        "cwd",
        "umask",
        "groups",
        "env",
        "rlimits",
        "hostname",
        "domainname",
        "pid",
        "ppid",
        "sid",
        "pgid",
        "securebits",
        "seccomp",
        "dumpable",
        "pdeathsig",
        "nice",
        "personality",
        "scheduler",
        "ioprio",
        "blocked_signals",
        "ignored_signals",
        "cgroup",
        "oom_score_adj",
    ):
        found[name] = facts[name]
    found["fds"] = sorted(facts["fds"])
    # The scratch directory's device and path are those of the bundle, which is the same one.
    for mount in facts.mounts:
        about = f"mount {mount.target}"
        found[f"{about} kind"] = mount.kind
        found[f"{about} options"] = mount.options
        found[f"{about} propagation"] = [word.split(":")[0] for word in mount.propagation]
        found[f"{about} root"] = mount.root
        found[f"{about} source"] = mount.source
        found[f"{about} super options"] = mount.super_options
    found["set of mounts"] = sorted(mount.target for mount in facts.mounts)
    found["order of mounts"] = [mount.target for mount in facts.mounts]
    return found


def look(box, device_rules):
    """Everything that is compared, of a container run from Docker's bundle."""
    docker.dress(box)
    if not device_rules:
        box.bundle.unset("linux.resources")
    found = {}
    for section, text in sections_of(box).items():
        found[section] = text
    found.update(flatten(box.facts()))
    box.hold()
    found.update({f"exec {name}": value for name, value in flatten(box.exec_facts()).items()})
    return found


def sections_of(box):
    box.sh(SCRIPT)
    return sections(box.run().check().out)


@pytest.fixture(scope="module")
def both(scratch, template, binary, kind):
    """What the runtime under test and runc each make of the bundle."""
    runc = shutil.which("runc", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    if not runc:
        pytest.skip("no runc to compare with")
    if not docker.PROFILE.exists():
        pytest.skip(f"no list of system calls at {docker.PROFILE}")
    found = []
    for runtime in (binary, runc):
        # One place for both, for the sources of mounts tell it.
        box = Box(scratch / "docker", runtime, template, "docker")
        try:
            # crun raises RLIMIT_MEMLOCK for a device filter, which root may not do everywhere.
            found.append(look(box, device_rules=kind != "crun"))
        finally:
            box.clear()
            box.scrub()
    return found


AREAS = {
    "its process": (
        "status.",
        "cwd",
        "umask",
        "groups",
        "env",
        "rlimits",
        "pid",
        "ppid",
        "sid",
        "pgid",
        "securebits",
        "seccomp",
        "dumpable",
        "pdeathsig",
        "nice",
        "personality",
        "scheduler",
        "ioprio",
        "blocked_signals",
        "ignored_signals",
        "oom_score_adj",
        "fds",
        "id",
        "ulimit",
        "self",
    ),
    "its mounts": ("mount ", "order of mounts", "set of mounts", "roots", "masked", "readonly"),
    "its devices": ("dev", "links"),
    "its names": ("names", "hostname", "domainname", "net", "sysctl"),
    "its cgroup": ("cgroup",),
    "an exec'd process": ("exec status.", "exec "),
}


def belongs(field, area):
    """Whether a field is of an area; a prefix ends in a dot or a space, else it is a whole name."""
    return any(field == p or (p[-1] in ". " and field.startswith(p)) for p in AREAS[area])


@pytest.mark.parametrize("area", AREAS)
def test_the_container_agrees_with_the_one_of_runc_in(both, kind, area):
    ours, theirs = both
    fields = [field for field in sorted(ours.keys() | theirs.keys()) if belongs(field, area)]
    assert fields, "nothing was compared"
    differing = {
        field: (ours.get(field), theirs.get(field))
        for field in fields
        if ours.get(field) != theirs.get(field) and not allowed(field, kind)
    }
    assert not differing, "\n".join(f"{f}: {a!r}, runc: {b!r}" for f, (a, b) in differing.items())


def test_no_field_is_left_out_of_the_comparison(both):
    ours, theirs = both
    everything = ours.keys() | theirs.keys()
    assert not [f for f in everything if not any(belongs(f, area) for area in AREAS)]


@pytest.fixture
def parent():
    """The cgroup that all containers of Docker share; whether a runtime removes one is its own."""
    (host.CGROUPS / "docker").mkdir()


@pytest.fixture
def docker_box(parent, box, kind):
    if not docker.PROFILE.exists():
        pytest.skip(f"no list of system calls at {docker.PROFILE}")
    docker.dress(box)
    if kind == "crun":
        box.bundle.unset("linux.resources")
    return box


def test_the_capabilities_are_the_fourteen_of_docker(docker_box):
    wanted = set(docker_box.config["process"]["capabilities"]["bounding"])
    facts = docker_box.facts()
    assert len(wanted) == 14
    for which in ("bounding", "effective", "permitted"):
        assert facts.capabilities(which) == wanted
    for which in ("ambient", "inheritable"):
        assert not facts.capabilities(which)


def test_the_default_profile_allows_what_programs_do_and_refuses_what_administrators_do(docker_box):
    docker_box.args("/act")
    clone_newuser, clone_newns = 0x10000000, 0x20000
    allowed_calls = [
        ("getpid",),
        opening("/etc/passwd"),
        ("mkdirat", -100, "/made", 0o755),
        ("socket", 2, 1, 0),
        ("sched_yield",),
        ("umask", 0o22),
        ("personality", 0),
    ]
    refused = [
        ("unshare", clone_newuser),
        ("unshare", clone_newns),
        ("mount", None, "/", None, 32),
        ("bpf", 0, None, 0),
        ("add_key", "user", "a", "b", 1, -3),
        ("personality", 0x1234),
        ("setns", 0, 0),
        ("open_tree", -100, "/", 1),
    ]
    results = run_calls(docker_box, *allowed_calls, *refused)
    assert results[: len(allowed_calls)] == ["ok"] * len(allowed_calls)
    assert results[len(allowed_calls) :] == ["EPERM"] * len(refused)


def test_clone3_does_not_exist_so_that_libc_falls_back_to_clone(docker_box):
    assert run_calls(docker_box, ("clone3", None, 0)) == ["ENOSYS"]


def test_an_execd_process_is_under_the_same_profile(docker_box):
    docker_box.hold()
    assert exec_calls(docker_box, ("getpid",), ("unshare", 0x20000)) == ["ok", "EPERM"]


@pytest.mark.peer(crun="raises RLIMIT_MEMLOCK for its device filter, which root may not do here")
def test_devices_beyond_the_default_ones_are_refused(docker_box):
    docker.dress(docker_box)
    character = stat.S_IFCHR | 0o600
    calls = [
        making_node("/zero", character, os.makedev(1, 5)),
        opening("/zero"),
        opening("/dev/null"),
        making_node("/mem", character, os.makedev(1, 1)),
        opening("/mem"),
    ]
    assert run_calls(docker_box, *calls) == ["ok", "ok", "ok", "ok", "EPERM"]


def test_the_container_is_in_the_cgroup_of_its_config(docker_box):
    docker_box.hold()
    with open(f"/proc/{docker_box.pid}/cgroup", encoding="ascii") as file:
        assert file.read().splitlines()[-1] == "0::/docker/5f2c1e0d9b7a"
