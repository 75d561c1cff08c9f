"""The control socket: who may use it, where it is, what it answers, and that nobody can hold up the daemon by it."""

import grp
import os
import pwd
import signal
import socket
import stat

import pytest

from harness import wait
from harness.control import Control, read
from harness.daemon import config_text, run
from harness.socks import Client
from harness.targets import Echo, Listener, Refusing

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def served(pairsocks, folder):
    """served(...): a daemon with a control socket, `daemon.control`."""

    def start(**more):
        keys = {"control": folder / "c", **more.pop("daemon", {})}
        daemon = pairsocks(daemon=keys, **more)
        daemon.control = Control(keys["control"])
        daemon.ini = daemon.folder / "pairsocks.ini"
        return daemon

    return start


def edit(daemon, before, after):
    text = daemon.ini.read_text()
    assert before in text
    daemon.ini.write_text(text.replace(before, after))


# --- the file


def test_the_socket_is_for_its_owner_and_group_and_goes_with_the_daemon(served, folder):
    daemon = served()
    status = os.stat(folder / "c")
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o660
    daemon.finish()
    assert not os.path.exists(folder / "c")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_control_group_may_use_it_and_follows_a_reload(served, folder):
    daemon = served(daemon={"control_group": "daemon"})
    assert os.stat(folder / "c").st_gid == grp.getgrnam("daemon").gr_gid
    edit(daemon, "control_group = daemon", "control_group = 12345")
    assert daemon.control.ask("reload")["ok"]
    assert os.stat(folder / "c").st_gid == 12345


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_the_user_who_is_served_as_owns_it_and_removes_it(launch, folder):
    os.chown(folder, NOBODY.pw_uid, -1)
    keys = {"control": folder / "c", "user": "nobody", "log_target": f"file:{folder}/log"}
    daemon = launch(config_text(keys, {"main": {"listen": "127.0.0.1:0"}}), log_path=folder / "log").ready()
    assert os.stat(folder / "c").st_uid == NOBODY.pw_uid
    assert Control(folder / "c").ask("status")["ok"]
    daemon.finish()
    assert not os.path.exists(folder / "c")


def test_a_group_that_is_none_refuses_the_start_and_the_reload(served, launch, folder):
    daemon = launch(config_text({"control": folder / "x", "control_group": "no-such-group"}, {"main": {"listen": "127.0.0.1:0"}}))
    assert daemon.exit_code() == 1
    assert "[daemon] control_group = no-such-group: there is no such group" in daemon.errors()
    running = served()
    edit(running, "[daemon]\n", "[daemon]\ncontrol_group = no-such-group\n")
    answer = running.control.ask("reload")
    assert answer["errors"] == ["[daemon] control_group = no-such-group: there is no such group"]


def test_what_a_dead_daemon_has_left_is_replaced(served, folder):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "c"))
    assert served().control.ask("status")["ok"]


def test_what_another_daemon_serves_is_never_taken(served, launch, folder):
    daemon = served()
    other = launch(config_text({"control": folder / "c"}, {"main": {"listen": "127.0.0.1:0"}}))
    assert other.exit_code() == 1
    assert f"[daemon] control = {folder}/c: another daemon serves it" in other.errors()
    assert daemon.control.ask("status")["pid"] == daemon.pid


def test_a_file_that_is_no_socket_is_never_replaced(launch, folder):
    (folder / "c").write_text("mine")
    daemon = launch(config_text({"control": folder / "c"}, {"main": {"listen": "127.0.0.1:0"}}))
    assert daemon.exit_code() == 1 and "File exists" in daemon.errors()
    assert (folder / "c").read_text() == "mine"


def test_what_another_has_put_at_the_path_stays_when_the_daemon_ends(served, folder):
    daemon = served()
    os.unlink(folder / "c")
    (folder / "c").write_text("another's")
    daemon.finish()
    assert (folder / "c").read_text() == "another's"


def test_without_its_folder_there_is_none_and_the_log_says_so(served, folder):
    daemon = served(daemon={"control": folder / "absent" / "c", "sandbox": "no"})  # a folder that was not there is not inside
    assert "there is no such folder" in daemon.wait_for(event="control", level="notice")["message"]
    daemon.reload()
    assert len(daemon.records(event="control")) == 1, "it is said once"
    (folder / "absent").mkdir()
    daemon.reload()
    assert daemon.control.ask("status")["ok"]


