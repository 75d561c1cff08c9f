"""The daemon's own sandbox: what it does inside, and what it is denied."""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket

import pytest

from harness import tls, udp, wait
from harness.bind import stand
from harness.control import Control
from harness.daemon import config_text, run
from harness.dns import Scripted
from harness.log_readers import LogHost
from harness.socks import Client
from harness.status import page_of
from harness.targets import Echo, Listener
from harness.users import UsersFile

CREATE_RULESET = 444  # of Landlock: with this flag it asks for the version
pytestmark = [
    pytest.mark.skipif(wait.SANITIZED, reason="a build with sanitizers has no sandbox"),
    pytest.mark.skipif(ctypes.CDLL(None).syscall(CREATE_RULESET, None, 0, 1) < 1, reason="the kernel has no Landlock"),
]
BLOB = os.urandom(1 << 20)
OUTSIDE = "it lies outside the sandbox that the daemon entered when it started; restart the daemon to let it in"


@pytest.fixture
def confined(pairsocks, tmp_path):
    """confined(...): a daemon with `sandbox = yes`; the rest as for pairsocks."""

    def start(daemon=None, **more):
        return pairsocks(daemon={"sandbox": "yes", **(daemon or {})}, **more)

    return start


def threads(daemon):
    for task in pathlib.Path(f"/proc/{daemon.pid}/task").iterdir():
        yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def change(daemon, before, after):
    """Another text in the daemon's file."""
    file = daemon.folder / "pairsocks.ini"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def refused(daemon, path, before, after):
    """A reload of this change fails, says that `path` is why, and names the way out. Takes the change back."""
    count = len(daemon.records(event="reload_failed"))
    change(daemon, before, after)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(count + 1, event="reload_failed")
    said = [r for r in daemon.records(level="error") if f"{path}: Permission denied: {OUTSIDE}" in r.get("message", "")]
    assert said, daemon.story()
    change(daemon, after, before)
    daemon.reload()


def works(daemon, target, host=None):
    """`daemon`: one, or its address."""
    with Client.open(daemon if isinstance(daemon, tuple) else daemon.address()) as client:
        client.connect("socks5", host or target.host, target.port)
        client.send(b"ping")
        assert client.read(4) == b"ping"


# --- what holds


def test_every_thread_is_confined_and_gets_no_new_rights(confined, tmp_path, keep):
    users = UsersFile(tmp_path / "users", alice="right")
    daemon = confined(listen="127.0.0.1:0", auth="password", users_file=users)
    with Client.open(daemon.address()) as client:  # the threads that check passwords start with the first one
        client.greet(2)
        assert client.login("alice", "right") == 0
    found = list(threads(daemon))
    assert len(found) >= 5  # control plane, two workers, log, password
    for fields in found:
        assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1")
    assert [r["message"].split(" (")[0] for r in daemon.records(event="sandbox")] == [
        "files are confined", "system calls are confined"]  # fmt: skip


def test_without_a_word_it_is_confined_and_with_no_it_is_not(pairsocks):
    assert {fields["Seccomp"] for fields in threads(pairsocks())} == {"2"}
    before = next(iter(pathlib.Path("/proc/self/status").read_text().split("Seccomp:\t")[1:]))[0]
    loose = pairsocks(daemon={"sandbox": "no"})
    assert {fields["Seccomp"] for fields in threads(loose)} == {before}
    assert not loose.records(event="sandbox")


def without(call, errno="ENOSYS"):
    """A prefix under which one system call fails, as on a kernel that lacks it."""
    return ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:error={errno}"]


LACKS = [
    ("landlock_create_ruleset", "ENOSYS", "files", "Landlock", "the kernel has no Landlock"),
    ("landlock_create_ruleset", "EOPNOTSUPP", "files", "Landlock", "Landlock is switched off in the kernel (lsm=)"),
    ("landlock_restrict_self", "E2BIG", "files", "Landlock", "there is a sandbox around the next already, as many as the kernel allows"),
    ("seccomp", "EINVAL", "system calls", "seccomp", "the kernel takes no filter"),
]  # fmt: skip


