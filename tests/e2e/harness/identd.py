"""An identd (RFC 1413) that says what the test tells it, the truth or not."""

import socket
from typing import NamedTuple

from .targets import Serving, bound

PORT = 113


class Query(NamedTuple):
    line: bytes  # without its end
    asker: str  # the address that the query came from
    asked: str  # the address that it came to

    @property
    def ports(self):
        """(the client's, the daemon's)"""
        ours, _, theirs = self.line.partition(b",")
        return int(ours), int(theirs)


def userid(query, user, *, ports=None, opsys=b"UNIX", end=b"\r\n"):
    """The reply line that names this user."""
    user = user.encode() if isinstance(user, str) else user
    return b"%d , %d : USERID : %s : " % (*(ports or query.ports), opsys) + user + end


class Identd(Serving):
    """`answer`: a user's name; or a function of (query, wire) that returns the bytes to send or sends by itself."""

    def __init__(self, answer, host="127.0.0.1", *, port=PORT, make_socket=socket.socket):
        self.answer, self.queries = answer, []
        super().__init__(sock=bound(host, port, make_socket))

    def serve(self, wire):
        line = bytearray()
        while not line.endswith(b"\r\n"):
            line += wire.read(1)
        query = Query(bytes(line[:-2]), wire.peer_address[0], wire.local_address[0])
        self.queries.append(query)
        reply = self.answer(query, wire) if callable(self.answer) else userid(query, self.answer)
        if reply:
            wire.send(reply)
            wire.finish()
            wire.read_to_end()
