"""SIGUSR2: another process of the same program takes over what listens, and this one drains."""

import contextlib
import json
import os
import pathlib
import pwd
import select
import shutil
import signal
import socket
import stat
import subprocess
import tempfile

import pytest

from harness import wait
from harness.activation import passing
from harness.control import Control
from harness.daemon import BINARY, config_text, run
from harness.load import Load
from harness.notify import Notified
from harness.socks import Client
from harness.status import page_of
from harness.targets import Echo, Listener


class Successor:
    """A process that an upgrade has started: no child of the test's, but where there is somebody like systemd."""

    def __init__(self, pid):
        self.pid, self.fd = pid, os.pidfd_open(pid)

    def signal(self, number):
        signal.pidfd_send_signal(self.fd, number)

    def has_ended(self, timeout=10):
        return bool(select.select([self.fd], [], [], wait.seconds(timeout))[0])

    def close(self):
        try:
            if not self.has_ended(0):
                self.signal(signal.SIGINT)
            if not self.has_ended():
                self.signal(signal.SIGKILL)
                raise AssertionError(f"process {self.pid} did not end after SIGINT")
        finally:
            os.close(self.fd)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)


@pytest.fixture
def upgrade(launch):
    """upgrade(daemon, process=daemon): has the process (of this daemon's log) upgrade; returns the Successor."""
    successors = []

    def run(daemon, process=None):
        count = len(daemon.records(event="took_over")) + 1
        failed = len(daemon.records(event="upgrade_failed"))
        (process or daemon).signal(signal.SIGUSR2)

        def over():  # two processes write to the log
            both = min(len(daemon.records(event=event)) for event in ("upgraded", "took_over"))
            return both >= count or len(daemon.records(event="upgrade_failed")) > failed

        wait.until(over, daemon.story)
        record = daemon.records(event="upgraded")[count - 1]
        successors.append(Successor(int(record["message"].split()[1])))
        return successors[-1]

    yield run
    for successor in successors:
        successor.close()


def refused(daemon, count=1):
    """Has the daemon upgrade; returns why it did not."""
    daemon.signal(signal.SIGUSR2)
    return daemon.wait_for(count, event="upgrade_failed")["message"]


def ini(daemon):
    return daemon.folder / "pairsocks.ini"


def change(daemon, before, after):
    text = ini(daemon).read_text()
    assert before in text
    ini(daemon).write_text(text.replace(before, after))


def serves(address, target):
    with Client.open(address) as client:
        client.connect("socks5", target.host, target.port)
        target.accept().close()


# --- what a good one does


def test_the_new_process_has_the_address_and_the_old_one_ends(daemon, upgrade, keep):
    target, addresses = keep(Listener()), daemon.addresses()
    new = upgrade(daemon)
    assert daemon.exit_code() == 0
    assert new.pid != daemon.pid
    for address in addresses:
        serves(address, target)
    assert daemon.addresses()[2:] == addresses


def test_a_session_goes_on_in_the_old_process_and_ends_it_with_its_end(daemon, upgrade, through, keep):
    listener = keep(Listener())
    client, target = through(daemon, listener)
    upgrade(daemon)
    serves(daemon.address(4), listener)
    for _ in range(3):
        client.send(b"still")
        assert target.read(5) == b"still"
    assert daemon.process.poll() is None
    client.close()
    target.close()
    assert daemon.exit_code() == 0


def test_several_upgrades_under_load_lose_no_connection(daemon, upgrade, keep):
    process = daemon
    with Load(daemon.address(4), keep(Echo()), clients=6) as load:
        for _ in range(4):
            load.wait_for_more(60)
            process = upgrade(daemon, process)
        load.wait_for_more(60)
    assert load.failures == []


