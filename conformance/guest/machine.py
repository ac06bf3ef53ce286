"""The emulated machine: how it is started, saved, restored and spoken to.

    machine.py HOME     boots the guest in HOME for the first time, and saves it there

The memory of the saved guest is a file that every restored one maps privately, so that restoring
copies nothing; the state of its devices is a second, small file. It can be restored only into a
machine with the same devices, so these are the same for all.
"""

import json
import os
import pathlib
import secrets
import shlex
import socket
import struct
import subprocess
import sys
import time

MEMORY = "2G"
KERNEL = (
    "console=ttyS0 root=/dev/vda rw quiet panic=-1 cgroup_no_v1=all apparmor=1 security=apparmor"
    " mitigations=off nokaslr nowatchdog audit=0 tsc=reliable no_timer_check"
    " random.trust_cpu=on systemd.show_status=0 systemd.gpt_auto=0 net.ifnames=0"
)


class Lost(Exception):
    """The guest ended, or did not come up; the text is what it and the emulator said."""


class Machine:
    """One running guest; leaving the `with` block ends it. It needs no file or port of its own, and
    ends with its maker however that one ends."""

    def __init__(self, home, *, first=False, share=None, results=None):
        self.home = pathlib.Path(home)
        self.first = first
        self.shares = {"share": share, "results": results}
        self.console = os.memfd_create("console")
        self.monitor, theirs = socket.socketpair()
        self.port, theirs_too = socket.socketpair()
        self.process = subprocess.Popen(
            # The kernel ends it when this process is killed and cannot do it itself.
            ["setpriv", "--pdeathsig", "KILL", *self.argv(theirs.fileno(), theirs_too.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=self.console,
            stderr=self.console,
            pass_fds=(theirs.fileno(), theirs_too.fileno()),
            env={**os.environ, "QEMU_MODULE_DIR": str(self.home / "qemu/usr/lib/x86_64-linux-gnu/qemu")},
            start_new_session=True,  # ctrl-C is for us
        )
        theirs.close()
        theirs_too.close()
        self.answers = self.monitor.makefile("r")

    def argv(self, monitor, port):
        qemu = self.home / "qemu/usr"
        saved, disk = ("off", "off") if self.first else ("on", "on")
        words = [qemu / "lib64/ld-linux-x86-64.so.2", "--library-path", qemu / "lib/x86_64-linux-gnu"]
        words += [qemu / "bin/qemu-system-x86_64", "-L", qemu / "share/qemu", "-L", qemu / "share/seabios"]
        words += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
        words += ["-machine", "pc,usb=off,hpet=off,memory-backend=memory", "-cpu", "max,la57=off"]
        words += ["-accel", "tcg,thread=multi,tb-size=512", "-smp", "2", "-m", MEMORY]
        shared = "on" if self.first else "off"
        memory = f"id=memory,size={MEMORY},mem-path={self.home}/memory,share={shared}"
        words += ["-object", f"memory-backend-file,{memory}"]
        words += ["-kernel", self.home / "vmlinuz", "-initrd", self.home / "initrd", "-append", KERNEL]
        drive = f"file={self.home}/disk,format=raw,if=none,id=disk,cache=unsafe,snapshot={disk}"
        words += ["-drive", drive, "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci"]
        words += ["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        words += ["-chardev", f"socket,id=monitor,fd={monitor}", "-mon", "chardev=monitor,mode=control"]
        words += ["-chardev", f"socket,id=port,fd={port}", "-device", "virtio-serial-pci"]
        words += ["-device", "virtserialport,chardev=port,name=tare"]
        for tag, path in self.shares.items():
            access = "on" if tag == "share" else "off"
            where = f"path={path or self.home / 'empty'},readonly={access}"
            words += ["-fsdev", f"local,id={tag},{where},security_model=passthrough,multidevs=remap"]
            words += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
        if saved == "on":
            words += ["-incoming", "defer"]
        return [str(word) for word in words]

    def __enter__(self):
        try:
            self.ask("qmp_capabilities")
            flags = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
            self.ask("migrate-set-capabilities", capabilities=flags)
            if not self.first:
                state = shlex.quote(str(self.home / "state"))
                self.ask("migrate-incoming", uri=f"exec:cat {state}")
                self.await_migration()
                self.ask("cont")  # it was stopped when it was saved
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def lost(self, what):
        self.process.kill()
        self.process.wait()
        size = os.fstat(self.console).st_size
        said = os.pread(self.console, 4000, max(0, size - 4000)).decode("utf-8", "replace")
        return Lost(f"{what}\n{said}".strip())

    def message(self):
        line = self.answers.readline()
        if not line:
            raise self.lost("the emulator ended")
        return json.loads(line)

    def ask(self, what, **arguments):
        """A command of the monitor, and its answer."""
        request = {"execute": what, "arguments": arguments}
        self.monitor.sendall(json.dumps(request).encode() + b"\n")
        while True:
            answer = self.message()
            if "error" in answer:
                raise self.lost(f"{what}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def await_migration(self):
        while True:
            message = self.message()
            if message.get("event") == "MIGRATION":
                status = message["data"]["status"]
                if status == "completed":
                    return
                if status == "failed":
                    raise self.lost("the saved state cannot be restored")

    def run(self, argv, user="root", out=sys.stdout.buffer, err=sys.stderr.buffer, limit=None):
        """Runs a command, passes its output on as it comes, and returns its exit status; raises
        TimeoutError when it takes more than `limit` seconds."""
        options = {"share": "ro,cache=loose", "results": "rw,cache=none"}
        mounts = {tag: options[tag] for tag, path in self.shares.items() if path}
        request = {"argv": argv, "user": user, "mounts": mounts, "time": time.time()}
        request["seed"] = secrets.token_hex(32)
        self.port.sendall(json.dumps(request).encode() + b"\n")
        until = None if limit is None else time.monotonic() + limit
        while True:
            letter, size = struct.unpack(">cI", self.receive(5, until))
            data = self.receive(size, until)
            if letter == b"x":
                return int(data)
            stream = out if letter == b"o" else err
            stream.write(data)
            stream.flush()

    def receive(self, size, until):
        data = b""
        while len(data) < size:
            if until is not None:
                # Zero would mean not to wait at all, and raise something else.
                self.port.settimeout(max(0.001, until - time.monotonic()))
            part = self.port.recv(size - len(data))
            if not part:
                raise self.lost("the guest ended")
            data += part
        return data

    def save(self):
        """Stops the guest and writes what is not in the file of its memory."""
        self.ask("stop")
        state = shlex.quote(str(self.home / "state"))
        self.ask("migrate", uri=f"exec:cat >{state}")
        self.await_migration()
        self.ask("quit")
        self.process.wait()


def main():
    home = pathlib.Path(sys.argv[1])
    with Machine(home, first=True) as machine:
        if machine.run(["/bin/bash", "/usr/local/lib/warm"], limit=600) != 0:
            raise machine.lost("the guest did not come up in order")
        machine.save()


if __name__ == "__main__":
    main()
