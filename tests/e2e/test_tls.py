"""TLS on listeners: what goes through, who is kept out, and what a broken or a lazy client costs."""

import contextlib
import random
import signal
import socket
import ssl
import threading

import pytest

from harness import http, tls, wait
from harness.dns import A, Held, Scripted
from harness.socks import ALL, Client, greeting, request4
from harness.targets import Echo, Listener
from harness.tls import Cut, client_context, keys, refusal, secure, server_context

BLOB = random.Random(8).randbytes(4 << 20)
OUT = {"out": {"type": "direct", "security": "negotiated", "authority": tls.pem("root")}}
WAYS = ("tls to plain", "plain to tls", "tls to tls", "plain to plain")


@pytest.fixture
def forwarding(pairsocks, keep, dial, dial_tls):
    """forwarding(way, key=value ...): a daemon that forwards that way, its `.target`, and `.dial()`."""

    def start(way, target=None, **more):
        ends = way.split(" to ")
        context = server_context() if ends[1] == "tls" else None
        target = keep((target or Listener)(context=context))
        where = dict(protocols="forward", forward_to=f"{target.host}:{target.port}")
        secured = keys() if ends[0] == "tls" else {}
        routed = dict(upstreams=OUT, route="out") if context else {}
        daemon = pairsocks(**where, **secured, **routed, **more)
        daemon.target = target
        daemon.dial = lambda: (dial_tls if secured else dial)(daemon)
        return daemon

    return start


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


@pytest.fixture
def ends(forwarding, way):
    """A forwarded connection that stands: the daemon, the client's wire and the target's."""
    daemon = forwarding(way)
    client = daemon.dial()
    return daemon, client, daemon.target.accept()


@pytest.fixture
def served(pairsocks):
    """A SOCKS and HTTP listener with TLS."""
    return pairsocks(**keys())


# --- what goes through


def test_bytes_go_both_ways_and_are_counted(ends):
    daemon, client, target = ends
    client.send(b"there")
    assert target.read(5) == b"there"
    target.send(b"and back")
    assert client.read(8) == b"and back"
    client.finish()
    target.expect_end()
    target.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["sent"], session["received"], session["error"]) == ("5", "8", "none")


def test_a_client_may_end_first(ends):
    """The end is passed on as one, and the answer still comes."""
    daemon, client, target = ends
    client.send(b"that is all")
    client.finish()
    assert target.read_to_end() == b"that is all"
    target.send(BLOB[:300_000])
    target.finish()
    assert client.read_to_end() == BLOB[:300_000]
    assert daemon.session(client)["error"] == "none"


def test_a_target_may_end_first(ends):
    daemon, client, target = ends
    target.send(b"bye")
    target.finish()
    assert client.read_to_end() == b"bye"
    client.send(BLOB[:300_000])
    client.finish()
    assert target.read_to_end() == BLOB[:300_000]
    assert daemon.session(client)["error"] == "none"


def test_a_slow_reader_gets_it_all_and_then_the_end(ends):
    """The end waits behind what the system, and the layer of TLS, did not take at once."""
    daemon, client, target = ends
    sender = threading.Thread(target=lambda: (target.send(BLOB), target.finish()), daemon=True)
    sender.start()
    wait.until(lambda: not sender.is_alive() or not client.is_quiet(0.2), "bytes")
    got = client.read(1000)
    assert sender.is_alive() or len(got) == 1000
    assert got + client.read_to_end() == BLOB
    sender.join(wait.seconds(10))
    client.finish()
    target.expect_end()
    assert daemon.session(client)["error"] == "none"


def test_megabytes_go_both_ways_at_once(ends):
    daemon, client, target = ends
    back = BLOB[::-1]
    got = []

    def play(wire, data):
        sender = threading.Thread(target=lambda: (wire.send(data), wire.sock.sendall(b"")), daemon=True)
        sender.start()
        got.append(wire.read(len(data)))
        sender.join(wait.seconds(30))

    other = threading.Thread(target=play, args=(target, back), daemon=True)
    other.start()
    play(client, BLOB)
    other.join(wait.seconds(30))
    assert len(got) == 2 and {BLOB == one for one in got} == {True, False} and {back == one for one in got} == {True, False}
    client.finish()
    target.expect_end()
    target.finish()
    client.expect_end()
    assert daemon.session(client)["error"] == "none"


