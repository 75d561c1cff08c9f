"""The log: one line at the end of every session, whatever its fate, that no peer can forge or hold up."""

import datetime
import json
import os
import re
import select
import signal
import subprocess
import time

import pytest

from harness import wait
from harness.daemon import config_text
from harness.log import SESSION_KEYS, parse
from harness.socks import ALL, Client, greeting, request4, request5
from harness.targets import Echo, Listener, Refusing, bound

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def one_session(daemon, through, keep, protocol="socks5"):
    """A session of 3 bytes up and 5 down; returns the client, the target and its end."""
    target = keep(Listener())
    client, wire = through(daemon, target, protocol)
    client.send(b"abc")
    assert wire.read(3) == b"abc"
    wire.send(b"defgh")
    assert client.read(5) == b"defgh"
    client.finish()
    wire.expect_end()
    wire.finish()
    client.expect_end()
    return client, target, wire


@pytest.mark.parametrize("protocol", ALL)
def test_the_session_line_has_every_key_in_order(daemon, through, keep, protocol):
    client, target, _ = one_session(daemon, through, keep, protocol)
    session = daemon.session(client)
    assert [key for key in session if key != "level"] == SESSION_KEYS
    assert TIME.fullmatch(session["time"])
    where = f"127.0.0.1:{target.port}"
    expected = {
        "listener": "main", "client": client.local, "user": "-", "protocol": protocol, "command": "connect",
        "target": where, "address": where, "route": "direct", "rule": "-", "upstream": "-", "upstream_peer": "-",
        "sent": "3", "received": "5", "error": "none",
    }  # fmt: skip
    assert {key: session[key] for key in expected} == expected
    assert 0 <= int(session["setup_ms"]) <= int(session["duration_ms"])


def test_an_ipv6_target_and_client_are_written_in_brackets(daemon, dial, keep):
    target = keep(Listener("::1"))
    client = dial(daemon, version=6)
    client.connect("socks5", *target.address)
    client.reset()
    session = daemon.session(client)
    assert session["client"].startswith("[::1]:")
    assert session["target"] == session["address"] == f"[::1]:{target.port}"


def test_every_session_has_one_line_and_an_id_of_its_own(daemon, dial, keep):
    target, refusing = keep(Echo()), keep(Refusing())
    for number in range(60):
        with dial(daemon) as client:
            if number % 3 == 0:
                client.connect("socks5", *target.address)
            elif number % 3 == 1:
                assert client.negotiate("socks4", *refusing.address).code == 91
            else:
                client.send(b"\xffnonsense")
                client.expect_closed()
    daemon.wait_for(count=60, event="session")
    dial(daemon).reset()
    daemon.wait_for(count=61, event="session")
    sessions = daemon.records(event="session")
    assert len({session["id"] for session in sessions}) == len(sessions) == 61
    assert len({session["client"] for session in sessions}) == 61


HOSTILE = [b'a"b', b"a=b error=none", b"a\nevent=session", b"a\\b", b"\x1b[31mred", b"\xff\xfe", b"\xc3\xa9", b"a\tb\rc", b"\0"]


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_cannot_forge_or_break_a_line(pairsocks, dial, log_format, name):
    daemon = pairsocks(daemon={"log_format": log_format})
    client = dial(daemon)
    client.send(greeting() + request5(name, 80))
    assert client.read_to_end()[:4] == b"\x05\x00\x05\x04"
    client.close()
    session = daemon.session(client)
    assert [key for key in session if key != "level"] == SESSION_KEYS
    assert session["error"] == "resolver.name.invalid"
    assert len(daemon.records(event="session")) == 1
    raw = daemon.log_path.read_bytes()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", raw), "control bytes in the log"
    raw.decode("utf-8")


@pytest.mark.parametrize("user", [b"alice", b'" error=none', b"a\nb", b"\xff\x01"])
def test_an_unverified_socks4_user_is_no_user(daemon, dial, keep, user):
    target = keep(Listener())
    client = dial(daemon)
    client.send(request4(*target.address, user=user))
    assert client.read_reply4().code == 90
    client.reset()
    assert daemon.session(client)["user"] == "-"


