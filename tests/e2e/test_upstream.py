"""Upstreams that are proxies: other people's in every mix, alone and in chains, and whose answer it was."""

import pytest

from harness import tls
from harness.dns import Scripted
from harness.proxies import (
    Dante, Haproxy, Microsocks, SshDynamic, SshServer, Stunnel, Tinyproxy,
)  # fmt: skip
from harness.socks import GRANTED
from harness.targets import Echo, Refusing, same_port
from harness.wire import endpoint

LOGIN = ("alice", "s3 cret, #1")
PLAIN_LOGIN = ("alice", "secret")


@pytest.fixture
def proxies(keep, program, tmp_path):
    """proxies(class, name of the program, arguments): a running one."""

    def start(kind, name, *arguments, **more):
        return keep(kind(tmp_path / f"{kind.__name__}{len(list(tmp_path.iterdir()))}", program(name), *arguments, **more))

    return start


@pytest.fixture
def start(pairsocks):
    """start(upstreams, first=listener keys): a daemon with a listener for each upstream, of its name, which routes there."""

    def daemon(upstreams, daemon=None, rules=None, **keys):
        listeners = {name: {"listen": "127.0.0.1:0", "route": name, **keys} for name in upstreams}
        return pairsocks(listeners=listeners, upstreams=upstreams, daemon=daemon, rules=rules)

    return daemon


@pytest.fixture
def ask(dial):
    """ask(daemon, listener, host, port): a session; its reply and its log record. Bytes go through one that stands."""

    def one(daemon, listener, host, port, protocol="socks5", source=None):
        client = dial(daemon, address=daemon.address(4, listener), source=source)
        reply = client.negotiate(protocol, host, port)
        if reply.code == GRANTED[protocol]:
            blob = bytes(range(256)) * 64
            client.send(blob)
            assert client.read(len(blob)) == blob
            client.finish()
            client.expect_end()
        client.close()
        return reply, daemon.wait_for(event="session", client=client.local, listener=listener)

    return one


def socks5(server, **more):
    return {"type": "socks5", "server": str(server), **more}


def test_every_real_proxy_with_every_spelling_of_a_target(proxies, program, start, ask, keep):
    dante = proxies(Dante, "danted")
    locked = proxies(Microsocks, "microsocks", LOGIN)
    ssh = proxies(SshDynamic, "ssh", proxies(SshServer, "sshd", program("ssh-keygen")))
    dns = keep(Scripted())
    dns.name("echo.test", a=["127.0.0.1"], aaaa=["::1"])
    secure = {"security": "negotiated", "authority": tls.pem("root"), "peer_name": tls.NAME}
    user = {"user": LOGIN[0], "password": LOGIN[1]}
    daemon = start({
        "dante4": {"type": "socks4", "server": str(dante)},
        "dante5": socks5(dante, resolve="local"),
        "dante5-remote": socks5(dante),
        "microsocks": socks5(proxies(Microsocks, "microsocks")),
        "microsocks-login": socks5(locked, **user),
        "tinyproxy": {"type": "http", "server": str(proxies(Tinyproxy, "tinyproxy"))},
        "tinyproxy-login": {"type": "http", "server": str(proxies(Tinyproxy, "tinyproxy", PLAIN_LOGIN)),
                            "user": PLAIN_LOGIN[0], "password": PLAIN_LOGIN[1]},
        "ssh4": {"type": "socks4", "server": str(ssh), "user": "bob"},
        "ssh4a": {"type": "socks4a", "server": str(ssh)},
        "ssh5": socks5(ssh),
        "stunnel": socks5(proxies(Stunnel, "stunnel4", dante.address), **secure),
        "haproxy": socks5(proxies(Haproxy, "haproxy", dante.address)),
        "haproxy-v1": socks5(proxies(Haproxy, "haproxy", dante.address, "accept-proxy"), send_proxy="v1"),
        "haproxy-v2": socks5(proxies(Haproxy, "haproxy", locked.address, "accept-proxy"), send_proxy="v2", **user),
    }, daemon={"nameserver": dns.nameserver})  # fmt: skip
    v4, v6 = (keep(Echo(sock=sock)) for sock in same_port("127.0.0.1", "::1"))
    for name in [r["listener"] for r in daemon.records(event="listening")]:
        local = name in ("dante4", "dante5", "ssh4")  # which cannot be given names, or are not
        for protocol, host in (("socks5", "127.0.0.1"), ("socks5", "::1"), ("socks4a", "name"), ("http", "name"),
                               ("socks4", "127.0.0.1")):  # fmt: skip
            asked = {"name": "echo.test" if local else "localhost"}.get(host, host)
            reply, session = ask(daemon, name, asked, v4.port, protocol)
            if host == "::1" and name in ("dante4", "ssh4", "ssh4a"):  # SOCKS4 knows no IPv6
                assert (reply.code, session["error"]) == (8, "protocol.address.unsupported"), session
                continue
            assert (reply.code, session["error"]) == (GRANTED[protocol], "none"), (name, host, session)
            assert (session["route"], session["upstream"]) == (name, name)
            assert session["upstream_peer"] == session["address"]
            assert session["target"] == endpoint((asked, v4.port))
    assert dns.asked("echo.test") > 0 and dns.asked("localhost") == 0


