"""Ident (RFC 1413): a real identd, identds that misbehave, and what is asked where."""

import contextlib
import os
import socket
import subprocess
import time

import pytest

from harness import wait
from harness.daemon import config_text, run
from harness.http import connect_request, read_http_reply
from harness.identd import PORT, Identd, Oidentd, userid
from harness.netns import Namespace
from harness.socks import Client, greeting, request4, request4a, request5
from harness.targets import Listener, Silent, Source, bound

ME = "root"  # who the tests' sockets in a namespace belong to
BOB = {"user": "ident:bob", "action": "allow"}
NO_ANSWER, OTHER_USER = "auth.ident.no-answer", "auth.ident.other-user"


class Island:
    """A namespace with a daemon, a target and clients inside: port 113 is free there for any test."""

    def __init__(self, pairsocks, keep):
        self.pairsocks, self.keep = pairsocks, keep
        self.namespace = keep(Namespace())
        self.make_socket = self.namespace.make_socket
        self.target = keep(Source(b"", make_socket=self.make_socket))

    def serve(self, **keys):
        self.daemon = self.pairsocks(prefix=self.namespace.prefix, **{"auth": "ident", **keys})
        return self.daemon

    def identd(self, answer, host="127.0.0.1"):
        return self.keep(Identd(answer, host, make_socket=self.make_socket))

    def dial(self, address=None, source=None):
        return self.keep(Client.open(address or self.daemon.address(), source=source, make_socket=self.make_socket))

    def ask(self, client, protocol, claim="bob"):
        """Sends a whole request for the target."""
        if protocol == "http":
            client.send(connect_request(*self.target.address))
        elif protocol == "socks5":
            client.send(greeting() + request5(*self.target.address))
        else:
            write = request4 if protocol == "socks4" else request4a
            client.send(write(*self.target.address, user=claim if isinstance(claim, bytes) else claim.encode()))

    def answer(self, client, protocol):
        """SOCKS4's and SOCKS5's code (the method if that is all), or HTTP's status; then the connection ends."""
        if protocol == "http":
            code = read_http_reply(client).status
        elif protocol == "socks5":
            method = client.read(2)[1]
            code = client.read_reply5().code if method == 0 else method
        else:
            code = client.read_reply4().code
        client.expect_closed()
        return code

    def outcome(self, protocol="socks4", claim="bob", *, address=None, source=None):
        """(code, error, user, whether a failed authentication is logged) of a whole session."""
        client = self.dial(address, source)
        self.ask(client, protocol, claim)
        code = self.answer(client, protocol)
        session = self.daemon.session(client)
        failed = self.daemon.records(event="auth_failed", client=client.local)
        assert len(failed) <= 1
        return code, session["error"], session["user"], bool(failed)


@pytest.fixture
def island(pairsocks, keep):
    return Island(pairsocks, keep)


GRANTED = {"socks4": 90, "socks4a": 90, "socks5": 0, "http": 200}
DENIED = {"socks4": 91, "socks4a": 91, "socks5": 2, "http": 403}
REFUSED = {"socks4": 92, "socks4a": 92, "socks5": 0xFF, "http": 403}
ALL = sorted(GRANTED)


# --- the real oidentd


