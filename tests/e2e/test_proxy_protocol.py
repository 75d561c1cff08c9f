"""The PROXY protocol in front of everything: who is believed, what is taken, and who the client is from then on."""

import contextlib
import pathlib
import select
import signal
import socket
import subprocess
import tempfile
import time

import pytest

from harness import http, wait
from harness.crowd import run_crowd
from harness.daemon import config_text, run
from harness.dns import free_port
from harness.http import ESTABLISHED, connect
from harness.proxy_protocol import (LOCAL, PROXY, SIGNATURE, TCP4, TCP6, UDP4, UDP6, UNIX_DGRAM, UNIX_STREAM, UNSPEC, V1_MAX,
                                    V2_MAX, tlv, v1, v2, v2_raw)  # fmt: skip
from harness.socks import ALL, GRANTED, Client, greeting, request4, request4a, request5
from harness.targets import Echo, Listener
from harness.tcp_table import listeners
from harness.users import UsersFile
from harness.wire import endpoint

V4, V6 = ("192.0.2.7", 40001), ("2001:db8::7", 40006)
ADDRESSES4 = bytes([192, 0, 2, 7, 127, 0, 0, 1]) + (40001).to_bytes(2, "big") + (1080).to_bytes(2, "big")
LONGEST6 = ("2001:1db8:1111:2222:3333:4444:5555:6666", 65535)
TLVS = tlv(0x01, b"h2") + tlv(0x02, b"name.test") + tlv(0x04, b"") + tlv(0xEE, bytes(300))
BEHIND = {"proxy_protocol": "require", "proxy_protocol_from": "127.0.0.1, ::1"}


@pytest.fixture
def behind(pairsocks):
    """behind(key=value ...): a daemon that believes PROXY headers from 127.0.0.1 and ::1."""

    def start(**keys):
        return pairsocks(**{**BEHIND, **keys})

    return start


@pytest.fixture
def believing(behind):
    return behind()


def request(protocol, host, port):
    """All that a client of this protocol says."""
    return {
        "socks4": lambda: request4(host, port),
        "socks4a": lambda: request4a(host, port),
        "socks5": lambda: greeting() + request5(host, port),
        "http": lambda: connect(host, port),
    }[protocol]()


def granted(client, protocol):
    if protocol == "socks5":
        assert client.read(2) == b"\x05\x00"
    assert client.read_reply(protocol).code == GRANTED[protocol]


def served(daemon, client, target, header, protocol="socks5"):
    """Header and request in one piece, a session, and its line."""
    client.send(header + request(protocol, *target.address))
    granted(client, protocol)
    client.send(b"hello")
    wire = target.accept()
    assert wire.read(5) == b"hello"
    local = client.local
    client.close()
    wire.close()
    return daemon.wait_for(event="session"), local


def closed_as(daemon, client, error):
    """It is closed without a word, and the log says why."""
    client.expect_closed()
    record = daemon.wait_for(event="session")
    assert (record["error"], record["protocol"], record["target"]) == (error, "-", "-")
    return record


def stop(daemon):
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0


def refused(daemon, what, listener="main"):
    return sum(int(record[what]) for record in daemon.records(event="refused", listener=listener))


# --- headers that are right

CARRIED = {
    "v1 TCP4": (v1(V4), V4),
    "v1 TCP6": (v1(V6), V6),
    "v1 TCP6, longest": (v1(LONGEST6, LONGEST6), LONGEST6),
    "v1 TCP6, capitals and zeros": (b"PROXY TCP6 2001:0DB8:0000::0007 ::1 40006 1080\r\n", V6),
    "v1 TCP6, mapped": (v1(("::ffff:192.0.2.7", 40001)), V4),
    "v1 TCP6, mapped in hexadecimal": (v1(("::ffff:c000:207", 40001)), V4),
    "v1 ports 0": (v1(("192.0.2.7", 0), ("127.0.0.1", 0)), ("192.0.2.7", 0)),
    "v1 ports 65535": (v1(("192.0.2.7", 65535), ("127.0.0.1", 65535)), ("192.0.2.7", 65535)),
    "v2 IPv4": (v2(V4), V4),
    "v2 IPv6": (v2(V6), V6),
    "v2 IPv4, TLVs": (v2(V4, tlvs=TLVS), V4),
    "v2 IPv6, TLVs": (v2(V6, tlvs=TLVS), V6),
    "v2 IPv4, largest": (v2(V4, tlvs=tlv(4, bytes(V2_MAX - 16 - 12 - 3))), V4),
    "v2 IPv6, largest": (v2(V6, tlvs=tlv(4, bytes(V2_MAX - 16 - 36 - 3))), V6),
    "v2 IPv6, mapped": (v2(("::ffff:192.0.2.7", 40001), ("::ffff:127.0.0.1", 1080)), V4),
    "v2 ports 0": (v2(("192.0.2.7", 0), ("127.0.0.1", 0)), ("192.0.2.7", 0)),
    "v2 ports 65535": (v2(("192.0.2.7", 65535), ("127.0.0.1", 65535)), ("192.0.2.7", 65535)),
}
NOBODY = {
    "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
    "v1 UNKNOWN with addresses": b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
    "v1 UNKNOWN, longest": b"PROXY UNKNOWN " + b"x" * (V1_MAX - 16) + b"\r\n",
    "v2 LOCAL": v2_raw(LOCAL, UNSPEC, b""),
    "v2 LOCAL with addresses": v2(V4, command=LOCAL),
    "v2 LOCAL with TLVs": v2_raw(LOCAL, UNSPEC, TLVS),
    "v2 LOCAL with anything": v2_raw(LOCAL, 0xFF, b"\xff" * 77),
    "v2 UNSPEC": v2_raw(PROXY, UNSPEC, b""),
    "v2 UNSPEC with bytes": v2_raw(PROXY, UNSPEC, bytes(50)),
    "v2 UNIX": v2_raw(PROXY, UNIX_STREAM, bytes(216)),
    "v2 UNIX with TLVs": v2_raw(PROXY, UNIX_STREAM, bytes(216) + TLVS),
    "v2 IPv4, protocol unspecified": v2_raw(PROXY, 0x10, ADDRESSES4),
    "v2 IPv6, protocol unspecified": v2_raw(PROXY, 0x20, bytes(36)),
    "v2 LOCAL, largest": v2_raw(LOCAL, UNSPEC, bytes(V2_MAX - 16)),
}