def test_proxy_is_told_the_client_by_a_proxy_header(proxies, start, ask, keep):
    behind = proxies(Microsocks, "microsocks")
    front = proxies(Haproxy, "haproxy", behind.address, "accept-proxy")
    target = keep(Echo())
    daemon = start({"v1": socks5(front, send_proxy="v1"), "v2": socks5(front, send_proxy="v2")})
    for number, name in ((71, "v1"), (72, "v2")):
        _, session = ask(daemon, name, *target.address, source=f"127.0.0.{number}")
        assert session["error"] == "none"
        assert f"client={session['client']}" in front.log.read_text()


def test_chains_of_three_with_tls_to_the_target(proxies, start, ask, keep):
    """Each proxy is reached through the one before, and the target's TLS goes through all of them. The name of the
    second is looked up here, for the first gets no names."""
    dns = keep(Scripted())
    dns.name("two.test", a=["127.0.0.1"], aaaa=["::1"])
    first, second = proxies(Dante, "danted"), proxies(Microsocks, "microsocks", LOGIN)
    third = proxies(Tinyproxy, "tinyproxy", PLAIN_LOGIN)
    front = proxies(Haproxy, "haproxy", first.address)  # Dante does not connect to itself; the others here know no half-close
    target, _ = (keep(Echo(sock=sock, context=tls.server_context())) for sock in same_port("127.0.0.1", "::1"))
    plain, _ = (keep(Echo(sock=sock)) for sock in same_port("127.0.0.1", "::1"))
    daemon = start({
        "one": {"type": "socks4", "server": str(first)},
        "two": {"type": "socks5", "server": f"two.test:{second.port}", "via": "one", "user": LOGIN[0], "password": LOGIN[1]},
        "three": {"type": "http", "server": str(third), "via": "two", "user": PLAIN_LOGIN[0], "password": PLAIN_LOGIN[1]},
        "again": socks5(front, via="one"),
        "once-more": socks5(front, via="again"),
        "secure": {"type": "direct", "via": "once-more", "security": "tlsv1.3", "authority": tls.pem("root"), "peer_name": tls.NAME},
        "wrong": {"type": "direct", "via": "once-more", "security": "tlsv1.3", "authority": tls.pem("other-root")},
    }, daemon={"nameserver": dns.nameserver})  # fmt: skip
    for host in ("127.0.0.1", "localhost"):
        for protocol in ("socks5", "http"):
            reply, session = ask(daemon, "three", host, plain.port, protocol)
            assert session["error"] == "none", session
            assert (session["upstream"], session["upstream_peer"]) == ("three", str(third))
            assert session["address"] == str(first)
            reply, session = ask(daemon, "secure", host, target.port, protocol)
            assert (session["error"], session["upstream"]) == ("none", "once-more"), session
    reply, session = ask(daemon, "wrong", "127.0.0.1", target.port)
    assert (reply.code, session["error"], session["upstream"]) == (1, "tls.certificate.unknown-root", "wrong")


