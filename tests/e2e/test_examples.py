"""The files of examples/, each as it is written, on a machine with the addresses and names that it speaks of: what its
comments say is so."""

import pathlib
import re

import pytest

from harness import tls
from harness.daemon import BINARY, ROOT
from harness.machine import COMMAND, Machine
from harness.socks import ALL, request5
from harness.targets import Echo, Silent

EXAMPLES = ROOT / "examples"
PACKAGED = ROOT / "debian" / "etc" / "pairsocks" / "pairsocks.ini"
WORLD = "93.184.215.14"  # a public address: the guard has nothing against it
HERE = "198.51.100.1"  # this machine's, as others reach it
DENIED = 2  # SOCKS5's reply
PAGE = b"a page\n"


@pytest.fixture
def machine(launch, keep):
    one = Machine(launch, keep)
    one.answers_at(WORLD, HERE)
    return one


@pytest.fixture
def start(machine):
    """start(name): the daemon with that example. `change`: (from, to) of its text, which has to be there."""

    def run(name, *changes, **more):
        text = (EXAMPLES / name).read_text()
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        return machine.start(f"/etc/pairsocks/{name}", text, **more)

    return run


@pytest.fixture
def web(machine, tmp_path):
    """https://example.org/ out in the world; `.trust`: what curl has to be told to believe it."""
    machine.knows(example_org=WORLD)
    page = secured_page(machine, tmp_path / "web", WORLD, "example.org")
    machine.page(WORLD, 80, PAGE)
    return page


def secured_page(machine, folder, host, *names):
    folder.mkdir()
    page = machine.page(host, 443, PAGE, context=server_context(folder, *names))
    page.trust = ["--cacert", folder / "certificate.pem"]
    return page


