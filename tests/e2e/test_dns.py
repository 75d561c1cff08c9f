"""Names: dnsmasq answers as real servers do, a scripted server says the odd things."""

import time

import pytest

from harness import wait
from harness.dns import A, AAAA, NXDOMAIN, REFUSED, SERVFAIL, SILENT, Dnsmasq, Held, Scripted, answer_packet, free_port
from harness.targets import Echo, Listener

FAILED = {"socks4a": 91, "socks5": 4}
BY_NAME = sorted(FAILED)


@pytest.fixture
def dnsmasq(keep, program, tmp_path):
    many = [f"host-record=many.test,127.0.{i // 250 + 1}.{i % 250 + 1}" for i in range(200)]
    return keep(Dnsmasq(tmp_path / "dns", program("dnsmasq"), [
        "host-record=four.test,127.0.0.1", "host-record=six.test,::1", "host-record=both.test,127.0.0.1,::1",
        "host-record=under_score.test,127.0.0.1", "cname=alias.test,four.test", "txt-record=text.test,only text",
        *many,
    ]))  # fmt: skip


@pytest.fixture
def scripted(keep):
    return keep(Scripted())


@pytest.fixture
def using(pairsocks):
    """using(server, key=value ...): a daemon that asks this server."""

    def start(*servers, **keys):
        names = ", ".join(getattr(server, "nameserver", server) for server in servers)
        return pairsocks(daemon={"nameserver": names}, **keys)

    return start


def check(daemon, client, protocol, name, error, port=80):
    reply = client.negotiate(protocol, name, port)
    assert (reply.code, reply.host, reply.port) == (FAILED[protocol], "0.0.0.0", 0)
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["target"]) == (error, f"{name}:{port}")
    return session


@pytest.mark.parametrize("protocol", BY_NAME)
@pytest.mark.parametrize("name", ["four.test", "FOUR.Test", "four.test.", "alias.test", "under_score.test"])
def test_a_name_is_resolved_and_reached(using, dnsmasq, dial, keep, protocol, name):
    daemon = using(dnsmasq)
    target = keep(Listener())
    client = dial(daemon)
    reply = client.connect(protocol, name, target.port)
    assert (reply.host, reply.port) == target.accept().peer_address
    client.reset()
    session = daemon.session(client)
    assert session["address"] == f"127.0.0.1:{target.port}"
    assert session["target"].lower().replace(".:", ":") == name.lower().rstrip(".") + f":{target.port}"


def test_a_name_with_only_an_ipv6_address_is_reached_by_socks5(using, dnsmasq, dial, keep):
    target = keep(Echo("::1"))
    client = dial(using(dnsmasq))
    client.connect("socks5", "six.test", target.port)


def test_socks4a_reaches_only_ipv4(using, dnsmasq, dial, keep):
    daemon = using(dnsmasq)
    check(daemon, dial(daemon), "socks4a", "six.test", "resolver.name.no-address")
    target = keep(Listener())
    client = dial(daemon)
    client.connect("socks4a", "both.test", target.port)
    assert target.accept().peer_address[0] == "127.0.0.1"


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_name_that_does_not_exist_is_not_found(using, dnsmasq, dial, protocol):
    daemon = using(dnsmasq)
    check(daemon, dial(daemon), protocol, "nowhere.test", "resolver.name.not-found")


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_name_without_addresses_has_no_address(using, dnsmasq, dial, protocol):
    daemon = using(dnsmasq)
    check(daemon, dial(daemon), protocol, "text.test", "resolver.name.no-address")


@pytest.mark.parametrize("protocol", BY_NAME)
@pytest.mark.parametrize("code", [SERVFAIL, REFUSED])
def test_a_server_that_fails_is_named_so(using, scripted, dial, protocol, code):
    daemon = using(scripted)
    name = scripted.name("broken.test", a=code, aaaa=code)
    check(daemon, dial(daemon), protocol, name, "resolver.server.failed")


def test_a_server_that_refuses_strangers_is_a_failed_server(using, dnsmasq, dial):
    """dnsmasq without an upstream refuses what is not its own."""
    daemon = using(dnsmasq)
    check(daemon, dial(daemon), "socks5", "example.org", "resolver.server.failed")


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_server_that_does_not_answer_is_a_timeout_at_connect_timeout(using, scripted, dial, protocol):
    daemon = using(scripted, connect_timeout="700ms")
    name = scripted.name("quiet.test", a=SILENT, aaaa=SILENT)
    start = time.monotonic()
    check(daemon, dial(daemon), protocol, name, "resolver.name.timeout")
    assert 0.7 <= time.monotonic() - start < 0.7 + wait.seconds(3)


def test_a_slow_answer_is_waited_for(using, scripted, dial, keep):
    daemon = using(scripted)
    slow = Held(["127.0.0.1"])
    name = scripted.name("slow.test", a=slow)
    target = keep(Echo())
    client = dial(daemon)
    client.ask("socks5", name, target.port)
    wait.until(lambda: scripted.asked(name, A), "the question")
    assert client.is_quiet(0.4)
    slow.release()
    assert client.read_reply5().code == 0


def test_a_name_that_waits_does_not_hold_up_others(pairsocks, scripted, dial, keep):
    daemon = pairsocks(daemon={"workers": 1, "nameserver": scripted.nameserver})
    quiet = scripted.name("quiet.test", a=SILENT, aaaa=SILENT)
    good = scripted.name("good.test", a=["127.0.0.1"])
    target = keep(Echo())
    waiting = [dial(daemon) for _ in range(20)]
    for client in waiting:
        client.ask("socks5", quiet, target.port)
    wait.until(lambda: scripted.asked(quiet), "the question")
    for _ in range(5):
        dial(daemon).connect("socks5", good, target.port)


