"""The control socket as a program of somebody else would use it."""

import json
import socket

from . import wait


class Control:
    """The socket at `path`; each request is a connection of its own."""

    def __init__(self, path):
        self.path = str(path)

    def connect(self):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(self.path)  # which waits for its turn; with a timeout it would not
        client.settimeout(wait.seconds(15))
        return client

    def send(self, line):
        """Asks, and leaves the answer to read()."""
        client = self.connect()
        client.sendall(line.encode() + b"\n")
        return client

    def ask(self, *words):
        """The answer as an object."""
        with self.send(" ".join(map(str, words))) as client:
            return json.loads(read(client))

    def sessions(self):
        return self.ask("sessions")["sessions"]

    def listener(self, name="main"):
        return next(one for one in self.ask("status")["listeners"] if one["name"] == name)

    def servers(self, name):
        return next(one for one in self.ask("upstreams")["upstreams"] if one["name"] == name)["servers"]


def read(client):
    """All that comes until the end, as text: one line."""
    data = b""
    while chunk := client.recv(65536):
        data += chunk
    assert data.endswith(b"\n") and data.count(b"\n") == 1, data
    return data.decode("utf-8")
