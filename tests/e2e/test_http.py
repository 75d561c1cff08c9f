"""HTTP CONNECT, byte by byte: what is taken, what is refused and in which words, what is logged."""

import base64
import select
import signal
import threading
import time

import pytest

from harness import http, wait
from harness.dns import SERVFAIL, SILENT, Scripted
from harness.http import ESTABLISHED, STATUS, basic, connect, refusal
from harness.socks import Client, greeting, request4
from harness.targets import Echo, Listener, Refusing, Silent, Sink
from harness.users import UsersFile
from test_policy import V4_DANGEROUS, V6_DANGEROUS

MEGABYTE = 1 << 20
HEAD_MAX, LINE_MAX = 8192, 4000


@pytest.fixture
def dns(keep):
    return keep(Scripted())


@pytest.fixture
def named(pairsocks, dns):
    """A daemon that asks `dns`."""
    return pairsocks(daemon={"nameserver": dns.nameserver}, connect_timeout="20s")


def established(daemon, client, target, request):
    """The request is granted and its tunnel carries bytes both ways; returns the session line."""
    client.send(request)
    assert client.read(len(ESTABLISHED)) == ESTABLISHED
    wire = target.accept()
    client.send(b"up")
    assert wire.read(2) == b"up"
    wire.send(b"down")
    assert client.read(4) == b"down"
    client.finish()
    wire.expect_end()
    wire.finish()
    client.expect_end()
    session = daemon.session(client)
    assert (session["protocol"], session["command"], session["error"]) == ("http", "connect", "none")
    assert (session["sent"], session["received"]) == ("2", "4")
    return session


def refused(daemon, client, error, **more):
    """What comes is this refusal and nothing else; returns it and the session line."""
    told = refusal(client.read_to_end(), **more)
    client.close()
    assert told.status == STATUS[error]
    assert more or told.error == error
    session = daemon.session(client)
    assert (session["error"], session["protocol"]) == (error, "http")
    return told, session


def refused_after(daemon, client, message, error, **more):
    client.send(message)
    return refused(daemon, client, error, **more)


# --- what is taken


@pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/1.1"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LocalHost.", "name.test", "NAME.Test."])
def test_connect_reaches_each_kind_of_target(named, dial, dns, keep, host, version):
    dns.name("name.test", a=["127.0.0.1"])
    target = keep(Listener("::1" if host == "::1" else "127.0.0.1"))
    session = established(named, dial(named), target, connect(host, target.port, version=version))
    literal = f"[::1]:{target.port}" if host == "::1" else f"127.0.0.1:{target.port}"
    assert session["address"] == literal
    assert session["target"] == (literal if host[0] in "1:" else f"{host}:{target.port}")


def test_connect_over_ipv6(daemon, dial, keep):
    target = keep(Listener("::1"))
    established(daemon, dial(daemon, version=6), target, connect("::1", target.port))


LINES = {
    "no fields": (),
    "a Host": (b"Host: other.test:80",),
    "two Hosts": (b"Host: a", b"Host: b"),
    "an empty field": (b"X:",),
    "blanks and tabs": (b"X: \t a\tb \t ",),
    "bytes above ASCII": (b"X: \x80\xff",),
    "the odd token": (b"!#$%&'*+-.^_`|~09Az: x",),
    "a length of 0": (b"Content-Length: 0",),
    "keep-alive": (b"Proxy-Connection: Keep-Alive", b"Connection: keep-alive", b"User-Agent: x/1.0 (a; b)"),
    "a login that nobody asked for": (basic("alice", "secret"),),
    "a login of another kind": (b"Proxy-Authorization: Negotiate abc",),
    "many fields": tuple(b"X-%d: value" % number for number in range(300)),
}


@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("case", LINES)
def test_fields_that_mean_nothing_are_taken(daemon, dial, keep, case, end):
    target = keep(Listener())
    established(daemon, dial(daemon), target, connect(*target.address, *LINES[case], end=end))


def test_ends_of_lines_may_be_mixed(daemon, dial, keep):
    target = keep(Listener())
    request = b"CONNECT 127.0.0.1:%d HTTP/1.1\nA: b\r\nC: d\n\r\n" % target.port
    established(daemon, dial(daemon), target, request)


@pytest.mark.parametrize("empty", [b"\r\n", b"\n"], ids=["crlf", "lf"])
def test_an_empty_line_before_the_request_is_skipped(daemon, dial, keep, empty):
    """RFC 9112, 2.2."""
    target = keep(Listener())
    established(daemon, dial(daemon), target, empty + connect(*target.address))


