"""What the probe printed from inside a container, with names in place of numbers."""

import dataclasses

CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE"
    " NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO"
    " SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME"
    " SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG"
    " WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
).split()

SETS = {
    "bounding": "CapBnd",
    "effective": "CapEff",
    "permitted": "CapPrm",
    "inheritable": "CapInh",
    "ambient": "CapAmb",
}


@dataclasses.dataclass
class Mount:
    """One line of mountinfo."""

    id: str
    parent: str
    device: str
    root: str
    target: str
    options: set
    propagation: list
    kind: str
    source: str
    super_options: set

    @classmethod
    def parse(cls, line):
        left, _, right = line.partition(" - ")
        number, parent, device, root, target, options, *propagation = left.split(" ")
        kind, source, super_options = right.split(" ")[:3]
        return cls(
            number,
            parent,
            device,
            root,
            target,
            set(options.split(",")),
            [p for p in propagation if p],
            kind,
            source,
            set(super_options.split(",")),
        )


class Facts(dict):
    """The probe's JSON object."""

    @property
    def environment(self):
        return dict(entry.split("=", 1) for entry in self["env"])

    @property
    def mounts(self):
        return [Mount.parse(line) for line in self["mountinfo"] or []]

    def mounts_at(self, target):
        """The mounts at a path, the topmost last."""
        return [mount for mount in self.mounts if mount.target == target]

    def capabilities(self, which):
        """The names, CAP_ included, in one of the five sets."""
        bits = int(self["status"][SETS[which]], 16)
        return {f"CAP_{name}" for n, name in enumerate(CAPABILITIES) if bits >> n & 1}
