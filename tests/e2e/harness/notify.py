"""A service manager's end of the notify socket."""

import os
import socket
import struct

from . import wait


class Notified:
    """$NOTIFY_SOCKET, at a path or (text that begins with @) abstract. `messages`: what came, each as a list of
    (variable, value) with the sender's process as `pid`."""

    def __init__(self, where):
        self.where = str(where)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.bind("\0" + self.where[1:] if self.where.startswith("@") else self.where)
        self.sock.setblocking(False)
        if not self.where.startswith("@"):
            os.chmod(self.where, 0o777)
        self.messages = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    @property
    def environment(self):
        return {"NOTIFY_SOCKET": self.where}

    def read(self):
        while True:
            try:
                data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return self.messages
            pid = struct.unpack("3i", ancillary[0][2])[0]
            lines = [tuple(line.split("=", 1)) for line in data.decode().splitlines()]
            self.messages.append(Message(lines, pid))

    def with_variable(self, name, value=None):
        """The messages so far that set it (to this)."""
        return [m for m in self.read() if name in m and value in (None, m[name])]

    def wait_for(self, name, value=None, count=1, timeout=10):
        """Waits for that many messages; returns the last of them."""
        wait.until(lambda: len(self.with_variable(name, value)) >= count, lambda: f"{count} of {name}={value}: {self.messages}", timeout)
        return self.with_variable(name, value)[count - 1]


class Message(dict):
    def __init__(self, lines, pid):
        super().__init__(lines)
        self.lines, self.pid = lines, pid
