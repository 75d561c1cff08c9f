"""Users over time: the cache of good logins, what a reload changes, max_per_user, and one host's guesses beside
another's logins."""

import collections
import contextlib
import socket
import statistics
import threading
import time

import pytest

from harness import wait
from harness.daemon import config_text, run
from harness.http import connect_request, read_http_reply
from harness.socks import Client, greeting, request5, userpass
from harness.targets import Listener, Refusing, Source
from harness.users import CHEAP, UsersFile, crypt, slow

ALICE, BOB = "alice's word", "bob's word"


@pytest.fixture
def guarded(pairsocks, tmp_path):
    """guarded(key=value ...): a daemon with the users alice and bob; `daemon.users` is their file."""

    def start(*, setting=CHEAP, daemon=None, users=None, **keys):
        users = UsersFile(tmp_path / "users", setting, **(users or {"alice": ALICE, "bob": BOB}))
        started = pairsocks(daemon=daemon, **{"listen": "127.0.0.1:0", "auth": "password", "users_file": users, **keys})
        started.users = users
        return started

    return start


def reload_with(daemon, old, new):
    """Reloads with `old` in the configuration replaced by `new`."""
    ini = daemon.folder / "pairsocks.ini"
    text = ini.read_text()
    assert old in text
    ini.write_text(text.replace(old, new))
    daemon.reload()


def try_login(daemon, user, password, source=None):
    """(RFC 1929's status, seconds it took)."""
    with Client.open(daemon.address(), source=source) as client:
        assert client.greet(2) == 2
        start = time.monotonic()
        status = client.login(user, password)
        took = time.monotonic() - start
        if status:
            client.expect_closed()
        return status, took


def status_of(daemon, user, password, source=None):
    return try_login(daemon, user, password, source)[0]


@pytest.fixture
def session_of(dial, keep):
    """session_of(daemon, user, password): a session that stands, as (client, the target's end)."""
    target = keep(Listener())

    def start(daemon, user, password, **more):
        client = dial(daemon, **more)
        client.connect_as(user, password, *target.address)
        return client, target.accept()

    return start


def talks(session):
    client, target = session
    client.send(b"ping")
    assert target.read(4) == b"ping"
    target.send(b"pong")
    assert client.read(4) == b"pong"


# --- the cache of good logins

HASH = 0.12  # seconds, as far as it can be foreseen
CACHED = 0.05  # less than such a hash takes on any day, and more than a login without one


@pytest.mark.figures
def test_a_second_login_is_not_hashed_again_whoever_asks(guarded):
    daemon = guarded(setting=slow(HASH))
    assert try_login(daemon, "alice", ALICE)[1] > CACHED
    for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1", "127.0.0.3"):
        status, took = try_login(daemon, "alice", ALICE, source)
        assert status == 0 and took < CACHED, f"{took:.3f} s"
    assert try_login(daemon, "bob", BOB)[1] > CACHED, "bob's own login was never hashed"


@pytest.mark.figures
def test_a_wrong_password_is_hashed_each_time(guarded):
    daemon = guarded(setting=slow(HASH))
    for number in range(3):
        status, took = try_login(daemon, "alice", "wrong", f"127.0.0.{number + 2}")
        assert status == 1 and took > CACHED


@pytest.mark.figures
def test_without_a_cache_every_login_is_hashed(guarded):
    daemon = guarded(setting=slow(HASH), daemon={"auth_cache": 0})
    assert all(try_login(daemon, "alice", ALICE)[1] > CACHED for _ in range(3))


@pytest.mark.figures
def test_a_cached_login_is_forgotten_after_auth_cache_though_it_is_used(guarded):
    daemon = guarded(setting=slow(HASH), daemon={"auth_cache": "1s"})
    try_login(daemon, "alice", ALICE)
    start = time.monotonic()
    assert try_login(daemon, "alice", ALICE)[1] < CACHED
    wait.until(lambda: try_login(daemon, "alice", ALICE)[1] > CACHED, "a login that is hashed", timeout=5)
    assert time.monotonic() - start >= 0.8


