"""Executes a program on the root filesystem that the kernel began with, as one does that was started
from an initramfs and has nothing else: below it there is no mount, so pivot_root(2) refuses to leave.

    initramfs.py DIRECTORY PROGRAM ARGUMENT...

DIRECTORY, /proc, /sys, /dev and /usr are there as before. The namespace that has all that goes with this
program, and so does what it made on the root. The status is the program's; 77 where there is no such root.
"""

import ctypes
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import host, sandbox  # noqa: E402

OPEN_TREE, MOVE_MOUNT, EMPTY_PATH = 428, 429, 4
CLONE_TREE = 1 | 0x8000 | os.O_CLOEXEC  # OPEN_TREE_CLONE, with AT_RECURSIVE
NOT_HERE = 77


def clone(path):
    return host.LIBC.syscall(OPEN_TREE, -100, path.encode(), ctypes.c_uint(CLONE_TREE))


def not_here(why):
    print(f"no initramfs: {why}", file=sys.stderr)
    sys.exit(NOT_HERE)


def descend(namespace):
    """Takes away what is mounted over the first root, and makes that ours."""
    before = os.stat("/").st_dev
    if host.LIBC.umount2(b"/", host.MNT_DETACH) != 0:
        not_here(f"umount2: {os.strerror(ctypes.get_errno())}")
    if host.LIBC.setns(namespace, sandbox.CLONE_NEWNS) != 0:
        not_here(f"setns: {os.strerror(ctypes.get_errno())}")
    if os.stat("/").st_dev == before:
        not_here("the root is still there")


def attach(tree, path, made):
    """Puts a mount where it was before, and remembers the directories that this takes."""
    place = ""
    for name in path.strip("/").split("/"):
        place += f"/{name}"
        if not os.path.lexists(place):
            os.mkdir(place)
            made.append(place)
    where = (-100, path.encode(), EMPTY_PATH)
    sandbox.must(host.LIBC.syscall(MOVE_MOUNT, tree, b"", *where), f"attach {path}")


def main():
    directory, *argv = sys.argv[1:]
    sandbox.must(host.LIBC.unshare(sandbox.CLONE_NEWNS), "unshare the mount namespace")
    sandbox.mount(None, "/", None, sandbox.MS_REC | sandbox.MS_PRIVATE)
    trees = {path: clone(path) for path in ("/proc", "/sys", "/dev", "/usr", directory)}
    links = {f"/{name}": os.readlink(f"/{name}") for name in ("lib", "lib64") if os.path.islink(f"/{name}")}
    descend(os.open("/proc/self/ns/mnt", os.O_RDONLY))
    made, status = [], NOT_HERE
    try:
        for path, tree in trees.items():
            attach(tree, path, made)
        links = {path: target for path, target in links.items() if not os.path.lexists(path)}
        for path, target in links.items():
            os.symlink(target, path)
        child = os.posix_spawn(argv[0], argv, os.environ)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except OSError as error:
        print(f"no initramfs: {error}", file=sys.stderr)
    finally:
        for path in trees:
            host.LIBC.umount2(path.encode(), host.MNT_DETACH)
        for path in filter(os.path.islink, links):
            os.unlink(path)
        for path in reversed(made):
            os.rmdir(path)
    sys.exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    main()
