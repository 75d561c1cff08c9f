"""One TCP connection that speaks bytes. Blocking, and every call has a deadline."""

import contextlib
import ipaddress
import select
import socket
import struct
import time

from . import wait

CHUNK = 1 << 16


def endpoint(address):
    """(host, port, ...) as the daemon writes it: 127.0.0.1:80, [::1]:80, a.name:80."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def family_of(host):
    return socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET


class Wire:
    """Owns its socket. Use it with `with`, or let a fixture close it."""

    was_reset = False  # before the first look at it

    def __init__(self, sock, patience=10, peer=None):
        self.sock = sock
        self.sock.settimeout(wait.seconds(patience))
        self.local = endpoint(sock.getsockname())
        self.local_address = sock.getsockname()[:2]
        with contextlib.suppress(OSError):  # it may be gone again
            peer = sock.getpeername()
        self.peer_address = peer[:2]
        self.peer = endpoint(self.peer_address)

    @classmethod
    def open(cls, address, *, source=None, make_socket=socket.socket, patience=10, receive_buffer=None):
        """Connects to (host, port), from the address `source` if given."""
        sock = make_socket(family_of(address[0]), socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source:
                sock.bind((source, 0))
            sock.settimeout(wait.seconds(patience))
            was_reset = False
            try:
                sock.connect(address[:2])
            except ConnectionResetError:  # it stood, and was reset before we looked: reading says it no more
                was_reset = True
            wire = cls(sock, patience, address)
            wire.was_reset = was_reset
            return wire
        except BaseException:
            sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def send_in_pieces(self, *pieces):
        """Each piece in a segment of its own (TCP_NODELAY is set): the peer may see them one by one."""
        for piece in pieces:
            self.sock.sendall(piece)

    def read(self, count):
        """Exactly `count` bytes."""
        data = bytearray()
        while len(data) < count:
            try:
                piece = self.sock.recv(min(CHUNK, count - len(data)))
            except TimeoutError:
                raise AssertionError(f"only {len(data)} of {count} bytes came: {bytes(data[:64])!r}") from None
            if not piece:
                raise AssertionError(f"the end came after {len(data)} of {count} bytes: {bytes(data[:64])!r}")
            data += piece
        return bytes(data)

    def read_to_end(self):
        """Everything up to the peer's orderly end."""
        data = bytearray()
        while True:
            try:
                piece = self.sock.recv(CHUNK)
            except TimeoutError:
                raise AssertionError(f"no end after {len(data)} bytes: {bytes(data[-64:])!r}") from None
            if not piece:
                return bytes(data)
            data += piece

    def read_to_end_or_reset(self):
        """Reads until the peer is gone, in order or by a reset."""
        with contextlib.suppress(ConnectionResetError):
            while self.sock.recv(CHUNK):
                pass

    def finish(self):
        """Ends our direction only."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        """Leaves with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def expect_end(self):
        """The peer ends its direction in order, with no more bytes."""
        rest = self.read_to_end()
        assert rest == b"", f"bytes after what should be the end: {rest[:64]!r}"

    def expect_closed(self):
        """The connection goes away without one more byte, in order or by a reset; then we close it too.

        A daemon that refuses waits for that (a close before it might eat the reply), and only then logs.
        """
        with contextlib.suppress(ConnectionResetError):
            self.expect_end()
        self.close()

    def expect_reset(self):
        """The peer resets the connection; bytes before it do not matter."""
        if self.was_reset:
            return
        try:
            data = self.read_to_end()
        except ConnectionResetError:
            return
        raise AssertionError(f"an orderly end instead of a reset, after {len(data)} bytes")

    def is_quiet(self, duration=0.3):
        """No byte, end or reset within `duration` seconds: for 'nothing happens before ...'."""
        return not select.select([self.sock], [], [], duration)[0]

    def push(self, total, stall=1.0):
        """Sends up to `total` bytes until the peer has taken nothing for `stall` seconds. Returns how many."""
        block = memoryview(bytes(CHUNK))
        sent = 0
        timeout = self.sock.gettimeout()
        self.sock.setblocking(False)
        try:
            while sent < total and select.select([], [self.sock], [], wait.seconds(stall))[1]:
                with contextlib.suppress(BlockingIOError):
                    sent += self.sock.send(block[: total - sent])
        finally:
            self.sock.settimeout(timeout)
        return sent

    def drip(self, data, pause, until_closed=False):
        """One byte every `pause` seconds; `until_closed`: stops when the peer is gone. Returns the seconds it took."""
        start = time.monotonic()
        for at in range(len(data)):
            try:
                self.sock.sendall(data[at : at + 1])
            except ConnectionError:
                if until_closed:
                    break
                raise
            if not until_closed:
                time.sleep(pause)
            elif select.select([self.sock], [], [], pause)[0]:
                break
        return time.monotonic() - start
