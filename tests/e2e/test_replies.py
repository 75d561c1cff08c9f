"""Every failure: the reply's exact bytes, the end of the connection, and the name in the log."""

import time

import pytest

from harness import http, wait
from harness.netns import Namespace
from harness.socks import ALL, Client, request4, request4a, request5, greeting
from harness.targets import Listener, Refusing, Silent

FAILED4 = b"\x00\x5b" + bytes(6)


def failed5(code):
    return bytes([5, code, 0, 1]) + bytes(6)


def expect_failure(client, protocol, code, error):
    """The reply with nothing in its address, then an orderly end. Leaves, so that the session ends."""
    reply = client.read_to_end()
    if protocol == "http":
        refusal = http.refusal(reply)
        assert (refusal.status, refusal.error) == (http.STATUS[error], error)
    else:
        assert reply == (failed5(code) if protocol == "socks5" else FAILED4)
    client.close()


def check(daemon, client, protocol, host, port, code, error):
    """Asks for host:port, which must fail with SOCKS5's `code` (SOCKS4: 91, HTTP: its status) and be logged as `error`."""
    client.ask(protocol, host, port)
    expect_failure(client, protocol, code, error)
    session = daemon.session(client)
    assert (session["error"], session["protocol"], session["command"]) == (error, protocol, "connect")
    assert (session["sent"], session["received"], session["listener"]) == ("0", "0", "main")
    return session


@pytest.mark.parametrize("protocol", ALL)
def test_a_refused_target_is_reply_5(daemon, dial, keep, protocol):
    target = keep(Refusing())
    session = check(daemon, dial(daemon), protocol, *target.address, 5, "system.connect.refused")
    assert session["target"] == session["address"] == f"127.0.0.1:{target.port}"


def test_a_refused_ipv6_target_is_reply_5(daemon, dial, keep):
    target = keep(Refusing("::1"))
    session = check(daemon, dial(daemon), "socks5", *target.address, 5, "system.connect.refused")
    assert session["target"] == session["address"] == f"[::1]:{target.port}"


@pytest.mark.parametrize("protocol", ALL)
def test_a_silent_target_is_reply_6_after_connect_timeout(pairsocks, dial, keep, protocol):
    daemon = pairsocks(connect_timeout="500ms")
    target = keep(Silent())
    start = time.monotonic()
    check(daemon, dial(daemon), protocol, *target.address, 6, "system.connect.timeout")
    assert 0.5 <= time.monotonic() - start < 0.5 + wait.seconds(3)


@pytest.mark.parametrize("protocol", ALL)
def test_success_is_not_said_before_the_target_is_connected(pairsocks, dial, keep, protocol):
    daemon = pairsocks(connect_timeout="50s")
    target = keep(Silent())
    client = dial(daemon)
    client.ask(protocol, *target.address)
    assert client.is_quiet(0.5), "something was said while the target was silent"
    target.wake_up()
    seen = target.accept()
    reply = client.read_reply(protocol)
    assert protocol == "http" or (reply.host, reply.port) == seen.peer_address


@pytest.fixture
def island(pairsocks, keep):
    """A daemon in a namespace with only loopback and routes that fail, and dial() into it."""
    namespace = keep(Namespace())
    namespace.ip("route add unreachable 198.51.100.0/24")
    namespace.ip("route add prohibit 203.0.113.0/24")
    namespace.ip("-6 route add unreachable 2001:db8:1::/48")
    daemon = pairsocks(prefix=namespace.prefix, connect_timeout="5s")
    daemon.dial = lambda: keep(Client.open(daemon.address(4), make_socket=namespace.make_socket))
    return daemon


@pytest.mark.parametrize("protocol", ALL)
def test_an_unreachable_host_is_reply_4(island, protocol):
    check(island, island.dial(), protocol, "198.51.100.7", 80, 4, "system.connect.host-unreachable")


@pytest.mark.parametrize("protocol", ALL)
def test_a_network_without_a_route_is_reply_3(island, protocol):
    check(island, island.dial(), protocol, "192.0.2.7", 80, 3, "system.connect.network-unreachable")


def test_an_unreachable_ipv6_host_is_reply_4(island):
    check(island, island.dial(), "socks5", "2001:db8:1::7", 80, 4, "system.connect.host-unreachable")


def test_an_ipv6_network_without_a_route_is_reply_3(island):
    check(island, island.dial(), "socks5", "2001:db8:2::7", 80, 3, "system.connect.network-unreachable")


@pytest.mark.parametrize("protocol", ALL)
def test_any_other_failure_of_connecting_is_reply_1(island, protocol):
    """A route that prohibits: EACCES."""
    check(island, island.dial(), protocol, "203.0.113.7", 80, 1, "system.connect.other")


