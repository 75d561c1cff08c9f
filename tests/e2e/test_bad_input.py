"""What is no correct message: the protocol's own refusal where one exists, a closed connection, and a name in the log."""

import pytest

from harness.socks import Client, greeting, request4, request4a, request5
from harness.targets import Echo

FAILED4 = b"\x00\x5b" + bytes(6)


def failed5(code):
    return bytes([5, code, 0, 1]) + bytes(6)


def refusal(daemon, client, message, reply, error, finish=False):
    client.send(message)
    if finish:
        client.finish()
    assert client.read_to_end() == reply
    client.close()
    session = daemon.session(client)
    assert session["error"] == error
    return session


OTHER_PROTOCOLS = {
    "GET": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "http"),
    "POST": (b"POST /x HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "http"),
    "CONNECT": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", "http"),
    "OPTIONS": (b"OPTIONS * HTTP/1.1\r\n\r\n", "http"),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http"),
    "TLS 1.3": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506), "tls"),
    "SSH": (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "ssh"),
}


@pytest.fixture
def socks_alone(pairsocks):
    """A daemon that does not speak HTTP."""
    return pairsocks(protocols="socks4, socks5")


@pytest.mark.parametrize("case", OTHER_PROTOCOLS)
def test_another_protocol_is_closed_and_named_in_the_log(socks_alone, dial, case):
    message, name = OTHER_PROTOCOLS[case]
    client = dial(socks_alone)
    client.send(message)
    client.expect_closed()
    session = socks_alone.session(client)
    assert (session["error"], session["protocol"]) == (f"protocol.looks-like.{name}", "-")


@pytest.mark.parametrize("case", ["GET", "TLS 1.3", "SSH"])
def test_another_protocol_is_named_though_it_comes_byte_by_byte(socks_alone, dial, case):
    message, name = OTHER_PROTOCOLS[case]
    client = dial(socks_alone)
    client.drip(message[:16], pause=0.02, until_closed=True)
    client.expect_closed()
    assert socks_alone.session(client)["error"] == f"protocol.looks-like.{name}"


NONSENSE = [b"\x00", b"\x01\x01\x00", b"\x03\x00", b"\x06\x01\x00", b"\xff" * 20, b"\r\n\r\n", b"hello?\n",
            b"\x00" * 65536, b"A" * 65536]  # fmt: skip


@pytest.mark.parametrize("message", NONSENSE, ids=lambda message: f"{message[:4].hex()}-{len(message)}")
def test_what_no_protocol_starts_with_is_closed(socks_alone, dial, message):
    client = dial(socks_alone)
    client.send(message)
    client.expect_closed()
    session = socks_alone.session(client)
    assert (session["error"], session["protocol"]) == ("protocol.greeting.bad", "-")


def test_a_greeting_with_no_methods_is_answered_ff(daemon, dial):
    refusal(daemon, dial(daemon), b"\x05\x00", b"\x05\xff", "protocol.greeting.bad")


@pytest.mark.parametrize("version", [0, 1, 4, 6, 0xFF])
def test_a_socks5_request_of_another_version_is_reply_1(daemon, dial, version):
    message = greeting() + request5("127.0.0.1", 80, version=version)
    refusal(daemon, dial(daemon), message, b"\x05\x00" + failed5(1), "protocol.request.bad")


@pytest.mark.parametrize("rsv", [1, 0x80, 0xFF])
def test_a_socks5_request_with_rsv_set_is_reply_1(daemon, dial, rsv):
    message = greeting() + request5("127.0.0.1", 80, rsv=rsv)
    refusal(daemon, dial(daemon), message, b"\x05\x00" + failed5(1), "protocol.request.bad")


def test_port_0_is_refused_in_socks5(daemon, dial):
    refusal(daemon, dial(daemon), greeting() + request5("127.0.0.1", 0), b"\x05\x00" + failed5(1), "protocol.request.bad")


@pytest.mark.parametrize("message", [request4("127.0.0.1", 0), request4a("localhost", 0)])
def test_port_0_is_refused_in_socks4(daemon, dial, message):
    refusal(daemon, dial(daemon), message, FAILED4, "protocol.request.bad")


