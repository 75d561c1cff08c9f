"""Which clients are let in: allow and deny, max_per_host, unix sockets."""

import contextlib
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile

import pytest

from harness import wait
from harness.daemon import config_text
from harness.dns import A, SERVFAIL, SILENT, Held, Scripted, answer_packet
from harness.socks import Client, greeting
from harness.targets import Listener, Web


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def listing(pairsocks, dns, fast_clock):
    """listing(key=value ...): a daemon that asks `dns`, with these keys on its listener."""

    def start(hurry=1, **keys):
        return pairsocks(daemon={"nameserver": dns.nameserver}, environment=fast_clock(hurry) if hurry > 1 else None,
                         **{"listen": "127.0.0.1:0", **keys})  # fmt: skip

    return start


def let_in(daemon, source=None, version=4):
    """Whether a client from there gets an answer; otherwise it is closed without a byte."""
    with Client.open(daemon.address(version), source=source) as client, contextlib.suppress(ConnectionError):
        client.send(greeting())
        return client.sock.recv(2) == b"\x05\x00"
    return False


def stop(daemon):
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0


def refused(daemon, what, listener="main"):
    return sum(int(record[what]) for record in daemon.records(event="refused", listener=listener))


# --- literals


@pytest.mark.parametrize("keys, inside, outside", [
    ({"allow": "127.0.0.2"}, ["127.0.0.2"], ["127.0.0.1", "127.0.0.3"]),
    ({"allow": "127.0.1.0/24, 127.0.2.5"}, ["127.0.1.0", "127.0.1.255", "127.0.2.5"], ["127.0.0.255", "127.0.2.4"]),
    ({"deny": "127.0.0.2, 127.0.1.0/24"}, ["127.0.0.1", "127.0.2.0"], ["127.0.0.2", "127.0.1.9"]),
    ({"allow": "127.0.0.0/24", "deny": "127.0.0.2"}, ["127.0.0.1", "127.0.0.3"], ["127.0.0.2", "127.0.1.1"]),
    ({"allow": "127.0.0.2", "deny": "127.0.0.0/24"}, [], ["127.0.0.1", "127.0.0.2"]),
    ({"allow": "::ffff:127.0.0.2"}, ["127.0.0.2"], ["127.0.0.1"]),
], ids=["allow", "networks", "deny", "both", "deny-wins", "mapped"])  # fmt: skip
def test_literals_let_in_whom_they_list(listing, keys, inside, outside):
    daemon = listing(**keys)
    assert [source for source in inside + outside if let_in(daemon, source)] == inside


def test_an_ipv6_literal_is_for_ipv6_clients(listing):
    daemon = listing(listen="127.0.0.1:0, [::1]:0", allow="::1")
    assert let_in(daemon, version=6)
    assert not let_in(daemon, version=4)


def test_an_ipv4_client_of_an_ipv6_socket_is_known_by_its_ipv4_address(listing, keep):
    daemon = listing(listen="[::]:0", allow="127.0.0.2")
    port = daemon.address(6)[1]

    def answer(source):
        with Client.open(("127.0.0.1", port), source=source) as client, contextlib.suppress(ConnectionError):
            client.send(greeting())
            return client.sock.recv(2)
        return b""

    assert answer("127.0.0.2") == b"\x05\x00"
    assert answer("127.0.0.1") == b""


def test_those_turned_away_are_counted_and_not_logged_one_by_one(listing):
    daemon = listing(allow="127.0.0.2")
    for number in range(7):
        assert not let_in(daemon, f"127.0.1.{number}")
    assert let_in(daemon, "127.0.0.2")
    daemon.wait_for(event="session")
    stop(daemon)
    assert refused(daemon, "whitelist") == 7
    assert [record["client"].rpartition(":")[0] for record in daemon.records(event="session")] == ["127.0.0.2"]


def test_nothing_is_said_of_the_refused_when_nobody_was(listing):
    daemon = listing(allow="127.0.0.2")
    assert let_in(daemon, "127.0.0.2")
    stop(daemon)
    assert daemon.records(event="refused") == []


def test_each_listener_has_its_own_whitelist(pairsocks):
    daemon = pairsocks(listeners={"one": {"listen": "127.0.0.1:0", "allow": "127.0.0.2"}, "two": {"listen": "127.0.0.1:0"}})
    for name, expected in (("one", b""), ("two", b"\x05\x00")):
        with Client.open(daemon.address(listener=name)) as client, contextlib.suppress(ConnectionError):
            client.send(greeting())
            assert client.sock.recv(2) == expected
    stop(daemon)
    assert (refused(daemon, "whitelist", "one"), refused(daemon, "whitelist", "two")) == (1, 0)


