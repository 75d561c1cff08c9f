"""pairsocksd.service and pairsocksd@.service: the installed daemon does its whole job in the sandbox that the unit and it
itself put it into, and systemd is told what it does."""

import pytest

from harness import tls, wait
from harness.daemon import config_text
from harness.dns import Scripted
from harness.targets import Listener, Serving
from harness.users import UsersFile
from unit import UNIT, entries, ping, wait_for

CONTENT = b"fetched\n"


class Page(Serving):
    """An HTTP server with one page."""

    def serve(self, wire):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += wire.read(1)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(CONTENT) + CONTENT)
        wire.finish()


def curl(machine, *arguments):
    return machine.run("curl", "-q", "-sS", "--noproxy", "", "--max-time", "20", *arguments, check=False)


# --- start


@pytest.mark.parametrize("name", ["pairsocksd.service", "pairsocksd@one.service", "pairsocksd.socket"])
def test_systemd_has_nothing_to_say_against_the_units(machine, name):
    said = machine.run("systemd-analyze", "verify", name)
    assert "pairsocks" not in said.stdout + said.stderr


def test_without_a_configuration_it_serves_loopback(machine, connect, target):
    machine.run("systemctl", "start", UNIT)
    assert machine.show(UNIT, "ActiveState") == "active"
    assert machine.show(UNIT, "Type") == "notify"
    ping(connect(), target)
    ping(connect(("::1", 1080)), target)


