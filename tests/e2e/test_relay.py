"""Bytes through a session that stands: all of them, in order, both ways, whatever the peers do."""

import random
import socket
import threading

import pytest

from harness import wait
from harness.crowd import run_crowd
from harness.socks import ALL, request4, request4a, request5, greeting
from harness.targets import Echo, Listener, Sink, Source

MEGABYTE = 1 << 20
BLOB = random.Random(2).randbytes(8 * MEGABYTE)


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("version", [4, 6])
def test_a_download_arrives_byte_for_byte(daemon, dial, keep, protocol, version):
    target = keep(Source(BLOB))
    client = dial(daemon, version=version)
    client.connect(protocol, *target.address)
    assert client.read_to_end() == BLOB


@pytest.mark.parametrize("protocol", ALL)
def test_an_upload_arrives_byte_for_byte(daemon, dial, keep, protocol):
    got = []
    target = keep(Sink(lambda data: got.append(data) or b"thanks"))
    client = dial(daemon)
    client.connect(protocol, *target.address)
    client.send(BLOB)
    client.finish()
    assert client.read_to_end() == b"thanks"
    assert got == [BLOB]


def test_both_directions_at_once_arrive_byte_for_byte(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    up, down = BLOB, BLOB[::-1]

    def send(wire, data):
        wire.send(data)
        wire.finish()

    senders = [threading.Thread(target=send, args=pair) for pair in ((client, up), (target, down))]
    got = []
    reader = threading.Thread(target=lambda: got.append(target.read_to_end()))
    for thread in (*senders, reader):
        thread.start()
    assert client.read_to_end() == down
    for thread in (*senders, reader):
        thread.join(wait.seconds(20))
    assert got == [up]


def test_an_ipv6_target_is_reached(daemon, dial, keep):
    target = keep(Echo("::1"))
    client = dial(daemon)
    client.connect("socks5", "::1", target.port)
    client.send(b"six")
    assert client.read(3) == b"six"


def test_a_thousand_small_exchanges_keep_their_order(daemon, dial, keep):
    target = keep(Echo())
    client = dial(daemon)
    client.connect("socks5", *target.address)
    for number in range(1000):
        message = b"%064d" % number
        client.send(message)
        assert client.read(64) == message


@pytest.mark.parametrize("size", [1, 2, 4095, 4096, 4097, 16384, 65535, 65536, 65537, 131072, 200001])
def test_a_message_of_any_size_comes_back_before_the_next_is_sent(daemon, dial, keep, size):
    target = keep(Echo())
    client = dial(daemon)
    client.connect("socks4", *target.address)
    for number in range(3):
        data = random.Random(size + number).randbytes(size)
        sender = threading.Thread(target=client.send, args=(data,))
        sender.start()
        assert client.read(size) == data
        sender.join(wait.seconds(10))


@pytest.mark.parametrize("protocol", ["socks4", "socks4a", "socks5"])
def test_the_reply_names_the_address_that_the_target_sees(daemon, dial, keep, protocol):
    target = keep(Listener())
    client = dial(daemon)
    reply = client.connect(protocol, *target.address)
    assert (reply.host, reply.port) == target.accept().peer_address


def test_the_reply_names_an_ipv6_address_if_the_target_sees_one(daemon, dial, keep):
    target = keep(Listener("::1"))
    client = dial(daemon)
    reply = client.connect("socks5", *target.address)
    assert (reply.host, reply.port) == target.accept().peer_address


@pytest.mark.parametrize("protocol", ["socks4", "socks4a"])
def test_socks4_bytes_sent_with_the_request_reach_the_target_first(daemon, dial, keep, protocol):
    target = keep(Listener())
    client = dial(daemon)
    request = {"socks4": request4, "socks4a": request4a}[protocol](*target.address)
    client.send(request + b"early")
    assert client.read_reply4().code == 90
    client.send(b" and late")
    assert target.accept().read(14) == b"early and late"


def test_socks5_bytes_sent_before_any_answer_reach_the_target_first(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    client.send(greeting() + request5(*target.address) + b"early")
    assert client.read(2) == b"\x05\x00"
    assert client.read_reply5().code == 0
    client.send(b" and late")
    assert target.accept().read(14) == b"early and late"


def test_a_megabyte_sent_before_the_reply_is_relayed_whole(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    data = BLOB[:MEGABYTE]
    sender = threading.Thread(target=client.send, args=(greeting() + request5(*target.address) + data,))
    sender.start()
    assert target.accept().read(MEGABYTE) == data
    sender.join(wait.seconds(10))
    assert client.read(2) == b"\x05\x00"
    assert client.read_reply5().code == 0


def test_what_the_target_says_first_comes_after_the_reply(daemon, dial, keep):
    target = keep(Source(b"220 ready\r\n"))
    client = dial(daemon)
    client.connect("socks5", *target.address)
    assert client.read_to_end() == b"220 ready\r\n"


def test_one_session_that_is_stuck_does_not_hold_up_others(pairsocks, through, dial, keep):
    daemon = pairsocks(daemon={"workers": 1})
    client, _ = through(daemon, keep(Listener()))
    client.push(64 * MEGABYTE, stall=0.3)
    echo = keep(Echo())
    for _ in range(20):
        other = dial(daemon)
        other.connect("socks5", *echo.address)
        other.send(b"hello")
        assert other.read(5) == b"hello"


@pytest.mark.timeout(90)
def test_a_thousand_transfers_at_once_arrive_byte_for_byte(pairsocks):
    daemon = pairsocks(queue=2000)
    run_crowd(daemon.address(4), 1000, 64 * 1024, timeout=60)
    ended = daemon.wait_for(count=1000, event="session", error="none", sent="65536", received="65536")
    assert ended["command"] == "connect"


@pytest.mark.parametrize("before", [3, 8_000_000])
def test_an_urgent_byte_neither_stops_what_follows_nor_spins(daemon, dial, keep, before):
    """Splice cannot pass one (it is lifted out of the stream, as recv does): the rest must go on."""
    target = keep(Listener())
    client = dial(daemon)
    client.connect("socks5", target.host, target.port)
    wire = target.accept()
    sender = threading.Thread(target=client.send, args=(b"a" * before,))
    sender.start()
    assert wire.read(before) == b"a" * before
    sender.join()
    client.sock.send(b"!", socket.MSG_OOB)
    client.send(b"tail")
    assert wire.read(4) == b"tail"