def test_many_at_once_get_their_own_bytes(forwarding, way):
    daemon = forwarding(way, Echo)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(daemon.dial()) for _ in range(40)]
        texts = [random.Random(i).randbytes(20_000) for i in range(len(clients))]
        for client, text in zip(clients, texts):
            client.send(text)
        for client, text in zip(clients, texts):
            assert client.read(len(text)) == text


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("level", tls.LEVELS)
def test_each_protocol_is_served_inside(served, dial_tls, keep, protocol, level):
    target = keep(Echo())
    client = dial_tls(served, client_context(level=level))
    client.connect(protocol, target.host, target.port)
    client.send(BLOB[:100_000])
    assert client.read(100_000) == BLOB[:100_000]
    client.finish()
    client.expect_end()
    session = served.session(client)
    assert (session["protocol"], session["error"], session["sent"]) == (protocol, "none", "100000")


@pytest.mark.parametrize("level", tls.LEVELS)
def test_a_handshake_may_come_byte_by_byte(served, dial_tls, keep, level):
    target = keep(Echo())
    client = dial_tls(served, client_context(level=level), more={"pieces": 1})
    client.connect("socks5", target.host, target.port)
    client.send(b"piecemeal")
    assert client.read(9) == b"piecemeal"


def test_refusals_are_told_inside(served, dial_tls):
    for protocol, code in (("socks4", 91), ("socks5", 1), ("http", 400)):
        client = dial_tls(served)
        assert client.negotiate(protocol, "127.0.0.1", 0).code == code
        client.expect_end()
        client.close()
        assert served.session(client)["error"] == "protocol.request.bad"


def test_tls_inside_tls(pairsocks, dial_tls, keep):
    """Through one secured listener to another."""
    target = keep(Echo())
    daemon = pairsocks(listeners={"outer": {"listen": "127.0.0.1:0", **keys()}, "inner": {"listen": "127.0.0.1:0", **keys()}})
    client = dial_tls(daemon, listener="outer")
    client.connect("socks5", *daemon.address(4, "inner"))
    secure(client, client_context(), name=tls.NAME)
    client.connect("http", target.host, target.port)
    client.send(BLOB[:200_000])
    assert client.read(200_000) == BLOB[:200_000]


def test_behind_a_proxy_header(pairsocks, dial_tls, keep):
    """First the header, in one piece with the ClientHello or not, then TLS, then the protocol."""
    target = keep(Echo())
    daemon = pairsocks(**keys(), proxy_protocol="require", proxy_protocol_from="127.0.0.1", allow="192.0.2.7")
    header = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n"
    client = dial_tls(daemon, before=header)
    client.connect("socks5", target.host, target.port)
    client.close()
    client.sock.sock.close()
    assert daemon.session("192.0.2.7:1234")["protocol"] == "socks5"


def test_a_proxy_header_in_one_piece_with_the_handshake(pairsocks, dial, keep):
    target = keep(Echo())
    daemon = pairsocks(**keys(), proxy_protocol="require", proxy_protocol_from="127.0.0.1")

    class Together:
        """Puts the header into the first segment."""

        def __init__(self, sock):
            self.sock, self.header = sock, b"PROXY TCP4 192.0.2.9 192.0.2.8 1234 80\r\n"

        def sendall(self, data):
            self.sock.sendall(self.header + data)
            self.header = b""

        def __getattr__(self, name):
            return getattr(self.sock, name)

    client = dial(daemon)
    client.sock = Together(client.sock)
    secure(client, client_context(), name=tls.NAME)
    client.connect("socks5", target.host, target.port)
    client.send(b"x")
    assert client.read(1) == b"x"
    client.close()
    assert daemon.session("192.0.2.9:1234")["protocol"] == "socks5"


