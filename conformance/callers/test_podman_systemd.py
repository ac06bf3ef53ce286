"""podman with a service manager: units that it writes, timers that it sets, scopes that it asks for."""

import pathlib

import pytest

from drive import image, place

pytestmark = pytest.mark.guest("a service manager")


@pytest.fixture
def managed(podman):
    if podman.cgroups != "systemd":
        pytest.skip("by the systemd driver only")
    return podman


def systemctl(podman, *words):
    """A call of the service manager of whoever calls podman."""
    user = ["--user"] if podman.rootless else []
    argv, environment = podman.person.wrap(["systemctl", *user, *words], {})
    return podman.runtime.popen(argv=argv, env=environment, cwd="/").wait(120)


@pytest.fixture
def unit_directory(managed):
    """Where units go that last as long as the machine."""
    if not managed.rootless:
        yield pathlib.Path("/run/systemd/system")
        return
    path = managed.person.runtime_dir / "systemd/user"
    path.mkdir(parents=True, exist_ok=True)
    yield path


def test_a_container_is_in_a_scope_of_its_own(managed):
    made = managed.hold()
    pid = managed.inspect("held", "{{.State.Pid}}")
    told = pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip()
    assert f"libpod-{made}.scope" in told
    assert managed("exec", "held", "/bin/echo", "within").check().out == "within\n"


def test_limits_are_those_of_the_scope(managed):
    said = managed.sh("cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max",
                      ["--memory", "64m", "--pids-limit", "100"])
    assert said == f"{64 << 20}\n100\n"


def test_a_generated_unit_starts_and_stops_it(managed, unit_directory):
    managed("create", "--name", "gen", image.NAME, "/probe", "hold").check()
    text = managed("generate", "systemd", "--name", "gen").check().out
    lines = "".join(f'Environment="{k}={v}"\n' for k, v in managed.environment.items())
    unit = unit_directory / "container-gen.service"
    unit.write_text(text.replace("[Service]\n", f"[Service]\n{lines}"))
    managed.person.own(unit)
    try:
        systemctl(managed, "daemon-reload").check()
        systemctl(managed, "start", unit.name).check()
        assert systemctl(managed, "is-active", unit.name).out == "active\n"
        assert managed.inspect("gen", "{{.State.Running}}") == "true"
        systemctl(managed, "stop", unit.name).check()
        assert managed.inspect("gen", "{{.State.Running}}") == "false"
    finally:
        unit.unlink()
        systemctl(managed, "daemon-reload")


@pytest.fixture
def known_to_timers(managed):
    """podman's timers start it without its caller's environment, which says here where containers are."""
    told = {name: managed.environment[name] for name in ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")}
    systemctl(managed, "set-environment", *(f"{name}={value}" for name, value in told.items())).check()
    yield
    systemctl(managed, "unset-environment", *told).check()


@pytest.mark.usefixtures("known_to_timers")
def test_a_timer_asks_how_it_is(managed):
    # One check takes some seconds in the guest; every second, they would leave no time for anything else.
    flags = ["--health-cmd", "test -e /well", "--health-interval", "10s", "--health-retries", "1"]
    managed.hold("ill", flags)
    health = "{{.State.Health.Status}}"
    place.until(lambda: managed.inspect("ill", health) == "unhealthy", "illness")
    managed("exec", "ill", "/bin/touch", "/well").check()
    place.until(lambda: managed.inspect("ill", health) == "healthy", "health")


@pytest.mark.parametrize("profile", ["tare-test", "unconfined"])
def test_a_profile_of_apparmor_holds(managed, profile):
    if managed.rootless:
        pytest.skip("podman of a user knows no profiles")
    flags = ["--security-opt", f"apparmor={profile}"]
    said = managed.sh("cat /proc/self/attr/current", flags)
    assert said.startswith(profile)
