"""A peer that does not read stops the one that sends: the daemon holds little, and loses nothing."""

import concurrent.futures
import random
import threading
import time

import pytest

from harness import wait
from harness.targets import Listener, Silent

MEGABYTE = 1 << 20


@pytest.fixture
def patient(pairsocks):
    return pairsocks(write_timeout="10m")


@pytest.mark.figures
@pytest.mark.parametrize("direction", ["upload", "download"])
def test_a_hundred_megabytes_for_a_peer_that_never_reads_cost_less_than_two(patient, through, keep, direction):
    client, target = through(patient, keep(Listener(buffer=65536)), receive_buffer=65536)
    before = patient.rss()
    sender = client if direction == "upload" else target
    pushed = sender.push(100 * MEGABYTE)
    assert pushed < 100 * MEGABYTE, "all of it was taken, though nobody reads"
    assert patient.rss() - before < 2 * MEGABYTE


@pytest.mark.figures
def test_fifty_stuck_sessions_cost_less_than_128_kib_each(patient, through, keep):
    target = keep(Listener(buffer=65536))
    pairs = [through(patient, target, receive_buffer=65536) for _ in range(50)]
    before = patient.rss()
    with concurrent.futures.ThreadPoolExecutor(10) as pushers:
        pushed = pushers.map(lambda end: end.push(20 * MEGABYTE, stall=0.3), [end for pair in pairs for end in pair])
        assert min(pushed) > MEGABYTE
    assert patient.rss() - before < 50 * 128 * 1024


@pytest.mark.parametrize("direction", ["upload", "download"])
def test_a_peer_that_reads_at_last_gets_every_byte(patient, through, keep, direction):
    client, target = through(patient, keep(Listener(buffer=65536)), receive_buffer=65536)
    sender, reader = (client, target) if direction == "upload" else (target, client)
    pushed = sender.push(100 * MEGABYTE, stall=0.3)
    sender.finish()
    assert len(reader.read_to_end()) == pushed


def test_the_other_direction_flows_while_one_is_stuck(patient, through, keep):
    client, target = through(patient, keep(Listener()))
    client.push(100 * MEGABYTE, stall=0.3)
    for number in range(100):
        target.send(b"%03d" % number)
        assert client.read(3) == b"%03d" % number


@pytest.mark.figures
def test_early_bytes_for_a_silent_target_are_held_in_bounded_memory(pairsocks, dial, keep):
    daemon = pairsocks(connect_timeout="50s")
    target = keep(Silent())
    client = dial(daemon)
    before = daemon.rss()
    client.ask("socks4", *target.address)
    pushed = client.push(100 * MEGABYTE)
    assert pushed < 100 * MEGABYTE
    assert daemon.rss() - before < 2 * MEGABYTE


@pytest.mark.figures
def test_a_stuck_session_uses_no_cpu(patient, through, keep):
    client, target = through(patient, keep(Listener()))
    client.push(100 * MEGABYTE, stall=0.5)
    target.push(100 * MEGABYTE, stall=0.5)
    before, start = patient.cpu(), time.monotonic()
    client.is_quiet(1)
    assert (patient.cpu() - before) / (time.monotonic() - start) < 0.05


def test_a_slow_reader_gets_every_byte_in_order(patient, through, keep):
    """Reads of odd sizes, each made only when the sender has stalled on it or has sent all."""
    data = random.Random(7).randbytes(4 * MEGABYTE)
    client, target = through(patient, keep(Listener(buffer=16384)), receive_buffer=16384)
    sender = threading.Thread(target=lambda: (target.send(data), target.finish()))
    sender.start()
    got, sizes = bytearray(), random.Random(8)
    while piece := client.sock.recv(sizes.randint(1, 9999)):
        got += piece
    sender.join(wait.seconds(10))
    assert bytes(got) == data
