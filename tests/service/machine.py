"""A machine with a real systemd, and our build installed in it; it ends with the test process, however that dies."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from harness import wait
from harness.daemon import BINARY
from harness.netns import Namespace

FOLDER = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(BINARY).resolve().parent


class Machine:
    """`network` is its network: clients and targets live in there by `network.make_socket`."""

    def __init__(self):
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="pairsocks-machine-", dir="/var/tmp"))
        self.console = open(self.work.with_suffix(".console"), "w+b")
        self.network = self.process = None
        try:
            self._install(self.work / "installed")
            self._boot()
            self._prepare()
        except BaseException:
            self.close()
            raise

    # --- from nothing to a running system

    def _install(self, folder):
        subprocess.run(["make", "-s", "-C", BUILD, "install", f"DESTDIR={folder}"], check=True, timeout=wait.seconds(60),
                       capture_output=True, stdin=subprocess.DEVNULL)  # fmt: skip
        self.installed = folder

    def _boot(self):
        root = self.work / "root"
        root.mkdir()
        self.network = Namespace()
        namespaces = ["--pid", "--mount", "--uts", "--ipc", "--cgroup", "--propagation", "private"]
        self.process = subprocess.Popen(
            [*self.network.prefix, "setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--kill-child=KILL", *namespaces,
             "bash", str(FOLDER / "boot.sh"), str(root), str(self.installed)],
            stdin=subprocess.DEVNULL, stdout=self.console, stderr=self.console,
        )  # fmt: skip
        self.init = wait.until(self._find_init, self.story, 10)
        self.prefix = ["nsenter", "-t", str(self.init), "-m", "-p", "-n", "-C", "-u", "-i", "-r", "-w", "--"]
        self.root = pathlib.Path(f"/proc/{self.init}/root")
        wait.until(self._is_up, self.story, 30, every=0.2)

    def _find_init(self):
        assert self.process.poll() is None, self.story()
        text = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return int(text.split()[0]) if text.split() else None

    def _is_up(self):
        assert self.process.poll() is None, self.story()
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def _prepare(self):
        """What a package does when it is installed."""
        self.run("systemd-sysusers")
        self.run("systemd-tmpfiles", "--create", "pairsocks.conf")
        self.run("systemctl", "daemon-reload")

    def story(self):
        self.console.seek(0)
        return f"the machine: {self.console.read().decode(errors='replace')[-4000:]}"

    def close(self):
        if self.process:
            self.process.kill()  # process 1 of the machine goes with it, and all that it has started with that
            self.process.wait(wait.seconds(10))
        if self.network:
            self.network.close()
        self.console.close()
        pathlib.Path(self.console.name).unlink()
        shutil.rmtree(self.work)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- inside

    def run(self, *command, check=True, timeout=30, stdin=None):
        """A command inside, with what it wrote."""
        done = subprocess.run([*self.prefix, *map(str, command)], capture_output=True, text=True, timeout=wait.seconds(timeout),
                              **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))  # fmt: skip
        if check and done.returncode:
            pytest.fail(f"{command}: {done.returncode}: {done.stdout}{done.stderr}{self.last_words()}")
        return done

    def last_words(self):
        """What the journal has of all units, also what is still on its way."""
        self.run("journalctl", "--sync", check=False)
        return "\n" + self.run("journalctl", "-n", "40", "--no-pager", "-o", "short-precise", check=False).stdout

    def start(self, *command):
        """A command inside that goes on meanwhile."""
        return subprocess.Popen([*self.prefix, *map(str, command)], stdin=subprocess.DEVNULL)

    def path(self, path):
        """The file as it is found from outside."""
        return self.root / str(path).lstrip("/")

    def write(self, path, text, mode=0o644):
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def show(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def drop_in(self, unit, text):
        self.write(f"/run/systemd/system/{unit}.d/test.conf", text)
        self.run("systemctl", "daemon-reload")

    def journal(self, unit, **fields):
        """The entries of this unit's journal that have these fields."""
        lines = self.run("journalctl", "-u", unit, "-o", "json", "--no-pager").stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        return [e for e in entries if all(e.get(name) == value for name, value in fields.items())]

    def status(self, pid):
        """The fields of every thread of a process, by its number inside."""
        for task in self.path(f"/proc/{pid}/task").iterdir():
            yield dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)

    def clear(self):
        """No unit of ours runs, none has a drop-in, and there is no configuration."""
        self.run("systemctl", "stop", "pairsocksd*.service", "pairsocksd.socket", check=False, timeout=60)
        self.run("systemctl", "reset-failed", check=False)
        for folder in self.path("/run/systemd/system").glob("pairsocksd*.d"):
            shutil.rmtree(folder)
        for file in self.path("/etc/pairsocks").iterdir():
            shutil.rmtree(file) if file.is_dir() else file.unlink()
        self.run("systemctl", "daemon-reload")


def is_possible():
    return os.geteuid() == 0