def test_a_reload_changes_the_whitelist(listing):
    daemon = listing(allow="127.0.0.2")
    assert not let_in(daemon, "127.0.0.3")
    ini = daemon.folder / "pairsocks.ini"
    ini.write_text(ini.read_text().replace("127.0.0.2", "127.0.0.3"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    assert let_in(daemon, "127.0.0.3")
    assert not let_in(daemon, "127.0.0.2")


# --- names


def test_an_allowed_name_lets_in_its_addresses(listing, dns):
    daemon = listing(allow=dns.name("friend.test", a=["127.0.0.2", "127.0.0.3"]))
    wait.until(lambda: let_in(daemon, "127.0.0.2"), "the name's address to be let in")
    assert let_in(daemon, "127.0.0.3")
    assert not let_in(daemon, "127.0.0.1")


def test_an_allowed_name_that_resolves_late_matches_nobody_before(listing, dns):
    held = Held(["127.0.0.2"])
    daemon = listing(allow=f"127.0.0.9, {dns.name('late.test', a=held)}")
    wait.until(lambda: dns.asked("late.test", A), "the question")
    assert let_in(daemon, "127.0.0.9"), "a literal does not wait for a name"
    assert not let_in(daemon, "127.0.0.2")
    held.release()
    wait.until(lambda: let_in(daemon, "127.0.0.2"), "the name's address to be let in")


@pytest.mark.parametrize("answer", [(), SERVFAIL, SILENT, None], ids=["empty", "servfail", "silent", "nxdomain"])
def test_an_allowed_name_that_never_resolves_matches_nobody(listing, dns, answer):
    if answer is not None:
        dns.name("never.test", a=answer, aaaa=answer)
    daemon = listing(allow="never.test, 127.0.0.9")
    wait.until(lambda: dns.asked("never.test"), "the question")
    assert not let_in(daemon, "127.0.0.1")
    assert let_in(daemon, "127.0.0.9")


@pytest.mark.parametrize("answer", [(), SERVFAIL, SILENT, None], ids=["empty", "servfail", "silent", "nxdomain"])
def test_a_denied_name_that_never_resolves_denies_all_but_allowed_literals(listing, dns, answer):
    if answer is not None:
        dns.name("never.test", a=answer, aaaa=answer)
    friend = dns.name("friend.test", a=["127.0.0.2"])
    daemon = listing(allow=f"127.0.0.9, {friend}", deny="never.test")
    wait.until(lambda: dns.asked("never.test") and dns.asked(friend), "the questions")
    assert let_in(daemon, "127.0.0.9")
    for source in ("127.0.0.1", "127.0.0.2"):
        assert not let_in(daemon, source)


def test_a_denied_name_that_resolves_late_denies_all_before_and_its_addresses_after(listing, dns):
    held = Held(["127.0.0.2"])
    daemon = listing(deny=dns.name("enemy.test", a=held))
    wait.until(lambda: dns.asked("enemy.test", A), "the question")
    assert not let_in(daemon, "127.0.0.1")
    held.release()
    wait.until(lambda: let_in(daemon, "127.0.0.1"), "others to be let in")
    assert not let_in(daemon, "127.0.0.2")


def test_a_denied_name_wins_over_an_allowed_literal(listing, dns):
    daemon = listing(allow="127.0.0.0/24", deny=dns.name("enemy.test", a=["127.0.0.2"]))
    wait.until(lambda: not let_in(daemon, "127.0.0.2"), "the name's address to be denied")
    assert let_in(daemon, "127.0.0.1")


def test_a_name_that_moves_is_followed(listing, dns):
    """AAAA fails, so that the name is asked for again soon."""
    held = Held(["127.0.0.3"])
    first = []

    def answer(query):
        if not first:
            first.append(query)
            return [answer_packet(query, ["127.0.0.2"])]
        return [answer_packet(query, ["127.0.0.3"] if held.free else ["127.0.0.2"])]

    daemon = listing(hurry=10, allow=dns.name("moving.test", a=answer, aaaa=SERVFAIL))
    wait.until(lambda: let_in(daemon, "127.0.0.2"), "the first address to be let in")
    assert not let_in(daemon, "127.0.0.3")
    held.release()
    wait.until(lambda: let_in(daemon, "127.0.0.3"), "the second address to be let in", timeout=30, every=0.1)
    assert not let_in(daemon, "127.0.0.2")


def test_a_name_that_fails_later_keeps_its_addresses(listing, dns):
    daemon = listing(hurry=10, allow=dns.name("failing.test", a=["127.0.0.2"], aaaa=SERVFAIL))
    wait.until(lambda: let_in(daemon, "127.0.0.2"), "the address to be let in")
    dns.name("failing.test", a=SERVFAIL, aaaa=SERVFAIL)
    before = dns.asked("failing.test", A)
    wait.until(lambda: dns.asked("failing.test", A) > before, "the next question", timeout=30)
    for _ in range(5):
        assert let_in(daemon, "127.0.0.2")


# --- max_per_host


def test_a_host_has_no_more_sessions_than_max_per_host_and_gets_its_places_back(pairsocks, dial, keep):
    daemon = pairsocks(max_per_host=2, listen="127.0.0.1:0")
    target = keep(Listener())

    def session():
        client = dial(daemon, source="127.0.0.2")
        client.connect("socks5", *target.address)
        return client, target.accept()

    standing = [session() for _ in range(2)]
    third = dial(daemon, source="127.0.0.2")
    third.expect_closed()
    assert daemon.session(third)["error"] == "policy.limit.host"
    assert let_in(daemon, "127.0.0.3"), "another host"
    for end in standing[0]:
        end.close()
    daemon.session(standing[0][0])
    session()
    fourth = dial(daemon, source="127.0.0.2")
    fourth.expect_closed()
    assert daemon.session(fourth)["error"] == "policy.limit.host"
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code() == 0
    assert refused(daemon, "host") == 2


# --- unix sockets


@pytest.fixture
def path():
    """Short: a unix socket's path has 107 bytes at most."""
    with tempfile.TemporaryDirectory(prefix="ps") as folder:
        yield pathlib.Path(folder) / "socks"


def test_curl_is_served_over_a_unix_socket(pairsocks, keep, program, path):
    daemon = pairsocks(listen=f"unix:{path}")
    web = keep(Web(b"through a unix socket\n"))
    done = subprocess.run([program("curl"), "-sS", "-x", f"socks5h://localhost{path}", web.url],
                          capture_output=True, timeout=wait.seconds(10))  # fmt: skip
    assert (done.returncode, done.stdout) == (0, web.content), done.stderr
    session = daemon.wait_for(event="session")
    assert (session["client"], session["error"]) == ("unix", "none")


@pytest.mark.parametrize("workers", [1, 4])
def test_many_clients_of_a_unix_socket_are_served(pairsocks, keep, path, workers):
    pairsocks(daemon={"workers": workers}, listen=f"unix:{path}", queue=200)
    clients = []
    for _ in range(100):
        sock = keep(socket.socket(socket.AF_UNIX))
        sock.settimeout(wait.seconds(10))
        sock.connect(str(path))
        clients.append(sock)
    for sock in clients:
        sock.sendall(greeting())
    assert all(sock.recv(2) == b"\x05\x00" for sock in clients)


@pytest.mark.parametrize("keys, mode", [({}, 0o660), ({"unix_mode": "0600"}, 0o600), ({"unix_mode": "0666"}, 0o666)])
def test_a_unix_socket_has_the_mode_asked_for(pairsocks, path, keys, mode):
    pairsocks(listen=f"unix:{path}", **keys)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_ISSOCK(path.stat().st_mode)


def test_a_unix_socket_that_stays_gets_the_mode_of_the_new_configuration(pairsocks, path):
    daemon = pairsocks(listen=f"unix:{path}", unix_mode="0600")
    before = path.stat().st_ino
    ini = daemon.folder / "pairsocks.ini"
    ini.write_text(ini.read_text().replace("unix_mode = 0600", "unix_mode = 0666"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    assert (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode)) == (before, 0o666)
    assert unix_let_in(path)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_unix_socket_is_removed_at_the_end(pairsocks, path, number):
    daemon = pairsocks(listen=f"unix:{path}")
    daemon.signal(number)
    assert daemon.exit_code() == 0
    assert not path.exists()


def test_a_unix_socket_that_somebody_has_removed_is_no_matter(pairsocks, path):
    daemon = pairsocks(listen=f"unix:{path}")
    path.unlink()
    daemon.finish()
    assert daemon.records(event="listen") == []


def test_a_unix_socket_is_removed_when_its_listener_goes(pairsocks, path):
    daemon = pairsocks(listen=["127.0.0.1:0", f"unix:{path}"])
    ini = daemon.folder / "pairsocks.ini"
    ini.write_text(ini.read_text().replace(f"listen = unix:{path}\n", ""))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    assert not path.exists()
    assert let_in(daemon)


def unix_let_in(path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(wait.seconds(10))
        sock.connect(str(path))
        sock.sendall(greeting())
        return sock.recv(2) == b"\x05\x00"


def test_a_unix_socket_stays_over_a_reload(pairsocks, path):
    daemon = pairsocks(listen=f"unix:{path}")
    before = path.stat().st_ino
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    assert path.stat().st_ino == before
    assert unix_let_in(path)


def test_a_stale_unix_socket_is_replaced(pairsocks, path):
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        sock.listen()
    pairsocks(listen=f"unix:{path}")
    assert unix_let_in(path)


def test_a_live_unix_socket_is_not_taken_from_its_owner(pairsocks, launch, path):
    first = pairsocks(listen=f"unix:{path}")
    second = launch(config_text({"log_target": "stderr"}, {"main": {"listen": f"unix:{path}"}}))
    assert second.exit_code() == 1
    assert str(path) in second.errors()
    assert unix_let_in(path)
    stop(first)


def test_a_file_that_is_no_socket_is_left_alone(launch, path):
    path.write_text("precious")
    daemon = launch(config_text({"log_target": "stderr"}, {"main": {"listen": f"unix:{path}"}}))
    assert daemon.exit_code() == 1
    assert path.read_text() == "precious"