@pytest.mark.figures
def test_a_reload_that_switches_the_cache_off_is_in_force_at_once(guarded):
    daemon = guarded(setting=slow(HASH), daemon={"auth_cache": "1h"})
    try_login(daemon, "alice", ALICE)
    assert try_login(daemon, "alice", ALICE)[1] < CACHED
    reload_with(daemon, "auth_cache = 1h", "auth_cache = 0")
    assert try_login(daemon, "alice", ALICE)[1] > CACHED


@pytest.mark.figures
def test_a_reload_of_the_same_file_keeps_the_cache(guarded):
    daemon = guarded(setting=slow(HASH))
    try_login(daemon, "alice", ALICE)
    daemon.reload()
    assert try_login(daemon, "alice", ALICE)[1] < CACHED


# --- a changed password


@pytest.mark.parametrize("cache", ["60s", "0"])
def test_a_changed_password_is_in_force_at_once_and_the_old_one_is_wrong(guarded, session_of, cache):
    daemon = guarded(daemon={"auth_cache": cache})
    session = session_of(daemon, "alice", ALICE)
    assert status_of(daemon, "alice", ALICE) == 0
    daemon.users.write(alice="another word", bob=BOB)
    assert status_of(daemon, "alice", ALICE) == 0, "nobody has said reload yet"
    daemon.reload()
    assert status_of(daemon, "alice", ALICE, "127.0.0.2") == 1
    assert status_of(daemon, "alice", "another word") == 0
    assert status_of(daemon, "bob", BOB) == 0
    talks(session)  # with a user that is still there


def test_a_connection_from_before_the_reload_logs_in_by_the_new_file(guarded, dial):
    daemon = guarded()
    assert status_of(daemon, "alice", ALICE) == 0
    old, new, fresh = (dial(daemon, source=f"127.0.0.{n}") for n in (2, 3, 4))
    assert (old.greet(2), new.greet(2)) == (2, 2)
    daemon.users.write(alice="another word")
    daemon.reload()
    assert old.login("alice", ALICE) == 1
    assert new.login("alice", "another word") == 0
    fresh.send(connect_request("127.0.0.1", 1, credentials=("bob", BOB)))
    assert read_http_reply(fresh).status == 407


def test_a_password_that_is_checked_during_the_reload_is_judged_by_the_new_file(guarded, dial):
    daemon = guarded(setting=slow(0.5))
    old, new, gone = (dial(daemon, source=f"127.0.0.{n}") for n in (2, 3, 4))
    for client in (old, new, gone):
        assert client.greet(2) == 2
    old.send(userpass("alice", ALICE))
    new.send(userpass("alice", "another word"))
    gone.send(userpass("bob", BOB))
    daemon.users.setting = CHEAP
    daemon.users.write(alice="another word")
    assert old.is_quiet(0.05)
    daemon.reload()
    assert old.read(2) == b"\x01\x01"
    assert new.read(2) == b"\x01\x00"
    assert gone.read(2) == b"\x01\x01"


# --- a removed user


def is_closed_by_admin(daemon, session):
    client, target = session
    client.expect_reset()
    target.expect_reset()
    record = daemon.session(client)
    assert (record["error"], record["user"]) == ("daemon.closed-by-admin", "alice")


def test_a_removed_user_loses_open_sessions_and_the_others_keep_theirs(guarded, session_of, dial):
    daemon = guarded()
    gone = [session_of(daemon, "alice", ALICE, source=f"127.0.0.{n}") for n in range(2, 8)]  # on both workers
    stays = [session_of(daemon, "bob", BOB) for _ in range(4)]
    logged_in, other = dial(daemon), dial(daemon)
    assert (logged_in.greet(2), logged_in.login("alice", ALICE)) == (2, 0)
    assert (other.greet(2), other.login("bob", BOB)) == (2, 0)
    daemon.users.write(bob=BOB)
    daemon.reload()
    for session in gone:
        is_closed_by_admin(daemon, session)
    logged_in.expect_reset()
    assert daemon.session(logged_in)["error"] == "daemon.closed-by-admin"
    for session in stays:
        talks(session)
    other.send(request5("127.0.0.1", 1))
    assert other.read_reply5().code == 5
    assert len(daemon.records(event="session", error="daemon.closed-by-admin")) == 7


