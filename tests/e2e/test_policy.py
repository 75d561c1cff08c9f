"""Rules, the guard and `default`: who is let through to what, and what the client and the log are told."""

import pytest

from harness.dns import A, Scripted, answer_packet
from harness.socks import ALL
from harness.targets import Listener, same_port

DENIED = {"socks4": 91, "socks4a": 91, "socks5": 2, "http": 403}
INVALID = {"socks4a": 91, "socks5": 4, "http": 400}
BY_NAME = sorted(INVALID)
ALLOW, DENY = {"action": "allow"}, {"action": "deny"}

V4_DANGEROUS = ["127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.1.1", "169.254.169.254",
                "172.16.0.1", "192.168.0.1", "224.0.0.1", "255.255.255.255"]  # fmt: skip
V6_DANGEROUS = ["::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0", "::ffff:10.0.0.1",
                "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "fe80::1",
                "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1"]  # fmt: skip


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def ruled(pairsocks, dns):
    """ruled({name: rule, ...}, key=value ...): a daemon with these rules that asks `dns`."""

    def start(rules=None, **keys):
        return pairsocks(daemon={"nameserver": dns.nameserver}, rules=rules, **keys)

    return start


def granted(daemon, client, protocol, host, target):
    """The request is granted and reaches the target; returns the session line."""
    client.connect(protocol, host, target.port)
    wire = target.accept()
    client.close()
    wire.close()
    return daemon.session(client)


def denied(daemon, client, protocol, host, port, error, rule="-", codes=DENIED):
    """The request is denied in the words of its protocol, and the log names the error and the rule."""
    reply = client.negotiate(protocol, host, port)
    assert (reply.code, reply.host, reply.port) == (codes[protocol], "0.0.0.0", 0)
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["rule"]) == (error, rule)
    return session


def ruled_out(daemon, client, protocol, host, port, rule="no"):
    return denied(daemon, client, protocol, host, port, "policy.rule.denied", rule)


def guarded(daemon, client, protocol, host, port=80):
    return denied(daemon, client, protocol, host, port, "policy.guard.denied")


# --- rules


@pytest.mark.parametrize("protocol", ALL)
def test_a_denied_address_is_denied_in_every_protocol_and_another_is_reached(ruled, dial, keep, protocol):
    daemon = ruled({"no": {**DENY, "destination": "127.0.0.2"}})
    target = keep(Listener())
    ruled_out(daemon, dial(daemon), protocol, "127.0.0.2", target.port)
    assert granted(daemon, dial(daemon), protocol, "127.0.0.1", target)["rule"] == "-"


@pytest.mark.parametrize("destination, inside, outside", [
    ("127.0.0.0/30", "127.0.0.3", "127.0.0.4"),
    ("127.0.0.2, 127.0.0.16/28", "127.0.0.31", "127.0.0.32"),
    ("::ffff:127.0.0.2", "127.0.0.2", "127.0.0.3"),
])  # fmt: skip
def test_a_denied_network_ends_where_its_prefix_says(ruled, dial, keep, destination, inside, outside):
    daemon = ruled({"no": {**DENY, "destination": destination}})
    ruled_out(daemon, dial(daemon), "socks5", inside, 80)
    granted(daemon, dial(daemon), "socks5", outside, keep(Listener(outside)))


def test_a_denied_ipv4_address_is_denied_as_a_mapped_one(ruled, dial):
    daemon = ruled({"no": {**DENY, "destination": "127.0.0.2"}})
    ruled_out(daemon, dial(daemon), "socks5", "::ffff:127.0.0.2", 80)


@pytest.mark.parametrize("protocol", BY_NAME)
@pytest.mark.parametrize("spelling", ["bad.test", "BAD.Test", "bad.test."])
def test_a_denied_name_is_denied_without_asking_dns(ruled, dial, dns, protocol, spelling):
    daemon = ruled({"no": {**DENY, "destination": "Bad.test"}})
    ruled_out(daemon, dial(daemon), protocol, spelling, 80)
    assert dns.queries == []


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_denied_suffix_holds_what_is_below_it_and_not_itself(ruled, dial, dns, keep, protocol):
    daemon = ruled({"no": {**DENY, "destination": "*.bad.test"}})
    target = keep(Listener())
    for name in ("a.bad.test", "a.b.bad.test.", "A.BAD.TEST"):
        ruled_out(daemon, dial(daemon), protocol, name, target.port)
    assert dns.queries == []
    for name in ("bad.test", "notbad.test"):
        granted(daemon, dial(daemon), protocol, dns.name(name, a=["127.0.0.1"]), target)


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_name_that_resolves_to_a_denied_address_is_denied(ruled, dial, dns, protocol):
    daemon = ruled({"no": {**DENY, "destination": "127.0.0.0/8"}})
    name = dns.name("inside.test", a=["127.0.0.1", "127.0.0.2"])
    ruled_out(daemon, dial(daemon), protocol, name, 80)


