"""Rules and the guard over BIND: whatever they say of a CONNECT they say of the peer that is named."""

import pytest

from harness.bind import open_port, refused, stand
from harness.dns import Scripted
from harness.users import UsersFile
from test_policy import ALLOW, BY_NAME, DENY, V4_DANGEROUS, V6_DANGEROUS

BINDS = {"command": "bind"}


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def ruled(pairsocks, dns):
    """ruled({name: rule, ...}, key=value ...): a daemon with these rules that asks `dns`."""

    def start(rules=None, **keys):
        return pairsocks(daemon={"nameserver": dns.nameserver}, rules=rules, **keys)

    return start


@pytest.fixture
def denied(dial):
    """denied(daemon, protocol, host, error, rule): a BIND for host is; the log names the error and the rule."""

    def check(daemon, protocol, host, error="policy.rule.denied", rule="no", port=80, source=None, code=2):
        client = dial(daemon, source=source)
        refused(client, protocol, code, host, port)
        session = daemon.session(client)
        assert (session["command"], session["error"], session["rule"]) == ("bind", error, rule)

    return check


@pytest.fixture
def granted(dial):
    """granted(daemon, protocol, host, rule): a BIND for host is, and its peer is taken."""

    def check(daemon, protocol, host, rule="-", port=80, source=None, peer=None):
        client = dial(daemon, source=source)
        stand(client, protocol, host, port, peer).close()
        client.close()
        session = daemon.session(client)
        assert (session["command"], session["rule"]) == ("bind", rule)

    return check


def test_a_rule_for_one_command_says_nothing_of_another(ruled, granted, denied, dial):
    daemon = ruled({"no": {**DENY, **BINDS}})
    denied(daemon, "socks4", "127.0.0.1")
    denied(daemon, "socks5", "127.0.0.1")
    assert dial(daemon).negotiate("socks5", "127.0.0.1", 1).code == 5
    daemon = ruled({"no": {**DENY, "command": "connect"}})
    granted(daemon, "socks4", "127.0.0.1")
    granted(daemon, "socks5", "127.0.0.1")
    assert dial(daemon).negotiate("socks5", "127.0.0.1", 1).code == 2
    daemon = ruled({"no": {**DENY, "command": "bind, connect"}})
    denied(daemon, "socks5", "127.0.0.1")
    assert dial(daemon).negotiate("socks5", "127.0.0.1", 1).code == 2


@pytest.mark.parametrize("destination, inside, outside", [
    ("127.0.0.2", "127.0.0.2", "127.0.0.1"),
    ("127.0.0.0/30", "127.0.0.3", "127.0.0.4"),
    ("::ffff:127.0.0.2", "127.0.0.2", "127.0.0.3"),
    ("127.0.0.2", "::ffff:127.0.0.2", "127.0.0.3"),
])  # fmt: skip
def test_a_denied_address_or_network_is_no_peer(ruled, granted, denied, destination, inside, outside):
    daemon = ruled({"no": {**DENY, "destination": destination}})
    denied(daemon, "socks5", inside)
    granted(daemon, "socks5", outside, peer=outside)
    if ":" not in inside:
        denied(daemon, "socks4", inside)
        granted(daemon, "socks4", outside, peer=outside)


def test_denied_names_and_suffixes_are_denied_without_asking_dns(ruled, granted, denied, dns):
    daemon = ruled({"no": {**DENY, "destination": "Bad.test, *.worse.test"}})
    for protocol in BY_NAME:
        if protocol != "http":
            for name in ("bad.test", "BAD.Test.", "a.worse.test", "a.b.worse.test."):
                denied(daemon, protocol, name)
    assert dns.queries == []
    for name in ("worse.test", "notbad.test"):
        granted(daemon, "socks5", dns.name(name, a=["127.0.0.1"]))


def test_each_address_of_a_name_is_judged_and_the_denied_are_not_taken(ruled, granted, denied, dns, dial):
    daemon = ruled({"no": {**DENY, "destination": "127.0.0.2"}})
    name = dns.name("both.test", a=["127.0.0.2", "127.0.0.3"])
    for protocol in ("socks4a", "socks5"):
        denied(daemon, protocol, dns.name("one.test", a=["127.0.0.2"]))
        granted(daemon, protocol, name, peer="127.0.0.3")
        client = dial(daemon)
        with pytest.raises(AssertionError):
            stand(client, protocol, name, source="127.0.0.2")
        client.close()
        assert daemon.session(client)["error"] == "policy.bind.other-peer"


