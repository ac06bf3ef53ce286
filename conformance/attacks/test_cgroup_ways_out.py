"""Ways out of the cgroup of a container: by what is mounted in it, and by paths of its caller's."""

import os
import pwd
import re

import pytest

from harness import contained, fired_if, host

A_12 = pytest.mark.attack("A-12", "CVE-2023-25809")
CALLER = pwd.getpwnam("games")
# Makes a cgroup, and moves itself, wherever there is one that may be written to. What is not there
# is a cgroup that the test has looked up under the name that the container has for it.
ESCAPES = """\
for place in /sys/fs/cgroup /sys/fs/cgroup/{inner}; do
  mkdir $place/escaped && echo escaped
  (echo 0 > $place/cgroup.procs) && echo moved
done 2> /dev/null
true"""


def mounting_cgroups(box, inner, *options):
    box.bundle.without_namespace("cgroup")
    # A sysfs is for a user namespace that has a network namespace of its own.
    box.config["mounts"] = [m for m in box.config["mounts"] if m["destination"] != "/sys"]
    words = ["nosuid", "noexec", "nodev", *options]
    box.bundle.mount("/sys/fs/cgroup", "cgroup", "cgroup", words)
    box.sh(ESCAPES.format(inner=inner))


def mapped(box, uid, gid, size):
    box.bundle.namespace("user")
    for which, number in (("uid", uid), ("gid", gid)):
        box.set(f"linux.{which}Mappings", [{"containerID": 0, "hostID": number, "size": size}])


def escapes(box):
    """Runs it; raises Fired if anything was written to the host's cgroups."""
    before = set(host.cgroups())
    result = box.run()
    made = [name for name in host.cgroups() if name.endswith("escaped") and name not in before]
    for name in made:
        (host.CGROUPS / name).rmdir()
    fired_if(made, f"made: {made}")
    contained(result, lambda: result.out == "")


@A_12
@pytest.mark.parametrize("own", [True, False], ids=["user-namespace", "root"])
def test_a_read_only_cgroup_mount_without_a_namespace_is_read_only(box, own):
    mounting_cgroups(box, box.id, "ro")
    if own:
        # Its root is the owner of the cgroups, as a user is of those that are delegated.
        mapped(box, 0, 0, 65536)
    escapes(box)


@pytest.fixture
def delegated(box):
    """A cgroup that belongs to a user who is not root, in which the runtime is called as that user."""
    place = host.CGROUPS / "delegated"
    for name in (place, place / "caller"):
        name.mkdir()
        for file in (name, *(name / f"cgroup.{what}" for what in ("procs", "subtree_control"))):
            os.chown(file, CALLER.pw_uid, CALLER.pw_gid)
    enter = f"echo 0 > {place}/caller/cgroup.procs; exec setpriv --reuid={CALLER.pw_uid}"
    enter += f' --regid={CALLER.pw_gid} --clear-groups "$@"'
    box.runtime.wrapper = ("/bin/sh", "-c", enter, "sh")
    for path, names, files in os.walk(box.directory):
        for name in (".", *names, *files):
            os.chown(os.path.join(path, name), CALLER.pw_uid, CALLER.pw_gid, follow_symlinks=False)
    yield place
    box.clear()
    box.runtime.wrapper = ()
    host.kill_cgroups([name for name in host.cgroups() if name.startswith("delegated")])


@A_12
def test_a_container_of_a_user_does_not_write_to_the_cgroups_that_are_the_users(box, delegated):
    mounting_cgroups(box, delegated.name, "ro")
    mapped(box, CALLER.pw_uid, CALLER.pw_gid, 1)
    box.config["mounts"] = [m for m in box.config["mounts"] if m["type"] != "devpts"]
    box.set("linux.cgroupsPath", f"/{delegated.name}/{box.id}")
    escapes(box)


def cgroup_of(pid):
    return re.search(r"0::(.*)\n", open(f"/proc/{pid}/cgroup", encoding="utf-8").read())[1]


ELSEWHERE = ["../{other}", "/../{other}", "below/../../{other}", "/{other}"]


@pytest.mark.attack("A-28")
@pytest.mark.parametrize("path", ELSEWHERE)
def test_exec_leaves_the_cgroup_of_the_container_by_no_path(box, path):
    other = box.sibling("other")
    other.hold()
    box.hold()
    place = host.CGROUPS / cgroup_of(box.pid).lstrip("/")
    (place / "below").mkdir()
    named = os.path.relpath(cgroup_of(other.pid), os.path.dirname(cgroup_of(box.pid)))
    flags = ["--cgroup", path.format(other=named)]
    result = box.exec("/bin/cat", "/proc/self/cgroup", flags=flags)
    contained(result, lambda: ".." not in result.out)


@pytest.mark.attack("A-28")
@pytest.mark.parametrize("path", ["../outside", "a/../../outside", "/../outside"])
def test_an_annotation_delegates_no_cgroup_but_one_below_the_containers(box, path):
    box.set("linux.cgroupsPath", f"/{box.id}")
    box.set("annotations", {"run.oci.delegate-cgroup": path})
    box.args("/probe", "hold")
    created = box.create()
    if created.code == 0:
        found = cgroup_of(box.pid)
        fired_if(not f"{found}/".startswith(f"/{box.id}/"), f"it is in {found}")
    else:
        contained(created, bool)
