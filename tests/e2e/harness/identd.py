"""Identds (RFC 1413): one that says what the test tells it, the truth or not, and a real one."""

import socket
import subprocess
from typing import NamedTuple

from . import wait
from .targets import Serving, bound
from .wire import Wire

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


class Oidentd:
    """Debian's oidentd inside a namespace, in the foreground; it tells whose a connection really is."""

    def __init__(self, folder, program, namespace):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "oidentd.log"
        (folder / "oidentd.conf").write_text("")  # everybody is told by the real name
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [*namespace.prefix, "setpriv", "--pdeathsig", "KILL", program, "--foreground", "--nosyslog",
                 "--user=0", "--group=0", f"--config={folder}/oidentd.conf"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # fmt: skip
        for host in ("127.0.0.1", "::1"):
            wait.until(lambda: self.answers(host, namespace), lambda: f"oidentd: {self.log.read_text()}")

    def answers(self, host, namespace):
        assert self.process.poll() is None, f"oidentd has ended: {self.log.read_text()}"
        try:
            Wire.open((host, PORT), make_socket=namespace.make_socket).close()
        except OSError:
            return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(wait.seconds(10))
