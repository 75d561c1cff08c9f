"""A SOCKS4, 4a, 5 (with RFC 1929) and HTTP client that speaks bytes, so that the tests can say every message wrong."""

import ipaddress
import socket
import struct
from typing import NamedTuple

from . import http
from .wire import Wire

CONNECT, BIND, UDP = 1, 2, 3
ALL = ("socks4", "socks4a", "socks5", "http")


class Reply(NamedTuple):
    code: int
    host: str
    port: int


def request4(host, port, *, command=CONNECT, user=b"", version=4):
    """SOCKS4: the address itself."""
    return struct.pack("!BBH", version, command, port) + socket.inet_aton(host) + user + b"\0"


def request4a(name, port, *, command=CONNECT, user=b"", marker=1):
    """SOCKS4a: 0.0.0.`marker` and a name behind the user."""
    name = name.encode() if isinstance(name, str) else name
    head = struct.pack("!BBHBBBB", 4, command, port, 0, 0, 0, marker)
    return head + user + b"\0" + name + b"\0"


def greeting(*methods):
    """SOCKS5's first message; without arguments it offers only method 0 (no authentication)."""
    methods = methods or (0,)
    return bytes([5, len(methods), *methods])


def userpass(user, password, *, version=1):
    """RFC 1929's message."""
    user, password = (word.encode() if isinstance(word, str) else word for word in (user, password))
    return bytes([version, len(user)]) + user + bytes([len(password)]) + password


def request5(host, port, *, command=CONNECT, version=5, rsv=0, atyp=None):
    """SOCKS5's request; `host` is an address, a name, or raw bytes of a name."""
    if isinstance(host, bytes):
        kind, address = 3, bytes([len(host)]) + host
    else:
        try:
            literal = ipaddress.ip_address(host)
            kind, address = (1 if literal.version == 4 else 4), literal.packed
        except ValueError:
            kind, address = 3, bytes([len(host)]) + host.encode()
    kind = kind if atyp is None else atyp
    return bytes([version, command, rsv, kind]) + address + struct.pack("!H", port)


class Client(Wire):
    """A connection to the proxy."""

    def read_reply4(self):
        vn, code, port = struct.unpack("!BBH", self.read(4))
        assert vn == 0, f"VN of a SOCKS4 reply is {vn}"
        return Reply(code, socket.inet_ntoa(self.read(4)), port)

    def read_reply5(self):
        version, code, rsv, atyp = self.read(4)
        assert (version, rsv) == (5, 0), f"VER {version}, RSV {rsv} in a SOCKS5 reply"
        assert atyp in (1, 4), f"ATYP {atyp} in a SOCKS5 reply"
        packed = self.read(4 if atyp == 1 else 16)
        return Reply(code, str(ipaddress.ip_address(packed)), struct.unpack("!H", self.read(2))[0])

    def read_head(self):
        """An HTTP head, to its empty line and no further."""
        data = bytearray()
        while not data.endswith(b"\r\n\r\n"):
            data += self.read(1)
            assert len(data) < 4096, f"a head without end: {bytes(data)!r}"
        return bytes(data)

    def read_reply_http(self):
        """HTTP says no address."""
        head = self.read_head()
        if head.startswith(b"HTTP/1.1 200 "):
            assert head == http.ESTABLISHED
            return Reply(200, "0.0.0.0", 0)
        return Reply(http.refusal(head + self.read_to_end()).status, "0.0.0.0", 0)

    def greet5(self):
        self.send(greeting())
        assert self.read(2) == b"\x05\x00"

    def greet(self, *methods):
        """SOCKS5's greeting; returns the method that is chosen."""
        self.send(greeting(*methods))
        version, method = self.read(2)
        assert version == 5, f"VER {version} in the answer to the greeting"
        return method

    def login(self, user, password):
        """The sub-negotiation of RFC 1929; returns the status."""
        self.send(userpass(user, password))
        version, status = self.read(2)
        assert version == 1, f"VER {version} in the answer of RFC 1929"
        return status

    def connect_as(self, user, password, host, port):
        """SOCKS5 with a password, which must succeed."""
        assert (self.greet(2), self.login(user, password)) == (2, 0)
        self.send(request5(host, port))
        reply = self.read_reply5()
        assert reply.code == 0, f"reply {reply.code}"
        return reply

    def ask(self, protocol, host, port, **more):
        """Sends the request of `protocol` without waiting for its reply."""
        if protocol == "socks5":
            self.greet5()
            self.send(request5(host, port, **more))
        else:
            self.send({"socks4": request4, "socks4a": request4a, "http": http.connect}[protocol](host, port, **more))

    def read_reply(self, protocol):
        read = {"socks5": self.read_reply5, "http": self.read_reply_http}
        return read.get(protocol, self.read_reply4)()

    def negotiate(self, protocol, host, port, **more):
        """The whole dialogue; returns the reply, whatever it says."""
        self.ask(protocol, host, port, **more)
        return self.read_reply(protocol)

    def connect(self, protocol, host, port):
        """The dialogue, which must succeed."""
        reply = self.negotiate(protocol, host, port)
        assert reply.code == GRANTED[protocol], f"{protocol} to {host}:{port} got reply {reply.code}"
        return reply


GRANTED = {"socks4": 90, "socks4a": 90, "socks5": 0, "http": 200}