def test_no_payload_is_ever_logged(pairsocks, through, keep):
    daemon = pairsocks(daemon={"log_level": "debug"})
    client, wire = through(daemon, keep(Listener()))
    client.send(b"SECRETUP")
    wire.send(b"SECRETDOWN")
    assert wire.read(8) and client.read(10)
    client.reset()
    daemon.session(client)
    assert "SECRET" not in daemon.log_text() + daemon.errors()


def test_json_has_the_same_keys_one_object_a_line(pairsocks, through, keep):
    daemon = pairsocks(daemon={"log_format": "json"})
    client, target, _ = one_session(daemon, through, keep)
    session = daemon.session(client)
    assert [key for key in session if key != "level"] == SESSION_KEYS
    assert (session["target"], session["error"]) == (f"127.0.0.1:{target.port}", "none")
    assert (session["user"], session["rule"], session["upstream"]) == ("-", "-", "-")
    assert (int(session["sent"]), int(session["received"])) == (3, 5)
    for line in daemon.log_text().splitlines():
        assert isinstance(json.loads(line), dict)


def test_every_line_has_time_level_and_event(daemon, through, keep):
    client, _, _ = one_session(daemon, through, keep)
    daemon.session(client)
    for record in daemon.records():
        assert TIME.fullmatch(record["time"]) and record["event"]
        assert record["event"] == "session" or record["level"] in ("error", "warning", "notice", "info", "debug")


def test_times_never_go_back_and_are_utc(pairsocks, through, keep):
    daemon = pairsocks(environment={"TZ": "Asia/Tokyo"})
    client, _, _ = one_session(daemon, through, keep)
    end = daemon.session(client)["time"]
    now = datetime.datetime.now(datetime.timezone.utc)
    said = datetime.datetime.strptime(end, "%Y-%m-%dT%H:%M:%S.%f%z")
    assert abs((now - said).total_seconds()) < wait.seconds(10)


def test_log_level_error_is_silent_about_sessions_and_still_serves(launch, tmp_path, dial, keep):
    with bound() as probe:
        address = probe.getsockname()
    text = config_text({"log_target": f"file:{tmp_path}/log", "log_level": "error"}, {"main": {"listen": "%s:%d" % address}})
    daemon = launch(text, log_path=tmp_path / "log")
    target = keep(Echo())
    serve_until_ready(dial, daemon, address, target)
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0
    assert daemon.records() == []


def serve_until_ready(dial, daemon, address, target):
    def served():
        try:
            with Client.open(address) as client:
                client.connect("socks5", *target.address)
                return True
        except ConnectionRefusedError:
            assert daemon.process.poll() is None, daemon.story()

    wait.until(served, "the daemon to serve")


def test_a_log_that_takes_no_more_does_not_stop_the_sessions(launch, dial, keep):
    """stderr is a pipe that nobody reads: far more lines than it holds, and an orderly end none the less."""
    daemon = launch(config_text({"workers": 1}, {"main": {"listen": "127.0.0.1:0"}}), stderr=subprocess.PIPE)
    pipe = daemon.process.stderr
    os.set_blocking(pipe.fileno(), False)
    told = b""
    while b"event=ready" not in told:
        assert select.select([pipe], [], [], wait.seconds(10))[0], told
        told += os.read(pipe.fileno(), 1 << 16)
    port = int(re.search(rb"address=127\.0\.0\.1:(\d+)", told).group(1))
    refusing, target = keep(Refusing()), keep(Echo())
    for _ in range(1500):
        with Client.open(("127.0.0.1", port)) as client:
            assert client.negotiate("socks4", *refusing.address).code == 91
    client = dial(daemon, address=("127.0.0.1", port))
    client.connect("socks5", *target.address)
    client.close()
    daemon.signal(signal.SIGTERM)
    try:
        assert daemon.exit_code() == 0
    finally:
        pipe.close()


