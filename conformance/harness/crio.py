"""CRI-O in a test: conmon called as CRI-O calls it, and the runtime as CRI-O calls that."""

import json
import os
import shutil
import socket
import subprocess

from harness import events, host

CONMON = shutil.which("conmon", path="/usr/bin:/usr/local/bin:/usr/libexec/podman")


class Crio:
    """CRI-O's side of one container, the box's. All that either program finds in its environment is
    what CRI-O gives it: no PATH, no HOME."""

    def __init__(self, box):
        self.box = box
        self.exits, self.attach = box.path("exits"), box.path("attach")
        self.log, self.conmon = box.path("log"), box.bundle.path / "conmon-pidfile"
        for place in (self.exits, self.attach):
            place.mkdir()
        self.environment = {"XDG_RUNTIME_DIR": str(box.directory)}

    def runtime(self, *words, **more):
        """One of CRI-O's own calls of the runtime."""
        argv = [self.box.runtime.binary, "--root", self.box.runtime.root, *words]
        return self.box.runtime.call(argv=argv, env=self.environment, **more)

    def popen(self, *words, **more):
        argv = [self.box.runtime.binary, "--root", self.box.runtime.root, *words]
        return self.box.runtime.popen(argv=argv, env=self.environment, **more)

    def monitor(self, *words):
        """Runs conmon until it has forked, or with --sync to its end; returns what it reports."""
        ours, theirs = socket.socketpair()
        start, starter = socket.socketpair()
        # Descriptors 3 and 4 are these; what a test has opened besides is closed.
        fds = (os.dup(theirs.fileno()), os.dup(start.fileno()))
        environment = {"_OCI_SYNCPIPE": str(fds[0]), "_OCI_STARTPIPE": str(fds[1]), **self.environment}
        argv = [CONMON, "-c", self.box.id, "-n", "k8s_box_pod", "-r", self.box.runtime.binary]
        argv += ["--log-level", "info", "--socket-dir-path", self.attach]
        argv += ["--runtime-arg", f"--root={self.box.runtime.root}", *words]
        process = subprocess.Popen(
            [str(word) for word in argv], env=environment, pass_fds=fds, cwd=self.box.bundle.path,
            stdin=subprocess.DEVNULL,
        )
        for fd in fds:
            os.close(fd)
        theirs.close()
        starter.send(b"\0")
        events.wait_exit(process.pid)
        process.wait()
        said = b""
        while b"\n" not in said and (part := self.receive(ours)):
            said += part
        for end in (ours, start, starter):
            end.close()
        return json.loads(said)

    @staticmethod
    def receive(end):
        events.wait_readable(end, "word of conmon")
        return end.recv(4096)

    def create(self, *flags):
        """Creates the container below a conmon, which stays."""
        self.box.bundle.save()
        bundle = self.box.bundle.path
        words = ["-b", bundle, "--exit-dir", self.exits, "-l", self.log, "-P", self.conmon]
        words += ["-p", bundle / "pidfile", "--persist-dir", self.box.directory, "--syslog"]
        return self.monitor(*words, "-u", self.box.id, "--log-size-max", "-1", *flags)

    def process_file(self, *argv, terminal=False):
        """process.json, as CRI-O makes one of the container's own process."""
        path = self.box.path(f"exec-process-{len(os.listdir(self.box.directory))}")
        process = {**self.box.config["process"], "args": list(argv), "terminal": terminal}
        path.write_text(json.dumps(process))
        return path

    def exec_sync(self, *argv, flags=()):
        """ExecSync of CRI: what conmon reports, and the lines of the log without their times."""
        log = self.box.path("exec-log")
        words = ["-p", self.box.path("exec-pid"), "-e", "-l", log, "--sync", *flags]
        said = self.monitor(*words, "--exec-process-spec", self.process_file(*argv))
        return said, [line.split(" ", 1)[1] for line in log.read_text().splitlines()]

    def exit_code(self):
        """What conmon writes down when the container has ended; it ends itself then."""
        events.wait_exit(int(self.conmon.read_text()))
        host.collect(int(self.conmon.read_text()))
        return int((self.exits / self.box.id).read_text())
