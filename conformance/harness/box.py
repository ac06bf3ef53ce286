"""A container in a test: its bundle, its runtime and its id in one hand."""

import json
import os
import shutil

from harness import events, host
from harness.bundle import Bundle
from harness.facts import Facts
from harness.runtime import Runtime


class Box:
    """One container with a directory of its own; the `box` fixture makes and clears it away."""

    def __init__(self, directory, binary, template, name):
        self.directory = directory
        self.directory.mkdir(parents=True)
        self.template = template
        self.runtime = Runtime(binary, directory)
        self.bundle = Bundle(directory / "bundle", template)
        self.id = name

    # The config, for short.
    @property
    def config(self):
        return self.bundle.config

    @property
    def rootfs(self):
        return self.bundle.rootfs

    def set(self, dotted, value):
        self.bundle.set(dotted, value)

    def args(self, *args):
        """Sets process.args."""
        self.bundle.set("process.args", list(args))

    def sh(self, script):
        """Makes the container run a shell script."""
        self.args("/bin/sh", "-c", script)

    def path(self, name):
        """A path in the test's own directory, outside of the bundle."""
        return self.directory / name

    def sibling(self, suffix):
        """A second container under the same --root, with a bundle of its own."""
        other = object.__new__(Box)
        other.__dict__.update(self.__dict__)
        other.id = f"{self.id}{suffix}"
        other.bundle = Bundle(self.directory / f"bundle{suffix}", self.template)
        return other

    # Commands. Those that make a container write config.json first.
    def command(self, *args, **more):
        """`create`, `run` or whatever else `args` says, with --bundle and the ID put in."""
        self.bundle.save()
        return self.runtime.call(args[0], "--bundle", self.bundle.path, *args[1:], self.id, **more)

    def create(self, *flags, **more):
        return self.command("create", *flags, **more)

    def run(self, *flags, **more):
        return self.command("run", *flags, **more)

    def popen(self, command, *flags, **more):
        """Starts `create` or `run` and returns without waiting for it."""
        self.bundle.save()
        return self.runtime.popen(command, "--bundle", self.bundle.path, *flags, self.id, **more)

    def popen_run(self, *flags, **more):
        return self.popen("run", *flags, **more)

    def start(self, **more):
        return self.runtime.call("start", self.id, **more)

    def kill(self, *words, **more):
        return self.runtime.call("kill", self.id, *words, **more)

    def delete(self, *flags, **more):
        return self.runtime.call("delete", *flags, self.id, **more)

    def exec(self, *argv, flags=(), **more):
        """`exec FLAGS ID argv...`"""
        return self.runtime.call("exec", *flags, self.id, *argv, **more)

    def exec_process(self, process, flags=(), **more):
        """`exec --process FILE FLAGS ID`, the file made from a dict."""
        path = self.path(f"process{len(os.listdir(self.directory))}.json")
        path.write_text(json.dumps(process))
        return self.runtime.call("exec", "--process", path, *flags, self.id, **more)

    # What one wants to know.
    def facts(self, *flags, **more):
        """Runs the probe in the foreground and returns what it found."""
        self.args("/probe")
        return Facts(self.run(*flags, **more).check().json)

    def exec_facts(self, *flags, **more):
        """Runs the probe by exec and returns what it found."""
        return Facts(self.exec("/probe", flags=flags, **more).check().json)

    @property
    def state(self):
        """The state object, or None when the runtime says that there is no such container."""
        result = self.runtime.call("state", self.id)
        return result.json if result.code == 0 else None

    @property
    def status(self):
        state = self.state
        return state and state["status"]

    @property
    def pid(self):
        return self.state["pid"]

    def hold(self, *flags, **more):
        """Creates and starts the container; returns once its program, which waits, is running."""
        ready = self.bundle.fifo("ready")
        self.args("/probe", "hold", "/ready")
        self.create(*flags, **more).check()
        self.start().check()
        assert ready.line() == "ready"
        return self

    def wait(self, pid=None):
        """Waits for the container's init, a child of ours by now, and returns its exit code."""
        return events.reap(pid or self.pid)

    def stop(self):
        """Ends the container by SIGKILL and collects its init."""
        pid = self.pid
        self.kill("KILL").check()
        return self.wait(pid)

    def company(self, *known):
        """The processes of ours that stay beside the container's init and the known ones."""
        known = {self.pid, *known}
        for pid in set(host.descendants()) - known:
            try:
                events.wait_exit(pid, 1.0)
                host.collect(pid)
            except events.Missing:
                pass
        return set(host.descendants()) - known

    def clear(self):
        """Removes every container under this --root, by the runtime's own means."""
        host.collect_dead()
        for name in self.runtime.ids():
            self.runtime.call("delete", "--force", name)
        self.bundle.close()

    def scrub(self):
        """Removes by force whatever is left after clear()."""
        host.kill_cgroups(host.cgroups())
        host.kill_processes(host.descendants())
        host.unmount_below(self.directory)
        shutil.rmtree(self.directory, ignore_errors=True)
