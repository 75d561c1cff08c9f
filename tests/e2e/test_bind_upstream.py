"""BIND by way of upstreams: ourselves, dante, chains, and proxies that a test holds in its hands."""

import os

import pytest

from harness import tls
from harness.bind import come, open_port, refused, stand
from harness.dns import Scripted
from harness.proxies import Dante, Script, read_request5
from harness.socks import BIND
from harness.wire import endpoint

BLOB = os.urandom(1 << 18)
VERSIONS = ("socks4", "socks5")


@pytest.fixture
def start(pairsocks):
    """start(upstreams): a daemon with a listener for each upstream, of its name, which routes there."""

    def daemon(upstreams, daemon=None, rules=None, **keys):
        listeners = {name: {"listen": "127.0.0.1:0", "route": name, **keys} for name in upstreams}
        return pairsocks(listeners=listeners, upstreams=upstreams, daemon=daemon, rules=rules)

    return daemon


def to(kind, server, **more):
    return {"type": kind, "server": endpoint(server), **more}


def ended(daemon, client, error="none"):
    session = daemon.session(client)
    assert (session["command"], session["error"]) == ("bind", error)
    return session


def relays(client, peer):
    for one, other in ((client, peer), (peer, client)):
        one.send(BLOB)
        assert other.read(len(BLOB)) == BLOB
    peer.finish()
    client.expect_end()
    client.finish()
    peer.expect_end()


def test_every_kind_of_proxy_and_chains_pass_both_replies_on(pairsocks, start, program, dial, keep, tmp_path):
    dns = keep(Scripted())
    dns.name("peer.test", a=["127.0.0.1"])
    last = pairsocks(daemon={"nameserver": dns.nameserver})
    dante = keep(Dante(tmp_path / "dante", program("danted")))
    us = last.address()
    ways = {
        "us4": to("socks4", us), "us4a": to("socks4a", us), "us5": to("socks5", us),
        "dante4": to("socks4", dante.address), "dante5": to("socks5", dante.address),
        "five-five": to("socks5", us, via="us5"), "four-dante": to("socks4a", us, via="dante5"),
        "dante-four": to("socks5", dante.address, via="us4"), "straight": {"type": "direct", "via": "five-five"},
    }  # fmt: skip
    daemon = start(ways, daemon={"nameserver": dns.nameserver})
    for way in ways:
        for protocol in VERSIONS:
            host = "peer.test" if protocol == "socks5" and not way.startswith(("us4", "dante")) else "127.0.0.1"
            client = dial(daemon, address=daemon.address(listener=way))
            address = open_port(client, protocol, host, 21)
            client.send(b"early")
            peer = keep(come(address))
            peer.send(b"at once")
            assert client.read_reply(protocol)[1:] == peer.local_address, way
            assert (client.read(7), peer.read(5)) == (b"at once", b"early")
            relays(client, peer)
            session = ended(daemon, client)
            assert (session["target"], session["address"], session["route"]) == (f"{host}:21", peer.local, way)
            assert session["upstream"] == ("five-five" if way == "straight" else way)


def test_what_goes_wrong_at_the_proxy_is_passed_on(pairsocks, start, dial, keep):
    last = pairsocks(bind_timeout="2s", rules={"no": {"action": "deny", "destination": "127.0.0.3"}})
    off = pairsocks(bind="no")
    ways = {"four": to("socks4", last.address()), "five": to("socks5", last.address()), "off": to("socks5", off.address())}
    daemon = start(ways)
    names = {"four": {2: "socks.socks4-response.request-failed"}, "five": {
        2: "socks.socks5-response.not-allowed", 6: "socks.socks5-response.ttl-expired"}}  # fmt: skip
    waiting = []
    for way in ("four", "five"):
        for protocol in VERSIONS:
            denied, other, late = (dial(daemon, address=daemon.address(listener=way)) for _ in range(3))
            refused(denied, protocol, 2 if way == "five" else 1, "127.0.0.3")
            keep(come(open_port(other, protocol, "127.0.0.1"), source="127.0.0.9"))
            refused(other, protocol, 2 if way == "five" else 1, None)
            for client in (denied, other):
                assert ended(daemon, client, names[way][2])["upstream"] == way
            open_port(late, protocol, "127.0.0.1")
            waiting.append((way, protocol, late))
    for way, protocol, late in waiting:
        refused(late, protocol, 6 if way == "five" else 1, None)
        assert ended(daemon, late, names[way].get(6) or names[way][2])["upstream"] == way
    for protocol in VERSIONS:
        client = dial(daemon, address=daemon.address(listener="off"))
        refused(client, protocol, 7)
        ended(daemon, client, "socks.socks5-response.command-not-supported")


