"""Pools of servers: which of them is asked, what becomes of those that fail, and SRV records."""

import asyncio
import threading

import pytest

from harness import tls, wait
from harness.crowd import EchoCrowd, open_through
from harness.dns import NXDOMAIN, SRV, Held, Scripted, service
from harness.proxies import Microsocks, Script, read_request5
from harness.targets import Refusing
from harness.wire import endpoint


class Granting(Script):
    """SOCKS5 that grants everything and is the target itself: an echo. It knows how often it was asked."""

    def __init__(self, **more):
        super().__init__(self.grant, **more)

    def grant(self, wire):
        read_request5(wire)
        wire.send(b"\x05\0\0\x01\x0a\x01\x02\x03\x04\x05")
        while data := wire.sock.recv(1 << 16):
            wire.send(data)


@pytest.fixture
def session(dial):
    """session(daemon): an open one through it, and whoever answers."""

    def one(daemon, listener="main", source=None, host="target.test", port=80):
        client = dial(daemon, address=daemon.address(4, listener), source=source)
        return client, client.negotiate("socks5", host, port)

    return one


@pytest.fixture
def peer_of(session):
    """peer_of(daemon): which server a session goes through."""

    def one(daemon, listener="main", code=0, **more):
        client, reply = session(daemon, listener, **more)
        # the kernel may give a port again: what has its line already is an older one, unless it was refused
        older = 0 if reply.code else len(daemon.records(event="session", client=client.local, listener=listener))
        client.finish()
        client.close()
        record = daemon.wait_for(older + 1, event="session", client=client.local, listener=listener)
        assert reply.code == code, record
        return record["upstream_peer"]

    return one


def pool(*servers, **more):
    return {"type": "socks5", "server": ", ".join(str(server) for server in servers), **more}


def test_server_killed_under_load_costs_nothing_but_what_it_carried(pairsocks, keep, program, tmp_path):
    """Three servers; connections are made all the time, and one server dies. Everyone is connected; only those that
    were connected through it, and were not over yet, are lost."""
    servers = [keep(Microsocks(tmp_path / f"proxy{i}", program("microsocks"))) for i in range(3)]
    daemon = pairsocks(route="pool", upstreams={"pool": pool(*servers, balance="round_robin")})
    address, lost, stood = daemon.address(), [], 0

    async def one(target, all_open):
        nonlocal stood
        reader, writer = await open_through(address, target, "socks5")  # fails if the reply is not a success
        stood += 1
        try:
            for _ in range(3):
                writer.write(b"x" * 1000)
                await reader.readexactly(1000)
            writer.write_eof()
            assert await reader.read() == b""
        except (ConnectionError, asyncio.IncompleteReadError):
            lost.append(writer.get_extra_info("sockname"))
        finally:
            writer.close()

    async def main():
        async with EchoCrowd() as target:
            bound = asyncio.Semaphore(20)

            async def bounded(number):
                async with bound:
                    if number == 200:
                        servers[1].kill()
                    await one((target.host, target.port), None)

            await asyncio.wait_for(asyncio.gather(*(bounded(i) for i in range(600))), wait.seconds(30))

    asyncio.run(main())
    daemon.wait_for(count=600, event="session")
    records = daemon.records(event="session")
    assert stood == 600 and len(lost) <= 20
    through = {str(server): [r for r in records if r["upstream_peer"] == str(server)] for server in servers}
    assert sum(map(len, through.values())) == 600
    failed = [r for r in records if r["error"] != "none"]
    assert len(failed) <= 20 and all(r["upstream_peer"] == str(servers[1]) for r in failed)
    assert 40 <= len(through[str(servers[1])]) <= 100, "a third of those before it died"


def test_each_balance_has_its_order(pairsocks, keep, session, peer_of):
    servers = [keep(Granting()) for _ in range(3)]
    names = [str(server) for server in servers]
    daemon = pairsocks(
        listeners={b: {"listen": "127.0.0.1:0", "route": b} for b in ("first", "round_robin", "least", "source")},
        upstreams={b: pool(*servers, balance=b) for b in ("first", "round_robin", "least", "source")})  # fmt: skip
    assert [peer_of(daemon, "first") for _ in range(4)] == names[:1] * 4
    turns = [peer_of(daemon, "round_robin") for _ in range(6)]
    assert sorted(turns[:3]) == sorted(names) and turns[3:] == turns[:3]
    held = [session(daemon, "least")[0] for _ in range(6)]
    assert [server.seen for server in servers] == [8, 4, 4]
    for client in held[2:]:
        client.close()
    daemon.wait_for(count=4, event="session", listener="least")
    busy = [session(daemon, "least")[0] for _ in range(4)]  # where the two are, fewer go
    assert sum(server.seen for server in servers) == 20 and all(held + busy)
    sources = [f"127.0.0.{n}" for n in range(10, 22)]
    first = {source: peer_of(daemon, "source", source=source) for source in sources}
    assert len(set(first.values())) > 1
    assert {source: peer_of(daemon, "source", source=source) for source in sources} == first