def test_a_removed_user_keeps_sessions_where_the_listener_says_so_and_makes_no_new_ones(guarded, session_of):
    daemon = guarded(close_on_removal="no")
    session = session_of(daemon, "alice", ALICE)
    daemon.users.write(bob=BOB)
    daemon.reload()
    talks(session)
    assert status_of(daemon, "alice", ALICE) == 1
    reload_with(daemon, "close_on_removal = no", "close_on_removal = yes")
    is_closed_by_admin(daemon, session)


def test_a_removed_user_whose_login_is_remembered_cannot_log_in_and_can_when_back(guarded):
    daemon = guarded()
    for _ in range(2):
        assert status_of(daemon, "alice", ALICE) == 0
    daemon.users.write(bob=BOB)
    daemon.reload()
    assert status_of(daemon, "alice", ALICE, "127.0.0.2") == 1
    assert status_of(daemon, "bob", BOB) == 0
    daemon.users.write(alice=ALICE, bob=BOB)
    daemon.reload()
    assert status_of(daemon, "alice", ALICE) == 0


def test_a_user_removed_from_one_listener_stays_with_another(pairsocks, tmp_path, keep):
    users = {name: UsersFile(tmp_path / name, alice=ALICE) for name in ("one", "two")}
    daemon = pairsocks(listeners={
        name: {"listen": "127.0.0.1:0", "auth": "password", "users_file": file} for name, file in users.items()
    })  # fmt: skip
    target, sessions = keep(Listener()), {}
    for name in users:
        client = keep(Client.open(daemon.address(listener=name)))
        client.connect_as("alice", ALICE, *target.address)
        sessions[name] = (client, target.accept())
    users["one"].write()
    daemon.reload()
    is_closed_by_admin(daemon, sessions["one"])
    talks(sessions["two"])


def test_users_change_fifty_times_under_load_and_nobody_else_notices(guarded, session_of):
    """bob's sessions and logins go on while alice comes and goes."""
    daemon = guarded()
    standing, stop, failures, logins = session_of(daemon, "bob", BOB), threading.Event(), [], [0]

    def bob():
        while not stop.is_set():
            try:
                assert status_of(daemon, "bob", BOB) == 0
                logins[0] += 1
            except Exception as failure:  # noqa: BLE001 - whatever it was, it is a failure
                failures.append(repr(failure))
                return

    def alice():
        """May come in or not, and never waits to hear it."""
        waiting = collections.deque(maxlen=10)
        while not stop.wait(0.002):
            with contextlib.suppress(OSError):
                waiting.append(Client.open(daemon.address(), source="127.0.0.2"))
                waiting[-1].send(greeting(2) + userpass("alice", ALICE))
                if len(waiting) == 10:
                    waiting.popleft().close()
        for client in waiting:
            client.close()

    threads = [threading.Thread(target=load) for load in (bob, bob, alice)]
    for thread in threads:
        thread.start()
    try:
        for number in range(50):
            daemon.users.write(**({"alice": ALICE} if number % 2 else {}), bob=BOB)
            daemon.reload()
            talks(standing)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == [] and logins[0] > 10


# --- max_per_user