def test_more_and_fewer_workers_lose_no_connection(daemon, upgrade, keep):
    process, workers = daemon, 2
    with Load(daemon.address(4), keep(Echo()), clients=6) as load:
        for count in (4, 1, 3):
            load.wait_for_more(40)
            change(daemon, f"workers = {workers}", f"workers = {count}")
            workers = count
            process = upgrade(daemon, process)
            threads = len(os.listdir(f"/proc/{process.pid}/task"))
            assert threads >= count + 2
        load.wait_for_more(40)
    assert load.failures == []


def test_a_reload_after_an_upgrade_keeps_the_sockets(daemon, upgrade, keep):
    with Load(daemon.address(4), keep(Echo())) as load:
        new = upgrade(daemon)
        for count in range(3):
            load.wait_for_more(20)
            new.signal(signal.SIGHUP)
            daemon_records = count + 1
            wait.until(lambda n=daemon_records: len(daemon.records(event="reloaded")) >= n, daemon.story)
        load.wait_for_more(20)
    assert load.failures == []


def test_a_unix_socket_keeps_its_file_until_the_new_process_ends(pairsocks, upgrade, tmp_path):
    path = tmp_path / "s"
    daemon = pairsocks(listen=f"unix:{path}", unix_mode="0600")
    inode = path.stat().st_ino
    change(daemon, "unix_mode = 0600", "unix_mode = 0640")
    new = upgrade(daemon)
    assert daemon.exit_code() == 0
    assert path.stat().st_ino == inode
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(b"\5\1\0")
        assert client.recv(2) == b"\5\0"
    new.signal(signal.SIGTERM)
    assert new.has_ended()
    assert not path.exists()


def test_what_the_new_configuration_leaves_out_is_closed_and_what_it_adds_is_opened(pairsocks, upgrade, keep, tmp_path):
    path = tmp_path / "s"
    daemon = pairsocks(listeners={"main": {"listen": "127.0.0.1:0"}, "gone": {"listen": [f"unix:{path}", "127.0.0.1:0"]}})
    (gone,) = daemon.addresses("gone")
    change(daemon, "[listener gone]", "[listener fresh]")
    change(daemon, f"listen = unix:{path}\n", "")
    upgrade(daemon)
    assert daemon.exit_code() == 0
    assert not path.exists()
    told = daemon.wait_for(2, event="inherited")
    assert (told["name"], told["level"]) == ("gone", "notice")
    with pytest.raises(ConnectionRefusedError):
        Client.open(gone)
    serves(daemon.addresses("fresh")[0], keep(Listener()))


def test_reached_by_a_symbolic_link_the_new_version_is_what_it_leads_to_then(daemon_of, upgrade, tmp_path):
    first, second, link = tmp_path / "one", tmp_path / "two", tmp_path / "link"
    for copy in (first, second):
        shutil.copy(BINARY, copy)
    link.symlink_to(first)
    daemon = daemon_of(link)
    link.unlink()
    first.unlink()
    link.symlink_to(second)
    new = upgrade(daemon)
    assert os.readlink(f"/proc/{new.pid}/exe") == str(second)


def test_a_program_that_was_replaced_as_a_package_does_it_is_started(daemon_of, upgrade, tmp_path):
    """Another file under the same name: the sandbox must not know it by its inode."""
    program = tmp_path / "program"
    shutil.copy(BINARY, program)
    daemon = daemon_of(program)
    shutil.copy(BINARY, tmp_path / "program.new")
    (tmp_path / "program.new").rename(program)
    inode = program.stat().st_ino
    new = upgrade(daemon)
    assert os.stat(f"/proc/{new.pid}/exe").st_ino == inode


@pytest.fixture
def daemon_of(pairsocks):
    """daemon_of(program, ...): a ready daemon that was started as this program. `script`: which becomes one of the shell's, that
    the sandbox would not let it run."""

    def start(program, script=False, **more):
        shell = ["sh", "-c", 'shift 4; exec setpriv --pdeathsig KILL "$0" "$@"', str(program)]
        return pairsocks(prefix=shell, daemon={"sandbox": "no"} if script else {}, **more)

    return start


