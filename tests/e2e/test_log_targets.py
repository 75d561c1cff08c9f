"""log_target = syslog and journal: what their readers get, and what becomes of it when they do not read."""

import re
import signal

import pytest

from harness import wait
from harness.daemon import config_text
from harness.log import SESSION_KEYS
from harness.log_readers import LogHost
from harness.socks import Client, greeting, request5
from harness.targets import Echo, Listener, Refusing

TARGETS = ["syslog", "journal"]
FORMATS = ["text", "json"]
HOSTILE = [b'a"b', b"a=b error=none", b"a\nPRIORITY=0", b"a\n<0>x", b"a\\b\\", b"\x1b[31mred", b"\xff\xfe", b"\xc3\xa9", b"a\tb\rc", b"\0"]

NO_SANDBOX = {"sandbox": "no"}  # for a reload that takes the log to a folder that was not named before

pytestmark = pytest.mark.parametrize("target", TARGETS)


@pytest.fixture
def host(keep):
    return keep(LogHost())


@pytest.fixture
def start(host, launch, target):
    """start(key=value of [daemon], ...): a ready daemon that logs to `target`, and its reader."""

    def start(**keys):
        reader = host.reader(target)
        text = config_text({"workers": 1, "log_target": target, **keys}, {"main": {"listen": "127.0.0.1:0"}})
        return launch(text, log_path=host.log_path, prefix=host.prefix).ready(), reader

    return start


def a_session(daemon, target):
    """One that works, to the last byte; returns the client's address."""
    with Client.open(daemon.address()) as client:
        client.connect("socks5", *target.address)
        client.send(b"ping")
        assert client.read(4) == b"ping"
        return client.local


def refused_sessions(daemon, count):
    with Refusing() as refusing:
        for _ in range(count):
            with Client.open(daemon.address()) as client:
                assert client.negotiate("socks4", *refusing.address).code == 91


def counted(daemon):
    """Session lines, and how many lines are said to be lost."""
    lost = sum(int(record["lines"]) for record in daemon.records(event="log_lost"))
    return len(daemon.records(event="session")), lost


@pytest.mark.parametrize("log_format", FORMATS)
def test_each_line_is_one_datagram_with_all_that_it_says(start, keep, target, log_format):
    daemon, reader = start(log_format=log_format)
    client = a_session(daemon, keep(Echo()))
    session = daemon.session(client)
    assert list(session) == SESSION_KEYS
    entry = reader.entries[daemon.records().index(session)]
    assert (entry["SYSLOG_IDENTIFIER"], entry["SYSLOG_FACILITY"], entry["PRIORITY"]) == ("pairsocksd", "3", "6")
    if target == "syslog":
        assert int(entry["SYSLOG_PID"]) == daemon.pid
    else:
        fields = {key: value for key, value in entry.items() if key.startswith("PAIRSOCKS_")}
        assert fields == {f"PAIRSOCKS_{key.upper()}": str(value) or "-" for key, value in session.items()}
        assert set(entry) - set(fields) == {"MESSAGE", "PRIORITY", "SYSLOG_FACILITY", "SYSLOG_IDENTIFIER"}


def test_priorities_are_those_of_the_levels(start, keep, target):
    daemon, reader = start()
    daemon.session(a_session(daemon, keep(Echo())))
    priorities = {"error": "3", "warning": "4", "notice": "5", "info": "6", "debug": "7"}
    records = daemon.records()
    assert {"listening", "ready", "session"} <= {record["event"] for record in records}
    for record, entry in zip(records, reader.entries):
        assert entry["PRIORITY"] == priorities[record.get("level", "info")]


def test_log_level_filters(start, keep, target):
    daemon, reader = start(log_level="notice")
    a_session(daemon, keep(Echo()))
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0
    wait.until(lambda: daemon.records(event="end"), "the reader to have read it all")
    assert daemon.records(event="ready") and not daemon.records(event="session")


@pytest.mark.parametrize("log_format", FORMATS)
def test_no_hostile_name_forges_anything(start, target, log_format):
    daemon, reader = start(log_format=log_format)
    before = len(reader.entries)
    for number, name in enumerate(HOSTILE, 1):
        with Client.open(daemon.address()) as client:
            client.send(greeting() + request5(name, 80))
            assert client.read_to_end()[:4] == b"\x05\x00\x05\x04"
        assert daemon.wait_for(count=number, event="session")["error"] == "resolver.name.invalid"
    assert len(reader.entries) == before + len(HOSTILE)
    for datagram, entry in zip(reader.datagrams[before:], reader.entries[before:]):
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", datagram), datagram
        assert entry["PRIORITY"] == "6"
        if target == "syslog":
            assert b"\n" not in datagram
        else:
            assert [key[10:].lower() for key in entry if key.startswith("PAIRSOCKS_")] == SESSION_KEYS
            assert entry["PAIRSOCKS_ERROR"] == "resolver.name.invalid"
            assert datagram.count(b"\n") == len(entry)


def test_without_a_reader_it_does_not_start_and_says_so(host, launch, target):
    daemon = launch(config_text({"log_target": target}, {"main": {"listen": "127.0.0.1:0"}}), prefix=host.prefix)
    assert daemon.exit_code() == 1
    where = {"syslog": "/dev/log", "journal": "/run/systemd/journal/socket"}[target]
    assert daemon.errors() == f"pairsocksd: cannot open the log {where}: No such file or directory\n"


