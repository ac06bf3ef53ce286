"""process.apparmorProfile with profiles that are loaded; tare-test is of guest/setup."""

import pytest

pytestmark = [
    pytest.mark.guest("AppArmor with a profile of the tests"),
    pytest.mark.row("process.apparmorProfile"),
]
stacked = pytest.mark.peer(crun="Debian's own profile of crun stays below it")
CURRENT = "cat /proc/self/attr/apparmor/current"


@stacked
def test_the_program_is_confined_by_the_profile(box):
    box.set("process.apparmorProfile", "tare-test")
    box.sh(CURRENT)
    assert box.run().check().out == "tare-test (enforce)\n"


def test_the_profile_denies_what_it_says(box):
    box.set("process.apparmorProfile", "tare-test")
    box.sh("echo >/tmp/allowed && echo written; echo >/tmp/forbidden || echo denied")
    assert box.run().check().out == "written\ndenied\n"


@stacked
def test_the_profile_holds_with_no_new_privileges_and_for_an_ordinary_user(box):
    box.set("process.apparmorProfile", "tare-test")
    box.set("process.user", {"uid": 1000, "gid": 1000})
    box.set("process.noNewPrivileges", True)
    box.sh(CURRENT)
    assert box.run().check().out == "tare-test (enforce)\n"


def test_exec_has_the_profile_of_the_config_or_of_its_flag(box):
    box.set("process.apparmorProfile", "tare-test")
    box.hold()
    words = CURRENT.split()
    assert box.exec(*words).check().out == "tare-test (enforce)\n"
    flags = ["--apparmor", "unconfined"]
    assert box.exec(*words, flags=flags).check().out == "unconfined\n"


@pytest.mark.peer(runc="names the file only", crun="names the file only")
def test_a_profile_that_is_not_loaded_is_refused_by_name(box):
    box.set("process.apparmorProfile", "nonesuch")
    box.sh("echo started")
    result = box.run().fails()
    assert "apparmor" in result.said
    assert "nonesuch" in result.said
    assert result.out == ""