def test_a_client_that_leaves_while_its_name_is_resolved_is_gone_at_once(using, scripted, dial):
    daemon = using(scripted)
    name = scripted.name("quiet.test", a=SILENT, aaaa=SILENT)
    client = dial(daemon)
    client.ask("socks5", name, 80)
    wait.until(lambda: scripted.asked(name), "the question")
    client.reset()
    assert daemon.session(client)["error"] == "client.gone"


def test_an_answer_that_comes_after_the_client_left_hurts_nobody(using, scripted, dial, keep):
    daemon = using(scripted)
    held = Held(["127.0.0.1"])
    name = scripted.name("late.test", a=held)
    client = dial(daemon)
    client.ask("socks5", name, 80)
    wait.until(lambda: scripted.asked(name, A), "the question")
    client.reset()
    daemon.session(client)
    held.release()
    target = keep(Echo())
    good = scripted.name("good.test", a=["127.0.0.1"])
    dial(daemon).connect("socks5", good, target.port)


def test_the_next_server_is_asked_if_the_first_is_dead(using, scripted, dial, keep):
    daemon = using(f"127.0.0.1:{free_port()}", scripted)
    target = keep(Echo())
    dial(daemon).connect("socks5", scripted.name("good.test", a=["127.0.0.1"]), target.port)


def test_the_next_server_is_asked_if_the_first_fails(using, scripted, keep, dial):
    broken = keep(Scripted())
    name = scripted.name("good.test", a=["127.0.0.1"])
    broken.name(name, a=SERVFAIL, aaaa=SERVFAIL)
    daemon = using(broken, scripted)
    target = keep(Echo())
    dial(daemon).connect("socks5", name, target.port)


def test_an_answer_too_large_for_udp_comes_by_tcp(using, dnsmasq, dial, keep):
    """200 addresses: the UDP answer is cut short, and the whole comes by TCP."""
    daemon = using(dnsmasq)
    target = keep(Listener("0.0.0.0"))
    client = dial(daemon)
    client.connect("socks5", "many.test", target.port)
    target.accept()
    client.reset()
    assert daemon.session(client)["address"].startswith("127.0.1.")


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "some.localhost", "a.b.localhost"])
def test_localhost_is_loopback_without_dns(using, scripted, dial, keep, name):
    daemon = using(scripted)
    target = keep(Listener())
    for protocol in BY_NAME:
        client = dial(daemon)
        client.connect(protocol, name, target.port)
        assert target.accept().peer_address[0] == "127.0.0.1"
    assert scripted.queries == []


def test_localhost_is_ipv6_loopback_too(using, scripted, dial, keep):
    daemon = using(scripted)
    target = keep(Listener("::1"))
    dial(daemon).connect("socks5", "localhost", target.port)
    assert target.accept().peer_address[0] == "::1"


def test_a_literal_asks_nobody(using, scripted, dial, keep):
    daemon = using(scripted)
    target = keep(Echo())
    dial(daemon).connect("socks5", "127.0.0.1", target.port)
    assert scripted.queries == []


def test_a_literal_said_as_a_name_asks_nobody(using, scripted, dial, keep):
    daemon = using(scripted)
    target = keep(Echo())
    dial(daemon).connect("socks4a", "127.0.0.1", target.port)
    assert scripted.queries == []


def test_an_answer_to_another_question_is_not_believed(using, scripted, dial, keep):
    """A forger's packet, with another id, comes first: it names an address where nobody listens."""
    daemon = using(scripted)

    def forged_then_true(query):
        other = int.from_bytes(query[:2], "big") ^ 0x5555
        return [answer_packet(query, ["127.66.66.66"], ident=other), answer_packet(query, ["127.0.0.1"])]

    target = keep(Listener())
    client = dial(daemon)
    client.connect("socks5", scripted.name("forged.test", a=forged_then_true), target.port)
    assert target.accept().peer_address[0] == "127.0.0.1"


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\xff" * 512, None], ids=["empty", "short", "ones", "counts"])
def test_garbage_for_an_answer_is_a_failure_and_nothing_more(using, scripted, dial, keep, garbage):
    daemon = using(scripted, connect_timeout="2s")

    def answer(query):
        return [query[:2] + b"\x81\x80\0\1\xff\xff\0\0\0\0" + query[12:] if garbage is None else query[:2] + garbage]

    name = scripted.name("garbage.test", a=answer, aaaa=answer)
    client = dial(daemon)
    assert client.negotiate("socks5", name, 80).code == 4
    client.expect_closed()
    assert daemon.session(client)["error"].startswith("resolver.")
    target = keep(Echo())
    dial(daemon).connect("socks5", scripted.name("good.test", a=["127.0.0.1"]), target.port)


def test_the_questions_are_for_both_families(using, scripted, dial, keep):
    daemon = using(scripted)
    name = scripted.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    target = keep(Echo())
    dial(daemon).connect("socks5", name, target.port)
    wait.until(lambda: scripted.asked(name, A) and scripted.asked(name, AAAA), lambda: scripted.queries)


def test_a_name_that_exists_for_one_family_only_by_nxdomain_for_the_other_is_reached(using, scripted, dial, keep):
    """Some servers wrongly say that the name does not exist when it only has no AAAA."""
    daemon = using(scripted)
    target = keep(Echo())
    dial(daemon).connect("socks5", scripted.name("odd.test", a=["127.0.0.1"], aaaa=NXDOMAIN), target.port)
