"""Many conversations at once, at random: sizes, pauses, half-closes, resets and urgent bytes, in plain and in TLS. No byte
is lost or stands still, and nothing turns in the daemon when there is nothing to do."""

import contextlib
import random
import select
import socket
import ssl
import time

import pytest

from harness import wait
from harness.targets import Listener
from harness.tls import client_context, keys, pem, secure, server_context
from harness.wire import Wire

pytestmark = pytest.mark.slow
SECONDS, AT_ONCE, STALL = 12, 32, 8
PATTERN = random.Random(1).randbytes(1 << 20).replace(b"!", b"?") * 2
PERIOD = len(PATTERN) // 2
WAYS = [(client, target) for client in ("plain", "tls") for target in ("plain", "tls")]


class Side:
    """One end of a session, without blocking: says `total` bytes of the pattern and its end, and compares what it hears."""

    def __init__(self, wire, chance, total):
        self.wire, self.chance, self.total = wire, chance, total
        self.tls = getattr(wire.sock, "tls", None)
        self.layer, self.sock = wire.sock, wire.sock.sock if self.tls else wire.sock
        self.sock.setblocking(False)
        self.said = self.heard = 0
        self.waiting = b""  # of TLS, for the socket
        self.speaks_at = self.reads_at = 0.0
        self.ended = self.hears_end = self.is_gone = False
        self.moved = time.monotonic()

    def fileno(self):
        return self.sock.fileno()

    def hear(self, data):
        data = data.replace(b"!", b"")  # was urgent, until another one was
        at = self.heard % PERIOD
        assert data == PATTERN[at : at + len(data)], f"other bytes at {self.heard}"
        self.heard += len(data)

    def hear_tls(self):
        while True:
            try:
                data = self.tls.read(1 << 16)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                data = b""
            if not data:
                self.hears_end = True
                return
            self.hear(data)

    def read(self, now):
        data = self.sock.recv(self.chance.choice([1, 700, 5000, 1 << 16]))
        self.moved = now
        if not self.tls:
            self.hear(data)
            self.hears_end = not data
        elif data:
            self.layer.incoming.write(data)
            self.hear_tls()
        else:
            assert self.hears_end, f"cut after {self.heard} bytes"
        if self.chance.random() < 0.02:
            self.reads_at = now + self.chance.random() / 3

    def flush(self):
        self.waiting += self.layer.outgoing.read()
        self.waiting = self.waiting[self.sock.send(self.waiting) :] if self.waiting else b""
        return not self.waiting

    def speak(self, now):
        at, n = self.said % PERIOD, min(self.total - self.said, self.chance.choice([1, 100, 9000, 1 << 16]))
        if self.tls and not self.flush():
            return
        if n and self.tls:
            self.said += self.tls.write(PATTERN[at : at + n])
            self.flush()
        elif n:
            self.said += self.sock.send(PATTERN[at : at + n])
        self.moved = now
        if self.chance.random() < 0.03:
            self.speaks_at = now + self.chance.random() / 3
        if not self.tls and self.chance.random() < 0.03:
            self.sock.send(b"!", socket.MSG_OOB)
        if self.said == self.total:
            self.end()

    def end(self):
        if self.tls:
            self.hear_tls()
            with contextlib.suppress(ssl.SSLError):
                self.tls.unwrap()  # what it wants is to be answered
            if not self.flush():
                return
        self.ended = True
        self.sock.shutdown(socket.SHUT_WR)

    def step(self, now):
        """What can be done now."""
        for due, action in (
            (not self.hears_end and now >= self.reads_at, self.read),
            (not self.ended and now >= self.speaks_at, self.speak),
        ):
            with contextlib.suppress(BlockingIOError):
                if due:
                    action(now)


