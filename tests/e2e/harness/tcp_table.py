"""What the kernel says of this network namespace's TCP sockets."""

SYN_SENT, LISTEN = "02", "0A"
KEEPALIVE, NO_TIMER = "02", "00"


def rows():
    """Fields of /proc/net/tcp and tcp6: 1 local, 2 remote, 3 state, 5 timer."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as file:
                found += [line.split() for line in file.readlines()[1:]]
        except FileNotFoundError:
            pass
    return found


def dialing(port):
    """Whether somebody connects to `port` and has no answer yet."""
    return any(row[2].endswith(f":{port:04X}") and row[3] == SYN_SENT for row in rows())


def listeners(port):
    """How many sockets listen on `port`."""
    return sum(1 for row in rows() if row[1].endswith(f":{port:04X}") and row[3] == LISTEN)


def timer(local_port, remote_port):
    """The timer of the socket with these ports as (kind, clock ticks until it fires)."""
    for row in rows():
        if row[1].endswith(f":{local_port:04X}") and row[2].endswith(f":{remote_port:04X}"):
            kind, when = row[5].split(":")
            return kind, int(when, 16)
    raise AssertionError(f"no socket from {local_port} to {remote_port}")