@pytest.mark.parametrize("case", CARRIED)
def test_the_carried_address_is_the_client(believing, dial, keep, case):
    header, client = CARRIED[case]
    record, _ = served(believing, dial(believing), keep(Listener()), header)
    assert (record["client"], record["error"]) == (endpoint(client), "none")
    assert (record["sent"], record["protocol"]) == ("5", "socks5")


@pytest.mark.parametrize("case", NOBODY)
def test_a_header_that_names_nobody_keeps_the_real_client(believing, dial, keep, case):
    record, local = served(believing, dial(believing), keep(Listener()), NOBODY[case])
    assert (record["client"], record["error"]) == (local, "none")


@pytest.mark.parametrize("header", [v1(V4), v1(V6), v2(V4), v2(V6, tlvs=TLVS), b"PROXY UNKNOWN\r\n"])
@pytest.mark.parametrize("protocol", ALL)
def test_every_protocol_comes_behind_a_header(believing, dial, keep, protocol, header):
    record, _ = served(believing, dial(believing), keep(Listener()), header, protocol)
    assert (record["protocol"], record["error"]) == (protocol, "none")


@pytest.mark.parametrize("protocol", ALL)
def test_header_and_messages_one_by_one(believing, dial, keep, protocol):
    target = keep(Listener())
    client = dial(believing)
    client.send(v2(V4))
    assert client.is_quiet(0.02), "an answer to the header"
    client.connect(protocol, *target.address)


def test_ipv6_connections_carry_ipv4_clients_and_the_other_way_round(believing, dial, keep):
    target = keep(Listener())
    number = 0
    for version, header, client in ((6, v1(V4), V4), (6, v2(V4), V4), (4, v1(V6), V6), (4, v2(V6), V6)):
        end = dial(believing, version=version)
        end.send(header + request("socks5", *target.address))
        granted(end, "socks5")
        target.accept().close()
        end.close()
        number += 1
        assert believing.wait_for(count=number, event="session")["client"] == endpoint(client)


def let_it_read(client):
    """Gives the daemon a moment to read what was sent; nothing may be answered to half a header."""
    assert not select.select([client.sock], [], [], 0.003)[0], "an answer to half a header"


PIECES = {"v1 TCP4": v1(V4), "v1 TCP6": v1(V6), "v1 UNKNOWN": NOBODY["v1 UNKNOWN with addresses"], "v2 IPv4": v2(V4),
          "v2 IPv6": v2(V6, tlvs=tlv(1, b"h2")), "v2 LOCAL": NOBODY["v2 LOCAL"]}  # fmt: skip


@pytest.mark.parametrize("case", PIECES)
def test_a_header_may_be_cut_in_two_anywhere(believing, dial, keep, case):
    """The rest comes with the whole dialogue behind it."""
    target = keep(Listener())
    header = PIECES[case]
    for at in range(1, len(header) + 1):
        client = dial(believing)
        client.send(header[:at])
        let_it_read(client)
        client.send(header[at:] + request("socks5", *target.address) + b"early")
        granted(client, "socks5")
        assert target.accept().read(5) == b"early"


@pytest.mark.parametrize("case", PIECES)
@pytest.mark.parametrize("protocol", ["socks4", "http"])
def test_a_header_and_a_request_may_come_a_byte_at_a_time(believing, dial, keep, case, protocol):
    target = keep(Listener())
    client = dial(believing)
    message = PIECES[case] + request(protocol, *target.address)
    for at in range(len(message)):
        client.send(message[at : at + 1])
        if at < len(message) - 1:
            let_it_read(client)
    granted(client, protocol)


def test_a_megabyte_behind_header_and_request_in_one_go_arrives(believing, dial, keep):
    target = keep(Echo())
    client = dial(believing)
    blob = bytes(range(256)) * 4096
    client.send(v2(V4, tlvs=TLVS) + request("http", *target.address) + blob[:3000])
    assert client.read(len(ESTABLISHED) + 3000) == ESTABLISHED + blob[:3000]
    client.send(blob[3000:200000])
    assert client.read(197000) == blob[3000:200000]


# --- headers that are cut short, or wrong