@pytest.mark.parametrize("action", ["allow", "deny"])
def test_a_rule_that_waited_in_vain_for_the_address_did_not_decide(ruled, dial, dns, action):
    daemon = ruled({"lan": {"destination": "127.0.0.0/8", "action": action}})
    client = dial(daemon)
    assert client.negotiate("socks5", "nowhere.test", 80).code == 4
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["rule"]) == ("resolver.name.not-found", "-")


def test_of_several_addresses_only_those_that_are_not_denied_are_connected(ruled, dial, dns, keep):
    bad, good = (keep(Listener(sock=sock)) for sock in same_port("127.0.0.2", "127.0.0.3"))
    daemon = ruled({"no": {**DENY, "destination": "127.0.0.2"}})
    name = dns.name("both.test", a=["127.0.0.2", "127.0.0.3"])
    assert granted(daemon, dial(daemon), "socks5", name, good)["address"] == f"127.0.0.3:{good.port}"
    assert bad.nobody_came(0.1)


def test_a_rule_for_a_name_says_nothing_of_its_address(ruled, dial, dns, keep):
    daemon = ruled({"no": {**DENY, "destination": "bad.test"}})
    target = keep(Listener())
    dns.name("bad.test", a=["127.0.0.1"])
    granted(daemon, dial(daemon), "socks5", "127.0.0.1", target)
    granted(daemon, dial(daemon), "socks5", dns.name("other.test", a=["127.0.0.1"]), target)


@pytest.mark.parametrize("port", ["{0}", "1, {0}", "{0}-{0}", "1-65535"])
def test_a_denied_port_is_denied(ruled, dial, keep, port):
    target = keep(Listener())
    daemon = ruled({"no": {**DENY, "port": port.format(target.port)}})
    for protocol in ALL:
        ruled_out(daemon, dial(daemon), protocol, "127.0.0.1", target.port)


def test_other_ports_than_the_denied_are_reached(ruled, dial, keep):
    target = keep(Listener())
    daemon = ruled({"no": {**DENY, "port": f"1-{target.port - 1}, {target.port + 1}-65535"}})
    granted(daemon, dial(daemon), "socks5", "127.0.0.1", target)
    ruled_out(daemon, dial(daemon), "socks5", "127.0.0.1", target.port - 1)


def test_a_rule_for_a_client_is_for_no_other(ruled, dial, keep):
    daemon = ruled({"no": {**DENY, "client": "127.0.0.2, 127.0.1.0/24"}})
    target = keep(Listener())
    for source in ("127.0.0.2", "127.0.1.77"):
        ruled_out(daemon, dial(daemon, source=source), "socks5", "127.0.0.1", target.port)
    granted(daemon, dial(daemon, source="127.0.0.3"), "socks5", "127.0.0.1", target)


def test_a_rule_for_a_listener_is_for_no_other(pairsocks, dial, keep):
    listeners = {name: {"listen": "127.0.0.1:0"} for name in ("one", "two")}
    daemon = pairsocks(listeners=listeners, rules={"no": {**DENY, "listener": "one"}})
    target = keep(Listener())
    ruled_out(daemon, dial(daemon, address=daemon.address(listener="one")), "socks5", "127.0.0.1", target.port)
    granted(daemon, dial(daemon, address=daemon.address(listener="two")), "socks5", "127.0.0.1", target)


def test_all_conditions_of_a_rule_must_hold(ruled, dial, keep):
    target, other = keep(Listener()), keep(Listener())
    daemon = ruled({"no": {**DENY, "client": "127.0.0.2", "port": target.port, "destination": "127.0.0.1"}})
    ruled_out(daemon, dial(daemon, source="127.0.0.2"), "socks5", "127.0.0.1", target.port)
    granted(daemon, dial(daemon, source="127.0.0.2"), "socks5", "127.0.0.1", other)
    granted(daemon, dial(daemon, source="127.0.0.3"), "socks5", "127.0.0.1", target)


def test_the_first_rule_that_matches_decides(ruled, dial, keep):
    target = keep(Listener())
    daemon = ruled({"yes": {**ALLOW, "client": "127.0.0.2"}, "no": DENY, "late": ALLOW})
    assert granted(daemon, dial(daemon, source="127.0.0.2"), "socks5", "127.0.0.1", target)["rule"] == "yes"
    ruled_out(daemon, dial(daemon), "socks5", "127.0.0.1", target.port)


