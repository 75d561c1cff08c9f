"""DNS servers on loopback: dnsmasq, and one whose every answer a test holds in its hands."""

import contextlib
import socket
import struct
import subprocess
import threading

from . import wait

A, AAAA, SRV = 1, 28, 33
NXDOMAIN, SERVFAIL, REFUSED = 3, 2, 5  # an answer that is a number is a response code
SILENT = "silent"  # no answer at all


def free_port():
    """A port that is free for UDP and TCP on 127.0.0.1 (until somebody takes it)."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
            udp.bind(("127.0.0.1", 0))
            with contextlib.suppress(OSError):
                tcp.bind(udp.getsockname())
                return udp.getsockname()[1]
    raise AssertionError("no free port")


class Dnsmasq:
    """dnsmasq with lines of its own configuration, such as `host-record=a.test,127.0.0.1`."""

    def __init__(self, folder, program, lines):
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "dnsmasq.log"
        for _ in range(5):  # another program may have taken the port meanwhile
            self.port = free_port()
            self.nameserver = f"127.0.0.1:{self.port}"
            fixed = [f"port={self.port}", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts",
                     "log-queries", "log-facility=-", "pid-file=", "user=", "group=", "local=/test/"]
            (folder / "dnsmasq.conf").write_text("\n".join(fixed + lines) + "\n")
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", program, "--keep-in-foreground", f"--conf-file={folder}/dnsmasq.conf"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            wait.until(lambda: "started, version" in self.text() or self.process.poll() is not None, "dnsmasq")
            if self.process.poll() is None:
                return
        raise AssertionError(f"dnsmasq does not start: {self.text()}")

    def text(self):
        return self.log.read_text(errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(wait.seconds(10))


class Held:
    """An answer that goes out when the test says release()."""

    def __init__(self, answer):
        self.answer, self.waiting, self.free = answer, [], False
        self.lock = threading.Lock()

    def later(self, send):
        with self.lock:
            if not self.free:
                self.waiting.append(send)
                return
        send(self.answer)

    def release(self):
        with self.lock:
            self.free = True
        for send in self.waiting:
            send(self.answer)


def answer_packet(query, answer, *, ident=None, ttl=0):
    """The answer to `query`: a list of addresses (empty: none of this type) or a response code."""
    end = query.index(b"\0", 12) + 5  # the question: name, type, class
    addresses = answer if isinstance(answer, list) else []
    code = 0 if isinstance(answer, list) else answer
    packet = query[:2] if ident is None else struct.pack("!H", ident)
    packet += struct.pack("!HHHHH", 0x8580 | code, 1, len(addresses), 0, 0) + query[12:end]
    for address in addresses:
        kind, family = (AAAA, socket.AF_INET6) if ":" in address else (A, socket.AF_INET)
        data = socket.inet_pton(family, address)
        packet += struct.pack("!HHHIH", 0xC00C, kind, 1, ttl, len(data)) + data
    return packet


def service(*records, ttl=60):
    """An answer with SRV records, each (priority, weight, port, target)."""

    def packets(query):
        end = query.index(b"\0", 12) + 5
        packet = query[:2] + struct.pack("!HHHHH", 0x8580, 1, len(records), 0, 0) + query[12:end]
        for priority, weight, port, target in records:
            name = b"".join(bytes([len(label)]) + label.encode() for label in target.split(".")) + b"\0"
            packet += struct.pack("!HHHIH", 0xC00C, SRV, 1, ttl, 6 + len(name))
            packet += struct.pack("!HHH", priority, weight, port) + name
        return [packet]

    return packets


class Scripted:
    """A DNS server (UDP) that says what the test tells it; other names do not exist.

    An answer is a list of addresses, a response code, SILENT, a Held of these, or a function of the
    query's bytes that returns the packets to send.
    """

    def __init__(self, make_socket=socket.socket):
        self.sock = make_socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.nameserver = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.table = {}
        self.queries = []
        self.closing = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def name(self, name, a=(), aaaa=()):
        """`name` has these answers; returns the name."""
        for kind, answer in ((A, a), (AAAA, aaaa)):
            self.table[name, kind] = list(answer) if isinstance(answer, tuple) else answer
        return name

    def service(self, name, *records, ttl=60):
        """`name` has these SRV records; returns the name."""
        self.table[name, SRV] = service(*records, ttl=ttl)
        return name

    def asked(self, name, kind=None):
        """How often `name` was asked for (a type of it)."""
        return sum(1 for n, k in list(self.queries) if n == name and kind in (None, k))

    def _run(self):
        self.sock.settimeout(0.05)
        while not self.closing:
            try:
                query, peer = self.sock.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode("latin-1"))
                at += 1 + query[at]
            kind = struct.unpack_from("!H", query, at + 1)[0]
            name = ".".join(labels).lower()
            self.queries.append((name, kind))
            self._answer(self.table.get((name, kind), NXDOMAIN), query, peer)

    def _answer(self, answer, query, peer):
        if isinstance(answer, Held):
            answer.later(lambda real: self._answer(real, query, peer))
        elif answer is not SILENT:
            packets = answer(query) if callable(answer) else [answer_packet(query, answer)]
            with contextlib.suppress(OSError):
                for packet in packets:
                    self.sock.sendto(packet, peer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing = True
        self.thread.join(wait.seconds(5))
        self.sock.close()
