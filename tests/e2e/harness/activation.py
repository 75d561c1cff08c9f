"""Passes sockets to a daemon as systemd does: from descriptor 3 on, with LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES.

Run as a program it is the other half: `activation.py NAME=FD... -- COMMAND`, becomes COMMAND.
"""

import os
import sys


def passing(*named, names=True):
    """What Daemon needs besides to be given these (name, socket), in this order. Without `names` it is told none."""
    pairs = [f"{name}={sock.fileno()}" for name, sock in named]
    return {
        "prefix": [sys.executable, __file__, *([] if names else ["--nameless"]), *pairs, "--"],
        "pass_fds": [sock.fileno() for _, sock in named],
    }


def main(arguments):
    at = arguments.index("--")
    given, command = arguments[:at], arguments[at + 1 :]
    nameless = "--nameless" in given
    pairs = [one.rpartition("=") for one in given if not one.startswith("--")]
    # High first: a descriptor that is still to be moved must not be overwritten.
    spare = [os.dup2(int(fd), 500 + i) for i, (_, _, fd) in enumerate(pairs)]
    for i, fd in enumerate(spare):
        os.dup2(fd, 3 + i)
        os.close(fd)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(pairs)))
    if not nameless:
        os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _, _ in pairs)
    for fd in range(3 + len(pairs), 500):
        try:
            os.close(fd)
        except OSError:
            pass
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