def test_routes_that_cannot_carry_it_refuse(pairsocks, start, dial, keep):
    asked = keep(Script(lambda wire: None))
    ways = {"http": to("http", asked.address), "via-http": {"type": "direct", "via": "http"},
            "tls": {"type": "direct", "security": "tlsv1.3", "authority": tls.pem("root")}, "header": {"type": "direct", "send_proxy": "v2"},
            "five": to("socks5", asked.address), "tls-five": {"type": "direct", "security": "tlsv1.3", "authority": tls.pem("root"),
            "via": "five"}}  # fmt: skip
    daemon = start(ways)
    for way in ways:
        if way == "five":
            continue
        for protocol in VERSIONS:
            client = dial(daemon, address=daemon.address(listener=way))
            refused(client, protocol, 7)
            ended(daemon, client, "protocol.command.unsupported")
    assert asked.seen == 0


def test_a_rule_routes_binds_and_connects_apart(pairsocks, start, dial, keep):
    last = pairsocks()
    daemon = pairsocks(upstreams={"five": to("socks5", last.address())},
                       rules={"binds": {"command": "bind", "action": "route five", "destination": "127.0.0.1"}})  # fmt: skip
    client = dial(daemon)
    relays(client, keep(stand(client, "socks5", "127.0.0.1")))
    session = ended(daemon, client)
    assert (session["route"], session["rule"]) == ("five", "binds")
    assert last.wait_for(event="session", command="bind")["error"] == "none"
    client = dial(daemon)
    assert client.negotiate("socks5", "127.0.0.1", 1).code == 5
    client.close()
    assert daemon.wait_for(event="session", command="connect")["route"] == "direct"


# --- proxies of our own making


def grant5(host, port):
    return b"\x05\x00\x00\x01" + bytes(map(int, host.split("."))) + port.to_bytes(2, "big")


def grant4(host, port):
    return b"\x00\x5a" + port.to_bytes(2, "big") + bytes(map(int, host.split(".")))


def test_the_peers_first_bytes_behind_the_second_reply_are_its_own(start, dial, keep):
    """However they are cut: all at once with both replies, or a byte at a time."""
    whole = grant5("192.0.2.1", 77) + grant5("192.0.2.7", 20) + b"from the peer"

    def at_once(wire):
        assert read_request5(wire)[1] == 21
        wire.send(whole)
        assert wire.read(5) == b"early"
        wire.send(b"!")

    def slowly(wire):
        read_request5(wire)
        wire.send_in_pieces(*(whole[at : at + 1] for at in range(len(whole))))
        assert wire.read(5) == b"early"
        wire.send(b"!")

    def four(wire):
        assert wire.read(9)[:4] == b"\x04\x02\x00\x15"
        wire.send(grant4("192.0.2.1", 77))
        wire.send(grant4("192.0.2.7", 20) + b"from the peer")
        assert wire.read(5) == b"early"
        wire.send(b"!")

    ways = {"once": to("socks5", keep(Script(at_once)).address), "slowly": to("socks5", keep(Script(slowly)).address),
            "four": to("socks4", keep(Script(four)).address)}  # fmt: skip
    daemon = start(ways)
    for way in ways:
        for protocol in VERSIONS:
            client = dial(daemon, address=daemon.address(listener=way))
            first = client.negotiate(protocol, "192.0.2.7", 21, command=BIND)
            assert first[1:] == ("192.0.2.1", 77)
            client.send(b"early")
            assert client.read_reply(protocol)[1:] == ("192.0.2.7", 20)
            assert client.read(14) == b"from the peer!"
            client.close()
            assert daemon.session(client)["address"] == "192.0.2.7:20"


