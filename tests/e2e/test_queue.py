"""The queue of one listener is one over all workers, and slow clients do not keep others out."""

import contextlib
import select
import signal
import threading
import time

import pytest

from harness import wait
from harness.socks import Client, greeting
from harness.targets import Echo


def closed(clients):
    """Those of the clients that the daemon has closed."""
    poll = select.poll()
    by_number = {client.sock.fileno(): client for client in clients}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return [by_number[number] for number, _ in poll.poll(0)]


def crowd(daemon, count, keep, source):
    """`count` connections that say nothing, from source(number)."""
    return [keep(Client.open(daemon.address(), source=source(number))) for number in range(count)]


def stop(daemon):
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code() == 0


def refused(daemon):
    return sum(int(record["queue"]) for record in daemon.records(event="refused"))


@pytest.fixture
def queueing(pairsocks):
    def start(queue, workers=2, **keys):
        keys = {"listen": "127.0.0.1:0", "handshake_timeout": "50s", **keys}
        return pairsocks(daemon={"workers": workers}, queue=queue, **keys)

    return start


@pytest.mark.parametrize("workers", [2, 4])
def test_the_queue_is_one_over_all_workers(queueing, keep, workers):
    """The kernel spreads the connections over the workers; all of them count together."""
    daemon = queueing(8, workers)
    clients = crowd(daemon, 40, keep, lambda _: "127.0.0.2")
    wait.until(lambda: len(closed(clients)) == 32, lambda: f"32 to be closed: {len(closed(clients))} are")
    stop(daemon)
    assert refused(daemon) == 32


def test_as_many_as_the_queue_holds_are_kept_whatever_worker_they_come_to(queueing, keep):
    daemon = queueing(32)
    clients = crowd(daemon, 32, keep, lambda _: "127.0.0.2")
    for client in clients:
        client.greet5()
    assert closed(clients) == []


@pytest.mark.parametrize("workers", [2, 4])
def test_the_greediest_host_loses_its_oldest(queueing, keep, workers):
    """A greeting that is answered says that the connection has been accepted: the order is known."""
    daemon = queueing(8, workers)
    others = crowd(daemon, 3, keep, lambda number: f"127.0.0.{10 + number}")
    pair = crowd(daemon, 2, keep, lambda _: "127.0.0.20")
    for client in others + pair:
        client.greet5()
    greedy = []
    for _ in range(3):
        greedy += crowd(daemon, 1, keep, lambda _: "127.0.0.30")
        greedy[-1].greet5()
    assert closed(others + pair + greedy) == []
    newcomer = crowd(daemon, 1, keep, lambda _: "127.0.0.40")[0]
    newcomer.greet5()
    greedy[0].expect_closed()
    assert closed(others + pair + greedy[1:] + [newcomer]) == []
    assert daemon.records(event="session") == []


def test_a_greedy_host_hurts_only_itself(queueing, keep):
    daemon = queueing(16)
    others = crowd(daemon, 10, keep, lambda number: f"127.0.1.{number + 1}")
    for client in others:
        client.greet5()
    greedy = crowd(daemon, 200, keep, lambda _: "127.0.0.2")
    wait.until(lambda: len(closed(greedy)) == 194, lambda: f"194 to be closed: {len(closed(greedy))} are")
    assert closed(others) == []
    target = keep(Echo())
    for client in others:
        client.send(b"\x05\x01\x00\x01\x7f\x00\x00\x01" + target.port.to_bytes(2, "big"))
        assert client.read_reply5().code == 0


def test_a_place_is_free_again_when_a_request_is_complete(queueing, keep):
    daemon = queueing(2)
    target = keep(Echo())
    for number in range(20):
        client = keep(Client.open(daemon.address(), source=f"127.0.0.{number + 2}"))
        client.connect("socks5", *target.address)
    stop(daemon)
    assert refused(daemon) == 0


@pytest.mark.parametrize("count", [2000, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_slow_crowd_on_as_many_addresses_does_not_keep_another_out(queueing, count, keep):
    """Each has one connection and says only the half of its greeting; who is closed comes again."""
    daemon = queueing(128, max_connections=10000)
    target = keep(Echo())
    stopping, there, failures = threading.Event(), threading.Event(), []

    def slow():
        with contextlib.ExitStack() as stack:
            try:
                number = 0
                while not stopping.is_set() and number < 4 * count:
                    at = number % count
                    client = stack.enter_context(
                        Client.open(daemon.address(), source=f"127.1.{at // 250}.{at % 250 + 1}"))  # fmt: skip
                    with contextlib.suppress(OSError):
                        client.send(greeting()[:1])
                    number += 1
                    clients.append(client)
                    if number >= count:
                        there.set()
                        clients.pop(0).close()
            except Exception as failure:  # noqa: BLE001 - whatever it was, it is a failure
                failures.append(repr(failure))
                there.set()
            there.set()
            stopping.wait(wait.seconds(50))

    def is_served(number):
        with contextlib.suppress(ConnectionResetError):
            with Client.open(daemon.address(), source=f"127.0.0.{number + 2}") as client:
                client.connect("socks5", *target.address)
                client.send(b"hello")
                return client.read(5) == b"hello"

    clients = []
    thread = threading.Thread(target=slow)
    thread.start()
    try:
        assert there.wait(wait.seconds(40)), "the crowd"
        for number in range(20):
            start = time.monotonic()
            # Who is as slow as the crowd, because this machine is busy, is closed as one of it, and comes again.
            wait.until(lambda: is_served(number), "a newcomer to be served")
            took = time.monotonic() - start
            assert took < wait.seconds(1), f"client {number} was served after {took:.2f} s"
    finally:
        stopping.set()
        thread.join()
    assert not failures, failures
    stop(daemon)
    assert refused(daemon) >= count - 128 - 64