def test_server_that_fails_is_set_aside_also_after_a_reload_and_tried_again(pairsocks, keep, peer_of):
    failing = keep(Script(lambda wire: wire.reset()))
    good = keep(Granting())
    daemon = pairsocks(route="pool", daemon={"workers": 1}, upstreams={"pool": pool(failing, good)})
    assert peer_of(daemon) == str(good) and failing.seen == 1
    assert [peer_of(daemon) for _ in range(3)] == [str(good)] * 3 and failing.seen == 1
    daemon.reload()
    assert peer_of(daemon) == str(good) and failing.seen == 1
    failing.script = good.grant  # it has recovered
    wait.until(lambda: peer_of(daemon) == str(failing), "another try after a second", every=0.1)
    assert failing.seen == 2 and [peer_of(daemon) for _ in range(2)] == [str(failing)] * 2


def test_failure_at_any_stage_moves_on_to_the_next_server(pairsocks, keep, peer_of):
    """Refused, reset, silent, wrong, closed in the greeting, and in the answer."""

    def closing(wire):
        read_request5(wire)
        wire.finish()

    stages = [
        keep(Refusing()),
        keep(Script(lambda wire: wire.reset())),
        keep(Script(lambda wire: wire.read(3))),  # silent from then on
        keep(Script(lambda wire: wire.send(b"HTTP/1.0 400\r\n\r\n"))),
        keep(Script(lambda wire: wire.finish())),
        keep(Script(closing)),
    ]
    good = keep(Granting())
    upstreams = {f"u{i}": pool(endpoint(stage.address), good, connect_timeout="1500ms") for i, stage in enumerate(stages)}
    upstreams["all"] = pool(*(endpoint(stage.address) for stage in stages), good, connect_timeout="1500ms")
    upstreams["many"] = pool(*(endpoint(keep(Refusing()).address) for _ in range(64)), good)
    daemon = pairsocks(upstreams=upstreams,
                       listeners={name: {"listen": "127.0.0.1:0", "route": name} for name in upstreams})  # fmt: skip
    for name in upstreams:
        assert peer_of(daemon, name) == str(good), name


def test_connect_timeout_is_for_the_greeting_and_not_for_the_answer(pairsocks, keep, session, peer_of):
    held = threading.Event()

    def slow(wire):
        read_request5(wire)
        held.wait(wait.seconds(10))
        wire.send(b"\x05\0\0\x01\0\0\0\0\0\0")

    silent = keep(Script(lambda wire: wire.read(3)))
    daemon = pairsocks(
        listeners={"slow": {"listen": "127.0.0.1:0", "route": "slow"},
                   "silent": {"listen": "127.0.0.1:0", "route": "silent"},
                   "late": {"listen": "127.0.0.1:0", "route": "slow", "connect_timeout": "2s"}},
        upstreams={"slow": pool(keep(Script(slow)), connect_timeout="1s"), "silent": pool(silent, connect_timeout="1s")})
    assert peer_of(daemon, "silent", code=6) == str(silent)
    assert daemon.records(listener="silent", event="session")[0]["error"] == "system.connect.timeout"
    peer_of(daemon, "late", code=6)
    threading.Timer(1.5, held.set).start()
    peer_of(daemon, "slow")


def test_target_that_does_not_answer_is_not_the_proxys_fault(pairsocks, keep, dial):
    def script(wire):
        host, _ = read_request5(wire)
        if b"slow" not in host:
            wire.send(b"\x05\0\0\x01" + bytes(6))

    first, second = keep(Script(script)), keep(Script(script))
    daemon = pairsocks(route="pool", connect_timeout="1500ms", upstreams={"pool": pool(first, second)})
    for host, code in (("slow.test", 6), ("fast.test", 0)):
        client = dial(daemon)
        assert client.negotiate("socks5", host, 80).code == code
        client.close()
        record = daemon.session(client)
        assert record["upstream_peer"] == str(first), record
    assert second.seen == 0


