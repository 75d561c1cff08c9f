"""`listen = systemd:NAME`: sockets that were bound before the daemon started, passed as systemd does."""

import os
import pathlib
import signal
import socket
import stat

import pytest

from harness.activation import passing
from harness.daemon import config_text, run
from harness.load import Load
from harness.socks import Client
from harness.targets import Echo, Listener


def bound(keep, family=socket.AF_INET, address=("127.0.0.1", 0), kind=socket.SOCK_STREAM, listen=True):
    sock = keep(socket.socket(family, kind))
    sock.bind(address)
    if listen:
        sock.listen(100)
    return sock


@pytest.fixture
def activated(launch, tmp_path):
    """activated((name, socket)..., listen=..., key=value): a daemon, not yet ready, that has been passed these."""

    def start(*named, listen="systemd:web", names=True, listeners=None, daemon=None, **keys):
        log_path = tmp_path / f"log{len(os.listdir(tmp_path))}"
        listeners = listeners or {"main": {"listen": listen, **keys}}
        text = config_text({"workers": 2, "log_target": f"file:{log_path}", **(daemon or {})}, listeners)
        return launch(text, log_path=log_path, **passing(*named, names=names))

    return start


def serves(address, target):
    with Client.open(address) as client:
        client.connect("socks5", target.host, target.port)
        target.accept().close()


def test_a_passed_socket_is_served_by_all_workers(activated, keep):
    web, target = bound(keep), keep(Listener())
    daemon = activated(("web", web), daemon={"workers": 4}).ready()
    assert daemon.address(4) == web.getsockname()
    for _ in range(20):
        serves(web.getsockname(), target)
    assert daemon.wait_for(count=20, event="session")["error"] == "none"


def test_one_name_may_stand_for_several_sockets_of_any_family(activated, keep, tmp_path):
    path = str(tmp_path / "s")
    four, six = bound(keep), bound(keep, socket.AF_INET6, ("::1", 0))
    unix, other = bound(keep, socket.AF_UNIX, path), bound(keep)
    target = keep(Listener())
    daemon = activated(
        ("web", four), ("other", other), ("web", six), ("web", unix),
        listeners={"main": {"listen": "systemd:web"}, "second": {"listen": "127.0.0.1:0, systemd:other"}},
    ).ready()  # fmt: skip
    assert [r["address"] for r in daemon.records(event="listening", listener="main")] == [
        "%s:%d" % four.getsockname(), "[%s]:%d" % six.getsockname()[:2], path]  # fmt: skip
    assert other.getsockname() in daemon.addresses("second")
    for address in (four.getsockname(), six.getsockname()[:2], other.getsockname()):
        serves(address, target)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(b"\5\1\0")
        assert client.recv(2) == b"\5\0"


def test_without_names_a_socket_is_unknown(activated, keep):
    web = bound(keep)
    activated(("ignored", web), listen="systemd:unknown", names=False).ready()
    serves(web.getsockname(), keep(Listener()))


def test_the_variables_and_descriptors_are_nobody_elses(activated, keep):
    web = bound(keep)
    daemon = activated(("web", web)).ready()
    for fd in os.listdir(f"/proc/{daemon.pid}/fd"):
        if int(fd) > 2:
            flags = pathlib.Path(f"/proc/{daemon.pid}/fdinfo/{fd}").read_text()
            assert int(flags.split("flags:")[1].split()[0], 8) & os.O_CLOEXEC, fd


def test_sockets_meant_for_another_process_are_not_taken(launch, keep, tmp_path):
    web = bound(keep)
    environment = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "web"}
    daemon = launch(config_text({}, {"main": {"listen": "systemd:web"}}), environment=environment)
    assert daemon.exit_code() == 1
    assert "systemd:web: no socket of this name was passed (FileDescriptorName=): start the .socket unit" in daemon.errors()
    assert web.getsockname()


@pytest.mark.parametrize("count", ["x", "-1", "99999999"])
def test_variables_that_make_no_sense_refuse_the_start(launch, count):
    shell = ["sh", "-c", f'LISTEN_PID=$$ LISTEN_FDS={count} exec "$@"', "-"]
    daemon = launch(config_text({}, {"main": {"listen": "127.0.0.1:0"}}), prefix=shell)
    assert daemon.exit_code() == 1
    assert "LISTEN_FDS" in daemon.errors()


