"""`protocols = forward`: every connection goes to one target; and the ways by which connections go."""

import contextlib

import pytest

from harness.dns import Scripted
from harness.targets import Echo, Listener, Refusing, Silent

DENY = {"action": "deny"}


@pytest.fixture
def forwarding(pairsocks):
    """forwarding(target, key=value ...): a daemon that forwards to it."""

    def start(target, *, host=None, **more):
        keys = {key: more.pop(key) for key in list(more) if key not in ("daemon", "rules", "upstreams")}
        return pairsocks(protocols="forward", forward_to=f"{host or target.host}:{target.port}", **keys, **more)

    return start


def test_bytes_go_to_the_target_and_back(forwarding, dial, keep):
    daemon = forwarding(keep(Echo()))
    client = dial(daemon)
    client.send(b"\x05\x01\x00 no protocol is seen in this")
    assert client.read(31) == b"\x05\x01\x00 no protocol is seen in this"
    client.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["protocol"], session["command"], session["error"]) == ("forward", "connect", "none")
    assert (session["sent"], session["received"], session["route"]) == ("31", "31", "direct")


def test_a_target_may_speak_first(forwarding, dial, keep):
    target = keep(Listener())
    daemon = forwarding(target)
    client = dial(daemon)
    wire = target.accept()
    wire.send(b"220 ready")
    assert client.read(9) == b"220 ready"
    wire.close()
    client.expect_end()


def test_a_name_is_resolved_for_each_connection(forwarding, dial, keep):
    dns, target = keep(Scripted()), keep(Listener())
    daemon = forwarding(target, host=dns.name("to.test", a=["127.0.0.1"]), daemon={"nameserver": dns.nameserver})
    client = dial(daemon)
    target.accept().close()
    client.expect_end()
    client.close()
    session = daemon.session(client)
    assert (session["target"], session["address"]) == (f"to.test:{target.port}", f"127.0.0.1:{target.port}")


def expect_reset(dial, daemon, **more):
    """Nothing is asked of the client first, so it may be reset before it knows that it is connected."""
    with contextlib.suppress(ConnectionResetError):
        dial(daemon, **more).expect_reset()
    return daemon.wait_for(event="session")


def test_who_cannot_be_connected_is_reset(forwarding, dial, keep):
    daemon = forwarding(keep(Refusing()))
    assert expect_reset(dial, daemon)["error"] == "system.connect.refused"


def test_rules_judge_it_and_the_guard_does_not(forwarding, dial, keep):
    target = keep(Listener())
    daemon = forwarding(target, guard="yes")
    dial(daemon)
    target.accept()
    daemon = forwarding(target, guard="yes", rules={"no": {**DENY, "client": "127.0.0.2"}})
    session = expect_reset(dial, daemon, source="127.0.0.2")
    assert (session["error"], session["rule"], session["route"]) == ("policy.rule.denied", "no", "-")
    dial(daemon)
    target.accept()


def test_a_silent_client_is_no_slow_handshake(forwarding, dial, keep):
    """It need not say anything: the time for a handshake is over, the queue is not its place."""
    target = keep(Listener())
    daemon = forwarding(target, handshake_timeout="200ms", queue=1)
    clients = [dial(daemon) for _ in range(5)]
    wires = [target.accept() for _ in clients]
    assert all(client.is_quiet(0.1) for client in clients)
    for wire in wires:
        wire.send(b"x")
    assert [client.read(1) for client in clients] == [b"x"] * 5


def test_behind_a_proxy_header(forwarding, dial, keep):
    target = keep(Listener())
    daemon = forwarding(target, proxy_protocol="require", proxy_protocol_from="127.0.0.1")
    client = dial(daemon)
    client.send(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\nhello")
    wire = target.accept()
    assert wire.read(5) == b"hello"
    wire.close()
    client.close()
    assert daemon.session("192.0.2.7:1234")["protocol"] == "forward"


# --- routes


@pytest.fixture
def two_ways(pairsocks):
    """A daemon that goes by 127.0.0.3, and by 127.0.0.4 where a rule says so."""
    upstreams = {"three": {"type": "direct", "bind_address": "127.0.0.3"}, "four": {"type": "direct", "bind_address": "127.0.0.4"}}
    rules = {"other": {"destination": "four.test, 127.0.0.9", "action": "route four"},
             "plain": {"destination": "127.0.0.8", "action": "route direct"}}  # fmt: skip
    return lambda **more: pairsocks(upstreams=upstreams, rules=rules, listen="127.0.0.1:0", route="three",
                                    bind_address="127.0.0.2", **more)


@pytest.mark.parametrize("host, source, route, rule", [
    ("127.0.0.1", "127.0.0.3", "three", "-"), ("127.0.0.9", "127.0.0.4", "four", "other"), ("127.0.0.8", "127.0.0.2", "direct", "plain"),
])
def test_a_rule_says_which_way_and_else_the_listener(two_ways, dial, keep, host, source, route, rule):
    daemon, target = two_ways(), keep(Listener(host))
    client = dial(daemon)
    reply = client.connect("socks5", host, target.port)
    wire = target.accept()
    assert reply.host == wire.peer_address[0] == source
    wire.close()
    client.close()
    session = daemon.session(client)
    assert (session["route"], session["rule"], session["upstream"]) == (route, rule, "-")


def test_the_first_address_that_is_allowed_says_which_way(two_ways, dial, keep):
    """127.0.0.9 is a rule's own, which needs the address; the name has another address, too."""
    dns = keep(Scripted())
    daemon, target = two_ways(daemon={"nameserver": dns.nameserver}), keep(Listener("127.0.0.9"))
    client = dial(daemon)
    client.connect("socks5", dns.name("many.test", a=["127.0.0.9", "127.0.0.10"]), target.port)
    assert target.accept().peer_address[0] == "127.0.0.4"


def test_an_upstream_may_be_less_patient_than_the_listener(pairsocks, dial, keep):
    target = keep(Silent())
    daemon = pairsocks(upstreams={"out": {"type": "direct", "connect_timeout": "200ms"}}, route="out", connect_timeout="1h")
    client = dial(daemon)
    assert client.negotiate("socks5", target.host, target.port).code == 6
    client.close()
    assert daemon.session(client)["error"] == "system.connect.timeout"