class Session:
    """Both sides. One in eight is reset somewhere on its way."""

    def __init__(self, way, client, target, chance):
        sizes = [chance.choice([0, 1, 3000, 90_000, 700_000, 3_000_000]) for _ in range(2)]
        self.way, self.sides = way, [Side(client, chance, sizes[0]), Side(target, chance, sizes[1])]
        self.reset_at = chance.randrange(1, 300_000) if chance.random() < 0.125 else None
        self.chance = chance

    def story(self):
        told = [f"{s.said}/{s.total} said, {s.heard} heard, end {s.ended}/{s.hears_end}" for s in self.sides]
        return f"{self.way}, {self.sides[0].wire.local}: {told}"

    def step(self, now):
        """True: it is over."""
        if self.reset_at and self.sides[0].heard + self.sides[1].heard >= self.reset_at:
            self.be_reset()
            return True
        for side in self.sides:
            side.step(now)
        if all(side.ended and side.hears_end for side in self.sides):
            assert [s.heard for s in self.sides] == [s.total for s in reversed(self.sides)], self.story()
            return True
        moved = max(side.moved for side in self.sides)
        assert now - moved < wait.seconds(STALL), f"stands still: {self.story()}"
        return False

    def be_reset(self):
        one, other = self.chance.sample(self.sides, 2)
        one.wire.reset()
        other.sock.settimeout(wait.seconds(10))
        with contextlib.suppress(ConnectionResetError):
            while other.sock.recv(1 << 16):
                pass

    def close(self):
        for side in self.sides:
            side.wire.close()


@pytest.fixture
def ways(pairsocks, keep):
    """A daemon with a listener for each way, and begin(way, chance): a Session that stands."""
    targets = {"plain": keep(Listener(buffer=20_000)), "tls": keep(Listener(context=server_context()))}
    listeners = {}
    for client, target in WAYS:
        listeners[f"{client}-{target}"] = {
            "listen": "127.0.0.1:0",
            "protocols": "forward",
            "forward_to": f"127.0.0.1:{targets[target].port}",
            **(keys() if client == "tls" else {}),
            **({"route": "out"} if target == "tls" else {}),
        }
    out = {"out": {"type": "direct", "security": "negotiated", "authority": pem("root")}}
    daemon = pairsocks(listeners=listeners, upstreams=out)
    context = client_context()

    def begin(way, chance):
        buffer = chance.choice([None, 5000, 100_000])
        client = keep(Wire.open(daemon.address(4, "-".join(way)), receive_buffer=buffer))
        if way[0] == "tls":
            secure(client, context, name="server.test", pieces=chance.choice([None, 1, 50]))
        return Session(way, client, targets[way[1]].accept(), chance)

    daemon.begin = begin
    return daemon


@pytest.mark.timeout(90)
def test_conversations_of_every_kind_lose_nothing_and_never_stand_still(ways):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    until, sessions, done = time.monotonic() + SECONDS, [], 0
    while sessions or time.monotonic() < until:
        while len(sessions) < AT_ONCE and time.monotonic() < until:
            sessions.append(ways.begin(chance.choice(WAYS), chance))
        now, left = time.monotonic(), []
        for session in sessions:
            if session.step(now):
                session.close()
                done += 1
            else:
                left.append(session)
        sessions = left
        select.select([side for s in sessions for side in s.sides if not side.hears_end], [], [], 0.001)
    print(done, "sessions")
    assert done > 50


@pytest.mark.figures
@pytest.mark.timeout(60)
def test_nothing_turns_while_sessions_wait(ways):
    """Idle; half-closed on either side; with bytes that nobody reads, and the end behind them."""
    chance, sessions = random.Random(2), []
    for way in WAYS:
        for kind in range(6):
            session = ways.begin(way, chance)
            sessions.append(session)
            one, other = session.sides if kind % 2 else session.sides[::-1]
            if kind >= 4:
                if one.tls:
                    one.layer.pieces = None
                one.sock.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    one.wire.sock.sendall(bytes(16 << 20))
            elif kind >= 2:
                one.end()
    before = ways.cpu()
    time.sleep(2)
    assert ways.cpu() - before < 0.2
    for session in sessions:
        session.close()
