"""Clients that never stop: each connects, asks, has bytes echoed, ends, and begins again."""

import socket
import threading

from . import wait
from .socks import Client


class Load:
    """Clients of one proxy address, in threads, towards an Echo. What went wrong for one of them is in `failures`.
    `make_socket`: in whose network."""

    def __init__(self, address, echo, clients=4, make_socket=socket.socket):
        self.address, self.echo, self.make_socket = address, echo, make_socket
        self.done, self.failures = 0, []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join(wait.seconds(30))
        assert not any(thread.is_alive() for thread in self._threads), "a client of the load hangs"

    def _run(self):
        while not self._over.is_set():
            try:
                self._once()
            except (OSError, AssertionError, EOFError) as failure:
                with self._lock:
                    self.failures.append(repr(failure))
            else:
                with self._lock:
                    self.done += 1

    def _once(self):
        with Client.open(self.address, make_socket=self.make_socket) as client:
            client.connect("socks5", self.echo.host, self.echo.port)
            client.send(b"ping")
            assert client.read(4) == b"ping"

    def wait_for_more(self, count):
        """Until so many more have gone through."""
        wanted = self.done + count
        wait.until(lambda: self.done >= wanted or self.failures, f"{count} more connections", timeout=30)
        assert not self.failures, self.failures[:3]