@pytest.fixture
def oidentd(island, keep, program, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("oidentd sets its groups, which only root may")
    return keep(Oidentd(tmp_path / "oidentd", program("oidentd"), island.namespace))


@pytest.mark.parametrize("version", [4, 6])
def test_oidentd_names_the_user_whom_a_rule_allows(island, oidentd, version):
    daemon = island.serve(default="deny", rules={"me": {"user": f"ident:{ME}", "action": "allow"}})
    for protocol in ALL:
        outcome = island.outcome(protocol, ME, address=daemon.address(version))
        assert outcome == (GRANTED[protocol], "none", f"ident:{ME}", False)
    for protocol in ("socks4", "socks4a"):
        for claim in ("nobody", "", ME[:-1], ME + "x", ME.upper()):
            outcome = island.outcome(protocol, claim, address=daemon.address(version))
            assert outcome == (93, OTHER_USER, "-", True), claim
    assert {record["user"] for record in daemon.records(event="auth_failed")} == {"nobody", "-", ME[:-1], ME + "x", ME.upper()}


def test_oidentd_names_a_user_whom_no_rule_allows(island, oidentd):
    island.serve(default="deny", rules={"plain": {"user": ME, "action": "allow"}, "other": BOB})
    for protocol in ALL:
        outcome = island.outcome(protocol, ME)
        assert outcome == (DENIED[protocol], "policy.rule.denied", f"ident:{ME}", False)


def test_curl_is_who_oidentd_says(island, oidentd, program):
    """Another user's process, where the tests may start one."""
    user, become = ME, []
    if os.geteuid() == 0:
        user, become = "nobody", ["setpriv", "--reuid=nobody", "--clear-groups"]
    daemon = island.serve(default="deny", rules={"them": {"user": f"ident:{user}", "action": "allow"}})
    host, port = daemon.address()
    for count, proxy in enumerate((f"socks4://{user}@", f"socks4a://{user}@", "socks5h://", "http://")):
        done = subprocess.run(
            [*island.namespace.prefix, *become, program("curl"), "-sS", "--proxytunnel", "-x", f"{proxy}{host}:{port}",
             "http://{}:{}/".format(*island.target.address)],
            capture_output=True, text=True, timeout=wait.seconds(10))  # fmt: skip
        session = daemon.wait_for(count + 1, event="session")
        assert (session["user"], session["error"]) == (f"ident:{user}", "none"), done.stderr
    done = subprocess.run(
        [*island.namespace.prefix, *become, program("curl"), "-sS", "-x", f"socks4://somebody@{host}:{port}", "http://127.0.0.1:1/"],
        capture_output=True, text=True, timeout=wait.seconds(10))  # fmt: skip
    assert done.returncode != 0
    assert daemon.wait_for(5, event="session")["error"] == OTHER_USER


# --- identds that misbehave, and some that only look so


def flood(query, wire):
    with contextlib.suppress(OSError):
        while True:
            wire.send(b"x" * 4096)


def pieces(query, wire):
    for byte in userid(query, "bob"):
        wire.send(bytes([byte]))
        time.sleep(0.002)


def drip(query, wire):
    wire.drip(b"%d , %d : USERID : UNIX : " % query.ports + b"b" * 200, 0.05, until_closed=True)


def reset(query, wire):
    wire.reset()


def swapped(query, wire):
    return userid(query, "bob", ports=query.ports[::-1])


def error(code):
    return lambda query, wire: b"%d , %d : ERROR : %s\r\n" % (*query.ports, code)


def ports(client, daemon):
    return lambda query, wire: userid(query, "bob", ports=(query.ports[0] + client, query.ports[1] + daemon))


def named(user, **more):
    return lambda query, wire: userid(query, user, **more)


def raw(text):
    """`text` behind the ports and their colon."""
    return lambda query, wire: b"%d,%d:" % query.ports + text


NO_ANSWERS = {
    "closes": lambda query, wire: None,
    "resets": reset,
    "endless line": flood,
    "swapped ports": swapped,
    "another client port": ports(1, 0),
    "another daemon port": ports(0, 1),
    "port far off": lambda query, wire: b"%d , %d : USERID : UNIX : bob\r\n" % (query.ports[0] + 65536, query.ports[1]),
    "no ports": lambda query, wire: b"USERID : UNIX : bob\r\n",
    "NO-USER": error(b"NO-USER"),
    "HIDDEN-USER": error(b"HIDDEN-USER"),
    "INVALID-PORT": error(b"INVALID-PORT"),
    "UNKNOWN-ERROR": error(b"UNKNOWN-ERROR"),
    "X-error": error(b"Xbob"),
    "error named bob": lambda query, wire: b"%d , %d : ERROR : UNIX : bob\r\n" % query.ports,
    "NUL in the user": named(b"bob\0"),
    "NUL before": named(b"\0bob"),
    "CR in the user": named(b"bob\rx"),
    "no user": named(b""),
    "blanks for a user": named(b"   "),
    "256 bytes": named(b"b" * 256),
    "5000 bytes": named(b"b" * 5000),
    "no line end": named(b"bob", end=b""),
    "CR alone": named(b"bob", end=b"\r"),
    "no opsys": raw(b"USERID::bob\r\n"),
    "no colon": raw(b"USERID\r\n"),
    "empty line": lambda query, wire: b"\r\n",
    "empty line first": lambda query, wire: b"\r\n" + userid(query, "bob"),
    "error, then bob": lambda query, wire: error(b"NO-USER")(query, wire) + userid(query, "bob"),
    "another's, then bob": lambda query, wire: ports(1, 0)(query, wire) + userid(query, "bob"),
    "greets like SMTP": lambda query, wire: b"220 hello\r\n",
}  # fmt: skip

ANSWERS = {
    "pieces": (pieces, "bob"),
    "two answers": (lambda query, wire: userid(query, "bob") + userid(query, "mallory"), "bob"),
    "bytes behind": (lambda query, wire: userid(query, "bob") + b"\0\xff" * 3000, "bob"),
    "LF alone": (named("bob", end=b"\n"), "bob"),
    "no blanks": (raw(b"USERID:UNIX:bob\r\n"), "bob"),
    "many blanks": (raw(b"  \t USERID \t :  UNIX :  bob\r\n"), "bob"),
    "lower case": (raw(b"userid : unix : bob\r\n"), "bob"),
    "charset": (raw(b"USERID : UNIX , UTF-8 : bob\r\n"), "bob"),
    "OTHER": (named("bob", opsys=b"OTHER"), "bob"),
    "colons": (named("a:b:c"), "a:b:c"),
    "blanks inside": (named("bob smith"), "bob smith"),
    "a blank behind": (named("bob "), "bob "),
    "control characters": (named(b"b\x07\x1b[31m\tob\x7f"), "b\x07\x1b[31m\tob\x7f"),
    "quotes": (named(b'bob" error="none'), 'bob" error="none'),
    "high bytes": (named(b"b\xf6b\xff"), "b\xf6b\xff"),
    "255 bytes": (named("b" * 255), "b" * 255),
    "like a password's user": (named("alice"), "alice"),
    "a rule's word": (named("ident:bob"), "ident:bob"),
}


@pytest.mark.parametrize("case", NO_ANSWERS)
def test_an_identd_without_a_proper_answer_is_none(island, case):
    island.serve(default="deny", rules={"bob": BOB}, handshake_timeout="60s")
    island.identd(NO_ANSWERS[case])
    for protocol in ("socks4", "socks5"):
        start = time.monotonic()
        assert island.outcome(protocol) == (REFUSED[protocol], NO_ANSWER, "-", True)
        assert time.monotonic() - start < wait.seconds(4), "it waited for more"


@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_is_taken_as_it_is(island, case):
    answer, user = ANSWERS[case]
    island.serve()
    island.identd(answer)
    assert island.outcome("socks4", user.encode("latin-1")) == (90, "none", f"ident:{user}", False)
    assert island.outcome("socks4", "mallory") == (93, OTHER_USER, "-", True)
    assert island.outcome("socks5") == (0, "none", f"ident:{user}", False)


def test_who_is_named_like_a_user_with_a_password_is_not_that_user(island, tmp_path):
    """Nor is a name that looks like a rule's word for another."""
    rules = {"plain": {"user": "alice", "action": "allow"}, "bob": BOB}
    island.serve(default="deny", rules=rules)
    names = iter(["alice", "ident:alice", "ident:bob", "Bob", "bob ", "bo", "bob"])
    island.identd(lambda query, wire: userid(query, next(names)))
    for _ in range(6):
        assert island.outcome("socks5")[:2] == (2, "policy.rule.denied")
    assert island.outcome("socks5")[:2] == (0, "none")


@pytest.mark.parametrize("silence", ["never accepts", "accepts", "drips"])
@pytest.mark.parametrize("protocol", ALL)
def test_a_silent_identd_is_given_up_before_the_handshake_times_out(island, keep, protocol, silence):
    island.serve(handshake_timeout="1s")
    if silence == "never accepts":
        keep(Silent(sock=bound("127.0.0.1", PORT, island.make_socket), make_socket=island.make_socket))
    elif silence == "accepts":
        island.identd(lambda query, wire: wire.read_to_end())
    else:
        island.identd(drip)
    assert island.outcome(protocol) == (REFUSED[protocol], NO_ANSWER, "-", True)


@pytest.mark.parametrize("protocol", ALL)
def test_a_host_without_identd_is_told_so_at_once(island, protocol):
    island.serve(handshake_timeout="60s")
    start = time.monotonic()
    assert island.outcome(protocol) == (REFUSED[protocol], NO_ANSWER, "-", True)
    assert time.monotonic() - start < wait.seconds(4)


def test_clients_of_a_silent_identd_do_not_hold_up_others(island):
    silent = {"listen": "127.0.0.1:0", "auth": "ident"}
    island.daemon = island.pairsocks(prefix=island.namespace.prefix, listeners={
        "silent": silent, "open": {"listen": "127.0.0.1:0"},
    })  # fmt: skip
    identd = island.identd(lambda query, wire: wire.read_to_end())
    waiting = [island.dial(island.daemon.address(listener="silent")) for _ in range(100)]
    for client in waiting:
        island.ask(client, "socks4")
    wait.until(lambda: len(identd.queries) == 100, "all queries")
    for _ in range(20):
        assert island.outcome("socks5", address=island.daemon.address(listener="open"))[:2] == (0, "none")
    for client in waiting:
        client.reset()
    island.daemon.wait_for(100, event="session", error="client.gone")
    assert island.daemon.records(event="auth_failed") == []


def test_a_client_that_leaves_while_it_is_asked_for_ends_the_question(island):
    island.serve()
    ended = []

    def silent(query, wire):
        with contextlib.suppress(OSError):
            wire.read_to_end()
        ended.append(query)

    identd = island.identd(silent)
    client = island.dial()
    island.ask(client, "socks4")
    wait.until(lambda: identd.queries, "the question")
    client.reset()
    assert island.daemon.session(client)["error"] == "client.gone"
    wait.until(lambda: ended, "the end of the question")
    assert island.daemon.records(event="auth_failed") == []


def test_the_daemon_stops_at_once_while_identds_are_asked(island):
    island.serve()
    identd = island.identd(lambda query, wire: wire.read_to_end())
    for _ in range(10):
        island.ask(island.dial(), "socks5")
    wait.until(lambda: len(identd.queries) == 10, "all questions")
    # launch() ends it with SIGINT and looks at its exit code.


def test_many_questions_leave_no_descriptor_behind(island):
    island.serve()
    answers = {0: lambda query, wire: userid(query, "bob"), 1: reset, 2: lambda query, wire: None, 3: flood}
    count = [0]

    def answer(query, wire):
        count[0] += 1
        return answers[count[0] % 4](query, wire)

    island.identd(answer)
    island.outcome("socks5")
    before = island.daemon.descriptors()
    for _ in range(80):
        island.outcome("socks5")
    wait.until(lambda: island.daemon.descriptors() <= before + 4, lambda: f"{island.daemon.descriptors()}, {before} before")


# --- what is asked where


@pytest.mark.parametrize("protocol", ALL)
def test_the_question_names_the_ports_of_the_connection(island, protocol):
    daemon = island.serve()
    identd = island.identd("bob")
    client = island.dial()
    island.ask(client, protocol)
    assert island.answer(client, protocol) == GRANTED[protocol]
    (query,) = identd.queries
    assert query.ports == (client.local_address[1], daemon.address()[1])
    assert query.line == b"%d , %d" % query.ports


WHERE = {
    "0.0.0.0": ("0.0.0.0:0", "127.0.0.5", "127.0.0.7"),
    "[::]": ("[::]:0", "127.0.0.5", "127.0.0.7"),
    "[::] with IPv6": ("[::]:0", "fd00::5", "fd00::7"),
    "an address": ("127.0.0.5:0", "127.0.0.5", "127.0.0.7"),
    "one address for both": ("127.0.0.5:0", "127.0.0.5", "127.0.0.5"),
}


@pytest.mark.parametrize("case", WHERE)
def test_the_question_comes_from_the_address_that_the_client_had_used(island, case):
    """Whatever `bind_address` and the guard say of targets."""
    listen, ours, theirs = WHERE[case]
    for address in ("fd00::5", "fd00::7"):
        island.namespace.ip(f"-6 addr add {address}/128 dev lo nodad")
    rules = {"bob": {**BOB, "destination": "127.0.0.0/8"}}
    daemon = island.serve(listen=listen, default="deny", allow="127.0.0.0/8, fd00::/64", guard="yes", rules=rules,
                          bind_address="127.0.0.9")  # fmt: skip
    identd = island.identd("bob", theirs)
    address = (ours, daemon.addresses()[0][1])
    for protocol in ALL:
        code, error, user, _ = island.outcome(protocol, address=address, source=theirs)
        assert (code, error, user) == (GRANTED[protocol], "none", "ident:bob")
    assert {(query.asker, query.asked) for query in identd.queries} == {(ours, theirs)}
    assert len(identd.queries) == 4


def test_two_clients_of_one_host_are_asked_for_one_by_one(island):
    """Each by its own port."""
    island.serve()
    names = {}
    identd = island.identd(lambda query, wire: userid(query, names[query.ports[0]]))
    clients = [island.dial() for _ in range(20)]
    for number, client in enumerate(clients):
        names[client.local_address[1]] = f"user{number}"
    for client in clients:
        island.ask(client, "socks5")
    for number, client in enumerate(clients):
        assert island.answer(client, "socks5") == 0
        assert island.daemon.session(client)["user"] == f"ident:user{number}"
    assert len(identd.queries) == 20


@pytest.mark.parametrize("protocol", ALL)
@pytest.mark.parametrize("auth, served", [("ident", False), ("ident, none", True)])
def test_a_unix_sockets_client_has_no_identd(island, keep, tmp_path, auth, served, protocol):
    path = tmp_path / "s"
    daemon = island.serve(listen=f"unix:{path}", auth=auth)
    identd = island.identd("bob")
    client = keep(socket.socket(socket.AF_UNIX))
    client.settimeout(wait.seconds(10))
    client.connect(str(path))
    island.ask(Spoken(client), protocol)
    assert island.answer(Spoken(client), protocol) == (GRANTED if served else REFUSED)[protocol]
    session = daemon.wait_for(event="session")
    assert (session["client"], session["user"]) == ("unix", "-")
    assert session["error"] == ("none" if served else NO_ANSWER)
    assert len(daemon.records(event="auth_failed", client="unix")) == (0 if served else 1)
    assert identd.queries == []


class Spoken(Client):
    """A client over any stream socket."""

    def __init__(self, sock):
        self.sock = sock


# --- beside other things


def test_what_follows_the_request_waits_for_the_answer(island, keep):
    """Early bytes reach the target, after the client is known and not before."""
    island.serve()
    target = keep(Listener(make_socket=island.make_socket))
    go = []
    identd = island.identd(lambda query, wire: wait.until(lambda: go, "the test") and userid(query, "bob"))
    client = island.dial()
    client.send(greeting() + request5(*target.address) + b"early")
    wait.until(lambda: identd.queries, "the question")
    assert target.nobody_came(0.1) and client.is_quiet(0)
    go.append(True)
    assert target.accept().read(5) == b"early"
    assert client.read(4) == b"\x05\x00\x05\x00"


def test_max_per_user_counts_an_ident_user(island, keep):
    daemon = island.serve(max_per_user=2)
    island.identd(lambda query, wire: userid(query, "bob" if query.asked == "127.0.0.1" else "carol"), "0.0.0.0")
    target = keep(Listener(make_socket=island.make_socket))
    sessions = []
    for _ in range(2):
        client = island.dial()
        client.connect("socks5", *target.address)
        sessions.append((client, target.accept()))
    for protocol, code in (("socks5", 0xFF), ("http", 503)):
        assert island.outcome(protocol) == (code, "policy.limit.user", "ident:bob", False)
    client = island.dial()
    client.send(request4(*target.address, user=b"bob"))
    client.expect_closed()
    assert daemon.session(client)["error"] == "policy.limit.user"
    assert island.outcome("socks5", source="127.0.0.2")[:3] == (0, "none", "ident:carol")
    for end in sessions[0]:
        end.close()
    daemon.session(sessions[0][0])
    assert island.outcome("socks5")[:2] == (0, "none")


def test_an_ident_user_is_not_removed_with_the_user_of_that_name(island, keep, tmp_path):
    (tmp_path / "users").write_text("bob:$5$rounds=1000$salt$CCvcOM6b7TEJDPb37Aec/9UpOg4QhPNAxPpL9ZzjTB7\n")
    daemon = island.serve(auth="password, ident", users_file=tmp_path / "users")
    island.identd("bob")
    target = keep(Listener(make_socket=island.make_socket))
    client = island.dial()
    client.connect("socks5", *target.address)
    server = target.accept()
    (tmp_path / "users").write_text("")
    daemon.reload()
    client.send(b"still here")
    assert server.read(10) == b"still here"


def test_check_refuses_ident_behind_a_load_balancer(tmp_path):
    path = tmp_path / "a.ini"
    keys = {"listen": "127.0.0.1:0", "auth": "ident", "proxy_protocol": "require", "proxy_protocol_from": "127.0.0.1"}
    path.write_text(config_text({}, {"main": keys}))
    done = run("-c", path, "--check")
    assert done.returncode == 1
    assert "[listener main] auth: " in done.stderr and len(done.stderr.splitlines()) == 1
