"""UDP ASSOCIATE (RFC 1928, 7) spoken by hand, and targets that hear datagrams."""

import contextlib
import ipaddress
import socket
import struct
import threading
from typing import NamedTuple

from . import wait
from .socks import UDP
from .wire import endpoint, family_of


def header(host, port, *, frag=0, rsv=0, atyp=None):
    """In front of a datagram; `host` is an address, a name, or raw bytes of a name."""
    try:
        literal = ipaddress.ip_address(host if isinstance(host, str) else "")
        kind, address = (1 if literal.version == 4 else 4), literal.packed
    except ValueError:
        name = host if isinstance(host, bytes) else host.encode()
        kind, address = 3, bytes([len(name)]) + name
    return struct.pack("!HBB", rsv, frag, kind if atyp is None else atyp) + address + struct.pack("!H", port)


class Datagram(NamedTuple):
    host: str
    port: int
    data: bytes


def parse(packet):
    rsv, frag, kind = struct.unpack_from("!HBB", packet)
    assert (rsv, frag) == (0, 0) and kind in (1, 4), packet[:32]
    end = 4 + (4 if kind == 1 else 16)
    return Datagram(str(ipaddress.ip_address(packet[4:end])), struct.unpack_from("!H", packet, end)[0], packet[end + 2 :])


def udp_socket(host="127.0.0.1", port=0, patience=10):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.bind((host, port))
    sock.settimeout(wait.seconds(patience))
    return sock


def unread(address):
    """Bytes that wait at the socket of this address, whoever has it."""
    host, port = address[:2]
    name = "udp6" if ":" in host else "udp"
    with open(f"/proc/net/{name}") as table:
        lines = [line.split() for line in table][1:]
    return sum(int(line[4].partition(":")[2], 16) for line in lines if int(line[1].rpartition(":")[2], 16) == port)


def wait_until_read(address):
    """All that was sent there so far has been looked at, or is about to be before anything else is."""
    wait.until(lambda: not unread(address), lambda: f"{unread(address)} bytes not read at {address}")


class Association:
    """An association of a client that has greeted already; `relay` is where its datagrams go."""

    def __init__(self, client, host="0.0.0.0", port=0, source=None):
        from .socks import request5

        self.client = client
        client.send(request5(host, port, command=UDP))
        self.reply = client.read_reply5()
        if self.reply.code:
            return
        self.relay = (self.reply.host, self.reply.port)
        self.sock = udp_socket(source or client.local_address[0])
        self.local = endpoint(self.sock.getsockname())

    def send(self, host, port, data, **more):
        self.send_raw(header(host, port, **more) + data)

    def send_raw(self, packet):
        self.sock.sendto(packet, self.relay)

    def receive(self):
        packet, sender = self.sock.recvfrom(65536)
        assert sender[:2] == self.relay
        return parse(packet)

    def exchange(self, target, data=b"ping", host=None):
        """To an Echo and back; proves that what was sent before has been looked at."""
        self.send(host or target.host, target.port, data)
        back = self.receive()
        assert back == (target.host, target.port, data)
        return back

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if hasattr(self, "sock"):
            self.sock.close()


class Hearer:
    """A target in the test's hands."""

    def __init__(self, host="127.0.0.1", port=0):
        self.sock = udp_socket(host, port)
        self.host, self.port = self.sock.getsockname()[:2]

    def receive(self):
        """(data, sender)"""
        return self.sock.recvfrom(65536)

    def send(self, data, to):
        self.sock.sendto(data, to)

    def has_nothing(self):
        self.sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            raise AssertionError(f"came: {self.sock.recvfrom(65536)}")
        self.sock.settimeout(wait.seconds(10))
        return True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


class Echo(Hearer):
    """Sends everything back, and remembers it."""

    def __init__(self, host="127.0.0.1", port=0):
        super().__init__(host, port)
        self.heard = []
        self.sock.settimeout(0.05)
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.closing:
            with contextlib.suppress(TimeoutError, OSError):
                data, sender = self.sock.recvfrom(65536)
                self.heard.append(data)
                self.sock.sendto(data, sender)

    def __exit__(self, *_):
        self.closing = True
        self.thread.join(wait.seconds(5))
        self.sock.close()
