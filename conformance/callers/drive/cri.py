"""The Kubernetes container runtime interface of containerd, as kubelet speaks it: gRPC on its socket.

Messages are written from dicts by the numbers of their fields (k8s.io/cri-api, runtime/v1/api.proto),
so that no generated code is needed.
"""

import itertools
import re

from harness import events

try:
    import grpc
except ImportError:  # Debian's python3-grpcio
    grpc = None

SERVICE = "/runtime.v1.RuntimeService/"
NODE, POD, CONTAINER = 2, 0, 1  # NamespaceMode
RUNNING, EXITED = 1, 2  # ContainerState
VARINT, BYTES = 0, 2  # wire types

# Names of fields to (number, what is in it); a string is one that repeats or a map.
MAP = {"key": 1, "value": 2}
RESOURCES = {"cpu_shares": 3, "memory_limit_in_bytes": 4, "oom_score_adj": 5}
OPTIONS = {
    "network": 1, "pid": 2, "ipc": 3,
    "userns_options": (5, {"mode": 1, "uids": (2, {"host_id": 1, "container_id": 2, "length": 3}),
                           "gids": (3, {"host_id": 1, "container_id": 2, "length": 3})}),
}
SANDBOX = {
    "metadata": (1, {"name": 1, "uid": 2, "namespace": 3, "attempt": 4}),
    "hostname": 2,
    "log_directory": 3,
    "linux": (8, {"cgroup_parent": 1, "security_context": (2, {"namespace_options": (1, OPTIONS)})}),
}
CONTAINER_CONFIG = {
    "metadata": (1, {"name": 1, "attempt": 2}),
    "image": (2, {"image": 1}),
    "command": 3,
    "args": 4,
    "working_dir": 5,
    "envs": (6, MAP),
    "mounts": (7, {"container_path": 1, "host_path": 2, "readonly": 3, "propagation": 5,
                   "recursive_read_only": 8}),
    "log_path": 11,
    "tty": 14,
    "linux": (15, {
        "resources": (1, RESOURCES),
        "security_context": (2, {
            "capabilities": (1, {"add": 1, "drop": 2}),
            "privileged": 2,
            "namespace_options": (3, OPTIONS),
            "run_as_user": (5, {"value": 1}),
            "readonly_rootfs": 7,
            "no_new_privs": 11,
        }),
    }),
}


def varint(number):
    """A number in the form of the wire; a negative one has ten bytes."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode(message, fields):
    """A message as bytes."""
    out = b""
    for name, value in message.items():
        number, inner = fields[name] if isinstance(fields[name], tuple) else (fields[name], None)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, (bool, int)):
                out += varint(number << 3 | VARINT) + varint(int(one))
                continue
            data = encode(one, inner) if inner else str(one).encode()
            out += varint(number << 3 | BYTES) + varint(len(data)) + data
    return out


def read_varint(data, at):
    number = 0
    for shift in itertools.count(0, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at


def decode(data):
    """Field numbers to the list of their values: numbers, or bytes."""
    found, at = {}, 0
    while at < len(data):
        key, at = read_varint(data, at)
        if key & 7 == VARINT:
            value, at = read_varint(data, at)
        else:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


class Refused(Exception):
    """What containerd answered in place of a result."""


class Cri:
    """Calls of kubelet's."""

    def __init__(self, socket, handler):
        self.socket, self.handler = socket, handler
        self.serial = itertools.count(1)
        self.channel = None
        self.connect()

    def connect(self):
        """Connects anew, as to a daemon that is another one."""
        if self.channel:
            self.channel.close()
        self.channel = grpc.insecure_channel(f"unix://{self.socket}")

    def call(self, name, message, fields):
        method = self.channel.unary_unary(SERVICE + name)
        try:
            return decode(method(encode(message, fields), timeout=6 * events.patience))
        except grpc.RpcError as error:
            raise Refused(error.details()) from None

    def can(self, feature):
        """Whether containerd offers a feature with the runtime; an old one tells of none."""
        number = {"recursive_read_only_mounts": 1, "user_namespaces": 2}[feature]
        for handler in map(decode, self.call("Status", {}, {}).get(3, [])):
            if handler.get(1, [b""])[0].decode() == self.handler:
                return bool(decode(handler.get(2, [b""])[0]).get(number, [0])[0])
        return False

    @property
    def version(self):
        """That of containerd, as numbers."""
        said = self.call("Version", {}, {})[3][0].decode()
        return tuple(int(number) for number in re.findall(r"\d+", said)[:3])

    def sandbox(self, directory, options=None, cgroup_parent=""):
        """Runs a pod; returns its id and its config. It has the host's network unless told."""
        context = {"namespace_options": {"network": NODE, **(options or {})}}
        number = next(self.serial)
        config = {
            "metadata": {"name": f"pod{number}", "uid": f"u{number}", "namespace": "tconf"},
            "log_directory": str(directory),
            "linux": {"cgroup_parent": cgroup_parent, "security_context": context},
        }
        message = {"config": config, "handler": self.handler}
        said = self.call("RunPodSandbox", message, {"config": (1, SANDBOX), "handler": 2})
        return said[1][0].decode(), config

    def create(self, pod, image, command, security=None, **more):
        """Makes a container in a pod; returns its id."""
        number = next(self.serial)
        config = {
            "metadata": {"name": f"c{number}"},
            "image": {"image": image},
            "command": list(command),
            "log_path": f"c{number}.log",
            **more,
        }
        context = {"namespace_options": {"network": NODE}, **(security or {})}
        config["linux"] = {"security_context": context, **more.get("linux", {})}
        message = {"pod": pod[0], "config": config, "sandbox": pod[1]}
        fields = {"pod": 1, "config": (2, CONTAINER_CONFIG), "sandbox": (3, SANDBOX)}
        return self.call("CreateContainer", message, fields)[1][0].decode(), f"c{number}.log"

    def simple(self, name, identity, **more):
        """A call that takes an id, and perhaps a number as its second field."""
        return self.call(name, {"id": identity, **more}, {"id": 1, "timeout": 2})

    def status(self, identity):
        """The fields of ContainerStatus by their numbers: 3 is the state, 7 the exit code."""
        return decode(self.simple("ContainerStatus", identity)[1][0])

    def state(self, identity):
        return self.status(identity).get(3, [0])[0]

    def usage(self, identity):
        """The nanoseconds of processors that a container has used, by ContainerStats."""
        stats = decode(self.call("ContainerStats", {"id": identity}, {"id": 1})[1][0])
        used = decode(decode(stats[2][0]).get(2, [b""])[0]) if 2 in stats else {}
        return used.get(1, [0])[0]

    def exec(self, identity, *command):
        """ExecSync: (exit code, output, errors)."""
        message = {"id": identity, "cmd": list(command), "timeout": 30}
        said = self.call("ExecSync", message, {"id": 1, "cmd": 2, "timeout": 3})
        code = said.get(3, [0])[0]
        return code, said.get(1, [b""])[0].decode(), said.get(2, [b""])[0].decode()

    def update(self, identity, **resources):
        message = {"id": identity, "linux": resources}
        self.call("UpdateContainerResources", message, {"id": 1, "linux": (2, RESOURCES)})

    def remove_all(self):
        """Stops and removes every pod."""
        for pod in self.call("ListPodSandbox", {}, {}).get(1, []):
            identity = decode(pod)[1][0].decode()
            self.simple("StopPodSandbox", identity)
            self.simple("RemovePodSandbox", identity)