@pytest.mark.parametrize("call, errno, part, by, why", LACKS)
def test_where_a_part_is_missing_yes_does_not_start_and_auto_does_without(pairsocks, launch, program, keep, call, errno, part, by, why):
    program("strace")
    text = config_text({"sandbox": "yes"}, {"main": {"listen": "127.0.0.1:0"}})
    strict = launch(text, prefix=without(call, errno))
    assert strict.exit_code() == 1
    assert f"[daemon] sandbox = yes: {part} ({by}): {why}" in strict.errors()
    daemon = pairsocks(prefix=without(call, errno))
    assert f"{part} are not confined ({by}): {why}" in [r["message"] for r in daemon.records(event="sandbox")]
    assert len(daemon.records(event="sandbox")) == 2
    works(daemon, keep(Echo()))


def test_a_kernel_that_knows_the_first_landlock_alone_will_do(confined, keep, tmp_path, program):
    """The oldest version denies less; the daemon asks for nothing that it does not know."""
    program("strace")
    daemon = confined(prefix=["strace", "-D", "-f", "-qq", "-o", tmp_path / "trace", "-e", "trace=landlock_create_ruleset",
                              "-e", "inject=landlock_create_ruleset:retval=1:when=1"])  # fmt: skip
    assert daemon.records(event="sandbox")[0]["message"] == "files are confined (Landlock, version 1)"
    works(daemon, keep(Echo()))
    daemon.finish()
    assert re.search(r"handled_access_fs=\S+MAKE_SYM}, 8, 0\) = \d", (tmp_path / "trace").read_text().replace("|", "_"))


def test_a_change_of_sandbox_needs_a_restart(confined):
    daemon = confined()
    change(daemon, "sandbox = yes", "sandbox = no")
    daemon.reload()
    assert [r["message"] for r in daemon.records(event="reload", level="warning")] == ["[daemon] sandbox has changed: it needs a restart"]


# --- what is denied


@pytest.fixture
def elsewhere(tmp_path_factory):
    """A folder that no configuration has named."""
    return tmp_path_factory.mktemp("elsewhere")


def test_a_reload_that_needs_files_elsewhere_is_refused_and_changes_nothing(confined, keep, elsewhere, tmp_path):
    daemon = confined(listen="127.0.0.1:0")
    log = daemon.log_path
    secret = elsewhere / "secret"
    secret.write_text("word\n")
    users = UsersFile(elsewhere / "users", alice="right")
    key_file, certificate, _ = tls.make_certificate(elsewhere)
    listen = "[listener main]\nlisten = 127.0.0.1:0\n"
    proxy = "[upstream out]\ntype = socks5\nserver = 127.0.0.1:1\nuser = me\n"
    refused(daemon, users.path, listen, f"{listen}auth = password\nusers_file = {users}\n")
    refused(daemon, secret, listen, f"{listen}{proxy}password_file = {secret}\n")
    refused(daemon, certificate, listen, f"{listen}security = negotiated\ncertificate = {certificate}\nprivate_key = {key_file}\n")
    refused(daemon, elsewhere / "log", f"file:{log}", f"file:{elsewhere}/log")
    works(daemon, keep(Echo()))
    assert not (elsewhere / "log").exists()


def test_a_reload_that_needs_a_unix_socket_elsewhere_is_refused(confined, keep, elsewhere):
    daemon = confined(listen="127.0.0.1:0")
    change(daemon, "listen = 127.0.0.1:0", f"listen = 127.0.0.1:0, unix:{elsewhere}/s")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reload_failed")
    said = daemon.wait_for(event="listen", level="error")
    assert (said["address"], said["message"]) == (f"{elsewhere}/s", f"Permission denied: {OUTSIDE}")
    assert not list(elsewhere.iterdir())
    works(daemon, keep(Echo()))


def test_who_asks_for_a_reload_is_told_the_path_and_the_way_out(confined, elsewhere, tmp_path):
    """Of sockets: files are told of as --check does."""
    control = tmp_path / "control"
    daemon = confined({"status": "127.0.0.1:0", "control": control}, listen="127.0.0.1:0")
    for before, after, where in (
        ("status = 127.0.0.1:0", f"status = unix:{elsewhere}/s", "[daemon] status"),
        ("listen = 127.0.0.1:0", f"listen = unix:{elsewhere}/s", "[listener main] listen"),
    ):
        change(daemon, before, after)
        assert Control(control).ask("reload")["errors"] == [f"{where} = unix:{elsewhere}/s: Permission denied: {OUTSIDE}"]
        change(daemon, after, before)
    assert not list(elsewhere.iterdir())
    assert page_of(daemon).ask("/").status == 200


