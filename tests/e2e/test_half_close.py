"""The end of one direction ends only that direction, on either side and at any time."""

import random
import socket
import threading
import time

import pytest

from harness import wait
from harness.socks import ALL, greeting, request4, request5
from harness.targets import Listener

BLOB = random.Random(4).randbytes(3 << 20)
TCP_CLOSE = 7  # RFC 9293, 3.3.2: no connection state at all


@pytest.mark.parametrize("protocol", ALL)
def test_the_client_ends_first_and_still_gets_the_answer(daemon, through, keep, protocol):
    client, target = through(daemon, keep(Listener()), protocol)
    client.send(b"question")
    client.finish()
    assert target.read_to_end() == b"question"
    target.send(b"answer")
    assert client.read(6) == b"answer"
    target.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["error"], session["sent"], session["received"]) == ("none", "8", "6")


@pytest.mark.parametrize("protocol", ALL)
def test_the_target_ends_first_and_still_gets_the_rest(daemon, through, keep, protocol):
    client, target = through(daemon, keep(Listener()), protocol)
    target.send(b"greeting")
    target.finish()
    assert client.read_to_end() == b"greeting"
    client.send(b"rest")
    assert target.read(4) == b"rest"
    client.finish()
    target.expect_end()
    session = daemon.session(client)
    assert (session["error"], session["sent"], session["received"]) == ("none", "4", "8")


def test_megabytes_before_the_clients_end_all_arrive_before_the_end(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    sender = threading.Thread(target=lambda: (client.send(BLOB), client.finish()))
    sender.start()
    assert target.read_to_end() == BLOB
    sender.join(wait.seconds(10))
    answer = threading.Thread(target=lambda: (target.send(BLOB), target.finish()))
    answer.start()
    assert client.read_to_end() == BLOB
    answer.join(wait.seconds(10))
    assert daemon.session(client)["error"] == "none"


def test_megabytes_before_the_targets_end_all_arrive_before_the_end(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    sender = threading.Thread(target=lambda: (target.send(BLOB), target.close()))
    sender.start()
    assert client.read_to_end() == BLOB
    sender.join(wait.seconds(10))
    client.finish()
    assert daemon.session(client)["error"] == "none"


def test_the_end_is_passed_on_without_waiting_for_the_other_direction(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    client.finish()
    target.expect_end()
    assert client.is_quiet()
    for number in range(100):
        target.send(b"%03d" % number)
        assert client.read(3) == b"%03d" % number


def test_both_ends_at_once_end_the_session_in_order(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    client.send(b"from the client")
    target.send(b"from the target")
    client.finish()
    target.finish()
    assert client.read_to_end() == b"from the target"
    assert target.read_to_end() == b"from the client"
    assert daemon.session(client)["error"] == "none"


def test_an_end_that_comes_with_the_socks4_request_reaches_the_target(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    client.send(request4(*target.address) + b"all at once")
    client.finish()
    wire = target.accept()
    assert wire.read_to_end() == b"all at once"
    wire.send(b"seen")
    wire.finish()
    assert client.read_reply4().code == 90
    assert client.read_to_end() == b"seen"


def test_an_end_that_comes_with_the_socks5_request_reaches_the_target(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    client.send(greeting() + request5(*target.address) + b"all at once")
    client.finish()
    wire = target.accept()
    assert wire.read_to_end() == b"all at once"
    wire.send(b"seen")
    wire.finish()
    assert client.read(2) == b"\x05\x00"
    assert client.read_reply5().code == 0
    assert client.read_to_end() == b"seen"


def test_a_session_of_no_bytes_at_all_ends_in_order(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    client.finish()
    target.expect_end()
    target.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["error"], session["sent"], session["received"]) == ("none", "0", "0")


def test_a_target_that_goes_on_sending_to_a_client_that_left_is_told(daemon, through, keep):
    """The client's close looks like the end of one direction until bytes for it are refused."""
    client, target = through(daemon, keep(Listener()))
    client.close()
    target.expect_end()

    def told():
        try:
            target.send(b"more")
        except ConnectionError:
            return True

    wait.until(told, "the target to be reset")
    assert daemon.session(client)["error"] in ("system.read.reset", "system.write.reset")


@pytest.mark.parametrize("first", ["client", "target"])
@pytest.mark.parametrize("slow", ["client", "target"])
def test_both_have_ended_and_one_reads_late_yet_gets_every_byte(pairsocks, fast_clock, through, keep, first, slow):
    """The connection from the speaker is over for the kernel, while bytes of it are still to be read."""
    daemon = pairsocks(environment=fast_clock(10))
    client, target = through(daemon, keep(Listener()))
    listener, speaker = (client, target) if slow == "client" else (target, client)

    def listener_ends():
        listener.finish()
        speaker.expect_end()

    if first == slow:
        listener_ends()
    total = speaker.push(32 << 20)
    speaker.finish()
    if first != slow:
        listener_ends()
    got = 0
    while speaker.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != TCP_CLOSE:
        got += len(listener.read(min(4096, total - got)))
    time.sleep(0.3)  # three seconds for the daemon, which looks once a second at who is not read from
    assert len(listener.read_to_end()) == total - got
    assert daemon.session(client)["error"] == "none"
