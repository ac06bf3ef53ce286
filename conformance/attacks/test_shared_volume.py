"""A volume that two containers share: one arranges it while the other's mounts are made."""

import pytest

from harness import contained, fired_if


@pytest.fixture
def volume(box):
    """A directory that is bound at /vol, and belongs to an attacker as well."""
    made = box.path("volume")
    made.mkdir()
    box.bundle.mount("/vol", "bind", made, ["bind"])
    return made


LINKS = {
    "absolute": "{canary}",
    "upwards": "../../../../../../../../../..{canary}",
    "to the root": "/",
}


@pytest.mark.attack("A-08", "CVE-2021-30465", "CVE-2015-1335")
@pytest.mark.parametrize("link", LINKS)
def test_a_mount_below_a_link_of_a_shared_volume_is_within_the_container(
    box, canary, volume, link
):
    (volume / "a").symlink_to(LINKS[link].format(canary=canary.path))
    rest = f"{canary.path}/b" if link == "to the root" else "/b"
    box.bundle.mount(f"/vol/a{rest}", "tmpfs", "tmpfs", ["size=64k"])
    box.args("/bin/true")
    contained(box.run(timeout=15), lambda: canary.unchanged)
    fired_if((canary.path / "b").exists(), "a directory was made outside")
