"""Starts one pairsocksd, waits until it is ready, reads its log and ends it."""

import contextlib
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading

from . import log, wait

ROOT = pathlib.Path(__file__).resolve().parents[3]
BINARY = os.environ.get("PAIRSOCKSD") or str(ROOT / "build" / "pairsocksd")
REPORT = re.compile(
    r"(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:|Assertion .* failed|"
    r"stack smashing|buffer overflow detected"
)


def config_text(daemon=None, listeners=None, rules=None, upstreams=None, certificates=None):
    """The text of a file: {"key": value or [values]} of [daemon], and of each listener, rule, upstream and certificate by
    its name."""
    sections = [("daemon", daemon or {})]
    sections += [(f"listener {name}", keys) for name, keys in (listeners or {}).items()]
    sections += [(f"upstream {name}", keys) for name, keys in (upstreams or {}).items()]
    sections += [(f"certificate {name}", keys) for name, keys in (certificates or {}).items()]
    sections += [(f"rule {name}", keys) for name, keys in (rules or {}).items()]
    lines = []
    for name, keys in sections:
        lines.append(f"[{name}]")
        for key, value in keys.items():
            lines += [f"{key} = {one}" for one in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n"


class Daemon:
    """A daemon of its own for a test. `folder` takes its files."""

    def __init__(self, folder, text=None, *, arguments=None, prefix=(), files=None, stderr=None,
                 log_path=None, environment=None, pass_fds=()):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.log_path = log_path or folder / "log"
        self.stderr_path = folder / "stderr"
        self._reading = threading.Lock()
        self._inode, self._offset, self._records = None, 0, []  # what is parsed of the log
        if arguments is None:
            arguments = []
            if text is not None:
                (folder / "pairsocks.ini").write_text(text)
                arguments = ["-c", str(folder / "pairsocks.ini")]
        limit = [] if files is None else ["prlimit", f"--nofile={files}:{files}"]
        # setpriv comes last: the daemon goes when the test process goes, however that dies.
        command = [*prefix, *limit, "setpriv", "--pdeathsig", "KILL", BINARY, *arguments]
        with open(self.stderr_path, "wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors if stderr is None else stderr,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
                pass_fds=pass_fds,
            )

    # --- the log

    def log_text(self):
        try:
            return self.log_path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            return ""

    def records(self, **wanted):
        """The records of the log so far whose fields equal `wanted`."""
        with self._reading:
            self._read_on()
            return [dict(r) for r in self._records if all(r.get(key) == value for key, value in wanted.items())]

    def _read_on(self):
        """Parses the whole lines that have come since; the file may have become another one."""
        try:
            with open(self.log_path, "rb") as file:
                status = os.fstat(file.fileno())
                if status.st_ino != self._inode or status.st_size < self._offset:
                    self._inode, self._offset, self._records = status.st_ino, 0, []
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            self._inode, self._offset, self._records = None, 0, []
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        lines = whole.decode("utf-8", "surrogateescape").splitlines()
        self._records += [json.loads(line) if line.startswith("{") else log.parse(line) for line in lines]

    def wait_for(self, count=1, timeout=10, **wanted):
        """Waits for `count` records with these fields; returns the last of them."""

        def there():
            found = self.records(**wanted)
            if len(found) < count and self.process.poll() is not None:
                found = self.records(**wanted)
                assert len(found) >= count, f"ended with {self.process.returncode}: {self.story()}"
            return found[count - 1] if len(found) >= count else None

        return wait.until(there, lambda: f"{count} of {wanted}: {self.story()}", timeout)

    def session(self, client, timeout=10):
        """The session line of a connection (its address as the client sees it, or a Wire). A Wire is told from one to
        another listener: towards them the kernel may give the same port again."""
        fields = {"client": getattr(client, "local", client)}
        there = {record["listener"] for record in self.records(event="listening") if record["address"] == getattr(client, "peer", "")}
        if len(there) == 1:
            fields["listener"] = there.pop()
        return self.wait_for(event="session", timeout=timeout, **fields)

    def story(self):
        lines = self.log_text().splitlines()[-30:] + ["-- stderr"] + self.errors().splitlines()[-60:]
        return "\n" + "\n".join(lines)

    def errors(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    # --- the process

    def ready(self):
        self.wait_for(event="ready", timeout=20)
        return self

    def addresses(self, listener="main"):
        """What the listener is bound to but for unix sockets, as (host, port), in the order of the log."""
        found = []
        for record in self.records(event="listening", listener=listener):
            if record["address"].startswith("/"):
                continue
            host, _, port = record["address"].rpartition(":")
            found.append((host.strip("[]"), int(port)))
        return found

    def address(self, version=4, listener="main"):
        """The first address of this IP version."""
        return next(a for a in self.addresses(listener) if (":" in a[0]) == (version == 6))

    @property
    def pid(self):
        return self.process.pid

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss(self):
        """Resident memory in bytes."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def cpu(self):
        """CPU seconds used so far."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wake_ups(self):
        """How often its threads have gone to sleep so far."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/status") as status:
                total += sum(int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches:"))
        return total

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self, event="reloaded"):
        """Has the files read again and waits for the answer, or for `event`."""
        before = len(self.records(event=event))
        self.signal(signal.SIGHUP)
        return self.wait_for(before + 1, event=event)

    def exit_code(self, timeout=10):
        """Waits for its end."""
        try:
            return self.process.wait(wait.seconds(timeout))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {wait.seconds(timeout):g} s: {self.story()}") from None

    def end_session(self):
        """Ends what the daemon has started (an upgrade's process is in its session) and returns the numbers."""
        left = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{entry}/stat") as stat:
                state, _, _, session = stat.read().rpartition(")")[2].split()[:4]
                if int(session) == self.pid and state != "Z":
                    left.append(int(entry))
                    os.kill(int(entry), signal.SIGKILL)
        return left

    def finish(self):
        """The end of every test: a daemon that still runs is stopped, exits 0 and reports nothing."""
        stopped_by_us = self.process.poll() is None
        if stopped_by_us:
            self.signal(signal.SIGINT)
        try:
            code = self.exit_code()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            left = self.end_session()
        report = REPORT.search(self.errors())
        assert not left, f"processes {left} were left behind: {self.story()}"
        assert not report, f"a report on stderr: {self.story()}"
        assert code >= 0, f"ended by signal {-code}: {self.story()}"
        assert not stopped_by_us or code == 0, f"exit code {code} after SIGINT: {self.story()}"


def run(*arguments, timeout=10, prefix=(), environment=None):
    """One call that ends by itself, such as --check; returns the finished process with its texts."""
    done = subprocess.run(
        [*prefix, BINARY, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=wait.seconds(timeout),
        env={**os.environ, **(environment or {})},
    )
    assert not REPORT.search(done.stderr), done.stderr
    return done