def test_none_is_none(served, folder):
    served(daemon={"control": "none"})
    assert os.listdir(folder) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_the_default_path_is_used_if_it_can_be_had(pairsocks):
    script = "mount -t tmpfs none /run && mkdir /run/pairsocks && exec \"$@\""
    first = pairsocks(prefix=["unshare", "-m", "sh", "-c", script, "sh"])
    control = Control(f"/proc/{first.pid}/root/run/pairsocks/control")
    assert control.ask("status")["pid"] == first.pid
    second = pairsocks(prefix=["nsenter", "-t", str(first.pid), "-m"])
    assert "another daemon serves it: no control socket" in second.wait_for(event="control", level="warning")["message"]
    assert control.ask("status")["pid"] == first.pid


# --- what it tells


def test_status_says_what_is_served(served, keep):
    daemon = served(listeners={"main": {"listen": "127.0.0.1:0", "max_connections": 77, "queue": 5, "protocols": "socks5"},
                               "other": {"listen": "127.0.0.1:0", "deny": "127.0.0.1"}})  # fmt: skip
    waiting = keep(Client.open(daemon.address()))
    with Client.open(daemon.address(listener="other")) as denied:
        denied.expect_closed()
    # it enters the queue a moment after it is counted
    status = wait.until(lambda: (s := daemon.control.ask("status"))["listeners"][0]["queue"] == 1 and s, "the client to be queued")
    assert status["sessions"] == 1 and status["state"] == "serving" and status["pid"] == daemon.pid and status["workers"] == 2
    assert status["file"] == str(daemon.ini) and status["started"] <= status["loaded"]
    main, other = status["listeners"]
    assert main["name"] == "main" and main["addresses"] == ["%s:%d" % daemon.address()]
    assert main["protocols"] == ["socks5"] and main["security"] == "none"
    assert (main["sessions"], main["max_sessions"], main["queue"], main["max_queue"]) == (1, 77, 1, 5)
    assert other["refused"]["whitelist"] == 1 and main["refused"]["whitelist"] == 0
    waiting.close()
    wait.until(lambda: daemon.control.ask("status")["sessions"] == 0, "the session to end")


