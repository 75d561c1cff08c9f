"""pairsocks passwd: a line of a users file. Its hashes are checked by libcrypt, called from here."""

import ctypes
import errno
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import termios
import time

import pytest

from harness import wait
from harness.daemon import BINARY, REPORT, ROOT

COMMAND = pathlib.Path(BINARY).with_name("pairsocks")

libcrypt = ctypes.CDLL("libcrypt.so.1")
libcrypt.crypt.restype = ctypes.c_char_p


def crypt(password, setting):
    return libcrypt.crypt(ctypes.c_char_p(password), ctypes.c_char_p(setting))


def expect_line(output, user, password):
    """`output` is one line for `user`, with a hash of `password` that is not one of another."""
    match = re.fullmatch(rb"(.*):(\$y\$j9T\$[./A-Za-z0-9]{22}\$[./A-Za-z0-9]{43})\n", output)
    assert match, output
    assert match[1] == user
    assert crypt(password, match[2]) == match[2]
    assert crypt(password + b"x", match[2]) != match[2]
    assert crypt(password[:-1], match[2]) != match[2]


def call(*arguments, stdin=b""):
    done = subprocess.run([COMMAND, "passwd", *arguments], input=stdin, capture_output=True, timeout=wait.seconds(10))
    assert not REPORT.search(done.stderr.decode()), done.stderr
    return done


def expect_refusal(done, what, status=1):
    assert (done.returncode, done.stdout) == (status, b"")
    assert done.stderr.startswith(b"pairsocks passwd: ") and what in done.stderr


# ---- from stdin

PASSWORDS = {
    "ordinary": b"correct horse",
    "one byte": b"x",
    "255 bytes": b"p" * 255,
    "blanks at its ends": b" \tpass ",
    "a carriage return": b"pass\r",
    "not ASCII": "pässwörd".encode(),
    "no UTF-8": bytes(range(128, 256)),
    "control characters": bytes(range(1, 10)) + bytes(range(11, 32)),
    "a colon and a hash": b"a:$6$b#",
}


@pytest.mark.parametrize("case", PASSWORDS)
def test_a_password_from_stdin_is_its_line(case):
    password = PASSWORDS[case]
    for stdin in password + b"\n", password:
        done = call("alice", stdin=stdin)
        assert (done.returncode, done.stderr) == (0, b"")
        expect_line(done.stdout, b"alice", password)


def test_only_the_first_line_counts_and_the_others_are_left(tmp_path):
    path = tmp_path / "passwords"
    path.write_bytes(b"first\nsecond\nthird\n")
    with open(path, "rb", buffering=0) as stdin:
        for password in b"first", b"second":
            done = subprocess.run([COMMAND, "passwd", "alice"], stdin=stdin, capture_output=True,
                                  timeout=wait.seconds(10))
            assert done.returncode == 0
            expect_line(done.stdout, b"alice", password)


