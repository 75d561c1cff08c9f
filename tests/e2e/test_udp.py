"""UDP ASSOCIATE: what passes, what does not, and what the log says of both (RFC 1928, 7)."""

import math
import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

from harness import tls, wait
from harness.daemon import ROOT
from harness.dns import Dnsmasq, Held, Scripted
from harness.proxies import Dante, Script, read_request5
from harness.socks import UDP, request5
from harness.targets import bound
from harness.udp import Association, Echo, Hearer, header, parse, udp_socket, wait_until_read
from harness.users import UsersFile

ALLOW, DENY = {"action": "allow"}, {"action": "deny"}
DROPPED = "dropped_"
NODE_PATH = os.environ.get("NODE_PATH") or str(ROOT / "build" / "npm" / "node_modules")


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def associate(dial, keep):
    """associate(daemon): an association of a new connection, which must be granted unless `code` says else."""

    def one(daemon, *, code=0, listener="main", version=4, host="0.0.0.0", port=0, source=None):
        client = dial(daemon, address=daemon.address(version, listener), source=source)
        client.greet5()
        association = keep(Association(client, host, port))
        assert association.reply.code == code, association.reply
        return association

    return one


def finish(daemon, association):
    """Ends its connection; returns the session line and, of it, what was dropped."""
    association.client.close()
    record = daemon.session(association.client)
    dropped = {key[len(DROPPED) :]: int(value) for key, value in record.items() if key.startswith(DROPPED)}
    return record, dropped


def refused(daemon, association, error):
    assert (association.reply.host, association.reply.port) == ("0.0.0.0", 0)
    association.client.expect_closed()
    record = daemon.session(association.client)
    assert (record["error"], record["command"]) == (error, "udp")
    return record


# --- what passes


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_pass_both_ways_and_the_log_counts_them(daemon, associate, keep, version):
    echo4, echo6 = keep(Echo()), keep(Echo("::1"))
    a = associate(daemon, version=version, host="::" if version == 6 else "0.0.0.0")
    assert a.relay[0] == ("::1" if version == 6 else "127.0.0.1")
    for size in (0, 1, 1200, 9000, 60000):
        a.exchange(echo4, os.urandom(size))
        a.exchange(echo6, os.urandom(size))
    a.send("localhost", echo4.port, b"by name")
    assert a.receive() == ("127.0.0.1", echo4.port, b"by name")
    a.send("::ffff:127.0.0.1", echo4.port, b"mapped")
    assert a.receive() == ("127.0.0.1", echo4.port, b"mapped")
    a.send(b"127.0.0.1", echo4.port, b"te")  # an address as a name's text means itself
    assert a.receive() == ("127.0.0.1", echo4.port, b"te")
    record, dropped = finish(daemon, a)
    total = str(2 * 70201 + 7 + 6 + 2)
    assert (record["sent"], record["received"], record["error"]) == (total, total, "none")
    assert (record["datagrams_sent"], record["datagrams_received"], record["command"]) == ("13", "13", "udp")
    assert (record["address"], record["route"], dropped) == (f"127.0.0.1:{echo4.port}", "direct", {})


def test_the_largest_datagrams_pass_and_larger_ones_are_counted(daemon, associate, keep):
    echo = keep(Hearer())
    a = associate(daemon)
    most = 65507 - len(header("127.0.0.1", 1))
    a.send(echo.host, echo.port, b"x" * most)
    data, sender = echo.receive()
    assert data == b"x" * most
    echo.send(b"y" * 65507, sender)  # with its header it has no room
    echo.send(b"z" * most, sender)
    assert a.receive().data == b"z" * most
    assert finish(daemon, a)[1] == {"too_large": 1}


def test_a_burst_passes_in_batches_whole_and_in_order(daemon, associate, keep):
    target = keep(Hearer())
    target.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
    a = associate(daemon)
    words = [b"%03d" % i + bytes(500) for i in range(100)]
    for word in words:
        a.send(target.host, target.port, word)
    got = [target.receive() for _ in words]
    assert [data for data, _ in got] == words and len({sender for _, sender in got}) == 1
    for word in words:
        target.send(word, got[0][1])
    assert [a.receive().data for _ in words] == words


