"""Hooks that write down what they see, for the tests of hooks."""

STAGES = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
AT_CREATE = STAGES[:3]
INSIDE = "startContainer"  # the one that runs in the container's own root


def make_seen(box):
    """Where hooks write down what they see; below the rootfs, so that INSIDE can reach it too."""
    place = box.rootfs / "seen"
    place.mkdir()
    return place


def add(box, stage, script, stdin=False, **more):
    """Adds a hook that is a shell script; `$SEEN` in it is the place to write to. It reads its
    standard input to the end first, unless `stdin` says that the script has its own ways."""
    place = "/seen" if stage == INSIDE else str(box.rootfs / "seen")
    script = script if stdin else f"cat > /dev/null; {script}"
    hook = {
        "path": "/bin/sh",
        "args": ["sh", "-c", script],
        "env": [f"SEEN={place}", "PATH=/bin:/usr/bin"],
        **more,
    }
    box.config.setdefault("hooks", {}).setdefault(stage, []).append(hook)


def failed(result):
    """Checks that a call failed, with any status (crun has 255 for a hook) and with a word."""
    assert result.code > 0 and result.err.strip(), result
    return result


def note(box, stage, word=None):
    add(box, stage, f"echo {word or stage} >> $SEEN/order")


def order(seen):
    path = seen / "order"
    return path.read_text().split() if path.exists() else []


def life(box):
    """A whole life: create, start, the end of the program, delete."""
    box.args("/bin/true")
    box.create().check()
    pid = box.pid
    box.start().check()
    box.wait(pid)
    box.delete().check()