@pytest.mark.parametrize("protocol", ALL)
def test_default_deny_denies_what_no_rule_allows(ruled, dial, keep, protocol):
    daemon = ruled({"yes": {**ALLOW, "destination": "127.0.0.1"}}, default="deny")
    target = keep(Listener())
    denied(daemon, dial(daemon), protocol, "127.0.0.2", target.port, "policy.rule.denied")
    assert granted(daemon, dial(daemon), protocol, "127.0.0.1", target)["rule"] == "yes"


def test_default_deny_without_rules_denies_all(ruled, dial):
    daemon = ruled(default="deny")
    for protocol in ALL:
        denied(daemon, dial(daemon), protocol, "127.0.0.1", 80, "policy.rule.denied")


def test_default_deny_lets_an_allowed_name_through(ruled, dial, dns, keep):
    daemon = ruled({"yes": {**ALLOW, "destination": "good.test, *.good.test"}}, default="deny")
    target = keep(Listener())
    for name in ("good.test", "a.good.test"):
        granted(daemon, dial(daemon), "socks5", dns.name(name, a=["127.0.0.1"]), target)
    denied(daemon, dial(daemon), "socks5", dns.name("x.test", a=["127.0.0.1"]), target.port, "policy.rule.denied")


# --- the guard


@pytest.mark.parametrize("address", V4_DANGEROUS)
def test_the_guard_denies_an_ipv4_literal(ruled, dial, address):
    daemon = ruled(guard="yes")
    guarded(daemon, dial(daemon), "socks4", address)
    guarded(daemon, dial(daemon), "socks5", address)


@pytest.mark.parametrize("address", V6_DANGEROUS)
def test_the_guard_denies_an_ipv6_literal(ruled, dial, address):
    daemon = ruled(guard="yes")
    guarded(daemon, dial(daemon), "socks5", address)


@pytest.mark.parametrize("protocol", BY_NAME)
def test_the_guard_denies_a_literal_said_as_a_name(ruled, dial, dns, protocol):
    daemon = ruled(guard="yes")
    for address in (b"127.0.0.1", b"169.254.169.254"):
        guarded(daemon, dial(daemon), protocol, address)
    assert dns.queries == []


@pytest.mark.parametrize("protocol", BY_NAME)
@pytest.mark.parametrize("name", ["localhost", "localhost.", "LocalHost", "a.localhost", "a.localhost."])
def test_the_guard_denies_localhost(ruled, dial, dns, protocol, name):
    daemon = ruled(guard="yes")
    guarded(daemon, dial(daemon), protocol, name)
    assert dns.queries == []


def test_the_guard_denies_names_of_dangerous_ipv4_addresses(ruled, dial, dns):
    daemon = ruled(guard="yes")
    for number, address in enumerate(V4_DANGEROUS):
        name = dns.name(f"n{number}.test", a=[address])
        for protocol in BY_NAME:
            guarded(daemon, dial(daemon), protocol, name)


def test_the_guard_denies_names_of_dangerous_ipv6_addresses(ruled, dial, dns):
    daemon = ruled(guard="yes")
    for number, address in enumerate(V6_DANGEROUS):
        guarded(daemon, dial(daemon), "socks5", dns.name(f"n{number}.test", aaaa=[address]))


@pytest.mark.parametrize("guard", ["yes", "no"])
@pytest.mark.parametrize("protocol", BY_NAME)
@pytest.mark.parametrize("numeral", ["127.1", "127.0.1", "0x7f000001", "0x7f.0.0.1", "2130706433", "0177.0.0.1", "127.0.0.1."])
def test_an_odd_numeral_is_an_invalid_name_whatever_the_rules_say(ruled, dial, dns, protocol, guard, numeral):
    daemon = ruled({"no": DENY}, guard=guard)
    denied(daemon, dial(daemon), protocol, numeral.encode(), 80, "resolver.name.invalid", codes=INVALID)
    assert dns.queries == []


@pytest.mark.parametrize("destination", ["127.0.0.1", "127.0.0.0/8", "localhost, 127.0.0.1"])
def test_an_allow_rule_that_lists_the_address_overrides_the_guard(ruled, dial, dns, keep, destination):
    daemon = ruled({"inside": {**ALLOW, "destination": destination}}, guard="yes")
    target = keep(Listener())
    for protocol, host in (("socks4", "127.0.0.1"), ("socks5", "127.0.0.1"), ("socks4a", "localhost"),
                           ("socks5", dns.name("in.test", a=["127.0.0.1"]))):  # fmt: skip
        assert granted(daemon, dial(daemon), protocol, host, target)["rule"] == "inside"
    guarded(daemon, dial(daemon), "socks5", "10.0.0.1")