def test_a_proxy_header_inside_tls_is_no_header(pairsocks, dial):
    daemon = pairsocks(**keys(), proxy_protocol="require", proxy_protocol_from="127.0.0.1")
    client = dial(daemon)
    assert refusal(client, client_context(), name=tls.NAME)
    client.close()
    assert daemon.session(client)["error"].startswith("protocol.proxy")


# --- clients that do not do it


def hello(level=None):
    """A ClientHello's record."""
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        client_context(level=level).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=tls.NAME).do_handshake()
    return outgoing.read()


def test_who_is_silent_or_slow_in_the_handshake_is_cut_and_nobody_else(pairsocks, dial, dial_tls, keep):
    target = keep(Echo())
    daemon = pairsocks(**keys(), handshake_timeout="2s")
    lazy = [dial(daemon) for _ in range(20)]
    for i, client in enumerate(lazy):
        client.send(hello()[: 40 * (i % 4)])
    other = dial_tls(daemon)
    other.connect("socks5", target.host, target.port)
    for client in lazy:
        client.expect_closed()
        session = daemon.session(client)
        assert session["error"] == "tls.handshake.timeout"
        assert int(session["duration_ms"]) >= 2000
    other.send(b"still there")
    assert other.read(11) == b"still there"


def test_who_waits_inside_tls_has_no_other_time(pairsocks, dial_tls):
    daemon = pairsocks(**keys(), handshake_timeout="2s")
    client = dial_tls(daemon)
    client.send(greeting())
    assert client.read(2) == b"\x05\x00"
    with pytest.raises(Cut):
        client.read_to_end()
    assert daemon.session(client)["error"] == "timeout.handshake"


@pytest.mark.parametrize("data", [
    greeting() + b"\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50", request4("127.0.0.1", 80), http.connect("127.0.0.1", 80),
    b"\0" * 5000, b"\xff" * 100, b"\x16\x03\x01\xff\xff" + b"\1" * 70_000, b"\x16\x03\x01\x00\x00" * 50, hello()[:9] + b"\xee" * 600,
    b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10" + b"\x05" * 40,  # SSL 2's hello
    b"\x15\x03\x03\x00\x02\x02\x28", b"\x17\x03\x03\x00\x05hello",
], ids=["socks5", "socks4", "http", "zeros", "ones", "a long record", "empty records", "a broken hello", "sslv2", "an alert", "data"])  # fmt: skip
def test_what_is_no_handshake_is_refused_at_once(served, dial, dial_tls, keep, data):
    client = dial(served)
    client.send(data)
    client.sock.settimeout(wait.seconds(4))
    client.read_to_end_or_reset()
    client.close()
    error = served.session(client)["error"]
    assert error.startswith("tls.handshake.") or error.startswith("tls.alert.") and data[0] == 0x15, error
    assert error != "tls.handshake.timeout"
    target = keep(Echo())
    dial_tls(served).connect("socks5", target.host, target.port)


@pytest.mark.parametrize("level", tls.LEVELS)
def test_who_leaves_in_the_handshake_is_gone(served, dial, level):
    """At any moment, in order or not, and whether or not it has read what we said."""
    whole = hello(level)
    for leave in ("reset", "close", "finish"):
        for data in (b"", whole[:3], whole[:50], whole[:-1], whole):
            for reads in {0, 5 if data == whole else 0}:
                client = dial(served)
                client.send(data)
                client.read(reads)
                getattr(client, leave)()
                assert served.session(client)["error"] == "client.gone", (leave, len(data), reads)


@pytest.mark.parametrize("level", tls.LEVELS)
@pytest.mark.parametrize("leave", ["reset", "close"])
def test_who_leaves_after_the_handshake_is_gone(served, dial_tls, level, leave):
    client = dial_tls(served, client_context(level=level))
    client.send(greeting())
    (client.reset if leave == "reset" else client.close)()
    assert served.session(client)["error"] == "client.gone"


