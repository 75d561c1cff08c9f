"""TLS towards the target: upstreams of type `direct` with TLS keys, and what of a certificate they believe."""

import contextlib
import ssl
import threading

import pytest

from harness import http, tls, wait
from harness.dns import Scripted
from harness.socks import ALL
from harness.targets import Echo, Listener, Serving
from harness.tls import crl, pem, server_context

CODES = {"socks4": 91, "socks4a": 91, "socks5": 1, "http": 502}
GRANTED = {"socks4": 90, "socks4a": 90, "socks5": 0, "http": 200}
NAMES = ("server.test", "other.test", "one.wild.test", "one.two.wild.test", "wild.test")


@pytest.fixture(scope="module")
def servers():
    """servers(certificate, key=value of server_context): an Echo with it; one for all tests."""
    made = {}

    def server(certificate="server", **more):
        at = (certificate, *sorted(more.items()))
        if at not in made:
            made[at] = Echo(context=server_context(certificate, **more))
        return made[at]

    yield server
    for one in made.values():
        one.close()


@pytest.fixture(scope="module")
def dns():
    with Scripted() as server:
        for name in NAMES:
            server.name(name, a=["127.0.0.1"])
        yield server


@pytest.fixture
def routed(pairsocks, dns):
    """routed(key=value of the upstream): a daemon that goes by it."""

    def start(listener=None, **upstream):
        out = {"type": "direct", "security": "negotiated", "authority": pem("root"), **upstream}
        out = {key: value for key, value in out.items() if value is not None}
        return pairsocks(listen="127.0.0.1:0", upstreams={"out": out}, route="out", daemon={"nameserver": dns.nameserver},
                         **(listener or {}))  # fmt: skip

    return start


@pytest.fixture
def ask(dial):
    """ask(daemon, host, port): the error's name of a session to it, "none" if bytes go through."""

    def one(daemon, host, port, protocol="socks5"):
        client = dial(daemon)
        code = client.negotiate(protocol, host, port).code
        if code == GRANTED[protocol]:
            client.send(b"ping")
            assert client.read(4) == b"ping"
            client.finish()
            client.expect_end()
        client.close()
        session = daemon.session(client)
        assert (code == GRANTED[protocol]) == (session["error"] == "none"), session
        assert code in (GRANTED[protocol], CODES[protocol])
        assert session["route"] == "out"
        return session["error"]

    return one


# --- what is wrong with a certificate, and which keys forgive it

FORGIVE = {"expired certificates": {"allow_expired_certificates": "yes"}, "expired roots": {"allow_expired_roots": "yes"},
           "any root": {"allow_any_root": "yes"}, "a list": {"revoke": crl("root")}, "an old list": {"revoke": crl("root-past")},
           "no chain": {"validate_chain": "no"}, "nothing": {}}  # fmt: skip
CERTIFICATES = ("server", "server-rsa", "expired", "future", "revoked", "expired-revoked", "by-other", "by-other-chain", "self-signed",
                "by-fake-chain", "by-middle", "by-middle-chain", "by-middle-expired-chain", "by-leaf-chain", "client-only")  # fmt: skip
OWN_ERROR = {"expired": "expired", "future": "not-yet-valid", "by-other": "unknown-root", "by-other-chain": "unknown-root",
             "self-signed": "unknown-root", "by-fake-chain": "unknown-root", "by-middle": "unknown-root", "by-middle-expired-chain": "expired",
             "by-leaf-chain": "unknown-root", "client-only": "bad", "expired-revoked": "expired"}  # fmt: skip


def oracle(certificate, keys):
    """The error's last word; None: it is believed. First the root, then lists, then dates."""
    error = OWN_ERROR.get(certificate)
    if keys.get("validate_chain") == "no":
        return None
    if error == "unknown-root" and not keys.get("allow_any_root"):
        return error
    if "revoke" in keys:
        if "revoked" in certificate:
            return "revoked"
        if certificate.startswith("by-middle"):
            return "crl-missing"
        if keys["revoke"] == crl("root-past"):
            return "crl-expired"
    forgiven = {"expired": "allow_expired_certificates", "unknown-root": "allow_any_root"}
    return None if forgiven.get(error) in keys else error


