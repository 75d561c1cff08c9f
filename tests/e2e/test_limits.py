"""Bounds: descriptors, max_connections and the queue. At a bound the daemon stays calm, and comes back."""

import contextlib
import time

import pytest

from harness import wait
from harness.socks import Client, greeting, request5
from harness.targets import Echo, Listener, Refusing


def serves(daemon, dial, target, **more):
    """A new client is served."""
    client = dial(daemon, **more)
    client.connect("socks5", *target.address)
    client.send(b"hello")
    assert client.read(5) == b"hello"
    client.close()


def crowd(daemon, count, keep, source=None):
    """`count` connections that say nothing; those that the daemon does not even let in are left out."""
    clients = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            clients.append(keep(Client.open(daemon.address(4), source=source)))
    return clients


def closed(clients):
    """Those of the clients that the daemon has closed."""
    return [client for client in clients if not client.is_quiet(0)]


# --- descriptors


@pytest.mark.figures
def test_with_64_descriptors_500_clients_cost_less_than_20_percent_cpu(pairsocks, dial, keep):
    daemon = pairsocks(files=64)
    target = keep(Echo())
    serves(daemon, dial, target)
    clients = crowd(daemon, 500, keep)
    for client in clients[:100]:
        with contextlib.suppress(OSError):
            client.send(greeting())
    before, start = daemon.cpu(), time.monotonic()
    time.sleep(3)
    share = (daemon.cpu() - before) / (time.monotonic() - start)
    for client in clients:
        client.close()
    assert share < 0.2, f"{share:.0%} of a CPU"


def test_with_64_descriptors_it_serves_again_when_500_clients_have_left(pairsocks, dial, keep):
    daemon = pairsocks(files=64)
    target = keep(Echo())
    clients = crowd(daemon, 500, keep)
    for client in clients:
        client.close()

    def served():
        with contextlib.suppress(OSError, AssertionError):
            serves(daemon, dial, target, patience=1)
            return True

    wait.until(served, "a client to be served", timeout=15)
    for _ in range(20):
        serves(daemon, dial, target)


def test_out_of_descriptors_the_sessions_that_stand_go_on(pairsocks, through, keep):
    daemon = pairsocks(files=64)
    client, target = through(daemon, keep(Listener()))
    crowd(daemon, 300, keep)
    for number in range(200):
        client.send(b"%03d" % number)
        assert target.read(3) == b"%03d" % number


@pytest.mark.timeout(120)
def test_two_thousand_failed_connections_leave_no_descriptor_behind(pairsocks, dial, keep):
    """Refused, refused as bad, cut short and reset, by turns."""
    daemon = pairsocks()
    refusing, target = keep(Refusing()), keep(Echo())
    serves(daemon, dial, target)
    daemon.wait_for(event="session")
    before = daemon.descriptors()
    for number in range(2000):
        with Client.open(daemon.address(4)) as client:
            kind = number % 4
            if kind == 0:
                assert client.negotiate("socks5", *refusing.address).code == 5
            elif kind == 1:
                client.send(greeting(7))
                assert client.read_to_end() == b"\x05\xff"
            elif kind == 2:
                client.send(greeting() + request5(*refusing.address)[:5])
            else:
                client.send(greeting())
                client.reset()
    daemon.wait_for(count=2001, event="session", timeout=30)
    wait.until(lambda: daemon.descriptors() <= before, lambda: f"{daemon.descriptors()} descriptors, {before} before")


def test_a_finished_session_gives_its_descriptors_back(daemon, dial, keep):
    target = keep(Echo())
    serves(daemon, dial, target)
    daemon.wait_for(event="session")
    before = daemon.descriptors()
    for _ in range(100):
        serves(daemon, dial, target)
    daemon.wait_for(count=101, event="session")
    # Pipes of the relay may stay in their pool, a few of them.
    wait.until(lambda: daemon.descriptors() <= before + 16, lambda: f"{daemon.descriptors()} descriptors, {before} before")


# --- max_connections


@pytest.mark.parametrize("workers", [1, 2])
def test_at_max_connections_a_newcomer_waits_and_is_served_later(pairsocks, through, dial, keep, workers):
    daemon = pairsocks(daemon={"workers": workers}, max_connections=3)
    target = keep(Listener())
    standing = [through(daemon, target) for _ in range(3)]
    waiting = dial(daemon)
    waiting.send(greeting() + request5(*target.address))
    assert waiting.is_quiet(0.5), "a fourth session"
    assert target.nobody_came(0.1)
    client, wire = standing[0]
    client.close()
    wire.close()
    assert waiting.read(2) == b"\x05\x00"
    assert waiting.read_reply5().code == 0
    target.accept()


