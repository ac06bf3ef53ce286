"""System calls made in a container, one by one, and what became of each."""

AT_FDCWD = -100
O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK = 0, 1, 2, 0o4000


def words(calls):
    """The arguments of /act for a list of calls, each a sequence of a name and arguments."""
    made = []
    for call in calls:
        if made:
            made.append(",")
        made += ["@" if word is None else str(word) for word in call]
    return made


def run_calls(box, *calls):
    """Runs a container that makes these calls; `ok` or the error's name for each."""
    box.args("/act", *words(calls))
    return box.run().check().out.split()


def exec_calls(box, *calls, flags=()):
    """The same by exec in a running container."""
    return box.exec("/act", *words(calls), flags=flags).check().out.split()


def opening(path, flags=O_RDONLY):
    """The call that opens a path, without waiting for the other end of anything."""
    return ("openat", AT_FDCWD, path, flags | O_NONBLOCK)


def making_node(path, mode, device=0):
    return ("mknodat", AT_FDCWD, path, mode, device)
