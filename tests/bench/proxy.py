"""A proxy that runs for one measurement (peers.py says how), in a process group and a folder of its own."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from machine import Failure, free_port, process_tree, reap_orphans, settle_child


class Proxy:
    """A proxy that runs from `with` to its end, in a process group and a folder of its own."""

    def __init__(self, bench, name, kind):
        self.bench, self.name, self.kind = bench, name, kind
        self.peer = bench.peers[name]
        self.binary = bench.binaries[name]
        self.folder = tempfile.mkdtemp(prefix=name.replace(" ", "-") + "-", dir=bench.folder)
        bench.proxies_begun += 1
        high, low = divmod(bench.proxies_begun, 250)
        self.own_target = f"127.3.{high}.{low + 1}"
        if bench.user:
            os.chown(self.folder, bench.user.pw_uid, bench.user.pw_gid)

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text.lstrip("\n"))
        os.chmod(self.path(name), 0o644)

    def __enter__(self):
        self.port, self.side_port = free_port(), free_port()
        command = self.peer.config(self, self.port, self.bench.target_port)
        with open(self.path("output"), "wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder,
                start_new_session=True, preexec_fn=lambda: settle_child(self.bench.proxy_cpus),
                **({} if self.peer.is_root else self.bench.credentials()))
        try:
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait_until_ready(self):
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failure(f"{self.name} ended at its start with {self.process.returncode}\n{self.last_words()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                time.sleep(0.2)  # danted forks its helpers a little later
                return
            time.sleep(0.02)
        raise Failure(f"{self.name} does not listen after 15 s\n{self.last_words()}")

    def last_words(self):
        lines = []
        for name in ("output", "log"):
            with contextlib.suppress(OSError), open(self.path(name), errors="replace") as f:
                lines += [f"    {name}: {line.rstrip()}" for line in f.readlines()[-5:]]
        return "\n".join(lines)

    def tree(self):
        return process_tree(self.process.pid)

    def sum(self, of):
        """What `of` (machine.cpu_ns, ...) says of each process of the tree, together; one that has just ended is left
        out."""
        total = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                total += of(pid)
        return total

    def __exit__(self, *_):
        tree = self.tree()
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(1)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pid in tree:  # whoever left the group
            if pid in process_tree(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        reap_orphans(self.bench.own_children)
        shutil.rmtree(self.folder, ignore_errors=True)
