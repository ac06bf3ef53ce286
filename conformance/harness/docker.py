"""The bundle that Docker makes: its config, its files, and its default seccomp profile."""

import json
import pathlib

CONFIG = pathlib.Path(__file__).resolve().parent.parent / "data" / "docker_config.json"

# Where Debian keeps a profile for containers; it serves as the list of what is harmless.
PROFILE = pathlib.Path("/usr/share/containers/seccomp.json")

# Docker's default profile allows these to nobody who has none of the capabilities of an
# administrator, though they are among the harmless ones of the list.
GUARDED = frozenset(
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount"
    " mount_setattr move_mount name_to_handle_at open_tree perf_event_open pivot_root quotactl"
    " quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare".split()
)
NAMESPACE_FLAGS = 0x7E020000  # those of clone(2) that make a namespace
EPERM, ENOSYS = 1, 38


def applies(rule, capabilities):
    """Whether a rule of the list holds on this machine for these capabilities."""
    includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
    if "arches" in includes and "amd64" not in includes["arches"]:
        return False
    if not set(includes.get("caps", ())) <= capabilities:
        return False
    return not set(excludes.get("caps", ())) & capabilities


def seccomp(capabilities):
    """linux.seccomp as Docker writes it into a config."""
    rules = []
    for rule in json.loads(PROFILE.read_text())["syscalls"]:
        if rule["action"] != "SCMP_ACT_ALLOW" or not applies(rule, capabilities):
            continue
        names = [name for name in rule["names"] if name not in GUARDED]
        made = {"names": names, "action": "SCMP_ACT_ALLOW"}
        if rule["args"]:
            made["args"] = rule["args"]
        if names:
            rules.append(made)
    flags = {"index": 0, "value": NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    rules.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [flags]})
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }


def dress(box):
    """Makes the box's bundle one of Docker's; PROFILE must be there."""
    config = json.loads(CONFIG.read_text())
    config["linux"]["seccomp"] = seccomp(set(config["process"]["capabilities"]["bounding"]))
    box.bundle.config = config
    (box.bundle.path / "resolv.conf").write_text("nameserver 192.0.2.1\n")
    (box.bundle.path / "hostname").write_text("5f2c1e0d9b7a\n")
    (box.bundle.path / "hosts").write_text("127.0.0.1 localhost\n192.0.2.9 5f2c1e0d9b7a\n")
