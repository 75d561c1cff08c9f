"""pairsocks connect and probe: to a target through proxies of all kinds, and what they say when they do not get there."""

import contextlib
import os
import pathlib
import random
import re
import subprocess
import threading

import pytest

from harness import tls, wait
from harness.daemon import BINARY, REPORT, ROOT
from harness.targets import Echo, Listener, Refusing, Sink, Source
from harness.users import UsersFile
from harness.wire import endpoint
from test_clients import sshd  # noqa: F401 - a fixture

COMMAND = pathlib.Path(BINARY).with_name("pairsocks")
BLOB = random.Random(9).randbytes(1 << 20)
SCHEMES = ["socks4", "socks4a", "socks5", "socks5h", "http"]
PROTOCOL = {"socks5h": "socks5"}
RESOLVE, CONNECT, TLS, PROXY, LOGIN, BROKEN = 3, 4, 5, 6, 7, 8


def call(*arguments, data=b"", environment=None):
    done = subprocess.run([COMMAND, *map(str, arguments)], input=data, capture_output=True, timeout=wait.seconds(20),
                          env={**os.environ, **(environment or {})})  # fmt: skip
    assert not REPORT.search(done.stderr.decode()), done.stderr
    return done


def connect(*arguments, **more):
    return call("connect", *arguments, **more)


class Probe:
    """What `probe` printed."""

    def __init__(self, *arguments):
        self.done = call("probe", *arguments)
        self.code, self.lines = self.done.returncode, self.done.stdout.decode().splitlines()
        self.steps = [re.fullmatch(r"([a-z]+) +[0-9]+\.[0-9] ms  (.*)", line) for line in self.lines]
        self.steps = [match.groups() for match in self.steps if match]
        self.said = dict(line.split(":", 1) for line in self.lines if re.match("(error|where|meaning|try|ok):", line))
        self.error = self.said.get("error", "").strip()

    def words(self):
        return [word for word, _ in self.steps]


def url(scheme, address, credentials=""):
    return f"{scheme}://{credentials}{endpoint(address)}"


def loopback(scheme):
    return "127.0.0.1" if scheme == "socks4" else "localhost"


# --- connect


@pytest.mark.parametrize("scheme", SCHEMES)
def test_connect_goes_through_every_kind_of_proxy(daemon, keep, scheme):
    target = keep(Echo())
    done = connect("--proxy", url(scheme, daemon.address()), loopback(scheme), target.port, data=BLOB)
    assert (done.returncode, done.stdout == BLOB, done.stderr) == (0, True, b"")
    record = daemon.wait_for(event="session", protocol=PROTOCOL.get(scheme, scheme), error="none")
    named = "127.0.0.1" if scheme in ("socks4", "socks5") else "localhost"  # who resolves
    assert record["target"] == f"{named}:{target.port}"


@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_connect_logs_in_and_speaks_tls_to_the_proxy(pairsocks, keep, tmp_path, scheme):
    daemon = pairsocks(auth="password", users_file=UsersFile(tmp_path / "users", alice="p@ss:wo%rd"), **tls.keys())
    target = keep(Echo())
    proxy = url(f"{scheme}+tls", daemon.address(), "%61lice:p%40ss%3Awo%25rd@")
    done = connect("--authority", tls.pem("root"), "--proxy", proxy, target.host, target.port, data=BLOB)
    assert (done.returncode, done.stdout == BLOB, done.stderr) == (0, True, b"")


def test_connect_goes_through_one_proxy_after_the_other_to_a_target_with_tls(pairsocks, keep):
    first, second, third = pairsocks(), pairsocks(**tls.keys()), pairsocks()
    target = keep(Echo(context=tls.server_context()))
    done = connect("--proxy", url("socks5h", first.address()), "--proxy", url("http+tls", second.address()),
                   "--proxy", url("socks4a", third.address()), "--tls", "--authority", tls.pem("root"), "--peer-name", tls.NAME,
                   "localhost", target.port, data=BLOB)  # fmt: skip
    assert (done.returncode, done.stdout == BLOB, done.stderr) == (0, True, b"")
    assert first.wait_for(event="session")["target"] == endpoint(second.address())
    assert second.wait_for(event="session")["target"] == endpoint(third.address())
    assert third.wait_for(event="session")["target"] == f"localhost:{target.port}"


