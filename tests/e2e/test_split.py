"""Every message of a handshake, cut at every byte, means the same."""

import select
import time

import pytest

from harness.http import ESTABLISHED, basic, connect
from harness.socks import GRANTED, greeting, request4, request4a, request5
from harness.targets import Listener

USER = b"someone"


def dialogue(protocol, host, port):
    """The client's messages, and how many bytes answer each."""
    if protocol == "socks4":
        return [(request4(host, port, user=USER), 8)]
    if protocol == "socks4a":
        return [(request4a(host, port, user=USER), 8)]
    if protocol == "http":
        return [(connect(host, port, b"Host: " + b"h" * 30, basic("a", "b")), len(ESTABLISHED))]
    return [(greeting(0, 2), 2), (request5(host, port), 10 if host != "::1" else 22)]


CASES = [("socks4", "127.0.0.1"), ("socks4a", "localhost"), ("socks5", "127.0.0.1"), ("socks5", "localhost"), ("socks5", "::1"),
         ("http", "127.0.0.1"), ("http", "localhost"), ("http", "::1")]  # fmt: skip


def code_of(protocol, answer):
    """What an answer says."""
    if protocol == "http":
        assert answer == ESTABLISHED
        return GRANTED["http"]
    return answer[1]


def let_it_read(client):
    """Gives the daemon a moment to read what was sent; nothing may be answered to half a message."""
    assert not select.select([client.sock], [], [], 0.003)[0], "an answer to half a message"


@pytest.mark.parametrize("protocol,host", CASES)
def test_each_message_may_be_cut_in_two_anywhere(daemon, dial, keep, protocol, host):
    target = keep(Listener("::1" if host == "::1" else "127.0.0.1"))
    messages = dialogue(protocol, host, target.port)
    for which, (message, _) in enumerate(messages):
        for at in range(1, len(message)):
            client = dial(daemon)
            for number, (other, answer) in enumerate(messages):
                if number == which:
                    client.send(other[:at])
                    let_it_read(client)
                    client.send(other[at:])
                else:
                    client.send(other)
                assert code_of(protocol, client.read(answer)) == (GRANTED[protocol] if number == len(messages) - 1 else 0)
            client.send(b"x")
            assert target.accept().read(1) == b"x"


@pytest.mark.parametrize("protocol,host", CASES)
def test_each_message_may_come_a_byte_at_a_time(daemon, dial, keep, protocol, host):
    target = keep(Listener("::1" if host == "::1" else "127.0.0.1"))
    client = dial(daemon)
    for message, answer in dialogue(protocol, host, target.port):
        for at in range(len(message)):
            client.send(message[at : at + 1])
            if at < len(message) - 1:
                let_it_read(client)
        code = code_of(protocol, client.read(answer))
    assert code == GRANTED[protocol]
    client.send(b"x")
    assert target.accept().read(1) == b"x"


@pytest.mark.parametrize("protocol,host", CASES)
def test_all_messages_and_data_in_one_piece_may_be_cut_anywhere(daemon, dial, keep, protocol, host):
    target = keep(Listener("::1" if host == "::1" else "127.0.0.1"))
    messages = dialogue(protocol, host, target.port)
    whole = b"".join(message for message, _ in messages) + b"early data"
    for at in range(1, len(whole)):
        client = dial(daemon)
        client.send(whole[:at])
        time.sleep(0)  # two segments (TCP_NODELAY); whether the daemon reads them as one is its luck
        client.send(whole[at:])
        for _, answer in messages:
            code = code_of(protocol, client.read(answer))
        assert code == GRANTED[protocol]
        assert target.accept().read(10) == b"early data"