@pytest.mark.parametrize("command", [0, 4, 0x7F, 0xF0, 0xFF])
def test_a_socks5_command_that_is_not_served_is_reply_7(daemon, dial, command):
    client = dial(daemon)
    client.ask("socks5", "127.0.0.1", 80, command=command)
    expect_failure(client, "socks5", 7, "protocol.command.unsupported")
    session = daemon.session(client)
    assert session["error"] == "protocol.command.unsupported"


@pytest.mark.parametrize("protocol", ["socks4", "socks4a"])
@pytest.mark.parametrize("command", [0, 3, 0xFF])
def test_a_socks4_command_that_is_not_served_is_reply_91(daemon, dial, protocol, command):
    client = dial(daemon)
    client.ask(protocol, "127.0.0.1", 80, command=command)
    expect_failure(client, protocol, 91, "protocol.command.unsupported")
    assert daemon.session(client)["error"] == "protocol.command.unsupported"


@pytest.mark.parametrize("atyp", [0, 2, 5, 0xFF])
def test_an_address_type_that_nobody_knows_is_reply_8(daemon, dial, atyp):
    client = dial(daemon)
    client.ask("socks5", "127.0.0.1", 80, atyp=atyp)
    expect_failure(client, "socks5", 8, "protocol.address.unsupported")
    assert daemon.session(client)["error"] == "protocol.address.unsupported"


def test_a_name_of_no_length_is_reply_8(daemon, dial):
    client = dial(daemon)
    client.ask("socks5", b"", 80)
    expect_failure(client, "socks5", 8, "resolver.name.invalid")
    assert daemon.session(client)["error"] == "resolver.name.invalid"


@pytest.mark.parametrize("methods", [(1,), (2,), (0x80, 0xFE), (0xFF,), tuple(range(1, 256))])
def test_a_greeting_without_method_0_is_answered_ff(daemon, dial, methods):
    client = dial(daemon)
    client.send(greeting(*methods))
    assert client.read_to_end() == b"\x05\xff"
    client.close()
    session = daemon.session(client)
    assert (session["error"], session["protocol"]) == ("socks.socks5-method.none-acceptable", "socks5")


@pytest.mark.parametrize("methods", [(0,), (2, 0), (1, 2, 3, 0), (0, 0), tuple(range(255, 0, -1))[:254] + (0,)])
def test_method_0_is_found_among_others(daemon, dial, methods):
    client = dial(daemon)
    client.send(greeting(*methods))
    assert client.read(2) == b"\x05\x00"


MEGABYTE = 1 << 20
REFUSED = {
    "socks4 command": (request4("127.0.0.1", 80, command=9), FAILED4),
    "socks4a name": (request4a("a b", 80), FAILED4),
    "socks5 greeting": (greeting(2), b"\x05\xff"),
    "socks5 command": (greeting() + request5("127.0.0.1", 80, command=9), b"\x05\x00" + failed5(7)),
    "socks5 address": (greeting() + request5("127.0.0.1", 80, atyp=9), b"\x05\x00" + failed5(8)),
    "socks5 name": (greeting() + request5("a b", 80), b"\x05\x00" + failed5(4)),
    "http method": (b"GET / HTTP/1.1\r\n\r\n", 405),
    "http name": (http.connect(b"a..b", 80), 400),
    "http request": (b"CONNECT\r\n\r\n", 400),
    "socks5 version": (greeting() + request5("127.0.0.1", 80, version=4), b"\x05\x00" + failed5(1)),
}


@pytest.mark.parametrize("more", [1, 1000, 65536, MEGABYTE])
@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_arrives_whole_though_the_client_had_sent_more(daemon, dial, case, more):
    """All is sent before the first byte is read: a reset would eat the reply."""
    message, reply = REFUSED[case]
    client = dial(daemon)
    client.send(message + bytes(more))
    got = client.read_to_end()
    assert (http.refusal(got).status if message[0] >= ord("A") else got) == reply


@pytest.mark.parametrize("protocol", ALL)
def test_a_failed_dial_is_told_though_the_client_had_sent_a_megabyte(daemon, dial, keep, protocol):
    target = keep(Refusing())
    client = dial(daemon)
    client.ask(protocol, *target.address)
    client.send(bytes(MEGABYTE))
    expect_failure(client, protocol, 5, "system.connect.refused")


def test_a_client_that_never_stops_sending_after_a_refusal_is_cut(daemon, dial):
    client = dial(daemon)
    client.send(greeting(2))
    assert client.read(2) == b"\x05\xff"

    def cut():
        try:
            client.send(bytes(65536))
        except ConnectionError:
            return True

    wait.until(cut, "the daemon to cut it off", timeout=15, every=0.0005)


def test_after_a_success_there_is_no_second_reply(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    client.connect("socks5", *target.address)
    target.accept().close()
    client.expect_end()
