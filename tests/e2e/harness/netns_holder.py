"""Runs inside a network namespace and hands out sockets of it: `netns.py` starts it.

Reads lines "FAMILY TYPE" from the unix socket on descriptor argv[1], answers each with a descriptor, and
ends with it; the namespace ends with this process.
"""

import ctypes
import signal
import socket
import sys

ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
control = socket.socket(fileno=int(sys.argv[1]))
control.sendall(b"r")
while order := control.recv(64):
    family, kind = map(int, order.split())
    with socket.socket(family, kind) as sock:
        socket.send_fds(control, [b"s"], [sock.fileno()])