def test_a_full_disk_does_not_stop_the_sessions(launch, dial, keep):
    with bound() as probe:
        address = probe.getsockname()
    daemon = launch(config_text({"log_target": "file:/dev/full"}, {"main": {"listen": "%s:%d" % address}}))
    target = keep(Echo())
    serve_until_ready(dial, daemon, address, target)
    for _ in range(200):
        with dial(daemon, address=address) as client:
            client.connect("socks5", *target.address)


def test_stderr_is_the_log_if_nothing_else_is_said(launch, keep):
    daemon = launch("[listener main]\nlisten = 127.0.0.1:0\n")
    wait.until(lambda: "event=ready" in daemon.errors(), daemon.story)
    events = [parse(line)["event"] for line in daemon.errors().splitlines()]
    assert events.index("listening") < events.index("ready")


def test_a_file_that_cannot_be_opened_again_goes_on(launch, tmp_path, dial):
    """As after setuid or chroot: here its folder got another name."""
    (tmp_path / "old").mkdir()
    text = config_text({"log_target": f"file:{tmp_path}/old/log"}, {"main": {"listen": "127.0.0.1:0"}})
    daemon = launch(text, log_path=tmp_path / "new" / "log")
    wait.until((tmp_path / "old" / "log").exists, "the log")
    (tmp_path / "old").rename(tmp_path / "new")
    daemon.ready()
    daemon.signal(signal.SIGHUP)
    assert "No such file" in daemon.wait_for(event="log_reopen", level="error")["message"]
    client = dial(daemon)
    client.reset()
    daemon.session(client)


def test_a_reload_gets_away_from_a_reader_that_is_stuck(launch, tmp_path, dial):
    """stderr is a full pipe; no line that waits for it is lost."""
    keys = {"workers": 1, "sandbox": "no"}  # the folder of the log was not named before
    text = config_text(keys, {"main": {"listen": "127.0.0.1:0"}})
    daemon = launch(text, stderr=subprocess.PIPE, log_path=tmp_path / "log")
    pipe = daemon.process.stderr
    told = b""
    while b"event=ready" not in told:
        told += os.read(pipe.fileno(), 1 << 16)
    address = ("127.0.0.1", int(re.search(rb"address=127\.0\.0\.1:(\d+)", told).group(1)))
    clients = []
    for _ in range(300):
        with dial(daemon, address=address) as client:
            client.send(b"\xffnonsense")
            client.expect_closed()
            clients.append(client.local)
    (daemon.folder / "pairsocks.ini").write_text(text.replace("[daemon]", f"[daemon]\nlog_target = file:{tmp_path}/log"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0
    read = [parse(line) for line in pipe.read().decode().splitlines()]
    pipe.close()
    lines = [record["client"] for record in read + daemon.records() if record["event"] == "session"]
    assert sorted(lines) == sorted(clients)
    assert daemon.records(event="session"), "the pipe was not full"


def test_without_stderr_nothing_else_takes_its_place(launch, dial, keep):
    """Descriptor 2 would be the next one to be opened, and would get the log."""
    with bound() as probe:
        address = probe.getsockname()
    text = config_text({"log_target": "stderr"}, {"main": {"listen": "%s:%d" % address}})
    daemon = launch(text, prefix=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    serve_until_ready(dial, daemon, address, keep(Echo()))
    assert [os.readlink(f"/proc/{daemon.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3


@pytest.mark.figures
def test_a_quiet_daemon_writes_at_once_and_a_busy_one_gathers(daemon):
    address, late = daemon.address(), []

    def lines():
        return daemon.log_text().count(" event=session ")

    def writes():
        with open(f"/proc/{daemon.pid}/io") as file:
            return int(re.search(r"syscw: (\d+)", file.read())[1])

    for number in range(1, 11):
        time.sleep(0.1)
        start = time.monotonic()
        Client.open(address).close()
        wait.until(lambda: lines() == number, "its line", every=0.002)
        late.append(time.monotonic() - start)
    assert sorted(late)[5] < 0.03, late
    before = writes()
    for _ in range(1000):
        Client.open(address).close()
    wait.until(lambda: lines() == 1010, "all lines")
    assert writes() - before < 200, "a wake-up for each line"
