"""The benchmark's own parts: its bare relay and the experiments carry every byte and each end, a run makes a table, and a
goal can be missed. Nothing is measured here."""

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys

import pytest

from harness import tls, wait
from harness.daemon import BINARY, ROOT
from harness.dns import free_port
from harness.socks import Client, request5
from harness.targets import Sink, Source
from harness.udp import Association, Echo, udp_socket
from harness.wire import Wire

BENCH = ROOT / "tests" / "bench"
sys.path.append(str(BENCH))

import goals  # noqa: E402
import kinds  # noqa: E402
import programs  # noqa: E402

BLOB = random.Random(8).randbytes(5 << 20)
MINE, PEER = goals.MINE, "microsocks"


def digest(data):
    return hashlib.sha256(data).digest()


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """built(name): the path of a program of tests/bench."""
    folder = tmp_path_factory.mktemp("bench")
    return lambda name: programs.build(name, str(folder))


@pytest.fixture
def relay(built):
    """relay(program, words): its port; it must live until the end of the test."""
    processes = []

    def start(program, *words):
        port = free_port()
        command = ["setpriv", "--pdeathsig", "KILL", built(program), str(port), *map(str, words)]
        processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL))

        def listens():
            assert processes[-1].poll() is None, f"{program} ended with {processes[-1].returncode}"
            try:
                Wire.open(("127.0.0.1", port)).close()
            except ConnectionRefusedError:
                return False
            return True

        wait.until(listens, program)
        return port

    yield start
    for process in processes:
        alive = process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert alive, f"a relay ended with {process.returncode}"


@pytest.fixture(scope="module")
def kernel(built):
    """What this kernel allows, as {name: "yes" or why not}."""
    text = subprocess.run([built("kernel")], capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in text.splitlines())


RELAYS = {
    "copy": ("floor", "--gear", "copy"),
    "splice": ("floor", "--gear", "splice"),
    "zerocopy": ("experiments", "--gear", "zerocopy"),
    "sockmap": ("experiments", "--gear", "sockmap"),
    "io_uring": ("uring",),
}


@pytest.fixture
def socks_relay(relay, kernel):
    """socks_relay(name): the port of one of RELAYS."""

    def start(name):
        if kernel.get(name, "yes") != "yes":
            pytest.skip(f"{name}: {kernel[name]}")
        return relay(*RELAYS[name])

    return start


@pytest.mark.parametrize("name", RELAYS)
def test_a_bare_relay_carries_all_bytes_and_each_end(name, socks_relay, keep):
    port = socks_relay(name)
    sink, source = keep(Sink(digest)), keep(Source(BLOB))
    for _ in range(3):  # what one session leaves behind is not for the next one
        with Client.open(("127.0.0.1", port)) as up, Client.open(("127.0.0.1", port)) as down:
            up.connect("socks5", *sink.address)
            down.connect("socks5", *source.address)
            up.send(BLOB)
            up.finish()
            assert digest(down.read_to_end()) == digest(BLOB)
            assert up.read_to_end() == digest(BLOB)


@pytest.mark.parametrize("name", ["copy", "splice", "zerocopy"])
def test_what_follows_the_request_at_once_is_relayed(name, socks_relay, keep):
    sink = keep(Sink(digest))
    with Client.open(("127.0.0.1", socks_relay(name))) as client:
        client.greet5()
        client.send(request5(*sink.address) + b"early")
        assert client.read_reply5().code == 0
        client.send(BLOB)
        client.finish()
        assert client.read_to_end() == digest(b"early" + BLOB)


def test_the_bare_relay_terminates_tls(relay, keep):
    words = ("--gear", "tls", tls.pem("server"), tls.key("server"), "TLS_AES_128_GCM_SHA256")
    for target, sent, wanted in ((Sink(digest), BLOB, digest(BLOB)), (Source(BLOB), b"", BLOB)):
        keep(target)
        port = relay("tls_floor", "--forward", f"{target.host}:{target.port}", *words)
        with Wire.open(("127.0.0.1", port)) as plain:
            wire = Wire(tls.TlsSocket(plain.sock, tls.client_context(level="tlsv1.3"), name=tls.NAME))
            wire.send(sent)
            if sent:
                wire.finish()
            assert digest(wire.read_to_end()) == digest(wanted)


def is_free(address):
    with contextlib.suppress(OSError), udp_socket(*address):
        return True
    return False


def test_the_bare_relay_passes_datagrams(relay, keep):
    client, echo = keep(Client.open(("127.0.0.1", relay("floor_udp")))), keep(Echo())
    client.greet5()
    a = keep(Association(client))
    for i in range(100):
        a.exchange(echo, b"%d" % i * 200)
    client.close()
    wait.until(lambda: is_free(a.relay), "the association's end")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a run needs two CPUs")
@pytest.mark.parametrize("what,only,rows", [("", "connect", 1), ("syscalls", "exchange", 5)])
def test_a_run_prints_a_table(what, only, rows):
    command = [BENCH / "run", *filter(None, [what]), "--quick", "--rounds", "1", "--only", only,
               "--proxies", "pairsocksd,floor", "--pairsocksd", BINARY]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=wait.seconds(50))
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert "pairsocksd" in table[0] and "floor" in table[0], done.stdout
    assert len(table) >= 2 + rows, done.stdout


# --- goals


def row(key="cost", kind="exchange"):
    made = kinds.Row("work", "us", 1.0, key=key)
    made.kind, made.proxies = kind, (MINE, PEER, goals.FLOOR)
    return made


@pytest.mark.parametrize("goal,mine,theirs,good", [
    (goals.RatioTo(0.5, PEER), [4, 5, 9], [10, 10, 10], True),
    (goals.RatioTo(0.5, PEER), [4, 6, 6], [10, 10, 10], False),
    (goals.RatioToBest(0.5), [5, 5, 5], [10, 10, 10], True),
    (goals.RatioToBest(0.5), [6, 6, 6], [10, 10, 10], False),
    (goals.AtMost(2, "KiB"), [1, 2, 3], [9, 9, 9], True),
    (goals.AtMost(2, "KiB"), [1, 3, 3], [9, 9, 9], False),
    (goals.Within(40, 60, "%"), [40, 50, 60], [9, 9, 9], True),
    (goals.Within(40, 60, "%"), [50, 50, 61], [9, 9, 9], False),
])  # fmt: skip
def test_a_goal_is_judged_by_the_median_of_its_rounds(goal, mine, theirs, good):
    work = row()
    costs = {work: {MINE: mine, PEER: theirs, goals.FLOOR: [1, 1, 1]}}
    text, bad = goals.verdict(goal, work, costs)
    assert text.endswith(": ok" if good else ": MISSED")
    assert bad is not good


def test_a_goal_may_be_another_row_of_ours():
    alone, crowd = row(kind="alone"), row(kind="crowd")
    goal = goals.RatioToRow(1.1, "alone", "that without them")
    assert goals.verdict(goal, crowd, {alone: {MINE: [10, 10, 10]}, crowd: {MINE: [10, 11, 12]}})[1] is False
    assert goals.verdict(goal, crowd, {alone: {MINE: [10, 10, 10]}, crowd: {MINE: [12, 12, 12]}})[1] is True


def test_a_goal_whose_peer_was_not_measured_is_not_reached():
    work = row()
    for goal in (goals.RatioTo(0.5, PEER), goals.RatioToBest(0.5), goals.RatioToRow(1.1, "alone", "that")):
        text, bad = goals.verdict(goal, work, {work: {MINE: [1]}})
        assert "not measured" in text and bad