# --- by the control socket


@pytest.fixture
def adopt():
    """adopt(pid): that process as a Successor, which is ended with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda pid: stack.enter_context(contextlib.closing(Successor(pid)))


def test_the_control_socket_goes_over_and_answers_who_has_asked(pairsocks, adopt, tmp_path):
    path = tmp_path / "control"
    daemon = pairsocks(daemon={"control": path})
    inode = path.stat().st_ino
    answer = Control(path).ask("upgrade")
    assert answer["ok"]
    new = adopt(answer["pid"])
    assert daemon.exit_code() == 0
    assert Control(path).ask("status")["pid"] == new.pid != daemon.pid
    assert path.stat().st_ino == inode
    new.signal(signal.SIGTERM)
    assert new.has_ended()
    assert not path.exists()


def test_who_asks_by_the_control_socket_is_told_why_it_failed(pairsocks, tmp_path):
    path = tmp_path / "control"
    daemon = pairsocks(daemon={"control": path})
    change(daemon, "[listener main]", "[listener main]\nnonsense = 1")
    answer = Control(path).ask("upgrade")
    assert (answer["ok"], answer["error"]) == (False, "not-upgraded") and "status 1" in answer["message"]
    [line] = answer["errors"]
    assert line.startswith(f"{ini(daemon)}:") and "nonsense" in line
    assert Control(path).ask("status")["pid"] == daemon.pid


def command(*words):
    """`pairsocks`, with what it wrote."""
    return subprocess.run([pathlib.Path(BINARY).with_name("pairsocks"), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=wait.seconds(40))  # fmt: skip


def test_the_command_waits_until_the_new_process_serves(pairsocks, adopt, tmp_path):
    daemon = pairsocks(daemon={"control": tmp_path / "control"})
    done = command("upgrade", "--control", tmp_path / "control")
    new = adopt(Control(tmp_path / "control").ask("status")["pid"])
    assert new.pid != daemon.pid
    assert (done.returncode, done.stdout, done.stderr) == (
        0, f"process {new.pid} serves; the one before ends with its last session\n", "")  # fmt: skip
    wait.until(lambda: daemon.records(event="took_over"), daemon.story)  # the old process has ended, perhaps
    done = command("upgrade", "--json", "--control", tmp_path / "control")
    third = adopt(json.loads(done.stdout)["pid"])
    assert done.returncode == 0 and third.pid != new.pid


def test_the_command_says_why_the_old_process_serves_on_and_exits_1(pairsocks, tmp_path):
    daemon = pairsocks(daemon={"control": tmp_path / "control"})
    change(daemon, "[listener main]", "[listener main]\nnonsense = 1\nqueue = 0")
    done = command("upgrade", "--control", tmp_path / "control")
    checked = run("-c", ini(daemon), "--check").stderr
    why = "pairsocks upgrade: the new process ended with status 1 before it served\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", why + checked) and checked.count("\n") == 2
    assert Control(tmp_path / "control").ask("status")["pid"] == daemon.pid


# --- one that fails


def test_a_wrong_configuration_leaves_the_old_process_serving(daemon, keep):
    target = keep(Listener())
    good = ini(daemon).read_text()
    ini(daemon).write_text(good + "nonsense = 1\nworkers = 0\n")
    assert "ended with status 1" in refused(daemon)
    told = [r["message"] for r in daemon.records(event="upgrade", level="error")]
    assert len(told) == 2 and all("pairsocks.ini" in line and "the new process: " in line for line in told)
    for _ in range(5):
        serves(daemon.address(4), target)
    assert daemon.reload("reload_failed")


def test_an_address_that_cannot_be_bound_leaves_everything_as_it_is(pairsocks, keep, tmp_path):
    path, held = tmp_path / "s", keep(Listener())
    daemon = pairsocks(listen=["127.0.0.1:0", f"unix:{path}"])
    change(daemon, "[listener main]", f"[listener more]\nlisten = {held.host}:{held.port}\n[listener main]")
    assert "ended with status 1" in refused(daemon)
    assert f"the new process: [listener more] listen = {held.host}:{held.port}: address in use" in daemon.wait_for(event="upgrade", level="error")["message"]
    assert "in use" in daemon.wait_for(event="listen", level="error")["message"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    serves(daemon.address(4), keep(Listener()))


@pytest.mark.parametrize("text, told", [("#!/bin/sh\nexit 3\n", "status 3"), ("#!/bin/sh\nkill -9 $$\n", "signal 9"),
                                        ("no program\n", "cannot start"), (None, "cannot start")])  # fmt: skip
def test_a_program_that_fails_leaves_the_old_process_serving(daemon_of, tmp_path, keep, text, told):
    program, target = tmp_path / "program", keep(Listener())
    shutil.copy(BINARY, program)
    daemon = daemon_of(program, script=True)
    program.unlink()
    if text:
        program.write_text(text)
        program.chmod(0o755)
    for count in (1, 2):
        assert told in refused(daemon, count)
        serves(daemon.address(4), target)
    assert daemon.records(event="end") == []


def test_a_program_that_says_nothing_is_ended_in_time(daemon_of, tmp_path, keep, fast_clock):
    program = tmp_path / "program"
    shutil.copy(BINARY, program)
    daemon = daemon_of(program, script=True, environment=fast_clock(20))
    program.unlink()
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 1000\n")
    program.chmod(0o755)
    assert "did not serve within 30 s" in refused(daemon)
    assert not os.path.exists("/proc/" + (tmp_path / "pid").read_text().strip())
    serves(daemon.address(4), keep(Listener()))


@pytest.fixture
def stalled(daemon_of, tmp_path):
    """stalled(): a daemon and the process that it upgrades to, which says nothing, as (daemon, Successor)."""
    program = tmp_path / "program"
    shutil.copy(BINARY, program)
    daemon = daemon_of(program, script=True)
    program.unlink()
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 1000\n")
    program.chmod(0o755)
    daemon.signal(signal.SIGUSR2)
    wait.until((tmp_path / "pid").exists, "the new process")
    new = Successor(int((tmp_path / "pid").read_text()))
    yield daemon, new
    new.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_of_the_old_process_ends_an_upgrade_that_goes_on(stalled, number):
    daemon, new = stalled
    daemon.signal(number)
    assert daemon.exit_code() == 0
    assert new.has_ended()


def test_a_second_one_is_not_begun_while_the_first_goes_on(stalled):
    daemon, new = stalled
    daemon.signal(signal.SIGUSR2)
    assert "going on already" in daemon.wait_for(event="upgrade", level="warning")["message"]
    new.signal(signal.SIGKILL)
    assert "signal 9" in daemon.wait_for(event="upgrade_failed")["message"]


def test_a_reload_that_is_asked_for_meanwhile_is_done_when_the_upgrade_has_failed(stalled):
    daemon, new = stalled
    daemon.signal(signal.SIGHUP)
    new.signal(signal.SIGKILL)
    daemon.wait_for(event="reloaded")
    events = [r["event"] for r in daemon.records()]
    assert events.index("upgrade_failed") < events.index("reloaded")


# --- signals of a process that was replaced


def test_the_first_sigterm_leaves_a_replaced_process_its_drain(daemon, upgrade, through, keep):
    client, target = through(daemon, keep(Listener()))
    upgrade(daemon)
    daemon.signal(signal.SIGTERM)
    daemon.wait_for(2, event="drain")
    client.send(b"still")
    assert target.read(5) == b"still"
    assert daemon.records(event="stop") == []
    daemon.signal(signal.SIGTERM)
    client.expect_reset()
    assert daemon.exit_code() == 0


# --- as another user, in another root


@pytest.fixture
def folder():
    """A folder of nobody's."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    path = pathlib.Path(tempfile.mkdtemp(prefix="ps"))
    os.chown(path, pwd.getpwnam("nobody").pw_uid, -1)
    yield path
    shutil.rmtree(path)