def test_a_user_has_so_many_sessions_on_all_workers_together(guarded, session_of, dial):
    daemon = guarded(max_per_user=8)
    sessions = [session_of(daemon, "alice", ALICE) for _ in range(8)]
    for _ in range(3):  # a refused one counts nothing
        client = dial(daemon)
        assert (client.greet(2), client.login("alice", ALICE)) == (2, 1)
        client.expect_closed()
        record = daemon.session(client)
        assert (record["error"], record["user"]) == ("policy.limit.user", "alice")
        http = dial(daemon)
        http.send(connect_request("127.0.0.1", 1, credentials=("alice", ALICE)))
        assert read_http_reply(http).status == 503
        http.expect_closed()
        assert daemon.session(http)["error"] == "policy.limit.user"
    session_of(daemon, "bob", BOB)
    assert daemon.records(event="auth_failed") == []
    for client, target in sessions[:3]:
        target.close()
        client.close()
        daemon.session(client)
    sessions[:3] = [session_of(daemon, "alice", ALICE) for _ in range(3)]
    assert status_of(daemon, "alice", ALICE) == 1
    for session in sessions:
        talks(session)


def test_sessions_that_come_to_nothing_are_given_back(guarded, dial, keep):
    daemon = guarded(max_per_user=1)
    refusing = keep(Refusing())
    for number in range(20):
        client = dial(daemon)
        assert (client.greet(2), client.login("alice", ALICE)) == (2, 0), f"at number {number}"
        if number % 2:
            client.send(request5(*refusing.address))
            assert client.read_reply5().code == 5
        client.reset() if number % 3 == 0 else client.close()
        daemon.session(client)


def test_a_bound_that_a_reload_sets_counts_those_who_are_there(guarded, session_of):
    daemon = guarded(max_per_user=0)
    sessions = [session_of(daemon, "alice", ALICE) for _ in range(4)]
    reload_with(daemon, "max_per_user = 0", "max_per_user = 3")
    assert status_of(daemon, "alice", ALICE) == 1
    for count, (client, target) in enumerate(sessions[:2]):
        target.close()
        client.close()
        daemon.session(client)
        if count == 0:
            assert status_of(daemon, "alice", ALICE) == 1, "three are left"
    again = session_of(daemon, "alice", ALICE)
    assert status_of(daemon, "alice", ALICE) == 1
    reload_with(daemon, "max_per_user = 3", "max_per_user = 0")
    for session in [session_of(daemon, "alice", ALICE) for _ in range(4)] + [again] + sessions[2:]:
        talks(session)


# --- who fails waits, and nobody else does


@pytest.mark.figures
def test_a_host_that_fails_waits_longer_each_time_and_no_other_host_does(guarded):
    daemon = guarded()
    assert status_of(daemon, "bob", BOB, "127.0.0.2") == 0
    times = [try_login(daemon, "alice", f"wrong {n}", "127.0.0.2")[1] for n in range(6)]
    for took, least in zip(times, (0, 0, 0, 0.1, 0.2, 0.4)):
        assert took >= least * 0.95, times
    # The next check of this host waits 800 ms from now on.
    assert try_login(daemon, "alice", ALICE, "127.0.0.3")[1] < 0.6, "another host waited, too"
    assert try_login(daemon, "bob", BOB, "127.0.0.2")[1] < 0.6, "a login that is remembered needs no turn"
    assert try_login(daemon, "bob", "wrong", "127.0.0.4")[1] < 0.6, "another host waited, too"
    assert status_of(daemon, "alice", "wrong", "127.0.0.2") == 1
    assert try_login(daemon, "alice", "wrong", "127.0.0.2")[1] >= 1.6 * 0.95


