"""What systemd is told: ready, reloading, stopping, status, and the watchdog."""

import os
import signal
import subprocess
import time

import pytest

from harness import preload
from harness.daemon import config_text
from harness.notify import Notified
from harness.socks import greeting
from harness.targets import Listener, bound


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, keep):
    return keep(Notified(tmp_path / "n" if request.param == "path" else f"@pairsocks-test-{os.getpid()}-{time.monotonic_ns()}"))


@pytest.fixture
def plain_manager(tmp_path, keep):
    return keep(Notified(tmp_path / "n"))


@pytest.fixture(scope="session")
def stuck_worker(tmp_path_factory):
    """stuck_worker(file): the environment of a daemon one worker of which hangs while the file exists."""
    library = preload.build("stuck_worker", tmp_path_factory.mktemp("stuck"))
    return lambda file: {"LD_PRELOAD": str(library), "STUCK_WORKER": str(file)}


def test_ready_comes_once_it_serves_and_stopping_with_sigterm(pairsocks, manager):
    daemon = pairsocks(environment=manager.environment)
    message = manager.wait_for("READY")
    assert message.lines == [("READY", "1"), ("STATUS", "Serving: 1 listener, 0 sessions")]
    assert message.pid == daemon.pid
    daemon.signal(signal.SIGTERM)
    stopping = manager.wait_for("STOPPING", "1")
    assert int(stopping["EXTEND_TIMEOUT_USEC"]) > 30_000_000  # drain_timeout
    assert daemon.exit_code() == 0
    assert len(manager.with_variable("READY")) == 1


def test_stopping_at_once_is_told_as_well(pairsocks, plain_manager):
    daemon = pairsocks(environment=plain_manager.environment)
    daemon.signal(signal.SIGINT)
    plain_manager.wait_for("STOPPING", "1")
    assert daemon.exit_code() == 0