@pytest.mark.parametrize("how", FORGIVE)
def test_each_key_forgives_only_what_it_names(routed, servers, ask, how):
    daemon = routed(**FORGIVE[how])
    got, wanted = {}, {}
    for certificate in CERTIFICATES:
        error = oracle(certificate, FORGIVE[how])
        wanted[certificate] = f"tls.certificate.{error}" if error else "none"
        got[certificate] = ask(daemon, "server.test", servers(certificate).port)
    assert got == wanted


@pytest.mark.parametrize("keys, error", [
    ({}, "expired"), ({"allow_expired_certificates": "yes"}, "expired"), ({"allow_any_root": "yes"}, "expired"), ({"allow_expired_roots": "yes"}, None),
])  # fmt: skip
def test_an_expired_root(routed, servers, ask, keys, error):
    daemon = routed(authority=pem("root-expired"), **keys)
    assert ask(daemon, "127.0.0.1", servers("by-root-expired").port) == (f"tls.certificate.{error}" if error else "none")


@pytest.mark.parametrize("certificate, keys, error", [
    ("expired-revoked", {"revoke": crl("root"), "allow_expired_certificates": "yes"}, "revoked"),
    ("revoked", {"revoke": crl("root"), "allow_any_root": "yes"}, "revoked"),
    ("revoked", {"revoke": crl("root"), "validate_chain": "no"}, "revoked"),
    ("revoked", {"revoke": crl("root-past")}, "revoked"),
    ("by-middle-chain", {"revoke": crl("root")}, "crl-missing"),
    ("by-middle-chain", {"revoke": crl("both"), "authority": pem("root-and-middle")}, None),
    ("revoked-by-middle-chain", {"revoke": crl("both"), "authority": pem("root-and-middle")}, "revoked"),
    ("server", {"authority": pem("two-roots")}, None), ("by-other", {"authority": pem("two-roots")}, None),
    ("server", {"authority": None}, "unknown-root"), ("server", {"authority": None, "allow_any_root": "yes"}, None),
    ("server", {"authority": None, "validate_chain": "no"}, None),
])  # fmt: skip
def test_lists_and_bundles(routed, servers, ask, certificate, keys, error):
    daemon = routed(**keys)
    assert ask(daemon, "127.0.0.1", servers(certificate).port) == (f"tls.certificate.{error}" if error else "none")


@pytest.mark.parametrize("protocol", ALL)
def test_each_protocol_is_told(routed, servers, ask, protocol):
    daemon = routed()
    assert ask(daemon, "127.0.0.1", servers("expired").port, protocol) == "tls.certificate.expired"
    assert ask(daemon, "127.0.0.1", servers("server").port, protocol) == "none"


# --- the name


@pytest.mark.parametrize("peer_name, host, certificate, fits", [
    (None, "server.test", "server", True), (None, "SERVER.test.", "server", True), (None, "other.test", "server", False),
    (None, "other.test", "second", True), (None, "one.wild.test", "server", True), (None, "one.two.wild.test", "server", False),
    (None, "wild.test", "server", False), (None, "127.0.0.1", "server", True), (None, "127.0.0.1", "second", False),
    (None, "::ffff:127.0.0.1", "server", True), (None, "server.test", "no-names", True), (None, "other.test", "no-names", False),
    ("other.test", "server.test", "second", True), ("other.test", "server.test", "server", False), ("127.0.0.1", "other.test", "server", True),
    ("127.0.0.2", "127.0.0.1", "server", False), ("none", "other.test", "server", True), ("none", "127.0.0.1", "no-names", True),
])  # fmt: skip
def test_the_name_is_what_was_dialed_or_said(routed, servers, ask, peer_name, host, certificate, fits):
    daemon = routed(peer_name=peer_name)
    assert ask(daemon, host, servers(certificate).port) == ("none" if fits else "tls.certificate.name-mismatch")


@pytest.mark.parametrize("keys", [{"allow_any_root": "yes"}, {"validate_chain": "no"}, {"allow_expired_certificates": "yes"}])
def test_no_key_but_none_forgives_a_name(routed, servers, ask, keys):
    assert ask(routed(**keys), "other.test", servers("server").port) == "tls.certificate.name-mismatch"


