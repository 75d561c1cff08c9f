"""pairsocks status, sessions, upstreams, top, close, reload, upgrade, log-level and drain: what people and scripts get of them."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

from harness import wait
from harness.control import Control
from harness.daemon import BINARY, REPORT, run
from harness.socks import Client
from harness.targets import Listener, Refusing

COMMAND = pathlib.Path(BINARY).with_name("pairsocks")
VERBS = ["status", "sessions", "upstreams", "reload", "upgrade", "drain", "log-level", "top"]


def call(*arguments, control=None, prefix=(), environment=None):
    more = {"PAIRSOCKS_CONTROL": str(control)} if control else {}
    done = subprocess.run([*prefix, COMMAND, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=wait.seconds(20), env={**os.environ, **more, **(environment or {})})  # fmt: skip
    assert not REPORT.search(done.stderr), done.stderr
    return done


@pytest.fixture
def served(pairsocks, folder):
    """served(...): a daemon, with `daemon.ask(verb, ...)` for a command that must end well, and `daemon.path`."""

    def start(**more):
        daemon = pairsocks(daemon={"control": folder / "c", **more.pop("daemon", {})}, **more)
        daemon.path = folder / "c"
        daemon.ini = daemon.folder / "pairsocks.ini"

        def ask(*arguments):
            done = call(*arguments, control=daemon.path)
            assert done.returncode == 0 and done.stderr == "", done
            return done.stdout

        daemon.ask = ask
        return daemon

    return start


def rows(text):
    """A table as dictionaries by title. Columns are found by where their titles begin or end."""
    head, *lines = text.splitlines()
    titles = re.findall(r"\S+(?: \S+)*", head)
    found = []
    for line in lines:
        cells = re.split(r"\s{2,}", line.strip())
        assert len(cells) == len(titles), (titles, cells)
        found.append(dict(zip(titles, cells)))
    return found


# --- for people


def test_status_is_a_few_lines_and_a_table_of_listeners(served, keep):
    daemon = served(max_connections=9)
    keep(Client.open(daemon.address()))
    wait.until(lambda: Control(daemon.path).ask("status")["sessions"] == 1, "the session")
    text = daemon.ask("status")
    first, second, third, blank, *table = text.splitlines()
    assert re.fullmatch(rf"pairsocksd \S+, pid {daemon.pid}, serving, up \S+", first)
    assert re.fullmatch(rf"configuration: {daemon.ini}, loaded \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d", second)
    assert re.fullmatch(r"workers: 2   log level: info   sessions: 1 of \d+", third) and blank == ""
    [main] = rows("\n".join(table))
    assert main["LISTENER"] == "main" and main["SESSIONS"] == "1" and main["MAX"] == "9" and main["QUEUE"] == "1/1024"
    assert main["ADDRESSES"] == "%s:%d, [::1]:%d" % (*daemon.address(), daemon.address(6)[1])
    assert main["PROTOCOLS"] == "socks4,socks5,http" and main["REFUSED"] == "-"


def test_status_says_what_was_turned_away(served):
    daemon = served(deny="127.0.0.1")
    for _ in range(3):
        with Client.open(daemon.address()) as denied:
            denied.expect_closed()
    assert rows(daemon.ask("status").split("\n\n")[1])[0]["REFUSED"] == "3 whitelist"


def test_status_shows_the_bytes_and_how_sessions_ended(served, through, dial, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    client.send(b"x" * 2048)
    target.read(2048)
    target.sock.sendall(b"reply")
    client.read(5)
    wait.until(lambda: Control(daemon.path).sessions()[0]["received"] == 5, "the bytes")
    refused = dial(daemon)
    refused.send(b"\4\1" + keep(Refusing()).port.to_bytes(2, "big") + b"\x7f\0\0\1\0")
    refused.read(8)
    refused.close()
    wait.until(lambda: Control(daemon.path).ask("status")["errors"], "the end")
    _, listeners, errors = daemon.ask("status").split("\n\n")
    [main] = rows(listeners)
    assert (main["SENT"], main["RECEIVED"]) == ("2.0k", "5")
    assert rows(errors) == [{"ENDED WITH": "system.connect.refused", "SESSIONS": "1"}]


def test_sessions_is_a_line_for_each(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    client.send(b"x" * 1536)
    target.read(1536)
    wait.until(lambda: Control(daemon.path).sessions()[0]["sent"] == 1536, "the bytes")
    [session] = rows(daemon.ask("sessions"))
    assert session["CLIENT"] == client.local and session["TARGET"] == target.local and session["REQUEST"] == "socks5 connect"
    assert session["SENT"] == "1.5k" and session["RECEIVED"] == "0" and session["STATE"] == "relay"
    assert session["USER"] == "-" and session["ROUTE"] == "direct" and session["LISTENER"] == "main"
    assert "1 of 2 sessions: the newest" not in daemon.ask("sessions", 1)
    keep(Client.open(daemon.address()))
    wait.until(lambda: Control(daemon.path).ask("sessions")["total"] == 2, "the other")
    assert daemon.ask("sessions", 1).endswith("1 of 2 sessions: the newest\n")


def test_a_name_of_a_client_takes_one_line_and_no_control_of_the_terminal(served, dial, keep):
    daemon = served(upstreams={"slow": {"type": "socks5", "server": f"127.0.0.1:{keep(Listener()).port}"}}, route="slow")
    client = dial(daemon)
    client.send(b"\5\1\0")
    client.read(2)
    name = b"a\n\x1b[2J\xc2\x9b\xff\xc3\xbc"
    client.send(b"\5\1\0\3" + bytes([len(name)]) + name + b"\0\x50")
    wait.until(lambda: Control(daemon.path).sessions()[0]["target"], "the request")
    [session] = rows(daemon.ask("sessions"))
    assert session["TARGET"] == "a??[2J?\ufffd\u00fc:80"


def test_upstreams_tells_of_each_server(served, dial, keep):
    dead, live = keep(Refusing()), keep(Listener())
    daemon = served(route="chain", upstreams={
        "chain": {"type": "socks5", "server": [f"127.0.0.1:{dead.port}", f"127.0.0.1:{live.port}"]}, "plain": {"type": "direct"}})  # fmt: skip
    client = dial(daemon)
    client.send(b"\5\1\0\5\1\0\3\4name\0\x50")
    live.accept()
    first, second, plain = rows(daemon.ask("upstreams"))
    assert first["UPSTREAM"] == "chain" and first["SERVER"] == f"127.0.0.1:{dead.port}" and first["USED BY"] == "main"
    assert first["STATE"] in ("set aside", "good") and first["LAST ERROR"].startswith("system.connect.refused at 20")
    assert second["STATE"] == "good" and second["LAST ERROR"] == "none" and second["SESSIONS"] == "1"
    assert plain["TYPE"] == "direct" and plain["SERVER"] == "-"


def test_columns_stand_under_their_titles(served, keep):
    daemon = served(listeners={"a": {"listen": "127.0.0.1:0"}, "long-name-of-it": {"listen": "127.0.0.1:0, [::1]:0"}})
    head, *lines = daemon.ask("status").split("\n\n")[1].splitlines()
    for title in ("ADDRESSES", "PROTOCOLS", "TLS"):
        at = head.index(title)
        assert all(line[at - 1] == " " and line[at] != " " for line in lines)
    end = head.index("SESSIONS") + len("SESSIONS")
    assert all(line[end - 1] != " " and line[end] == " " for line in lines)


# --- for scripts


@pytest.mark.parametrize("verb", ["status", "sessions", "upstreams", "reload", "log-level"])
def test_json_is_the_answer_as_it_came(served, verb):
    daemon = served()
    text = daemon.ask(verb, "--json")
    assert text.count("\n") == 1 and json.loads(text)["ok"] is True


def test_an_answer_that_is_not_ok_is_json_too_and_exits_1(served):
    daemon = served()
    done = call("close", "--json", 1, control=daemon.path)
    assert done.returncode == 1 and json.loads(done.stdout)["error"] == "no-such-session" and done.stderr == ""


def test_the_socket_is_said_by_an_option_or_by_the_environment(served, folder):
    daemon = served()
    assert call("status", "--control", daemon.path).returncode == 0
    assert call("status", "--control", daemon.path, control="/nonexistent").returncode == 0
    assert call("status", control=daemon.path).returncode == 0
    assert "/nonexistent: there is no such control socket" in call("status", control="/nonexistent").stderr
    assert "/run/pairsocks/" in call("status", "--help", control="").stdout


# --- what is done


def test_close_ends_a_session(served, through, keep):
    daemon = served()
    client, _ = through(daemon, keep(Listener()))
    number = rows(daemon.ask("sessions"))[0]["ID"]
    assert daemon.ask("close", number) == f"session {number} is closed\n"
    client.expect_reset()
    again = call("close", number, control=daemon.path)
    assert again.returncode == 1 and again.stderr == "pairsocks close: there is no session with this id\n"


def test_reload_says_what_is_in_force(served):
    daemon = served()
    assert daemon.ask("reload") == f"{daemon.ini}: is in force\n"
    daemon.ini.write_text(daemon.ini.read_text().replace("workers = 2", "workers = 3"))
    assert daemon.ask("reload") == f"{daemon.ini}: is in force\nnote: [daemon] workers has changed: it needs a restart\n"


def test_reload_prints_the_errors_as_check_does_and_exits_1(served):
    daemon = served()
    daemon.ini.write_text(daemon.ini.read_text() + "queue = 0\ncolour = red\n")
    done, checked = call("reload", control=daemon.path), run("-c", daemon.ini, "--check")
    assert done.returncode == checked.returncode == 1 and done.stdout == ""
    assert done.stderr == "pairsocks reload: the configuration before stays in force\n" + checked.stderr
    assert daemon.ask("status")


def test_log_level_shows_and_sets(served):
    daemon = served()
    assert daemon.ask("log-level") == "info\n" and daemon.ask("log-level", "debug") == "debug\n"
    assert daemon.ask("log-level") == "debug\n"
    assert "warning, notice" in call("log-level", "loud", control=daemon.path).stderr


def test_drain_ends_the_daemon_with_its_last_session(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    assert daemon.ask("drain") == "no new connections; 1 session may finish within 30s\n"
    assert "draining" in daemon.ask("status")
    client.close()
    target.close()
    assert daemon.exit_code() == 0
    assert "there is no such control socket" in call("status", control=daemon.path).stderr


# --- when it cannot be done


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_daemon_it_is_said(folder, verb):
    done = call(verb, control=folder / "c")
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith(f"pairsocks {verb}: {folder}/c: there is no such control socket (is pairsocksd running?")


def test_a_socket_that_a_dead_daemon_has_left_is_told_from_one_that_is_not_there(folder):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(folder / "c"))
    assert "no daemon serves this socket any more" in call("status", control=folder / "c").stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_who_may_not_use_it_is_told_who_may(served, folder, tmp_path):
    daemon = served(daemon={"control_group": "daemon"})
    folder.chmod(0o755)
    copy = folder / "pairsocks"  # where nobody may run it
    shutil.copy(COMMAND, copy)
    nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    done = subprocess.run([*nobody, copy, "status", "--control", daemon.path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (f"pairsocks status: {daemon.path}: you may not use this control socket (it is for root, its owner, and the "
                           "group daemon: see control_group)\n")  # fmt: skip
    group = ["setpriv", "--reuid", "nobody", "--regid", "daemon", "--clear-groups"]
    done = subprocess.run([*group, copy, "status", "--control", daemon.path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def impostor(folder):
    """impostor(answer): something that answers so at a socket, once."""
    threads = []

    def start(answer):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "i"))
        listener.listen()

        def serve():
            client, _ = listener.accept()
            with listener, client:
                client.recv(100)
                client.sendall(answer)

        threads.append(threading.Thread(target=serve))
        threads[-1].start()
        return folder / "i"

    yield start
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("answer, says", [
    (b'{"ok":false,"version":"0.0.9","error":"unknown-request","message":"?"}\n', "is pairsocksd 0.0.9, which does not know this"),
    (b"220 mail.example ESMTP\r\n", "what answers there is no pairsocksd"),
    (b"[1]\n", "what answers there is no pairsocksd"),
    (b"", "the daemon has ended the connection without an answer"),
    (b'{"ok":true,"version":"9.9"}\n', ""),
])  # fmt: skip
def test_another_version_or_another_program_is_told_from_a_daemon(impostor, answer, says):
    done = call("sessions", control=impostor(answer))
    assert says in done.stderr and done.returncode == (1 if says else 0)


@pytest.mark.parametrize("arguments", [
    ["status", "x"], ["close"], ["close", "1", "2"], ["close", "one"], ["top", "--json"], ["reload", "--interval", "1"],
    ["top", "--interval", "0"], ["top", "--interval", "nan"], ["status", "--nonsense"], ["drain", "now"], ["upgrade", "now"], ["close", ""],
])  # fmt: skip
def test_a_wrong_command_line_exits_2(arguments, folder):
    done = call(*arguments, control=folder / "c")
    assert done.returncode == 2 and done.stderr and done.stdout == ""


@pytest.mark.parametrize("verb", [*VERBS, "close"])
def test_each_verb_has_help_and_a_paragraph(verb):
    done = call(verb, "--help")
    assert done.returncode == 0 and f"pairsocks {verb}" in done.stdout and "--control PATH" in done.stdout
    manual = (pathlib.Path(__file__).parents[2] / "cli" / "pairsocks.1").read_text()
    assert f".It Cm {verb}\n" in manual
    assert f"  {verb} " in call("--help").stdout


# --- top


def test_top_without_a_terminal_shows_the_rates_once(served, through, keep):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    stop = threading.Event()

    def move():
        while not stop.is_set():
            client.send(b"x" * 10000)
            target.read(10000)
            stop.wait(0.01)

    thread = threading.Thread(target=move)
    thread.start()
    try:
        text = daemon.ask("top", "--interval", "0.3")
    finally:
        stop.set()
        thread.join()
    head, blank, *table = text.splitlines()
    assert head.startswith("pairsocksd ") and "serving" in head and blank == ""
    [session] = rows("\n".join(table))
    assert session["TARGET"] == target.local and session["SENT/S"].endswith(("k", "M")) and session["RECVD/S"] == "0"


class Screen:
    """A terminal with `top` on it."""

    def __init__(self, path, rows=10, columns=70):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["PAIRSOCKS_CONTROL"] = str(path)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execv(COMMAND, ["pairsocks", "top", "--interval", "0.1"])
        self.text = ""

    def read(self):
        if select.select([self.fd], [], [], 0.05)[0]:
            try:
                self.text += os.read(self.fd, 65536).decode("utf-8", "replace")
            except OSError:  # it has ended
                pass
        return self.text

    def wait_for(self, what):
        wait.until(lambda: what in self.read(), lambda: f"{what!r} in {self.text!r}")

    def exit_code(self):
        status = wait.until(lambda: self.read() is not None and (w := os.waitpid(self.pid, os.WNOHANG))[0] and w, "its end")
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status[1])


ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@pytest.mark.parametrize("end", ["q", "\x03", signal.SIGTERM])
def test_top_draws_on_a_terminal_until_it_is_ended(served, through, keep, end):
    daemon = served()
    client, target = through(daemon, keep(Listener()))
    screen = Screen(daemon.path)
    screen.wait_for(client.local)
    assert ENTER in screen.text
    frames = screen.text.count("pairsocksd ")
    wait.until(lambda: screen.read().count("pairsocksd ") > frames + 2, "it to be refreshed")
    client.close()
    target.close()
    screen.wait_for("sessions 0 of")
    if isinstance(end, str):
        os.write(screen.fd, end.encode())
    else:
        os.kill(screen.pid, end)
    assert screen.exit_code() == 0
    assert screen.text.rstrip().endswith(LEAVE), screen.text[-100:]
    for line in re.split(r"\r\n|\x1b\[H", screen.text.split(ENTER)[1].split(LEAVE)[0]):
        assert len(re.sub(r"\x1b\[[?0-9]*[A-Za-z]", "", line)) <= 70


def test_top_follows_the_size_of_its_window(served, keep):
    daemon = served()
    for _ in range(9):
        keep(Client.open(daemon.address()))
    screen = Screen(daemon.path, rows=6)
    screen.wait_for("sessions 9 of")
    fcntl.ioctl(screen.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    wait.until(lambda: screen.read().split("\x1b[H")[-2].count("handshake") == 9, "all of them to be seen")
    os.write(screen.fd, b"q")
    assert screen.exit_code() == 0


def test_top_says_when_the_daemon_goes_and_leaves_the_terminal_as_it_was(served):
    daemon = served()
    screen = Screen(daemon.path)
    screen.wait_for("serving")
    daemon.finish()
    assert screen.exit_code() == 1
    after = screen.text.split(LEAVE)[1]
    assert "pairsocks top:" in after and str(daemon.path) in after


# --- completion


def complete(program, *words, environment=None):
    script = f"""
        source {pathlib.Path(__file__).parents[2]}/cli/pairsocks.bash
        COMP_WORDS=({' '.join(words)} '') COMP_CWORD={len(words)}
        _pairsocks
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run([program("bash"), "-c", script], capture_output=True, text=True, env={**os.environ, **(environment or {})})
    return done.stdout.split()


def test_completion_knows_the_verbs_and_the_sessions(program, served, keep):
    assert set(VERBS) | {"close"} <= set(complete(program, "pairsocks"))
    assert "debug" in complete(program, "pairsocks", "log-level")
    daemon = served()
    keep(Client.open(daemon.address()))
    wait.until(lambda: Control(daemon.path).sessions(), "the session")
    number = str(Control(daemon.path).sessions()[0]["id"])
    assert number in complete(program, str(COMMAND), "close", environment={"PAIRSOCKS_CONTROL": str(daemon.path)})
    assert number in complete(program, str(COMMAND), "close", "--control", str(daemon.path))
