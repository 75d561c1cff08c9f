"""Passwords (RFC 1929, Basic): who is let in with what, however the bytes come, and what a guesser learns."""

import base64
import statistics
import time

import pytest

from harness import wait
from harness.http import connect_request, read_http_reply
from harness.socks import Client, greeting, request4, request5, userpass
from harness.targets import Listener, Source
from harness.users import CHEAP, YESCRYPT, UsersFile, slow

RIGHT = "correct horse"
HOLD = 1.0  # seconds of a hash during which a test can do something


@pytest.fixture
def guarded(pairsocks, tmp_path):
    """guarded(key=value ...): a daemon that asks for the password of `alice`; `daemon.users` is its file."""

    def start(*, setting=CHEAP, daemon=None, users=None, **keys):
        users = UsersFile(tmp_path / "users", setting, **(users or {"alice": RIGHT}))
        started = pairsocks(daemon=daemon, **{"listen": "127.0.0.1:0", "auth": "password", "users_file": users, **keys})
        started.users = users
        return started

    return start


class Hosts:
    """Addresses that no other connection of the test comes from: a failure delays its own host alone."""

    def __init__(self):
        self.count = 0

    def next(self):
        self.count += 1
        return f"127.9.{self.count // 250}.{self.count % 250 + 1}"


@pytest.fixture
def hosts():
    return Hosts()


def try_login(daemon, user, password, source=None):
    """The status that RFC 1929's message gets; with 0 the connection still serves."""
    with Client.open(daemon.address(), source=source) as client:
        assert client.greet(2) == 2
        status = client.login(user, password)
        if status:
            client.expect_closed()
        return status


def try_basic(daemon, user, password, target, source=None):
    """The status of HTTP."""
    with Client.open(daemon.address(), source=source) as client:
        client.send(connect_request(*target.address, credentials=(user, password)))
        status = read_http_reply(client).status
        if status != 200:
            client.expect_closed()
        return status


# --- what is no right password

SECRET = b"S3cret:P\xc3\xa4ss"

WRONG_PASSWORDS = {
    **{f"prefix-{n}": SECRET[:n] for n in range(1, len(SECRET))},
    **{f"byte-{n}": SECRET[:n] + bytes([SECRET[n] ^ 1]) + SECRET[n + 1 :] for n in range(len(SECRET))},
    "longer": SECRET + b"x",
    "twice": SECRET * 2,
    "blank-behind": SECRET + b" ",
    "blank-before": b" " + SECRET,
    "newline-behind": SECRET + b"\n",
    "nul-behind": SECRET + b"\0",
    "nul-and-junk": SECRET + b"\0junk",
    "nul-before": b"\0" + SECRET,
    "nul-alone": b"\0",
    "nul-inside": SECRET[:4] + b"\0" + SECRET[4:],
    "nuls-to-255": SECRET.ljust(255, b"\0"),
    "other-case": SECRET.swapcase(),
    "255": b"x" * 255,
    "right-to-255": SECRET.ljust(255, b"x"),
    "high": b"\xff" * 20,
}

WRONG_USERS = {
    **{f"prefix-{n}": b"alice"[:n] for n in range(1, 5)},
    "longer": b"alicex",
    "case": b"Alice",
    "blank-behind": b"alice ",
    "blank-before": b" alice",
    "nul-behind": b"alice\0",
    "nul-and-junk": b"alice\0bob",
    "nul-alone": b"\0",
    "newline": b"alice\n",
    "colon": b"alice:",
    "hash": b"#alice",
    "ident": b"ident:alice",
    "255": b"a" * 255,
    "alice-to-255": b"alice".ljust(255, b"\0"),
}


@pytest.mark.parametrize("setting", [CHEAP, YESCRYPT, "$6$rounds=1000$pairsocks"], ids=["sha256", "yescrypt", "sha512"])
def test_a_wrong_password_of_any_form_is_refused(guarded, hosts, keep, setting):
    daemon = guarded(setting=setting, users={"alice": SECRET})
    target = keep(Source(b""))
    for name, password in WRONG_PASSWORDS.items():
        assert try_login(daemon, "alice", password, hosts.next()) == 1, name
        assert try_basic(daemon, "alice", password, target, hosts.next()) == 407, name
    assert try_basic(daemon, "alice", "", target, hosts.next()) == 407
    # Now with the right login in the cache.
    assert try_login(daemon, "alice", SECRET, hosts.next()) == 0
    assert try_basic(daemon, "alice", SECRET, target, hosts.next()) == 200
    for name, password in WRONG_PASSWORDS.items():
        assert try_login(daemon, "alice", password, hosts.next()) == 1, f"{name}, beside the cache"
    assert try_login(daemon, "alice", SECRET, hosts.next()) == 0
    wait.until(lambda: len(daemon.records(event="auth_failed")) == 3 * len(WRONG_PASSWORDS) + 1, "all auth_failed lines")


