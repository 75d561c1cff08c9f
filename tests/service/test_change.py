"""pairsocksd.service while clients come and go: it is upgraded and restarted, it hangs, and it ends."""

import pytest

from harness import preload, wait
from harness.targets import Listener
from unit import UNIT, entries, ping, wait_for

COMMAND = ["pairsocks", "upgrade"]
SIGNAL = ["systemctl", "kill", "--signal=USR2", "--kill-whom=main", UNIT]
LOW = ("127.0.0.1", 80)


def main_pid(machine):
    return int(machine.show(UNIT, "MainPID"))


def upgrade(machine, how):
    """Returns when systemd knows the new process, which is its number."""
    before, count = main_pid(machine), len(entries(machine, PAIRSOCKS_EVENT="took_over"))
    machine.run(*how)
    wait.until(lambda: len(entries(machine, PAIRSOCKS_EVENT="took_over")) > count, "the new process to take over")
    return wait.until(lambda: (pid := main_pid(machine)) != before and pid, "systemd to know it")


def life(machine):
    """What changes when a service leaves the state `active`, however briefly."""
    return [machine.show(UNIT, name) for name in ("ActiveState", "ActiveEnterTimestampMonotonic", "InvocationID", "NRestarts")]


def has_ended(machine, pid):
    return not machine.path(f"/proc/{pid}").exists()


@pytest.fixture
def session(machine, connect, keep):
    """session(): one that stays open, as (client, target's end)."""

    def start():
        target = keep(Listener(make_socket=machine.network.make_socket))
        client = connect()
        client.connect("socks5", *target.address)
        return client, target.accept()

    return start


def lives(client, peer):
    client.send(b"still")
    assert peer.read(5) == b"still"


# --- reload


def test_reloads_under_load_lose_no_connection(machine, serving, load, session):
    text = serving()
    client, peer = session()
    before = life(machine)
    with load() as clients:
        for queue in (100, 200, 300):
            clients.wait_for_more(40)
            machine.write("/etc/pairsocks/pairsocks.ini", f"{text}\nqueue = {queue}\n")
            machine.run("systemctl", "reload", UNIT)
        clients.wait_for_more(40)
    assert clients.failures == []
    assert life(machine) == before and len(entries(machine, PAIRSOCKS_EVENT="reloaded")) == 3
    lives(client, peer)


# --- upgrade


@pytest.mark.parametrize("how", [COMMAND, SIGNAL], ids=["command", "signal"])
def test_upgrades_under_load_lose_no_connection_and_the_service_stays_active(machine, serving, load, session, how):
    serving()
    client, peer = session()
    first, before = main_pid(machine), life(machine)
    with load() as clients:
        for _ in range(3):
            clients.wait_for_more(40)
            upgrade(machine, how)
            assert life(machine) == before
        clients.wait_for_more(40)
    assert clients.failures == []
    said = machine.run("systemctl", "status", "--no-pager", UNIT).stdout
    assert "Active: active (running)" in said and f"Main PID: {main_pid(machine)} (pairsocksd)" in said
    lives(client, peer)
    client.close()
    peer.close()
    wait.until(lambda: has_ended(machine, first), "the first process to end with its session")
    assert life(machine) == before


def test_an_upgrade_that_fails_is_told_and_changes_nothing(machine, serving, connect, target):
    text = serving()
    before = life(machine), main_pid(machine)
    machine.write("/etc/pairsocks/pairsocks.ini", text + "nonsense = 1\n")
    done = machine.run(*COMMAND, check=False)
    assert done.returncode == 1 and "nonsense: there is no such key" in done.stderr, done
    assert (life(machine), main_pid(machine)) == before
    ping(connect(), target)


