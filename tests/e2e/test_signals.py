"""SIGTERM drains, a second one or SIGINT stops at once; the daemon's end is orderly and told in the log."""

import contextlib
import signal
import threading
import time

import pytest

from harness import wait
from harness.daemon import config_text
from harness.socks import Client, greeting
from harness.targets import Listener, Silent, bound


def refuses(address):
    """Nobody listens there any more."""
    try:
        Client.open(address).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        pass
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_sessions_a_signal_ends_it_at_once(daemon, number):
    daemon.signal(number)
    assert daemon.exit_code(8) == 0


def test_sigterm_takes_no_new_connections(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    address = daemon.address(4)
    daemon.signal(signal.SIGTERM)
    wait.until(lambda: refuses(address), "the listener to close")
    client.send(b"still")
    assert target.read(5) == b"still"


@pytest.mark.timeout(120)
def test_a_session_that_ends_just_as_sigterm_comes_leaves_no_listener_open(pairsocks, through, keep):
    """A worker whose last session ends then must still close its listening sockets; a race, so often tried."""
    listener = keep(Listener())
    for _ in range(25):
        daemon = pairsocks(daemon={"workers": 4})
        client, target = through(daemon, listener)
        address = daemon.address(4)
        daemon.signal(signal.SIGTERM)
        with contextlib.suppress(OSError):
            while True:
                Client.open(address, patience=1).close()
                if daemon.records(event="drain"):
                    break
        wait.until(lambda: refuses(address), "all workers to have closed their listening sockets")
        client.reset()
        target.expect_reset()
        assert daemon.exit_code(8) == 0


def test_sigterm_lets_a_session_finish_and_then_exits_0(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    address = daemon.address(4)
    daemon.signal(signal.SIGTERM)
    wait.until(lambda: refuses(address), "the listener to close")
    client.send(b"to the end")
    client.finish()
    assert target.read_to_end() == b"to the end"
    target.send(b"of mine too")
    target.finish()
    assert client.read_to_end() == b"of mine too"
    assert daemon.exit_code(8) == 0
    assert daemon.session(client)["error"] == "none"


def test_sigterm_lets_a_dial_finish(pairsocks, dial, keep):
    daemon = pairsocks()
    target = keep(Silent())
    client = dial(daemon)
    client.ask("socks5", *target.address)
    address = daemon.address(4)
    daemon.signal(signal.SIGTERM)
    wait.until(lambda: refuses(address), "the listener to close")
    target.wake_up()
    wire = target.accept()
    assert client.read_reply5().code == 0
    wire.send(b"here")
    assert client.read(4) == b"here"


def test_sessions_are_reset_at_drain_timeout(pairsocks, through, keep):
    daemon = pairsocks(daemon={"drain_timeout": "700ms"})
    client, target = through(daemon, keep(Listener()))
    start = time.monotonic()
    daemon.signal(signal.SIGTERM)
    client.expect_reset()
    assert time.monotonic() - start >= 0.7
    target.expect_reset()
    assert daemon.exit_code(8) == 0
    assert daemon.session(client)["error"] == "daemon.drained"


def test_drain_timeout_0_ends_at_once(pairsocks, through, keep):
    daemon = pairsocks(daemon={"drain_timeout": "0"})
    client, _ = through(daemon, keep(Listener()))
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code(8) == 0
    assert daemon.session(client)["error"] == "daemon.drained"


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM, signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]])
def test_sigint_or_a_second_sigterm_resets_all_sessions_at_once(pairsocks, through, keep, signals):
    daemon = pairsocks(daemon={"drain_timeout": "50s"})
    listener = keep(Listener())
    pairs = [through(daemon, listener) for _ in range(10)]
    address = daemon.address(4)
    for at, number in enumerate(signals):
        if at:
            wait.until(lambda: refuses(address), "the first signal to be heard")
        daemon.signal(number)
    assert daemon.exit_code(8) == 0
    for client, target in pairs:
        client.expect_reset()
        target.expect_reset()
        assert daemon.session(client)["error"] == "daemon.drained"


@pytest.mark.parametrize("phase", ["silent", "greeted", "dialing"])
def test_sigint_ends_a_session_in_any_phase_and_logs_it(daemon, dial, keep, phase):
    target = keep(Silent())
    client = dial(daemon)
    if phase == "greeted":
        client.greet5()
    elif phase == "dialing":
        client.ask("socks5", *target.address)
    else:
        dial(daemon).greet5()
    client.is_quiet(0.2)
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code(8) == 0
    client.expect_closed()
    assert daemon.session(client)["error"] == "daemon.drained"


def test_sigint_in_the_middle_of_a_transfer_loses_no_session_line(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))

    def send():
        with contextlib.suppress(ConnectionError):
            while True:
                client.send(greeting() * 1000)

    sender = threading.Thread(target=send)
    sender.start()
    target.read(10_000_000)
    daemon.signal(signal.SIGINT)
    assert daemon.exit_code(8) == 0
    sender.join(wait.seconds(10))
    session = daemon.session(client)
    assert session["error"] == "daemon.drained"
    assert int(session["sent"]) >= 10_000_000


def test_a_second_daemon_on_the_same_address_says_address_in_use(daemon, launch):
    """Though both would listen with SO_REUSEPORT."""
    host, port = daemon.address(4)
    second = launch(config_text({"workers": 2}, {"main": {"listen": f"{host}:{port}"}}))
    assert second.exit_code() == 1
    assert "address in use" in second.errors().lower()
    assert f"{host}:{port}" in second.errors()


def test_an_address_that_another_program_holds_is_in_use(launch, keep):
    held = keep(bound())
    held.listen()
    second = launch(config_text({}, {"main": {"listen": "127.0.0.1:%d" % held.getsockname()[1]}}))
    assert second.exit_code() == 1
    assert "in use" in second.errors().lower()


def test_a_new_daemon_takes_the_address_right_after_the_old_one_ended(daemon, through, pairsocks, dial, keep):
    """Connections of the old one may still linger in TIME_WAIT."""
    client, target = through(daemon, keep(Listener()))
    target.close()
    client.expect_end()
    host, port = daemon.address(4)
    daemon.signal(signal.SIGTERM)
    client.close()
    assert daemon.exit_code(8) == 0
    again = pairsocks(listen=f"{host}:{port}")
    dial(again).greet5()


def test_sigterm_and_sigint_together_stop_at_once(daemon, through, keep):
    """Both are pending at once, and the kernel's order is not the sender's."""
    client, _ = through(daemon, keep(Listener()))
    daemon.signal(signal.SIGSTOP)
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    daemon.signal(signal.SIGCONT)
    client.expect_reset()
    assert daemon.exit_code(8) == 0