def test_a_wrong_user_of_any_form_is_refused_and_logged_on_one_line(guarded, hosts, keep):
    daemon = guarded(users={"alice": RIGHT, "bob": "other"})
    target = keep(Source(b""))
    assert try_login(daemon, "alice", RIGHT, hosts.next()) == 0
    for count, (name, user) in enumerate(WRONG_USERS.items()):
        source = hosts.next()
        assert try_login(daemon, user, RIGHT, source) == 1, name
        failed = daemon.wait_for(count + 1, event="auth_failed")
        assert failed["client"].startswith(source), name
        assert failed["user"].encode("latin-1") == user, name
    for name, user in WRONG_USERS.items():
        if b":" not in user:  # Basic ends the user there
            assert try_basic(daemon, user, RIGHT, target, hosts.next()) == 407, name
    assert try_basic(daemon, "", RIGHT, target, hosts.next()) == 407


def test_a_password_of_another_user_is_wrong(guarded, hosts):
    daemon = guarded(users={"alice": RIGHT, "bob": "other", "ab": "c", "a": "bc"})
    for _ in range(2):  # the second time with good logins in the cache
        assert try_login(daemon, "alice", "other", hosts.next()) == 1
        assert try_login(daemon, "bob", RIGHT, hosts.next()) == 1
        assert try_login(daemon, "ab", "c", hosts.next()) == 0
        assert try_login(daemon, "a", "bc", hosts.next()) == 0
        assert try_login(daemon, "a", "c", hosts.next()) == 1
        assert try_login(daemon, "ab", "bc", hosts.next()) == 1


def test_passwords_and_users_of_all_lengths_are_right_when_they_are(guarded, hosts, keep):
    users = {"u" * n: "p" * n for n in (1, 2, 63, 64, 127, 128, 254, 255)}
    daemon = guarded(users=users)
    target = keep(Source(b""))
    for user, password in users.items():
        assert try_login(daemon, user, password, hosts.next()) == 0
        assert try_basic(daemon, user, password, target, hosts.next()) == 200
        assert try_basic(daemon, user, password + "p", target, hosts.next()) == 407


def test_two_listeners_know_their_own_users_alone(pairsocks, tmp_path, hosts, dial):
    listeners = {
        name: {"listen": "127.0.0.1:0", "auth": "password",
               "users_file": UsersFile(tmp_path / name, alice=f"{name}-password", **{f"of-{name}": "x"})}
        for name in ("one", "two")
    }  # fmt: skip
    daemon = pairsocks(listeners=listeners)

    def status(listener, user, password):
        client = dial(daemon, address=daemon.address(listener=listener), source=hosts.next())
        client.greet(2)
        return client.login(user, password)

    for _ in range(2):
        assert (status("one", "alice", "one-password"), status("two", "alice", "two-password")) == (0, 0)
        assert (status("one", "alice", "two-password"), status("two", "alice", "one-password")) == (1, 1)
        assert (status("one", "of-one", "x"), status("two", "of-one", "x")) == (0, 1)


# --- the dialogue

REFUSED_LOGINS = {
    "request-instead": request5("127.0.0.1", 80),
    "greeting-again": greeting(2),
    "version-0": userpass("alice", RIGHT, version=0),
    "version-5": userpass("alice", RIGHT, version=5),
    "no-user": b"\x01\x00\x01x",
    "no-password": b"\x01\x05alice\x00",
    "socks4": request4("127.0.0.1", 80),
}


@pytest.mark.parametrize("case", REFUSED_LOGINS)
def test_what_is_no_login_is_refused_and_nobody_guessed(guarded, dial, case):
    daemon = guarded()
    client = dial(daemon)
    assert client.greet(2) == 2
    client.send(REFUSED_LOGINS[case])
    assert client.read_to_end() == b"\x01\x01"
    client.close()
    session = daemon.session(client)
    assert (session["error"], session["user"], session["target"]) == ("protocol.request.bad", "-", "-")
    assert daemon.records(event="auth_failed") == []


