"""A user who is not root, on a machine with a service manager of the user's own."""

import pytest

from harness.facts import Facts
from harness.person import Person

pytestmark = pytest.mark.guest("a user with subordinate ids and a service manager")


@pytest.fixture
def person(binary, template):
    with Person(binary, template) as made:
        yield made
        left = made.runtime("list", "-q").check().out
        assert left == "", "containers left"


def test_a_user_runs_a_container_as_its_root(person):
    person.config["process"]["args"] = ["/probe"]
    facts = Facts(person.run().check().json)
    assert facts["uids"] == [0, 0, 0]


def test_the_files_that_a_users_container_makes_are_the_users(person):
    person.config["process"]["args"] = ["/bin/sh", "-c", "echo >/made"]
    person.run().check()
    about = (person.bundle / "rootfs/made").stat()
    assert (about.st_uid, about.st_gid) == (person.uid, person.gid)


def test_the_exit_status_of_a_users_container_is_its_programs(person):
    person.config["process"]["args"] = ["/bin/sh", "-c", "exit 42"]
    assert person.run().code == 42


SCOPED = ("--systemd-cgroup",)


@pytest.fixture
def scoped(person):
    """A person whose container is to be in a scope, and can tell in which."""
    namespaces = person.config["linux"]["namespaces"]
    person.config["linux"]["namespaces"] = [n for n in namespaces if n["type"] != "cgroup"]
    person.config["linux"]["cgroupsPath"] = "user.slice:tconf:box"
    manager = f"/user.slice/user-{person.uid}.slice/user@{person.uid}.service"
    person.scope = f"0::{manager}/user.slice/tconf-box.scope"
    return person


def test_a_users_container_is_in_a_scope_of_the_users_own_systemd(scoped):
    scoped.config["process"]["args"] = ["/bin/sh", "-c", "cat /proc/self/cgroup"]
    assert scoped.run(options=SCOPED).check().out.strip() == scoped.scope


def test_exec_is_in_the_users_scope_too(scoped):
    scoped.config["process"]["args"] = ["/bin/sh", "-c", "exec cat"]
    scoped.save()
    script = """
        # A FIFO that somebody has open for writing: cat waits.
        mkfifo $1/open
        exec 3<>$1/open
        tare="$0 --root $1/state"
        $tare --systemd-cgroup run --bundle $1/bundle --detach box <$1/open >/dev/null 2>&1
        $tare exec box /bin/sh -c "cat /proc/self/cgroup"
        $tare delete --force box
    """
    said = scoped.call("/bin/sh", "-c", script, scoped.binary, scoped.directory).check()
    assert said.out.strip() == scoped.scope


@pytest.mark.tare("tells what is missing")
def test_without_a_bus_a_users_scope_is_refused(scoped):
    scoped.config["process"]["args"] = ["/bin/sh", "-c", "true"]
    scoped.save()
    words = ("env", "-u", "XDG_RUNTIME_DIR", "-u", "DBUS_SESSION_BUS_ADDRESS", scoped.binary)
    state = ("--root", scoped.directory / "state", *SCOPED)
    said = scoped.call(*words, *state, "run", "--bundle", scoped.bundle, "box").fails().said
    assert "XDG_RUNTIME_DIR" in said