def test_max_connections_holds_for_each_listener_alone(pairsocks, dial, keep):
    listener = {"listen": "127.0.0.1:0", "max_connections": 1}
    daemon = pairsocks(listeners={"one": listener, "two": listener})
    target = keep(Echo())
    for name in ("one", "two"):
        dial(daemon, address=daemon.address(listener=name)).connect("socks5", *target.address)


def test_sessions_that_failed_do_not_count_for_max_connections(pairsocks, dial, keep):
    daemon = pairsocks(max_connections=2)
    refusing, target = keep(Refusing()), keep(Echo())
    for _ in range(10):
        with dial(daemon) as client:
            assert client.negotiate("socks5", *refusing.address).code == 5
    serves(daemon, dial, target)


def test_many_more_clients_than_max_connections_are_all_served_in_turn(pairsocks, dial, keep):
    daemon = pairsocks(max_connections=4)
    target = keep(Echo())
    clients = [dial(daemon, patience=20) for _ in range(60)]
    for client in clients:
        client.send(greeting() + request5(*target.address) + b"hello")
        client.finish()
    for client in clients:
        assert client.read(2) == b"\x05\x00"
        assert client.read_reply5().code == 0
        assert client.read_to_end() == b"hello"
        client.close()


# --- the queue


def test_a_full_queue_closes_the_oldest_of_the_host_that_holds_most(pairsocks, dial):
    daemon = pairsocks(daemon={"workers": 1}, queue=4)
    other = dial(daemon, source="127.0.0.2")
    most = [dial(daemon, source="127.0.0.3") for _ in range(3)]
    newcomer = dial(daemon, source="127.0.0.4")
    most[0].expect_closed()
    assert not closed([other, *most[1:]])
    newcomer.greet5()


def test_a_full_queue_closes_the_newcomer_if_no_host_holds_more_than_one(pairsocks, dial):
    daemon = pairsocks(daemon={"workers": 1}, queue=3)
    waiting = [dial(daemon, source=f"127.0.0.{host}") for host in (2, 3, 4)]
    newcomer = dial(daemon, source="127.0.0.5")
    newcomer.expect_closed()
    assert not closed(waiting)
    for client in waiting:
        client.greet5()


def test_a_newcomer_of_the_host_that_holds_most_pushes_out_its_own_oldest(pairsocks, dial):
    daemon = pairsocks(daemon={"workers": 1}, queue=3)
    clients = [dial(daemon, source="127.0.0.2") for _ in range(4)]
    clients[0].expect_closed()
    assert not closed(clients[1:])
    clients[3].greet5()


def test_a_session_that_dials_or_stands_is_not_in_the_queue(pairsocks, dial, through, keep):
    daemon = pairsocks(daemon={"workers": 1}, queue=2)
    target = keep(Listener())
    standing = [through(daemon, target) for _ in range(10)]
    waiting = [dial(daemon) for _ in range(2)]
    assert not closed(waiting)
    for client, wire in standing:
        client.send(b"x")
        assert wire.read(1) == b"x"


@pytest.mark.parametrize("workers", [1, 4])
def test_a_flood_of_silent_clients_is_bounded_and_an_honest_one_is_served(pairsocks, dial, keep, workers):
    daemon = pairsocks(daemon={"workers": workers}, queue=16, handshake_timeout="50s")
    target = keep(Echo())
    flood = crowd(daemon, 200, keep, source="127.0.0.2")
    wait.until(lambda: len(flood) - len(closed(flood)) <= 16, "all but 16 to be closed")
    serves(daemon, dial, target)
    assert len(flood) - len(closed(flood)) <= 16


def test_clients_that_the_queue_closed_are_counted_and_not_logged_one_by_one(pairsocks, keep):
    daemon = pairsocks(daemon={"workers": 1}, queue=4)
    flood = crowd(daemon, 50, keep)
    wait.until(lambda: len(closed(flood)) >= 46, "46 to be closed")
    for client in flood:
        client.close()
    daemon.wait_for(count=4, event="session")
    assert len(daemon.records(event="session")) < 20
