"""pairsocks explain: which rule decides about a request and why, from the file alone."""

import os
import pathlib
import re
import subprocess

import pytest

from harness import wait
from harness.daemon import BINARY, REPORT, ROOT

COMMAND = pathlib.Path(BINARY).with_name("pairsocks")

LISTENERS = """
[listener main]
listen = 127.0.0.1:1080
[listener guarded]
listen = 127.0.0.1:1081, 127.0.0.1:1082
guard = yes
[listener closed]
listen = 127.0.0.1:1083
default = deny
[listener public]
listen = 8.8.8.8:1084, [2600::1]:1084, 0.0.0.0:1085
allow = 192.0.2.0/24, 2001:db8::/32, office.example
deny = 192.0.2.66
[listener lan]
listen = 127.0.0.1:1086
allow = 192.0.2.0/24
deny = 192.0.2.66, bad.example
[listener friends]
listen = 127.0.0.1:1087
deny = bad.example
"""


def call(*arguments, prefix=()):
    done = subprocess.run([*prefix, COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=wait.seconds(10))
    assert not REPORT.search(done.stderr), done.stderr
    return done


@pytest.fixture
def ask(tmp_path):
    """ask(rules, *arguments): (the lines about rules, {what: answer}, the notes)."""

    def explain(rules, *arguments, listener="main"):
        path = tmp_path / "a.ini"
        path.write_text(LISTENERS + rules)
        done = call("explain", "-c", path, "--listener", listener, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        lines = done.stdout.splitlines()
        notes = [line for line in lines if line.startswith("note: ")]
        first = next(i for i, line in enumerate(lines) if line.startswith("decision: "))
        answer = dict(line.split(": ", 1) for line in lines[first:] if line not in notes)
        return lines[:first], answer, notes

    return explain


RATES = """
[rule slow]
destination = 192.0.2.0/24
action = allow
rate = 65536
[rule odd]
destination = a.example
action = route direct
rate = 1000
[rule rest]
action = allow
"""


def test_the_rate_of_the_rule_that_decides_is_told(ask):
    assert ask(RATES, "192.0.2.1", 80)[1]["rate"] == "64k bytes a second, each direction of each session"
    assert ask(RATES, "a.example", 80, "--address", "198.51.100.1")[1]["rate"].startswith("1000 bytes")
    assert "rate" not in ask(RATES, "198.51.100.1", 80)[1]
    assert "rate" not in ask(RATES, "b.example", 80)[1]  # that depends on the address
    answer, notes = ask(RATES, "192.0.2.1", 80, "--command", "udp")[1:]
    assert "rate" in answer and "note: datagrams beyond the rate are dropped" in notes
    assert "note: datagrams beyond the rate are dropped" not in ask(RATES, "192.0.2.1", 80)[2]


def allow(rule):
    return {"decision": "allow", "rule": rule, "error": "none"}


def deny(rule, error="policy.rule.denied"):
    return {"decision": "deny", "rule": rule, "error": error}


def depends(rule):
    return {"decision": "depends on the address", "rule": rule}


REASONS = {
    "listener": ("listener = closed", ()),
    "client": ("client = 192.0.2.0/24", ("--client", "198.51.100.1")),
    "client that is not said": ("client = 0.0.0.0/0, ::/0", ()),
    "user": ("user = alice", ("--user", "bob")),
    "user that is a claim": ("user = alice", ("--user", "ident:alice")),
    "user that is not said": ("user = alice", ()),
    "command": ("command = connect", ("--command", "udp")),
    "port": ("port = 81-90, 443", ()),
    "destination": ("destination = example.net", ()),
}


@pytest.mark.parametrize("case", REASONS)
def test_a_rule_that_is_not_the_one_says_why(ask, case):
    condition, arguments = REASONS[case]
    rules, answer, _ = ask(f"[rule r]\n{condition}\naction = deny\n", *arguments, "example.org", 80)
    assert rules == [f"rule r (1 of 1): does not match: other {case.split()[0]}"]
    assert answer == allow("default")


MATCHES = {
    "listener": ("listener = closed, main", ()),
    "client": ("client = 192.0.2.0/24", ("--client", "192.0.2.9")),
    "mapped client": ("client = 192.0.2.0/24", ("--client", "::ffff:192.0.2.9")),
    "user": ("user = alice, cert:Carol", ("--user", "cert:Carol")),
    "command": ("command = connect", ("--command", "connect")),
    "port": ("port = 79-81", ()),
    "name": ("destination = example.org", ()),
    "suffix": ("destination = *.org", ()),
    "everything": ("", ()),
}


@pytest.mark.parametrize("case", MATCHES)
def test_a_rule_that_matches_decides(ask, case):
    condition, arguments = MATCHES[case]
    rules, answer, notes = ask(f"[rule r]\n{condition}\naction = deny\n", *arguments, "Example.ORG.", 80)
    assert (rules, answer, notes) == (["rule r (1 of 1): matches"], deny("r"), [])


def test_a_suffix_is_not_itself(ask):
    _, answer, _ = ask("[rule r]\ndestination = *.example.org\naction = deny\n", "example.org", 80)
    assert answer == allow("default")


@pytest.mark.parametrize("host, rule", [
    ("192.0.2.1", "net"), ("::ffff:192.0.2.1", "net"), ("2001:db8::1", "six"), ("198.51.100.7", "one"),
    ("198.51.100.8", "default")])
def test_addresses_and_networks(ask, host, rule):
    rules = "".join(f"[rule {name}]\ndestination = {where}\naction = allow\n" for name, where in (
        ("net", "192.0.2.0/24"), ("six", "2001:db8::/32"), ("one", "198.51.100.7")))
    assert ask(rules, host, 80)[1] == allow(rule)


def test_all_rules_before_the_deciding_one_are_told_in_order_and_none_behind(ask):
    rules, answer, _ = ask("""
        [rule mail]
        port = 25
        action = deny
        [rule bob]
        user = bob
        action = deny
        [rule web]
        port = 80
        action = allow
        [rule rest]
        action = deny
        """, "example.org", 80)
    assert rules == ["rule mail (1 of 4): does not match: other port",
                     "rule bob (2 of 4): does not match: other user",
                     "rule web (3 of 4): matches"]
    assert answer == allow("web")


LAN = "[rule lan]\ndestination = 10.0.0.0/8\naction = deny\n"


def test_a_rule_that_needs_the_address_says_so(ask):
    rules, answer, notes = ask(LAN, "example.org", 80)
    assert (rules, answer) == (["rule lan (1 of 1): needs the address"], depends("lan"))
    assert len(notes) == 1 and "--address" in notes[0]


@pytest.mark.parametrize("address, expected", [("10.1.1.1", deny("lan")), ("192.0.2.1", allow("default"))])
def test_a_name_with_its_address(ask, address, expected):
    assert ask(LAN, "--address", address, "example.org", 80)[1:] == (expected, [])


def test_a_name_with_its_address_is_still_a_name(ask):
    rules = LAN + "[rule name]\ndestination = example.org\naction = deny\n"
    assert ask(rules, "--address", "192.0.2.1", "example.org", 80)[1] == deny("name")


def test_a_name_that_is_denied_is_not_resolved(ask):
    rules = "[rule name]\ndestination = example.org\naction = deny\n" + LAN
    rules, answer, notes = ask(rules, "--address", "10.1.1.1", "example.org", 80)
    assert (rules, answer) == (["rule name (1 of 2): matches"], deny("name"))
    assert len(notes) == 1 and "do not matter" in notes[0]


def test_default_deny(ask):
    assert ask("", "example.org", 80, listener="closed") == ([], deny("default"), [])


@pytest.mark.parametrize("host, range_name", [("10.1.1.1", "private"), ("127.0.0.1", "loopback"),
                                              ("::ffff:10.1.1.1", "private"), ("localhost", "loopback")])
def test_the_guard_denies(ask, host, range_name):
    _, answer, notes = ask("", host, 80, listener="guarded")
    assert (answer, notes) == (deny(f"guard ({range_name})", "policy.guard.denied"), [])
    assert ask("", host, 80)[1] == allow("default")


def test_the_guard_overrides_a_name_and_not_an_address(ask):
    rules = "[rule name]\ndestination = printer.example\naction = allow\n"
    arguments = ("--address", "10.1.1.1", "printer.example", 80)
    told, answer, _ = ask(rules, *arguments, listener="guarded")
    assert told == ["rule name (1 of 1): matches"]
    assert answer == deny("guard (private)", "policy.guard.denied")
    rules = "[rule net]\ndestination = 10.1.0.0/16\naction = allow\n"
    assert ask(rules, *arguments, listener="guarded")[1:] == (allow("net"), [])


def test_localhost_is_denied_before_its_address_is_known(ask):
    rules = "[rule name]\ndestination = localhost\naction = allow\n"
    _, answer, notes = ask(rules, "--address", "127.0.0.1", "localhost", 80, listener="guarded")
    assert answer == deny("guard (loopback)", "policy.guard.denied")
    assert len(notes) == 1 and "do not matter" in notes[0]


def test_localhost_is_allowed_by_a_rule_that_lists_its_address_too(ask):
    rules = "[rule both]\ndestination = localhost, 127.0.0.1\naction = allow\n"
    ask_localhost = lambda *address: ask(rules, *address, "localhost", 80, listener="guarded")[1]
    assert ask_localhost() == allow("both") == ask_localhost("--address", "127.0.0.1")
    assert ask_localhost("--address", "::1") == deny("guard (loopback)", "policy.guard.denied")


def test_what_the_guard_has_still_to_judge_is_noted(ask):
    _, answer, notes = ask("", "example.org", 80, listener="guarded")
    assert answer == allow("default") and len(notes) == 1 and "--address" in notes[0]
    assert ask("", "8.8.8.8", 80, listener="guarded")[2] == []
    _, answer, notes = ask("", "8.8.8.8", 1080, listener="guarded")
    assert answer == allow("default") and len(notes) == 1 and "own addresses" in notes[0]


@pytest.mark.parametrize("host", ["8.8.8.8", "::ffff:8.8.8.8", "2600:0::1"])
@pytest.mark.parametrize("listener", ["public", "guarded"])
def test_the_daemons_own_address_and_port_are_denied(ask, host, listener):
    own = deny("guard (own address)", "policy.guard.denied")
    assert ask("", host, 1084, listener=listener) == ([], own, [])
    assert ask("", "--address", host, "example.org", 1084, listener=listener) == ([], own, [])
    assert ask("", host, 1083 if listener == "public" else 80, listener=listener)[1] == allow("default")
    assert ask("", host, 1084)[1:] == (allow("default"), []), "this listener has no guard"
    rules = f"[rule r]\ndestination = {host}\naction = allow\n"
    assert ask(rules, host, 1084, listener=listener)[1:] == (allow("r"), [])


@pytest.mark.parametrize("host, range_name", [("127.0.0.1", "loopback"), ("::1", "loopback"), ("0.0.0.0", "this-network")])
def test_loopback_where_a_wildcard_is_listened_on_is_denied(ask, host, range_name):
    assert ask("", host, 1085, listener="public")[1] == deny(f"guard ({range_name})", "policy.guard.denied")


@pytest.mark.parametrize("listener, client", [
    ("public", "192.0.2.66"), ("public", "::ffff:192.0.2.66"), ("lan", "192.0.2.66"), ("lan", "198.51.100.1"),
    ("lan", "::1")])
def test_a_client_that_is_kept_out_is_told(ask, listener, client):
    kept_out = ([], deny("whitelist", "policy.whitelist.denied"), [])
    for host, port in (("example.org", 80), ("127.1", 80), ("example.org", 0)):
        assert ask("[rule all]\naction = allow\n", "--client", client, host, port, listener=listener) == kept_out


@pytest.mark.parametrize("listener, arguments", [
    ("public", ["--client", "192.0.2.1"]), ("public", ["--client", "2001:db8::1"]), ("lan", ["--client", "192.0.2.1"]),
    ("lan", []), ("friends", []), ("main", ["--client", "198.51.100.1"])])
def test_a_client_that_is_let_in_is_not_told(ask, listener, arguments):
    assert ask("", *arguments, "9.9.9.9", 80, listener=listener) == ([], allow("default"), [])


@pytest.mark.parametrize("listener", ["public", "friends"])
def test_a_client_whom_a_name_may_mean_is_noted(ask, listener):
    _, answer, notes = ask("", "--client", "198.51.100.1", "9.9.9.9", 80, listener=listener)
    assert answer == allow("default")
    assert len(notes) == 1 and "names in `allow` and `deny`" in notes[0]


def test_there_is_no_port_0(ask):
    rules, answer, notes = ask("[rule all]\naction = allow\n", "example.org", 0)
    assert (rules, answer) == ([], deny("none", "protocol.request.bad"))
    assert len(notes) == 1 and "port" in notes[0]
    assert ask("", "127.1", 0)[1] == deny("none", "protocol.request.bad")


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "", "a b", "[::1]", "x" * 64, "\x1b[2J"])
def test_what_is_no_host_is_refused_before_any_rule(ask, host):
    rules, answer, notes = ask("[rule all]\naction = allow\n", host, 80)
    assert (rules, answer) == ([], deny("none", "resolver.name.invalid"))
    assert len(notes) == 1


