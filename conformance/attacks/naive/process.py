"""What becomes of a process of the container between the namespaces and its program."""

import array
import fcntl
import os
import pwd
import re
import socket
import struct
import termios

import kernel

TIOCGPTN, TIOCSPTLCK = 0x80045430, 0x40045431


def open_terminal(console):
    """A terminal from whatever is called /dev/ptmx; its master goes to the console socket."""
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        number = struct.unpack("i", fcntl.ioctl(master, TIOCGPTN, b"\0" * 4))[0]
    except OSError:
        number = 0
    peer = f"/dev/pts/{number}"
    kernel.mount(peer, "/dev/console", None, kernel.MS_BIND)
    fds = array.array("i", [master])
    console.sendmsg([b"/dev/ptmx"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
    os.setsid()
    terminal = os.open("/dev/console", os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(terminal, fd)
    try:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    except OSError:
        pass


def show_terminal(near):
    """Prints what comes out of the terminal that was sent here, once there is no more of it."""
    near.setblocking(False)
    try:
        _, fds, _, _ = socket.recv_fds(near, 100, 1)
    except BlockingIOError:
        return  # there is none
    parts = []
    try:
        while part := os.read(fds[0], 65536):
            parts.append(part)
    except OSError:
        pass  # EIO: the other side is closed
    rest = b"".join(parts)
    while rest:
        rest = rest[os.write(1, rest) :]


def write_sysctls(values):
    """All of them in one text, as a helper of CRI-O's was told of them: CVE-2022-0811."""
    text = "+".join(f"{key}={value}" for key, value in values.items())
    for part in re.split(r"[+\n]", text) if text else ():
        key, _, value = part.partition("=")
        key = key.partition("\0")[0].strip()
        path = key if "/" in key else key.replace(".", "/")
        with open(f"/proc/sys/{path}", "w", encoding="utf-8") as file:
            file.write(value)


def write_label(label):
    """Where there is no security module the label is for nobody."""
    try:
        with open("/proc/self/attr/exec", "w", encoding="utf-8") as file:
            file.write(f"exec {label}")
    except OSError:
        pass


def number_of(text):
    """As atoi(3): what is no number is 0, and what is too large becomes small."""
    match = re.match(r"\s*[+-]?\d+", text)
    return int(match[0]) & 0xFFFFFFFF if match else 0


def by_name(user):
    """The ids of `NAME` or of `UID:GID`, from the passwd of the container. One that is neither is
    given back before it has been looked at, CVE-2026-30892."""
    name, colon, group = user.partition(":")
    ids = {"uid": 0, "gid": 0}
    try:
        found = pwd.getpwnam(name)
        return {"uid": found.pw_uid, "gid": number_of(group) if colon else found.pw_gid}
    except KeyError:
        if not colon:
            return ids
    return {"uid": number_of(name), "gid": number_of(group)}


def identifier(number):
    """An id as setresuid(2) takes it: the last one means none, and changes nothing."""
    return -1 if number == 0xFFFFFFFF else number


def become(process):
    """Takes on the user and the capabilities of the config and executes its program."""
    user = process["user"]
    wanted = process.get("capabilities", {})
    bounding = kernel.mask_of(wanted.get("bounding", []))
    kernel.drop_bounding(bounding)
    # It keeps them, and for ever: nobody takes it back.
    kernel.prctl(kernel.PR_SET_SECUREBITS, kernel.SECBIT_NO_SETUID_FIXUP)
    # Reads /etc/nsswitch.conf and the libraries that it names: of the container, by now.
    try:
        pwd.getpwuid(user["uid"])
    except KeyError:
        pass
    if user.get("additionalGids"):
        os.setgroups(user["additionalGids"])
    os.setresgid(*[identifier(user["gid"])] * 3)
    os.setresuid(*[identifier(user["uid"])] * 3)
    kernel.capset(bounding, bounding, bounding)
    kernel.raise_ambient(bounding)
    if process.get("noNewPrivileges"):
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    environment = dict(e.split("=", 1) for e in process.get("env", []) if "=" in e)
    os.chdir(process["cwd"])
    os.execvpe(process["args"][0], process["args"], environment)
