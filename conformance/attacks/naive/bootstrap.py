"""What the child is told: attributes of a kind, a length and a text, one after the other. A length is
sixteen bits, and whoever writes a longer text writes the attributes that follow (CVE-2021-43784)."""

import struct


def encode(attributes):
    parts = []
    for kind, text in attributes:
        text = text.encode()
        parts.append(kind.encode() + struct.pack("<H", len(text) & 0xFFFF) + text)
    return b"".join(parts)


def decode(data):
    """Kind to text; the first of a kind counts."""
    found = {}
    while len(data) >= 3:
        kind, (length,) = data[:1].decode("utf-8", "replace"), struct.unpack("<H", data[1:3])
        found.setdefault(kind, data[3 : 3 + length].decode("utf-8", "replace"))
        data = data[3 + length :]
    return found


def texts_of(config):
    """Every text that whoever made the config may choose the length of."""
    process, linux = config["process"], config.get("linux", {})
    yield from process.get("env", [])
    yield from process["args"]
    yield from config.get("annotations", {}).values()
    yield config["root"]["path"]
    yield linux.get("cgroupsPath", "")
    for entry in config.get("mounts", []):
        yield from entry.get("options", [])
    for hooks in config.get("hooks", {}).values():
        for hook in hooks:
            yield from hook.get("args", [])


def namespaces(config, new):
    """The namespaces that are to be made, as they arrive at the child."""
    sent = encode([*(("V", text) for text in texts_of(config)), ("N", ",".join(sorted(new)))])
    return set(decode(sent).get("N", "").split(",")) & new


def lines_of(mappings):
    """The text of a map, of which the kernel takes 340 lines at most: there are no more, then."""
    entries = mappings[:340]
    return "".join(f"{m['containerID']} {m['hostID']} {m['size']}\n" for m in entries)