def test_more_sockets_than_are_there_refuse_the_start(launch):
    shell = ["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3<&-', "-"]
    daemon = launch(config_text({}, {"main": {"listen": "127.0.0.1:0"}}), prefix=shell)
    assert daemon.exit_code() == 1
    assert "LISTEN_FDS" in daemon.errors()


@pytest.mark.parametrize("kind, listen, told", [
    (socket.SOCK_DGRAM, False, "no stream socket"), (socket.SOCK_STREAM, False, "does not listen")])  # fmt: skip
def test_a_socket_of_the_wrong_kind_refuses_the_start(activated, keep, kind, listen, told):
    web = bound(keep, kind=kind, listen=listen)
    daemon = activated(("web", web))
    assert daemon.exit_code() == 1
    assert told in daemon.errors()


def test_an_unused_socket_is_said_and_closed(activated, keep):
    web, idle = bound(keep), bound(keep)
    daemon = activated(("web", web), ("idle", idle)).ready()
    record = daemon.wait_for(event="inherited")
    assert (record["name"], record["level"], record["address"]) == ("idle", "warning", "%s:%d" % idle.getsockname())
    inode = os.fstat(idle.fileno()).st_ino
    links = [os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{daemon.pid}/fd")]
    assert f"socket:[{inode}]" not in links


# --- what is judged by where a socket really is


def test_a_socket_beyond_loopback_is_an_open_proxy_and_refused(activated, keep):
    web = bound(keep, address=("0.0.0.0", 0))
    daemon = activated(("web", web))
    assert daemon.exit_code() == 1
    assert f"strangers could reach any target through 0.0.0.0:{web.getsockname()[1]}" in daemon.errors()


def test_a_socket_beyond_loopback_is_guarded_and_one_of_loopback_is_not(activated, keep, dial):
    target = keep(Listener())
    for host, code in (("0.0.0.0", 2), ("127.0.0.1", 0)):
        web = bound(keep, address=(host, 0))
        daemon = activated(("web", web), allow="127.0.0.0/8").ready()
        client = dial(daemon, address=("127.0.0.1", web.getsockname()[1]))
        client.ask("socks5", target.host, target.port)
        assert client.read_reply5().code == code


def test_check_says_what_depends_on_systemd(tmp_path):
    path = tmp_path / "p.ini"
    path.write_text(config_text({}, {"main": {"listen": "systemd:web"}, "closed": {"listen": "systemd:b", "default": "deny"}}))
    done = run("-c", path, "--check")
    assert done.returncode == 0
    notes = [line for line in done.stdout.splitlines() if "note:" in line]
    assert len(notes) == 1 and "[listener main] open_proxy" in notes[0]


# --- reload, restart


def test_a_reload_may_leave_a_socket_and_take_it_up_again(activated, keep):
    web, target = bound(keep), keep(Listener())
    daemon = activated(("web", web)).ready()
    ini = daemon.folder / "pairsocks.ini"
    text = ini.read_text()
    ini.write_text(text.replace("systemd:web", "127.0.0.1:0"))
    daemon.reload()
    ini.write_text(text)
    daemon.reload()
    serves(web.getsockname(), target)


def test_a_reload_with_a_name_that_was_not_passed_changes_nothing(activated, keep):
    web, target = bound(keep), keep(Listener())
    daemon = activated(("web", web)).ready()
    ini = daemon.folder / "pairsocks.ini"
    ini.write_text(ini.read_text().replace("systemd:web", "systemd:web, systemd:more"))
    daemon.reload("reload_failed")
    serves(web.getsockname(), target)


def test_a_unix_socket_of_systemd_keeps_its_file_and_its_mode(activated, keep, tmp_path):
    path = tmp_path / "s"
    web = bound(keep, socket.AF_UNIX, str(path))
    path.chmod(0o640)
    daemon = activated(("web", web), unix_mode="0666").ready()
    daemon.reload()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    daemon.signal(signal.SIGTERM)
    assert daemon.exit_code() == 0
    assert path.is_socket()


def test_who_waits_at_the_end_is_served_by_the_next_one(activated, keep, dial):
    """One session is all that is admitted, so the others wait in the queue; they are neither taken nor cut."""
    web, target = bound(keep), keep(Listener())
    first = activated(("web", web), max_connections="1").ready()
    holder = dial(first)
    holder.connect("socks5", target.host, target.port)
    held = target.accept()
    clients = [keep(Client.open(web.getsockname())) for _ in range(30)]
    first.signal(signal.SIGTERM)
    first.wait_for(event="drain")
    holder.close()
    held.close()
    assert first.exit_code() == 0
    clients += [keep(Client.open(web.getsockname())) for _ in range(30)]
    activated(("web", web)).ready()
    for client in clients:
        client.connect("socks5", target.host, target.port)
        target.accept().close()
    assert len(first.records(event="session")) == 1


def test_restarts_under_load_lose_no_connection(activated, keep):
    web = bound(keep)
    with Load(web.getsockname(), keep(Echo())) as load:
        for _ in range(3):
            daemon = activated(("web", web)).ready()
            load.wait_for_more(50)
            daemon.signal(signal.SIGTERM)
            assert daemon.exit_code() == 0
        activated(("web", web)).ready()
        load.wait_for_more(50)
    assert load.failures == []
