"""SIGHUP reads the file again: what stays keeps its sockets and sessions, what goes serves who waits, and a file
that cannot be served changes nothing."""

import os
import signal
import threading

import pytest

from harness import wait
from harness.daemon import config_text
from harness.socks import Client
from harness.targets import Listener, bound


MAIN = {"listen": "127.0.0.1:0, [::1]:0"}


def ini(daemon):
    return daemon.folder / "pairsocks.ini"


def listeners(daemon, **sections):
    return config_text({"workers": 2, "log_target": f"file:{daemon.log_path}"}, sections)


def reload(daemon, text=None, event="reloaded"):
    """Writes the file and waits until the daemon has answered."""
    before = len(daemon.records(event=event))
    if text is not None:
        ini(daemon).write_text(text)
    daemon.signal(signal.SIGHUP)
    return daemon.wait_for(before + 1, event=event)


def refuses(address):
    try:
        Client.open(address).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


@pytest.fixture
def served(daemon):
    return daemon


def test_a_session_lives_on_and_ends_under_what_it_began_with(served, through, keep):
    client, target = through(served, keep(Listener()))
    other = listeners(served, other={"listen": "127.0.0.1:0"})
    reload(served, other)
    client.send(b"still here")
    assert target.read(10) == b"still here"
    target.close()
    client.close()
    assert served.session(client)["listener"] == "main"


def test_a_listener_that_goes_closes_and_a_new_one_serves(served, keep):
    old = served.address(4)
    reload(served, listeners(served, other={"listen": "127.0.0.1:0"}))
    wait.until(lambda: refuses(old), "the old listener to close")
    target = keep(Listener())
    client = keep(Client.open(served.address(4, "other")))
    client.connect("socks5", target.host, target.port)
    target.accept()


def test_a_hundred_reloads_under_load_refuse_nobody(served, keep):
    target, stop, served_count, failures = keep(Listener()), threading.Event(), [0], []
    address = served.address(4)

    def load():
        while not stop.is_set():
            try:
                with Client.open(address) as client:
                    client.connect("socks5", target.host, target.port)
                    target.accept().close()
                served_count[0] += 1
            except Exception as failure:  # noqa: BLE001 - whatever it was, it is a failure
                failures.append(repr(failure))
                return

    thread = threading.Thread(target=load)
    thread.start()
    try:
        for i in range(100):
            reload(served, listeners(served, main={**MAIN, "queue": 100 + i}))
    finally:
        stop.set()
        thread.join()
    assert not failures, failures
    assert served_count[0] > 10
    assert len(served.addresses("main")) == 2, "its sockets were opened anew"


@pytest.mark.parametrize("text, says", [
    ("[daemon]\nworkers = none\n[listener main]\nlisten = 127.0.0.1:0\nqueu = 1\n", [":2: [daemon] workers", ":5: [listener main] queu"]),
    ("[listener main]\n", [":1: [listener main] listen"]),
    (None, ["No such file or directory"]),
])
def test_a_file_that_is_wrong_changes_nothing_and_every_error_is_logged(served, through, keep, text, says):
    good = ini(served).read_text()
    if text is None:
        os.unlink(ini(served))
    reload(served, text, event="reload_failed")
    messages = " ".join(r["message"] for r in served.records(event="reload", level="error"))
    for part in says:
        assert part in messages
    through(served, keep(Listener()))
    reload(served, good)


def test_an_address_that_cannot_be_bound_changes_nothing(served, through, keep):
    taken = keep(Listener())
    text = listeners(
        served,
        main=MAIN,
        one={"listen": f"127.0.0.1:{taken.port}"},
        two={"listen": "127.0.0.1:0"},
        three={"listen": "192.0.2.1:0", "open_proxy": "yes"},
    )
    descriptors = served.descriptors()
    reload(served, text, event="reload_failed")
    failed = {r["listener"]: r["address"] for r in served.records(event="listen", level="error")}
    assert failed == {"one": f"127.0.0.1:{taken.port}", "three": "192.0.2.1:0"}
    assert served.addresses("two") == [], "nothing of it is served"
    wait.until(lambda: served.descriptors() == descriptors, "the new sockets to be closed")
    through(served, keep(Listener()))


def test_another_address_on_the_same_port_is_added(pairsocks, keep):
    with bound() as sock:
        port = sock.getsockname()[1]
    daemon = pairsocks(listen=f"127.0.0.1:{port}")
    reload(daemon, listeners(daemon, main={"listen": [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]}))
    target = keep(Listener())
    for host in ("127.0.0.1", "127.0.0.2"):
        client = keep(Client.open((host, port)))
        client.connect("socks5", target.host, target.port)
        target.accept()


def test_smaller_bounds_take_nothing_from_who_is_there(served, through, keep):
    sessions = [through(served, keep(Listener())) for _ in range(3)]
    reload(served, listeners(served, main={**MAIN, "max_connections": 1}))
    waiting = keep(Client.open(served.address(4)))
    waiting.send(b"\x05\x01\x00")
    for client, target in sessions:
        client.send(b"x")
        assert target.read(1) == b"x"
        target.close()
        client.close()
    assert waiting.read(2) == b"\x05\x00", "a place is free again"


def test_what_needs_a_restart_is_said(served):
    text = ini(served).read_text().replace("workers = 2", "workers = 3")
    reload(served, text)
    assert "workers" in served.wait_for(event="reload", level="warning")["message"]


def test_too_few_descriptors_are_told_once_for_the_same_figures(pairsocks):
    daemon = pairsocks(files=400)
    warned = lambda: [record["message"] for record in daemon.records(event="limits", level="warning")]
    reload(daemon)
    assert len(warned()) == 1
    reload(daemon, ini(daemon).read_text().replace("[listener main]", "[listener main]\nmax_connections = 5000"))
    assert len(warned()) == 2 and "5000" in warned()[1]


def test_the_log_file_is_opened_again(served):
    old = served.log_path.with_suffix(".old")
    served.log_path.rename(old)
    served.signal(signal.SIGHUP)
    served.wait_for(event="reloaded")
    assert "event=ready" in old.read_text()


def catches(daemon, number):
    with open(f"/proc/{daemon.pid}/status") as status:
        caught = next(int(line.split()[1], 16) for line in status if line.startswith("SigCgt:"))
    return caught >> (number - 1) & 1


def test_a_reload_that_comes_while_the_daemon_starts_loses_no_socket(launch, tmp_path):
    """SIGHUP as soon as it is caught: the workers have not been told yet what to serve, and are on the same processor."""
    processor = min(os.sched_getaffinity(0))
    for number in range(10):
        log_path = tmp_path / f"log{number}"
        text = config_text({"workers": 24, "log_target": f"file:{log_path}"}, {"main": {"listen": "127.0.0.1:0"}})
        daemon = launch(text, log_path=log_path, prefix=("taskset", "-c", str(processor)))
        wait.until(lambda: catches(daemon, signal.SIGHUP), "SIGHUP to be caught", every=0)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for(event="reloaded", timeout=20)
        clients = [Client.open(daemon.address(), source=f"127.0.2.{source + 1}") for source in range(100)]
        for client in clients:  # of every worker
            client.greet5()
            client.close()