def test_what_was_named_at_the_start_is_read_again(confined, elsewhere):
    users = UsersFile(elsewhere / "users", alice="right")
    daemon = confined(listen="127.0.0.1:0", auth="password", users_file=users)
    users.write(bob="other")
    daemon.reload()
    with Client.open(daemon.address()) as client:
        client.greet(2)
        assert client.login("bob", "other") == 0


def test_what_only_the_mode_denies_is_not_laid_on_the_sandbox(confined, tmp_path):
    daemon = confined(listen="127.0.0.1:0")
    change(daemon, "listen = 127.0.0.1:0", f"listen = 127.0.0.1:0\nauth = password\nusers_file = {daemon.folder}/none")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reload_failed")
    assert "No such file" in daemon.log_text() and "sandbox that" not in daemon.log_text()
    assert "sandbox that" not in run("-c", daemon.folder / "pairsocks.ini", "--check").stderr


# --- what works inside


class NameServer(Scripted):
    """At port 53 of an address, as resolv.conf names it."""

    def __init__(self, address):
        class Socket(socket.socket):
            def bind(self, _):
                super().bind((address, 53))

        super().__init__(Socket)


def is_granted(daemon, host, port):
    with Client.open(daemon.address()) as client:
        return client.negotiate("socks5", host, port).code == 0