def test_names_are_resolved_once_and_what_came_before_waits(pairsocks, associate, keep, dns):
    echo = keep(Echo())
    held = Held(["127.0.0.1"])
    dns.table["slow.test", 1] = held
    dns.name("six.test", a=[], aaaa=["::1"])
    six = keep(Echo("::1"))
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    a = associate(daemon)
    for i in range(70):  # 16 wait, and keep those for another name from nothing
        a.send("slow.test", echo.port, b"%d" % i)
    a.send("six.test", six.port, b"v6")
    assert a.receive() == ("::1", six.port, b"v6")
    held.release()
    assert [int(a.receive().data) for _ in range(16)] == list(range(16))
    a.send("slow.test", echo.port, b"again")
    assert a.receive().data == b"again"
    assert dns.asked("slow.test", 1) == 1
    dns.name("later.test", a=["127.0.0.1"])
    a.send("no.test", echo.port, b"never")
    a.send("127.1", echo.port, b"never")
    a.send(b"a\0b", echo.port, b"never")
    wait.until(lambda: dns.asked("no.test", 28), "the question")
    a.exchange(echo, host="later.test")  # whose answer comes behind that one
    record, dropped = finish(daemon, a)
    assert dropped == {"no_buffer": 54, "unresolved": 3}
    assert "never" not in str(echo.heard)


def test_a_connection_that_ends_while_names_are_asked_leaves_nothing(pairsocks, associate, dns):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    for i in range(12):
        dns.table[f"s{i}.test", 1] = "silent"
    a = associate(daemon)
    for i in range(12):  # eight at a time
        a.send(f"s{i}.test", 53, b"x")
    wait.until(lambda: len({name for name, _ in dns.queries}) == 8, lambda: dns.queries)
    record, dropped = finish(daemon, a)
    assert dropped == {"unresolved": 4} and record["datagrams_sent"] == "0"


def test_icmp_errors_are_counted_and_end_nothing(daemon, associate, keep):
    echo = keep(Echo())
    gone = keep(udp_socket())  # the port is taken, but for everybody but one peer nobody is there
    gone.connect(("127.0.0.1", 9))
    port = gone.getsockname()[1]
    a = associate(daemon)
    for _ in range(3):
        a.send("127.0.0.1", port, b"to nobody")
        a.exchange(echo)
    record, dropped = finish(daemon, a)
    assert int(record["icmp_errors"]) == 3 and dropped == {}
    assert (record["datagrams_sent"], record["error"]) == ("6", "none")


def test_a_target_without_a_route_is_counted(daemon, associate, keep):
    a = associate(daemon)
    a.send("255.255.255.255", 9, b"broadcast")
    a.exchange(keep(Echo()))
    assert finish(daemon, a)[1] == {"unreachable": 1}


# --- who may send, and who may answer


def test_datagrams_of_anybody_else_are_dropped_and_counted(daemon, associate, keep):
    echo = keep(Echo())
    a = associate(daemon)
    packet = header(echo.host, echo.port) + b"spoofed"
    with udp_socket("127.0.0.9") as stranger, udp_socket() as other_port:
        stranger.sendto(packet, a.relay)  # before the port is known
        a.exchange(echo)
        stranger.sendto(packet, a.relay)
        other_port.sendto(packet, a.relay)  # the first has fixed it
        a.exchange(echo)
    assert finish(daemon, a)[1] == {"not_client": 3}
    assert b"spoofed" not in echo.heard


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_port_of_the_request_is_the_only_one(daemon, dial, keep, host):
    echo = keep(Echo())
    with udp_socket() as named:
        client = dial(daemon)
        client.greet5()
        a = keep(Association(client, host, named.getsockname()[1]))
        a.send(echo.host, echo.port, b"from another port")
        named.sendto(header(echo.host, echo.port) + b"named", a.relay)
        assert parse(named.recv(100)).data == b"named"
    assert finish(daemon, a)[1] == {"not_client": 1}


def test_an_address_in_the_request_that_is_not_the_clients_means_nothing(daemon, associate, keep):
    """A NAT has changed it, and perhaps the port."""
    echo = keep(Echo())
    a = associate(daemon, host="192.0.2.1", port=1)
    a.exchange(echo)
    b = associate(daemon, host="client.test", port=1)
    b.exchange(echo)


@pytest.mark.parametrize("udp_filter", ["endpoint", "address"])
def test_only_who_was_written_to_may_answer(pairsocks, associate, keep, udp_filter):
    daemon = pairsocks(udp_filter=udp_filter)
    target, same_host, stranger = keep(Hearer()), keep(Hearer()), keep(Hearer("127.0.0.9"))
    a = associate(daemon)
    a.send(target.host, target.port, b"hello")
    _, relay = target.receive()
    same_host.send(b"from another port", relay)
    stranger.send(b"from another host", relay)
    target.send(b"answer", relay)
    if udp_filter == "address":
        assert a.receive() == (same_host.host, same_host.port, b"from another port")
    assert a.receive() == (target.host, target.port, b"answer")
    assert finish(daemon, a)[1] == {"not_asked": 1 if udp_filter == "address" else 2}