@pytest.mark.parametrize("methods", [(0,), (1,), (0, 1, 3, 255), (255,)], ids=str)
def test_a_request_without_the_password_that_is_asked_for_reaches_nobody(guarded, dial, keep, methods):
    """Method 0 is not chosen, and the request behind the greeting is not read as one."""
    daemon = guarded()
    target = keep(Listener())
    client = dial(daemon)
    client.send(greeting(*methods) + request5(*target.address))
    assert client.read_to_end() == b"\x05\xff"
    client.close()
    assert daemon.session(client)["error"] == "socks.socks5-method.none-acceptable"
    assert target.nobody_came(0.1)


def test_a_request_behind_a_wrong_login_is_not_read(guarded, dial, keep):
    daemon = guarded()
    target = keep(Listener())
    client = dial(daemon)
    client.send(greeting(0, 2) + userpass("alice", "wrong") + request5(*target.address))
    assert client.read_to_end() == b"\x05\x02\x01\x01"
    client.close()
    assert daemon.session(client)["error"] == "auth.password.failed"
    assert target.nobody_came(0.1)


@pytest.mark.parametrize("second", ["right", "wrong"])
def test_a_second_login_is_no_request(guarded, dial, second):
    daemon = guarded()
    client = dial(daemon)
    assert (client.greet(2), client.login("alice", RIGHT)) == (2, 0)
    client.send(userpass("alice", RIGHT if second == "right" else "wrong"))
    assert client.read_to_end() == bytes([5, 1, 0, 1]) + bytes(6)
    client.close()
    session = daemon.session(client)
    assert (session["error"], session["user"]) == ("protocol.request.bad", "alice")
    assert daemon.records(event="auth_failed") == []


def dialogues(target):
    """Whole conversations in one, and what they are answered but for SOCKS5's address."""
    return {
        "socks5": (greeting(0, 2) + userpass("alice", RIGHT) + request5(*target.address), b"\x05\x02\x01\x00\x05\x00\x00\x01", 6),
        "http": (connect_request(*target.address, credentials=("alice", RIGHT)), b"HTTP/1.1 200 ", None),
    }


@pytest.mark.parametrize("cached", [False, True], ids=["fresh", "cached"])
@pytest.mark.parametrize("protocol", ["socks5", "http"])
@pytest.mark.parametrize("pieces", ["one-write", "bytes"])
def test_a_login_is_the_same_however_its_bytes_come(guarded, dial, keep, protocol, pieces, cached):
    """What the client sends behind its request, without waiting, reaches the target."""
    daemon = guarded(daemon={} if cached else {"auth_cache": 0})
    target = keep(Listener())
    if cached:
        assert try_login(daemon, "alice", RIGHT) == 0
    message, answer, rest = dialogues(target)[protocol]
    client = dial(daemon)
    if pieces == "bytes":
        client.drip(message, pause=0.001)
        client.send(b"early")
    else:
        client.send(message + b"early")
    assert client.read(len(answer)) == answer
    if rest:
        client.read(rest)
    else:
        while not answer.endswith(b"\r\n\r\n"):
            answer += client.read(1)
    server = target.accept()
    assert server.read(5) == b"early"
    server.send(b"back")
    assert client.read(4) == b"back"
    server.close()
    client.close()
    session = daemon.session(client)
    assert (session["user"], session["protocol"], session["error"]) == ("alice", protocol, "none")


def test_a_login_that_arrives_with_the_clients_end_is_served(guarded, dial, keep):
    """The whole dialogue and a FIN in one go, as `nc -N` sends a file."""
    daemon = guarded(setting=slow(0.1))
    target = keep(Listener())
    client = dial(daemon)
    client.send(greeting(2) + userpass("alice", RIGHT) + request5(*target.address) + b"all")
    client.finish()
    server = target.accept()
    assert server.read_to_end() == b"all"
    server.send(b"answer")
    server.close()
    assert client.read_to_end()[:4] == b"\x05\x02\x01\x00"
    client.close()
    assert daemon.session(client)["error"] == "none"


# --- while a password is checked


@pytest.mark.parametrize("protocol", ["socks5", "http"])
@pytest.mark.parametrize("way", ["fin", "reset"])
def test_a_client_that_leaves_while_its_password_is_checked_is_forgotten(guarded, dial, keep, hosts, protocol, way):
    daemon = guarded(setting=slow(HOLD))
    target = keep(Listener())
    client = dial(daemon, source=hosts.next())
    client.send(dialogues(target)[protocol][0][:-1] if protocol == "http" else greeting(2) + userpass("alice", RIGHT))
    if protocol == "http":
        client.send(b"\n")
    else:
        assert client.read(2) == b"\x05\x02"
    assert client.is_quiet(0.1)
    if way == "reset":
        client.reset()
        session = daemon.session(client)
        assert session["error"] == "client.gone"
    else:
        client.close()
        session = daemon.session(client)
        # HTTP's request is complete: a client that ended its direction still wants its answer.
        assert session["error"] in ("client.gone", "none", "system.read.reset", "system.write.reset")
    assert daemon.records(event="auth_failed") == []
    assert daemon.process.poll() is None


