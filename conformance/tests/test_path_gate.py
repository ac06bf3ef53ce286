"""No path of the bundle, and none from the top, is named once the root filesystem is open: what lies
in it is reached below its descriptor alone, so that nothing can be put in the way (the class of
CVE-2019-19921, CVE-2021-30465, CVE-2024-45310, CVE-2025-52881 and CVE-2026-41579)."""

import os
import re

import pytest

from harness import ConsoleSocket, docker, trace

pytestmark = [
    pytest.mark.tare("a property of its design; others name paths"),
    pytest.mark.skipif(not trace.STRACE, reason="no strace to look on with"),
]

PARENT, INIT = "parent", "init"
# Who may name what once the root filesystem is open, and why that is no path of the container.
ALLOWED = [
    # The parent stays where it is: a container changes nothing of what these are.
    (PARENT, "openat|newfstatat|readlinkat", r"/proc/\d+/.*", "a process of ours, seen by the host"),
    (PARENT, "openat|statfs|mkdir|unlinkat", r"{cgroups}/.*", "the host's cgroups"),
    (PARENT, "openat|unlinkat|newfstatat", r"{state}(/.*)?", "the state directory"),
    (PARENT, "openat|readlinkat", r"/proc/(sys|self)/.*", "the host's own"),
    (PARENT, "open_tree", r".*", "a source or device of the host, opened this once"),
    # Init, while its root is the host's.
    (INIT, "openat", r"/", "the host's root, to cut mounts off from it; later the container's"),
    (INIT, "openat", r"{rootfs}", "where createContainer hooks look; what is entered is the tree"),
    (INIT, "chdir", r"{rootfs}", "a createContainer hook begins there, in a process of its own"),
    # Init at and after pivot_root.
    (INIT, "pivot_root|umount2|chdir", r"\.", "the descriptor that was entered just before"),
    (INIT, "chdir", r"/", "the container's root, so that nothing is left of the old one"),
    (INIT, "openat", r"/dev/null", "for streams; kept if it is that device, and no link"),
    (INIT, "readlink", r"/proc/self/fd/\d", "words of an error, shown and not acted on"),
]
if tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2]) < (6, 6):
    # No call takes the descriptor itself there (fchmodat2), and this is the host's procfs still.
    ALLOWED.append((INIT, "chmod|fchmodat", r"/proc/self/fd/\d+", "the mode of what it holds"))
# The end of init: it goes where the payload begins, as the payload itself could, with its rights.
ENDS = [("chdir", "{cwd}"), ("newfstatat|faccessat2|execve", ".*/({program})")]


def mounting(*entry):
    return lambda box: box.bundle.mount(*entry)


def setting(field, value):
    return lambda box: box.set(field, value)


def namespace(kind):
    return lambda box: box.bundle.namespace(kind)


def bind(name, options, directory=True):
    def step(box):
        place = box.path("sources")
        place.mkdir(exist_ok=True)
        if directory:
            (place / name).mkdir()
        else:
            (place / name).write_text("")
        box.bundle.mount(f"/made/{name}", "bind", place / name, options)

    return step


def own_dev(box):
    """/dev is the rootfs's own."""
    mounts = box.config["mounts"]
    box.config["mounts"] = [m for m in mounts if not m["destination"].startswith("/dev")]


def linked(box):
    """Destinations lead over links of the image."""
    (box.rootfs / "real/deep").mkdir(parents=True)
    (box.rootfs / "link").symlink_to("/real")
    box.bundle.mount("/link/deep/new", "tmpfs", "tmpfs", [])


def hooks(*stages):
    hook = [{"path": "/bin/true", "args": ["true"]}]
    return lambda box: [box.set(f"hooks.{stage}", hook) for stage in stages]


def user_namespace(box):
    box.bundle.namespace("user")
    for which in ("uid", "gid"):
        maps = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        box.set(f"linux.{which}Mappings", maps)
    for path, _, _ in os.walk(box.rootfs):
        os.chown(path, 100000, 100000)


def dressed(box):
    if not docker.PROFILE.exists():
        pytest.skip(f"no {docker.PROFILE}: install podman")
    docker.dress(box)
    box.bundle.unset("linux.resources")
    box.bundle.unset("linux.cgroupsPath")
    box.set("process.terminal", False)
    box.config["process"].pop("rlimits", None)


def device(path, kind="c", major=1, minor=3):
    return {"path": path, "type": kind, "major": major, "minor": minor, "fileMode": 0o666}


