"""Runs in the guest: reads requests from a virtio port, one line of JSON each, and runs them.

The answer is a sequence of frames: a letter, the length in four bytes, and that much data. `o` and
`e` are what the command wrote, `x` ends the answer with the exit status in decimal.
"""

import fcntl
import json
import os
import pwd
import selectors
import struct
import subprocess
import time

PORT = "/dev/virtio-ports/tare"
RNDRESEEDCRNG = 0x5207
# The shell makes of a signal, and of a program that is not there, the status that people know.
SHELL = ["/bin/sh", "-c", 'cd /share; "$@"', "sh"]


def come_to(request):
    """A restored guest has the time and the random numbers of the moment when it was saved."""
    time.clock_settime(time.CLOCK_REALTIME, request["time"])
    with open("/dev/urandom", "wb") as random:
        random.write(bytes.fromhex(request["seed"]))
        random.flush()
        fcntl.ioctl(random, RNDRESEEDCRNG)
    for tag, options in request["mounts"].items():
        options = f"trans=virtio,version=9p2000.L,msize=512000,{options}"
        subprocess.run(["mount", "-t", "9p", "-o", options, tag, f"/{tag}"], check=True)


def command(user, argv):
    """A unit of its own, whose cgroup is delegated to it, under the manager of that user."""
    run = ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--service-type=exec"]
    run.append("--expand-environment=no")
    for setting in ("Delegate=yes", "OOMPolicy=continue", "TasksMax=infinity", "KillMode=mixed"):
        run += ["-p", setting]
    about = pwd.getpwnam(user)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    if about.pw_uid != 0:
        runtime = f"/run/user/{about.pw_uid}"
        environment["XDG_RUNTIME_DIR"] = runtime
        environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={runtime}/bus"
        ids = [f"--reuid={user}", f"--regid={about.pw_gid}", "--init-groups"]
        run = ["setpriv", *ids, *run, "--user"]
    else:
        run += ["-p", "LimitNOFILE=1048576", "-p", "LimitMEMLOCK=infinity"]
    run += ["-E", f"HOME={about.pw_dir}", "-E", f"USER={user}", "-E", "LANG=C.UTF-8"]
    return [*run, "--", *SHELL, *argv], environment


def frame(port, letter, data):
    left = memoryview(letter + struct.pack(">I", len(data)) + data)
    while left:
        left = left[os.write(port, left) :]


def serve(port, request):
    come_to(request)
    argv, environment = command(request["user"], request["argv"])
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    ended = os.pidfd_open(process.pid)
    selector = selectors.DefaultSelector()
    selector.register(ended, selectors.EVENT_READ)
    for letter, pipe in ((b"o", process.stdout), (b"e", process.stderr)):
        os.set_blocking(pipe.fileno(), False)
        selector.register(pipe, selectors.EVENT_READ, letter)
    over = False
    while not over:
        # What escaped from the unit may hold the pipes open for ever; what the command wrote is
        # in them when it ends.
        over = any(key.fd == ended for key, _ in selector.select())
        for key in [key for key in selector.get_map().values() if key.data]:
            while data := read(key.fd):
                frame(port, key.data, data)
            if data == b"":
                selector.unregister(key.fileobj)
    os.close(ended)
    frame(port, b"x", str(process.wait()).encode())


def read(pipe):
    """What is in a pipe; empty at its end, None when there is nothing now."""
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return None


def main():
    port = os.open(PORT, os.O_RDWR | os.O_CLOEXEC)
    with open(port, "rb", buffering=0, closefd=False) as stream:
        while True:
            line = stream.readline()
            if line:
                serve(port, json.loads(line))
            else:
                time.sleep(0.1)  # nobody is connected, which no event tells


main()