def padded(port, size, longest=LINE_MAX):
    """A request of so many bytes, its fields' lines no longer than `longest` bytes."""
    request = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port
    left = size - len(request) - 2
    while left:
        length = left // -(-left // longest)  # as even as may be
        request += b"X:" + b"v" * (length - 4) + b"\r\n"
        left -= length
    return request + b"\r\n"


@pytest.mark.parametrize("size", [4096, 4097, HEAD_MAX - 1, HEAD_MAX])
@pytest.mark.parametrize("longest", [7, 100, LINE_MAX])
def test_a_head_of_8_kib_is_taken(daemon, dial, keep, size, longest):
    target = keep(Listener())
    established(daemon, dial(daemon), target, padded(target.port, size, longest))


@pytest.mark.parametrize("longest", [7, 100, LINE_MAX])
def test_a_larger_head_is_refused(daemon, dial, keep, longest):
    target = keep(Listener())
    for size in (HEAD_MAX + 1, HEAD_MAX + 2, 2 * HEAD_MAX, 10 * HEAD_MAX):
        refused_after(daemon, dial(daemon), padded(target.port, size, longest), "protocol.request.bad")
    assert target.nobody_came(0.1)


def test_a_line_has_its_longest(daemon, dial, keep):
    target = keep(Listener())
    start = b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % target.port
    for extra, end in ((0, b"\r\n"), (0, b"\n")):
        line = b"X:" + b"v" * (LINE_MAX - 2 - len(end) + extra) + end
        established(daemon, dial(daemon), target, start + line + b"\r\n")
        refused_after(daemon, dial(daemon), start + b"X" + line + b"\r\n", "protocol.request.bad")
    assert target.nobody_came(0.1)


@pytest.mark.parametrize("message", [b"A" * 65536, b"CONNECT " + b"a" * 65536, b"CONNECT a:80 HTTP/1.1\r\nX: " + b"v" * 65536])
def test_a_line_without_end_is_refused_before_its_end(daemon, dial, message):
    refused_after(daemon, dial(daemon), message, "protocol.request.bad")