def test_connect_without_a_proxy_and_with_one_from_the_environment(daemon, keep):
    target = keep(Echo())
    assert connect("--proxy", "none", target.host, target.port, data=b"x").stdout == b"x"
    assert connect(target.host, target.port, data=b"x", environment={"PAIRSOCKS_PROXY": "none"}).stdout == b"x"
    there = {"PAIRSOCKS_PROXY": url("socks4", daemon.address())}
    assert connect(target.host, target.port, data=b"x", environment=there).stdout == b"x"
    daemon.wait_for(event="session", protocol="socks4", error="none")


def test_connect_ends_our_direction_and_still_gets_the_answer(daemon, keep):
    target = keep(Sink(lambda data: b"%d bytes" % len(data)))
    done = connect("--proxy", url("socks5", daemon.address()), target.host, target.port, data=BLOB)
    assert (done.returncode, done.stdout) == (0, b"%d bytes" % len(BLOB))


@pytest.fixture
def started(daemon, keep):
    """started(target): (a running `connect`, the target's end)."""
    processes = []

    def start(target, *more):
        words = [COMMAND, "connect", "--proxy", url("socks5", daemon.address()), *more, target.host, str(target.port)]
        processes.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0))
        return processes[-1], target.accept()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def test_connect_passes_the_targets_end_on_and_still_sends(started, keep):
    process, far = started(keep(Listener()))
    far.send(b"bye")
    far.finish()
    assert process.stdout.read() == b"bye"
    process.stdin.write(BLOB[:70000])
    process.stdin.close()
    assert far.read_to_end() == BLOB[:70000]
    assert process.wait(wait.seconds(10)) == 0


def test_connect_sends_on_while_nobody_reads_what_comes(started, keep):
    process, far = started(keep(Listener()))
    thread = threading.Thread(target=lambda: far.send(BLOB * 20))
    thread.start()
    process.stdin.write(BLOB)
    assert far.read(len(BLOB)) == BLOB
    process.stdin.close()
    got = b""
    while len(got) < 20 * len(BLOB):
        got += process.stdout.read(1 << 16)
    assert got == BLOB * 20
    thread.join()
    far.finish()
    assert process.wait(wait.seconds(10)) == 0


def test_connect_ends_when_nobody_wants_its_output(started, keep):
    process, far = started(keep(Listener()))
    process.stdout.close()
    far.send(b"x")
    assert process.wait(wait.seconds(10)) == 1
    assert process.stderr.read() == b""


def test_connect_tells_of_a_reset(started, keep):
    process, far = started(keep(Listener()))
    far.send(b"x")
    assert process.stdout.read(1) == b"x"  # it stands
    far.reset()
    assert process.wait(wait.seconds(10)) == BROKEN
    assert b"system.read.reset" in process.stderr.read()


def test_ssh_goes_through_connect(daemon, sshd):  # noqa: F811
    words = [*sshd, f"-oProxyCommand={COMMAND} connect --proxy {url('socks5h', daemon.address())} %h %p", "127.0.0.1", "cat"]
    done = subprocess.run(list(map(str, words)), input=BLOB, capture_output=True, timeout=wait.seconds(30))
    assert (done.returncode, done.stdout == BLOB) == (0, True), done.stderr


