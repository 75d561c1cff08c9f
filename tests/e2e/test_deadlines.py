"""Every wait has a deadline: not before its time, and not long after."""

import os
import time

import pytest

from harness import wait
from harness.socks import greeting, request4, request5
from harness.targets import Listener
from harness.tcp_table import KEEPALIVE, NO_TIMER, timer

MEGABYTE = 1 << 20
LATE = 3000  # milliseconds after a deadline that still count as on time


def check(daemon, client, error, deadline_ms):
    session = daemon.session(client)
    assert session["error"] == error
    assert deadline_ms <= int(session["duration_ms"]) < deadline_ms + wait.seconds(LATE)
    return session


HALF_REQUESTS = {
    "nothing": b"",
    "half a SOCKS4 request": request4("127.0.0.1", 80)[:5],
    "a SOCKS4 user without end": b"\x04\x01\x00\x50\x7f\x00\x00\x01abc",
    "half a greeting": greeting(0, 1)[:2],
    "a greeting only": greeting(),
    "half a SOCKS5 request": greeting() + request5("name.test", 80)[:-1],
}


@pytest.mark.parametrize("case", HALF_REQUESTS)
def test_silence_before_the_request_ends_at_handshake_timeout(pairsocks, dial, case):
    daemon = pairsocks(handshake_timeout="600ms")
    start = time.monotonic()
    client = dial(daemon)
    client.send(HALF_REQUESTS[case])
    if HALF_REQUESTS[case].startswith(greeting()):
        assert client.read(2) == b"\x05\x00"
    client.expect_closed()
    assert time.monotonic() - start >= 0.6
    check(daemon, client, "timeout.handshake", 600)


def test_a_byte_now_and_then_does_not_put_off_handshake_timeout(pairsocks, dial):
    daemon = pairsocks(handshake_timeout="600ms")
    client = dial(daemon)
    took = client.drip(request4("127.0.0.1", 80, user=b"u" * 200), pause=0.1, until_closed=True)
    assert took < wait.seconds(3)
    client.expect_closed()
    check(daemon, client, "timeout.handshake", 600)


def test_greeting_and_request_share_one_handshake_timeout(pairsocks, dial):
    """The greeting is complete in time, yet does not start the time anew."""
    daemon = pairsocks(handshake_timeout="2s")
    client = dial(daemon)
    client.drip(greeting(0, 1, 2, 3), pause=0.1)
    assert client.read(2) == b"\x05\x00"
    client.drip(request5("n" * 50, 80), pause=0.1, until_closed=True)
    client.expect_closed()
    check(daemon, client, "timeout.handshake", 2000)


def test_a_session_that_stands_outlives_handshake_and_connect_timeout(pairsocks, through, keep):
    daemon = pairsocks(handshake_timeout="1s", connect_timeout="1s")
    client, target = through(daemon, keep(Listener()))
    assert client.is_quiet(1.5) and target.is_quiet(0)
    client.send(b"still here")
    assert target.read(10) == b"still here"


def test_a_session_without_traffic_ends_at_idle_timeout(pairsocks, through, keep):
    daemon = pairsocks(idle_timeout="600ms")
    client, target = through(daemon, keep(Listener()))
    client.expect_closed()
    target.expect_closed()
    check(daemon, client, "timeout.idle", 600)


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_traffic_in_one_direction_puts_off_idle_timeout(pairsocks, through, keep, direction):
    idle = 2
    daemon = pairsocks(idle_timeout=f"{idle * 1000:.0f}ms")
    client, target = through(daemon, keep(Listener()))
    sender, reader = (client, target) if direction == "upload" else (target, client)
    sender.drip(bytes(12), pause=idle / 10)
    assert reader.read(12) == bytes(12)
    client.expect_closed()
    check(daemon, client, "timeout.idle", int(2.1 * idle * 1000))


@pytest.mark.parametrize("first", ["client", "target"])
def test_a_half_closed_session_ends_at_half_close_timeout(pairsocks, through, keep, first):
    daemon = pairsocks(half_close_timeout="600ms")
    client, target = through(daemon, keep(Listener()))
    ends, stays = (client, target) if first == "client" else (target, client)
    ends.finish()
    stays.expect_end()
    ends.expect_closed()
    check(daemon, client, "timeout.half-close", 600)


def test_traffic_puts_off_half_close_timeout(pairsocks, through, keep):
    patience = 2
    daemon = pairsocks(half_close_timeout=f"{patience * 1000:.0f}ms")
    client, target = through(daemon, keep(Listener()))
    client.finish()
    target.drip(bytes(12), pause=patience / 10)
    assert client.read(12) == bytes(12)
    target.finish()
    client.expect_end()
    assert daemon.session(client)["error"] == "none"


def test_an_open_session_outlives_half_close_timeout(pairsocks, through, keep):
    daemon = pairsocks(half_close_timeout="300ms")
    client, target = through(daemon, keep(Listener()))
    assert client.is_quiet(0.9)
    client.send(b"x")
    assert target.read(1) == b"x"


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_a_peer_that_takes_nothing_is_cut_at_write_timeout(pairsocks, through, keep, direction):
    daemon = pairsocks(write_timeout="1s")
    client, target = through(daemon, keep(Listener(buffer=65536)), receive_buffer=65536)
    sender, stuck = (client, target) if direction == "upload" else (target, client)
    try:
        sender.push(100 * MEGABYTE, stall=5)
    except ConnectionError:
        pass
    else:
        sender.expect_closed()
    session = daemon.session(client)
    assert session["error"] == "system.write.timeout"
    assert int(session["duration_ms"]) >= 1000
    stuck.expect_reset()


def test_a_peer_that_takes_a_little_now_and_then_is_not_cut(pairsocks, through, keep):
    """It takes far less than what waits in the kernel for it, so the daemon's socket never becomes writable."""
    patience = wait.seconds(1)
    daemon = pairsocks(write_timeout=f"{patience * 1000:.0f}ms")
    client, target = through(daemon, keep(Listener(buffer=65536)), receive_buffer=65536)
    client.push(100 * MEGABYTE, stall=0.1)
    for _ in range(12):
        time.sleep(patience / 4)
        target.read(65536)
    assert not daemon.records(event="session")


def test_an_idle_session_with_nothing_to_write_outlives_write_timeout(pairsocks, through, keep):
    daemon = pairsocks(write_timeout="300ms")
    client, target = through(daemon, keep(Listener()))
    assert client.is_quiet(0.9)
    client.send(b"x")
    assert target.read(1) == b"x"


@pytest.mark.parametrize("keepalive,kind", [("60s", KEEPALIVE), ("0", NO_TIMER)])
def test_keepalive_is_on_or_off_on_both_legs(pairsocks, fast_clock, through, keep, keepalive, kind):
    daemon = pairsocks(keepalive=keepalive, environment=fast_clock(10))
    target = keep(Listener())
    client, seen = through(daemon, target)
    legs = [(client.peer_address[1], client.local_address[1]), (seen.peer_address[1], target.port)]
    # It may be turned on only for sessions that last some seconds, and a timer of retransmission may stand there first.
    wait.until(lambda: all(timer(*leg)[0] == kind for leg in legs), lambda: [timer(*leg) for leg in legs])
    for leg in legs:
        assert timer(*leg)[1] <= 61 * os.sysconf("SC_CLK_TCK")
