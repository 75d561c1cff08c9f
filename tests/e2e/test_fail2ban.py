"""The fail2ban filter and its example jail, asked by fail2ban itself: who fails to log in is found by his address,
whatever he calls himself, and nobody else is."""

import ast
import datetime
import json
import re
import shutil
import subprocess

import pytest

from harness import log, wait
from harness.daemon import ROOT
from harness.socks import greeting
from harness.targets import Echo

FOLDER = ROOT / "systemd" / "fail2ban"

TIME = "2026-11-21T15:34:12.370Z"
SECOND = datetime.datetime(2026, 11, 21, 15, 34, 12, tzinfo=datetime.timezone.utc).timestamp()


# ---- lines as daemon/log_record.c writes them

def text_value(value):
    if value and all(0x20 < byte < 0x7F and byte not in b'"\\=' for byte in value):
        return value.decode()
    if not value:
        return "-"
    escaped = ("\\" + chr(byte) if byte in b'"\\' else chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"
               for byte in value)
    return '"' + "".join(escaped) + '"'


def text_line(fields):
    return " ".join(f"{key}={text_value(value)}" for key, value in fields.items())


def json_value(value):
    escaped = ("\\" + chr(byte) if byte in b'"\\' else chr(byte) if 0x20 <= byte < 0x7F else f"\\u00{byte:02x}"
               for byte in value)
    return '"' + "".join(escaped) + '"'


def json_line(fields):
    return "{" + ",".join(f'"{key}":{json_value(value)}' for key, value in fields.items()) + "}"


FORMATS = {"text": text_line, "json": json_line}


def auth_failed(client, user=b"alice", listener="main", time=TIME):
    return {"time": time.encode(), "level": b"warning", "event": b"auth_failed", "listener": listener.encode(),
            "client": client.encode(), "user": user, "protocol": b"socks5", "error": b"auth.password.failed"}


# What stands before a line in a file of syslog's (its old and its new time), and what fail2ban puts before one of
# the journal.
LOCAL = datetime.datetime.fromtimestamp(SECOND)
PREFIXES = {
    "none": "",
    "syslog": f"{LOCAL:%b %d %H:%M:%S} proxy-1.example pairsocksd[4711]: ",
    "syslog without a host": f"{LOCAL:%b %d %H:%M:%S} pairsocksd[4711]: ",
    "rsyslog": "2026-11-21T15:34:12.371234+00:00 proxy pairsocksd[4711]: ",
    "journal": "proxy pairsocksd[4711]: ",
}

everywhere = pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
behind_all = pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)


@pytest.fixture
def find(tmp_path, program):
    """find(lines): (address, time) of each line that the filter finds, in their order."""

    def run(lines):
        path = tmp_path / "log"
        path.write_text("".join(line + "\n" for line in lines))
        done = subprocess.run(
            [program("fail2ban-regex"), "--usedns", "no", "--out", "row", path, FOLDER / "pairsocks.conf"],
            capture_output=True, text=True, timeout=wait.seconds(30))
        assert (done.returncode, done.stderr) == (0, "")
        rows = [ast.literal_eval(line.rstrip(",")) for line in done.stdout.splitlines() if line]
        return [(row[0], row[1]) for row in rows]

    return run


CLIENTS = {"203.0.113.7:50122": "203.0.113.7", "[2001:db8::1]:50122": "2001:db8::1", "127.0.0.1:1": "127.0.0.1",
           "[::1]:65535": "::1", "[2001:db8:1:2:3:4:5:6]:7": "2001:db8:1:2:3:4:5:6"}


@everywhere
@behind_all
def test_who_fails_is_found_by_his_address_and_time(find, write, prefix):
    found = find(prefix + write(auth_failed(client)) for client in CLIENTS)
    assert [address for address, _ in found] == list(CLIENTS.values())
    if prefix != PREFIXES["journal"]:  # the journal's time stands in no line
        assert {int(time) for _, time in found} == {int(SECOND)}


@everywhere
def test_the_time_is_that_of_the_line(find, write):
    times = ["2026-01-01T00:00:00.000Z", "2026-07-01T12:30:59.999Z"]
    found = find(write(auth_failed("203.0.113.7:50122", time=time)) for time in times)
    assert [int(time) for _, time in found] == [
        int(datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()) for time in times]


@everywhere
def test_names_of_listeners(find, write):
    lines = [write(auth_failed("203.0.113.7:50122", listener=name)) for name in ("a", "A-b_c.9", "x" * 100)]
    assert [address for address, _ in find(lines)] == ["203.0.113.7"] * 3


@everywhere
def test_a_client_without_an_address_is_not_found(find, write):
    assert find(write(auth_failed(client)) for client in ("unix", "-", "", "203.0.113.7", ":1080", "localhost:1")) == []


# What a client may call itself to have another one banned, or not to be found itself.
NAMES = [
    b"",
    b"-",
    b"client=198.51.100.9:1",
    b"x client=198.51.100.9:1 user=y",
    b'" client=198.51.100.9:1 user="',
    b'\\" client=198.51.100.9:1 user=\\"',
    b'x" client=198.51.100.9:1 user=x protocol=socks5 error=auth.password.failed',
    b'","client":"198.51.100.9:1","user":"',
    b'\\","client":"198.51.100.9:1","user":"\\',
    b"event=auth_failed listener=main client=198.51.100.9:1 user=x",
    b"\ntime=2026-11-21T15:34:12.370Z level=warning event=auth_failed listener=main client=198.51.100.9:1 user=x",
    b'\n{"time":"2026-11-21T15:34:12.370Z","level":"warning","event":"auth_failed","listener":"main",'
    b'"client":"198.51.100.9:1","user":"x"}',
    b"\rproxy pairsocksd[1]: time=x event=auth_failed listener=main client=198.51.100.9:1 user=x",
    b"\x85\xe2\x80\xa8\x0b\x0c\x1c\x1dtime=x event=auth_failed listener=main client=198.51.100.9:1 user=x",
    b"pairsocksd: time= event=auth_failed listener=main client=198.51.100.9:1 user=",
    b"Jan 01 00:00:00 2020-01-01T00:00:00.000Z time=2020-01-01T00:00:00.000Z",
    b"<HOST>",
    b"x" * 255,
    b'"' * 255,
    b"\\" * 255,
    b"\0" * 255,
    bytes(range(255)),
    bytes(range(1, 256)),
]