STEPS = {
    "plain": lambda box: None,
    "tmpfs": mounting("/new/tmp", "tmpfs", "tmpfs", ["size=1m"]),
    "mqueue": mounting("/dev/mqueue", "mqueue", "mqueue", ["nosuid"]),
    "shm": mounting("/dev/shm", "tmpfs", "shm", ["mode=1777", "size=64k"]),
    "cgroup": mounting("/sys/fs/cgroup", "cgroup", "cgroup", ["ro"]),
    "second proc": mounting("/other/proc", "proc", "proc", []),
    "bind": bind("dir", ["bind"]),
    "read-only bind": bind("rodir", ["rbind", "ro", "nosuid"]),
    "recursive attributes": bind("rrodir", ["rbind", "rro"]),
    "bind of a file": bind("file", ["bind"], directory=False),
    "private bind": bind("pdir", ["bind", "rprivate"]),
    "copy-up": mounting("/etc", "tmpfs", "tmpfs", ["tmpcopyup"]),
    "destination over links": linked,
    "own /dev": own_dev,
    "devices": setting("linux.devices", [device("/dev/x"), device("/dev/deep/y", minor=5)]),
    "masks": setting("linux.maskedPaths", ["/proc/kcore", "/sys/firmware", "/etc/group", "/nope"]),
    "read-only paths": setting("linux.readonlyPaths", ["/proc/sys", "/etc", "/nope"]),
    "read-only root": setting("root.readonly", True),
    "cwd": setting("process.cwd", "/new/cwd"),
    "user": setting("process.user", {"uid": 1000, "gid": 1000, "additionalGids": [5]}),
    "network": namespace("network"),
    "sysctl": setting("linux.sysctl", {"kernel.msgmax": "9000", "fs.mqueue.msg_max": "7"}),
    "time": namespace("time"),
    "user namespace": user_namespace,
    "shared": setting("linux.rootfsPropagation", "shared"),
    "private": setting("linux.rootfsPropagation", "private"),
    "seccomp": setting("linux.seccomp", {"defaultAction": "SCMP_ACT_ALLOW"}),
    "no_new_privs off": setting("process.noNewPrivileges", False),
    "hooks of the host": hooks("prestart", "createRuntime", "createContainer"),
    "hook of the container": hooks("startContainer"),
    "hostname": setting("hostname", "elsewhere"),
    "personality": setting("linux.personality", {"domain": "LINUX32"}),
    "oom": setting("process.oomScoreAdj", 100),
    "rlimits": setting("process.rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
    "docker": dressed,
}
# Together with all that is above, and with one another: 50 creates.
TOGETHER = [
    "own /dev + devices", "own /dev + masks", "own /dev + user namespace", "user namespace + bind",
    "user namespace + masks", "user namespace + sysctl", "read-only root + cwd + bind",
    "network + sysctl + masks", "docker + private", "docker + bind + hooks of the host",
    "copy-up + tmpfs + user", "destination over links + bind of a file", "user + cwd + masks",
    "shared + bind + masks", "time + user namespace + shm", "no_new_privs off + seccomp + user",
]  # fmt: skip
VARIATIONS = [*STEPS, *TOGETHER]


def faults(box, calls):
    """What was named against the rules after the root filesystem was open, call by call."""
    fill = {
        "{cgroups}": r"/sys/fs/cgroup(/unified)?",
        "{state}": re.escape(str(box.runtime.root)),
        "{rootfs}": re.escape(str(box.rootfs)),
        "{sources}": re.escape(str(box.path("sources"))),
        "{cwd}": re.escape(box.config["process"]["cwd"]),
        "{program}": re.escape(box.config["process"]["args"][0].rsplit("/", 1)[-1]),
    }

    def matches(pattern, text):
        for name, value in fill.items():
            pattern = pattern.replace(name, value)
        return re.fullmatch(pattern, text)

    paths = [[path for _, path in call.places] for call in calls]
    opened = next(i for i, named in enumerate(paths) if str(box.rootfs) in named)
    parent, gone, found = calls[0].pid, set(), []
    for call in calls[opened + 1 :]:
        if call.pid in gone:
            continue
        if call.name in trace.EXECUTES:
            gone.add(call.pid)  # it is the payload, or a hook of the host's
        role = PARENT if call.pid == parent else INIT
        for directory, path in call.places:
            if directory is not None and not path:
                continue  # the descriptor itself
            if directory is not None and re.search(r"RESOLVE_(IN_ROOT|BENEATH)", call.text):
                continue
            if directory is not None and "/" not in path and path != "..":
                # One name below a descriptor; opening must not follow what it finds there.
                tame = path == "." or re.search("O_NOFOLLOW|O_EXCL", call.text)
                if call.name != "openat" or tame:
                    continue
            rules = [(n, p) for who, n, p, _ in ALLOWED if who == role]
            rules += ENDS if role == INIT else []
            if not any(re.fullmatch(n, call.name) and matches(p, path) for n, p in rules):
                found.append(f"{role}: {call}")
    return "\n".join(found)


@pytest.mark.parametrize("variation", VARIATIONS)
def test_nothing_is_named_by_path_once_the_root_filesystem_is_open(box, variation):
    box.args("/bin/true")
    for name in variation.split(" + "):
        STEPS[name](box)
    box.args("/bin/true")
    result, calls = trace.record(box, "run", "--bundle", box.bundle.path, box.id)
    result.check()
    assert faults(box, calls) == ""


def test_a_terminal_is_no_exception(box):
    socket = ConsoleSocket(box.path("console"))
    box.set("process.terminal", True)
    box.args("/bin/true")
    flags = ["--detach", "--bundle", box.bundle.path, "--console-socket", socket.path]
    result, calls = trace.record(box, "run", *flags, box.id)
    result.check()
    socket.receive()
    socket.close()
    assert faults(box, calls) == ""


def test_there_are_fifty_creates_to_look_at():
    assert len(VARIATIONS) >= 50
