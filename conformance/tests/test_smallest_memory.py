"""The smallest memory.max under which a container runs: what a runtime takes of its containers' memory."""

import shutil

import pytest

from harness.smallest import smallest


@pytest.mark.tare("measures the others with it")
@pytest.mark.guest("needs the memory controller, and the peers of today")
def test_no_runtime_starts_a_container_in_less_memory(binary, scratch, template, record_property):
    found = {"tare": smallest(binary, scratch, template)[0]}
    for peer in ("crun", "runc"):
        path = shutil.which(peer, path="/usr/sbin:/usr/bin")
        if path:
            found[peer] = smallest(path, scratch, template)[0]
    said = ", ".join(f"{name} {limit >> 10} KiB" for name, limit in found.items())
    record_property("smallest memory.max of `run`", said)
    assert found["tare"] == min(found.values()), said
