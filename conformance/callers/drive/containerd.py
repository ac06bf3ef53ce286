"""containerd with the runc shim, on which ctr calls the runtime under test."""

import os
import pathlib
import shutil
import subprocess

from drive import cri, image, place
from harness import events, host
from harness.runtime import ENVIRONMENT, Runtime

CONTAINERD = shutil.which("containerd", path="/usr/bin:/usr/local/bin")

KUBELET = "k8s.io"  # the namespace of what comes by the CRI
# What packaging/containerd.toml.in says, copied into that of a containerd whose directories and socket are all its own.
CONF = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
oom_score = 0
disabled_plugins = [{disabled}]
[grpc]
address = "{socket}"
[ttrpc]
address = "{socket}.ttrpc"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
{poor}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{directory}/cni/bin"
conf_dir = "{directory}/cni/net.d"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "overlayfs"
default_runtime_name = "{kind}"
{packaged}
"""


# Root here may not lower its own score for the OOM killer, and the tree may have no controllers.
POOR = "restrict_oom_score_adj = true\ndisable_cgroup = true"

# A network of pods that is none, so that it takes no program of others: the namespace stays as it was
# made, and an address is told that nobody has. The loopback device is asked for by containerd.
CNI = """\
#!/bin/sh
case $CNI_COMMAND in
  ADD) echo '{"cniVersion": "0.4.0", "interfaces": [{"name": "'$CNI_IFNAME'", "sandbox": "'$CNI_NETNS'"}],
              "ips": [{"version": "4", "interface": 0, "address": "10.9.0.2/24"}]}' ;;
  VERSION) echo '{"cniVersion": "0.4.0", "supportedVersions": ["0.3.1", "0.4.0", "1.0.0"]}' ;;
esac
"""
CNI_CONF = '{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "nothing"}]}'


class Containerd:
    """The daemon, and calls of ctr in a namespace of containers."""

    def __init__(self, directory, binary, namespace="tconf", systemd=False):
        self.directory, self.namespace = pathlib.Path(directory), namespace
        disabled = [] if namespace == KUBELET else ["io.containerd.grpc.v1.cri"]
        self.directory.mkdir()
        (self.directory / "calls").mkdir()
        self.runtime = Runtime(binary, self.directory / "calls")
        self.socket = f"{self.directory}/s"
        self.daemon = None
        # Every container of ctr has a share of the processor, where there is a controller or not.
        self.flags = [] if "cpu" in place.controllers() else ["--cpu-shares", "0"]
        packaged = place.packaged("containerd.toml", self.runtime).split("version = 2\n")[-1]
        if systemd:
            packaged = packaged.replace("SystemdCgroup = false", "SystemdCgroup = true")
        (self.directory / "config.toml").write_text(
            CONF.format(
                directory=self.directory,
                socket=self.socket,
                kind=self.runtime.kind,
                packaged=packaged,
                pause=image.PAUSE,
                poor="" if events.IN_GUEST else POOR,
                disabled=", ".join(f'"{name}"' for name in disabled),
            )
        )

        self.write_network()

    def write_network(self):
        """The files that containerd makes the network of a pod with."""
        programs, confs = self.directory / "cni/bin", self.directory / "cni/net.d"
        programs.mkdir(parents=True)
        confs.mkdir()
        for name in ("nothing", "loopback"):
            (programs / name).write_text(CNI)
            (programs / name).chmod(0o755)
        (confs / "10-none.conflist").write_text(CNI_CONF)

    def begin(self):
        """Starts the daemon; returns when it answers."""
        log = open(self.directory / "log", "ab")
        with log:
            self.daemon = subprocess.Popen(
                [CONTAINERD, "--config", self.directory / "config.toml"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                start_new_session=True,  # containers outlive it
            )
        place.until(lambda: self("version").code == 0, "answer of containerd")

    def end(self):
        """Ends the daemon alone."""
        self.daemon.terminate()
        self.daemon.wait(2 * events.patience)

    def popen(self, *args, **more):
        words = ["ctr", "--address", self.socket, "--namespace", self.namespace]
        return self.runtime.popen(argv=[*words, *args], cwd="/", **more)

    def __call__(self, *args, **more):
        return self.popen(*args, **more).wait(6 * events.patience)

    def words(self, name, *args, flags=(), more=()):
        """`ctr run FLAGS IMAGE NAME args...`"""
        own = ["--runc-binary", self.runtime.binary, *self.flags, *flags]
        return ["run", *more, *own, image.NAME, name, *args]

    def run(self, *args, flags=(), name="box", **more):
        words = self.words(name, *args, flags=flags, more=["--rm"])
        result = self(*words, **more)
        if result.code == 0 and not result.out:
            # With runc too, ctr loses one output in some hundred of a program that ends at once.
            result = self(*words, **more)
        return result

    def sh(self, script, flags=()):
        """What a shell script in a container says, that is to end well."""
        return self.run("/bin/sh", "-c", script, flags=flags).check().out

    def hold(self, name="held", flags=()):
        """A container that waits for SIGTERM."""
        self(*self.words(name, "/probe", "hold", flags=flags, more=["--detach"])).check()

    def exec(self, name, *args, flags=(), **more):
        return self("tasks", "exec", "--exec-id", f"x{os.urandom(4).hex()}", *flags, name, *args, **more)

    def status(self, name):
        """What containerd says of a task: RUNNING, STOPPED, PAUSED; empty when there is none."""
        for line in self("tasks", "list").check().out.splitlines()[1:]:
            words = line.split()
            if words[0] == name:
                return words[2]
        return ""

    def pid(self, name):
        for line in self("tasks", "list").check().out.splitlines()[1:]:
            words = line.split()
            if words[0] == name:
                return int(words[1])
        return None

    def load(self, archive):
        self("images", "import", archive).check()

    def remove(self, name):
        """Kills what runs, and removes the container."""
        self("tasks", "delete", "--force", name)
        self("containers", "delete", name)

    def clear(self):
        """Removes all containers, and says what stays behind."""
        place.show_end(self.directory / "log")
        for name in self("containers", "list", "--quiet").out.split():
            self.remove(name)
        # Newer ones leave the snapshot of a container that they then refuse (`--user nonesuch`).
        for line in self("snapshots", "list").out.splitlines():
            words = line.split()
            if words[-1:] == ["Active"]:
                self("snapshots", "remove", words[0])
        shims = place.processes_with(self.socket)
        place.await_ends([pid for pid in shims if pid != self.daemon.pid])
        state = pathlib.Path("/run/containerd/runc") / self.namespace
        left = [str(path) for path in state.glob("*") if path.name not in host.CACHES]
        tree = host.CGROUPS / self.namespace
        if tree.exists():
            left += [str(path) for path in tree.iterdir() if path.is_dir()]
            if not left:
                tree.rmdir()
        return left

    def leave(self):
        self("images", "remove", "--sync", image.NAME, image.PAUSE)
        self.end()
        place.await_ends(place.processes_with(str(self.directory)))
        host.unmount_below(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.rmtree(f"/run/containerd/runc/{self.namespace}", ignore_errors=True)


def make_kubelet(directory, binary, archive, systemd=False):
    """containerd with kubelet's interface, `cri`, and a directory for `logs`."""
    made = Containerd(directory, binary, KUBELET, systemd)
    made.begin()
    made.load(archive)
    made.logs = made.directory / "logs"
    made.logs.mkdir()
    made.cri = cri.Cri(made.socket, made.runtime.kind)
    return made
