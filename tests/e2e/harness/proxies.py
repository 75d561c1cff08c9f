"""Other people's proxies: each a program of its own on a free port of 127.0.0.1, with `.address`, `.host` and `.port`.

`Script` is none of them: a proxy that a test holds in its hands.
"""

import os
import pwd
import signal
import subprocess
import time

from . import socks, tls, wait
from .dns import free_port
from .targets import Serving
from .tcp_table import listeners
from .wire import endpoint


class Program:
    """Writes `configuration(port)` into its folder and starts `command(path)` until it listens."""

    def __init__(self, folder, program, sockets=1, environment=None):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.log, self.path = folder, folder / "log", folder / "configuration"
        for _ in range(5):  # another program may have taken the port meanwhile
            self.port = free_port()
            self.host, self.address = "127.0.0.1", ("127.0.0.1", self.port)
            self.path.write_text(self.configuration())
            with open(self.log, "wb") as log:
                self.process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "KILL", program, *map(str, self.command())], stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, start_new_session=True, env={**os.environ, **(environment or {})})  # fmt: skip
            wait.until(lambda: listeners(self.port) >= sockets or self.process.poll() is not None, self.story)
            if self.process.poll() is None:
                return
        raise AssertionError(f"{program} does not start: {self.story()}")

    def story(self):
        return f"{self.path.read_text()}\n{self.log.read_text(errors='replace')}"

    def configuration(self):
        return ""

    def command(self):
        raise NotImplementedError

    def __str__(self):
        return endpoint(self.address)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        """At once, and all that it has started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(wait.seconds(10))


class Dante(Program):
    """SOCKS4, 4a and 5, nobody asked for a password."""

    def configuration(self):
        return (f"logoutput: {self.folder}/dante.log\ninternal: 127.0.0.1 port = {self.port}\nexternal: lo\n"
                "clientmethod: none\nsocksmethod: none\nclient pass {\n    from: 0.0.0.0/0 to: 0.0.0.0/0\n}\n"
                "socks pass {\n    from: 0/0 to: 0/0\n    command: connect bind bindreply\n}\n")  # fmt: skip

    def command(self):
        return ["-f", self.path, "-p", self.folder / "pid", "-N", "1"]


class Microsocks(Program):
    """SOCKS5, with RFC 1929 if there is a `login`."""

    def __init__(self, folder, program, login=None):
        self.login = login
        super().__init__(folder, program)

    def command(self):
        login = ["-u", self.login[0], "-P", self.login[1]] if self.login else []
        return ["-i", "127.0.0.1", "-p", self.port, *login]


class Tinyproxy(Program):
    """HTTP CONNECT, with Basic if there is a `login`."""

    def __init__(self, folder, program, login=None):
        self.login = login
        super().__init__(folder, program)

    def configuration(self):
        login = f"BasicAuth {self.login[0]} {self.login[1]}\n" if self.login else ""
        return f"Port {self.port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Info\n{login}"

    def command(self):
        return ["-d", "-c", self.path]


class Haproxy(Program):
    """TCP in front of `server`; `words` of its bind line, such as accept-proxy."""

    def __init__(self, folder, program, server, words=""):
        self.server, self.words = server, words
        super().__init__(folder, program)

    def configuration(self):
        return ("defaults\n    mode tcp\n    timeout connect 20s\n    timeout client 60s\n    timeout server 60s\n"
                f"    log stdout format raw local0 info\n"
                f"listen front\n    bind 127.0.0.1:{self.port} {self.words}\n"
                f"    log-format client=%ci:%cp\n    server one {endpoint(self.server)}\n")  # fmt: skip

    def command(self):
        return ["-db", "-f", self.path]


class Stunnel(Program):
    """TLS in front of `server`."""

    def __init__(self, folder, program, server, certificate="server"):
        self.server, self.certificate = server, certificate
        super().__init__(folder, program)

    def configuration(self):
        return ("foreground = yes\npid =\nsyslog = no\n[one]\n"
                f"accept = 127.0.0.1:{self.port}\nconnect = {endpoint(self.server)}\n"
                f"cert = {tls.pem(self.certificate)}\nkey = {tls.key(self.certificate)}\n")  # fmt: skip

    def command(self):
        return [self.path]


class SshServer(Program):
    """A private sshd for the user that runs the tests; its keys lie in the folder."""

    def __init__(self, folder, program, keygen):
        folder.mkdir(parents=True)
        self.words = [program]
        for key in ("host", "user"):
            subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        if os.geteuid() == 0:  # it then wants /run/sshd, which only Debian's service makes
            self.words = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs tmpfs /run; mkdir -m 755 /run/sshd; exec "$@"',
                          "sh", program]  # fmt: skip
        super().__init__(folder, self.words[0])

    def configuration(self):
        return (f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nUsePAM no\nStrictModes no\n"
                f"AuthorizedKeysFile {self.folder}/authorized\nPidFile none\n")  # fmt: skip

    def command(self):
        return [*self.words[1:], "-D", "-e", "-f", self.path]


class SshDynamic(Program):
    """ssh -D: SOCKS4, 4a and 5 through a server."""

    def __init__(self, folder, program, server):
        self.server = server
        super().__init__(folder, program)

    def command(self):
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "ExitOnForwardFailure=yes"]
        return ["-F", "none", "-N", "-D", f"127.0.0.1:{self.port}", "-i", self.server.folder / "user", "-p", self.server.port,
                "-l", pwd.getpwuid(os.geteuid()).pw_name, *(f"-o{o}" for o in options), "127.0.0.1"]  # fmt: skip


class Script(Serving):
    """Plays a proxy: `script(wire)` reads and says what it likes; it may return a wire to be piped no further."""

    def __init__(self, script, host="127.0.0.1", **more):
        self.script, self.seen = script, 0
        super().__init__(host, **more)

    def serve(self, wire):
        self.seen += 1
        self.script(wire)
        wire.read_to_end_or_reset()

    def __str__(self):
        return endpoint(self.address)


def slowly(wire, data, pause=0.002):
    """One byte at a time, each in a segment of its own."""
    for byte in data:
        wire.send(bytes([byte]))
        time.sleep(pause)


def read_request5(wire, methods=b"\x00", login=None):
    """A SOCKS5 client's part up to its request, answered; returns (host bytes with ATYP, port)."""
    version, count = wire.read(2)
    assert version == 5
    assert set(methods) <= set(wire.read(count))
    wire.send(b"\x05" + methods[:1])
    if login:
        assert wire.read(len(socks.userpass(*login))) == socks.userpass(*login)
        wire.send(b"\x01\x00")
    kind = wire.read(4)[3]
    length = {1: 4, 4: 16}.get(kind) or wire.read(1)[0]
    return bytes([kind]) + wire.read(length), int.from_bytes(wire.read(2), "big")
