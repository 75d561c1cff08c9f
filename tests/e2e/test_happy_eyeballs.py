"""Several addresses of one name (RFC 8305): the first that connects wins, soon, whatever the others do."""

import select

import pytest

from harness import wait
from harness.dns import AAAA, NXDOMAIN, SERVFAIL, SILENT, Held, Scripted
from harness.socks import request5
from harness.targets import Listener, Refusing, Silent, same_port
from harness.tcp_table import dialing

SOON = 2000  # milliseconds: far below the connect timeout, far above 250 ms for the next attempt


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def eager(pairsocks, dns):
    return pairsocks(daemon={"nameserver": dns.nameserver}, connect_timeout="40s")


@pytest.fixture
def brief(pairsocks, dns):
    return pairsocks(daemon={"nameserver": dns.nameserver}, connect_timeout="1500ms")


def reached(daemon, client, name, target, host):
    """The session to `name` stands, soon, with `target`, at `host`."""
    client.connect("socks5", name, target.port)
    target.accept()
    client.reset()
    session = daemon.session(client)
    shown = f"[{host}]" if ":" in host else host
    assert session["address"] == f"{shown}:{target.port}"
    assert int(session["setup_ms"]) < wait.seconds(SOON)
    return session


def both_families(keep, six, four):
    """Targets of these classes on ::1 and 127.0.0.1, with one port."""
    s6, s4 = same_port("::1", "127.0.0.1")
    return keep(six(sock=s6)), keep(four(sock=s4))


def test_ipv6_that_does_not_answer_gives_way_to_ipv4(eager, dns, dial, keep):
    _, target = both_families(keep, Silent, Listener)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    reached(eager, dial(eager), name, target, "127.0.0.1")


def test_ipv4_that_does_not_answer_gives_way_to_ipv6(eager, dns, dial, keep):
    target, _ = both_families(keep, Listener, Silent)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    reached(eager, dial(eager), name, target, "::1")


def test_ipv6_that_refuses_gives_way_to_ipv4_at_once(eager, dns, dial, keep):
    _, target = both_families(keep, Refusing, Listener)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    reached(eager, dial(eager), name, target, "127.0.0.1")


def test_ipv6_is_preferred_where_both_answer(eager, dns, dial, keep):
    target, _ = both_families(keep, Listener, Listener)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    reached(eager, dial(eager), name, target, "::1")


@pytest.mark.parametrize("dead", [Refusing, Silent])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_dead_addresses_do_not_hide_the_one_that_lives(eager, dns, dial, keep, dead, position):
    hosts = ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    sockets = same_port(*hosts)
    kinds = [Listener if at == position else dead for at in range(3)]
    targets = [keep(kind(sock=sock)) for kind, sock in zip(kinds, sockets)]
    name = dns.name("many.test", a=hosts)
    reached(eager, dial(eager), name, targets[position], hosts[position])


@pytest.mark.parametrize(("files", "at_once"), [(None, 4), (64, 2)])
def test_many_silent_addresses_hold_few_descriptors_and_do_not_hide_the_one_that_lives(
        pairsocks, dns, dial, keep, files, at_once):
    """Beside the first, attempts need descriptors that a small limit has few of to spare."""
    daemon = pairsocks(daemon={"nameserver": dns.nameserver, "workers": 1}, files=files,
                       connect_timeout="40s")
    hosts = [f"127.0.0.{n}" for n in range(2, 14)]
    sockets = same_port(*hosts)
    silent = [keep(Silent(sock=sock)) for sock in sockets[:-1]]
    target = keep(Listener(sock=sockets[-1]))
    name = dns.name("many.test", a=hosts)
    client = dial(daemon)
    client.greet5()
    before = daemon.descriptors()
    seen = []

    def arrived():
        seen.append(daemon.descriptors())
        return select.select([target.sock], [], [], 0)[0]

    client.send(request5(name, target.port))
    wait.until(arrived, "the last address to be tried")
    assert max(seen) <= before + at_once + len(("a question", "hosts file"))
    target.accept()
    assert client.read_reply("socks5").code == 0
    assert len(silent) == 11