def test_targets_beyond_the_bound_push_out_the_one_that_was_quiet_longest(pairsocks, associate, keep):
    daemon = pairsocks(udp_max_targets=2)
    first, second, third = (keep(Hearer()) for _ in range(3))
    a = associate(daemon)
    for target in (first, second, first, third):
        a.send(target.host, target.port, b"x")
        _, relay = target.receive()
    for target in (first, second, third):
        target.send(b"answer", relay)
    assert {a.receive().port, a.receive().port} == {first.port, third.port}
    assert finish(daemon, a)[1] == {"not_asked": 1}


# --- headers and fragments


def test_bad_headers_are_dropped_at_every_byte_and_the_association_stands(daemon, associate, keep):
    echo = keep(Echo())
    a = associate(daemon)
    count = 0
    for host in ("127.0.0.1", "::1", "a.test"):
        whole = header(host, 53)
        for n in range(len(whole)):
            a.send_raw(whole[:n])
            count += 1
        a.exchange(echo)
    bad = [header("127.0.0.1", 53, rsv=1), header("127.0.0.1", 53, rsv=0x100), header("127.0.0.1", 53, atyp=0),
           header("127.0.0.1", 53, atyp=2), header("127.0.0.1", 53, atyp=5), header("127.0.0.1", 0), header(b"", 53)]  # fmt: skip
    for packet in bad:
        a.send_raw(packet + b"x" * 30)
    a.exchange(echo)
    assert finish(daemon, a)[1] == {"bad_header": count + len(bad)}


def test_a_bad_header_does_not_fix_the_clients_port(daemon, associate, keep):
    a = associate(daemon)
    with udp_socket() as other:
        other.sendto(b"noise", a.relay)
        a.exchange(keep(Echo()))
    assert finish(daemon, a)[1] == {"bad_header": 1}


SEQUENCES = [  # FRAGs, each datagram carries the letter of its place; what passes; fragments lost
    ([0x81], [b"a"], 0),
    ([1, 2, 0x83], [b"abc"], 0),
    ([1, 0x82, 1, 0x82], [b"ab", b"cd"], 0),
    ([1, 2, 1, 0x82], [b"cd"], 2),
    ([1, 1, 0x82], [b"ac"], 1),
    ([1, 3, 0x82], [], 3),
    ([0x82], [], 1),
    ([0x80], [], 1),
    ([1, 0, 0x82], [b"b"], 2),
]


def test_fragments_become_whole_or_nothing(daemon, associate, keep):
    target = keep(Hearer())
    a, lost = associate(daemon), 0
    for frags, passes, dropped in SEQUENCES:
        for i, frag in enumerate(frags):
            a.send(target.host, target.port, b"abcdef"[i : i + 1], frag=frag)
        a.send(target.host, target.port, b"end")
        assert [target.receive()[0] for _ in passes] == passes, frags
        assert target.receive()[0] == b"end", frags
        lost += dropped
    a.send(target.host, target.port, b"x" * 40000, frag=1)
    a.send(target.host, target.port, b"y" * 20000, frag=0x82)
    assert target.receive()[0] == b"x" * 40000 + b"y" * 20000
    a.send(target.host, target.port, b"x" * 40000, frag=1)
    a.send(target.host, target.port, b"y" * 40000, frag=0x82)  # more than a datagram holds
    a.send(target.host, target.port, b"x", frag=1)  # never ended
    a.send(target.host, target.port, b"y", frag=2)
    a.send(target.host, target.port, b"end")
    assert target.receive()[0] == b"end"
    assert finish(daemon, a)[1] == {"fragment": lost + 4}


def test_fragments_of_a_name_wait_for_it_as_one(pairsocks, associate, keep, dns):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    echo = keep(Echo())
    dns.name("echo.test", a=["127.0.0.1"])
    a = associate(daemon)
    a.send("echo.test", echo.port, b"one ", frag=1)
    a.send("echo.test", echo.port, b"two", frag=0x82)
    assert a.receive().data == b"one two"


def test_fragments_in_any_proxys_answer_are_not_passed_on(pairsocks, associate, keep):
    """The header of a proxy is a header like any other."""
    target = ("192.0.2.7", 53)
    with udp_socket() as relay:

        def grant(wire):
            read_request5(wire)
            wire.send(request5(*relay.getsockname(), command=0))
            wire.read_to_end_or_reset()

        proxy = keep(Script(grant))
        daemon = pairsocks(route="proxy", upstreams={"proxy": {"type": "socks5", "server": proxy}})
        a = associate(daemon)
        a.send(*target, b"question")
        packet, sender = relay.recvfrom(100)
        assert packet == header(*target) + b"question"
        for answer in (header(*target, frag=1), header(*target, rsv=1), b"", header("192.0.2.8", 53)):
            relay.sendto(answer + b"no", sender)
        relay.sendto(header(*target) + b"answer", sender)
        assert a.receive() == (*target, b"answer")
        assert finish(daemon, a)[1] == {"fragment": 1, "bad_header": 2, "not_asked": 1}