def test_sessions_says_who_is_connected_to_what(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    client.send(b"twelve bytes")
    assert target.read(12) == b"twelve bytes"
    target.send(b"five!")
    assert client.read(5) == b"five!"
    asked = wait.until(lambda: (a := daemon.control.ask("sessions"))["sessions"][0]["received"] == 5 and a, "all to be counted")
    assert asked["total"] == asked["shown"] == 1 and asked["silent_workers"] == 0
    [session] = asked["sessions"]
    assert session["client"] == client.local and session["listener"] == "main" and session["user"] is None
    assert session["protocol"] == "socks5" and session["command"] == "connect" and session["route"] == "direct"
    assert session["target"] == session["address"] == target.local
    assert session["sent"] == 12 and session["state"] == "relay" and session["rule"] is None
    target.finish()
    client.expect_end()
    wait.until(lambda: daemon.control.sessions()[0]["state"] == "half-closed", "the state")
    client.close()
    line = daemon.session(client)
    assert line["id"] == str(session["id"])
    wait.until(lambda: daemon.control.sessions() == [], "the session to end")


def test_a_session_says_how_far_it_is(served, keep):
    daemon = served()
    keep(Client.open(daemon.address()))
    wait.until(lambda: [s["state"] for s in daemon.control.sessions()] == ["handshake"], "the state")
    assert daemon.control.sessions()[0]["target"] is None


def test_ids_are_unique_over_workers_and_the_oldest_comes_first(served, keep):
    daemon = served(daemon={"workers": 4})
    for _ in range(40):
        keep(Client.open(daemon.address()))
    wait.until(lambda: daemon.control.ask("sessions")["total"] == 40, "all to be there")
    sessions = daemon.control.sessions()
    assert len({s["id"] for s in sessions}) == 40
    ages = [s["age_ms"] for s in sessions]
    assert ages == sorted(ages, reverse=True)
    few = daemon.control.ask("sessions", 3)
    assert few["total"] == 40 and few["shown"] == 3 and len(few["sessions"]) == 3


def test_names_of_any_bytes_are_one_harmless_line(served, keep, dial):
    daemon = served(upstreams={"slow": {"type": "socks5", "server": "127.0.0.1:%d" % keep(Listener()).port}}, route="slow")
    client = dial(daemon)
    client.send(b"\5\1\0")
    client.read(2)
    name = b"a\x1b[2J\xff\xc3\xbc\n\"x"
    client.send(b"\5\1\0\3" + bytes([len(name)]) + name + b"\0\x50")
    target = wait.until(lambda: (s := daemon.control.sessions()) and s[0]["target"], "the target")
    assert target == "a\x1b[2J\ufffd\u00fc\n\"x:80"
    with daemon.control.send("sessions") as raw:
        assert "\x1b" not in read(raw)


def test_close_resets_the_session_and_says_so_in_the_log(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    [session] = daemon.control.sessions()
    assert daemon.control.ask("close", session["id"]) == {"ok": True, "version": daemon.control.ask("status")["version"]}
    client.expect_reset()
    assert daemon.session(client)["error"] == "daemon.closed-by-admin"
    again = daemon.control.ask("close", session["id"])
    assert not again["ok"] and again["error"] == "no-such-session"
    said = daemon.wait_for(event="control", command="close")
    assert said["argument"] == str(session["id"]) and said["uid"] == str(os.getuid()) and said["pid"] == str(os.getpid())


def test_upstreams_say_how_their_servers_are(served, keep, dial):
    dead, live = keep(Refusing()), keep(Listener())
    daemon = served(route="chain", upstreams={
        "chain": {"type": "socks5", "server": [f"127.0.0.1:{dead.port}", f"127.0.0.1:{live.port}"]},
        "checked": {"type": "http", "server": f"127.0.0.1:{dead.port}", "check_interval": "50ms", "via": "chain"},
        "plain": {"type": "direct"}})  # fmt: skip
    client = dial(daemon)
    client.send(b"\5\1\0\5\1\0\3\4name\0\x50")
    live.accept()
    first, second = daemon.control.servers("chain")
    assert first["server"] == f"127.0.0.1:{dead.port}" and first["last_error"] == "system.connect.refused"
    assert first["failures"] == 1 and first["last_error_at"]
    assert first["state"] == ("set aside" if first["retry_ms"] else "good")  # its pause is a second
    assert second["state"] == "good" and second["last_error"] is None and second["sessions"] >= 1
    chain, checked, plain = daemon.control.ask("upstreams")["upstreams"]
    assert chain["used_by"] == ["main", "checked"] and chain["type"] == "socks5" and checked["via"] == "chain"
    assert plain["servers"] == [] and plain["type"] == "direct"


def test_a_check_that_fails_is_told(served, keep):
    dead = keep(Refusing())
    daemon = served(upstreams={"u": {"type": "http", "server": f"127.0.0.1:{dead.port}", "check_interval": "20ms"}})
    [server] = wait.until(lambda: (s := daemon.control.servers("u"))[0]["check_error"] and s, "a check")
    assert server["state"] == "unhealthy" and server["check_error"] == "system.connect.refused"


# --- what it does


def test_reload_answers_when_the_new_configuration_is_in_force(served, keep):
    daemon = served()
    edit(daemon, "[listener main]\n", "[listener main]\nmax_connections = 5\n")
    answer = daemon.control.ask("reload")
    assert answer["ok"] and answer["errors"] == [] and answer["notes"] == [] and answer["file"] == str(daemon.ini)
    assert daemon.control.listener()["max_sessions"] == 5
    daemon.wait_for(event="reloaded")


def test_reload_tells_the_errors_as_check_does_and_what_needs_a_restart(served, launch):
    daemon = served()
    good = daemon.ini.read_text()
    daemon.ini.write_text(good + "colour = red\nqueue = 0\n")
    answer = daemon.control.ask("reload")
    assert not answer["ok"] and answer["error"] == "not-reloaded"
    assert answer["errors"] == run("-c", daemon.ini, "--check").stderr.splitlines() and len(answer["errors"]) == 2
    daemon.ini.write_text(good.replace("workers = 2", "workers = 3"))
    answer = daemon.control.ask("reload")
    assert answer["ok"] and answer["notes"] == ["[daemon] workers has changed: it needs a restart"]
    os.unlink(daemon.ini)
    assert daemon.control.ask("reload")["errors"] == [f"{daemon.ini}: No such file or directory"]


def test_reload_tells_what_check_cannot_know(served, keep):
    taken = keep(Listener())
    daemon = served()
    edit(daemon, "listen = ", f"listen = 127.0.0.1:{taken.port}, ")
    answer = daemon.control.ask("reload")
    assert answer["errors"] == [
        f"[listener main] listen = 127.0.0.1:{taken.port}: address in use: another program listens there"]  # fmt: skip
    assert daemon.control.ask("status")["ok"]


def test_reloads_that_come_while_one_is_being_applied_have_a_result_of_their_own(served, keep):
    daemon = served()
    before = len(daemon.records(event="reloaded"))
    daemon.signal(signal.SIGSTOP)  # so that all have come before the first begins
    asked = [keep(daemon.control.send("reload")) for _ in range(5)]
    daemon.signal(signal.SIGCONT)
    assert all('"ok":true' in read(one) for one in asked)
    daemon.wait_for(before + 2, event="reloaded")
    assert len(daemon.records(event="reloaded")) == before + 2, "the four that came too late are one reload"


def test_the_socket_moves_with_a_reload_and_who_has_asked_is_answered(served, folder):
    daemon = served()
    edit(daemon, f"control = {folder}/c", f"control = {folder}/d")
    assert daemon.control.ask("reload")["ok"]
    assert os.listdir(folder) == ["d"]
    moved = Control(folder / "d")
    assert moved.ask("status")["pid"] == daemon.pid
    edit(daemon, f"control = {folder}/d", "control = none")
    assert moved.ask("reload")["ok"]
    assert os.listdir(folder) == []


def test_a_reload_that_fails_leaves_the_socket_where_it_is(served, folder, keep):
    daemon = served()
    edit(daemon, f"control = {folder}/c", f"control = {folder}/d")
    edit(daemon, "listen = ", f"listen = 127.0.0.1:{keep(Listener()).port}, ")
    assert not daemon.control.ask("reload")["ok"]
    assert os.listdir(folder) == ["c"] and daemon.control.ask("status")["ok"]


def test_drain_lets_sessions_finish_and_is_told_to_a_reload(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    answer = daemon.control.ask("drain")
    assert answer["ok"] and answer["sessions"] == 1 and answer["drain_timeout_ms"] == 30000
    assert daemon.control.ask("status")["state"] == "draining"
    assert daemon.control.ask("reload")["errors"] == ["the daemon drains"]
    client.send(b"still")
    assert target.read(5) == b"still"
    client.close()
    target.close()
    assert daemon.exit_code() == 0


def test_a_daemon_without_sessions_answers_before_it_has_drained(served):
    daemon = served()
    assert daemon.control.ask("drain")["ok"]
    assert daemon.exit_code() == 0


def test_log_level_holds_until_a_reload(served, dial):
    daemon = served()
    assert daemon.control.ask("log-level")["log_level"] == "info"
    assert daemon.control.ask("log-level", "error")["log_level"] == "error"
    dial(daemon).close()
    wait.until(lambda: daemon.control.ask("status")["errors"], "the session to end")
    daemon.signal(signal.SIGHUP)
    wait.until(lambda: daemon.control.ask("log-level")["log_level"] == "info", "the reload")
    dial(daemon).close()
    daemon.wait_for(event="session")
    assert len(daemon.records(event="session")) == 1
    assert daemon.control.ask("log-level", "loud")["error"] == "bad-argument"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the root")
def test_commands_are_taken_from_inside_a_chroot(served, folder):
    (folder / "root").mkdir()
    environment = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    daemon = served(daemon={"chroot": folder / "root"}, environment=environment)
    assert daemon.control.ask("reload")["ok"]
    daemon.finish()
    assert "stays behind" in daemon.records(event="control", level="warning")[-1]["message"]


# --- who asks badly


@pytest.mark.parametrize("sent, error", [
    (b"nonsense\n", "unknown-request"), (b"\n", "unknown-request"), (b"status now\n", "bad-argument"),
    (b"close\n", "bad-argument"), (b"close -1\n", "bad-argument"), (b"close 1 2\n", "bad-argument"),
    (b"sessions 0\n", "bad-argument"), (b"sessions 99999999\n", "bad-argument"), (b"st\0atus\n", "bad-request"),
    (b"status\nstatus\n", "bad-request"), (b"x" * 256, "bad-request"), (b"\xff\xfe\n", "unknown-request"),
])  # fmt: skip
def test_what_is_not_understood_is_said(served, sent, error):
    daemon = served()
    with daemon.control.connect() as client:
        client.sendall(sent)
        assert f'"error":"{error}"' in read(client)


def test_a_request_may_come_in_pieces(served):
    daemon = served()
    with daemon.control.connect() as client:
        for byte in b"status\n":
            client.sendall(bytes([byte]))
        assert '"ok":true' in read(client)


def test_silent_clients_go_after_a_while_and_make_room(served, fast_clock):
    daemon = served(environment=fast_clock(20))
    silent = [daemon.control.connect() for _ in range(8)]
    try:
        assert daemon.control.ask("status")["ok"]  # the ninth waits for them, not for ever
        assert silent[0].recv(1) == b""
    finally:
        for one in silent:
            one.close()


def test_clients_that_leave_early_cost_nothing(served):
    daemon = served()
    before = daemon.descriptors()
    for request in ("sessions", "reload", "status", "close 1") * 10:
        daemon.control.send(request).close()
    for _ in range(10):
        daemon.control.connect().close()
    assert daemon.control.ask("status")["ok"]
    wait.until(lambda: daemon.descriptors() == before, lambda: f"{before} descriptors, not {daemon.descriptors()}")


def test_sessions_go_on_while_somebody_asks_and_asks(served, keep):
    daemon, echo = served(), keep(Echo())
    for _ in range(30):
        with Client.open(daemon.address()) as client:
            client.connect("socks5", echo.host, echo.port)
            client.send(b"hello")
            assert client.read(5) == b"hello"
            assert daemon.control.ask("sessions")["ok"]