@pytest.mark.figures
def test_abandoned_handshakes_leave_nothing(served, dial, dial_tls, keep):
    """Ten thousand of them: after the first hundreds no more memory is taken."""
    target = keep(Echo())

    def abandon(count):
        for i in range(count):
            with Client.open(address) as client:
                client.send(hello_bytes[: (len(hello_bytes), 200, 5)[i % 3]])
                if i % 3 == 0:
                    client.read(5)
                if i % 2:
                    client.reset()

    def count():
        return len(served.records(event="session"))

    hello_bytes, address = hello(), served.address()
    descriptors = served.descriptors()
    abandon(400)
    wait.until(lambda: count() == 400, "their sessions to end")
    before = served.rss()
    abandon(10_000)
    wait.until(lambda: served.log_text().count(" event=session ") == 10_400, "their sessions to end", every=0.1)
    assert {session["error"] for session in served.records(event="session")} == {"client.gone"}
    assert served.rss() - before < 1 << 20
    wait.until(lambda: served.descriptors() == descriptors, "all descriptors to be closed")
    dial_tls(served).connect("socks5", target.host, target.port)


def test_who_is_silent_takes_no_place_from_other_hosts(pairsocks, dial, keep):
    """The queue counts handshakes of TLS, too."""
    target = keep(Echo())
    daemon = pairsocks(**keys(), queue=4)
    silent = [dial(daemon) for _ in range(12)]
    client = dial(daemon, source="127.0.0.2")
    secure(client, client_context(), name=tls.NAME).connect("socks5", target.host, target.port)
    closed = [client for client in silent if not client.is_quiet(0.05)]
    assert len(closed) >= 8


def test_a_handshake_over_a_reload(pairsocks, dial, keep):
    """Begun under one configuration, ended under the next one."""
    target = keep(Echo())
    daemon = pairsocks(**keys())

    class Paused:
        """Reloads in the middle of the ClientHello."""

        def __init__(self, sock):
            self.sock, self.done = sock, False

        def sendall(self, data):
            if not self.done:
                self.sock.sendall(data[:50])
                daemon.reload()
                data, self.done = data[50:], True
            self.sock.sendall(data)

        def __getattr__(self, name):
            return getattr(self.sock, name)

    client = dial(daemon)
    client.sock = Paused(client.sock)
    secure(client, client_context(), name=tls.NAME).connect("socks5", target.host, target.port)


def test_sessions_finish_when_the_daemon_drains(pairsocks, dial, dial_tls, keep):
    target = keep(Echo())
    daemon = pairsocks(**keys(), handshake_timeout="2s")
    client = dial_tls(daemon)
    client.connect("socks5", target.host, target.port)
    lazy = dial(daemon)
    lazy.send(hello()[:20])
    daemon.signal(signal.SIGTERM)
    daemon.wait_for(event="drain")
    client.send(b"the last")
    assert client.read(8) == b"the last"
    client.finish()
    client.expect_end()
    lazy.expect_closed()
    assert daemon.exit_code() == 0


def test_who_takes_nothing_is_cut(pairsocks, dial_tls, keep):
    """A secured client that does not read: write_timeout, and what waits for it is bounded."""
    target = keep(Listener())
    daemon = pairsocks(**keys(), protocols="forward", forward_to=f"{target.host}:{target.port}", write_timeout="700ms")
    client = dial_tls(daemon)
    wire = target.accept()
    with contextlib.suppress(ConnectionError):  # it may be cut already
        assert wire.push(1 << 28, stall=0.3) < 1 << 27
    assert daemon.session(client)["error"] == "system.write.timeout"


def test_on_a_unix_socket(pairsocks, keep, tmp_path):
    target = keep(Echo())
    pairsocks(listen=f"unix:{tmp_path}/s", **keys())
    sock = keep(socket.socket(socket.AF_UNIX))
    sock.settimeout(wait.seconds(10))
    sock.connect(f"{tmp_path}/s")
    inside = tls.TlsSocket(sock, client_context(), name=tls.NAME)
    inside.sendall(http.connect(target.host, target.port))
    got = b""
    while not got.endswith(b"\r\n\r\n"):
        got += inside.recv(100)
    assert got == http.ESTABLISHED
    inside.sendall(b"x")
    assert inside.recv(1) == b"x"


