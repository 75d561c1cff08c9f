"""Proxies that refuse and proxies that misbehave: each error by a real exchange, whose it was, and what the client hears."""

import base64
import time

from harness.dns import Scripted
from harness.proxies import Script, read_request5, slowly
from harness.targets import Echo, Listener
from harness.wire import endpoint

BOUND = b"\x01\x0a\x01\x02\x03\x04\x05"  # 10.1.2.3:1029


def says(data, read=1):
    """Reads `read` bytes, says `data`, and ends."""

    def script(wire):
        wire.read(read)
        wire.send(data)
        wire.finish()

    return script


def method(data):
    return says(data, 3)


def answers(data, keep_open=False):
    """Asked for the target it says `data`, and ends."""

    def script(wire):
        read_request5(wire)
        wire.send(data)
        if not keep_open:
            wire.finish()

    return script


def status(data):
    """Method 2, and this answer to the password."""

    def script(wire):
        wire.read(4)
        wire.send(b"\x05\x02")
        wire.read(3 + 5 + 6)
        wire.send(data)
        wire.finish()

    return script


def head(data):
    def script(wire):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += wire.read(1)
        wire.send(data)
        wire.finish()

    return script


USER = {"user": "alice", "password": "secret"}
SOCKS5, SOCKS4, HTTP = ({"type": kind} for kind in ("socks5", "socks4a", "http"))
LOGIN = {**SOCKS5, **USER}