def test_a_password_that_comes_in_pieces():
    process = subprocess.Popen([COMMAND, "passwd", "alice"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for piece in b"pa", b"ss", b"word\nmore":
        process.stdin.write(piece)
        process.stdin.flush()
        time.sleep(0.02)
    # It does not wait for the end of stdin.
    output = process.stdout.read()
    process.stdin.close()
    assert process.wait(wait.seconds(10)) == 0
    expect_line(output, b"alice", b"password")


def test_every_hash_has_a_salt_of_its_own():
    assert len({call("alice", stdin=b"secret\n").stdout for _ in range(5)}) == 5


@pytest.mark.parametrize("name", [b"a", b"a b", b"n" * 255, "jürgen".encode(), b"\xff\xfe", b"a=\"b\"", b"$y$"])
def test_names(name):
    expect_line(call(name, stdin=b"secret\n").stdout, name, b"secret")


def test_a_name_that_looks_like_an_option():
    expect_line(call("--", "-x", stdin=b"secret\n").stdout, b"-x", b"secret")


@pytest.mark.parametrize("name", [b"", b"n" * 256, b"a:b", b"#a", b" a", b"a ", b"\ta", b"a\nb", b"a\x1b[2J", b"a\x7f"])
def test_names_that_are_refused(name):
    done = call(name, stdin=b"secret\n")
    expect_refusal(done, b"user's name")
    assert b"\x1b" not in done.stderr


@pytest.mark.parametrize("stdin, what", [
    (b"", b"empty"),
    (b"\n", b"empty"),
    (b"\nsecret\n", b"empty"),
    (b"p" * 256, b"255"),
    (b"p" * 256 + b"\n", b"255"),
    (b"p" * 100000, b"255"),
    (b"sec\0ret\n", b"NUL"),
    (b"secret\0", b"NUL"),
    (b"\0\n", b"NUL"),
])
def test_passwords_that_are_refused(stdin, what):
    done = call("alice", stdin=stdin)
    expect_refusal(done, what)
    assert b"secret" not in done.stderr


def test_a_stdin_that_cannot_be_read():
    with subprocess.Popen([COMMAND, "passwd", "alice"], stdin=os.open("/", os.O_RDONLY), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        output, errors = process.communicate(timeout=wait.seconds(10))
    assert (process.returncode, output) == (1, b"")
    assert b"Is a directory" in errors


@pytest.mark.parametrize("arguments", [[], ["alice", "bob"], ["--no-such-option"], ["--no-such-option", "alice"]],
                         ids=" ".join)
def test_a_wrong_command_line(arguments):
    done = call(*arguments, stdin=b"secret\n")
    expect_refusal(done, b"usage: pairsocks passwd USER", status=2)


def test_help():
    done = call("--help")
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(b"usage: pairsocks passwd USER\n")


def test_a_line_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run([COMMAND, "passwd", "alice"], input=b"secret\n", stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"cannot write" in done.stderr


# ---- on a terminal

# The shell of a terminal: runs a command in the foreground and writes its status whenever it stops or ends. The
# group of a command without one could not be stopped by a key.
SHELL = """
import fcntl, os, signal, sys, termios
report, output = int(sys.argv[1]), int(sys.argv[2])
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    for number in signal.SIGTTOU, signal.SIGPIPE:
        signal.signal(number, signal.SIG_DFL)
    os.dup2(output, 1)
    os.execv(sys.argv[3], sys.argv[3:])
os.close(output)
os.write(report, b"%d\\n" % pid)
while True:
    status = os.waitpid(pid, os.WUNTRACED)[1]
    os.write(report, b"%d\\n" % status)
    if not os.WIFSTOPPED(status):
        break
"""


class Terminal:
    """`pairsocks passwd alice` on a terminal of its own. Its stdout is a pipe, as in `>> users`."""

    def __init__(self):
        self.master, terminal = os.openpty()
        self.name = os.ttyname(terminal)
        self.before = self.attributes()
        self.output, output = os.pipe()
        self.report, report = os.pipe()
        self.shell = subprocess.Popen(
            [sys.executable, "-c", SHELL, str(report), str(output), COMMAND, "passwd", "alice"],
            stdin=terminal, stdout=terminal, stderr=terminal, pass_fds=(report, output), start_new_session=True)
        for fd in terminal, output, report:
            os.close(fd)
        self.shown = b""
        self.reported = b""
        self.pid = None
        self.pid = int(self.next_report())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for fd in self.master, self.output, self.report:
            os.close(fd)
        self.shell.kill()  # the terminal's end has ended what runs on it
        self.shell.wait()

    def read(self, timeout=0):
        """What the terminal shows. True: its last program has gone."""
        if self.master in select.select([self.master], [], [], timeout)[0]:
            try:
                self.shown += os.read(self.master, 4096)
            except OSError as error:
                assert error.errno == errno.EIO
                return True
        return False

    def next_report(self):
        def line():
            self.read()
            if select.select([self.report], [], [], 0.02)[0]:
                self.reported += os.read(self.report, 4096)
            return b"\n" in self.reported
        wait.until(line, "the command stops or ends")
        first, self.reported = self.reported.split(b"\n", 1)
        return first

    def expect(self, text):
        """Waits until the terminal has shown `text`; drops that and what stands before it."""
        def is_shown():
            self.read(0.05)
            return text in self.shown
        wait.until(is_shown, lambda: f"{text} in {self.shown}")
        self.shown = self.shown.split(text, 1)[1]

    def type(self, text):
        os.write(self.master, text)

    def attributes(self):
        return termios.tcgetattr(self.master)

    def echoes(self):
        return bool(self.attributes()[3] & termios.ECHO)

    def stopped_by(self):
        status = int(self.next_report())
        assert os.WIFSTOPPED(status), status
        return os.WSTOPSIG(status)

    def end(self):
        """(exit status or minus the signal, stdout)"""
        code = os.waitstatus_to_exitcode(int(self.next_report()))
        wait.until(lambda: self.read(0.05), "the terminal's end")
        return code, os.read(self.output, 4096)


@pytest.fixture
def terminal():
    with Terminal() as one:
        yield one


def test_a_terminal_asks_twice_and_shows_nothing(terminal):
    terminal.expect(b"Password: ")
    assert not terminal.echoes()
    terminal.type(b"correct horse\n")
    terminal.expect(b"Again: ")
    assert not terminal.echoes()
    terminal.type(b"correct horse\n")
    code, output = terminal.end()
    assert code == 0
    expect_line(output, b"alice", b"correct horse")
    assert terminal.shown.strip() == b""  # the newline is shown
    assert terminal.echoes()


def test_a_terminal_can_be_corrected(terminal):
    terminal.expect(b"Password: ")
    terminal.type(b"wrong\x15secrex\x7ft\n")
    terminal.expect(b"Again: ")
    terminal.type(b"secret\n")
    code, output = terminal.end()
    assert code == 0
    expect_line(output, b"alice", b"secret")


@pytest.mark.parametrize("first, second, what", [
    (b"secret\n", b"Secret\n", b"not the same"),
    (b"secret\n", b"secre\n", b"not the same"),
    (b"secret\n", b"\n", b"empty"),
    (b"\n", None, b"empty"),
    (b"\x04", None, b"empty"),
    (b"p" * 256 + b"\n", None, b"255"),
    (b"a\0b\n", None, b"NUL"),
])
def test_a_terminal_refuses(terminal, first, second, what):
    terminal.expect(b"Password: ")
    terminal.type(first)
    if second:
        terminal.expect(b"Again: ")
        terminal.type(second)
    code, output = terminal.end()
    assert (code, output) == (1, b"")
    assert what in terminal.shown and b"ecre" not in terminal.shown
    assert terminal.attributes() == terminal.before


@pytest.mark.parametrize("key, number", [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
@pytest.mark.parametrize("prompt", [b"Password: ", b"Again: "])
def test_a_key_that_ends_it_leaves_the_terminal_as_it_was(terminal, key, number, prompt):
    terminal.expect(b"Password: ")
    if prompt == b"Again: ":
        terminal.type(b"secret\n")
        terminal.expect(prompt)
    assert not terminal.echoes()
    terminal.type(b"secr" + key)
    assert terminal.end() == (-number, b"")
    assert terminal.attributes() == terminal.before
    assert b"secr" not in terminal.shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGUSR1])
def test_a_signal_that_ends_it_leaves_the_terminal_as_it_was(terminal, number):
    terminal.expect(b"Password: ")
    assert not terminal.echoes()
    os.kill(terminal.pid, number)
    assert terminal.end() == (-number, b"")
    assert terminal.attributes() == terminal.before


def test_who_stops_it_has_his_echo_and_is_asked_again(terminal):
    terminal.expect(b"Password: ")
    terminal.type(b"forgotten\x1a")
    assert terminal.stopped_by() == signal.SIGTSTP
    assert terminal.attributes() == terminal.before
    os.kill(terminal.pid, signal.SIGCONT)
    terminal.expect(b"Password: ")
    assert not terminal.echoes()
    terminal.type(b"secret\n")
    terminal.expect(b"Again: ")
    terminal.type(b"secret\n")
    code, output = terminal.end()
    assert code == 0
    expect_line(output, b"alice", b"secret")
    assert terminal.attributes() == terminal.before


def test_the_rest_of_a_line_is_dropped(terminal):
    """It is no command for the shell that reads the terminal next."""
    terminal.expect(b"Password: ")
    terminal.type(b"p" * 300 + b"rm -rf\n")
    next_reader = os.open(terminal.name, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        assert os.waitstatus_to_exitcode(int(terminal.next_report())) == 1
        with pytest.raises(BlockingIOError):
            os.read(next_reader, 1)
    finally:
        os.close(next_reader)


def test_a_terminal_that_hangs_up_ends_it(terminal):
    terminal.expect(b"Password: ")
    os.close(terminal.master)
    terminal.master = os.open("/dev/null", os.O_RDONLY)
    assert select.select([terminal.output], [], [], wait.seconds(10))[0]
    assert os.read(terminal.output, 1) == b""


# ---- what it is for

def test_the_manuals_example_makes_a_users_file(tmp_path):
    manual = (ROOT / "cli" / "pairsocks.1").read_text()
    commands = re.findall(r"^\$ (pairsocks passwd .*)", manual, re.MULTILINE)
    (tmp_path / "bob.password").write_text("of bob\n")
    for command in commands:
        subprocess.run(["sh", "-c", command.replace("/etc/pairsocks", ".")], cwd=tmp_path, input=b"typed\n", check=True,
                       env={**os.environ, "PATH": f"{COMMAND.parent}:{os.environ['PATH']}"})
    lines = (tmp_path / "users").read_bytes().splitlines(keepends=True)
    assert len(lines) == 2
    expect_line(lines[0], b"alice", b"typed")
    expect_line(lines[1], b"bob", b"of bob")