def test_clients_that_reset_in_hundreds_while_their_passwords_wait_leave_nothing(guarded, dial, hosts):
    daemon = guarded(setting=slow(0.02))
    assert try_login(daemon, "alice", RIGHT, hosts.next()) == 0
    wait.until(lambda: daemon.records(event="session"), "its session line")
    before = daemon.descriptors()
    for number in range(300):
        with Client.open(daemon.address(), source=f"127.8.0.{number % 50 + 1}") as client:
            client.send(greeting(2) + userpass("alice", f"wrong {number}"))
            client.reset()
    daemon.wait_for(301, event="session", timeout=30)
    wait.until(lambda: daemon.descriptors() <= before, lambda: f"{daemon.descriptors()} descriptors, {before} before")
    assert try_login(daemon, "alice", RIGHT, hosts.next()) == 0


def test_a_check_that_takes_longer_than_the_handshake_may_ends_with_it(guarded, dial, hosts):
    daemon = guarded(setting=slow(HOLD), handshake_timeout="500ms")
    client = dial(daemon, source=hosts.next())
    client.send(greeting(2) + userpass("alice", RIGHT))
    assert client.read(2) == b"\x05\x02"
    client.expect_closed()
    assert daemon.session(client)["error"] == "timeout.handshake"
    client = dial(daemon, source=hosts.next())
    client.send(connect_request("127.0.0.1", 80, credentials=("alice", RIGHT)))
    assert read_http_reply(client).status == 408
    client.close()
    assert daemon.session(client)["error"] == "timeout.handshake"


def test_the_daemon_stops_at_once_while_passwords_are_checked(guarded, dial, hosts):
    daemon = guarded(setting=slow(0.2))
    for _ in range(20):
        client = dial(daemon, source=hosts.next())
        client.send(greeting(2) + userpass("alice", "wrong"))
        assert client.read(2) == b"\x05\x02"
    # launch() ends it with SIGINT and looks at its exit code.


# --- what a guesser learns


def median_time(daemon, user, hosts, tries=9):
    times = []
    for _ in range(tries):
        with Client.open(daemon.address(), source=hosts.next()) as client:
            client.greet(2)
            start = time.monotonic()
            assert client.login(user, "wrong") == 1
            times.append(time.monotonic() - start)
            client.expect_closed()
    return statistics.median(times)


@pytest.mark.figures
def test_an_unknown_user_is_answered_as_late_as_a_wrong_password(guarded, hosts):
    daemon = guarded(setting=slow(0.03), users={"alice": RIGHT, "bob": "other"})
    ratios = []
    for _ in range(3):  # the machine is shared
        known, unknown = median_time(daemon, "alice", hosts), median_time(daemon, "nobody", hosts)
        assert min(known, unknown) > 0.015, "nothing was hashed"
        ratios.append(unknown / known)
        if 0.8 < ratios[-1] < 1.25:
            return
    raise AssertionError(f"unknown / known: {ratios}")


def test_an_unknown_user_and_a_wrong_password_look_the_same(guarded, dial, hosts):
    daemon = guarded()
    said = {}
    for user in ("alice", "nobody"):
        client = dial(daemon, source=hosts.next())
        client.send(greeting(2) + userpass(user, "wrong"))
        http = dial(daemon, source=hosts.next())
        http.send(connect_request("127.0.0.1", 80, credentials=(user, "wrong")))
        said[user] = (client.read_to_end(), http.read_to_end())
        client.close()
        http.close()
        assert daemon.session(client)["error"] == daemon.session(http)["error"] == "auth.password.failed"
    assert said["alice"] == said["nobody"]
    assert said["alice"][0] == b"\x05\x02\x01\x01"


def test_no_secret_is_ever_logged(guarded, hosts, keep):
    daemon = guarded(daemon={"log_level": "debug"})
    target = keep(Source(b""))
    for password in (RIGHT, "a bad guess"):
        try_login(daemon, "alice", password, hosts.next())
        try_basic(daemon, "alice", password, target, hosts.next())
    daemon.wait_for(4, event="session")
    text = daemon.log_text() + daemon.errors()
    for secret in (RIGHT, "a bad guess"):
        assert secret not in text
        assert base64.b64encode(f"alice:{secret}".encode()).decode() not in text
    assert "$5$" not in text