# --- rules, guard and bounds


@pytest.fixture
def judged(pairsocks, associate, keep, dns):
    """judged(rules, datagrams, ...): sends to each (host, port); returns (which arrived, what was dropped, the record)."""

    def one(rules, datagrams, **keys):
        daemon = pairsocks(daemon={"nameserver": dns.nameserver}, rules=rules, **keys)
        targets, got = {}, []
        a = associate(daemon)
        for i, (host, port) in enumerate(datagrams):
            a.send(host, port, b"%d" % i)
        a.sock.settimeout(wait.seconds(1))
        with pytest.raises(TimeoutError):
            while True:
                got.append(int(a.receive().data))
        record, dropped = finish(daemon, a)
        return sorted(got), dropped, record

    return one


def test_rules_judge_each_target_by_name_and_by_address(judged, keep, dns):
    echo, other = keep(Echo()), keep(Echo("127.0.0.2"))
    dns.name("good.test", a=["127.0.0.1"])
    dns.name("bad.test", a=["127.0.0.1"])
    dns.name("inside.test", a=["127.0.0.2"])
    dns.name("mixed.test", a=["127.0.0.2", "127.0.0.1"])
    rules = {
        "no-name": {**DENY, "destination": "bad.test, *.bad.test"},
        "no-address": {**DENY, "destination": "127.0.0.2", "command": "udp"},
        "tcp": {**DENY, "command": "connect"},
    }
    hosts = [("127.0.0.1", echo.port), ("127.0.0.2", other.port), ("good.test", echo.port), ("bad.test", echo.port),
             ("BAD.test.", echo.port), ("a.bad.test", echo.port), ("inside.test", other.port), ("mixed.test", echo.port),
             ("::ffff:127.0.0.2", other.port)]  # fmt: skip
    got, dropped, record = judged(rules, hosts)
    assert got == [0, 2, 7]
    assert dropped == {"denied": 6} and other.heard == []
    assert dns.asked("bad.test") == dns.asked("a.bad.test") == 0


def test_rules_go_by_port_and_by_the_user_who_logged_in(pairsocks, dial, keep, tmp_path):
    echo, closed = keep(Echo()), keep(Echo())
    users = UsersFile(tmp_path / "users", alice="one", bob="two")
    daemon = pairsocks(auth="password", users_file=users.path, default="deny",
                       rules={"port": {**DENY, "port": closed.port}, "alice": {**ALLOW, "user": "alice", "command": "udp"}})  # fmt: skip
    client = dial(daemon)
    assert (client.greet(2), client.login("alice", "one")) == (2, 0)
    a = keep(Association(client))
    a.send(closed.host, closed.port, b"denied")
    a.exchange(echo)
    record, dropped = finish(daemon, a)
    assert (record["user"], dropped, closed.heard) == ("alice", {"denied": 1}, [])
    client = dial(daemon)
    assert (client.greet(2), client.login("bob", "two")) == (2, 0)
    refused(daemon, bob := Association(client), "policy.rule.denied")
    assert bob.reply.code == 2


def test_towards_a_proxy_that_resolves_literals_and_local_names_are_guarded(pairsocks, associate, keep, dns):
    """As for CONNECT: names are the proxy's to resolve, unless rules want the address."""
    heard = []
    with udp_socket() as relay:

        def grant(wire):
            read_request5(wire)
            wire.send(request5(*relay.getsockname(), command=0))
            wire.read_to_end_or_reset()

        proxy = {"type": "socks5", "server": keep(Script(grant))}
        dns.name("inside.test", a=["10.0.0.1"])
        dns.name("outside.test", a=["8.8.8.8"])
        listeners = {"plain": {"listen": "127.0.0.1:0", "route": "proxy", "guard": "yes"},
                     "resolving": {"listen": "127.0.0.1:0", "route": "proxy", "guard": "yes", "resolve_for_rules": "yes"}}  # fmt: skip
        daemon = pairsocks(listeners=listeners, upstreams={"proxy": proxy}, daemon={"nameserver": dns.nameserver},
                           rules={"no": {**DENY, "destination": "10.0.0.0/8", "listener": "resolving"}})  # fmt: skip
        for name, denied in (("plain", 3), ("resolving", 4)):
            a = associate(daemon, listener=name)
            for host in ("10.0.0.1", "169.254.169.254", "localhost", "inside.test"):
                a.send(host, 53, host.encode())
            wait.until(lambda: name == "plain" or dns.asked("inside.test", 1), "the question")
            # which hears nothing: the relay is ours; where names are resolved, its answer comes behind the one that is denied
            a.send("outside.test", 53, b"end")
            heard.clear()
            while not heard or not heard[-1].endswith(b"end"):
                heard.append(relay.recv(200))
            assert [h for h in heard[:-1]] == ([header("inside.test", 53) + b"inside.test"] if name == "plain" else [])
            assert finish(daemon, a)[1] == {"denied": denied}