@everywhere
@behind_all
def test_no_name_forges_or_hides_an_address(find, write, prefix):
    clients = [f"203.0.113.{number}" for number in range(len(NAMES))]
    found = find(prefix + write(auth_failed(f"{client}:50122", name)) for client, name in zip(clients, NAMES))
    assert [address for address, _ in found] == clients
    if prefix != PREFIXES["journal"]:
        assert {int(time) for _, time in found} == {int(SECOND)}


@everywhere
@behind_all
def test_no_name_gives_an_address_to_who_has_none(find, write, prefix):
    assert find(prefix + write(auth_failed("unix", name)) for name in NAMES) == []


def session(user):
    fields = dict.fromkeys(log.SESSION_KEYS, b"-")
    return {**fields, "time": TIME.encode(), "event": b"session", "listener": b"main", "client": b"203.0.113.7:50122",
            "user": user, "target": user, "error": b"auth.password.failed"}


@everywhere
@behind_all
def test_sessions_are_not_found_whatever_their_names(find, write, prefix):
    assert find(prefix + write(session(name)) for name in NAMES) == []


@everywhere
def test_other_programs_are_not_found(find, write):
    line = write(auth_failed("203.0.113.7:50122"))
    before = ["x", " x ", "proxy sshd[1]: ", "proxy sshd[1]: Invalid user ", "sshd: pairsocksd[1]: ",
              "proxy sshd[1]: pairsocksd[1]: ", "proxy x pairsocksd[1]: ", "proxy pairsocksd-not[1]: ",
              "proxy pairsocksd[1]: x"]
    stamp = "Nov 21 15:34:12 "
    assert find([*(text + line for text in before), *(stamp + text + line for text in before)]) == []


@pytest.mark.parametrize("log_format", FORMATS)
def test_the_lines_of_a_daemon_begin_as_expected_and_are_not_found(pairsocks, dial, keep, find, log_format):
    daemon = pairsocks(daemon={"log_format": log_format, "log_level": "debug"})
    target = keep(Echo())
    name = b"event=auth_failed listener=main client=198.51.100.9:1 user=x"
    with dial(daemon) as client:
        client.connect("socks5", *target.address)
    with dial(daemon) as client:
        client.negotiate("socks5", name.decode(), 80)
    with dial(daemon) as client:
        client.send(greeting(2))
        client.read_to_end()
    daemon.wait_for(count=3, event="session")
    lines = daemon.log_text().splitlines()
    assert any("198.51.100.9" in line for line in lines)
    assert find(lines) == []
    # The daemon's own line of another event, made one of this event.
    heads = {"text": r"(time=\S+ level=)\w+( event=)\w+", "json": r'(\{"time":"[^"]+","level":")\w+(","event":")\w+'}
    ready = next(line for line in lines if re.search(r"\bevent\W{1,3}ready\b", line))
    begin = re.match(heads[log_format], ready).expand(r"\1warning\2auth_failed")
    fields = {key: value for key, value in auth_failed("203.0.113.7:50122").items()
              if key not in ("time", "level", "event")}
    rest = {"text": lambda: " " + text_line(fields), "json": lambda: '",' + json_line(fields)[1:]}[log_format]()
    if log_format == "json":
        assert json.loads(begin + rest)["client"] == "203.0.113.7:50122"
    assert [address for address, _ in find([begin + rest])] == ["203.0.113.7"]


@pytest.mark.parametrize("change", ["", "log file"])
def test_the_example_jail_is_one(tmp_path, program, change):
    """fail2ban reads its own configuration with these two files in it; no server runs."""
    config = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", config, ignore=shutil.ignore_patterns("jail.d", "*.local"))
    (config / "jail.d").mkdir()
    shutil.copy(FOLDER / "pairsocks.conf", config / "filter.d")
    jail = (FOLDER / "jail.conf").read_text()
    if change == "log file":
        jail = re.sub(r"^(backend .*)", r"#\1", jail, flags=re.MULTILINE)
        jail = re.sub(r"^#(backend = auto|logpath .*)", r"\1", jail, flags=re.MULTILINE)
        jail = jail.replace("/var/log/pairsocks/pairsocks.log", f"{tmp_path}/pairsocks.log")
        (tmp_path / "pairsocks.log").touch()
    (config / "jail.d" / "pairsocks.conf").write_text(jail)
    done = subprocess.run([program("fail2ban-client"), "-c", config, "-d"], capture_output=True, text=True,
                          timeout=wait.seconds(30))
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr
    commands = [ast.literal_eval(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert ["add", "pairsocks", "auto" if change else "systemd"] in commands
    assert ["start", "pairsocks"] in commands
    expressions = next(command[-1] for command in commands if command[2:3] == ["addfailregex"])
    assert len(expressions) == 2
    if change:
        assert ["set", "pairsocks", "addlogpath", f"{tmp_path}/pairsocks.log", "head"] in commands
