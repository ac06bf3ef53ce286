"""A process in a container that does what it is told, a step at a time: the attacker's side of a replay."""

import os


class Onlooker:
    """The first process of a box, a shell script that reads words from descriptor 4 and says what
    comes of each on descriptor 3."""

    def __init__(self, box, script, capabilities):
        self.said = box.bundle.fifo("said")
        self.go = box.rootfs / "go"
        os.mkfifo(self.go)
        sets = {kind: list(capabilities) for kind in ("bounding", "effective", "permitted")}
        box.set("process.capabilities", sets)
        # Both ends of the second: between two words it must not come to an end.
        box.sh(f"exec 3> /said 4<> /go; echo ready >&3\n{script}")
        box.create().check()
        box.start().check()
        assert self.said.line() == "ready"

    def tell(self, word):
        """What it says when it is given a word."""
        with open(self.go, "w", encoding="utf-8") as file:
            file.write(f"{word}\n")
        return self.said.line()