def server_context(folder, *names):
    _, _, both = tls.make_certificate(folder, names=names)
    context = tls.ssl.SSLContext(tls.ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


def commands(name):
    """The lines of an example's comments that are commands."""
    text = (EXAMPLES / name).read_text()
    return re.findall(r"^#     ((?:.*\\\n)*.*)", text, re.M), text


def test_every_example_is_tested_here():
    here = pathlib.Path(__file__)
    text = here.read_text() + here.with_name("test_examples_ways.py").read_text()
    assert sorted(path.name for path in EXAMPLES.iterdir()) == sorted(set(re.findall(r'"([a-z-]+\.ini)"', text)) - {PACKAGED.name})


def test_the_packages_own_configuration_is_the_built_in_one_but_for_the_log(machine):
    dumps = [machine.run([BINARY, *words, "--dump-config"]) for words in ([], ["-c", PACKAGED])]
    assert [done.returncode for done in dumps] == [0, 0]
    built_in, packaged = [set(done.stdout.splitlines()) for done in dumps]
    assert (built_in - packaged, packaged - built_in) == ({b"log_target = stderr"}, {b"log_target = journal"})


# --- local.ini


def test_local_its_own_commands_get_a_page(machine, start, web):
    daemon = start("local.ini")
    lines, _ = commands("local.ini")
    assert len(lines) == 2
    for line in lines:
        words = line.split()
        assert words[0] == "curl"
        assert machine.curl(*words[1:], *web.trust) == PAGE
    for protocol in "socks5", "http":
        daemon.wait_for(event="session", protocol=protocol)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("protocol", ALL)
def test_local_serves_all_protocols_on_both_loopbacks_and_nowhere_else(machine, start, keep, protocol, host):
    start("local.ini")
    echo = keep(Echo(sock=machine.bound("127.0.0.1", 0)))
    client = machine.client((host, 1080))
    client.connect(protocol, echo.host, echo.port)  # the guard lets it: this machine's own
    client.send(b"ping")
    assert client.read(4) == b"ping"
    with pytest.raises(ConnectionRefusedError):
        machine.client((HERE, 1080))


def test_local_the_guard_can_be_had(machine, start, keep):
    daemon = start("local.ini", ("#guard = yes", "guard = yes"))
    echo = keep(Echo(sock=machine.bound("127.0.0.1", 0)))
    client = machine.client(("127.0.0.1", 1080))
    assert client.negotiate("socks5", echo.host, echo.port).code == DENIED
    client.expect_closed()
    assert daemon.session(client)["error"] == "policy.guard.denied"


def test_local_port_25_is_denied_and_587_is_not(machine, start, keep):
    daemon = start("local.ini")
    for port in 25, 587:
        keep(Echo(sock=machine.bound(WORLD, port)))
    client = machine.client(("127.0.0.1", 1080))
    assert client.negotiate("socks5", WORLD, 25).code == DENIED
    client.expect_closed()
    assert daemon.session(client)["rule"] == "no-mail"
    machine.client(("127.0.0.1", 1080)).connect("socks5", WORLD, 587)


def test_local_has_one_worker_and_gives_up_after_15_seconds(machine, start, keep, fast_clock):
    daemon = start("local.ini", environment=fast_clock(20))
    silent = keep(Silent(sock=machine.bound(WORLD, 7), make_socket=machine.make_socket))
    client = machine.client(("127.0.0.1", 1080))
    assert client.negotiate("socks5", silent.host, silent.port).code != 0
    client.expect_closed()
    record = daemon.session(client)
    assert record["error"] == "system.connect.timeout"
    assert 15000 <= int(record["setup_ms"]) < 25000


# --- office.ini

ALICE, LOBBY = ("alice", "correct horse"), ("lobby", "come in")


@pytest.fixture
def office(machine, start, web, keep):
    """The gateway; its users are made as it says. `.ask(who, host, port, ...)`: the error of a session."""
    machine.answers_at("192.0.2.7", "192.0.2.8", "2001:db8:1::7", "2001:db8::1", "203.0.113.9", "10.20.30.5", "10.1.1.1")
    [line], _ = commands("office.ini")
    assert line == "pairsocks passwd alice >> /etc/pairsocks/users"
    for name, password in ALICE, LOBBY:
        script = line.replace("pairsocks", str(COMMAND), 1).replace("alice", name)
        done = machine.run(["sh", "-ec", script], data=password.encode())
        assert done.returncode == 0, done.stderr
    daemon = start("office.ini")

    def ask(who, host, port, source="192.0.2.7", protocol="socks5"):
        client = machine.client(("2001:db8::1" if ":" in source else HERE, 1080), source=source)
        assert (client.greet(2), client.login(*who)) == (2, 0)
        client.send(request5(host, port))
        code = client.read_reply5().code
        if code:
            client.expect_closed()
        client.close()
        record = daemon.session(client)
        assert (record["error"] == "none") == (code == 0)
        return record["error"], record["rule"]

    daemon.ask = ask
    return daemon


def serve(machine, keep, host, *ports):
    for port in ports:
        keep(Echo(sock=machine.bound(host, port)))


def test_office_a_user_gets_a_page_and_a_wrong_password_nothing(machine, office, web):
    url, proxy = "https://example.org/", ["--socks5-hostname", f"{HERE}:1080", "--interface", "192.0.2.7"]
    assert machine.curl(*proxy, "--proxy-user", ":".join(ALICE), *web.trust, url) == PAGE
    assert machine.curl(*proxy, "--proxy-user", "alice:wrong", *web.trust, url) == 97  # CURLE_PROXY
    office.wait_for(event="auth_failed", user="alice")
    http = ["--proxy", f"http://{HERE}:1080", *proxy[2:]]
    assert machine.curl(*http, "--proxy-user", ":".join(ALICE), *web.trust, url) == PAGE


@pytest.mark.parametrize("source", ["203.0.113.9", "2001:db8::1"])
def test_office_others_are_closed_before_a_word(machine, office, source):
    client = machine.client(("2001:db8::1" if ":" in source else HERE, 1080), source=source)
    client.expect_closed()


def test_office_serves_its_ipv6_network(machine, office):
    assert office.ask(ALICE, "example.org", 443, source="2001:db8:1::7") == ("none", "web")


def test_office_the_rules(machine, office, keep):
    machine.knows(www_example_com=WORLD, example_com=WORLD, printer_corp="10.20.30.5")
    serve(machine, keep, WORLD, 22, 25)
    serve(machine, keep, "10.20.30.5", 22, 80, 631, 9100)
    serve(machine, keep, "10.1.1.1", 80)
    no_rule, guard = ("policy.rule.denied", "-"), ("policy.guard.denied", "-")
    for who, host, port, expected in [
        (LOBBY, "example.com", 443, ("none", "lobby-pages")),
        (LOBBY, "www.example.com", 443, ("none", "lobby-pages")),
        (LOBBY, "www.example.com", 80, ("policy.rule.denied", "lobby")),
        (LOBBY, "example.org", 443, ("policy.rule.denied", "lobby")),
        (LOBBY, "10.20.30.5", 9100, ("policy.rule.denied", "lobby")),
        (ALICE, "example.org", 80, ("none", "web")),
        (ALICE, "10.20.30.5", 631, ("none", "printers")),
        (ALICE, "printer.corp", 9100, ("none", "printers")),
        (ALICE, "10.20.30.5", 80, guard),
        (ALICE, "10.1.1.1", 80, guard),
        (ALICE, "127.0.0.1", 80, guard),
        (ALICE, WORLD, 22, ("none", "ssh")),
        (ALICE, WORLD, 25, no_rule),
    ]:
        assert office.ask(who, host, port) == expected, (who, host, port)


def test_office_explain_says_the_same(machine, office):
    _, text = commands("office.ini")
    line = re.search(r"`pairsocks (explain .*) HOST\n# PORT`|`pairsocks (explain .*) HOST PORT`", text)
    words = next(group for group in line.groups() if group).split()
    done = machine.run([COMMAND, *words, "-c", "/etc/pairsocks/office.ini", "example.org", "443"])
    assert done.returncode == 0, done.stderr
    assert b"decision: allow\nrule: web\n" in done.stdout


def test_office_a_user_has_20_sessions_and_no_more(machine, office, keep):
    clients = [machine.client((HERE, 1080), source=("192.0.2.7", "192.0.2.8")[number % 2]) for number in range(21)]
    for client in clients[:20]:
        client.connect_as(*ALICE, WORLD, 80)
    last = clients[20]
    assert last.greet(2) == 2 and last.login(*ALICE) != 0
    last.expect_closed()
    assert office.session(last)["error"] == "policy.limit.user"