@pytest.mark.parametrize("peer_name, host, sent", [
    (None, "server.test", "server.test"), (None, "server.test.", "server.test"), (None, "127.0.0.1", None),
    ("one.wild.test", "127.0.0.1", "one.wild.test"), ("127.0.0.1", "server.test", None), ("none", "server.test", None),
])  # fmt: skip
def test_the_name_is_sent_unless_it_is_an_address(routed, ask, keep, peer_name, host, sent):
    """RFC 6066: no address, no trailing dot."""
    seen, context = [], server_context()
    context.sni_callback = lambda tls, name, context: seen.append(name)
    server = keep(Echo(context=context))
    assert ask(routed(peer_name=peer_name), host, server.port) == "none"
    assert seen == [sent]


# --- levels, suites, protocols


@pytest.mark.parametrize("security, level, error", [
    ("negotiated", None, None), ("negotiated", "tlsv1.2", None), ("tlsv1.2", None, None), ("tlsv1.2", "tlsv1.2", None),
    ("tlsv1.3", "tlsv1.3", None), ("tlsv1.2", "tlsv1.3", "alert.protocol-version"), ("tlsv1.3", "tlsv1.2", "alert.protocol-version"),
])  # fmt: skip
def test_levels(routed, servers, ask, security, level, error):
    daemon = routed(security=security)
    assert ask(daemon, "127.0.0.1", servers("server", level=level).port) == (f"tls.{error}" if error else "none")


def test_no_common_suite(routed, servers, ask):
    daemon = routed(ciphers="ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305", security="tlsv1.2")
    server = servers("server", level="tlsv1.2", suites="ECDHE-ECDSA-AES128-GCM-SHA256")
    assert ask(daemon, "127.0.0.1", server.port) == "tls.alert.handshake-failure"


@pytest.mark.parametrize("alpn", ["h2", "imap, h2"])
def test_protocols_are_offered(routed, dial, keep, alpn):
    server = keep(Listener(context=server_context(alpn=("h2", "http/1.1"))))
    client = dial(routed(alpn=alpn))
    client.ask("socks5", server.host, server.port)
    assert server.accept().sock.tls.selected_alpn_protocol() == "h2"
    assert client.read_reply("socks5").code == 0


# --- client certificates


def test_a_certificate_is_shown_to_who_asks(routed, servers, ask):
    wants = servers("server", authority="root")
    assert ask(routed(**tls.own("alice")), "127.0.0.1", wants.port) == "none"


def test_a_server_that_is_not_content(routed, servers, dial):
    """In TLS 1.2 its alert comes in the handshake; in 1.3 after it, when the client has heard that all is well."""
    wants = servers("server", authority="root", level="tlsv1.2")
    for keys, error in (({}, "tls.alert.handshake-failure"), (tls.own("alice-other"), "tls.alert.unknown-ca")):
        daemon = routed(**keys)
        client = dial(daemon)
        assert client.negotiate("socks5", wants.host, wants.port).code == 1
        client.close()
        assert daemon.session(client)["error"] == error
    wants = servers("server", authority="root", level="tlsv1.3")
    for keys, error in (({}, "tls.alert.certificate-required"), (tls.own("alice-other"), "tls.alert.unknown-ca")):
        daemon = routed(**keys)
        client = dial(daemon)
        assert client.negotiate("socks5", wants.host, wants.port).code == 0
        client.expect_reset()
        assert daemon.session(client)["error"] == error


# --- servers that do not do it


class Raw(Serving):
    """Answers whatever comes with these bytes, and ends."""

    def __init__(self, data, *args):
        self.data = data
        super().__init__(*args)

    def serve(self, wire):
        wire.sock.recv(1 << 16)
        wire.send(self.data)
        wire.finish()
        wire.read_to_end()