# --- SRV


@pytest.fixture
def dns(keep):
    return keep(Scripted())


def test_service_leads_to_servers_by_priority_and_is_asked_for_again_in_time(pairsocks, keep, dns, peer_of):
    one, two, three = (keep(Granting()) for _ in range(3))
    for name in ("one.test", "two.test"):
        dns.name(name, a=["127.0.0.1"])
    dns.service("_p._tcp.pool.test", (10, 0, two.port, "two.test"), (5, 0, one.port, "one.test"), ttl=1)
    daemon = pairsocks(route="pool", daemon={"nameserver": dns.nameserver},
                       upstreams={"pool": {"type": "socks5", "service": "_p._tcp.pool.test"}})  # fmt: skip
    assert [peer_of(daemon) for _ in range(3)] == [f"one.test:{one.port}"] * 3
    one.close()
    assert peer_of(daemon) == f"two.test:{two.port}"
    dns.service("_p._tcp.pool.test", (1, 0, three.port, "one.test"), ttl=1)
    wait.until(lambda: peer_of(daemon) == f"one.test:{three.port}", "the new records", every=0.1)
    dns.table["_p._tcp.pool.test", SRV] = NXDOMAIN  # what was good is kept
    daemon.wait_for(event="service", level="warning")
    assert peer_of(daemon) == f"one.test:{three.port}"
    asked = dns.asked("_p._tcp.pool.test", SRV)
    daemon.reload()
    assert peer_of(daemon) == f"one.test:{three.port}"
    wait.until(lambda: dns.asked("_p._tcp.pool.test", SRV) > asked, "a question after the reload")


def test_sessions_wait_for_a_service_that_is_not_known_yet(pairsocks, keep, dns, dial):
    good = keep(Granting())
    dns.name("one.test", a=["127.0.0.1"])
    held = dns.table["_p._tcp.pool.test", SRV] = Held(service((0, 0, good.port, "one.test")))
    gone = {"type": "socks5", "service": "_p._tcp.gone.test"}
    daemon = pairsocks(
        listeners={"held": {"listen": "127.0.0.1:0", "route": "held"}, "gone": {"listen": "127.0.0.1:0", "route": "gone"},
                   "short": {"listen": "127.0.0.1:0", "route": "short"}},
        daemon={"nameserver": dns.nameserver},
        upstreams={"held": {"type": "socks5", "service": "_p._tcp.pool.test"}, "gone": gone,
                   "short": {"type": "socks5", "service": "_p._tcp.pool.test", "connect_timeout": "200ms"}})  # fmt: skip
    waiting, short = (dial(daemon, address=daemon.address(4, name)) for name in ("held", "short"))
    waiting.ask("socks5", "target.test", 80)
    assert short.negotiate("socks5", "target.test", 80).code == 4
    short.close()
    assert daemon.session(short)["error"] == "resolver.name.timeout"
    held.release()
    assert waiting.read_reply("socks5").code == 0
    client = dial(daemon, address=daemon.address(4, "gone"))
    assert client.negotiate("socks5", "target.test", 80).code == 4
    client.close()
    assert daemon.session(client)["error"] == "resolver.name.not-found"


def test_certificate_has_to_be_for_the_services_domain(pairsocks, keep, dns, dial):
    """RFC 6125, 6.2.1: not for the host that DNS leads to."""
    secure = keep(Granting(context=tls.server_context()))  # for server.test
    for name in ("server.test", "other.test"):
        dns.name(name, a=["127.0.0.1"])
    dns.service("_p._tcp.server.test", (0, 0, secure.port, "other.test"))
    dns.service("_p._tcp.other.test", (0, 0, secure.port, "server.test"))
    keys = {"type": "socks5", "security": "negotiated", "authority": tls.pem("root")}
    daemon = pairsocks(
        listeners={name: {"listen": "127.0.0.1:0", "route": name} for name in ("right", "wrong")},
        daemon={"nameserver": dns.nameserver},
        upstreams={"right": {**keys, "service": "_p._tcp.server.test"}, "wrong": {**keys, "service": "_p._tcp.other.test"}})
    client = dial(daemon, address=daemon.address(4, "right"))
    assert client.negotiate("socks5", "target.test", 80).code == 0
    client = dial(daemon, address=daemon.address(4, "wrong"))
    assert client.negotiate("socks5", "target.test", 80).code == 1
    client.close()
    assert daemon.session(client)["error"] == "tls.certificate.name-mismatch"