# The upstream, what its server does, the error, and the replies of SOCKS5, SOCKS4 and HTTP.
CASES = [
    # every code of the sources
    (SOCKS5, answers(b"\x05\0\0\x09" + bytes(6)), "socks.none.bad-response-address", (1, 91, 502)),
    (SOCKS5, method(b"\x04\x00"), "socks.version.4", (1, 91, 502)),
    (SOCKS5, method(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "socks.version.72", (1, 91, 502)),
    (SOCKS5, answers(b"\x01\0\0" + BOUND), "socks.version.1", (1, 91, 502)),
    (LOGIN, status(b"\x05\x00"), "socks.version.5", (1, 91, 502)),
    (SOCKS4, says(b"\x04\x5a" + bytes(6), 9), "socks.version.4", (1, 91, 502)),
    (SOCKS4, says(b"\x00\x5b" + bytes(6), 9), "socks.socks4-response.request-failed", (1, 91, 502)),
    (SOCKS4, says(b"\x00\x5c" + bytes(6), 9), "socks.socks4-response.identd-failed", (1, 92, 502)),
    (SOCKS4, says(b"\x00\x5d" + bytes(6), 9), "socks.socks4-response.id-conflict", (1, 93, 502)),
    (SOCKS4, says(b"\x00\x07" + bytes(6), 9), "socks.socks4-response.7", (1, 91, 502)),
    (LOGIN, status(b"\x01\x01"), "socks.socks5-userpass.1", (1, 91, 502)),
    (LOGIN, status(b"\x01\xff"), "socks.socks5-userpass.255", (1, 91, 502)),
    (SOCKS5, method(b"\x05\xff"), "socks.socks5-method.none-acceptable", (1, 91, 502)),
    (SOCKS5, method(b"\x05\x01"), "socks.socks5-method.1", (1, 91, 502)),
    (SOCKS5, method(b"\x05\x02"), "socks.socks5-method.2", (1, 91, 502)),
    (SOCKS5, answers(b"\x05\x01\0" + BOUND), "socks.socks5-response.general-failure", (1, 91, 502)),
    (SOCKS5, answers(b"\x05\x02\0" + BOUND), "socks.socks5-response.not-allowed", (2, 91, 403)),
    (SOCKS5, answers(b"\x05\x03\0" + BOUND), "socks.socks5-response.network-unreachable", (3, 91, 502)),
    (SOCKS5, answers(b"\x05\x04\0" + BOUND), "socks.socks5-response.host-unreachable", (4, 91, 502)),
    (SOCKS5, answers(b"\x05\x05\0" + BOUND), "socks.socks5-response.connection-refused", (5, 91, 502)),
    (SOCKS5, answers(b"\x05\x06\0" + BOUND), "socks.socks5-response.ttl-expired", (6, 91, 504)),
    (SOCKS5, answers(b"\x05\x07\0" + BOUND), "socks.socks5-response.command-not-supported", (7, 91, 502)),
    (SOCKS5, answers(b"\x05\x08\0" + BOUND), "socks.socks5-response.address-type-not-supported", (8, 91, 502)),
    (SOCKS5, answers(b"\x05\x63\0" + BOUND), "socks.socks5-response.99", (1, 91, 502)),
    (HTTP, head(b"HTTP/1.1 403 No\r\n\r\n"), "http.status.403", (2, 91, 502)),
    (HTTP, head(b"HTTP/1.0 407 No\r\nProxy-Authenticate: Basic\r\n\r\n"), "http.status.407", (2, 91, 502)),
    (HTTP, head(b"HTTP/1.1 502 No\r\n\r\n"), "http.status.502", (4, 91, 502)),
    (HTTP, head(b"HTTP/1.1 504 No\r\n\r\n"), "http.status.504", (6, 91, 502)),
    (HTTP, head(b"HTTP/1.1 418 I'm a teapot\r\n\r\n"), "http.status.418", (1, 91, 502)),
    # what is no answer at all
    (HTTP, head(b"\x05\x00" * 8), "http.response.bad", (1, 91, 502)),
    (HTTP, head(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 70000 + b"\r\n\r\n"), "http.response.bad", (1, 91, 502)),
    (HTTP, head(b"HTTP/1.1 200 OK\r\nX"), "stream.end.early", (1, 91, 502)),
    (SOCKS5, method(b"\x05"), "stream.end.early", (1, 91, 502)),
    (SOCKS5, answers(b"\x05\0\0\x01\x0a"), "stream.end.early", (1, 91, 502)),
    (SOCKS4, says(b"\x00\x5a", 9), "stream.end.early", (1, 91, 502)),
    (SOCKS5, lambda wire: (wire.read(3), wire.reset()), "system.read.reset", (1, 91, 502)),
    # silence, at every stage
    (SOCKS5, lambda wire: wire.read(3), "system.connect.timeout", (6, 91, 504)),
    (LOGIN, lambda wire: (wire.read(4), wire.send(b"\x05\x02")), "system.connect.timeout", (6, 91, 504)),
    (HTTP, lambda wire: wire.read(9), "system.connect.timeout", (6, 91, 504)),
]


def test_every_refusal_and_misbehaviour_has_its_name_and_the_client_a_fitting_reply(pairsocks, keep, dial):
    servers = [keep(Script(script)) for _, script, _, _ in CASES]
    upstreams = {f"u{i}": {**CASES[i][0], "server": str(server), "connect_timeout": "4s"} for i, server in enumerate(servers)}
    daemon = pairsocks(upstreams=upstreams, listeners={
        name: {"listen": "127.0.0.1:0", "route": name, "connect_timeout": "6s"} for name in upstreams})  # fmt: skip
    clients = []
    for i in range(len(CASES)):  # all at once: the silent ones take their time together
        for protocol, host in (("socks5", "target.test"), ("socks4", "192.0.2.1"), ("http", "target.test")):
            client = dial(daemon, address=daemon.address(4, f"u{i}"))
            client.ask(protocol, host, 80)
            clients.append((i, protocol, client))
    began = time.monotonic()
    for i, protocol, client in clients:
        _, _, error, codes = CASES[i]
        reply = client.read_reply(protocol)
        client.close()
        record = daemon.wait_for(event="session", client=client.local, listener=f"u{i}")
        expected = (error, dict(zip(("socks5", "socks4", "http"), codes))[protocol])
        assert (record["error"], reply.code) == expected, record
        assert (record["upstream"], record["upstream_peer"]) == (f"u{i}", str(servers[i])), record
    assert time.monotonic() - began < 20
    assert b"secret" not in daemon.log_text().encode()


def test_answers_may_come_a_byte_at_a_time_and_with_the_targets_first_bytes(pairsocks, keep, dial):
    def socks5(wire):
        wire.read(3)
        slowly(wire, b"\x05\x00")
        wire.read(4)
        wire.read(wire.read(1)[0] + 2)
        slowly(wire, b"\x05\0\0\x03\x0aname.test.\0\x50")
        wire.send(b"hello")

    def socks4(wire):
        wire.read(9)
        slowly(wire, b"\0\x5a\x01\x02\x0a\x01\x02\x03")
        wire.send(b"hello")

    def http(wire):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += wire.read(1)
        slowly(wire, b"HTTP/1.1 200 Fine\r\nX: y\r\n\r\nhello", 0)

    servers = {"socks5": Script(socks5), "socks4a": Script(socks4), "http": Script(http)}
    upstreams = {kind: {"type": kind, "server": str(keep(server))} for kind, server in servers.items()}
    daemon = pairsocks(upstreams=upstreams,
                       listeners={kind: {"listen": "127.0.0.1:0", "route": kind} for kind in upstreams})  # fmt: skip
    for kind in upstreams:
        client = dial(daemon, address=daemon.address(4, kind))
        client.connect("socks5", "target.test", 80)
        assert client.read(5) == b"hello", kind


def test_client_is_told_the_address_that_the_last_proxy_says(pairsocks, keep, dial):
    v6 = b"\x04" + bytes(15) + b"\x09\x00\x50"
    bound = {
        "v4": (SOCKS5, answers(b"\x05\0\0" + BOUND, True), ("10.1.2.3", 1029)),
        "v6": (SOCKS5, answers(b"\x05\0\0" + v6, True), ("::9", 80)),
        "name": (SOCKS5, answers(b"\x05\0\0\x03\x01x\0\x50", True), ("0.0.0.0", 0)),
        "four": (SOCKS4, says(b"\0\x5a\x01\x02\x0a\x01\x02\x03", 9), ("10.1.2.3", 258)),
        "http": (HTTP, head(b"HTTP/1.1 200 OK\r\n\r\n"), ("0.0.0.0", 0)),
    }
    upstreams = {name: {**keys, "server": str(keep(Script(script)))} for name, (keys, script, _) in bound.items()}
    daemon = pairsocks(upstreams=upstreams,
                       listeners={name: {"listen": "127.0.0.1:0", "route": name} for name in upstreams})  # fmt: skip
    for name, (_, _, address) in bound.items():
        client = dial(daemon, address=daemon.address(4, name))
        reply = client.negotiate("socks5", "target.test", 80)
        assert (reply.code, (reply.host, reply.port)) == (0, address), name


def test_proxy_gets_the_request_and_the_credentials_as_they_were_given(pairsocks, keep, dial):
    seen = {}

    def note(name, read, reply):
        def script(wire):
            seen[name] = read(wire)
            wire.send(reply)

        return script

    def read_head(wire):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += wire.read(1)
        return request

    def read4(wire):
        data = wire.read(8)
        while data.count(b"\0", 8) < (2 if data[4:7] == bytes(3) else 1):
            data += wire.read(1)
        return data

    def read5(wire):
        return read_request5(wire, b"\x02", ("alice", "s3 cret, #1"))

    granted = {read_head: b"HTTP/1.1 200 OK\r\n\r\n", read4: b"\0\x5a" + bytes(6), read5: b"\x05\0\0" + BOUND}
    keys = {
        "socks5": ({"type": "socks5", "user": "alice", "password": "s3 cret, #1"}, read5),
        "local": ({"type": "socks5", "user": "alice", "password": "s3 cret, #1", "resolve": "local"}, read5),
        "socks4": ({"type": "socks4", "user": "alice"}, read4),
        "socks4a": ({"type": "socks4a"}, read4),
        "http": ({"type": "http", "user": "alice", "password": "s3 cret, #1"}, read_head),
    }
    dns = keep(Scripted())
    dns.name("target.test", a=["192.0.2.7"])
    upstreams = {n: {**k, "server": str(keep(Script(note(n, read, granted[read]))))} for n, (k, read) in keys.items()}
    daemon = pairsocks(upstreams=upstreams, daemon={"nameserver": dns.nameserver},
                       listeners={n: {"listen": "127.0.0.1:0", "route": n} for n in upstreams})  # fmt: skip
    for name in keys:
        client = dial(daemon, address=daemon.address(4, name))
        client.connect("socks5", "target.test", 8080)
    literal = b"\x04\x01\x1f\x90\xc0\x00\x02\x07"
    assert seen["socks5"] == (b"\x03target.test", 8080)
    assert seen["local"] == (b"\x01\xc0\x00\x02\x07", 8080)
    assert seen["socks4"] == literal + b"alice\0"
    assert seen["socks4a"] == b"\x04\x01\x1f\x90\0\0\0\x01\0target.test\0"
    assert seen["http"].startswith(b"CONNECT target.test:8080 HTTP/1.1\r\nHost: target.test:8080\r\n")
    assert b"Basic " + base64.b64encode(b"alice:s3 cret, #1") in seen["http"]
    for client_host, host in (("2001:db8::1", b"[2001:db8::1]:8080"), ("192.0.2.9", b"192.0.2.9:8080")):
        client = dial(daemon, address=daemon.address(4, "http"))
        client.connect("socks5", client_host, 8080)
        assert seen["http"].startswith(b"CONNECT " + host + b" ")


# --- who resolves, and what is judged


class Recording(Script):
    """SOCKS5 that grants everything and notes what it was asked for."""

    def __init__(self):
        self.asked = []
        super().__init__(self.grant)

    def grant(self, wire):
        self.asked.append(read_request5(wire)[0])
        wire.send(b"\x05\0\0" + BOUND)


def test_rules_and_guard_judge_addresses_where_names_are_resolved_here(pairsocks, keep, dial):
    dns = keep(Scripted())
    dns.name("inside.test", a=["10.0.0.1"])
    dns.name("outside.test", a=["192.0.2.1"])
    dns.name("both.test", a=["10.0.0.1", "192.0.2.1"])
    dns.name("special.test", a=["198.51.100.1"])
    remote, local = keep(Recording()), keep(Recording())
    routes = {"remote": {"route": "remote"}, "rules": {"route": "remote", "resolve_for_rules": "yes"}, "local": {"route": "local"}}
    daemon = pairsocks(
        listeners={name: {"listen": "127.0.0.1:0", **keys} for name, keys in routes.items()},
        upstreams={"remote": {"type": "socks5", "server": str(remote)},
                   "local": {"type": "socks5", "server": str(local), "resolve": "local"}},
        rules={"no": {"destination": "10.0.0.0/8", "action": "deny"},
               "to-local": {"listener": "rules", "destination": "198.51.100.0/24", "action": "route local"}},
        daemon={"nameserver": dns.nameserver})  # fmt: skip

    def ask(listener, host):
        before = len(remote.asked), len(local.asked)
        client = dial(daemon, address=daemon.address(4, listener))
        code = client.negotiate("socks5", host, 80).code
        client.close()
        record = daemon.wait_for(event="session", client=client.local, listener=listener)
        new = [("remote", asked) for asked in remote.asked[before[0]:]] + [("local", a) for a in local.asked[before[1]:]]
        return code, record["rule"], *(new or [record["error"]])

    denied = (2, "no", "policy.rule.denied")
    assert ask("remote", "inside.test") == (0, "-", ("remote", b"\x03inside.test"))
    assert ask("remote", "10.0.0.1") == denied
    assert dns.queries == []
    assert ask("rules", "inside.test") == denied
    assert ask("rules", "outside.test") == (0, "-", ("remote", b"\x03outside.test"))
    assert ask("rules", "both.test") == (0, "-", ("remote", b"\x03both.test"))
    assert ask("rules", "special.test") == (0, "to-local", ("local", b"\x01\xc6\x33\x64\x01"))
    assert ask("local", "inside.test") == denied
    assert ask("local", "both.test") == (0, "-", ("local", b"\x01\xc0\x00\x02\x01"))
    assert ask("local", "gone.test")[::2] == (4, "resolver.name.not-found")


def test_guard_towards_proxies_covers_literals_and_local_names(pairsocks, keep, dial):
    proxy = keep(Recording())
    daemon = pairsocks(route="proxy", guard="yes", upstreams={"proxy": {"type": "socks5", "server": str(proxy)}})
    for host, code in (("127.0.0.1", 2), ("::1", 2), ("169.254.169.254", 2), ("localhost", 2), ("a.localhost", 2),
                       ("printer", 2), ("printer.", 2), ("a.Local", 2), ("inside.test", 0), ("8.8.8.8", 0)):  # fmt: skip
        client = dial(daemon)
        assert client.negotiate("socks5", host, 80).code == code, host
        client.close()
    assert len(proxy.asked) == 2, "the upstream's own address is no matter of the guard"


def test_near_targets_bypass_the_proxy_under_guard_and_rules(pairsocks, keep, dial):
    proxy, target = keep(Recording()), keep(Echo())
    dns = keep(Scripted())
    for name in ("printer", "printer.local"):
        dns.name(name, a=["127.0.0.1"])
    upstreams = {"proxy": {"type": "socks5", "server": str(proxy), "local_bypass": "yes"}}
    near = ("127.0.0.1", "localhost", "printer", "printer.local")
    for guard, code in (("no", 0), ("yes", 2)):
        daemon = pairsocks(route="proxy", guard=guard, upstreams=upstreams, daemon={"nameserver": dns.nameserver})
        for host in near:
            client = dial(daemon)
            assert client.negotiate("socks5", host, target.port).code == code, host
            client.close()
            assert daemon.session(client)["route"] in ("direct", "-")
        client = dial(daemon)
        assert client.negotiate("socks5", "far.test", target.port).code == 0
        client.close()
    assert proxy.asked == [b"\x03far.test"] * 2


def test_bind_address_is_the_upstreams_else_the_listeners(pairsocks, keep, dial):
    proxy = keep(Listener())
    keys = {"type": "socks5", "server": endpoint(proxy.address)}
    daemon = pairsocks(listeners={n: {"listen": "127.0.0.1:0", "route": n, "bind_address": "127.0.0.8"} for n in ("own", "other")},
                       upstreams={"own": {**keys, "bind_address": "127.0.0.9"}, "other": keys})  # fmt: skip
    for name, source in (("own", "127.0.0.9"), ("other", "127.0.0.8")):
        client = dial(daemon, address=daemon.address(4, name))
        client.ask("socks5", "target.test", 80)
        assert proxy.accept().peer_address[0] == source


def test_direct_upstream_may_send_a_proxy_header_too(pairsocks, keep, dial):
    target = keep(Listener())
    daemon = pairsocks(route="out", upstreams={"out": {"type": "direct", "send_proxy": "v1"}})
    client = dial(daemon, source="127.0.0.5")
    client.connect("socks5", *target.address)
    expected = f"PROXY TCP4 127.0.0.5 127.0.0.1 {client.local_address[1]} {daemon.address()[1]}\r\n".encode()
    assert target.accept().read(len(expected)) == expected


def test_client_that_leaves_ends_the_dialing(pairsocks, keep, dial):
    silent = keep(Script(lambda wire: wire.read(3)))
    daemon = pairsocks(route="proxy", upstreams={"proxy": {"type": "socks5", "server": str(silent)}})
    client = dial(daemon)
    client.ask("socks5", "target.test", 80)
    client.reset()
    record = daemon.session(client)
    assert record["error"] == "client.gone" and int(record["duration_ms"]) < 5000