def test_a_reload_is_told_from_its_beginning_to_its_end(pairsocks, plain_manager):
    daemon = pairsocks(environment=plain_manager.environment)
    plain_manager.wait_for("READY")
    before = time.monotonic_ns() // 1000
    daemon.reload()
    plain_manager.wait_for("READY", count=2)
    reloading = plain_manager.with_variable("RELOADING", "1")
    assert len(reloading) == 1
    assert before <= int(reloading[0]["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    variables = [next(iter(m)) for m in plain_manager.messages]
    assert variables.index("RELOADING") < len(variables) - 1 - variables[::-1].index("READY")


def test_a_reload_that_failed_is_ready_again_and_says_so_until_a_good_one(pairsocks, plain_manager):
    daemon = pairsocks(environment=plain_manager.environment)
    ini = daemon.folder / "pairsocks.ini"
    good = ini.read_text()
    ini.write_text(good + "nonsense\n")
    daemon.reload("reload_failed")
    assert "the last reload failed" in plain_manager.wait_for("READY", count=2)["STATUS"]
    ini.write_text(good)
    daemon.reload()
    assert "failed" not in plain_manager.wait_for("READY", count=3)["STATUS"]


def test_the_status_follows_the_sessions_lazily(pairsocks, plain_manager, fast_clock, dial):
    daemon = pairsocks(environment={**plain_manager.environment, **fast_clock(30)}, handshake_timeout="1h")
    plain_manager.wait_for("READY")
    clients = [dial(daemon) for _ in range(3)]
    for client in clients:
        client.greet5()
    plain_manager.wait_for("STATUS", "Serving: 1 listener, 3 sessions")
    assert len(plain_manager.messages) == 2


def test_an_address_in_use_is_told_with_its_number(launch, plain_manager, keep):
    held = keep(bound())
    held.listen()
    text = config_text({}, {"main": {"listen": "127.0.0.1:%d" % held.getsockname()[1]}})
    daemon = launch(text, environment=plain_manager.environment)
    assert daemon.exit_code() == 1
    assert plain_manager.wait_for("ERRNO")["ERRNO"] == "98"
    assert plain_manager.with_variable("READY") == []


def test_a_wrong_configuration_is_told_as_an_invalid_argument(launch, plain_manager):
    daemon = launch("[listener x]\n", environment=plain_manager.environment)
    assert daemon.exit_code() == 1
    assert plain_manager.wait_for("ERRNO")["ERRNO"] == "22"


def test_without_a_service_manager_nothing_changes(pairsocks, tmp_path):
    daemon = pairsocks(environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert "cannot reach NOTIFY_SOCKET" in daemon.errors()
    assert daemon.reload()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root directory")
def test_inside_a_chroot_as_another_user_it_is_still_told(pairsocks, plain_manager, tmp_path):
    (tmp_path / "root").mkdir()
    environment = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    daemon = pairsocks(daemon={"chroot": tmp_path / "root", "user": "nobody"},
                       environment={**plain_manager.environment, **environment})  # fmt: skip
    plain_manager.wait_for("READY")
    daemon.signal(signal.SIGTERM)
    plain_manager.wait_for("STOPPING", "1")
    assert daemon.exit_code() == 0


def test_what_is_not_taken_at_once_is_told_later_in_order(pairsocks, plain_manager):
    """The queue of the notify socket is full, as while systemd is busy."""
    with Filled(plain_manager):
        daemon = pairsocks(environment=plain_manager.environment)
        daemon.reload()
    plain_manager.wait_for("READY", count=2)
    mine = [m for m in plain_manager.messages if m.pid == daemon.pid]
    assert [next(iter(m)) for m in mine] == ["READY", "RELOADING", "READY"]


class Filled:
    """While it is entered the manager's queue has no place."""

    def __init__(self, manager):
        import socket

        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.manager = manager

    def __enter__(self):
        self.sock.connect(self.manager.where)
        with pytest.raises(BlockingIOError):
            while True:
                self.sock.send(b"FILL=1\n")

    def __exit__(self, *_):
        self.sock.close()
        self.manager.read()


# --- the watchdog


def test_the_watchdog_is_fed_at_half_its_time(pairsocks, plain_manager):
    pairsocks(environment={**plain_manager.environment, "WATCHDOG_USEC": "400000"})
    plain_manager.wait_for("READY")
    start = time.monotonic()
    plain_manager.wait_for("WATCHDOG", "1", count=5)
    assert time.monotonic() - start >= 4 * 0.2 * 0.9


def test_a_worker_that_hangs_is_named_and_feeds_nothing_until_it_turns_again(pairsocks, plain_manager, stuck_worker, tmp_path):
    file = tmp_path / "stuck"
    daemon = pairsocks(environment={**plain_manager.environment, **stuck_worker(file), "WATCHDOG_USEC": "1000000"},
                       daemon={"workers": 3})  # fmt: skip
    plain_manager.wait_for("WATCHDOG", "1", count=2)
    file.touch()
    record = daemon.wait_for(event="watchdog", level="error")
    assert record["message"].startswith("worker ") and "has not turned" in record["message"]
    fed = len(plain_manager.with_variable("WATCHDOG"))
    time.sleep(2.1)  # two of its times: systemd would have ended it
    assert len(plain_manager.with_variable("WATCHDOG")) == fed
    assert len(daemon.records(event="watchdog")) == 1
    file.unlink()
    plain_manager.wait_for("WATCHDOG", "1", count=fed + 2)
    daemon.wait_for(event="watchdog", level="notice")


def test_a_worker_that_has_ended_does_not_hang_the_drain(pairsocks, plain_manager, through, keep):
    """Of several workers only one still has a session; the others' threads are over."""
    daemon = pairsocks(environment={**plain_manager.environment, "WATCHDOG_USEC": "300000"}, daemon={"workers": 3})
    client, target = through(daemon, keep(Listener()))
    daemon.signal(signal.SIGTERM)
    plain_manager.wait_for("STOPPING")
    fed = len(plain_manager.with_variable("WATCHDOG"))
    plain_manager.wait_for("WATCHDOG", "1", count=fed + 4)
    client.send(greeting())
    client.close()
    target.close()
    assert daemon.exit_code() == 0


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_an_idle_daemon_does_not_wake_up(pairsocks, plain_manager, environment):
    daemon = pairsocks(environment={**plain_manager.environment, **environment})
    plain_manager.wait_for("READY")

    time.sleep(0.3)  # what follows the start
    before = daemon.wake_ups()
    time.sleep(1)
    assert daemon.wake_ups() - before <= 1
    assert plain_manager.with_variable("WATCHDOG") == []