def test_resolv_conf_is_read_again_when_it_was_replaced(confined, keep, tmp_path, fast_clock):
    """It is looked at every 5 seconds."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount another /etc")
    etc, target = tmp_path / "etc", keep(Echo())
    shutil.copytree("/etc", etc, symlinks=True)
    (etc / "resolv.conf").unlink(missing_ok=True)
    first, second = keep(NameServer("127.61.0.1")), keep(NameServer("127.61.0.2"))
    first.name("first.test", a=["127.0.0.1"])
    second.name("second.test", a=["127.0.0.1"])
    (etc / "resolv.conf").write_text("nameserver 127.61.0.1\n")
    daemon = confined(prefix=["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc && exec "$@"', etc], environment=fast_clock(10))
    works(daemon, target, "first.test")
    (etc / "fresh").write_text("nameserver 127.61.0.2\n")
    os.replace(etc / "fresh", etc / "resolv.conf")
    wait.until(lambda: is_granted(daemon, "second.test", target.port), daemon.story)


@pytest.mark.parametrize("replace", ["content", "file"])
def test_certificates_that_are_renewed_are_served_after_a_reload(confined, tmp_path, dial_tls, keep, replace):
    folder = tmp_path / "certificates"
    folder.mkdir()
    key_file, certificate, _ = tls.make_certificate(folder)
    daemon = confined(security="negotiated", certificate=certificate, private_key=key_file)
    fresh = folder if replace == "content" else tmp_path
    key_file, certificate, _ = tls.make_certificate(fresh)
    if fresh != folder:
        os.replace(key_file, folder / "key.pem")
        os.replace(certificate, folder / "certificate.pem")
    daemon.reload()
    target = keep(Listener())
    client = dial_tls(daemon, tls.client_context(folder / "certificate.pem"))
    client.connect("socks5", *target.address)
    peer = target.accept()
    client.send(BLOB[:100_000])
    assert peer.read(100_000) == BLOB[:100_000]


def test_a_certificate_behind_symbolic_links_is_renewed(confined, tmp_path, dial_tls):
    """As certbot keeps them: live/NAME/ leads to archive/NAME/, and a renewal lets it lead to a new file there."""
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir()
    archive.mkdir()

    def renew(number):
        key_file, certificate, _ = tls.make_certificate(tmp_path)
        for name, made in (("key", key_file), ("certificate", certificate)):
            os.replace(made, archive / f"{name}{number}.pem")
            (tmp_path / "link").symlink_to(f"../archive/{name}{number}.pem")
            os.replace(tmp_path / "link", live / f"{name}.pem")

    renew(1)
    daemon = confined(security="negotiated", certificate=live / "certificate.pem", private_key=live / "key.pem")
    renew(2)
    daemon.reload()
    dial_tls(daemon, tls.client_context(archive / "certificate2.pem"))


def test_the_log_is_rotated_and_written_anew(confined, keep):
    daemon = confined()
    address = daemon.address()
    old = daemon.log_path.with_suffix(".1")
    daemon.log_path.rename(old)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(event="reloaded")
    works(address, keep(Echo()))
    assert daemon.wait_for(event="session")["error"] == "none"
    assert "event=session" not in old.read_text()


@pytest.mark.parametrize("target", ["syslog", "journal"])
def test_the_log_goes_to_the_system_also_to_a_reader_that_comes_back(launch, keep, target):
    host = keep(LogHost())
    reader = host.reader(target)
    text = config_text({"sandbox": "yes", "workers": 1, "log_target": target}, {"main": {"listen": "127.0.0.1:0"}})
    daemon = launch(text, log_path=host.log_path, prefix=host.prefix).ready()
    echo = keep(Echo())
    works(daemon, echo)
    daemon.wait_for(event="session")
    reader.close()
    host.reader(target)
    works(daemon, echo)
    daemon.wait_for(2, event="session")


def test_unix_sockets_come_and_go_with_reloads_and_the_end(confined, tmp_path):
    folder = tmp_path / "sockets"
    folder.mkdir()
    daemon = confined(listen=["127.0.0.1:0", f"unix:{folder}/one"], unix_mode="0666")
    change(daemon, f"unix:{folder}/one", f"unix:{folder}/two")
    daemon.reload()
    assert [path.name for path in folder.iterdir()] == ["two"]
    daemon.finish()
    assert not list(folder.iterdir())
    assert not daemon.records(event="listen", level="warning")


def test_bytes_are_spliced_and_datagrams_and_bound_ports_pass(confined, keep, dial):
    dns = keep(Scripted())
    dns.name("peer.test", a=["127.0.0.1"])
    daemon = confined({"nameserver": dns.nameserver})
    target = keep(Listener())
    client = dial(daemon)
    client.connect("socks5", "peer.test", target.port)
    peer = target.accept()
    for _ in range(8):  # enough for the pipes
        client.send(BLOB)
        assert peer.read(len(BLOB)) == BLOB
    echo = keep(udp.Echo())
    client = dial(daemon)
    client.greet(0)
    association = keep(udp.Association(client))
    for size in (1, 1400, 9000):
        association.exchange(echo, os.urandom(size))
    stand(dial(daemon), "socks5", "127.0.0.1")


def test_servers_are_checked_and_names_of_whitelists_watched(confined, keep, dial):
    dns, up = keep(Scripted()), keep(Listener())
    dns.name("client.test", a=["127.0.0.1"])
    daemon = confined({"nameserver": dns.nameserver}, listen="127.0.0.1:0", allow="client.test", route="out",
                      upstreams={"out": {"type": "socks5", "server": f"127.0.0.1:{up.port}", "check_interval": "50ms"}})  # fmt: skip
    up.accept()  # a check
    wait.until(lambda: dns.asked("client.test"), "the question for the name")
    wait.until(lambda: is_let_in(daemon), daemon.story)


def is_let_in(daemon):
    with Client.open(daemon.address()) as client:
        client.send(b"\x05\x01\x00")
        try:
            return client.sock.recv(2) == b"\x05\x00"
        except ConnectionResetError:
            return False


def test_as_another_user_in_a_chroot_it_is_confined_as_well(launch, keep, tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    folder = tmp_path_factory.mktemp("root")
    text = config_text({"sandbox": "yes", "user": "nobody", "chroot": folder, "log_target": "stderr"}, {"main": {"listen": "127.0.0.1:0"}})
    daemon = launch(text)
    daemon.log_path = daemon.stderr_path
    daemon.ready()
    change(daemon, "127.0.0.1:0", "127.0.0.1:0, 127.0.0.2:0")
    daemon.reload()
    assert [host for host, _ in daemon.addresses()] == ["127.0.0.1", "127.0.0.2"]
    works(daemon, keep(Echo()))
    assert {fields["Seccomp"] for fields in threads(daemon)} == {"2"}