def serving(launch, folder, binary=BINARY, environment=None, **keys):
    """A daemon that reads and writes there only. The program is a copy that the user may run."""
    program = folder / "program"
    shutil.copy(binary, program)
    path = folder / "pairsocks.ini"
    fixed = {"workers": 2, "log_target": f"file:{folder / 'log'}"}
    path.write_text(config_text({**fixed, **keys}, {"main": {"listen": "127.0.0.1:0"}}))
    shell = ["sh", "-c", 'shift 4; exec setpriv --pdeathsig KILL "$0" "$@"', str(program)]
    return launch(arguments=["-c", str(path)], log_path=folder / "log", prefix=shell, environment=environment).ready()


def test_after_privileges_were_dropped_the_sockets_and_the_log_are_kept(launch, folder, upgrade, keep):
    """The new process is not root: it could not join sockets of root's, nor open the log that root has made."""
    daemon = serving(launch, folder, user="nobody")
    process = daemon
    with Load(daemon.address(4), keep(Echo())) as load:
        for before, after in ((2, 3), (3, 1)):
            text = (folder / "pairsocks.ini").read_text()
            (folder / "pairsocks.ini").write_text(text.replace(f"workers = {before}", f"workers = {after}"))
            process = upgrade(daemon, process)
            uids = next(line for line in open(f"/proc/{process.pid}/status") if line.startswith("Uid"))
            assert uids.split()[1:] == [str(pwd.getpwnam("nobody").pw_uid)] * 4
            load.wait_for_more(20)
    assert load.failures == []