def test_after_an_upgrade_a_reload_a_stop_and_a_start_do_what_they_do(machine, serving, session, connect, target):
    serving()
    pid = str(upgrade(machine, COMMAND))
    machine.run("systemctl", "reload", UNIT)
    client, peer = session()
    machine.run("systemctl", "stop", "--no-block", UNIT)
    wait_for(machine, PAIRSOCKS_EVENT="drain", _PID=pid)
    lives(client, peer)  # systemd waits for it
    client.close()
    peer.close()
    wait.until(lambda: machine.show(UNIT, "ActiveState") not in ("active", "deactivating"), "the end")
    assert (machine.show(UNIT, "ActiveState"), machine.show(UNIT, "Result")) == ("inactive", "success")
    machine.run("systemctl", "start", UNIT)
    ping(connect(), target)


# --- restart


def test_with_sockets_of_systemd_restarts_and_upgrades_under_load_lose_no_connection(machine, serving, load):
    machine.drop_in("pairsocksd.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n")
    machine.run("systemctl", "start", "pairsocksd.socket")
    serving(listen="systemd:pairsocks")
    with load(LOW) as clients:
        for _ in range(2):
            pid = main_pid(machine)
            clients.wait_for_more(40)
            machine.run("systemctl", "restart", UNIT)
            assert main_pid(machine) != pid
            clients.wait_for_more(40)
            upgrade(machine, COMMAND)
        clients.wait_for_more(40)
    assert clients.failures == []


# --- watchdog


@pytest.fixture
def watched(machine):
    """watched(line, ...): the unit's watchdog waits for 3 s; more lines of its [Service]."""
    machine.path("/run/result").unlink(missing_ok=True)
    lines = ["[Service]", "WatchdogSec=3s", "LimitCORE=0", "ExecStopPost=+/bin/sh -c 'echo $SERVICE_RESULT >>/run/result'"]
    return lambda *more: machine.drop_in(UNIT, "\n".join([*lines, *more, ""]))


def wait_for_restart(machine, pid):
    wait.until(lambda: machine.show(UNIT, "NRestarts") == "1" and machine.show(UNIT, "ActiveState") == "active",
               lambda: f"a restart: {life(machine)}", 30, every=0.2)  # fmt: skip
    assert main_pid(machine) != pid and has_ended(machine, pid)
    assert machine.path("/run/result").read_text() == "watchdog\n"


def test_a_worker_that_hangs_is_named_and_the_service_starts_again(machine, serving, watched, connect, target, tmp_path):
    library = preload.build("stuck_worker", tmp_path)
    machine.path("/usr/lib/stuck_worker.so").write_bytes(library.read_bytes())
    watched("Environment=LD_PRELOAD=/usr/lib/stuck_worker.so STUCK_WORKER=/run/pairsocks/stuck")
    serving()
    pid = main_pid(machine)
    machine.write("/run/pairsocks/stuck", "")  # which goes with the folder when the service starts again
    wait_for(machine, PAIRSOCKS_EVENT="watchdog", PRIORITY="3")
    wait_for_restart(machine, pid)
    ping(connect(), target)


def test_the_process_that_an_upgrade_has_brought_is_watched(machine, serving, watched, connect, target):
    watched()
    serving()
    pid = upgrade(machine, COMMAND)
    machine.run("kill", "-STOP", pid)
    wait_for_restart(machine, pid)
    ping(connect(), target)


# --- the end


def test_a_stop_ends_what_has_not_finished_in_time(machine, serving, session):
    serving(daemon={"drain_timeout": "1s"})
    client, peer = session()
    pid = machine.show(UNIT, "MainPID")
    machine.run("systemctl", "stop", "--no-block", UNIT)
    wait_for(machine, PAIRSOCKS_EVENT="drain")
    lives(client, peer)
    client.expect_reset()
    wait.until(lambda: machine.show(UNIT, "ActiveState") == "inactive", "the end")
    assert machine.show(UNIT, "Result") == "success"
    [ended] = machine.journal(UNIT, _PID=pid, PAIRSOCKS_EVENT="session")
    assert ended["PAIRSOCKS_ERROR"] == "daemon.drained"