@pytest.mark.parametrize("case", PIECES)
def test_a_header_that_ends_anywhere_is_bad(believing, keep, case):
    header = PIECES[case]
    good = keep(Client.open(believing.address()))
    target = keep(Echo())
    good.send(v1(V4) + request("socks5", *target.address))
    granted(good, "socks5")
    clients = []
    for at in range(1, len(header)):
        client = keep(Client.open(believing.address()))
        client.send(header[:at])
        client.finish()
        client.expect_closed()
        clients.append(client.local)
    believing.wait_for(count=len(clients), event="session")
    records = believing.records(event="session")
    assert {(record["error"], record["protocol"], record["target"]) for record in records} == {("protocol.proxy.bad", "-", "-")}
    assert sorted(record["client"] for record in records) == sorted(clients)
    good.send(b"still here")
    assert good.read(10) == b"still here"


@pytest.mark.parametrize("case", ["v1 TCP4", "v2 IPv4"])
def test_a_header_that_is_reset_anywhere_is_a_client_gone(believing, keep, case):
    header = PIECES[case]
    for at in range(1, len(header)):
        client = keep(Client.open(believing.address()))
        client.send(header[:at])
        let_it_read(client)
        client.reset()
    believing.wait_for(count=len(header) - 1, event="session")
    assert [record["error"] for record in believing.records(event="session")] == ["client.gone"] * (len(header) - 1)


@pytest.mark.parametrize("header", [b"", v1(V4), v2(V4)], ids=["nothing", "v1", "v2"])
def test_who_ends_without_a_request_is_gone(believing, dial, header):
    client = dial(believing)
    client.send(header)
    client.finish()
    record = closed_as(believing, client, "client.gone")
    assert record["client"] == (endpoint(V4) if header else client.local)


