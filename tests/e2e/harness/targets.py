"""Target servers. Each has its own listening socket on a free port; the serving ones use threads.

`Listener` hands its connections to the test, which plays the target by hand: reads, ends, resets,
stays silent, never reads. The others serve by themselves.
"""

import contextlib
import http.server
import socket
import socketserver
import ssl
import threading

from . import tls, wait
from .wire import CHUNK, Wire


def bound(host="127.0.0.1", port=0, make_socket=socket.socket, buffer=None):
    """A bound TCP socket that does not listen: connecting to it is refused."""
    sock = make_socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    sock.bind((host, port))
    return sock


def same_port(*hosts, make_socket=socket.socket):
    """Bound sockets on each of the hosts, all with one port."""
    for _ in range(100):
        with contextlib.ExitStack() as stack:
            sockets = [stack.enter_context(bound(hosts[0], 0, make_socket))]
            port = sockets[0].getsockname()[1]
            try:
                for host in hosts[1:]:
                    sockets.append(stack.enter_context(bound(host, port, make_socket)))
            except OSError:
                continue
            stack.pop_all()
            return sockets
    raise AssertionError(f"no port that is free on all of {hosts}")


class Target:
    """Anything at an address. close() ends all that it holds."""

    def __init__(self, sock):
        self.sock = sock
        self.address = sock.getsockname()[:2]
        self.host, self.port = self.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()


class Refusing(Target):
    """A port that is taken but not listened on."""

    def __init__(self, host="127.0.0.1", *, sock=None, make_socket=socket.socket):
        super().__init__(sock or bound(host, make_socket=make_socket))


class Listener(Target):
    """The test accepts each connection itself. `context`: a server's TLS."""

    def __init__(self, host="127.0.0.1", *, sock=None, backlog=128, make_socket=socket.socket, buffer=None, context=None):
        super().__init__(sock or bound(host, make_socket=make_socket, buffer=buffer))
        self.sock.listen(backlog)
        self.wires, self.context = [], context

    def accept(self, timeout=10):
        self.sock.settimeout(wait.seconds(timeout))
        try:
            conn, peer = self.sock.accept()
        except TimeoutError:
            raise AssertionError("nobody connected to the target") from None
        self.wires.append(Wire(conn, peer=peer))
        return tls.secure(self.wires[-1], self.context, server=True) if self.context else self.wires[-1]

    def nobody_came(self, duration=0.3):
        self.sock.settimeout(duration)
        try:
            self.sock.accept()[0].close()
            return False
        except TimeoutError:
            return True

    def close(self):
        super().close()
        for wire in self.wires:
            wire.close()


class Silent(Listener):
    """Its backlog is full, so a SYN gets no answer at all, until wake_up()."""

    def __init__(self, host="127.0.0.1", *, sock=None, make_socket=socket.socket):
        super().__init__(host, sock=sock, backlog=0, make_socket=make_socket)
        self.filler = Wire.open(self.address, make_socket=make_socket)

    def wake_up(self):
        """From now on it listens; the kernel repeats a waiting SYN after 1, 3, 7 ... seconds."""
        self.sock.listen(128)
        assert self.accept().peer == self.filler.local

    def close(self):
        self.filler.close()
        super().close()


class Serving(Target):
    """Serves each connection with serve(wire) in a thread; close() ends them and waits for them. `context`: its TLS."""

    def __init__(self, host="127.0.0.1", *, sock=None, make_socket=socket.socket, context=None):
        super().__init__(sock or bound(host, make_socket=make_socket))
        self.context = context
        self.sock.listen(4096)
        self.lock = threading.Lock()
        self.wires = set()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        while True:
            try:
                conn, peer = self.sock.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):  # it may be gone already
                wire = Wire(conn, patience=60, peer=peer)
                thread = threading.Thread(target=self._serve, args=(wire,), daemon=True)
                with self.lock:
                    self.wires.add(wire)
                    self.threads.append(thread)
                thread.start()

    def _serve(self, wire):
        try:
            with contextlib.suppress(OSError, AssertionError):
                if self.context:
                    tls.secure(wire, self.context, server=True)
                self.serve(wire)
        finally:
            with self.lock:
                self.wires.discard(wire)
            wire.close()

    def serve(self, wire):
        raise NotImplementedError

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.threads[0].join(wait.seconds(5))
        with self.lock:
            for wire in self.wires:
                with contextlib.suppress(OSError):
                    wire.sock.shutdown(socket.SHUT_RDWR)
        for thread in self.threads[1:]:
            thread.join(wait.seconds(5))
        super().close()


class Echo(Serving):
    """Sends back what comes, and its end after the client's end."""

    def serve(self, wire):
        while data := wire.sock.recv(CHUNK):
            wire.send(data)
        if self.context:
            wire.finish()


class Source(Serving):
    """Sends its bytes and ends."""

    def __init__(self, data, *args, **kwargs):
        self.data = data
        super().__init__(*args, **kwargs)

    def serve(self, wire):
        wire.send(self.data)
        wire.finish()
        wire.read_to_end()


class Sink(Serving):
    """Reads to the end, then says what it got by `answer(bytes)` and ends."""

    def __init__(self, answer, *args, **kwargs):
        self.answer = answer
        super().__init__(*args, **kwargs)

    def serve(self, wire):
        wire.send(self.answer(wire.read_to_end()))


class Web(Target):
    """HTTP/1.1: GET gives `content`, or of a dict what stands there for the path; PUT stores its body in `uploads`;
    knows its clients' addresses. `identity`: a file with key and certificate; it is https then."""

    def __init__(self, content, host="127.0.0.1", *, identity=None):
        self.content, self.uploads, self.clients = content, [], []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = wait.seconds(30)

            def answer(self, body):
                web.clients.append(self.client_address[:2])
                self.send_response(404 if body is None else 200)
                body = body or b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                there = web.content
                self.answer(there.get(self.path.partition("?")[0]) if isinstance(there, dict) else there)

            def do_PUT(self):
                if self.headers.get("Expect", "").lower() == "100-continue":
                    self.send_response_only(100)
                    self.end_headers()
                web.uploads.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.answer(b"stored\n")

            handle_expect_100 = lambda self: True  # answered in do_PUT
            log_message = lambda *_: None

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True
            block_on_close = False

        self.server = Server((host, 0), Handler)
        if identity:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(identity)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        super().__init__(self.server.socket)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.url = f"{'https' if identity else 'http'}://{f'[{host}]' if ':' in host else host}:{self.port}/"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(wait.seconds(5))
