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


def namespaces(config, new):
    """The namespaces that are to be made, as they arrive at the child."""
    process = config["process"]
    texts = [*process.get("env", []), *process["args"], *config.get("annotations", {}).values()]
    sent = encode([*(("V", text) for text in texts), ("N", ",".join(sorted(new)))])
    return set(decode(sent).get("N", "").split(",")) & new
