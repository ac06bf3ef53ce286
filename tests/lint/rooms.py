"""The rooms of src/ and who may know whom: the dependency direction that CONTRIBUTING.md draws."""

import re

from tree import Finding

# A room may include itself, what stands here, and include/tare.
MAY_INCLUDE = {
    "sys": set(),
    "spec": {"sys"},
    "host": {"sys"},
    "features": {"spec", "host", "sys"},
    "state": {"features", "spec", "host", "sys"},
    "stages": {"state", "features", "spec", "host", "sys"},
    "cli": {"stages", "state", "features", "spec", "host", "sys"},
    "main.cpp": {"cli", "sys"},
}
# The bottom of everything knows one public header only.
PUBLIC_FOR_BOTTOM = {"tare/error.hpp"}
FOR_READER = {"spec/reader.hpp", "spec/json_library.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
CATCH_ALL_IN = {"src/main.cpp", "src/sys/process.cpp"}
# The one thing that every layer writes to and none hands down, where operator new takes from, what the program's
# first instructions have to say to main(), which they do not call, and where the C library keeps its thread.
STATE_IN = {"src/sys/log.cpp", "src/sys/heap.cpp", "src/sys/seal.cpp", "src/sys/libc_start.cpp"}
# Libraries that one room hides from the others.
HIDDEN_IN = {"rapidjson": "spec", "dbus": "sys"}

SYSTEM_CALLS = (
    "syscall close mount umount umount2 open openat read write pread pwrite readv writev fork vfork "
    "clone execve execveat fexecve ioctl prctl setns unshare kill tgkill waitpid waitid wait4 dup "
    "dup2 dup3 fcntl pipe pipe2 socket socketpair connect bind listen accept accept4 sendmsg recvmsg "
    "send recv mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2 symlink symlinkat link "
    "linkat mknod mknodat chmod fchmod fchmodat chown fchown fchownat lchown stat fstat lstat fstatat "
    "statx access faccessat readlink readlinkat chdir fchdir chroot pivot_root setuid setgid setresuid "
    "setresgid setgroups setrlimit prlimit sethostname setdomainname umask setsid poll ppoll select "
    "epoll_wait epoll_ctl epoll_create1 signalfd sigprocmask flock ftruncate memfd_create "
    "getdents64 inotify_init1 inotify_add_watch bpf setpriority sched_setscheduler _exit"
).split()


def room_of(path):
    """The room of a file of src/, or None; src/main.cpp is a room of its own."""
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 1 else None


def includes(tree, path):
    """(line, target) of each quoted include; the target is as written."""
    for number, line in enumerate(tree.code(path).split("\n"), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1)


def include_direction(tree):
    """includes follow the rooms"""
    for path in tree.below("src", "include"):
        room = room_of(path)
        if room is not None and room not in MAY_INCLUDE:
            yield Finding(path, 1, f"no room is called {room}; rooms are {', '.join(MAY_INCLUDE)}")
            continue
        for number, target in includes(tree, path):
            to = target.split("/")[0] if "/" in target else None
            if to is None:
                yield Finding(path, number, f'"{target}" does not name its room')
            elif room is None:
                if to != "tare":
                    yield Finding(path, number, f"include/tare includes {target}; it knows itself only")
            elif to == "tare":
                if room in ("sys", "spec") and target not in PUBLIC_FOR_BOTTOM:
                    yield Finding(path, number, f"{room} knows tare/error.hpp only, not {target}")
            elif to != room and to not in MAY_INCLUDE[room]:
                yield Finding(path, number, f"{room} may not include {target}")
            elif path.startswith("src/spec/reader.") and target not in FOR_READER:
                yield Finding(path, number, f"the reader knows errors and its library only, not {target}")


def hidden_libraries(tree):
    """a library that a room hides is included there only"""
    for path in tree.below("src", "include"):
        for number, match in tree.search(path, r"^\s*#\s*include\s+<(\w+)/"):
            owner = HIDDEN_IN.get(match.group(1))
            if owner and room_of(path) != owner:
                yield Finding(path, number, f"{match.group(1)} is the business of src/{owner}")


def include_cycles(tree):
    """no two files or rooms include each other"""
    where = {}
    graph = {}
    for path in tree.below("src", "include"):
        key = path.removeprefix("src/").removeprefix("include/")
        where[key] = path
        graph[key] = {target for _, target in includes(tree, path)}
    state = {}

    def visit(key, trail):
        if state.get(key) == "done" or key not in graph:
            return
        if key in trail:
            yield Finding(where[key], 1, "cycle: " + " > ".join(trail[trail.index(key):] + [key]))
            return
        for target in sorted(graph[key]):
            yield from visit(target, trail + [key])
        state[key] = "done"

    for key in sorted(graph):
        yield from visit(key, [])

    edges = {}
    for key, targets in graph.items():
        for target in targets:
            pair = (key.split("/")[0], target.split("/")[0])
            if pair[0] != pair[1]:
                edges.setdefault(pair, key)
    for (a, b), key in sorted(edges.items()):
        if a < b and (b, a) in edges:
            yield Finding(where[key], 1, f"{a} and {b} include each other ({edges[(b, a)]})")


def system_calls(tree):
    """only src/sys makes system calls and reads errno"""
    call = re.compile(r"(?<![\w>])::(" + "|".join(SYSTEM_CALLS) + r")\s*\(")
    for path in tree.below("src", "include"):
        if room_of(path) == "sys":
            continue
        for number, match in tree.search(path, call):
            yield Finding(path, number, f"{match.group(0).strip()} outside src/sys")
        for number, _ in tree.search(path, r"(?<![\w:.>])errno(?!\w)|(?<![\w:.>])syscall\s*\("):
            yield Finding(path, number, "errno and syscall() belong in src/sys")


def catch_all(tree):
    """catch (...) only in main and at the boundary of a child process"""
    for path in tree.below("src", "include"):
        if path not in CATCH_ALL_IN:
            for number, _ in tree.search(path, r"\bcatch\s*\(\s*\.\.\.\s*\)"):
                yield Finding(path, number, "catch (...) hides an error from whoever could report it")


def apply_only_in_stages(tree):
    """only src/stages calls a feature's apply"""
    # std::apply is the standard library's; a definition starts its line with a type.
    call = r"(?<!std)(?<![\w])(?:[a-z_]\w*::)+apply(?:_in_\w+)?\s*\(|^\s+(?:return )?apply(?:_in_\w+)?\s*\("
    for path in tree.below("src"):
        if room_of(path) == "stages":
            continue
        for number, match in tree.search(path, call):
            if not match.group(0).strip().startswith("std::"):
                yield Finding(path, number, f"{match.group(0).strip()}…): order is the stages' business")


def file_scope_state(tree):
    """no mutable state at file scope or in a static local"""
    aligned = r"^\s*(?:alignas\(.*?\)\s+)?"
    static = aligned + r"(?:static|thread_local)\s+(?!const\b|constexpr\b|constinit const\b|inline const)[^(){}]*[=;{]"
    namespace_scope = (
        r"^(?:inline |extern )?(?!using |return |namespace |class |struct |enum |union |template|typedef |"
        r"const |constexpr |constinit const |inline const|static_assert|friend |public|private|concept )"
        r"[A-Za-z_][\w:<>,*& ]*[ &*>]\w+(?:\[[^\]]*\])*(?:\s*=[^=].*|\s*\{.*\}\s*)?;\s*$"
    )
    named = r"^\s*(?:constinit\s+(?!const\b)|thread_local\s).*;\s*$"
    for path in tree.below("src", "include"):
        if path in STATE_IN:
            continue
        for pattern in (static, namespace_scope, named):
            for number, match in tree.search(path, pattern):
                line = match.group(0).strip()
                if "const " not in line.split("=")[0] and "operator" not in line:
                    yield Finding(path, number, f"mutable state: {line}")


CHECKS = [
    include_direction,
    hidden_libraries,
    include_cycles,
    system_calls,
    catch_all,
    apply_only_in_stages,
    file_scope_state,
]