@pytest.mark.slow
def test_fragments_wait_five_seconds_and_no_longer(daemon, associate, keep):
    echo = keep(Echo())
    a = associate(daemon)
    a.send(echo.host, echo.port, b"one", frag=1)
    time.sleep(5.3)
    a.send(echo.host, echo.port, b"two", frag=0x82)
    a.exchange(echo)
    assert finish(daemon, a)[1] == {"fragment": 2} and echo.heard == [b"ping"]


def test_an_association_for_which_nothing_may_pass_is_refused(pairsocks, associate, keep):
    daemon = pairsocks(rules={"no": {**DENY, "command": "udp", "client": "127.0.0.3"},
                              "some": {**ALLOW, "destination": "127.0.0.1", "client": "127.0.0.2"}}, default="deny")  # fmt: skip
    assert refused(daemon, associate(daemon, code=2, source="127.0.0.3"), "policy.rule.denied")["rule"] == "no"
    assert refused(daemon, associate(daemon, code=2), "policy.rule.denied")["rule"] == "-"
    a = associate(daemon, source="127.0.0.2")
    a.send("127.0.0.5", 53, b"denied by default")
    a.exchange(keep(Echo()))
    record, dropped = finish(daemon, a)
    assert dropped == {"denied": 1}


V4_DANGEROUS = ["127.0.0.1", "0.0.0.0", "10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.0.1",
                "224.0.0.1", "255.255.255.255"]  # fmt: skip
V6_DANGEROUS = ["::1", "::", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1",
                "fc00::1", "ff02::1"]  # fmt: skip


def test_the_guard_denies_what_it_denies_to_connect(judged, dns, keep):
    echo = keep(Echo())
    dns.name("rebound.test", a=["169.254.169.254"], aaaa=["::1"])
    hosts = [(host, echo.port) for host in [*V4_DANGEROUS, *V6_DANGEROUS, "localhost", "a.localhost.", "rebound.test"]]
    got, dropped, record = judged(None, hosts, guard="yes")
    assert got == [] and dropped == {"denied": len(hosts)} and echo.heard == []
    got, dropped, record = judged({"mine": {**ALLOW, "destination": "127.0.0.1"}}, hosts, guard="yes")
    local = [len(hosts) - 3, len(hosts) - 2]  # names that mean the same address
    assert got == [0, *local] and dropped == {"denied": len(hosts) - 3} and record["rule"] == "mine"


def test_the_guard_keeps_clients_from_our_own_ports(pairsocks, associate, keep):
    daemon = pairsocks(guard="yes", rules={"lo": {**ALLOW, "destination": "192.0.2.0/24"}})
    a = associate(daemon)
    a.send("localhost", daemon.address()[1], b"x")
    a.send("127.0.0.1", daemon.address()[1], b"x")
    wait_until_read(a.relay)
    assert finish(daemon, a)[1] == {"denied": 2}


def test_rate_bounds_each_way(pairsocks, associate, keep):
    daemon = pairsocks(udp_rate=20)
    target = keep(Hearer())
    a = associate(daemon)
    begun = time.monotonic()
    for i in range(50):
        a.send(target.host, target.port, b"%d" % i)
    for i in range(20):
        data, relay = target.receive()
        assert data == b"%d" % i
    for i in range(50):
        target.send(b"%d" % i, relay)
    assert [a.receive().data for i in range(20)] == [b"%d" % i for i in range(20)]
    wait_until_read(relay)
    record, dropped = finish(daemon, a)
    more = math.ceil(2 * 20 * (time.monotonic() - begun))  # that came in the meantime, both ways
    assert 60 - more <= dropped.pop("rate") <= 60 and dropped == {}


@pytest.mark.parametrize("version", [4, 6])
def test_ports_and_the_advertised_address_are_those_of_the_configuration(pairsocks, associate, keep, version):
    with udp_socket("127.0.0.1" if version == 4 else "::1") as free, udp_socket("127.0.0.1" if version == 4 else "::1") as taken:
        ports = free.getsockname()[1], taken.getsockname()[1]
        free.close()
        daemon = pairsocks(udp_ports=f"{ports[0]}, {ports[1]}", udp_advertise="192.0.2.99")
        a = associate(daemon, version=version)
        assert a.relay == ("192.0.2.99" if version == 4 else "::1", ports[0])
        a.relay = ("127.0.0.1" if version == 4 else "::1", ports[0])
        a.send((echo := keep(Echo())).host, echo.port, b"x")
        assert a.sock.recvfrom(100)[1][:2] == a.relay
        refusal = associate(daemon, version=version, code=1)
        assert refused(daemon, refusal, "system.connect.other")["errno"] == "EADDRINUSE"