def test_clients_listeners_ports_and_the_first_rule_that_matches(pairsocks, granted, denied, dial):
    daemon = pairsocks(rules={"yes": {**ALLOW, "client": "127.0.0.5"}, "no": {**DENY, "client": "127.0.0.0/29"},
                              "port": {**DENY, "port": "21"}})  # fmt: skip
    granted(daemon, "socks5", "127.0.0.1", "yes", source="127.0.0.5")
    denied(daemon, "socks5", "127.0.0.1", source="127.0.0.4")
    granted(daemon, "socks5", "127.0.0.1", source="127.0.0.8")
    denied(daemon, "socks5", "127.0.0.1", rule="port", port=21, source="127.0.0.8")
    granted(daemon, "socks5", "127.0.0.1", port=0, source="127.0.0.8")


def test_default_deny_denies_what_no_rule_allows(ruled, granted, denied, dns):
    daemon = ruled({"yes": {**ALLOW, "destination": "127.0.0.1, good.test", **BINDS}}, default="deny")
    for protocol in ("socks4", "socks5"):
        denied(daemon, protocol, "127.0.0.2", rule="-")
        granted(daemon, protocol, "127.0.0.1", "yes")
    granted(daemon, "socks5", dns.name("good.test", a=["127.0.0.3"]), "yes", peer="127.0.0.3")
    denied(daemon, "socks5", dns.name("x.test", a=["127.0.0.2"]), rule="-")


def test_the_guard_denies_every_spelling_of_every_dangerous_address(ruled, denied, dns):
    daemon = ruled(guard="yes")
    for number, address in enumerate(V4_DANGEROUS):
        name = dns.name(f"n{number}.test", a=[address])
        for protocol, host in (("socks4", address), ("socks5", address), ("socks4a" if number % 2 else "socks5", name)):
            denied(daemon, protocol, host, "policy.guard.denied", "-")
    for address in V6_DANGEROUS:
        denied(daemon, "socks5", address, "policy.guard.denied", "-")
    for number, address in enumerate(V6_DANGEROUS[::3]):
        denied(daemon, "socks5", dns.name(f"s{number}.test", aaaa=[address]), "policy.guard.denied", "-")
    for host in (b"127.0.0.1", "localhost", "a.LocalHost."):
        for protocol in ("socks4a", "socks5"):
            denied(daemon, protocol, host, "policy.guard.denied", "-")


@pytest.mark.parametrize("numeral", ["127.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.0.0.1."])
def test_an_odd_numeral_is_an_invalid_name(ruled, denied, numeral):
    denied(ruled({"no": DENY}), "socks5", numeral.encode(), "resolver.name.invalid", "-", code=4)


def test_only_a_rule_that_lists_the_address_overrides_the_guard(ruled, granted, denied, dns, dial):
    daemon = ruled({"inside": {**ALLOW, "destination": "127.0.0.1", **BINDS},
                    "named": {**ALLOW, "destination": "in.test"}}, guard="yes")  # fmt: skip
    granted(daemon, "socks4", "127.0.0.1", "inside")
    granted(daemon, "socks5", "127.0.0.1", "inside")
    granted(daemon, "socks5", dns.name("one.test", a=["127.0.0.1"]), "inside")
    denied(daemon, "socks5", dns.name("in.test", a=["127.0.0.2"]), "policy.guard.denied", "-")
    denied(daemon, "socks5", "10.0.0.1", "policy.guard.denied", "-")


def test_the_guard_judges_who_comes_where_nobody_was_named(ruled, dial, keep, granted):
    daemon = ruled({"anybody": {**ALLOW, "destination": "0.0.0.0", **BINDS}, "near": {**ALLOW, "destination": "127.0.0.7"}},
                   guard="yes")  # fmt: skip
    granted(daemon, "socks5", "0.0.0.0", "near", peer="127.0.0.7")
    client = dial(daemon)
    address = open_port(client, "socks5", "0.0.0.0")
    keep(type(client).open(address, source="127.0.0.8"))
    refused(client, "socks5", 2, None)
    assert daemon.session(client)["error"] == "policy.guard.denied"


def test_a_user_is_judged_by_its_rules(pairsocks, dial, tmp_path):
    users = UsersFile(tmp_path / "users", alice="pw", bob="pw")
    daemon = pairsocks(auth="password", users_file=users, rules={"no": {**DENY, "user": "bob", **BINDS}})
    for user, code in (("alice", 0), ("bob", 2)):
        client = dial(daemon)
        assert (client.greet(2), client.login(user, "pw")) == (2, 0)
        client.send(b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x00")
        assert client.read_reply5().code == code