def test_socks4a_tries_every_ipv4_address(eager, dns, dial, keep):
    hosts = ["127.0.0.2", "127.0.0.3"]
    for alive in (0, 1):
        sockets = same_port(*hosts)
        kinds = (Listener, Refusing) if alive == 0 else (Refusing, Listener)
        targets = [keep(kind(sock=sock)) for kind, sock in zip(kinds, sockets)]
        name = dns.name(f"many{alive}.test", a=hosts)
        client = dial(eager)
        client.connect("socks4a", name, targets[alive].port)
        targets[alive].accept()


@pytest.mark.parametrize("aaaa", [SILENT, NXDOMAIN, SERVFAIL, ()])
def test_the_connection_does_not_wait_for_an_aaaa_that_never_comes(eager, dns, dial, keep, aaaa):
    target = keep(Listener())
    name = dns.name("four.test", a=["127.0.0.1"], aaaa=aaaa)
    reached(eager, dial(eager), name, target, "127.0.0.1")


@pytest.mark.parametrize("a", [SILENT, SERVFAIL, ()])
def test_the_connection_does_not_wait_for_an_a_that_never_comes(eager, dns, dial, keep, a):
    target = keep(Listener("::1"))
    name = dns.name("six.test", a=a, aaaa=["::1"])
    reached(eager, dial(eager), name, target, "::1")


def test_an_aaaa_that_comes_late_is_still_tried(eager, dns, dial, keep):
    """IPv4 is being dialed in vain when the AAAA arrives."""
    target, silent = both_families(keep, Listener, Silent)
    late = Held(["::1"])
    name = dns.name("late.test", a=["127.0.0.1"], aaaa=late)
    client = dial(eager)
    client.ask("socks5", name, target.port)
    wait.until(lambda: dns.asked(name, AAAA) and dialing(silent.port), "IPv4 to be dialed")
    late.release()
    target.accept()
    assert client.read_reply5().code == 0


def test_the_attempts_that_lost_are_given_up(eager, dns, dial, keep):
    silent, target = both_families(keep, Silent, Listener)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    client = dial(eager)
    client.connect("socks5", name, target.port)
    target.accept()
    wait.until(lambda: not dialing(silent.port), "the other attempt to end")


def test_the_target_gets_one_connection_only(eager, dns, dial, keep):
    """Both families answer, the IPv6 one first: nobody connects to the IPv4 one."""
    target, other = both_families(keep, Listener, Listener)
    name = dns.name("both.test", a=["127.0.0.1"], aaaa=["::1"])
    client = dial(eager)
    client.connect("socks5", name, target.port)
    target.accept()
    assert other.nobody_came(0.5)


def failed(daemon, client, name, port, code, error):
    assert client.negotiate("socks5", name, port).code == code
    client.expect_closed()
    assert daemon.session(client)["error"] == error


def test_all_silent_is_a_timeout(brief, dns, dial, keep):
    one, _ = both_families(keep, Silent, Silent)
    name = dns.name("dead.test", a=["127.0.0.1"], aaaa=["::1"])
    failed(brief, dial(brief), name, one.port, 6, "system.connect.timeout")


def test_all_refusing_is_refused(brief, dns, dial, keep):
    one, _ = both_families(keep, Refusing, Refusing)
    name = dns.name("dead.test", a=["127.0.0.1"], aaaa=["::1"])
    failed(brief, dial(brief), name, one.port, 5, "system.connect.refused")


@pytest.mark.parametrize("six,four", [(Refusing, Silent), (Silent, Refusing)])
def test_refused_tells_more_than_a_timeout(brief, dns, dial, keep, six, four):
    one, _ = both_families(keep, six, four)
    name = dns.name("dead.test", a=["127.0.0.1"], aaaa=["::1"])
    failed(brief, dial(brief), name, one.port, 5, "system.connect.refused")


def test_a_timeout_tells_more_than_unreachable(brief, dns, dial, keep):
    """255.255.255.255 cannot be connected to on any machine (network unreachable, or denied by the kernel)."""
    silent = keep(Silent())
    name = dns.name("dead.test", a=["255.255.255.255", "127.0.0.1"])
    failed(brief, dial(brief), name, silent.port, 6, "system.connect.timeout")


def test_refused_tells_more_than_unreachable(brief, dns, dial, keep):
    refusing = keep(Refusing())
    name = dns.name("dead.test", a=["127.0.0.1", "255.255.255.255"])
    failed(brief, dial(brief), name, refusing.port, 5, "system.connect.refused")