# --- the end


def test_the_association_ends_with_its_connection(daemon, associate, keep):
    echo = keep(Echo())
    for end in ("finish", "close", "reset"):
        a = associate(daemon)
        a.exchange(echo)
        a.client.send(b"bytes that mean nothing")
        a.exchange(echo)
        getattr(a.client, end)()
        record = daemon.session(a.client)
        assert record["error"] == ("system.read.reset" if end == "reset" else "none")
        with udp_socket(*a.relay):  # nobody has the port any more
            pass


def test_idle_timeout_counts_datagrams_of_both_ways(pairsocks, associate, keep):
    daemon = pairsocks(idle_timeout="2s")
    target, quiet, busy = keep(Hearer()), associate(daemon), associate(daemon)
    begun = time.monotonic()
    busy.send(target.host, target.port, b"x")
    _, relay = target.receive()
    for i in range(10):
        time.sleep(0.3)
        target.send(b"only downwards", relay)
        busy.receive()
    assert daemon.session(quiet.client)["error"] == "timeout.idle"
    assert not daemon.records(event="session", client=busy.client.local)
    busy.client.expect_closed()
    assert daemon.session(busy.client)["error"] == "timeout.idle"
    assert time.monotonic() - begun >= 3 + 2 - 0.05


def descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


def test_a_thousand_associations_leave_nothing_behind(pairsocks, associate, keep, count=1000):
    echo = keep(Echo())
    daemon = pairsocks(files=8 * count + 500, max_connections=2 * count)
    associate(daemon).exchange(echo)  # what stays for good is there
    daemon.wait_for(event="ready")
    before = descriptors(daemon) - 3
    many = [associate(daemon) for _ in range(count)]
    for i, a in enumerate(many):
        a.send(echo.host, echo.port, b"x", frag=1 if i % 2 else 0)
        if i % 2 == 0:
            a.receive()
    assert descriptors(daemon) >= before + 2 * count
    for i, a in enumerate(many):
        (a.client.reset if i % 2 else a.client.close)()
    daemon.wait_for(count, event="session", timeout=30)
    wait.until(lambda: descriptors(daemon) <= before + 5, lambda: f"{descriptors(daemon)} instead of {before}")


def test_associations_are_counted_with_the_descriptors_they_may_take(pairsocks, associate, dial, keep):
    """A place stands for two; an association has two of these."""
    daemon = pairsocks(daemon={"workers": 1}, files=200)
    places = int(daemon.wait_for(event="limits")["message"].split(" allows ")[1].split()[0])
    if places % 2 == 0:  # then the last place is a client's, and there is none for its association
        dial(daemon).greet5()
    kept = []
    while True:
        client = dial(daemon)
        client.greet5()
        a = keep(Association(client))
        if a.reply.code:
            break
        kept.append(a)
    assert refused(daemon, a, "policy.limit.descriptors")
    echo4, echo6 = keep(Echo()), keep(Echo("::1"))
    for a in kept:  # all that they may open can be had
        a.exchange(echo4)
        a.exchange(echo6)
    assert len(kept) >= 5 and descriptors(daemon) <= 200
    finish(daemon, kept[0])
    assert associate(daemon)


# --- where it is not served


def ask_over(wire):
    """The two bytes of the reply to UDP ASSOCIATE."""
    wire.sendall(b"\5\1\0" + request5("0.0.0.0", 0, command=UDP))
    assert wire.recv(2) == b"\5\0"
    return wire.recv(10)


def test_where_it_is_not_served_the_reply_is_7(pairsocks, associate, dial_tls, tmp_path, keep):
    daemon = pairsocks(listeners={
        "off": {"listen": "127.0.0.1:0", "udp": "no"},
        "tls": {"listen": "127.0.0.1:0", **tls.keys()},
        "asked": {"listen": "127.0.0.1:0", "udp": "yes", **tls.keys()},
        "mixed": {"listen": f"127.0.0.1:0, unix:{tmp_path}/socket"},
    })  # fmt: skip
    refused(daemon, associate(daemon, listener="off", code=7), "protocol.command.unsupported")
    associate(daemon, listener="mixed").exchange(echo := keep(Echo()))
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(wait.seconds(10))
        client.connect(f"{tmp_path}/socket")
        assert ask_over(client) == b"\5\7\0\1" + bytes(6)
    client = dial_tls(daemon, listener="tls")
    client.greet5()
    assert Association(client).reply.code == 7
    client = dial_tls(daemon, listener="asked")
    client.greet5()
    keep(Association(client)).exchange(echo)


# --- through proxies