@pytest.mark.parametrize("data, error", [
    (b"220 hello\r\n", "tls.handshake.protocol"), (b"HTTP/1.1 400 Bad Request\r\n\r\n", "tls.handshake.protocol"),
    (b"\x15\x03\x03\x00\x02\x02\x28", "tls.alert.handshake-failure"), (b"\x15\x03\x01\x00\x02\x02\x46", "tls.alert.protocol-version"),
    (b"\x15\x03\x03\x00\x02\x02\x70", "tls.alert.unrecognized-name"), (b"\x15\x03\x03\x00\x02\x02\x63", "tls.alert.99"),
    (b"\x16\x03\x03", "tls.handshake.protocol"), (b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", "tls.handshake.protocol"), (b"", "tls.handshake.protocol"),
])  # fmt: skip
def test_a_server_that_speaks_no_tls(routed, ask, keep, data, error):
    """It hears of it at once, not when the time is up."""
    daemon = routed()
    server = keep(Raw(data))
    assert ask(daemon, server.host, server.port) == error


class Disbelieving(Serving):
    """Begins like a server of TLS 1.3, and breaks off with a plain alert behind its ServerHello."""

    def serve(self, wire):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inside = server_context(level="tlsv1.3").wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(wire.sock.recv(1 << 16))
        with contextlib.suppress(ssl.SSLWantReadError):
            inside.do_handshake()
        flight = outgoing.read()
        wire.send(flight[: 5 + int.from_bytes(flight[3:5], "big")] + b"\x15\x03\x03\x00\x02\x02\x50")
        wire.finish()
        wire.read_to_end()


def test_a_plain_alert_of_a_server_has_its_name(routed, ask, keep):
    server = keep(Disbelieving())
    assert ask(routed(), server.host, server.port) == "tls.alert.internal-error"


@pytest.mark.parametrize("protocol", ["socks5", "http"])
def test_a_server_that_says_nothing(routed, ask, keep, protocol):
    server = keep(Listener())
    daemon = routed(connect_timeout="500ms")
    assert ask(daemon, server.host, server.port, protocol) == "tls.handshake.timeout"


def test_a_server_that_resets_in_the_handshake(routed, dial, keep):
    server = keep(Listener())
    daemon = routed()
    client = dial(daemon)
    client.ask("http", server.host, server.port)
    wire = server.accept()
    wire.read(5)
    wire.reset()
    assert client.read_reply("http").code == 502
    client.close()
    assert daemon.session(client)["error"] == "system.read.reset"


def test_a_client_that_leaves_in_the_handshake(routed, dial, keep):
    server = keep(Listener())
    daemon = routed()
    client = dial(daemon)
    client.ask("socks5", server.host, server.port)
    wire = server.accept()
    wire.read(5)
    client.reset()
    assert daemon.session(client)["error"] == "client.gone"
    wire.read_to_end_or_reset()


def test_early_bytes_wait_for_the_handshake(routed, dial, keep):
    """They come in one piece with the request, and none of them goes out in plain."""
    server = keep(Listener())
    client = dial(routed())
    client.send(http.connect(server.host, server.port) + b"secret" * 100)
    wire = server.accept()
    assert b"secret" not in wire.sock.recv(1 << 16, 2)  # MSG_PEEK
    tls.secure(wire, server_context(), server=True)
    assert client.read_reply("http").code == 200
    assert wire.read(600) == b"secret" * 100


def test_big_transfers_through_it(routed, dial, servers):
    data = bytes(range(256)) * (3 << 12)
    server = servers("server")
    client = dial(routed())
    client.connect("socks5", server.host, server.port)
    sender = threading.Thread(target=lambda: (client.send(data), client.finish()), daemon=True)
    sender.start()
    assert client.read_to_end() == data
    sender.join(wait.seconds(10))


def test_rules_choose_who_is_secured(pairsocks, dial, servers, keep):
    """The listener's way is plain; a rule's is not."""
    upstreams = {"out": {"type": "direct", "security": "tlsv1.3", "authority": pem("root")}}
    secured, plain = servers("server"), keep(Echo())
    daemon = pairsocks(upstreams=upstreams, rules={"tls": {"port": secured.port, "action": "route out"}})
    for target, route in ((secured, "out"), (plain, "direct")):
        client = dial(daemon)
        client.connect("socks5", target.host, target.port)
        client.send(b"ping")
        assert client.read(4) == b"ping"
        client.close()
        assert daemon.session(client)["route"] == route


def test_a_new_authority_after_a_reload(pairsocks, dial, servers, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(pem("other-root").read_text())
    server = servers("server")
    daemon = pairsocks(upstreams={"out": {"type": "direct", "security": "negotiated", "authority": bundle}}, route="out")
    assert dial(daemon).negotiate("socks5", server.host, server.port).code == 1
    bundle.write_text(pem("root").read_text())
    daemon.reload()
    dial(daemon).connect("socks5", server.host, server.port)