def test_errors_of_the_start_are_on_stderr_too(host, launch, keep, target):
    host.reader(target)
    held = keep(Listener())
    text = config_text({"log_target": target}, {"main": {"listen": f"127.0.0.1:{held.port}"}})
    daemon = launch(text, log_path=host.log_path, prefix=host.prefix)
    assert daemon.exit_code() == 1
    assert "event=listen " in daemon.errors()
    # its reader may be slower than the daemon's end
    found = wait.until(lambda: daemon.records(event="listen"), daemon.story)
    assert found[0]["level"] == "error"


def test_a_reader_that_is_stuck_stops_no_session(start, keep, target):
    daemon, reader = start()
    echo = keep(Echo())
    reader.pause()
    for _ in range(500):
        a_session(daemon, echo)
    reader.resume()
    daemon.wait_for(count=500, event="session")
    assert counted(daemon) == (500, 0), "there was place for all of them meanwhile"


def test_a_reader_that_is_stuck_for_long_is_told_how_much_it_missed(start, keep, target):
    daemon, reader = start()
    reader.pause()
    refused_sessions(daemon, 1500)
    reader.resume()
    wait.until(lambda: sum(counted(daemon)) == 1500, lambda: f"{counted(daemon)}: {daemon.story()}")
    assert counted(daemon)[1] > 0
    lost = daemon.records(event="log_lost")[0]
    assert reader.entries[daemon.records().index(lost)]["PRIORITY"] == "4"
    daemon.session(a_session(daemon, keep(Echo())))


def test_a_reader_that_is_stuck_does_not_hold_up_the_end(start, target):
    daemon, reader = start()
    reader.pause()
    refused_sessions(daemon, 100)
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code(8) == 0


def test_a_restart_of_the_reader_loses_no_line(start, keep, target):
    daemon, reader = start()
    echo = keep(Echo())
    daemon.session(a_session(daemon, echo))
    reader.stop()
    clients = [a_session(daemon, echo) for _ in range(50)]
    reader.start()
    for client in clients:
        daemon.session(client)
    assert counted(daemon) == (51, 0)


def test_a_reader_that_never_comes_back_stops_nothing(start, keep, target):
    daemon, reader = start()
    echo = keep(Echo())
    reader.stop()
    for _ in range(100):
        a_session(daemon, echo)
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code(8) == 0
    assert daemon.errors() == ""


def test_sighup_connects_again(start, keep, target):
    daemon, reader = start()
    reader.stop()
    reader.start()
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    daemon.session(a_session(daemon, keep(Echo())))
    assert not daemon.records(event="log_reopen")


def reload(daemon, **keys):
    """Writes a file with these keys of [daemon] and says so to the daemon."""
    text = config_text({"workers": 1, **keys}, {"main": {"listen": "127.0.0.1:0"}})
    (daemon.folder / "pairsocks.ini").write_text(text)
    daemon.signal(signal.SIGHUP)


def test_a_reload_changes_the_target_there_and_back(start, keep, tmp_path, target):
    daemon, reader = start(**NO_SANDBOX)
    echo = keep(Echo())
    daemon.session(a_session(daemon, echo))
    there, address = daemon.log_path, daemon.address()
    reload(daemon, **NO_SANDBOX, log_target=f"file:{tmp_path}/log", log_format="json")
    daemon.log_path = tmp_path / "log"
    daemon.wait_for(event="reloaded")
    with Client.open(address) as client:
        client.connect("socks5", *echo.address)
    daemon.session(client)
    assert daemon.log_text().startswith("{")
    told = len(reader.entries)
    reload(daemon, **NO_SANDBOX, log_target=target)
    daemon.log_path = there
    daemon.wait_for(event="reloaded")
    assert len(reader.entries) > told
    assert "reload_failed" not in there.read_text() + (tmp_path / "log").read_text()


def test_a_reload_to_a_target_without_a_reader_changes_nothing(host, launch, keep, tmp_path, target):
    text = config_text({"log_target": f"file:{tmp_path}/log"}, {"main": {"listen": "127.0.0.1:0"}})
    daemon = launch(text, log_path=tmp_path / "log", prefix=host.prefix).ready()
    reload(daemon, log_target=target, log_format="json", log_level="error")
    daemon.wait_for(event="reload_failed")
    assert "cannot open the log /" in daemon.log_text()
    daemon.session(a_session(daemon, keep(Echo())))
    assert "{" not in daemon.log_text()


def test_a_reload_takes_all_that_waits_away_from_a_reader_that_is_stuck(start, tmp_path, target):
    daemon, reader = start(**NO_SANDBOX)
    reader.pause()
    refused_sessions(daemon, 300)
    reload(daemon, **NO_SANDBOX, log_target=f"file:{tmp_path}/log")
    new = tmp_path / "log"
    wait.until(lambda: new.exists() and "event=session" in new.read_text(), "the reload")
    reader.resume()
    wait.until(lambda: counted(daemon)[0] + new.read_text().count("event=session") == 300, daemon.story)
    assert "event=log_lost" not in daemon.log_text() + new.read_text()


def test_a_name_of_any_length_fits_into_a_datagram(start, target):
    daemon, reader = start()
    with Client.open(daemon.address()) as client:
        client.send(greeting() + request5(b"\xff" * 255, 80))
        assert client.read_to_end()[:4] == b"\x05\x00\x05\x04"
    session = daemon.session(client)
    assert session["target"] == "\xff" * 255 + ":80" and list(session) == SESSION_KEYS
    assert reader.entries[-1]["MESSAGE"].count("\\xff") == 255