def udp_only(daemon):
    return {"type": "socks5", "server": f"127.0.0.1:{daemon.address()[1]}"}


@pytest.mark.parametrize("hops", [1, 2, 3])
def test_datagrams_go_through_chains_of_ourselves(pairsocks, associate, keep, dns, hops):
    """Each proxy is a listener of one daemon with its own address of 127/8; who hears the target is the last."""
    dns.name("echo.test", a=["127.0.0.1"])
    other = pairsocks(listeners={f"p{i}": {"listen": f"127.0.0.{i + 2}:0", "bind_address": f"127.0.0.{i + 2}"}
                                 for i in range(hops)}, daemon={"nameserver": dns.nameserver})  # fmt: skip
    upstreams = {}
    for i in range(hops):
        host, port = other.addresses(f"p{i}")[0]
        via = {"via": f"p{i - 1}"} if i else {}
        upstreams[f"p{i}"] = {"type": "socks5", "server": f"{host}:{port}", **via}
    daemon = pairsocks(route=f"p{hops - 1}", upstreams=upstreams)
    target, echo = keep(Hearer()), keep(Echo())
    a = associate(daemon)
    a.send(target.host, target.port, b"question")
    data, sender = target.receive()
    assert (data, sender[0]) == (b"question", f"127.0.0.{hops + 1}")
    target.send(b"answer", sender)
    assert a.receive() == (target.host, target.port, b"answer")
    a.exchange(echo, os.urandom(30000))
    a.send("echo.test", echo.port, b"by name")  # the last proxy resolves it
    assert a.receive() == (echo.host, echo.port, b"by name")
    assert dns.asked("echo.test", 1) == 1
    a.send("echo.test", echo.port, b"in two ", frag=1)
    a.send("echo.test", echo.port, b"parts", frag=0x82)
    assert a.receive().data == b"in two parts"
    record, dropped = finish(daemon, a)
    assert (record["datagrams_sent"], record["datagrams_received"], dropped) == ("4", "4", {})
    assert record["sent"] == str(8 + 30000 + 7 + 12) and record["upstream"] == f"p{hops - 1}"
    other.wait_for(hops, event="session", command="udp")
    assert len(other.records(event="session")) == hops * (hops + 1) // 2


def test_when_a_proxy_ends_its_connection_the_association_ends(pairsocks, associate, keep):
    other = pairsocks()
    daemon = pairsocks(route="proxy", upstreams={"proxy": udp_only(other)})
    a = associate(daemon)
    a.exchange(keep(Echo()))
    other.signal(signal.SIGINT)
    a.client.expect_closed()
    assert daemon.session(a.client)["error"] in ("stream.end.early", "system.read.reset")


@pytest.mark.parametrize("resolve", ["remote", "local"])
def test_who_resolves_a_name_is_the_upstreams_setting(pairsocks, associate, keep, dns, resolve):
    ours = keep(Scripted())
    for server in (dns, ours):
        server.name("echo.test", a=["127.0.0.1"])
    echo = keep(Echo())
    other = pairsocks(daemon={"nameserver": dns.nameserver})
    daemon = pairsocks(daemon={"nameserver": ours.nameserver}, route="proxy",
                       upstreams={"proxy": {**udp_only(other), "resolve": resolve}})  # fmt: skip
    a = associate(daemon)
    a.send("echo.test", echo.port, b"hello")
    assert a.receive() == (echo.host, echo.port, b"hello")
    assert (dns.asked("echo.test", 1), ours.asked("echo.test", 1)) == ((1, 0) if resolve == "remote" else (0, 1))


def test_rules_send_targets_direct_or_nowhere_and_near_ones_bypass(pairsocks, associate, keep):
    other = pairsocks()
    echo, straight = keep(Echo()), keep(Echo("127.0.0.2"))
    daemon = pairsocks(
        route="proxy", upstreams={"proxy": udp_only(other), "else": udp_only(other)},
        rules={"straight": {"destination": "127.0.0.2", "action": "route direct"},
               "else": {"destination": "127.0.0.3", "action": "route else"}})  # fmt: skip
    a = associate(daemon)
    a.exchange(straight)
    a.send("127.0.0.3", 53, b"another proxy")
    a.exchange(echo)
    record, dropped = finish(daemon, a)
    assert dropped == {"route": 1} and record["route"] == "proxy"
    assert other.wait_for(event="session")["datagrams_sent"] == "1"


UNABLE = {
    "socks4": {"type": "socks4"},
    "socks4a": {"type": "socks4a"},
    "http": {"type": "http"},
    "tls": {"type": "socks5", "security": "negotiated"},
    "header": {"type": "socks5", "send_proxy": "v2"},
    "behind": {"type": "socks5", "via": "http"},
}


