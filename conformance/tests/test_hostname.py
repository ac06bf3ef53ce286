"""hostname and domainname."""

import socket

import pytest


def test_the_names_are_those_of_the_config(box):
    box.set("hostname", "a-name.of_mine")
    box.set("domainname", "domain.example")
    box.args("/bin/sh", "-c", "hostname; cat /proc/sys/kernel/domainname")
    assert box.run().check().out.split()[0] == "a-name.of_mine"


@pytest.mark.peer(runc="1.1 does not know the field")
def test_the_domain_is_the_one_of_the_config(box):
    box.set("domainname", "domain.example")
    assert box.facts()["domainname"] == "domain.example"


def test_an_execd_process_has_the_same_name(box):
    box.hold()
    assert box.exec_facts()["hostname"] == "box"


def test_the_host_keeps_its_own_name(box):
    before = socket.gethostname()
    box.hold()
    assert socket.gethostname() == before != "box"


def test_without_a_hostname_the_container_has_a_copy_of_the_hosts(box):
    box.bundle.unset("hostname")
    assert box.facts()["hostname"] == socket.gethostname()


@pytest.mark.parametrize(
    "field",
    ["hostname", pytest.param("domainname", marks=pytest.mark.peer(runc="1.1 ignores the field"))],
)
def test_a_name_without_a_uts_namespace_of_its_own_is_refused(box, field):
    before = socket.gethostname()
    box.bundle.unset("hostname")
    box.bundle.without_namespace("uts")
    box.set(field, "taken")
    result = box.create()
    assert result.code > 0 and "uts" in result.err.lower(), result
    assert socket.gethostname() == before
    assert not box.runtime.ids()


@pytest.mark.peer(crun="words its errors in its own way")
def test_the_error_without_a_uts_namespace_is_the_one_that_is_known(box):
    box.bundle.without_namespace("uts")
    said = box.create().fails().said
    assert "unable to set hostname without a private UTS namespace" in said


def test_a_name_of_sixty_four_characters_is_the_longest(box):
    box.set("hostname", "h" * 64)
    assert box.facts()["hostname"] == "h" * 64


@pytest.mark.parametrize("field", ["hostname", "domainname"])
def test_a_longer_one_is_an_error(box, field, kind):
    if (kind, field) == ("runc", "domainname"):
        pytest.skip("runc 1.1 does not know the field")
    box.set(field, "h" * 65)
    result = box.create()
    assert result.code > 0 and result.err.strip(), result
    assert not box.runtime.ids()