def test_a_large_head_may_come_a_byte_at_a_time(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    request = padded(target.port, 3000, 300)
    for at in range(len(request) - 1):
        client.send(request[at : at + 1])
    assert not select.select([client.sock], [], [], 0.05)[0], "an answer to half a head"
    established(daemon, client, target, request[-1:])


def test_large_heads_may_be_cut_anywhere(daemon, dial, keep):
    """The daemon holds 4 KiB of it at a time."""
    target = keep(Listener())
    request = padded(target.port, HEAD_MAX, LINE_MAX)
    for at in range(1, len(request), 211):
        client = dial(daemon)
        client.send_in_pieces(request[:at], request[at:] + b"early")
        assert client.read(len(ESTABLISHED)) == ESTABLISHED
        assert target.accept().read(5) == b"early"


# --- the tunnel


@pytest.mark.parametrize("early", [b"x", b"GET / HTTP/1.1\r\n\r\n", b"\r\n", b"\0" * 5000, bytes(range(256)) * 16])
def test_bytes_behind_the_head_are_the_tunnels(daemon, dial, keep, early):
    target = keep(Listener())
    client = dial(daemon)
    client.send(connect(*target.address) + early)
    assert client.read(len(ESTABLISHED)) == ESTABLISHED
    wire = target.accept()
    assert wire.read(len(early)) == early
    client.send(b"more")
    assert wire.read(4) == b"more"


def test_everything_in_one_piece_with_the_end(daemon, dial, keep):
    """Head, bytes and the client's end, before the daemon has said anything."""
    target = keep(Sink(lambda data: b"got " + data))
    client = dial(daemon)
    client.send(connect(*target.address) + b"all")
    client.finish()
    assert client.read_to_end() == ESTABLISHED + b"got all"
    session = daemon.session(client)
    assert (session["error"], session["sent"], session["received"]) == ("none", "3", "7")


def test_a_megabyte_sent_ahead_of_the_reply_arrives(pairsocks, dial, keep):
    daemon = pairsocks(connect_timeout="50s")
    target = keep(Silent())
    blob = bytes(range(256)) * (MEGABYTE // 256)
    client = dial(daemon)
    sender = threading.Thread(target=client.send, args=(connect(*target.address, b"X: " + b"v" * 3000) + blob,))
    sender.start()
    assert client.is_quiet(0.3)
    before = daemon.cpu()
    assert client.is_quiet(0.5)
    assert wait.SANITIZED or daemon.cpu() - before < 0.3, "it turns in circles while it dials"
    target.wake_up()
    wire = target.accept()
    assert wire.read(MEGABYTE) == blob
    sender.join(wait.seconds(10))
    assert client.read(len(ESTABLISHED)) == ESTABLISHED


def test_what_the_target_says_first_comes_behind_the_reply(daemon, dial, keep):
    target = keep(Listener())
    client = dial(daemon)
    client.send(connect(*target.address))
    wire = target.accept()
    wire.send(b"HTTP/1.1 500 from the target\r\n\r\n")
    wire.finish()
    assert client.read_to_end() == ESTABLISHED + b"HTTP/1.1 500 from the target\r\n\r\n"


# --- bad requests: 400

BAD = {
    "no target": b"CONNECT HTTP/1.1\r\n\r\n",
    "an empty target": b"CONNECT  HTTP/1.1\r\n\r\n",
    "no version": b"CONNECT a:80\r\n\r\n",
    "the method alone": b"CONNECT\r\n\r\n",
    "two blanks": b"CONNECT a:80  HTTP/1.1\r\n\r\n",
    "a tab": b"CONNECT\ta:80\tHTTP/1.1\r\n\r\n",
    "a blank at the end": b"CONNECT a:80 HTTP/1.1 \r\n\r\n",
    "HTTP/2.0": b"CONNECT a:80 HTTP/2.0\r\n\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"CONNECT a:80 HTTP/0.9\r\n\r\n",
    "HTTP/1": b"CONNECT a:80 HTTP/1\r\n\r\n",
    "HTTP/1.11": b"CONNECT a:80 HTTP/1.11\r\n\r\n",
    "http/1.1": b"CONNECT a:80 http/1.1\r\n\r\n",
    "a method that is no token": b"CON(NECT a:80 HTTP/1.1\r\n\r\n",
    "no port": b"CONNECT a HTTP/1.1\r\n\r\n",
    "an empty port": b"CONNECT a: HTTP/1.1\r\n\r\n",
    "port 0": b"CONNECT 127.0.0.1:0 HTTP/1.1\r\n\r\n",
    "port 65536": b"CONNECT a:65536 HTTP/1.1\r\n\r\n",
    "a port with a 0 in front": b"CONNECT a:080 HTTP/1.1\r\n\r\n",
    "a port with a sign": b"CONNECT a:+80 HTTP/1.1\r\n\r\n",
    "a port with a letter": b"CONNECT a:80a HTTP/1.1\r\n\r\n",
    "a huge port": b"CONNECT a:4294967376 HTTP/1.1\r\n\r\n",
    "a URL": b"CONNECT http://a:80/ HTTP/1.1\r\n\r\n",
    "a path": b"CONNECT a:80/ HTTP/1.1\r\n\r\n",
    "a user": b"CONNECT me@a:80 HTTP/1.1\r\n\r\n",
    "a user and password": b"CONNECT me:pw@a:80 HTTP/1.1\r\n\r\n",
    "IPv6 without brackets": b"CONNECT ::1:80 HTTP/1.1\r\n\r\n",
    "a bracket open": b"CONNECT [::1:80 HTTP/1.1\r\n\r\n",
    "a bracket closed": b"CONNECT ::1]:80 HTTP/1.1\r\n\r\n",
    "IPv4 in brackets of a name": b"CONNECT [localhost]:80 HTTP/1.1\r\n\r\n",
    "empty brackets": b"CONNECT []:80 HTTP/1.1\r\n\r\n",
    "a zone": b"CONNECT [fe80::1%25lo]:80 HTTP/1.1\r\n\r\n",
    "a zone, not encoded": b"CONNECT [fe80::1%lo]:80 HTTP/1.1\r\n\r\n",
    "a NUL in the target": b"CONNECT a\0b:80 HTTP/1.1\r\n\r\n",
    "a quote in the target": b"CONNECT a\"b:80 HTTP/1.1\r\n\r\n",
    "a byte above ASCII in the target": b"CONNECT a\xffb:80 HTTP/1.1\r\n\r\n",
    "a bare CR": b"CONNECT a:80 HTTP/1.1\rX: y\r\n\r\n",
    "a bare CR in a field": b"CONNECT a:80 HTTP/1.1\r\nX: y\rz\r\n\r\n",
    "two CRs": b"CONNECT a:80 HTTP/1.1\r\r\n\r\n",
    "a NUL in a field": b"CONNECT a:80 HTTP/1.1\r\nX: \0\r\n\r\n",
    "a control character in a field": b"CONNECT a:80 HTTP/1.1\r\nX: \x1b\r\n\r\n",
    "DEL in a field": b"CONNECT a:80 HTTP/1.1\r\nX: \x7f\r\n\r\n",
    "a blank before the colon": b"CONNECT a:80 HTTP/1.1\r\nX : y\r\n\r\n",
    "a field without a colon": b"CONNECT a:80 HTTP/1.1\r\nX\r\n\r\n",
    "a field without a name": b"CONNECT a:80 HTTP/1.1\r\n: y\r\n\r\n",
    "a folded field": b"CONNECT a:80 HTTP/1.1\r\nX: y\r\n z\r\n\r\n",
    "a blank before the first field": b"CONNECT a:80 HTTP/1.1\r\n X: y\r\n\r\n",
    "a content length": b"CONNECT a:80 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "an empty content length": b"CONNECT a:80 HTTP/1.1\r\nContent-Length:\r\n\r\n",
    "a content length of 00": b"CONNECT a:80 HTTP/1.1\r\nContent-Length: 00\r\n\r\n",
    "chunks": b"CONNECT a:80 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two logins": connect("a", 80, basic("a", "b"), basic("a", "b")),
    "a PROXY header": b"PROXY TCP4 127.0.0.9 127.0.0.1 1000 1080\r\n" + connect("a", 80),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_request_is_400(daemon, dial, case):
    _, session = refused_after(daemon, dial(daemon), BAD[case], "protocol.request.bad")
    assert session["address"] == "-"


@pytest.mark.parametrize("case", ["HTTP/2's preface", "two logins", "a content length", "a URL"])
def test_a_bad_request_is_400_though_it_comes_byte_by_byte(daemon, dial, case):
    client = dial(daemon)
    client.drip(BAD[case], pause=0.002, until_closed=True)
    refused(daemon, client, "protocol.request.bad")


INVALID_NAMES = [b"", b"a..b", b".", b".a", b"127.1", b"0x7f000001", b"2130706433", b"256.1.1.1", b"1.2.3.4.5", b"a%20b",
                 b"%6cocalhost", b"a!b", b"x" * 64, b"n" * 256, b"n" * 3000, b".".join([b"abcdefg"] * 32)[:254]]  # fmt: skip


@pytest.mark.parametrize("name", INVALID_NAMES, ids=lambda name: f"{name[:12].decode()}-{len(name)}")
def test_a_name_that_is_none_is_400(named, dial, dns, name):
    refused_after(named, dial(named), connect(name, 80), "resolver.name.invalid")
    assert dns.queries == []


def test_a_client_that_ends_in_the_middle_of_its_head_is_told_so(daemon, keep):
    request = connect("127.0.0.1", 80, b"Host: a", b"X: y")
    clients = [(at, keep(Client.open(daemon.address()))) for at in range(1, len(request))]
    for at, client in clients:
        client.send(request[:at])
        client.finish()
    for _, client in clients:
        refused(daemon, client, "protocol.request.bad")


@pytest.mark.parametrize("at", [1, 7, 20, -1])
def test_a_client_that_resets_in_the_middle_of_its_head_is_gone(daemon, dial, at):
    client = dial(daemon)
    client.send(connect("127.0.0.1", 80)[:at])
    client.reset()
    assert daemon.session(client)["error"] == "client.gone"


# --- other methods: 405

OTHERS = {
    "GET a URL": b"GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n",
    "GET a path": b"GET / HTTP/1.0\r\n\r\n",
    "POST": b"POST http://a.test/ HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    "PUT in chunks": b"PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "OPTIONS": b"OPTIONS * HTTP/1.1\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\n\r\n",
    "DELETE": b"DELETE / HTTP/1.1\n\n",
    "an upgrade": b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "one of its own": b"X HTTP/1.1 HTTP/1.1\r\n\r\n",
    "SEARCH, which begins as SSH does": b"SEARCH / HTTP/1.1\r\n\r\n",
    "CONNECTED": b"CONNECTED a:80 HTTP/1.1\r\n\r\n",
    "Connect": b"Connect a:80 HTTP/1.1\r\n\r\n",
    "with a login": b"GET / HTTP/1.1\r\n" + basic("a", "b") + b"\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_another_method_is_405_and_says_what_this_is(daemon, dial, case):
    told, session = refused_after(daemon, dial(daemon), OTHERS[case], "protocol.command.unsupported")
    assert told.fields["allow"] == "CONNECT"
    assert "SOCKS" in told.body and "CONNECT" in told.body
    assert (session["command"], session["target"]) == ("-", "-")


def test_head_is_405_without_a_body(daemon, dial):
    """RFC 9110, 9.3.2."""
    client = dial(daemon)
    told, _ = refused_after(daemon, client, b"HEAD / HTTP/1.1\r\n\r\n", "protocol.command.unsupported", without_body=True)
    assert int(told.fields["content-length"]) > 0


@pytest.mark.parametrize("message", [b"get / HTTP/1.1\r\n\r\n", b"connect a:80 HTTP/1.1\r\n\r\n", b"{}\r\n\r\n"])
def test_what_no_method_begins_with_is_closed(daemon, dial, message):
    client = dial(daemon)
    client.send(message)
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["protocol"]) == ("protocol.greeting.bad", "-")


@pytest.mark.parametrize("pause", [0, 0.02])
@pytest.mark.parametrize("message, name", [(b"SSH-2.0-OpenSSH_9.2\r\n", "ssh"), (b"\x16\x03\x01\x02\x00\x01\x00", "tls")])
def test_ssh_and_tls_are_no_http(daemon, dial, message, name, pause):
    client = dial(daemon)
    client.drip(message, pause, until_closed=True)
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["protocol"]) == (f"protocol.looks-like.{name}", "-")


def test_a_listener_for_http_alone_speaks_no_socks(pairsocks, dial, keep):
    daemon = pairsocks(protocols="http")
    target = keep(Listener())
    for message in (greeting(), request4(*target.address)):
        client = dial(daemon)
        client.send(message)
        client.expect_closed()
        assert daemon.session(client)["error"] == "protocol.greeting.bad"
    established(daemon, dial(daemon), target, connect(*target.address))


# --- targets that cannot be reached; what all protocols share is in test_replies.py and test_policy.py


@pytest.mark.parametrize("answer, error", [
    (None, "resolver.name.not-found"),
    ([], "resolver.name.no-address"),
    (SERVFAIL, "resolver.server.failed"),
], ids=["nxdomain", "empty", "servfail"])  # fmt: skip
def test_a_name_that_is_not_resolved_is_502(named, dial, dns, answer, error):
    if answer is not None:
        dns.name("name.test", a=answer, aaaa=answer)
    _, session = refused_after(named, dial(named), connect("name.test", 80), error)
    assert (session["target"], session["address"], session["command"]) == ("name.test:80", "-", "connect")


def test_a_name_that_nobody_answers_for_is_504(pairsocks, fast_clock, dial, dns):
    """When all its servers have been asked again and again, which takes ten seconds and more."""
    dns.name("name.test", a=SILENT, aaaa=SILENT)
    named = pairsocks(daemon={"nameserver": dns.nameserver}, connect_timeout="30s", handshake_timeout="5m", environment=fast_clock(20))
    refused_after(named, dial(named, patience=30), connect("name.test", 80), "resolver.name.timeout")


def test_a_silent_target_is_504(pairsocks, dial, keep):
    daemon = pairsocks(connect_timeout="500ms")
    target = keep(Silent())
    start = time.monotonic()
    _, session = refused_after(daemon, dial(daemon), connect(*target.address), "system.connect.timeout")
    assert time.monotonic() - start >= 0.5
    assert session["target"] == session["address"] == f"127.0.0.1:{target.port}"


def test_the_guard_is_403_for_every_spelling_of_a_literal(pairsocks, dial):
    daemon = pairsocks(guard="yes")
    for address in V4_DANGEROUS + V6_DANGEROUS + ["localhost", "a.localhost."]:
        refused_after(daemon, dial(daemon), connect(address, 80), "policy.guard.denied")


def test_a_refusal_repeats_nothing_of_the_request(daemon, dial):
    client = dial(daemon)
    client.send(connect(b"marker..invalid", 80, b"X: marker"))
    assert b"marker" not in client.read_to_end()


def test_after_a_refusal_nothing_more_is_read_as_a_request(daemon, dial, keep):
    target, refusing = keep(Listener()), keep(Refusing())
    client = dial(daemon)
    client.send(connect(*refusing.address) + connect(*target.address))
    refused(daemon, client, "system.connect.refused")
    assert target.nobody_came(0.1)
    assert len(daemon.records(event="session")) == 1


# --- a request that comes too slowly: 408

HALF = [b"C", b"CONNECT ", b"CONNECT a:80 HTTP/1.1\r\n", b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r", b"GET / HTTP/1.1\r\n"]


@pytest.mark.parametrize("message", HALF)
def test_half_a_head_is_408_at_handshake_timeout(pairsocks, dial, message):
    daemon = pairsocks(handshake_timeout="600ms")
    start = time.monotonic()
    _, session = refused_after(daemon, dial(daemon), message, "timeout.handshake")
    assert 0.6 <= time.monotonic() - start < 0.6 + wait.seconds(3)
    assert session["target"] == "-"


def test_a_field_now_and_then_does_not_put_off_408(pairsocks, dial):
    daemon = pairsocks(handshake_timeout="600ms")
    client = dial(daemon)
    client.send(b"CONNECT a:80 HTTP/1.1\r\n")
    assert client.drip(b"A: b\r\n" * 100, pause=0.05, until_closed=True) < wait.seconds(3)
    refused(daemon, client, "timeout.handshake")


def test_who_has_said_nothing_is_closed_without_a_word(pairsocks, dial):
    daemon = pairsocks(handshake_timeout="300ms", protocols="http")
    client = dial(daemon)
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["protocol"]) == ("timeout.handshake", "-")


# --- users: 407 and 503


@pytest.fixture
def users(tmp_path):
    return UsersFile(tmp_path / "users", alice="secret", bob="pass:word", **{"jörg": "gehe im"}, long="p" * 255)


@pytest.fixture
def private(pairsocks, users):
    return pairsocks(auth="password", users_file=users)


@pytest.mark.parametrize("user, password", [
    ("alice", "secret"), ("bob", "pass:word"), ("jörg", "gehe im"), ("long", "p" * 255),
])  # fmt: skip
def test_who_shows_a_password_is_let_through(private, dial, keep, user, password):
    target = keep(Listener())
    session = established(private, dial(private), target, connect(*target.address, basic(user, password)))
    assert session["user"].encode("latin-1") == user.encode()
    assert password not in private.log_text()


@pytest.mark.parametrize("field", [
    b"proxy-authorization: basic %s", b"PROXY-AUTHORIZATION:BASIC %s", b"Proxy-Authorization: \t Basic   %s \t",
])  # fmt: skip
def test_the_login_may_be_written_otherwise(private, dial, keep, field):
    target = keep(Listener())
    established(private, dial(private), target, connect(*target.address, field % base64.b64encode(b"alice:secret")))


WRONG = {
    "another password": basic("alice", "Secret"),
    "an empty password": basic("alice", ""),
    "an unknown user": basic("mallory", "secret"),
    "an empty user": basic("", "secret"),
    "a user with a NUL": basic(b"alice\0", "secret"),
    "a password with a NUL": basic("alice", b"secret\0"),
    "a password that is too long": basic("long", "p" * 256),
    "a user that is too long": basic("u" * 256, "secret"),
    "both as long as they may be": basic("u" * 255, "p" * 255),
}
SENSELESS = {
    "no field": None,
    "Authorization, which is the target's": basic("alice", "secret").removeprefix(b"Proxy-"),
    "nothing": b"Proxy-Authorization:",
    "the scheme alone": b"Proxy-Authorization: Basic",
    "an empty pair": b"Proxy-Authorization: Basic ",
    "no colon": b"Proxy-Authorization: Basic " + base64.b64encode(b"alice"),
    "another scheme": b"Proxy-Authorization: Bearer " + base64.b64encode(b"alice:secret"),
    "no base64": b"Proxy-Authorization: Basic alice:secret",
    "base64 without its padding": b"Proxy-Authorization: Basic " + base64.b64encode(b"alice:secret1").rstrip(b"="),
    "two words": basic("alice", "secret") + b" x",
    "a comma": basic("alice", "secret") + b", Basic x",
    "the other alphabet": b"Proxy-Authorization: Basic " + base64.urlsafe_b64encode(b"\xfb\xff:secret"),
}


@pytest.mark.parametrize("case", {**WRONG, **SENSELESS})
def test_who_shows_none_or_a_wrong_one_is_asked_for_it(private, dial, keep, case):
    target = keep(Listener())
    field = {**WRONG, **SENSELESS}[case]
    fields = [field] if field is not None else []
    told, session = refused_after(private, dial(private), connect(*target.address, *fields), "auth.password.failed")
    assert told.fields["proxy-authenticate"].startswith("Basic ")
    assert (session["user"], session["target"]) == ("-", f"127.0.0.1:{target.port}")
    assert target.nobody_came(0.05)
    assert "secret" not in private.log_text()


def test_a_failed_login_is_told_to_the_log_at_once(private, dial, keep):
    target = keep(Listener())
    client = dial(private)
    client.send(connect(*target.address, basic(b"al\nice", "wrong password")))
    record = private.wait_for(event="auth_failed")
    assert (record["user"], record["client"], record["protocol"]) == ("al\nice", client.local, "http")
    assert "wrong password" not in private.log_text()
    refused(private, client, "auth.password.failed")


def test_no_target_is_asked_for_before_the_password_is_right(pairsocks, dial, users, dns):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver}, auth="password", users_file=users)
    for field in (basic("alice", "wrong"), b"X: y"):
        refused_after(daemon, dial(daemon), connect("name.test", 80, field), "auth.password.failed")
    assert dns.queries == []


