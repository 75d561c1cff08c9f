"""The status page of a daemon, as a client without patience asks for it."""

import http.client
import json
import re
import socket

from . import wait

SAMPLE = re.compile(r'^([a-z_]+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'([a-z]+)="((?:[^"\\]|\\.)*)"')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, **more):
        super().__init__("localhost", **more)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Page:
    """`address`: "HOST:PORT" or the path of a unix socket."""

    def __init__(self, address, token=None):
        self.address, self.token = address, token

    @property
    def endpoint(self):
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def connection(self):
        if self.address.startswith("/"):
            return UnixConnection(self.address, timeout=wait.seconds(10))
        return http.client.HTTPConnection(*self.endpoint, timeout=wait.seconds(10))

    def ask(self, path, method="GET", *, body=None, **fields):
        """Returns the answer, its body read as `.text`."""
        connection = self.connection()
        fields = {name.replace("_", "-"): value for name, value in fields.items()}
        if self.token:
            fields.setdefault("Authorization", f"Bearer {self.token}")
        try:
            connection.request(method, path, body=body, headers=fields)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
        finally:
            connection.close()
        return answer

    def status(self):
        answer = self.ask("/status.json")
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def metrics(self):
        """{(name, label values in order): number}."""
        return samples(self.ask("/metrics").text)


def samples(text):
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SAMPLE.match(line).groups()
        key = (name, *(value for _, value in LABEL.findall(labels or "")))
        assert key not in found, f"{key} is there twice"
        found[key] = float(value)
    return found


def page_of(daemon, token=None):
    """The page that the daemon has begun to serve last."""
    daemon.wait_for(event="status", level="notice")
    return Page(daemon.records(event="status", level="notice")[-1]["address"], token)
