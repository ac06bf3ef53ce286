"""Something outside of the rootfs that no container and no runtime has any business to touch."""

import os
import stat

from harness.attack import fired_if
from harness.host import listing


class Canary:
    """A directory with a few files in it; `unchanged` compares names, modes and contents."""

    def __init__(self, path):
        self.path = path
        self.path.mkdir()
        for name in ("file", "ptmx", "null", "console", "passwd"):
            (path / name).write_text(f"the canary's {name}\n")
        (path / "directory").mkdir()
        (path / "directory/within").write_text("the canary's own\n")
        self.before = self.picture()

    def picture(self):
        contents = {}
        for path, _, names in os.walk(self.path):
            for name in names:
                full = os.path.join(path, name)
                # A runtime that was led astray leaves devices, which have no end.
                if stat.S_ISREG(os.lstat(full).st_mode):
                    with open(full, encoding="utf-8", errors="replace") as file:
                        contents[full] = file.read()
        return listing(self.path), contents

    @property
    def unchanged(self):
        now = self.picture()
        for then, found in zip(self.before, now):
            fired_if(found != then, f"the canary was {then}, and is {found}")
        return True