def test_a_password_does_not_stay_on_the_command_line(keep):
    silent = keep(Listener())
    process = subprocess.Popen([COMMAND, "connect", "--proxy", url("socks5", silent.address, "alice:hunter2@"), "127.0.0.1", "1"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        silent.accept()
        words = pathlib.Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert b"alice" in words and b"hunter2" not in words
    finally:
        process.kill()
        process.wait()


def test_the_exit_status_says_who_is_to_be_asked(pairsocks, keep, tmp_path):
    daemon = pairsocks()
    locked = pairsocks(auth="password", users_file=UsersFile(tmp_path / "users", alice="right"))
    echo, refusing = keep(Echo()), keep(Refusing())
    secure = keep(Echo(context=tls.server_context()))
    through = ["--proxy", url("socks5h", daemon.address())]
    for status, name, *words in [
        (RESOLVE, "resolver.name.invalid", "--proxy", "none", "127.1", 1),
        (CONNECT, "system.connect.refused", "--proxy", "none", *refusing.address),
        (CONNECT, "system.connect.refused", "--proxy", url("socks5", refusing.address), *echo.address),
        (TLS, "tls.certificate.unknown-root", *through, "--tls", "--peer-name", tls.NAME, *secure.address),
        (TLS, "tls.certificate.name-mismatch", *through, "--tls", "--authority", tls.pem("root"), "--peer-name", "x.test", *secure.address),
        (TLS, "tls.handshake.protocol", *through, "--tls", "--timeout", 5, *keep(Source(b"220 hello\r\n" * 9)).address),
        (PROXY, "socks.socks5-response.connection-refused", *through, *refusing.address),
        (PROXY, "http.status.502", "--proxy", url("http", daemon.address()), *refusing.address),
        (PROXY, "socks.socks4-response.request-failed", "--proxy", url("socks4", daemon.address()), *refusing.address),
        (LOGIN, "socks.socks5-userpass.1", "--proxy", url("socks5", locked.address(), "alice:wrong@"), *echo.address),
        (LOGIN, "socks.socks5-method.none-acceptable", "--proxy", url("socks5", locked.address()), *echo.address),
        (LOGIN, "http.status.407", "--proxy", url("http", locked.address(), "alice:wrong@"), *echo.address),
    ]:  # fmt: skip
        done = connect(*words)
        assert (done.returncode, name in done.stderr.decode(), done.stdout) == (status, True, b""), (words, done)
        assert done.stderr.count(b"\n") == 1 and b"wrong" not in done.stderr


def test_a_wrong_command_line_is_told_and_ends_with_2(daemon):
    for words in [[], ["h"], ["h", "1", "2"], ["h", "0"], ["h", "65536"], ["", "1"], ["x" * 256, "1"], ["--proxy", "ftp://h", "h", "1"],
                  ["--proxy", "none", "--proxy", "socks5://h", "h", "1"], ["--timeout", "0", "h", "1"], ["--timeout", "x", "h", "1"],
                  ["--authority", "/nowhere", "h", "1"], ["--authority", "/dev/null", "h", "1"], ["--nonsense", "h", "1"], [*["--proxy", "socks5://h"] * 9, "h", "1"]]:  # fmt: skip
        for verb in ("connect", "probe"):
            done = call(verb, *words)
            assert (done.returncode, done.stdout) == (2, b"") and done.stderr, words
    assert b"/nowhere: No such file" in call("probe", "--authority", "/nowhere", "h", "1").stderr
    secret = connect("--proxy", "socks5://alice:hunter2@:", "h", "1")
    assert secret.returncode == 2 and b"hunter2" not in secret.stderr


def test_the_help_fits_a_screen():
    verbs = re.findall(r"^  (\w+) ", call("--help").stdout.decode(), re.M)
    for words in [["--help"], *([verb, "--help"] for verb in verbs)]:
        done = call(*words)
        lines = done.stdout.decode().splitlines()
        assert done.returncode == 0 and len(lines) <= 24 and max(map(len, lines)) <= 80, lines


# --- probe


@pytest.mark.parametrize("scheme", SCHEMES)
def test_probe_tells_each_step(daemon, keep, scheme):
    target = keep(Echo())
    probe = Probe("--proxy", url(scheme, daemon.address()), loopback(scheme), target.port)
    assert probe.code == 0 and "ok" in probe.said
    steps = ["connect", *(["method"] if scheme.startswith("socks5") else []), "request"]
    assert probe.words() == (["resolve", *steps] if scheme == "socks5" else steps)
    assert probe.steps[-1][1].startswith(url(scheme, daemon.address()))


def test_probe_shows_a_login_and_tls_with_its_chain(pairsocks, keep, tmp_path):
    daemon = pairsocks(auth="password", users_file=UsersFile(tmp_path / "users", alice="right"), **tls.keys("by-middle-chain"))
    target = keep(Echo(context=tls.server_context()))
    proxy = url("socks5h+tls", daemon.address(), "alice:right@")
    probe = Probe("--authority", tls.pem("root"), "--tls", "--peer-name", tls.NAME, "--proxy", proxy, "localhost", target.port)
    assert probe.code == 0, probe.lines
    assert probe.words() == ["connect", "tls", "method", "login", "request", "tls"]
    assert re.search(r": TLSv1\.3 TLS13-AES", dict(probe.steps)["tls"]), probe.steps
    certificates = [line for line in probe.lines if "certificate " in line]
    assert len(certificates) == 3 and all(re.search(r"valid \d{4}-\d\d-\d\d to \d{4}-\d\d-\d\d", line) for line in certificates)
    assert "right" not in probe.done.stdout.decode()


def test_probe_shows_the_chain_that_is_refused(keep):
    target = keep(Echo(context=tls.server_context("expired")))
    probe = Probe("--proxy", "none", "--tls", "--authority", tls.pem("root"), "--peer-name", tls.NAME, "localhost", target.port)
    assert (probe.code, probe.error) == (1, "tls.certificate.expired")
    assert probe.words() == ["resolve", "connect", "tls"]
    assert any("certificate 1" in line for line in probe.lines)


def test_probe_names_the_hop_that_refuses(pairsocks, keep):
    first, second, refusing = pairsocks(), pairsocks(), keep(Refusing())
    chain = ["--proxy", url("socks5h", first.address()), "--proxy", url("socks4", second.address())]
    probe = Probe(*chain, *refusing.address)
    assert (probe.code, probe.error) == (1, "socks.socks4-response.request-failed")
    assert url("socks4", second.address()) in probe.said["where"]
    assert probe.said["meaning"].strip() and probe.said["try"].strip()
    probe = Probe("--proxy", url("socks5h", first.address()), "--proxy", url("socks4", refusing.address), "127.0.0.1", 1)
    assert (probe.code, probe.error) == (1, "socks.socks5-response.connection-refused")
    assert url("socks5h", first.address()) in probe.said["where"]


OK5, OK_LOGIN = b"\x05\x00", b"\x05\x02"

MISBEHAVIOUR = [
    ("socks5", [b"\x04\x00"], "socks.version.4", "method"),
    ("socks5", [b"HTTP/1.0 400 Bad\r\n\r\n"], "socks.version.72", "method"),
    ("socks5", [b"\x05\xff"], "socks.socks5-method.none-acceptable", "method"),
    ("socks5", [b"\x05\x01"], "socks.socks5-method.1", "method"),
    ("socks5", [b"\x05\x02"], "socks.socks5-method.2", "method"),
    ("socks5", [b"\x05"], "stream.end.early", "method"),
    ("socks5", [OK5, b"\x05\x02\x00"], "socks.socks5-response.not-allowed", "request"),
    ("socks5", [OK5, b"\x05\x09\x00"], "socks.socks5-response.9", "request"),
    ("socks5", [OK5, b"\x05\x00\x00\x07"], "socks.none.bad-response-address", "request"),
    ("socks5", [OK5, b"\x05\x00\x00\x01\x7f"], "stream.end.early", "request"),
    ("socks5", [OK_LOGIN, b"\x01\x09"], "socks.socks5-userpass.9", "login"),
    ("socks4", [b"\x00\x5b" + bytes(6)], "socks.socks4-response.request-failed", "request"),
    ("socks4", [b"\x00\x5c" + bytes(6)], "socks.socks4-response.identd-failed", "request"),
    ("socks4", [b"\x00\x5d" + bytes(6)], "socks.socks4-response.id-conflict", "request"),
    ("socks4", [b"\x05\x00" + bytes(6)], "socks.version.5", "request"),
    ("http", [b"HTTP/1.1 407 No\r\n\r\n"], "http.status.407", "request"),
    ("http", [b"HTTP/1.1 503 No\r\n\r\n"], "http.status.503", "request"),
    ("http", [b"220 mail.example ESMTP\r\n"], "http.response.bad", "request"),
    ("http", [b"HTTP/1.1 200 OK\r\n"], "stream.end.early", "request"),
]


@pytest.mark.parametrize("scheme, answers, name, step", MISBEHAVIOUR)
def test_probe_calls_what_a_proxy_does_wrong_by_its_name(keep, scheme, answers, name, step):
    proxy = keep(Listener())

    def misbehave():
        wire = proxy.accept()
        for answer in answers:
            wire.sock.recv(1000)
            wire.send(answer)
        with contextlib.suppress(OSError):  # it may have left in disgust
            wire.finish()
            wire.read_to_end_or_reset()

    thread = threading.Thread(target=misbehave)
    thread.start()
    login = "u:p@" if len(answers) > 1 and answers[0] == OK_LOGIN else ""
    probe = Probe("--timeout", 5, "--proxy", url(scheme, proxy.address, login), "127.0.0.1", 1)
    thread.join()
    assert (probe.code, probe.error.split(" ")[0]) == (1, name)
    assert probe.said["where"].endswith(step)


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "http", "socks5+tls"])
def test_a_silent_proxy_is_given_up_in_time(keep, scheme):
    proxy = keep(Listener())
    probe = Probe("--timeout", 0.3, "--proxy", url(scheme, proxy.address), "127.0.0.1", 1)
    assert probe.code == 1
    assert probe.error.split(" ")[0] == ("tls.handshake.timeout" if "tls" in scheme else "system.connect.timeout")