# --- streams that are cut


@pytest.mark.parametrize("how", ["reset", "end"])
def test_a_client_that_is_cut(forwarding, how):
    """What it sent is delivered first; then a reset or an end."""
    daemon = forwarding("tls to plain", tls_cut=how)
    client = daemon.dial()
    target = daemon.target.accept()
    client.send(BLOB[:500_000])
    client.sock.cut()
    assert target.read(500_000) == BLOB[:500_000]
    (target.expect_reset if how == "reset" else target.expect_end)()
    assert daemon.session(client)["error"] == "tls.cut.no-close-notify"


@pytest.mark.parametrize("how", ["reset", "end"])
@pytest.mark.parametrize("way", ["plain to tls", "tls to tls"], ids=["plain", "tls"])
def test_a_target_that_is_cut(forwarding, way, how):
    daemon = forwarding(way, tls_cut=how)
    client = daemon.dial()
    target = daemon.target.accept()
    target.send(BLOB[:500_000])
    target.sock.cut()
    assert client.read(500_000) == BLOB[:500_000]
    (client.expect_reset if how == "reset" else client.expect_end)()
    assert daemon.session(client)["error"] == "tls.cut.no-close-notify"


@pytest.mark.parametrize("how", ["reset", "end"])
def test_what_was_sent_before_the_cut_reaches_a_slow_target(pairsocks, dial_tls, keep, how):
    """More than its system takes at once."""
    target = keep(Listener(buffer=4096))
    daemon = pairsocks(**keys(), protocols="forward", forward_to=f"{target.host}:{target.port}", tls_cut=how)
    client = dial_tls(daemon)
    wire = target.accept()
    client.send(BLOB[:100_000])
    client.sock.cut()
    wait.until(lambda: wire.sock.recv(1, socket.MSG_PEEK), "the first byte")
    assert wire.is_quiet(0) is False
    got = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while piece := wire.sock.recv(4096):
            got += piece
    assert bytes(got) == BLOB[:100_000]
    assert daemon.session(client)["error"] == "tls.cut.no-close-notify"


@pytest.mark.parametrize("how, talks", [("reset", False), ("end", False), ("end", True)])
def test_a_client_that_is_cut_while_its_target_is_dialed(pairsocks, dial_tls, keep, how, talks):
    """What it sent reaches the target that then stands, and after it the reset or the end."""
    target, dns, late = keep(Listener()), keep(Scripted()), Held(["127.0.0.1"])
    dns.name("late.test", a=late)
    daemon = pairsocks(**keys(), daemon={"nameserver": dns.nameserver, "workers": 1}, tls_cut=how)
    client = dial_tls(daemon)
    client.send(http.connect("late.test", target.port))
    wait.until(lambda: dns.asked("late.test", A), "the question for the target's name")
    client.send(b"all that there is")
    client.sock.cut()
    dial_tls(daemon)  # by now the only worker has seen the cut
    late.release()
    wire = target.accept()
    if talks:
        wire.send(b"220 hello")
    assert wire.read(17) == b"all that there is"
    if talks:
        wire.expect_closed()  # who still talks to nobody may be reset behind the end
    else:
        (wire.expect_reset if how == "reset" else wire.expect_end)()
    wire.close()
    assert daemon.session(client)["error"] == "tls.cut.no-close-notify"


def test_a_target_that_resets_resets_a_secured_client(forwarding):
    daemon = forwarding("tls to plain")
    client = daemon.dial()
    target = daemon.target.accept()
    target.send(b"x")
    assert client.read(1) == b"x"
    target.reset()
    client.expect_reset()
    assert daemon.session(client)["error"] == "system.read.reset"


# --- levels


