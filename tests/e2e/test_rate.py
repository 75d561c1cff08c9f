"""`rate` of a rule: how much passes in a time, each direction of each session for itself, and that nothing else of a
session changes by it."""

import contextlib
import os
import random
import threading
import time

import pytest

from harness import tls, wait
from harness.bind import stand
from harness.targets import Listener, Sink
from harness.udp import Association, Hearer, wait_until_read
from harness.wire import CHUNK

KIB, MIB = 1 << 10, 1 << 20
OUT = {"out": {"type": "direct", "security": "negotiated", "authority": tls.pem("root")}}


def burst(rate):
    """What a direction that was quiet may move at once."""
    return max(rate // 10, 2048)


def held(rate, **more):
    return {"all": {"action": "allow", "rate": rate, **more}}


@pytest.fixture
def limited(pairsocks, through, keep):
    """limited(rate, ...): a daemon and a session of it that stands, as (daemon, client, the target's end)."""

    def start(rate, **keys):
        daemon = pairsocks(rules=held(rate), **keys)
        client, target = through(daemon, keep(Listener()))
        return daemon, client, target

    return start


def carry(sender, reader, total):
    """Sends and reads so many bytes; returns the seconds until the last one was there."""
    thread = threading.Thread(target=lambda: sender.send(bytes(total)))
    start, left = time.monotonic(), total
    thread.start()
    reader.sock.settimeout(wait.seconds(30))
    while left:
        data = reader.sock.recv(min(CHUNK, left))
        assert data, f"an end {left} bytes too soon"
        left -= len(data)
    seconds = time.monotonic() - start
    thread.join()
    return seconds


def at_once(*actions):
    """Calls each in a thread of its own; returns what they returned."""
    results = [None] * len(actions)

    def call(i):
        results[i] = actions[i]()

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def expect_rate(rate, seconds, measure, within, tries=3):
    """measure(total): the seconds that each of some streams took for so many bytes. None may ever be too fast; who was
    too slow may have had too little of the machine, and gets another try."""
    total = seconds * rate
    for _ in range(tries):
        took = measure(total)
        found = [total / one / rate for one in took]
        assert max(found) <= 1 + within, found
        if min(found) >= 1 - within:
            return
        time.sleep(0.3)  # the bucket fills
    raise AssertionError(f"too slow: {found}")


def pipes(daemon):
    """How many descriptors of pipes it has: none before a direction was spliced."""
    count = 0
    for name in os.listdir(f"/proc/{daemon.pid}/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/{daemon.pid}/fd/{name}").startswith("pipe:")
    return count


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("rate,splices", [(10 * KIB, False), (300 * KIB, False), (16 * MIB, True)])
def test_rate_holds_in_both_gears(limited, rate, splices, way):
    daemon, client, target = limited(rate)
    ends = (client, target) if way == "up" else (target, client)
    before = pipes(daemon)
    expect_rate(rate, 2, lambda total: [carry(*ends, total)], 0.15)
    assert (pipes(daemon) > before) is splices


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("rate,ways", [(10 * KIB, "up and down"), (MIB, "up and down"), (100 * MIB, "up"), (100 * MIB, "down")])
def test_rate_holds_within_five_percent_over_ten_seconds(limited, rate, ways):
    daemon, client, target = limited(rate)
    ends = [pair for way, pair in (("up", (client, target)), ("down", (target, client))) if way in ways]
    expect_rate(rate, 10, lambda total: at_once(*(lambda pair=pair: carry(*pair, total) for pair in ends)), 0.05, tries=2)


def test_each_direction_has_its_own(limited):
    daemon, client, target = limited(256 * KIB)
    expect_rate(256 * KIB, 2, lambda total: at_once(lambda: carry(client, target, total),
                                                    lambda: carry(target, client, total)), 0.15)  # fmt: skip


def test_each_of_eight_sessions_has_its_own(pairsocks, through, keep):
    daemon, listener = pairsocks(rules=held("128k")), keep(Listener())
    sessions = [through(daemon, listener) for _ in range(8)]
    expect_rate(128 * KIB, 2, lambda total: at_once(*[lambda s=s: carry(*s, total) for s in sessions]), 0.15)


@pytest.mark.parametrize("side", ["client", "target"])
def test_rate_holds_over_tls_and_each_way(pairsocks, dial, dial_tls, keep, side):
    target = keep(Listener(context=tls.server_context() if side == "target" else None))
    where = dict(protocols="forward", forward_to=f"{target.host}:{target.port}")
    how = tls.keys() if side == "client" else dict(upstreams=OUT, route="out")
    daemon = pairsocks(rules=held("200k"), **where, **how)
    client = (dial_tls if side == "client" else dial)(daemon)
    wire = target.accept()
    expect_rate(200 * KIB, 2, lambda total: at_once(lambda: carry(client, wire, total),
                                                    lambda: carry(wire, client, total)), 0.15)  # fmt: skip


def test_a_session_without_a_rate_is_not_slowed_by_one_beside_it(pairsocks, through, dial, keep):
    slow, fast = keep(Listener()), keep(Listener())
    daemon = pairsocks(daemon={"workers": 1}, rules=held("64k", port=slow.port))
    limited, free = through(daemon, slow), through(daemon, fast)
    start = time.monotonic()
    thread = threading.Thread(target=limited[0].push, args=(MIB,), kwargs={"stall": 3})
    thread.start()
    limited[1].read(64 * KIB)  # it is held by now
    seconds = carry(*free, 64 * MIB)
    limited[1].read(1)
    assert seconds < wait.seconds(10), "as slow as at 6 MB a second"
    for _ in range(20):
        free[0].send(b"x")
        free[1].read(1)
    limited[0].reset()
    thread.join()
    assert int(daemon.session(limited[0])["sent"]) <= 64 * KIB * (time.monotonic() - start) + burst(64 * KIB) + MIB // 8


# --- what does not change


def test_half_close_hands_on_all_bytes_and_then_the_end(pairsocks, dial, keep):
    data = random.Random(3).randbytes(300_000)
    daemon, target = pairsocks(rules=held("256k")), keep(Sink(lambda got: got))
    client = dial(daemon)
    client.connect("socks5", *target.address)
    start = time.monotonic()
    client.send(data)
    client.finish()
    assert client.read_to_end() == data
    assert time.monotonic() - start >= 2 * (len(data) - burst(256 * KIB)) / (256 * KIB) * 0.85
    session = daemon.session(client)
    assert (session["sent"], session["received"], session["error"]) == ("300000", "300000", "none")


def test_an_end_behind_the_last_byte_that_may_pass_is_not_held(limited):
    daemon, client, target = limited(85)  # 256 bytes pass every three seconds, all at once
    client.send(bytes(burst(85) + 256))
    client.finish()
    target.read(burst(85) + 256)
    start = time.monotonic()
    target.expect_end()
    assert time.monotonic() - start < 2.5
    target.close()
    assert daemon.session(client)["error"] == "none"


def test_who_waits_for_the_rate_alone_is_not_idle_and_is_not_cut(pairsocks, dial, keep):
    """A piece takes half a second, all of it two: each deadline would come before."""
    target = keep(Sink(lambda got: b"%d" % len(got)))
    daemon = pairsocks(rules=held(512), idle_timeout="400ms", half_close_timeout="400ms", write_timeout="400ms")
    client = dial(daemon)
    client.connect("socks5", *target.address)
    client.send(bytes(3000))
    client.finish()
    assert client.read_to_end() == b"3000"
    assert daemon.session(client)["error"] == "none"


def test_who_is_idle_although_there_is_a_rate_is_ended(limited):
    daemon, client, target = limited(64 * KIB, idle_timeout="1s")
    client.send(bytes(20000))
    target.read(20000)
    client.expect_end()
    assert daemon.session(client)["error"] == "timeout.idle"


def test_a_peer_that_takes_nothing_is_cut_all_the_same(pairsocks, through, keep):
    daemon = pairsocks(rules=held("16M"), write_timeout="500ms")
    client, target = through(daemon, keep(Listener(buffer=65536)))
    with contextlib.suppress(ConnectionError):
        client.push(100 * MIB, stall=3)
    assert daemon.session(client)["error"] == "system.write.timeout"


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_cut_comes_after_the_bytes_before_it(pairsocks, dial_tls, keep, how):
    target = keep(Listener())
    daemon = pairsocks(rules=held("100k"), protocols="forward", forward_to=f"{target.host}:{target.port}", tls_cut=how,
                       **tls.keys())  # fmt: skip
    client = dial_tls(daemon)
    wire = target.accept()
    client.send(bytes(100_000))
    client.sock.cut()
    assert len(wire.read(100_000)) == 100_000
    (wire.expect_end if how == "end" else wire.expect_reset)()
    wire.close()
    assert daemon.session(client)["error"] == "tls.cut.no-close-notify"


def test_a_reset_reaches_the_other_side_of_a_held_session(limited):
    daemon, client, target = limited(10 * KIB)
    client.push(MIB, stall=0.3)
    client.reset()
    target.expect_reset()
    assert daemon.session(client)["error"] == "system.read.reset"


def test_the_last_word_of_a_target_that_refuses_an_upload_arrives(pairsocks, dial, keep):
    """A client that is faster than its rate; the target answers and leaves."""
    target = keep(Listener())
    daemon = pairsocks(rules=held("100k"))
    client = dial(daemon)
    client.connect("socks5", *target.address)
    wire = target.accept()
    client.push(MIB, stall=0.3)
    wire.send(b"no")
    wire.close()
    assert client.read(2) == b"no"


def test_what_came_with_the_request_counts(pairsocks, dial, keep):
    daemon, target = pairsocks(rules=held(2 * KIB)), keep(Listener())
    client = dial(daemon)
    client.ask("socks5", *target.address)
    client.send(bytes(6 * KIB))
    assert client.read_reply5().code == 0
    wire, start = target.accept(), time.monotonic()
    wire.read(6 * KIB)
    assert time.monotonic() - start >= 1.7


# --- which rule, and for how long


def test_the_rule_that_decides_in_the_end_says_the_rate(pairsocks, dial, keep):
    """The name matches no rule before it is resolved; its address does."""
    target = keep(Listener("127.0.0.1"))
    daemon = pairsocks(rules={"other": {"destination": "192.0.2.0/24", "action": "allow", "rate": "1k"},
                              "mine": {"destination": "127.0.0.0/8", "action": "allow", "rate": "200k"}})  # fmt: skip
    client = dial(daemon)
    client.connect("socks5", "localhost", target.port)
    wire = target.accept()
    expect_rate(200 * KIB, 2, lambda total: [carry(client, wire, total)], 0.15)
    client.close()
    wire.close()
    assert daemon.session(client)["rule"] == "mine"


def test_a_session_keeps_its_rate_over_a_reload(pairsocks, through, keep):
    daemon, listener = pairsocks(rules=held("200k")), keep(Listener())
    before = through(daemon, listener)
    path = daemon.folder / "pairsocks.ini"
    path.write_text(path.read_text().replace("200k", "10G"))
    daemon.reload()
    after = through(daemon, listener)
    assert carry(*after, 8 * MIB) < wait.seconds(10)
    expect_rate(200 * KIB, 2, lambda total: [carry(*before, total)], 0.15)


def test_a_bind_is_held_to_its_rate(pairsocks, dial, keep):
    daemon = pairsocks(rules=held("200k", command="bind"))
    client = dial(daemon)
    peer = keep(stand(client, "socks5", "127.0.0.1"))
    expect_rate(200 * KIB, 2, lambda total: [carry(client, peer, total)], 0.15)


# --- wake-ups


def wakes(daemon, seconds):
    before = daemon.wake_ups()
    time.sleep(seconds)
    return daemon.wake_ups() - before


@pytest.mark.figures
def test_idle_sessions_with_a_rate_wake_nobody(pairsocks, through, keep):
    daemon, listener = pairsocks(rules=held("64k")), keep(Listener())
    for number in range(20):
        client, target = through(daemon, listener)
        client.send(bytes(1000 * number))  # some have waited for the rate
        target.read(1000 * number)
    time.sleep(0.2)  # the buckets' last timers
    assert wakes(daemon, 2) <= 2


@pytest.mark.figures
def test_a_busy_session_wakes_its_worker_some_twenty_times_a_second(limited):
    daemon, client, target = limited(64 * KIB)
    data = threading.Thread(target=lambda: client.push(MIB, stall=10))
    data.start()
    target.read(32 * KIB)
    drain = threading.Thread(target=target.read_to_end_or_reset)
    drain.start()
    count = wakes(daemon, 2)
    client.reset()
    data.join()
    drain.join()
    assert 20 <= count <= 120


# --- datagrams


@pytest.fixture
def associate(dial, keep):
    def one(daemon):
        client = dial(daemon)
        client.greet5()
        association = keep(Association(client))
        assert association.reply.code == 0
        return association

    return one


def dropped_for_rate(daemon, association):
    association.client.close()
    return int(daemon.session(association.client).get("dropped_rate", 0))


def test_datagrams_beyond_the_rate_of_their_rule_are_dropped_each_way(pairsocks, associate, keep):
    slow, free = keep(Hearer()), keep(Hearer())
    daemon = pairsocks(rules=held(100, port=slow.port))
    a = associate(daemon)
    for target, passes in ((slow, 3), (free, 10)):  # a bucket of 2 KiB: the third of 1,000 bytes takes more than there is
        for number in range(10):
            a.send(target.host, target.port, b"%d" % number + bytes(999))
        for number in range(passes):
            data, relay = target.receive()
            assert data[:1] == b"%d" % number
        for number in range(10):
            target.send(b"%d" % number + bytes(999), relay)
        assert [a.receive().data[:1] for _ in range(passes)] == [b"%d" % number for number in range(passes)]
    assert dropped_for_rate(daemon, a) == 14


def test_datagrams_by_one_rule_share_its_rate_and_a_large_one_can_pass(pairsocks, associate, keep):
    targets = [keep(Hearer()) for _ in range(4)]
    daemon = pairsocks(rules=held(100))
    a = associate(daemon)
    a.send(targets[0].host, targets[0].port, bytes(8000))
    assert len(targets[0].receive()[0]) == 8000
    for target in targets:
        a.send(target.host, target.port, b"too soon")
    wait_until_read(a.relay)
    assert dropped_for_rate(daemon, a) == 4
    assert all(target.has_nothing() for target in targets)