def test_forwarding_listener_goes_through_proxies_too(pairsocks, proxies, dial, keep):
    """What the client says at once is for the target; nothing is said to it when that cannot be had."""
    proxy, target, closed = proxies(Dante, "danted"), keep(Echo()), keep(Refusing())
    keys = {"listen": "127.0.0.1:0", "protocols": "forward", "route": "proxy"}
    daemon = pairsocks(upstreams={"proxy": socks5(proxy)}, listeners={
        "open": {**keys, "forward_to": endpoint(target.address)}, "closed": {**keys, "forward_to": endpoint(closed.address)}})
    client = dial(daemon, address=daemon.address(4, "open"))
    client.send(b"x" * 100000)
    assert client.read(100000) == b"x" * 100000
    client.finish()
    client.expect_end()
    client = dial(daemon, address=daemon.address(4, "closed"))
    client.expect_closed()
    record = daemon.wait_for(event="session", listener="closed")
    assert (record["error"], record["upstream"]) == ("socks.socks5-response.connection-refused", "proxy")


def test_chain_of_forty(start, ask, pairsocks, keep):
    """Through a daemon of ours, again and again: the answer comes from the last one, whatever the length."""
    hop = pairsocks()
    target = keep(Echo())
    length = 40
    upstreams = {f"u{i}": socks5(endpoint(hop.address()), **({"via": f"u{i - 1}"} if i else {})) for i in range(length)}
    daemon = pairsocks(route=f"u{length - 1}", upstreams=upstreams)
    _, session = ask(daemon, "main", *target.address)
    assert (session["error"], session["upstream"]) == ("none", f"u{length - 1}")
    closed = keep(Refusing())
    reply, session = ask(daemon, "main", *closed.address)
    assert (reply.code, session["error"]) == (5, "socks.socks5-response.connection-refused")
    hop.wait_for(count=2 * length, event="session")


def test_whoever_refuses_is_named(proxies, start, ask, keep):
    first, second = proxies(Microsocks, "microsocks"), proxies(Dante, "danted")
    locked, web = proxies(Microsocks, "microsocks", LOGIN), proxies(Tinyproxy, "tinyproxy", PLAIN_LOGIN)
    closed, nobody = keep(Refusing()), keep(Refusing())
    target = keep(Echo())
    two = {"type": "socks5", "via": "one"}
    daemon = start({
        "one": socks5(first),
        "two": {**two, "server": str(second)},
        "gone": {**two, "server": endpoint(nobody.address)},
        "locked": {**two, "server": str(locked), "user": "alice", "password": "wrong"},
        "bare": {**two, "server": str(locked)},
        "web": {"type": "http", "server": str(web), "via": "one", "user": "alice", "password": "wrong"},
        "down": socks5(endpoint(nobody.address)),
    })  # fmt: skip
    for name, host, error, codes, upstream, peer in (
        ("one", closed, "socks.socks5-response.connection-refused", (5, 502, 91), "one", first),
        ("two", closed, "socks.socks5-response.connection-refused", (5, 502, 91), "two", second),
        ("gone", target, "socks.socks5-response.connection-refused", (5, 502, 91), "one", first),
        ("locked", target, "socks.socks5-userpass.2", (1, 502, 91), "locked", locked),
        ("bare", target, "socks.socks5-method.none-acceptable", (1, 502, 91), "bare", locked),
        ("web", target, "http.status.401", (1, 502, 91), "web", web),
        ("down", target, "system.connect.refused", (5, 502, 91), "down", endpoint(nobody.address)),
    ):  # fmt: skip
        for protocol, code in zip(("socks5", "http", "socks4"), codes):
            reply, session = ask(daemon, name, host.host, host.port, protocol)
            found = (session["error"], reply.code, session["upstream"], session["upstream_peer"])
            assert found == (error, code, upstream, str(peer)), session
            assert session["route"] == name