WRONG = {
    "SOCKS4": request4("127.0.0.1", 80),
    "SOCKS5": greeting(),
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "CONNECT": connect("127.0.0.1", 80),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(506),
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "POST": b"POST / HTTP/1.1\r\n\r\n",
    "PROXIED": b"PROXIED TCP4 192.0.2.7 127.0.0.1 1 2\r\n",
    "small letters": v1(V4).lower(),
    "a blank before": b" " + v1(V4),
    "an empty line before v1": b"\r\n" + v1(V4),
    "an empty line before v2": b"\r\n" + v2(V4),
    "zeros": bytes(1000),
    "no family": b"PROXY \r\n",
    "UNIX in v1": b"PROXY UNIX a b 1 2\r\n",
    "UDP4 in v1": b"PROXY UDP4 192.0.2.7 127.0.0.1 1 2\r\n",
    "TCP5": b"PROXY TCP5 192.0.2.7 127.0.0.1 1 2\r\n",
    "UNKNOWNS": b"PROXY UNKNOWNS\r\n",
    "UNKNOWN and LF": b"PROXY UNKNOWN\n",
    "UNKNOWN with LF": b"PROXY UNKNOWN a\nb\r\n",
    "two blanks": b"PROXY TCP4  192.0.2.7 127.0.0.1 1 2\r\n",
    "two blanks before the ports": b"PROXY TCP4 192.0.2.7 127.0.0.1  1 2\r\n",
    "a tab": b"PROXY\tTCP4 192.0.2.7 127.0.0.1 1 2\r\n",
    "LF alone": b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\n",
    "a blank at the end": b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2 \r\n",
    "a third port": b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2 3\r\n",
    "a port too few": b"PROXY TCP4 192.0.2.7 127.0.0.1 1\r\n",
    "an address too few": b"PROXY TCP4 192.0.2.7 1 2\r\n",
    "CR without LF": b"PROXY TCP4 192.0.2.7 127.0.0.1 1 2\rx",
    "IPv6 in TCP4": b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
    "IPv4 in TCP6": b"PROXY TCP6 192.0.2.7 127.0.0.1 1 2\r\n",
    "one family each": b"PROXY TCP4 192.0.2.7 ::1 1 2\r\n",
    "256": b"PROXY TCP4 192.0.2.256 127.0.0.1 1 2\r\n",
    "a 0 in front": b"PROXY TCP4 192.0.2.07 127.0.0.1 1 2\r\n",
    "three parts": b"PROXY TCP4 192.0.2 127.0.0.1 1 2\r\n",
    "a name": b"PROXY TCP4 localhost 127.0.0.1 1 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n",
    "brackets": b"PROXY TCP6 [::1] ::1 1 2\r\n",
    "port 65536": b"PROXY TCP4 192.0.2.7 127.0.0.1 65536 2\r\n",
    "a port with 0 in front": b"PROXY TCP4 192.0.2.7 127.0.0.1 01 2\r\n",
    "a port with a sign": b"PROXY TCP4 192.0.2.7 127.0.0.1 +1 2\r\n",
    "a NUL": b"PROXY TCP4 192.0.2.7\0 127.0.0.1 1 2\r\n",
    "a line too long": b"PROXY UNKNOWN " + b"x" * (V1_MAX - 15) + b"\r\n",
    "a line without end": b"PROXY UNKNOWN " + b"x" * 10000,
    "v2 signature's last byte": SIGNATURE[:-1] + b"\r" + bytes(20),
    "v2 of version 1": v2_raw(0x11, TCP4, ADDRESSES4),
    "v2 of version 3": v2_raw(0x31, TCP4, ADDRESSES4),
    "v2 command 2": v2_raw(0x22, TCP4, ADDRESSES4),
    "v2 UDP4": v2_raw(PROXY, UDP4, ADDRESSES4),
    "v2 UDP6": v2_raw(PROXY, UDP6, bytes(36)),
    "v2 UNIX datagrams": v2_raw(PROXY, UNIX_DGRAM, bytes(216)),
    "v2 family 4": v2_raw(PROXY, 0x41, bytes(216)),
    "v2 protocol 3": v2_raw(PROXY, 0x13, ADDRESSES4),
    "v2 IPv4 too short": v2_raw(PROXY, TCP4, ADDRESSES4[:-1]),
    "v2 IPv4 empty": v2_raw(PROXY, TCP4, b""),
    "v2 IPv6 as IPv4": v2_raw(PROXY, TCP6, ADDRESSES4),
    "v2 UNIX too short": v2_raw(PROXY, UNIX_STREAM, bytes(215)),
    "v2 a TLV of one byte": v2_raw(PROXY, TCP4, ADDRESSES4 + b"\x04"),
    "v2 a TLV of two bytes": v2_raw(PROXY, TCP4, ADDRESSES4 + b"\x04\0"),
    "v2 a TLV over the end": v2_raw(PROXY, TCP4, ADDRESSES4 + b"\x04\0\x05abcd"),
    "v2 a huge TLV": v2_raw(PROXY, TCP4, ADDRESSES4 + b"\x04\xff\xff"),
    "v2 the second TLV over the end": v2_raw(PROXY, TCP4, ADDRESSES4 + tlv(4, b"ab") + b"\x04\0\x01"),
    "v2 too large": v2(V4, tlvs=tlv(4, bytes(V2_MAX - 16 - 12 - 2))),
    "v2 LOCAL too large": v2_raw(LOCAL, UNSPEC, bytes(V2_MAX - 15)),
    "v2 as large as can be": v2_raw(PROXY, TCP4, ADDRESSES4, length=0xFFFF),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_header_is_closed_without_a_word(believing, dial, case):
    """Also when something follows that would be served."""
    client = dial(believing)
    with contextlib.suppress(ConnectionError):
        client.send(WRONG[case] + greeting())
    record = closed_as(believing, client, "protocol.proxy.bad")
    assert record["client"] == client.local


@pytest.mark.parametrize("case", [case for case in WRONG if len(WRONG[case]) < 200])
def test_what_is_no_header_is_closed_though_it_comes_byte_by_byte(believing, dial, case):
    client = dial(believing)
    client.drip(WRONG[case], pause=0.002, until_closed=True)
    closed_as(believing, client, "protocol.proxy.bad")


@pytest.mark.parametrize("second", [v1(("192.0.2.8", 1)), v2(("192.0.2.8", 1)), b"PROXY UNKNOWN\r\n"])
@pytest.mark.parametrize("first", [v1(V4), v2(V4), v2_raw(LOCAL, UNSPEC, b"")])
def test_a_second_header_is_none(behind, dial, keep, first, second):
    """It is a bad message of the protocol that should come there, and its address is nobody's."""
    daemon = behind(protocols="socks4, socks5")
    target = keep(Listener())
    client = dial(daemon)
    client.send(first + second + request("socks5", *target.address))
    client.expect_closed()
    record = daemon.wait_for(event="session")
    assert record["client"] in (endpoint(V4), client.local)
    assert record["error"] == "protocol.greeting.bad"
    assert target.nobody_came(0.1)


@pytest.mark.parametrize("second", [v1(V6), v2(V6)])
def test_a_second_header_is_a_bad_request_where_http_is_spoken(believing, dial, second):
    client = dial(believing)
    client.send(v1(V4) + second + connect("127.0.0.1", 80))
    assert http.refusal(client.read_to_end()).error == "protocol.request.bad"
    client.close()
    assert believing.wait_for(event="session")["client"] == endpoint(V4)


def test_bad_headers_cost_nobody_else_anything(behind, dial, keep):
    daemon = behind(daemon={"workers": 1})
    target = keep(Echo())
    good = dial(daemon)
    good.send(v1(V4) + request("socks5", *target.address))
    granted(good, "socks5")
    for message in [*WRONG.values(), *(header[:-1] for header in PIECES.values())]:
        with contextlib.suppress(ConnectionError):
            dial(daemon).send(message)
        good.send(b"still here")
        assert good.read(10) == b"still here"


# --- time


@pytest.mark.parametrize("message", [b"", b"P", v1(V4)[:-1], SIGNATURE, v2(V4)[:-1], v1(V4), v2(V4), v1(V4) + b"\x05"])
def test_silence_in_or_behind_a_header_ends_at_handshake_timeout(behind, dial, message):
    daemon = behind(handshake_timeout="600ms")
    start = time.monotonic()
    client = dial(daemon)
    client.send(message)
    client.expect_closed()
    assert 0.6 <= time.monotonic() - start < 0.6 + wait.seconds(3)
    assert daemon.wait_for(event="session")["error"] == "timeout.handshake"


def test_a_header_byte_by_byte_does_not_put_off_handshake_timeout(behind, dial):
    daemon = behind(handshake_timeout="600ms")
    client = dial(daemon)
    assert client.drip(v1(V6), pause=0.05, until_closed=True) < wait.seconds(3)
    client.expect_closed()
    assert daemon.wait_for(event="session")["error"] == "timeout.handshake"


def test_header_and_request_share_one_handshake_timeout(behind, dial):
    daemon = behind(handshake_timeout="3s")
    client = dial(daemon)
    assert client.drip(v1(V4), pause=0.02) < 2.9
    client.send(b"CONNECT a:80 HTTP/1.1\r\n")
    client.drip(b"X: y\r\n" * 100, pause=0.05, until_closed=True)
    assert http.refusal(client.read_to_end()).error == "timeout.handshake"
    client.close()
    record = daemon.wait_for(event="session")
    assert (record["client"], record["error"]) == (endpoint(V4), "timeout.handshake")
    assert 3000 <= int(record["duration_ms"]) < 3000 + wait.seconds(3000)


# --- who is believed


def answered(daemon, header, source=None, version=4, listener="main"):
    """Whether a client from there with this header gets an answer to its greeting; else it is closed without a byte."""
    with Client.open(daemon.address(version, listener), source=source) as client, contextlib.suppress(ConnectionError):
        client.send(header + greeting())
        return client.sock.recv(2) == b"\x05\x00"
    return False


@pytest.mark.parametrize("believed, inside, outside", [
    ("127.0.0.2", ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
    ("127.0.1.0/24, 127.0.2.5", ["127.0.1.0", "127.0.1.255", "127.0.2.5"], ["127.0.0.255", "127.0.2.4"]),
    ("::ffff:127.0.0.2", ["127.0.0.2"], ["127.0.0.1"]),
    ("::1", [], ["127.0.0.1"]),
], ids=["address", "networks", "mapped", "ipv6"])  # fmt: skip
def test_headers_are_believed_from_those_listed_alone(behind, believed, inside, outside):
    daemon = behind(proxy_protocol_from=believed)
    for header in (v1(V4), v2(V6)):
        assert [source for source in inside + outside if answered(daemon, header, source)] == inside
    stop(daemon)
    assert refused(daemon, "proxy") == 2 * len(outside)
    assert refused(daemon, "whitelist") == 0
    assert len(daemon.records(event="session")) == 2 * len(inside)


def test_an_ipv4_load_balancer_at_an_ipv6_socket_is_known_by_its_ipv4_address(behind):
    daemon = behind(listen="[::]:0", proxy_protocol_from="127.0.0.2", allow="192.0.2.0/24")
    for source, answer in (("127.0.0.2", b"\x05\x00"), ("127.0.0.1", b"")):
        with Client.open(("127.0.0.1", daemon.address(6)[1]), source=source) as client:
            with contextlib.suppress(ConnectionError):
                client.send(v1(V4) + greeting())
            try:
                got = client.sock.recv(2)
            except ConnectionResetError:
                got = b""
            assert got == answer


def test_a_stranger_is_closed_before_it_has_said_anything(behind, dial):
    daemon = behind(proxy_protocol_from="127.0.0.2", handshake_timeout="50s")
    dial(daemon).expect_closed()
    stop(daemon)
    assert refused(daemon, "proxy") == 1
    assert daemon.records(event="session") == []


@pytest.mark.parametrize("header", [v1(V4), v2(V4), b"PROXY UNKNOWN\r\n"])
def test_a_spoofed_header_on_an_ordinary_listener_is_not_believed(pairsocks, dial, keep, header):
    """Not even from an address that another listener believes."""
    listeners = {"plain": {"listen": "127.0.0.1:0", "allow": "127.0.0.1"},
                 "socks": {"listen": "127.0.0.1:0", "protocols": "socks4, socks5"},
                 "behind": {"listen": "127.0.0.1:0", **BEHIND}}  # fmt: skip
    daemon = pairsocks(listeners=listeners)
    target = keep(Listener())
    client = dial(daemon, address=daemon.address(listener="plain"))
    client.send(header + request("socks5", *target.address))
    assert http.refusal(client.read_to_end()).error == "protocol.request.bad"
    client.close()
    record = daemon.session(client)
    assert (record["listener"], record["error"]) == ("plain", "protocol.request.bad")
    client = dial(daemon, address=daemon.address(listener="socks"))
    client.send(header + request("socks5", *target.address))
    client.expect_closed()
    assert daemon.session(client)["error"] == "protocol.greeting.bad"
    assert target.nobody_came(0.1)
    assert answered(daemon, header, listener="behind")


# --- who the client is


def test_allow_and_deny_look_at_the_carried_address(behind):
    daemon = behind(allow="192.0.2.0/24, 2001:db8::/32", deny="192.0.2.66, 2001:db8::66")
    inside = [("192.0.2.1", 1), ("192.0.2.255", 1), ("2001:db8::1", 1), ("::ffff:192.0.2.1", 1)]
    outside = [("192.0.3.1", 1), ("192.0.2.66", 1), ("2001:db9::1", 1), ("2001:db8::66", 1), ("::ffff:192.0.2.66", 1), ("127.0.0.1", 1)]
    for make in (v1, v2):
        assert [client for client in inside + outside if answered(daemon, make(client))] == inside
    assert not answered(daemon, b"PROXY UNKNOWN\r\n"), "the load balancer itself is not in allow"
    stop(daemon)
    assert refused(daemon, "whitelist") == 2 * len(outside) + 1
    assert refused(daemon, "proxy") == 0
    assert len(daemon.records(event="session")) == 2 * len(inside)


def test_a_client_outside_is_closed_right_after_its_header(behind, dial):
    daemon = behind(allow="192.0.2.0/24", handshake_timeout="50s")
    for header in (v1(V6), v2(V6), v1(("127.0.0.1", 1))):
        client = dial(daemon)
        client.send(header)
        client.expect_closed()
    stop(daemon)
    assert daemon.records(event="session") == []
    assert refused(daemon, "whitelist") == 3


def test_the_load_balancer_itself_needs_no_place_in_allow(behind):
    daemon = behind(allow="192.0.2.7", deny="127.0.0.1")
    assert answered(daemon, v1(V4))
    assert not answered(daemon, v2_raw(LOCAL, UNSPEC, b""))


def test_max_per_host_counts_the_carried_address(behind, dial, keep):
    daemon = behind(max_per_host=2)
    target = keep(Echo())

    def session(client):
        end = dial(daemon)
        end.send(v2(client) + request("socks5", *target.address))
        granted(end, "socks5")
        return end

    def is_refused(client, count):
        end = dial(daemon)
        end.send(v2(client) + greeting())
        end.expect_closed()
        record = daemon.wait_for(count=count, event="session", error="policy.limit.host")
        assert record["client"] == endpoint(client)

    standing = [session(("192.0.2.7", port)) for port in (1, 2)]
    is_refused(("192.0.2.7", 3), 1)
    is_refused(("192.0.2.7", 4), 2)
    session(("192.0.2.8", 1))
    session(("2001:db8::1", 1))
    session(("2001:db8::ffff", 1))
    is_refused(("2001:db8::2", 2), 3)
    session(("2001:db8:0:1::1", 1))
    standing[0].close()
    daemon.wait_for(event="session", client="192.0.2.7:1")
    session(("192.0.2.7", 5))
    is_refused(("192.0.2.7", 6), 4)
    stop_at_once(daemon)
    assert refused(daemon, "host") == 4


def stop_at_once(daemon):
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code() == 0


def test_a_load_balancer_is_bound_by_max_per_host_for_itself_alone(behind, dial, keep):
    """Its connections count for their clients; only those that name nobody are its own."""
    daemon = behind(max_per_host=1)
    clients = []
    for number in range(20):
        clients.append(dial(daemon))
        clients[-1].send(v1((f"192.0.2.{number}", 1)) + greeting())
        assert clients[-1].read(2) == b"\x05\x00"
    waiting = [dial(daemon) for _ in range(5)]  # without their headers yet
    own = dial(daemon)
    own.send(b"PROXY UNKNOWN\r\n" + greeting())
    assert own.read(2) == b"\x05\x00"
    for number, client in enumerate(waiting):
        client.send(v1((f"192.0.3.{number}", 1)) + greeting())
        assert client.read(2) == b"\x05\x00"
    second = dial(daemon)
    second.send(v2_raw(LOCAL, UNSPEC, b"") + greeting())
    second.expect_closed()
    assert daemon.session(second)["error"] == "policy.limit.host"


def test_every_place_is_given_back_however_a_session_ends(behind, dial, keep):
    """One session, one place in the queue, one of the host: whoever keeps one keeps all others out."""
    daemon = behind(max_per_host=1, queue=1, max_connections=1, daemon={"workers": 1}, handshake_timeout="800ms")
    target = keep(Echo())
    whole = v2(V4) + request("http", *target.address)
    ends = [
        (v2(V4)[:-1], "protocol.proxy.bad", Client.finish),
        (v2(V4)[:-1], "timeout.handshake", None),
        (v2_raw(0, 0, b""), "protocol.proxy.bad", None),
        (v2(V4), "client.gone", Client.finish),
        (v2(V4), "timeout.handshake", None),
        (v2(V4) + b"\xff", "protocol.greeting.bad", None),
        (v2(V4) + b"\x04", "protocol.request.bad", Client.finish),
        (v2(V4) + request("http", "127.0.0.1", 0), "protocol.request.bad", None),
        (v2(V4) + request("http", b"a..b", 80), "resolver.name.invalid", None),
        (whole, "none", Client.finish),
        (v2_raw(LOCAL, UNSPEC, b"") + request("http", *target.address), "none", Client.finish),
    ]  # fmt: skip
    for number, (message, error, finish) in enumerate(3 * ends, 1):
        client = dial(daemon)
        client.send(message)
        if finish:
            finish(client)
        client.read_to_end_or_reset()
        client.close()
        assert daemon.wait_for(count=number, event="session")["error"] == error
    stop_at_once(daemon)
    assert refused(daemon, "host") == refused(daemon, "queue") == 0


def test_rules_look_at_the_carried_address(pairsocks, dial, keep):
    daemon = pairsocks(**BEHIND, rules={"no": {"client": "192.0.2.0/24, 2001:db8::/32", "action": "deny"},
                                        "balancer": {"client": "127.0.0.0/8", "action": "deny"}})  # fmt: skip
    target = keep(Listener())
    cases = [(v1(V4), "no"), (v2(V4), "no"), (v1(V6), "no"), (v2(V6), "no"), (v2(("::ffff:192.0.2.7", 1)), "no"),
             (b"PROXY UNKNOWN\r\n", "balancer"), (v1(("192.0.3.1", 1)), "-"), (v2(("2001:db9::1", 1)), "-")]  # fmt: skip
    for number, (header, rule) in enumerate(cases, 1):
        client = dial(daemon)
        client.send(header + request("socks4", *target.address))
        assert client.read_reply4().code == (90 if rule == "-" else 91)
        if rule == "-":
            target.accept().close()
        client.close()
        record = daemon.wait_for(count=number, event="session")
        assert (record["rule"], record["error"] == "policy.rule.denied") == (rule, rule != "-")


def test_a_greedy_client_behind_a_load_balancer_loses_its_own_places_in_the_queue(behind, dial):
    daemon = behind(queue=8, handshake_timeout="50s", daemon={"workers": 1})
    others = []
    for number in range(4):
        others.append(dial(daemon))
        others[-1].send(v2((f"192.0.2.{number}", 1)) + greeting())
        assert others[-1].read(2) == b"\x05\x00"
    greedy = []
    for port in range(1, 21):
        greedy.append(dial(daemon))
        greedy[-1].send(v2(("192.0.2.66", port)) + greeting())
        assert greedy[-1].read(2) == b"\x05\x00"
    for client in greedy[:16]:
        client.expect_closed()
    for client in others + greedy[16:]:
        assert client.is_quiet(0)
    stop_at_once(daemon)
    assert refused(daemon, "queue") == 16


def test_a_failed_login_names_the_carried_client(behind, dial, tmp_path):
    users = UsersFile(tmp_path / "users", alice="secret")
    daemon = behind(auth="password", users_file=users)
    client = dial(daemon)
    client.send(v1(V4) + connect("127.0.0.1", 80, http.basic("alice", "wrong")))
    record = daemon.wait_for(event="auth_failed")
    assert (record["client"], record["user"]) == (endpoint(V4), "alice")
    assert http.refusal(client.read_to_end()).status == 407


# --- configuration


def check(tmp_path, **keys):
    path = tmp_path / "a.ini"
    path.write_text(config_text({}, {"main": {"listen": "127.0.0.1:0", **keys}}))
    return run("-c", path, "--check")


@pytest.mark.parametrize("auth", ["ident", "none, ident", "password, ident"])
def test_ident_behind_a_header_is_an_error(tmp_path, auth):
    users = UsersFile(tmp_path / "users", alice="secret")
    keys = {**BEHIND, "auth": auth, **({"users_file": users} if "password" in auth else {})}
    done = check(tmp_path, **keys)
    assert done.returncode == 1
    assert "[listener main] auth: " in done.stderr and "ident" in done.stderr


@pytest.mark.parametrize("keys", [{"proxy_protocol": "require"}, {"proxy_protocol_from": "127.0.0.1"},
                                  {"proxy_protocol": "no", "proxy_protocol_from": "127.0.0.1"}])  # fmt: skip
def test_each_key_needs_the_other(tmp_path, keys):
    done = check(tmp_path, **keys)
    assert done.returncode == 1
    assert "[listener main] proxy_protocol_from: " in done.stderr


@pytest.mark.parametrize("value", ["yes", "on", "v1", "v2", "maybe"])
def test_only_require_and_no_are_values(tmp_path, value):
    assert check(tmp_path, proxy_protocol=value, proxy_protocol_from="127.0.0.1").returncode == 1


@pytest.mark.parametrize("value", ["localhost", "127.0.0.1/33", "any", "127.1", "127.0.0.1:80"])
def test_only_addresses_and_networks_are_believed(tmp_path, value):
    done = check(tmp_path, proxy_protocol="require", proxy_protocol_from=value)
    assert done.returncode == 1
    assert "[listener main] proxy_protocol_from: " in done.stderr


def test_a_right_configuration_passes(tmp_path):
    done = check(tmp_path, **BEHIND)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_reload_changes_who_is_believed(behind, dial, keep):
    daemon = behind(proxy_protocol_from="127.0.0.2")
    target = keep(Echo())
    standing = dial(daemon, source="127.0.0.2")
    standing.send(v1(V4) + request("socks5", *target.address))
    granted(standing, "socks5")
    ini = daemon.folder / "pairsocks.ini"
    text = ini.read_text()
    ini.write_text(text.replace("127.0.0.2", "127.0.0.3"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    assert answered(daemon, v1(V4), "127.0.0.3")
    assert not answered(daemon, v1(V4), "127.0.0.2")
    ini.write_text("".join(line for line in text.splitlines(True) if not line.startswith("proxy_protocol")))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(count=2, event="reloaded")
    assert answered(daemon, b"", "127.0.0.2")
    assert not answered(daemon, v1(V4) + b"x", "127.0.0.3")
    standing.send(b"still here")
    assert standing.read(10) == b"still here"


# --- unix sockets


@pytest.fixture
def path():
    """Short: a unix socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ps") as folder:
        yield pathlib.Path(folder) / "socks"


@pytest.fixture
def unix(keep, path):
    """unix(): a connection to the socket at `path`."""

    def open():
        sock = keep(socket.socket(socket.AF_UNIX))
        sock.settimeout(wait.seconds(10))
        sock.connect(str(path))
        return sock

    return open


def test_a_header_is_believed_from_a_unix_socket(behind, unix, path, keep):
    daemon = behind(listen=f"unix:{path}", proxy_protocol_from="192.0.2.99", allow="192.0.2.0/24, 2001:db8::/32")
    target = keep(Listener())
    for number, (header, client) in enumerate(((v1(V4), V4), (v2(V6), V6)), 1):
        sock = unix()
        sock.sendall(header + request("socks4", *target.address))
        assert sock.recv(8)[1] == 90
        target.accept().close()
        sock.close()
        assert daemon.wait_for(count=number, event="session")["client"] == endpoint(client)
    sock = unix()
    with contextlib.suppress(ConnectionError):
        sock.sendall(v1(("192.0.3.1", 1)) + greeting())
        assert sock.recv(2) == b""
    stop(daemon)
    assert refused(daemon, "whitelist") == 1


@pytest.mark.parametrize("case", ["v1 UNKNOWN", "v2 LOCAL", "v2 UNIX"])
def test_a_header_that_names_nobody_keeps_the_unix_client(behind, unix, path, keep, case):
    daemon = behind(listen=f"unix:{path}", max_per_host=1)
    target = keep(Listener())
    standing = []
    for _ in range(3):
        standing.append(unix())
        standing[-1].sendall(NOBODY[case] + request("socks4", *target.address))
        assert standing[-1].recv(8)[1] == 90
    target.accept().close()
    standing[0].close()
    assert daemon.wait_for(event="session")["client"] == "unix"


def test_a_unix_socket_requires_the_header_too(behind, unix, path):
    daemon = behind(listen=f"unix:{path}")
    sock = unix()
    sock.sendall(greeting())
    with contextlib.suppress(ConnectionError):
        assert sock.recv(2) == b""
    sock.close()
    assert daemon.wait_for(event="session")["error"] == "protocol.proxy.bad"


# --- haproxy


@pytest.fixture
def haproxy(program, tmp_path):
    """haproxy(addresses, words): haproxy in tcp mode in front of these; returns its own IPv4 and IPv6 address."""
    processes = []

    def start(server, words):
        folder = tmp_path / f"haproxy{len(processes)}"
        folder.mkdir()
        for _ in range(5):  # another program may have taken the port meanwhile
            port = free_port()
            (folder / "haproxy.cfg").write_text(
                "global\n    maxconn 2000\ndefaults\n    mode tcp\n    timeout connect 20s\n    timeout client 60s\n"
                f"    timeout server 60s\nlisten front\n    bind 127.0.0.1:{port}\n    bind ::1:{port}\n"
                f"    server pairsocks {server} {words}\n"
            )
            log = folder / "log"
            with open(log, "wb") as file:
                command = ["setpriv", "--pdeathsig", "KILL", program("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            processes.append(process)

            wait.until(lambda: listeners(port) == 2 or process.poll() is not None, lambda: log.read_text())
            if process.poll() is None:
                return ("127.0.0.1", port), ("::1", port)
        raise AssertionError(f"haproxy does not start: {log.read_text()}")

    yield start
    for process in processes:
        process.terminate()
        process.wait(wait.seconds(10))


@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options unique-id,crc32c"])
@pytest.mark.parametrize("protocol", ALL)
def test_haproxy_tells_its_clients_address(believing, dial, keep, haproxy, words, protocol):
    v4, v6 = haproxy(endpoint(believing.address()), words)
    target = keep(Echo())
    for front, source in ((v4, "127.0.0.77"), (v6, "::1")):
        client = dial(believing, address=front, source=source)
        client.connect(protocol, *target.address)
        blob = bytes(range(256)) * 1024
        client.send(blob)
        assert client.read(len(blob)) == blob
        client.finish()
        client.expect_end()
        record = believing.session(client)
        assert (record["client"], record["error"]) == (endpoint((source, client.local_address[1])), "none")
        assert record["sent"] == record["received"] == str(len(blob))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("words", ["send-proxy", "send-proxy-v2"])
def test_a_crowd_behind_haproxy(believing, haproxy, words):
    front, _ = haproxy(endpoint(believing.address()), words)
    run_crowd(front, 300, 64 * 1024, timeout=60)
    believing.wait_for(count=300, event="session", error="none", sent="65536")
    clients = {record["client"] for record in believing.records(event="session")}
    assert len(clients) == 300


def test_haproxy_over_a_unix_socket(behind, dial, keep, haproxy, path):
    daemon = behind(listen=f"unix:{path}", unix_mode="0666", allow="127.0.0.77")
    front, _ = haproxy(f"unix@{path}", "send-proxy-v2")
    target = keep(Echo())
    client = dial(daemon, address=front, source="127.0.0.77")
    client.connect("socks5", *target.address)
    client.close()
    daemon.session(client)
    outside = dial(daemon, address=front, source="127.0.0.78")
    outside.send(greeting())
    outside.expect_closed()


def test_the_carried_client_of_haproxy_is_the_client_of_allow(behind, dial, haproxy):
    daemon = behind(allow="127.0.0.77")
    for words in ("send-proxy", "send-proxy-v2"):
        front, _ = haproxy(endpoint(daemon.address()), words)
        for source, answer in (("127.0.0.77", b"\x05\x00"), ("127.0.0.78", b"")):
            client = dial(daemon, address=front, source=source)
            client.send(greeting())
            with contextlib.suppress(ConnectionError):
                assert client.sock.recv(2) == answer
            client.close()
    stop(daemon)
    assert refused(daemon, "whitelist") == 2


def test_haproxys_checks_find_it_up(behind, dial, keep, haproxy):
    """They say LOCAL, and leave."""
    daemon = behind(handshake_timeout="50s")
    front, _ = haproxy(endpoint(daemon.address()), "send-proxy-v2 check check-send-proxy inter 100")
    daemon.wait_for(count=3, event="session", error="client.gone")
    target = keep(Echo())
    client = dial(daemon, address=front, source="127.0.0.77")
    client.connect("socks5", *target.address)