ODD_NAMES = [
    "127.1", "0x7f000001", "0x7f.1", "2130706433", "01.2.3.4", "1.2.3.4.5", "256.1.1.1", "1.2.3",
    "a b", " a", "a ", "a\tb", "a\nb", "a\rb", "a\x7fb", "a\x01", "a..b", ".", "..", ".a",
    "x" * 64 + ".test", ".".join(["abcdefg"] * 32)[:254],
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_none_is_refused_by_socks5_with_4(daemon, dial, name):
    message = greeting() + request5(name.encode(), 80)
    refusal(daemon, dial(daemon), message, b"\x05\x00" + failed5(4), "resolver.name.invalid")


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_that_is_none_is_refused_by_socks4a_with_91(daemon, dial, name):
    refusal(daemon, dial(daemon), request4a(name, 80), FAILED4, "resolver.name.invalid")


def test_a_nul_in_a_socks5_name_is_refused(daemon, dial):
    message = greeting() + request5(b"localhost\0.test", 80)
    refusal(daemon, dial(daemon), message, b"\x05\x00" + failed5(4), "resolver.name.invalid")


def test_an_empty_name_is_refused_by_socks4a(daemon, dial):
    client = dial(daemon)
    client.send(request4a("", 80))
    assert client.read_to_end() == FAILED4
    client.close()
    assert daemon.session(client)["error"] in ("resolver.name.invalid", "protocol.request.bad")


def test_0_0_0_0_is_plain_socks4_and_no_name_is_read(daemon, dial):
    """The daemon dials 0.0.0.0 port 1, where nobody listens; it does not wait for a name."""
    client = dial(daemon)
    client.send(request4("0.0.0.0", 1))
    assert client.read_to_end() == FAILED4
    client.close()
    session = daemon.session(client)
    assert (session["protocol"], session["target"]) == ("socks4", "0.0.0.0:1")


@pytest.mark.parametrize("length", [256, 1000, 65536])
def test_a_socks4_user_that_is_too_long_is_refused(daemon, dial, length):
    refusal(daemon, dial(daemon), request4("127.0.0.1", 80, user=b"u" * length), FAILED4, "protocol.request.bad")


@pytest.mark.parametrize("length", [256, 1000, 65536])
def test_a_socks4a_name_that_is_too_long_is_refused(daemon, dial, length):
    refusal(daemon, dial(daemon), request4a("n" * length, 80), FAILED4, "protocol.request.bad")


def test_a_socks4_user_without_end_is_refused_before_its_end(daemon, dial):
    refusal(daemon, dial(daemon), request4("127.0.0.1", 80, user=b"u" * 300)[:-1], FAILED4, "protocol.request.bad")


@pytest.mark.parametrize("length", [0, 1, 254, 255])
def test_a_socks4_user_of_up_to_255_bytes_is_taken(daemon, dial, keep, length):
    target = keep(Echo())
    client = dial(daemon)
    client.send(request4(*target.address, user=b"u" * length))
    assert client.read_reply4().code == 90


def prefixes(message):
    return [message[:length] for length in range(1, len(message))]


def open_clients(daemon, keep, messages):
    clients = [keep(Client.open(daemon.address(4))) for _ in messages]
    for client, message in zip(clients, messages):
        client.send(message)
        client.finish()
    return clients


@pytest.mark.parametrize("message", [request4("127.0.0.1", 80, user=b"me"), request4a("name.test", 80, user=b"me")])
def test_an_end_in_the_middle_of_a_socks4_request_is_reply_91(daemon, keep, message):
    for client in open_clients(daemon, keep, prefixes(message)):
        assert client.read_to_end() == FAILED4
        client.close()
        assert daemon.session(client)["error"] == "protocol.request.bad"


def test_an_end_in_the_middle_of_a_greeting_is_answered_ff(daemon, keep):
    for client in open_clients(daemon, keep, prefixes(greeting(0, 1, 2))):
        assert client.read_to_end() == b"\x05\xff"
        client.close()
        assert daemon.session(client)["error"] == "protocol.greeting.bad"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "name.test"])
def test_an_end_in_the_middle_of_a_socks5_request_is_reply_1(daemon, keep, host):
    for client in open_clients(daemon, keep, [greeting() + part for part in prefixes(request5(host, 80))]):
        assert client.read_to_end() == b"\x05\x00" + failed5(1)
        client.close()
        assert daemon.session(client)["error"] == "protocol.request.bad"


def test_a_client_that_says_nothing_and_ends_is_gone(daemon, dial):
    client = dial(daemon)
    client.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["error"], session["protocol"], session["command"]) == ("client.gone", "-", "-")


@pytest.mark.parametrize("message", [b"", b"\x04", request4("127.0.0.1", 80)[:-1], b"\x05", greeting(), greeting() + b"\x05\x01"])
def test_a_client_that_resets_in_the_middle_of_a_message_is_gone(daemon, dial, message):
    client = dial(daemon)
    client.send(message)
    if message[:1] == b"\x05" and len(message) >= 3:
        assert client.read(2) == b"\x05\x00"  # the daemon has it: the reset cannot overtake it
    client.reset()
    assert daemon.session(client)["error"] == "client.gone"


def test_bad_clients_cost_nobody_else_anything(pairsocks, dial, keep):
    daemon = pairsocks(daemon={"workers": 1})
    target = keep(Echo())
    good = dial(daemon)
    good.connect("socks5", *target.address)
    for message in (b"", b"\x04", b"\x05", b"\x05\x01", b"A" * 65536, b"\x16\x03\x01", greeting() + b"\x05\x01\x00"):
        for _ in range(5):
            dial(daemon).send(message)
        good.send(b"still here")
        assert good.read(10) == b"still here"