def test_the_built_in_default():
    if os.path.exists("/etc/pairsocks/pairsocks.ini"):
        pytest.skip("this machine has a configuration")
    done = call("explain", "--listener", "default", "example.org", 80)
    assert (done.returncode, done.stdout) == (0, "decision: allow\nrule: default\nerror: none\n")


def test_nothing_is_asked_of_the_network(tmp_path, program):
    path, trace = tmp_path / "a.ini", tmp_path / "trace"
    path.write_text(LISTENERS + LAN)
    strace = [program("strace"), "-f", "-e", "trace=%network", "-o", trace]
    if subprocess.run([*strace, "true"], capture_output=True).returncode:
        pytest.skip("strace is not permitted here")
    if wait.SANITIZED:
        pytest.skip("a sanitizer's leak check cannot be traced")
    done = call("explain", "-c", path, "--listener", "main", "example.org", 80, prefix=strace)
    assert done.returncode == 0
    assert "socket" not in trace.read_text()


def test_a_bad_configuration_is_told_as_the_daemon_tells_it(tmp_path):
    path = tmp_path / "a.ini"
    path.write_text(LISTENERS + "[rule r]\nport = 90-80\naction = perhaps\n")
    done = call("explain", "-c", path, "--listener", "main", "example.org", 80)
    checked = subprocess.run([BINARY, "-c", path, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == checked.stderr and len(done.stderr.splitlines()) == 2


def test_a_file_that_is_not_there(tmp_path):
    done = call("explain", "-c", tmp_path / "none", "--listener", "main", "example.org", 80)
    assert (done.returncode, done.stdout) == (1, "") and str(tmp_path / "none") in done.stderr


def test_a_listener_that_is_not_there(tmp_path):
    path = tmp_path / "a.ini"
    path.write_text(LISTENERS)
    done = call("explain", "-c", path, "--listener", "mian", "example.org", 80)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(r"mian.*main, guarded, closed, public, lan, friends", done.stderr)


@pytest.mark.parametrize("arguments", [
    ["example.org", "80"],
    ["--listener", "main", "example.org"],
    ["--listener", "main", "example.org", "80", "more"],
    ["--listener", "main", "example.org", "65536"],
    ["--listener", "main", "example.org", "http"],
    ["--listener", "main", "--client", "localhost", "example.org", "80"],
    ["--listener", "main", "--address", "10.1", "example.org", "80"],
    ["--listener", "main", "--address", "192.0.2.1", "192.0.2.1", "80"],
    ["--listener", "main", "--command", "fly", "example.org", "80"],
    ["--listener"],
    ["--no-such-option"],
], ids=" ".join)
def test_a_wrong_command_line(tmp_path, arguments):
    path = tmp_path / "a.ini"
    path.write_text(LISTENERS)
    done = call("explain", "-c", path, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("pairsocks explain: ")


@pytest.mark.parametrize("arguments", [[], ["expalin"], ["--no-such-option"]])
def test_no_such_verb(arguments):
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "") and "usage: pairsocks" in done.stderr


def test_help_and_version():
    for arguments in (["--help"], ["explain", "--help"]):
        done = call(*arguments)
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("usage: pairsocks")
    assert call("--version").stdout.startswith("pairsocks 0.")


def test_an_answer_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run([COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "cannot write" in done.stderr


def manual_example(path):
    """The lines of each .Bd -literal of a manual."""
    return [part.split("\n.Ed")[0].splitlines()[1:] for part in path.read_text().split(".Bd -literal")[1:]]


def test_the_manuals_examples_are_true(tmp_path):
    path = tmp_path / "a.ini"
    example = manual_example(ROOT / "config" / "pairsocks.ini.5")[-1]
    path.write_text("\n".join(example) + "\n")
    shown = [line for lines in manual_example(ROOT / "cli" / "pairsocks.1") for line in lines
             if lines[0].startswith("$ pairsocks explain ")]
    said = []
    for line in shown:
        if line.startswith("$ pairsocks explain "):
            said += [line, *call("explain", "-c", path, *line.split()[3:]).stdout.splitlines()]
    assert said == shown


UPSTREAMS = """
[listener routed]
listen = 127.0.0.1:1088
route = remote
[listener resolving]
listen = 127.0.0.1:1089
route = remote
resolve_for_rules = yes
[upstream remote]
type = socks5
server = 192.0.2.1:1080
local_bypass = yes
[rule no-inside]
destination = 10.0.0.0/8
action = deny
"""


def test_guard_denies_local_names_on_the_way_to_a_proxy_that_resolves_them(ask):
    text = UPSTREAMS.replace("route = remote\n[listener res", "route = remote\nguard = yes\n[listener res").replace("local_bypass = yes", "")
    for name, answer in (("printer", deny("guard (local)", "policy.guard.denied")), ("a.local", deny("guard (local)", "policy.guard.denied")),
                         ("localhost", deny("guard (loopback)", "policy.guard.denied"))):  # fmt: skip
        assert ask(text, name, "80", listener="routed")[1] == answer
    assert ask(text, "a.example", "80", listener="routed")[1]["decision"] == "allow"


def test_names_for_a_proxy_that_resolves_them_are_judged_without_addresses(ask):
    lines, answer, notes = ask(UPSTREAMS, "a.example", "80", listener="routed")
    assert lines == ["rule no-inside (1 of 1): does not match: other destination"]
    assert (answer["decision"], answer["rule"], answer["route"]) == ("allow", "default", "remote")
    assert any("the proxy resolves the name" in note for note in notes)
    same = ask(UPSTREAMS, "a.example", "80", "--address", "10.0.0.1", listener="routed")
    assert same[1] == answer
    assert ask(UPSTREAMS, "a.example", "80", listener="resolving")[1]["decision"] == "depends on the address"
    _, answer, _ = ask(UPSTREAMS, "a.example", "80", "--address", "10.0.0.1", listener="resolving")
    assert (answer["decision"], answer["rule"]) == ("deny", "no-inside")
    assert ask(UPSTREAMS, "10.0.0.1", "80", listener="routed")[1]["decision"] == "deny"
    _, answer, _ = ask(UPSTREAMS, "printer", "80", "--address", "192.0.2.9", listener="routed")
    assert (answer["decision"], answer["route"]) == ("allow", "direct")


@pytest.mark.parametrize("way, carries", [
    ("type = socks4\nserver = a:1", True), ("type = socks5\nserver = a:1", True), ("type = http\nserver = a:1", False),
    ("type = direct", True), ("type = direct\nsend_proxy = v1", False), ("type = direct\nsecurity = tlsv1.3", False),
    ("type = direct\nvia = h\n[upstream h]\ntype = http\nserver = a:1", False),
    ("type = direct\nvia = s\n[upstream s]\ntype = socks5\nserver = a:1", True),
])  # fmt: skip
def test_a_bind_that_is_allowed_may_still_not_be_served(ask, way, carries):
    rules = f"[rule r]\ncommand = bind\naction = route way\n[upstream way]\n{way}\n"
    arguments = ("--command", "bind", "--client", "192.0.2.1", "8.8.8.8", 80)
    _, answer, notes = ask(rules, *arguments)
    assert answer == {**allow("r"), "route": "way"}
    assert notes == ([] if carries else ["note: this route cannot carry a bind: protocol.command.unsupported"])
    _, _, notes = ask(rules, *arguments, listener="public")
    assert notes[0] == "note: this listener does not serve the command: protocol.command.unsupported"


@pytest.mark.parametrize("way, carries", [
    ("type = socks5\nserver = a:1", True), ("type = direct", True), ("type = socks4\nserver = a:1", False),
    ("type = http\nserver = a:1", False), ("type = socks5\nserver = a:1\nsecurity = tlsv1.3", False),
    ("type = socks5\nserver = a:1\nsend_proxy = v2", False), ("type = direct\nsecurity = tlsv1.3", False),
    ("type = direct\nvia = s\n[upstream s]\ntype = socks5\nserver = a:1", True),
    ("type = socks5\nserver = a:1\nvia = h\n[upstream h]\ntype = http\nserver = a:1", False),
])  # fmt: skip
def test_datagrams_that_are_allowed_may_still_have_no_way(ask, way, carries):
    rules = f"[rule r]\ncommand = udp\naction = route way\n[upstream way]\n{way}\n"
    _, answer, notes = ask(rules, "--command", "udp", "--client", "192.0.2.1", "8.8.8.8", 80)
    assert answer == {**allow("r"), "route": "way"}
    assert notes == ([] if carries else ["note: this route cannot carry datagrams: protocol.command.unsupported"])