def test_every_byte_of_an_answer_may_come_alone(keep):
    proxy = keep(Listener())

    def drip():
        wire = proxy.accept()
        wire.read(3)
        wire.send_in_pieces(*(bytes([byte]) for byte in OK5))
        wire.read(10)
        wire.send_in_pieces(*(bytes([byte]) for byte in b"\x05\x00\x00\x03\x04name\x00\x50early"))
        wire.finish()
        wire.read_to_end_or_reset()

    thread = threading.Thread(target=drip)
    thread.start()
    done = connect("--proxy", url("socks5", proxy.address), "127.0.0.1", 1)
    thread.join()
    assert (done.returncode, done.stdout) == (0, b"early")


# --- completion


def complete(*words):
    script = ("source cli/pairsocks.bash; COMP_WORDS=(pairsocks \"$@\"); COMP_CWORD=$#; _pairsocks; printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=ROOT, capture_output=True, text=True, timeout=wait.seconds(10))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def test_bash_completes_verbs_and_options():
    verbs = re.findall(r"^  ([\w-]+) ", call("--help").stdout.decode(), re.M)
    assert sorted(complete("")) == sorted([*verbs, "--help", "--version"])
    assert complete("pr") == ["probe"]
    for verb in verbs:
        options = set(re.findall(r"(--[a-z-]+)", call(verb, "--help").stdout.decode()))
        assert options <= set(complete(verb, "--")), verb
    assert "socks5h://" in complete("connect", "--proxy", "socks")
    assert complete("explain", "--command", "b") == ["bind"]
