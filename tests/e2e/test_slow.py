"""What takes long: a gibibyte each way, thousands of clients, a soak of every fate mixed."""

import hashlib
import os
import random
import struct
import threading
import time

import pytest

from harness import wait
from harness.crowd import run_crowd
from harness.socks import Client, greeting, request5
from harness.targets import Echo, Listener, Refusing

pytestmark = pytest.mark.slow
GIGABYTE = 1 << 30
SOAK_SECONDS = float(os.environ.get("PAIRSOCKS_SOAK_SECONDS") or 30)


def stream(wire, total, seed):
    """Sends `total` bytes of which no two MiB are the same, and the end; returns their digest."""
    block, digest = bytearray(random.Random(seed).randbytes(1 << 20)), hashlib.sha256()
    for number in range(total >> 20):
        struct.pack_into("!Q", block, 0, number)
        digest.update(block)
        wire.send(block)
    wire.finish()
    return digest.hexdigest()


def drain(wire):
    """Reads to the end; returns the digest and the length."""
    digest, length = hashlib.sha256(), 0
    buffer = bytearray(1 << 18)
    while count := wire.sock.recv_into(buffer):
        digest.update(memoryview(buffer)[:count])
        length += count
    return digest.hexdigest(), length


@pytest.mark.timeout(240)
@pytest.mark.parametrize("protocol", ["socks4", "socks5"])
def test_a_gibibyte_each_way_at_once_arrives_byte_for_byte(daemon, through, keep, protocol):
    client, target = through(daemon, keep(Listener()), protocol)
    result = {}

    def work(name, function, *args):
        thread = threading.Thread(target=lambda: result.update({name: function(*args)}))
        thread.start()
        return thread

    threads = [
        work("up sent", stream, client, GIGABYTE, 1), work("down sent", stream, target, GIGABYTE, 2),
        work("up", drain, target), work("down", drain, client),
    ]  # fmt: skip
    for thread in threads:
        thread.join()
    assert result["up"] == (result["up sent"], GIGABYTE)
    assert result["down"] == (result["down sent"], GIGABYTE)
    session = daemon.session(client)
    assert (session["sent"], session["received"], session["error"]) == (str(GIGABYTE), str(GIGABYTE), "none")


@pytest.mark.timeout(180)
def test_2500_clients_at_once_are_all_served_byte_for_byte(pairsocks):
    """All sessions stand before the first byte is sent: 5,000 descriptors in the daemon."""
    daemon = pairsocks(queue=4000)
    run_crowd(daemon.address(4), 2500, 8192, timeout=150, together=True)
    daemon.wait_for(count=2500, event="session", error="none", timeout=30)


@pytest.mark.figures
@pytest.mark.timeout(180)
def test_2000_idle_sessions_hold_no_buffers(pairsocks, keep):
    daemon = pairsocks(queue=4000)
    target = keep(Listener(backlog=4096))
    sessions = []
    before = daemon.rss()
    for _ in range(2000):
        client = keep(Client.open(daemon.address(4)))
        client.connect("socks5", *target.address)
        target.accept()
        sessions.append(client)
    assert daemon.rss() - before < 2000 * 4096


@pytest.mark.timeout(600)
def test_a_soak_of_every_fate_leaves_descriptors_and_memory_as_they_were(pairsocks, keep):
    daemon = pairsocks(handshake_timeout="500ms", connect_timeout="2s", idle_timeout="3s", queue=64)
    echo, refusing = keep(Echo()), keep(Refusing())
    failures = []

    def fate(chance):
        with Client.open(daemon.address(chance.choice([4, 6]))) as client:
            kind = chance.randrange(8)
            if kind <= 2:
                protocol = chance.choice(["socks4", "socks4a", "socks5"])
                client.connect(protocol, "localhost" if protocol == "socks4a" else echo.host, echo.port)
                data = chance.randbytes(chance.choice([1, 100, 4096, 100_000]))
                client.send(data)
                client.finish()
                assert client.read_to_end() == data
            elif kind == 3:
                assert client.negotiate("socks5", *refusing.address).code == 5
            elif kind == 4:
                client.send(b"\xffnonsense")
                client.expect_closed()
            elif kind == 5:
                client.send((greeting() + request5(*echo.address))[: chance.randrange(1, 13)])
                client.reset()
            elif kind == 6:
                client.connect("socks5", *echo.address)
                client.send(bytes(chance.randrange(1, 1 << 20)))
                client.reset()
            else:
                client.send(greeting(5))
                assert client.read_to_end() == b"\x05\xff"

    def run(seed, until):
        chance = random.Random(seed)
        while time.monotonic() < until and not failures:
            try:
                fate(chance)
            except (AssertionError, OSError) as failure:
                failures.append(repr(failure))

    def churn(duration, seed):
        until = time.monotonic() + duration
        threads = [threading.Thread(target=run, args=(seed + number, until)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures, failures

    churn(SOAK_SECONDS / 4, 0)
    settled, memory = daemon.descriptors(), daemon.rss()
    churn(SOAK_SECONDS * 3 / 4, 1000)
    wait.until(lambda: daemon.descriptors() <= settled, lambda: f"{daemon.descriptors()} descriptors, {settled} before", 20)
    if not wait.SANITIZED:
        assert daemon.rss() - memory < 4 << 20
    with Client.open(daemon.address(4)) as client:
        client.connect("socks5", *echo.address)