def test_another_method_is_405_before_anybody_is_asked_for_a_password(private, dial):
    refused_after(private, dial(private), OTHERS["GET a URL"], "protocol.command.unsupported")


def test_bytes_behind_the_head_wait_for_the_password_to_be_judged(pairsocks, dial, keep, users):
    daemon = pairsocks(daemon={"auth_cache": "0s"}, auth="password", users_file=users)
    target = keep(Listener())
    blob = bytes(range(256)) * 256
    request = connect(*target.address, basic("alice", "secret"))
    for at in range(1, len(request), 5):
        client = dial(daemon)
        client.send_in_pieces(request[:at], request[at:] + blob)
        client.finish()
        wire = target.accept()
        assert wire.read_to_end() == blob
        wire.close()
        assert client.read_to_end() == ESTABLISHED
    client = dial(daemon)
    client.send(connect(*target.address, basic("alice", "wrong")) + blob)
    refused(daemon, client, "auth.password.failed")
    assert target.nobody_came(0.1)


def test_max_per_user_is_503(pairsocks, dial, keep, users):
    daemon = pairsocks(auth="password", users_file=users, max_per_user=1)
    target = keep(Echo())
    first = dial(daemon)
    first.send(connect(*target.address, basic("alice", "secret")))
    assert first.read(len(ESTABLISHED)) == ESTABLISHED
    refused_after(daemon, dial(daemon), connect(*target.address, basic("alice", "secret")), "policy.limit.user")
    other = dial(daemon)
    other.send(connect(*target.address, basic("bob", "pass:word")))
    assert other.read(len(ESTABLISHED)) == ESTABLISHED
    first.close()
    daemon.session(first)
    again = dial(daemon)
    again.send(connect(*target.address, basic("alice", "secret")))
    assert again.read(len(ESTABLISHED)) == ESTABLISHED
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code() == 0
    assert sum(int(record["user"]) for record in daemon.records(event="refused")) == 1


def test_rules_know_the_user(pairsocks, dial, keep, users):
    daemon = pairsocks(auth="password", users_file=users, default="deny",
                       rules={"alices": {"user": "alice", "action": "allow"}})  # fmt: skip
    target = keep(Listener())
    assert established(daemon, dial(daemon), target, connect(*target.address, basic("alice", "secret")))["rule"] == "alices"
    _, session = refused_after(daemon, dial(daemon), connect(*target.address, basic("bob", "pass:word")), "policy.rule.denied")
    assert session["user"] == "bob"


# --- everything at once


def test_bad_requests_cost_nobody_else_anything(pairsocks, dial, keep):
    daemon = pairsocks(daemon={"workers": 1})
    target = keep(Echo())
    good = dial(daemon)
    good.connect("http", *target.address)
    for message in [*BAD.values(), *OTHERS.values(), *HALF, b"A" * 65536]:
        dial(daemon).send(message)
        good.send(b"still here")
        assert good.read(10) == b"still here"


def test_every_refusal_has_a_status_of_its_table():
    assert set(STATUS.values()) == set(http.REASON)