def test_a_first_reply_without_an_address_means_the_proxys_own(start, dial, keep):
    """The SOCKS4 note: 0.0.0.0 is where the proxy was reached."""
    four = keep(Script(lambda wire: (wire.read(9), wire.send(grant4("0.0.0.0", 77)))[0]))
    five = keep(Script(lambda wire: (read_request5(wire), wire.send(grant5("0.0.0.0", 77)))[0]))
    named = keep(Script(lambda wire: (read_request5(wire), wire.send(b"\x05\x00\x00\x03\x05b.tst\x00\x4d"))[0]))
    ways = {"four": to("socks4", four.address), "five": to("socks5", five.address), "named": to("socks5", named.address)}
    daemon = start(ways)
    for way in ways:
        for protocol in VERSIONS:
            client = dial(daemon, address=daemon.address(listener=way))
            assert client.negotiate(protocol, "192.0.2.7", 21, command=BIND)[1:] == ("127.0.0.1", 77)
            client.close()


def test_a_proxy_that_misbehaves_after_its_first_reply_is_named(start, dial, keep):
    def then(*more, leave=None):
        def script(wire):
            read_request5(wire)
            wire.send(grant5("127.0.0.1", 77))
            for piece in more:
                wire.send(piece)
            if leave:
                leave(wire)

        return to("socks5", keep(Script(script)).address)

    cases = {
        "ends": (then(leave=lambda wire: wire.finish()), 1, "stream.end.early"),
        "cut": (then(grant5("192.0.2.7", 20)[:7], leave=lambda wire: wire.finish()), 1, "stream.end.early"),
        "resets": (then(leave=lambda wire: wire.reset()), 1, "system.read.reset"),
        "version": (then(b"\x04" + bytes(9)), 1, "socks.version.4"),
        "type": (then(b"\x05\x00\x00\x07" + bytes(6)), 1, "socks.none.bad-response-address"),
        "refuses": (then(b"\x05\x05\x00\x01" + bytes(6)), 5, "socks.socks5-response.connection-refused"),
        "silent": (then(), 6, "timeout.bind"),
        "halting": (then(b"\x05\x00"), 6, "timeout.bind"),
    }
    daemon = start({name: way for name, (way, _, _) in cases.items()}, bind_timeout="2s")
    clients = []  # all at once: who is silent takes its time together
    for name, (_, code, error) in cases.items():
        for protocol in VERSIONS:
            client = dial(daemon, address=daemon.address(listener=name))
            assert client.negotiate(protocol, "192.0.2.7", 21, command=BIND)[2] in (77, 0)
            clients.append((client, protocol, code, error))
    for client, protocol, code, error in clients:
        if client.sock.fileno() >= 0:
            refused(client, protocol, code, None)
        ended(daemon, client, error)


def test_a_client_that_leaves_takes_the_proxys_port_with_it(pairsocks, start, dial):
    last = pairsocks()
    daemon = start({"five": to("socks5", last.address())})
    before = daemon.descriptors()
    for leave in ("close", "reset"):
        client = dial(daemon, address=daemon.address(listener="five"))
        open_port(client, "socks5", "127.0.0.1")
        getattr(client, leave)()
        ended(daemon, client, "client.gone")
        last.wait_for(2 if leave == "reset" else 1, event="session", command="bind", error="client.gone")
    assert daemon.descriptors() <= before


def test_who_names_nobody_is_judged_behind_a_proxy_too(pairsocks, start, dial, keep):
    last = pairsocks()
    daemon = start({"five": to("socks5", last.address())}, rules={"no": {"action": "deny", "destination": "127.0.0.9"}})
    relays(client := dial(daemon, address=daemon.address(listener="five")), keep(stand(client, "socks5", "0.0.0.0")))
    client = dial(daemon, address=daemon.address(listener="five"))
    keep(come(open_port(client, "socks5", "0.0.0.0"), source="127.0.0.9"))
    refused(client, "socks5", 2, None)
    assert ended(daemon, client, "policy.rule.denied")["rule"] == "no"
