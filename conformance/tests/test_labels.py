"""Security labels, and the session keyring, which one of them is for."""

import os
import pathlib

import pytest

from harness import attack, host
from harness.facts import Facts

APPARMOR = pathlib.Path("/sys/module/apparmor/parameters/enabled")
SELINUX = pathlib.Path("/sys/fs/selinux/enforce")

has_apparmor = APPARMOR.exists() and APPARMOR.read_text().startswith("Y")
has_selinux = SELINUX.exists()

with_apparmor = pytest.mark.skipif(not has_apparmor, reason="this machine has no AppArmor")
with_selinux = pytest.mark.skipif(not has_selinux, reason="this machine has no SELinux")
without_apparmor = pytest.mark.skipif(has_apparmor, reason="this machine has AppArmor")
without_selinux = pytest.mark.skipif(has_selinux, reason="this machine has SELinux")

CONTEXT = "system_u:system_r:container_t:s0:c1,c2"


@with_apparmor
@pytest.mark.row("process.apparmorProfile")
def test_the_program_runs_under_the_profile(box):
    box.set("process.apparmorProfile", "unconfined")
    box.args("/bin/cat", "/proc/self/attr/current")
    assert box.run().check().out.startswith("unconfined")


@with_selinux
@pytest.mark.row("process.selinuxLabel")
def test_the_program_runs_with_the_label(box):
    box.set("process.selinuxLabel", CONTEXT)
    box.args("/bin/cat", "/proc/self/attr/current")
    assert box.run().check().out.startswith(CONTEXT)


@without_apparmor
@pytest.mark.row("process.apparmorProfile")
@pytest.mark.peer(runc="says what the kernel said", crun="goes without")
def test_a_profile_without_apparmor_is_refused_by_name(box):
    box.set("process.apparmorProfile", "docker-default")
    result = box.create().fails()
    assert "apparmor failed to apply profile" in result.said
    assert "docker-default" in result.said
    assert box.runtime.ids() == []


@without_apparmor
@pytest.mark.row("process.apparmorProfile")
@pytest.mark.peer(runc="writes it although there is nobody who reads it", crun="fails")
def test_unconfined_is_what_a_machine_without_apparmor_has(box):
    box.set("process.apparmorProfile", "unconfined")
    box.args("/bin/true")
    box.run().check()


@without_selinux
@pytest.mark.row("process.selinuxLabel")
@pytest.mark.peer(crun="has other words")
def test_a_label_without_selinux_is_refused_in_the_words_of_runc(box):
    box.set("process.selinuxLabel", CONTEXT)
    result = box.create().fails()
    assert "selinux label is specified in config, but selinux is disabled" in result.said
    assert box.runtime.ids() == []


@without_selinux
@pytest.mark.row("linux.mountLabel")
@pytest.mark.peer(runc="says what the kernel said", crun="goes without")
def test_a_mount_label_without_selinux_is_refused_by_name(box):
    box.set("linux.mountLabel", CONTEXT)
    assert "mount label" in box.create().fails().said
    assert box.runtime.ids() == []


@pytest.mark.row("run.oci.mount_context_type")
@pytest.mark.peer(runc="does not know the annotation", crun="looks at it with SELinux only")
def test_a_context_type_that_mount_does_not_know_is_refused(box):
    box.set("annotations", {"run.oci.mount_context_type": "uid"})
    assert "invalid mount context type" in box.create().fails().said


@without_selinux
@pytest.mark.peer(crun="goes without")
def test_exec_refuses_a_label_that_the_machine_cannot_give(box):
    box.hold()
    for flags in (["--process-label", CONTEXT], ["--apparmor", "nonesuch"]):
        result = box.exec("/bin/true", flags=flags)
        assert result.code == 255 and result.err.strip(), result


@pytest.mark.row("keyring")
@pytest.mark.peer(crun="names it after the ID alone")
def test_the_session_keyring_is_named_after_the_container(box):
    name = box.facts()["session_keyring"]
    assert name.startswith("keyring;0;0;") and name.endswith(f";_ses.{box.id}")


@pytest.mark.row("keyring")
def test_the_session_keyring_goes_with_the_container(box):
    box.id = f"{box.id}-of-{os.getpid()}"  # no other session has the same
    box.hold()
    with open("/proc/keys", encoding="utf-8") as file:
        assert [line for line in file if box.id in line]
    box.stop()
    box.delete().check()
    assert attack.keyrings(box.id) == []


@pytest.mark.row("keyring")
@pytest.mark.peer(crun="leaves it as the kernel makes it")
def test_the_session_keyring_is_searchable_by_its_owner(box):
    permissions = box.facts()["session_keyring"].split(";")[3]
    assert int(permissions, 16) & 0x00080000


@pytest.mark.row("keyring")
@pytest.mark.peer(crun="does not join it")
def test_exec_joins_the_session_keyring_of_the_container(box):
    box.hold()
    first = Facts(box.exec("/probe").check().json)["session_keyring"]
    assert first.endswith(f";_ses.{box.id}")
    # One keyring and not one of the same name for each: the kernel counts them.
    named = [line for line in host_keys() if f"_ses.{box.id}:" in line]
    assert len(named) == 1, named


def host_keys():
    return pathlib.Path("/proc/keys").read_text().splitlines()


@pytest.mark.row("keyring")
def test_exec_makes_no_keyring_where_create_was_told_not_to(box):
    def join():
        keyctl, join_session_keyring = 250, 1
        assert host.LIBC.syscall(keyctl, join_session_keyring, b"the-callers") > 0

    box.hold("--no-new-keyring")
    found = box.exec_facts(preexec_fn=join)["session_keyring"]
    assert found.endswith(";the-callers")
