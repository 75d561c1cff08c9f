"""A network namespace of a test's own, for root and for ordinary users.

The test itself stays outside: it gets sockets that live inside (`make_socket`), and starts programs inside
with `prefix`. Nothing has a name, nothing is left when it is closed.
"""

import os
import pathlib
import socket
import subprocess
import sys
import threading

from . import wait

HOLDER = pathlib.Path(__file__).with_name("netns_holder.py")


class Namespace:
    def __init__(self, *, ipv6=True, mounts=False):
        """Only a loopback interface, up. `mounts`: with mounts of its own too."""
        ours, theirs = socket.socketpair()
        root = os.geteuid() == 0
        flags = ["-n"] + ([] if root else ["-r"]) + (["-m"] if mounts else [])
        with theirs:
            self.process = subprocess.Popen(
                ["unshare", *flags, sys.executable, str(HOLDER), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
            )
        self.control, self._lock = ours, threading.Lock()
        self.control.settimeout(wait.seconds(10))
        assert self.control.recv(1) == b"r", "no network namespace to be had"
        self.prefix = ["nsenter", "-t", str(self.process.pid), "-n"]
        self.prefix += ([] if root else ["-U", "--preserve-credentials"]) + (["-m"] if mounts else [])
        if not ipv6:
            self.shell("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
        self.ip("link set lo up")
        if ipv6:
            wait.until(lambda: "::1" in self.ip("-6 addr show dev lo -tentative"), "::1 to be usable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.control.close()
        self.process.wait(wait.seconds(10))

    def run(self, *command):
        done = subprocess.run([*self.prefix, *command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=wait.seconds(10))
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def ip(self, words):
        return self.run("ip", *words.split())

    def shell(self, script):
        return self.run("sh", "-ec", script)

    def make_socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        """As socket.socket(), but inside. From any thread."""
        with self._lock:
            self.control.sendall(f"{int(family)} {int(kind)}".encode())
            _, descriptors, _, _ = socket.recv_fds(self.control, 1, 1)
        return socket.socket(fileno=descriptors[0])