def test_of_one_host_sixteen_wait_and_the_next_are_told_to_come_back(guarded, dial):
    daemon = guarded()
    clients = [dial(daemon, source="127.0.0.2") for _ in range(24)]
    http = dial(daemon, source="127.0.0.2")
    for client in clients:
        assert client.greet(2) == 2
    for _ in range(7):  # the next check waits 1.6 s
        assert status_of(daemon, "alice", "wrong", "127.0.0.2") == 1
    for number, client in enumerate(clients):
        client.send(userpass("alice", f"wrong {number}"))
    told = lambda: [client for client in clients if not client.is_quiet(0)]
    busy = wait.until(lambda: len(told()) >= 8 and told(), "eight who are refused")
    http.send(connect_request("127.0.0.1", 1, credentials=("alice", "wrong, too")))
    assert read_http_reply(http).status == 503
    http.expect_closed()
    assert daemon.session(http)["error"] == "auth.password.busy"
    for client in busy:
        assert client.read_to_end() == b"\x01\x01"
        client.close()
        assert daemon.session(client)["error"] == "auth.password.busy"
    assert len(daemon.records(event="auth_failed")) <= 8
    assert status_of(daemon, "alice", ALICE, "127.0.0.3") == 0


class Flood:
    """Wrong logins from one host at a steady rate; the last hundred stay and wait for their answers."""

    def __init__(self, address, source, rate):
        self.address, self.source, self.rate = address, source, rate
        self.sent, self.stop = 0, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def run(self):
        waiting, start = collections.deque(), time.monotonic()
        while not self.stop.is_set():
            sock = socket.socket()
            sock.bind((self.source, 0))
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.connect(self.address)
                sock.sendall(greeting(2) + userpass("user0", f"guess {self.sent}"))
                self.sent += 1
            waiting.append(sock)
            if len(waiting) > 100:
                waiting.popleft().close()
            self.stop.wait(max(0, start + self.sent / self.rate - time.monotonic()))
        for sock in waiting:
            sock.close()


@pytest.mark.figures
def test_two_hundred_guesses_a_second_from_one_host_hardly_delay_another(guarded, keep):
    count = 15
    users = {f"user{n}": f"word {n}" for n in range(6 * count + 1)}
    daemon = guarded(setting=slow(0.02), users=users)
    target = keep(Source(b""))
    fresh = iter(range(1, len(users)))

    def setup(user):
        with Client.open(daemon.address(), source="127.0.0.3") as client:
            start = time.monotonic()
            client.connect_as(f"user{user}", f"word {user}", *target.address)
            return time.monotonic() - start

    def medians():
        """Of logins that are hashed, and of those that are remembered."""
        users = [next(fresh) for _ in range(count)]
        return statistics.median(map(setup, users)), statistics.median(setup(users[0]) for _ in range(count))

    tries = []
    for _ in range(3):  # the machine is shared
        calm = medians()
        with Flood(daemon.address(), "127.0.0.2", 200) as flood:
            wait.until(lambda: flood.sent >= 100, "the flood")
            sent, start = flood.sent, time.monotonic()
            stormy = medians()
            rate = (flood.sent - sent) / (time.monotonic() - start)
        tries.append((calm, stormy, rate))
        if rate > 150 and all(s <= 2 * c + 0.02 for c, s in zip(calm, stormy)):
            return
    raise AssertionError(f"(hashed, remembered) without, with, guesses a second: {tries}")


# --- bad files

SECRET = "plain-text-password"
GOOD = f"bob:{crypt(BOB, CHEAP)}\n"
BAD_FILES = {  # the bad lines, numbered from 1
    "no-colon": ("# comment\nalice\n" + GOOD, [2]),
    "no-name": (f":{crypt(ALICE, CHEAP)}\n", [1]),
    "plain-text": (GOOD + f"\nalice:{SECRET}\n", [3]),
    "no-hash": (GOOD + "alice:\n", [2]),
    "locked": (GOOD + "alice:*\nalice2:!\nalice3:*0\n", [2, 3, 4]),
    "twice": (GOOD + GOOD, [2]),
    "too-long-a-name": ("a" * 256 + f":{crypt(ALICE, CHEAP)}\n" + GOOD, [1]),
    "control": (f"al\x07ice:{crypt(ALICE, CHEAP)}\n", [1]),
    "two-colons": (GOOD + f"a:b:{crypt(ALICE, CHEAP)}\n", [2]),
    "cut-hash": (f"alice:{crypt(ALICE, CHEAP)[:-1]}\n", [1]),
    "long-hash": (f"alice:{crypt(ALICE, CHEAP)}x\n", [1]),
    "several": (f"alice\n{GOOD}\n#\ncarol:{SECRET}\n", [1, 5]),
}


