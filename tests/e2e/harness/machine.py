"""A machine of a test's own: a network namespace with the addresses that a configuration names, and an /etc that holds
what the test puts there and nothing else. So a configuration runs as it is written, paths, names and ports included."""

import pathlib
import shlex
import subprocess

from . import wait
from .daemon import BINARY
from .netns import Namespace
from .socks import Client
from .targets import Serving, bound
from .wire import CHUNK

COMMAND = pathlib.Path(BINARY).with_name("pairsocks")


class Machine:
    def __init__(self, launch, keep):
        self.launch, self.keep = launch, keep
        self.inside = keep(Namespace(mounts=True))
        self.prefix, self.make_socket = self.inside.prefix, self.inside.make_socket
        self.inside.shell("mount -t tmpfs -o mode=755 tmpfs /etc; mkdir /etc/pairsocks")
        self.write("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")

    def write(self, path, text):
        """`text` as the whole content of a file, whose folder is made."""
        self.inside.run("sh", "-ec", 'mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"', "sh", path, text)

    def answers_at(self, *addresses):
        """These addresses are its own."""
        for address in addresses:
            self.inside.ip(f"addr add {address}/{'128' if ':' in address else '32'} dev lo{' nodad' if ':' in address else ''}")

    def knows(self, **names):
        """host="address" for /etc/hosts; in a name `_` stands for the point, `__` for `-`."""
        for name, address in names.items():
            name = name.replace("__", "-").replace("_", ".")
            self.inside.shell(f"echo {shlex.quote(f'{address} {name}')} >> /etc/hosts")

    def start(self, path, text, environment=None):
        """The daemon with this text at this path; its log is what it says on stderr."""
        self.write(path, text)
        daemon = self.launch(prefix=self.prefix, arguments=["-c", path], environment=environment)
        daemon.log_path = daemon.stderr_path
        return daemon.ready()

    def run(self, command, data=b"", **more):
        """A program that ends by itself."""
        return subprocess.run([*self.prefix, *map(str, command)], input=data, capture_output=True,
                              timeout=wait.seconds(30), **more)  # fmt: skip

    def curl(self, *arguments):
        """What curl got, or the number of its error."""
        done = self.run(["curl", "-q", "-sS", "--noproxy", "", "--max-time", f"{wait.seconds(20):.0f}", *arguments])
        return done.stdout if done.returncode == 0 else done.returncode

    def client(self, address, **more):
        return self.keep(Client.open(address, make_socket=self.make_socket, **more))

    def bound(self, host, port):
        """A socket of its own for a target."""
        return bound(host, port, self.make_socket)

    def page(self, host, port, content, **more):
        return self.keep(Page(content, sock=self.bound(host, port), **more))


class Page(Serving):
    """HTTP that has one answer, each on a connection of its own. `content`: bytes."""

    def __init__(self, content, **more):
        self.content, self.peers = content, []
        super().__init__(**more)

    def serve(self, wire):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            data = wire.sock.recv(CHUNK)
            if not data:
                return
            head += data
        self.peers.append(wire.peer)
        # The client ends it: what would be sent behind the page would be reset by one that has what it wants.
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.content) + self.content)
        wire.read_to_end_or_reset()