def test_from_inside_a_chroot_without_the_program_it_is_refused(launch, folder, keep):
    (folder / "root").mkdir()
    environment = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
    daemon = serving(launch, folder, environment=environment, user="nobody", chroot=folder / "root")
    why = refused(daemon)
    assert "cannot start" in why and "inside the chroot" in why
    serves(daemon.address(4), keep(Listener()))


# --- under systemd


def test_systemd_learns_of_the_new_process_before_the_old_one_ends(pairsocks, upgrade, keep, tmp_path):
    manager = keep(Notified(tmp_path / "n"))
    daemon = pairsocks(environment={**manager.environment, "WATCHDOG_USEC": "400000"})
    new = upgrade(daemon)
    assert "PPid:\t%d\n" % os.getpid() in pathlib.Path(f"/proc/{new.pid}/status").read_text()  # it waits for its own children alone
    assert daemon.exit_code() == 0
    manager.wait_for("READY", count=2)
    start = [m for m in manager.messages if "WATCHDOG" not in m]
    assert [(next(iter(m)), m.pid) for m in start] == [("READY", daemon.pid), ("MAINPID", daemon.pid), ("READY", new.pid)]
    assert start[1]["MAINPID"] == str(new.pid)
    count = len([m for m in manager.read() if m.pid == new.pid])
    wait.until(lambda: len([m for m in manager.with_variable("WATCHDOG") if m.pid == new.pid]) >= 2, "the new one's feeds")
    assert count >= 1


def test_an_upgrade_that_fails_tells_systemd_nothing(pairsocks, keep, tmp_path):
    manager = keep(Notified(tmp_path / "n"))
    daemon = pairsocks(environment=manager.environment)
    change(daemon, "[listener main]", "[listener main]\nnonsense = 1")
    refused(daemon)
    assert [next(iter(m)) for m in manager.read()] == ["READY"]


