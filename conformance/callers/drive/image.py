"""The image that all callers run: the suite's root filesystem as one layer of an archive.

The form is that of `docker save`, which podman, containerd and docker all load, so that no image
comes from anywhere else.
"""

import hashlib
import io
import json
import tarfile

NAME = "localhost/box:latest"
PAUSE = "localhost/pause:latest"  # the same, but it waits: the first container of a pod
# It says nothing, as its standard output is not to be written to.
COMMANDS = {NAME: ["/bin/sh"], PAUSE: ["/bin/tail", "-f", "/dev/null"]}
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What is said about the programs in the image that cannot be run.
FILES = {
    "etc/notes": (b"for nobody to run\n", 0o644),
    "bin/script": (b"#!/bin/sh\necho script \"$@\"\n", 0o755),
    "bin/orphan": (b"#!/bin/interpreter\n", 0o755),
    "bin/private": (b"#!/bin/sh\n", 0o700),
}


def layer(rootfs):
    """The root filesystem as a tar, everything in it root's."""

    def owned(member):
        member.uid = member.gid = 0
        member.uname = member.gname = "root"
        return member

    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        archive.add(rootfs, arcname=".", filter=owned)
        for name, (data, mode) in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), mode
            archive.addfile(member, io.BytesIO(data))
    return written.getvalue()


def write(path, rootfs):
    """Writes the archive of both images to `path`, and returns the path."""
    data = layer(rootfs)
    digest = hashlib.sha256(data).hexdigest()
    manifest, files = [], {f"{digest}/layer.tar": data}
    for name, command in COMMANDS.items():
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": [PATH], "Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        }
        text = json.dumps(config).encode()
        file = f"{hashlib.sha256(text).hexdigest()}.json"
        files[file] = text
        manifest.append({"Config": file, "RepoTags": [name], "Layers": [f"{digest}/layer.tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as archive:
        for entry, content in files.items():
            member = tarfile.TarInfo(entry)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return path
