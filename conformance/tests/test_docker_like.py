"""The config that Docker makes: what the container finds is compared, field by field, with what
runc gives it on the same bundle."""

import shutil

import pytest

from harness import docker, exec_calls, opening, run_calls
from harness.box import Box
from harness.facts import Facts

# What may differ from runc, and why. A key is a field of what `look` returns.
ALLOWED = {
    "status.NoNewPrivs": {},
    "mount /dev/mqueue source": {},
}

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


def sections(text):
    """The output of SCRIPT as a dict from section to text."""
    return dict(part.split("\n", 1) for part in text.split("== ")[1:])


def flatten(facts):
    """The fields to compare, by name."""
    found = {f"status.{name}": facts["status"].get(name) for name in FIELDS_OF_STATUS}
    for name in ("cwd", "umask", "groups", "env", "rlimits", "hostname", "domainname", "pid",
                 "ppid", "sid", "pgid", "securebits", "seccomp", "dumpable", "pdeathsig", "nice",
                 "personality", "scheduler", "ioprio", "blocked_signals", "ignored_signals",
                 "cgroup", "oom_score_adj"):
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
    found["order of mounts"] = [mount.target for mount in facts.mounts]
    return found


def look(box):
    """Everything that is compared, of a container run from Docker's bundle."""
    docker.dress(box)
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
def both(scratch, template, binary):
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
            found.append(look(box))
        finally:
            box.clear()
            box.scrub()
    return found
