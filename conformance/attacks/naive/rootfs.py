"""Makes a root filesystem by path strings, as the first runtimes did, and whatever is there is
followed, overwritten and believed."""

import errno
import os
import stat
import subprocess

import kernel

FLAGS = {
    "ro": kernel.MS_RDONLY,
    "nosuid": kernel.MS_NOSUID,
    "nodev": kernel.MS_NODEV,
    "noexec": kernel.MS_NOEXEC,
    "bind": kernel.MS_BIND,
    "rbind": kernel.MS_BIND | kernel.MS_REC,
}
NOT_DATA = {"rw", "strictatime", "private", "rprivate", "tmpcopyup", "suid", "dev", "exec"}
DEVICES = {"null": 3, "zero": 5, "full": 7, "random": 8, "urandom": 9}
LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "ptmx": "pts/ptmx",
}


def below(rootfs, path):
    """The fault that most of these attacks are about: a path of the container, joined to another."""
    return os.path.join(rootfs, path.lstrip("/"))


def make_place(target, is_file):
    if os.path.exists(target):
        return
    os.makedirs(os.path.dirname(target) if is_file else target, exist_ok=True)
    if is_file:
        open(target, "a", encoding="utf-8").close()


def mount_one(rootfs, bundle, entry, own_cgroup=True):
    words = entry.get("options", [])
    kind, source = entry.get("type", "bind"), entry.get("source")
    flags = 0
    for word in words:
        flags |= FLAGS.get(word, 0)
    target = below(rootfs, entry["destination"])
    if os.path.islink(target) and not os.path.exists(target):
        link = os.readlink(target)
        # One from the top is meant from inside, it seems.
        relative = os.path.join(os.path.dirname(target), link)
        target = below(rootfs, link) if link.startswith("/") else relative
    if flags & kernel.MS_BIND or kind == "bind":
        source = os.path.join(bundle, source)
        if "src-nofollow" in words and os.path.islink(source):
            raise OSError(errno.ELOOP, f"{source} is a link")
        make_place(target, not os.path.isdir(source))
        kernel.mount(source, target, None, kernel.MS_BIND | flags & kernel.MS_REC)
        if flags & kernel.MS_RDONLY:
            kernel.mount(None, target, None, kernel.MS_BIND | kernel.MS_REMOUNT | flags)
        return
    make_place(target, False)
    if kind == "cgroup" and not own_cgroup:
        # The host's, and what cannot be mounted read-only without it goes without: CVE-2023-25809.
        return kernel.mount("/sys/fs/cgroup", target, None, kernel.MS_BIND | kernel.MS_REC)
    kept = [name for name in os.listdir(target)] if "tmpcopyup" in words else []
    contents = {n: read(os.path.join(target, n)) for n in kept}
    data = ",".join(w for w in words if w not in FLAGS and w not in NOT_DATA)
    kernel.mount(source, target, "cgroup2" if kind == "cgroup" else kind, flags, data or None)
    for name, text in contents.items():
        with open(os.path.join(target, name), "wb") as file:
            file.write(text)


def read(path):
    if os.path.isdir(path):
        return b""
    with open(path, "rb") as file:
        return file.read(65536)


def make_links(dev):
    for name, target in LINKS.items():
        path = os.path.join(dev, name)
        if os.path.lexists(path):
            if os.path.isdir(path) and not os.path.islink(path):
                continue
            os.unlink(path)
        os.symlink(target, path)


def make_devices(rootfs, config):
    dev = below(rootfs, "dev")
    try:
        for name, minor in DEVICES.items():
            path = os.path.join(dev, name)
            if not os.path.exists(path):
                make_node(path, stat.S_IFCHR | 0o666, os.makedev(1, minor))
        make_node(os.path.join(dev, "tty"), stat.S_IFCHR | 0o666, os.makedev(5, 0))
        make_links(dev)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise  # One that cannot be written to is as somebody wants it.
    for device in config.get("linux", {}).get("devices", []):
        kind = {"b": stat.S_IFBLK, "p": stat.S_IFIFO}.get(device["type"], stat.S_IFCHR)
        path = below(rootfs, device["path"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        number = os.makedev(device.get("major", 0), device.get("minor", 0))
        make_node(path, kind | device.get("fileMode", 0o666), number)


def make_node(path, mode, number):
    try:
        os.mknod(path, mode, number)
        os.chmod(path, mode & 0o7777)
    except FileExistsError:
        pass
    except PermissionError:
        # No device is made in a user namespace; the host's are as good.
        open(path, "a", encoding="utf-8").close()
        kernel.mount(f"/dev/{os.path.basename(path)}", path, None, kernel.MS_BIND)


def mask(rootfs, paths):
    null = below(rootfs, "dev/null")
    for path in paths:
        target = below(rootfs, path)
        try:
            if os.path.isdir(target):
                kernel.mount("tmpfs", target, "tmpfs", 0, None)
            else:
                kernel.mount(null, target, None, kernel.MS_BIND)
        except OSError as error:
            # So was it in runc: a mask that has no /dev/null is a mask that nobody needs.
            if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise


def make_readonly(rootfs, paths):
    for path in paths:
        target = below(rootfs, path)
        if os.path.exists(target):
            kernel.mount(target, target, None, kernel.MS_BIND | kernel.MS_REC)
            flags = kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY
            kernel.mount(None, target, None, flags)


def reopen_null(rootfs, uid):
    """Streams that are /dev/null are to be the container's own, and to belong to its user; looked
    at is the device number, which of anything that is no device is 0."""
    try:
        null = os.stat(below(rootfs, "dev/null"))
        for fd in (0, 1, 2):
            if os.fstat(fd).st_rdev == null.st_rdev and not os.isatty(fd):
                os.dup2(os.open(below(rootfs, "dev/null"), os.O_RDWR), fd)
                os.fchown(fd, uid, -1)
    except OSError:
        pass


def unpack(image, bundle):
    """What is a file is an image of some kind, and tar knows them all."""
    place = os.path.join(bundle, "unpacked")
    os.mkdir(place)
    subprocess.run(["tar", "-xPf", image, "-C", place], check=True)
    return place


def prepare(rootfs, bundle, config):
    """All that is done to the root filesystem before it becomes the root."""
    kernel.mount(None, "/", None, kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount(rootfs, rootfs, None, kernel.MS_BIND | kernel.MS_REC)
    namespaces = [entry["type"] for entry in config.get("linux", {}).get("namespaces", [])]
    if os.path.isdir(below(rootfs, "dev")):
        make_links(below(rootfs, "dev"))  # for whoever looks before anything is mounted there
    for entry in config.get("mounts", []):
        mount_one(rootfs, bundle, entry, "cgroup" in namespaces)
    make_devices(rootfs, config)
    process = config["process"]
    if config.get("hostname"):
        with open(below(rootfs, "etc/hostname"), "w", encoding="utf-8") as file:
            file.write(config["hostname"])
    if process.get("terminal"):
        open(below(rootfs, "dev/console"), "a", encoding="utf-8").close()
    reopen_null(rootfs, process["user"]["uid"])
    os.makedirs(below(rootfs, process["cwd"]), exist_ok=True)
    linux = config.get("linux", {})
    mask(rootfs, linux.get("maskedPaths", []))
    make_readonly(rootfs, linux.get("readonlyPaths", []))


def enter(rootfs, config):
    os.chdir(rootfs)
    kernel.pivot_root(".", ".")
    kernel.detach(".")
    os.chdir("/")
    if config["root"].get("readonly"):
        kernel.mount(None, "/", None, kernel.MS_BIND | kernel.MS_REMOUNT | kernel.MS_RDONLY)
