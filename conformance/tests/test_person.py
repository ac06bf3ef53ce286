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