def test_sockets_of_systemd_are_passed_on_and_keep_who_waits(launch, upgrade, keep, tmp_path):
    web, target = keep(socket.socket()), keep(Echo())
    web.bind(("127.0.0.1", 0))
    web.listen(100)
    log_path = tmp_path / "log"
    text = config_text({"workers": 2, "log_target": f"file:{log_path}"}, {"main": {"listen": "systemd:web"}})
    daemon = launch(text, log_path=log_path, **passing(("web", web))).ready()
    process = daemon
    with Load(web.getsockname(), target) as load:
        for _ in range(3):
            process = upgrade(daemon, process)
            load.wait_for_more(20)
    assert load.failures == []


# --- the status page


@pytest.mark.parametrize("kind", ["address", "path"])
def test_the_status_page_goes_over_with_its_place(pairsocks, upgrade, through, keep, tmp_path, kind):
    status = "127.0.0.1:0" if kind == "address" else f"unix:{tmp_path}/page"
    daemon = pairsocks(daemon={"status": status})
    client, target = through(daemon, keep(Listener()))
    page = page_of(daemon)
    assert page.status()["pid"] == daemon.pid
    new = upgrade(daemon)
    assert all(page.status()["pid"] == new.pid for _ in range(10))
    client.close()
    target.close()
    assert daemon.exit_code() == 0
    assert page.status()["pid"] == new.pid
    assert kind == "address" or os.path.exists(tmp_path / "page")
    new.signal(signal.SIGINT)
    assert new.has_ended()
    assert not os.path.exists(tmp_path / "page")


def test_a_failed_upgrade_leaves_the_status_page(pairsocks, keep, tmp_path):
    daemon = pairsocks(daemon={"status": f"unix:{tmp_path}/page"})
    page, taken = page_of(daemon), keep(Listener())
    change(daemon, "listen = 127.0.0.1:0", f"listen = 127.0.0.1:{taken.port}")
    refused(daemon)
    assert page.status()["pid"] == daemon.pid


def test_who_asks_the_old_process_again_comes_to_the_new_one(pairsocks, upgrade, through, keep):
    daemon = pairsocks(daemon={"status": "127.0.0.1:0"})
    client, target = through(daemon, keep(Listener()))
    http = keep(contextlib.closing(page_of(daemon).connection()))

    def ask():
        http.request("GET", "/status.json")
        answer = http.getresponse()
        status = json.loads(answer.read())
        return status["pid"], status["state"], answer.getheader("Connection")

    assert ask() == (daemon.pid, "serving", None)
    new = upgrade(daemon)
    assert ask() == (daemon.pid, "draining", "close")
    assert ask() == (new.pid, "serving", None)
    client.close()
    target.close()
    assert daemon.exit_code() == 0


def test_a_page_that_the_new_configuration_moves_is_closed_where_it_was(pairsocks, upgrade, tmp_path):
    path = tmp_path / "page"
    daemon = pairsocks(daemon={"status": f"unix:{path}"})
    change(daemon, f"status = unix:{path}", "status = 127.0.0.1:0")
    new = upgrade(daemon)
    assert page_of(daemon).status()["pid"] == new.pid
    assert daemon.wait_for(event="inherited")["name"] == "status"
    assert daemon.exit_code() == 0
    assert not path.exists()


def test_an_upgrade_that_fails_late_leaves_the_page_where_it_is(pairsocks, tmp_path):
    """The new process has taken it already when it fails at the control socket."""
    path, no_socket = tmp_path / "page", tmp_path / "file"
    no_socket.write_text("")
    daemon = pairsocks(daemon={"control": tmp_path / "control", "status": f"unix:{path}", "sandbox": "no"})
    page, inode = page_of(daemon), path.stat().st_ino
    change(daemon, f"control = {tmp_path}/control", f"control = {no_socket}")
    refused(daemon)
    told = daemon.wait_for(event="upgrade", level="error")["message"]
    assert told == f"the new process: [daemon] control = {no_socket}: File exists"
    assert path.stat().st_ino == inode
    assert page.status()["pid"] == daemon.pid
    assert Control(tmp_path / "control").ask("status")["pid"] == daemon.pid