@pytest.mark.parametrize("destination", ["in.test", "*.test, in.test", "any"])
def test_an_allow_rule_without_the_address_does_not_override_the_guard(ruled, dial, dns, destination):
    rule = ALLOW if destination == "any" else {**ALLOW, "destination": destination}
    daemon = ruled({"named": rule}, guard="yes")
    guarded(daemon, dial(daemon), "socks5", dns.name("in.test", a=["127.0.0.1"]))


def test_the_guard_is_on_beyond_loopback_and_off_on_it(pairsocks, dial, keep):
    out = {"listen": "0.0.0.0:0", "allow": "127.0.0.0/8"}
    daemon = pairsocks(listeners={"out": out, "in": {"listen": "127.0.0.1:0"}})
    target = keep(Listener())
    address = ("127.0.0.1", daemon.address(listener="out")[1])
    guarded(daemon, dial(daemon, address=address), "socks5", "127.0.0.1", target.port)
    granted(daemon, dial(daemon, address=daemon.address(listener="in")), "socks5", "127.0.0.1", target)


def test_the_guard_can_be_off_beyond_loopback(pairsocks, dial, keep):
    daemon = pairsocks(listen="0.0.0.0:0", allow="127.0.0.0/8", guard="no")
    address = ("127.0.0.1", daemon.address()[1])
    granted(daemon, dial(daemon, address=address), "socks5", "127.0.0.1", keep(Listener()))


# --- rebinding


def in_turn(*answers):
    """Each question gets the next answer; the last stays."""
    left = list(answers)
    return lambda query: [answer_packet(query, left.pop(0) if len(left) > 1 else left[0])]


def test_a_name_is_asked_once_and_the_judged_address_is_the_one_connected(ruled, dial, dns, keep):
    """The second answer would be a guarded address: it is never asked for."""
    public, private = (keep(Listener(sock=sock)) for sock in same_port("127.0.0.2", "127.0.0.1"))
    daemon = ruled({"public": {**ALLOW, "destination": "127.0.0.2"}}, guard="yes")
    name = dns.name("rebind.test", a=in_turn(["127.0.0.2"], ["127.0.0.1"]))
    session = granted(daemon, dial(daemon), "socks5", name, public)
    assert session["address"] == f"127.0.0.2:{public.port}"
    assert dns.asked(name, A) == 1
    assert private.nobody_came(0.1)


@pytest.mark.parametrize("protocol", BY_NAME)
def test_a_name_that_moves_inside_is_denied_from_then_on(ruled, dial, dns, keep, protocol):
    public, private = (keep(Listener(sock=sock)) for sock in same_port("127.0.0.2", "127.0.0.1"))
    daemon = ruled({"public": {**ALLOW, "destination": "127.0.0.2"}}, guard="yes")
    name = dns.name("rebind.test", a=in_turn(["127.0.0.2"], ["127.0.0.1"]))
    granted(daemon, dial(daemon), protocol, name, public)
    for _ in range(3):
        guarded(daemon, dial(daemon), protocol, name, public.port)
    assert private.nobody_came(0.1)


@pytest.mark.parametrize("answer", [["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]], ids=["bad-first", "good-first"])
def test_of_a_mixed_answer_only_the_allowed_address_is_connected(ruled, dial, dns, keep, answer):
    public, private = (keep(Listener(sock=sock)) for sock in same_port("127.0.0.2", "127.0.0.1"))
    daemon = ruled({"public": {**ALLOW, "destination": "127.0.0.2"}}, guard="yes")
    for _ in range(5):
        granted(daemon, dial(daemon), "socks5", dns.name("mixed.test", a=answer), public)
    assert private.nobody_came(0.1)


def test_a_guarded_address_is_not_tried_when_the_judged_one_refuses(ruled, dial, dns, keep):
    closed, inside = same_port("127.0.0.2", "127.0.0.1")
    keep(closed)
    private = keep(Listener(sock=inside))
    daemon = ruled({"public": {**ALLOW, "destination": "127.0.0.2"}}, guard="yes")
    client = dial(daemon)
    name = dns.name("mixed.test", a=["127.0.0.2", "127.0.0.1"])
    assert client.negotiate("socks5", name, private.port).code == 5
    client.expect_closed()
    assert daemon.session(client)["error"] == "system.connect.refused"
    assert private.nobody_came(0.1)