@pytest.mark.parametrize("security, level, served_level", [
    ("negotiated", None, "TLSv1.3"), ("negotiated", "tlsv1.2", "TLSv1.2"), ("negotiated", "tlsv1.3", "TLSv1.3"),
    ("tlsv1.2", None, "TLSv1.2"),
    ("tlsv1.2", "tlsv1.3", None), ("tlsv1.3", None, "TLSv1.3"), ("tlsv1.3", "tlsv1.2", None),
])  # fmt: skip
def test_levels_are_exactly_these(pairsocks, dial, security, level, served_level):
    daemon = pairsocks(**keys(security=security))
    client, context = dial(daemon), client_context(level=level)
    if served_level:
        assert secure(client, context, name=tls.NAME).sock.tls.version() == served_level
        return
    assert "PROTOCOL_VERSION" in refusal(client, context, name=tls.NAME)
    client.close()
    assert daemon.session(client)["error"] == "tls.handshake.no-common-version"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("security", ["negotiated", *tls.LEVELS])
def test_there_is_nothing_below_1_2(pairsocks, dial, security):
    """Clients of 1.1 and 1.0; and by hand those that no library is any more: SSL 3 and 2."""
    daemon = pairsocks(**keys(security=security))
    for most in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        context = client_context()
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, most
        context.set_ciphers("ALL:@SECLEVEL=0")
        client = dial(daemon)
        assert "PROTOCOL_VERSION" in refusal(client, context, name=tls.NAME)
        client.close()
        assert daemon.session(client)["error"] == "tls.handshake.no-common-version"
    ssl3 = b"\x16\x03\x00\x00\x2d\x01\x00\x00\x29\x03\x00" + bytes(32) + b"\x00\x00\x02\x00\x35\x01\x00"
    ssl2 = b"\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80" + bytes(16)
    for hello, version in ((ssl3, b"\x03\x00"), (ssl2, b"\x03\x00"), (ssl2[:3] + b"\x03\x01" + ssl2[5:], b"\x03\x01")):
        client = dial(daemon)
        client.send(hello)
        assert client.read(7) == b"\x15" + version + b"\x00\x02\x02\x46"
        client.expect_closed()
        assert daemon.session(client)["error"] == "tls.handshake.no-common-version"


@pytest.mark.parametrize("suites", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ADH-AES128-GCM-SHA256", "ECDHE-ECDSA-NULL-SHA"])
def test_weak_suites_are_not_served(served, dial, suites):
    context = client_context(level="tlsv1.2", suites=f"{suites}:@SECLEVEL=0")
    client = dial(served)
    assert refusal(client, context, name=tls.NAME)
    client.close()
    assert served.session(client)["error"] == "tls.handshake.no-common-suite"


def test_suites_that_are_asked_for(pairsocks, dial_tls, dial):
    daemon = pairsocks(**keys(ciphers="TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-CHACHA20-POLY1305"))
    assert dial_tls(daemon).sock.tls.cipher()[0] == "TLS_AES_256_GCM_SHA384"
    assert dial_tls(daemon, client_context(level="tlsv1.2")).sock.tls.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert refusal(dial(daemon), client_context(level="tlsv1.2", suites="ECDHE-ECDSA-AES128-GCM-SHA256"), name=tls.NAME)


def test_an_rsa_certificate(pairsocks, dial_tls):
    daemon = pairsocks(**keys("server-rsa"))
    for level in tls.LEVELS:
        dial_tls(daemon, client_context(level=level))


@pytest.mark.parametrize("offered, chosen", [(("h2", "http/1.1"), "h2"), (("http/1.1",), "http/1.1"), ((), None), (("imap",), "refused")])
def test_protocols_by_alpn(pairsocks, dial, offered, chosen):
    """No overlap: alert 120."""
    daemon = pairsocks(**keys(alpn="h2, http/1.1"))
    client, context = dial(daemon), client_context(alpn=offered)
    if chosen != "refused":
        assert secure(client, context, name=tls.NAME).sock.tls.selected_alpn_protocol() == chosen
        return
    assert refusal(client, context, name=tls.NAME) not in (None, "cut", "reset")
    client.close()
    assert daemon.session(client)["error"] == "tls.handshake.no-common-alpn"