def test_it_is_the_user_without_rights_and_confined_twice(machine, serving, connect, target):
    serving()
    ping(connect(), target)
    uid = machine.run("id", "-u", "pairsocks").stdout.strip()
    found = list(machine.status(machine.show(UNIT, "MainPID")))
    assert len(found) >= 4
    for fields in found:
        assert fields["Uid"].split() == [uid] * 4
        assert {fields[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {""}
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")
        assert int(fields["Seccomp_filters"]) >= 2  # the unit's, and its own
    said = {entry["MESSAGE"].split("message=")[1].strip('"')[:20] for entry in entries(machine, PAIRSOCKS_EVENT="sandbox")}
    assert said == {"files are confined (", "system calls are con"}


def test_a_bad_configuration_ends_the_start_and_the_journal_says_why(machine):
    machine.write("/etc/pairsocks/pairsocks.ini", "[listener main]\nlisten = 127.0.0.1:1080\nquue = 3\n")
    assert machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    said = [str(entry["MESSAGE"]) for entry in machine.journal(UNIT)]
    assert any("pairsocks.ini:3: [listener main] quue: there is no such key" in line for line in said), said
    machine.run("systemctl", "stop", UNIT)


def test_a_daemon_that_is_killed_comes_back(machine, serving, connect, target):
    serving()
    pid = machine.show(UNIT, "MainPID")
    machine.run("kill", "-KILL", pid)
    wait.until(lambda: machine.show(UNIT, "MainPID") not in (pid, "0") and machine.show(UNIT, "ActiveState") == "active", "it to be back", 20)
    ping(connect(), target)


# --- what is said


def test_the_journal_has_the_fields_of_a_session(machine, serving, connect, target):
    serving()
    client = connect()
    ping(client, target)
    entry = wait_for(machine, PAIRSOCKS_EVENT="session")
    wanted = {"PAIRSOCKS_CLIENT": client.local, "PAIRSOCKS_TARGET": f"127.0.0.1:{target.port}", "PAIRSOCKS_SENT": "4",
              "PAIRSOCKS_RECEIVED": "4", "PAIRSOCKS_ERROR": "none", "PAIRSOCKS_LISTENER": "main", "PRIORITY": "6",
              "SYSLOG_IDENTIFIER": "pairsocksd", "_SYSTEMD_UNIT": UNIT, "_COMM": "pairsocksd"}  # fmt: skip
    assert {name: entry.get(name) for name in wanted} == wanted
    assert entry["MESSAGE"].startswith("event=session") or " event=session " in entry["MESSAGE"]


def test_a_log_of_its_own_is_written_where_the_unit_lets_it(machine, serving, connect, target):
    serving(daemon={"log_target": "file:/var/log/pairsocks/pairsocks.log"})
    log = machine.path("/var/log/pairsocks/pairsocks.log")
    log.rename(log.with_suffix(".1"))
    machine.run("kill", "-HUP", machine.show(UNIT, "MainPID"))
    wait.until(lambda: log.exists() and "event=reloaded" in log.read_text(), "the new file")
    ping(connect(), target)


# --- what it does


def test_names_users_and_tls_on_both_sides_work_for_curl(machine, serving, keep, tmp_path):
    make_socket = machine.network.make_socket
    dns = keep(Scripted(make_socket))
    dns.name("page.test", a=["127.0.0.1"])
    dns.name(tls.NAME, a=["127.0.0.1"])
    plain, secured = keep(Page(make_socket=make_socket)), keep(Page(make_socket=make_socket, context=tls.server_context()))
    for name in ("server.pem", "server.key", "root.pem"):
        machine.write(f"/etc/pairsocks/{name}", (tls.FOLDER / name).read_text(), 0o640)
        machine.run("chgrp", "pairsocks", f"/etc/pairsocks/{name}")
    users = UsersFile(tmp_path / "users", alice="secret")
    machine.write("/etc/pairsocks/users", users.path.read_text(), 0o640)
    machine.run("chgrp", "pairsocks", "/etc/pairsocks/users")
    serving(daemon={"nameserver": dns.nameserver}, auth="password", users_file="/etc/pairsocks/users", route="out",
            upstreams={"out": {"type": "direct", "security": "negotiated", "authority": "/etc/pairsocks/root.pem", "peer_name": tls.NAME}})  # fmt: skip
    proxy = "socks5h://alice:secret@127.0.0.1:1080"
    assert curl(machine, "-x", proxy, f"http://page.test:{secured.port}/").stdout == CONTENT.decode()
    assert curl(machine, "-x", proxy.replace("secret", "wrong"), f"http://page.test:{secured.port}/").returncode == 97
    text = machine.path("/etc/pairsocks/pairsocks.ini").read_text()
    machine.write("/etc/pairsocks/pairsocks.ini", text.replace("route = out\n", tls_keys()))
    machine.run("kill", "-HUP", machine.show(UNIT, "MainPID"))
    wait_for(machine, PAIRSOCKS_EVENT="reloaded")
    through = curl(machine, "--proxy-cacert", "/etc/pairsocks/root.pem", "--connect-to", f"{tls.NAME}:1080:127.0.0.1:1080", "--proxy-insecure",
                   "-x", "https://alice:secret@127.0.0.1:1080", "-p", f"http://page.test:{plain.port}/")  # fmt: skip
    assert through.stdout == CONTENT.decode(), through.stderr


def tls_keys():
    return "security = negotiated\ncertificate = /etc/pairsocks/server.pem\nprivate_key = /etc/pairsocks/server.key\n"


def test_unix_sockets_of_its_folder_are_served(machine, serving):
    serving(listen=["127.0.0.1:1080", "unix:/run/pairsocks/socks"], unix_mode="0666")
    assert machine.path("/run/pairsocks/socks").is_socket()
    machine.run("systemctl", "stop", UNIT)
    assert not machine.path("/run/pairsocks").exists()


# --- reload and stop


def test_a_reload_is_told_and_one_that_fails_leaves_the_service_as_it_was(machine, serving, connect, target):
    text = serving()
    machine.write("/etc/pairsocks/pairsocks.ini", text.replace("127.0.0.1:1080", "127.0.0.1:1080, 127.0.0.1:1081"))
    machine.run("systemctl", "reload", UNIT)
    ping(connect(("127.0.0.1", 1081)), target)
    machine.write("/etc/pairsocks/pairsocks.ini", text + "nonsense\n")
    assert machine.run("systemctl", "reload", UNIT, check=False).returncode != 0
    assert machine.show(UNIT, "ActiveState") == "active"
    ping(connect(("127.0.0.1", 1081)), target)


def test_a_reload_that_needs_a_path_outside_is_refused(machine, serving, connect, target):
    text = serving()
    machine.write("/srv/users", "alice:$5$rounds=1000$x$y\n")
    machine.write("/etc/pairsocks/pairsocks.ini", text + "auth = password\nusers_file = /srv/users\n")
    machine.run("kill", "-HUP", machine.show(UNIT, "MainPID"))
    wait_for(machine, PAIRSOCKS_EVENT="reload_failed")
    said = [entry["MESSAGE"] for entry in entries(machine, PAIRSOCKS_EVENT="reload")]
    assert any("/srv/users: Permission denied: it lies outside the sandbox" in line for line in said), said
    ping(connect(), target)


def test_a_stop_lets_sessions_finish(machine, serving, connect, keep):
    serving()
    target = keep(Listener(make_socket=machine.network.make_socket))
    client = connect()
    client.connect("socks5", *target.address)
    peer = target.accept()
    machine.run("systemctl", "stop", "--no-block", UNIT)
    wait_for(machine, PAIRSOCKS_EVENT="drain")
    assert machine.show(UNIT, "ActiveState") == "deactivating"
    client.send(b"still")
    assert peer.read(5) == b"still"
    peer.finish()
    client.finish()
    client.read_to_end()
    wait.until(lambda: machine.show(UNIT, "ActiveState") == "inactive", "the end")
    assert machine.show(UNIT, "Result") == "success"


# --- instances


def test_instances_have_files_and_folders_of_their_own(machine, serving, connect, target):
    serving()
    serving(instance="one", listen=["127.0.0.1:1081", "unix:/run/pairsocks/socks"])
    ping(connect(), target)
    ping(connect(("127.0.0.1", 1081)), target)
    assert machine.path("/run/pairsocks-one/socks").is_socket()
    assert not machine.path("/run/pairsocks/socks").exists()
    machine.run("systemctl", "stop", "pairsocksd@one.service")
    assert not machine.path("/run/pairsocks-one").exists()
    ping(connect(), target)


# --- sockets of systemd's


def test_systemd_binds_low_ports_and_keeps_them_over_a_restart(machine, serving, connect, target):
    machine.drop_in("pairsocksd.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n")
    machine.run("systemctl", "start", "pairsocksd.socket")
    serving(listen="systemd:pairsocks")
    ping(connect(("127.0.0.1", 80)), target)
    for _ in range(3):
        pid, count = machine.show(UNIT, "MainPID"), 0
        restart = machine.start("systemctl", "restart", UNIT)
        while restart.poll() is None or count < 20:  # none of these is refused
            ping(connect(("127.0.0.1", 80)), target)
            count += 1
        assert restart.returncode == 0 and machine.show(UNIT, "MainPID") != pid


def test_the_first_client_starts_the_service(machine, connect, target):
    machine.drop_in("pairsocksd.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:80\n")
    machine.write("/etc/pairsocks/pairsocks.ini", config_text({"log_target": "journal"}, {"main": {"listen": "systemd:pairsocks"}}))
    machine.run("systemctl", "start", "pairsocksd.socket")
    assert machine.show(UNIT, "ActiveState") == "inactive"
    ping(connect(("127.0.0.1", 80)), target)
    assert machine.show(UNIT, "ActiveState") == "active"