def test_a_route_that_cannot_carry_datagrams_refuses_at_once(pairsocks, associate, keep):
    upstreams = {name: {"server": "127.0.0.1:9", **keys} for name, keys in UNABLE.items()}
    upstreams["direct-tls"] = {"type": "direct", "security": "negotiated"}
    listeners = {name: {"listen": "127.0.0.1:0", "route": name} for name in upstreams}
    daemon = pairsocks(listeners=listeners, upstreams=upstreams)
    for name in upstreams:
        record = refused(daemon, associate(daemon, listener=name, code=7), "protocol.command.unsupported")
        assert record["route"] == name


def test_what_the_proxy_says_is_passed_on(pairsocks, associate, keep):
    def answer(code, host="127.0.0.1", port=9):
        def script(wire):
            host_, port_ = read_request5(wire)
            assert (host_, port_) == (b"\1\0\0\0\0", 0)  # it is not known where the datagrams will come from
            wire.send(request5(host, port, command=code))

        return keep(Script(script))

    upstreams = {
        "seven": {"type": "socks5", "server": answer(7)}, "two": {"type": "socks5", "server": answer(2)},
        "bad": {"type": "socks5", "server": answer(0, port=0)}, "name": {"type": "socks5", "server": answer(0, "relay.test")},
    }  # fmt: skip
    daemon = pairsocks(listeners={name: {"listen": "127.0.0.1:0", "route": name} for name in upstreams}, upstreams=upstreams)
    for name, code, error in (("seven", 7, "socks.socks5-response.command-not-supported"),
                              ("two", 2, "socks.socks5-response.not-allowed"),
                              ("bad", 1, "socks.none.bad-response-address"),
                              ("name", 1, "socks.none.bad-response-address")):  # fmt: skip
        assert refused(daemon, associate(daemon, listener=name, code=code), error)["upstream"] == name


def test_a_relay_without_an_address_is_where_the_proxy_is(pairsocks, associate, keep):
    with udp_socket() as relay:

        def grant(wire):
            read_request5(wire)
            wire.send(request5("0.0.0.0", relay.getsockname()[1], command=0))
            wire.read_to_end_or_reset()

        daemon = pairsocks(route="proxy", upstreams={"proxy": {"type": "socks5", "server": keep(Script(grant))}})
        a = associate(daemon)
        a.send("192.0.2.7", 53, b"question")
        assert relay.recv(100) == header("192.0.2.7", 53) + b"question"


def test_datagrams_go_through_dante(pairsocks, associate, keep, program, tmp_path):
    dante = keep(Dante(tmp_path / "dante", program("danted"), udp=True))
    daemon = pairsocks(route="dante", upstreams={"dante": {"type": "socks5", "server": dante}})
    a, echo = associate(daemon), keep(Echo())
    for size in (0, 1, 1200, 9000):
        a.exchange(echo, os.urandom(size))
    record, dropped = finish(daemon, a)
    assert (record["datagrams_sent"], record["upstream"], dropped) == ("4", "dante", {})


# --- other people's clients


def test_dig_asks_a_real_server(daemon, associate, keep, program, tmp_path):
    """Its questions go from a socket of ours through the association, over UDP and with EDNS."""
    records = ["host-record=a.test,192.0.2.1", "txt-record=long.test," + ",".join("x" * 250 for _ in range(4))]
    dns = keep(Dnsmasq(tmp_path / "dns", program("dnsmasq"), records))
    server = dns.nameserver.split(":")
    a, local = associate(daemon), keep(udp_socket())
    for name, kind, wanted in (("a.test", "A", "192.0.2.1"), ("long.test", "TXT", "x" * 250), ("no.test", "A", "")):
        dig = subprocess.Popen([program("dig"), "+short", "+tries=1", "+notcp", "+ignore", "@127.0.0.1", "-p",
                                str(local.getsockname()[1]), name, kind], stdout=subprocess.PIPE, text=True)  # fmt: skip
        question, asker = local.recvfrom(4096)
        a.send(server[0], int(server[1]), question)
        local.sendto(a.receive().data, asker)
        output, _ = dig.communicate(timeout=wait.seconds(20))
        assert wanted in output and bool(output) == bool(wanted)
    assert finish(daemon, a)[0]["datagrams_received"] == "3"


NPM = pathlib.Path(__file__).with_name("node") / "udp.js"


def test_the_npm_package_socks_associates(daemon, keep, program):
    echo = keep(Echo())
    done = subprocess.run([program("node"), str(NPM), *map(str, daemon.address()), echo.host, str(echo.port), "hello"],
                          env={**os.environ, "NODE_PATH": NODE_PATH}, capture_output=True, text=True,
                          timeout=wait.seconds(20))  # fmt: skip
    assert done.stdout == f"{echo.host} {echo.port} hello", done