def check(folder, **keys):
    """--check with these keys of a listener; returns its exit code and the lines of its errors."""
    path = folder / "check.ini"
    path.write_text(config_text({}, {"main": {"listen": "127.0.0.1:0", **keys}}))
    done = run("-c", path, "--check")
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize("case", BAD_FILES)
def test_check_tells_the_lines_of_a_users_file_that_are_bad(tmp_path, case):
    text, lines = BAD_FILES[case]
    users = tmp_path / "users"
    users.write_text(text)
    code, errors = check(tmp_path, auth="password", users_file=users)
    assert code == 1
    assert len(errors) == len(lines), errors
    for error, line in zip(errors, lines):
        assert error.startswith(f"{tmp_path}/check.ini:"), error
        assert "[listener main] users_file: " in error
        assert f" {users}:{line}: " in error
        assert SECRET not in error and "$5$" not in error


def test_check_tells_a_users_file_that_cannot_be_read(tmp_path):
    for path, says in ((tmp_path / "missing", "No such file"), (tmp_path, "directory")):
        code, errors = check(tmp_path, auth="password", users_file=path)
        assert (code, len(errors)) == (1, 1)
        assert str(path) in errors[0] and says in errors[0] and "users_file" in errors[0]
    huge = tmp_path / "huge"
    huge.write_text("#" * (2 << 20))
    code, errors = check(tmp_path, auth="password", users_file=huge)
    assert (code, len(errors)) == (1, 1) and "too large" in errors[0]


@pytest.mark.parametrize("keys, key", [
    ({"auth": "password"}, "users_file"),
    ({"users_file": "{users}"}, "users_file"),
    ({"auth": "ident", "users_file": "{users}"}, "users_file"),
    ({"auth": "pasword"}, "auth"),
    ({"auth": ""}, "auth"),
    ({"auth": "password", "users_file": "relative"}, "users_file"),
    ({"auth": "password", "users_file": "{users}", "close_on_removal": "perhaps"}, "close_on_removal"),
    ({"max_per_user": "-1"}, "max_per_user"),
])  # fmt: skip
def test_check_tells_keys_that_make_no_sense(tmp_path, keys, key):
    (tmp_path / "users").write_text(GOOD)
    keys = {name: value.format(users=tmp_path / "users") for name, value in keys.items()}
    code, errors = check(tmp_path, **keys)
    assert code == 1
    assert len(errors) == 1 and f"[listener main] {key}: " in errors[0], errors


def test_check_of_good_users_says_ok(tmp_path):
    users = tmp_path / "users"
    for text in (GOOD, "", "# nobody\n\n", f"  {GOOD.strip()}\t\r\n\nalice:{crypt(ALICE, '$y$j75$pairsock')}", "\ufeff" + GOOD):
        users.write_text(text)
        assert check(tmp_path, auth="password, none", users_file=users) == (0, [])


@pytest.mark.parametrize("case", ["plain-text", "several", "missing"])
def test_a_reload_with_a_bad_users_file_changes_nothing(guarded, session_of, case):
    daemon = guarded()
    session = session_of(daemon, "alice", ALICE)
    good = daemon.users.path.read_text()
    if case == "missing":
        daemon.users.path.unlink()
    else:
        daemon.users.path.write_text(BAD_FILES[case][0])
    daemon.reload("reload_failed")
    assert any(str(daemon.users) in record["message"] for record in daemon.records(event="reload", level="error"))
    talks(session)
    assert status_of(daemon, "alice", ALICE) == 0
    assert status_of(daemon, "bob", BOB) == 0, "not in the cache"
    assert SECRET not in daemon.log_text() and "$5$" not in daemon.log_text()
    daemon.users.path.write_text(good)
    daemon.reload()
    talks(session)
