"""HTTP CONNECT in bytes, and its replies read by the letter."""

import base64
import re
from typing import NamedTuple

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

# What an error is told as.
STATUS = {
    "system.connect.refused": 502,
    "system.connect.network-unreachable": 502,
    "system.connect.host-unreachable": 502,
    "system.connect.other": 502,
    "system.connect.timeout": 504,
    "resolver.name.not-found": 502,
    "resolver.name.no-address": 502,
    "resolver.server.failed": 502,
    "resolver.name.timeout": 504,
    "resolver.name.invalid": 400,
    "policy.rule.denied": 403,
    "policy.guard.denied": 403,
    "policy.limit.user": 503,
    "protocol.request.bad": 400,
    "protocol.command.unsupported": 405,
    "auth.password.failed": 407,
    "timeout.handshake": 408,
}
REASON = {
    400: "Bad Request", 403: "Forbidden", 405: "Method Not Allowed", 407: "Proxy Authentication Required",
    408: "Request Timeout", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}  # fmt: skip
OF_STATUS = {  # fields beside those of every refusal
    405: {"allow": "CONNECT"},
    407: {"proxy-authenticate": 'Basic realm="pairsocks", charset="UTF-8"'},
}
SENTENCE = re.compile(r"[A-Z][^\n()]+[a-z0-9] \(([a-z0-9.-]+)(, [A-Z]+)?\)\.\n")


def target(host, port):
    """HOST:PORT, an IPv6 literal in brackets; `host` may be raw bytes."""
    if isinstance(host, bytes):
        return b"%s:%d" % (host, port)
    return (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()


def connect(host, port, *fields, version=b"HTTP/1.1", end=b"\r\n"):
    """A CONNECT request with these fields (bytes, without their end)."""
    lines = [b"CONNECT " + target(host, port) + b" " + version, *fields, b""]
    return end.join(lines) + end


def authorization(user, password):
    """The value of Proxy-Authorization."""
    user, password = (text if isinstance(text, bytes) else text.encode() for text in (user, password))
    return b"Basic " + base64.b64encode(user + b":" + password)


def basic(user, password):
    """The field that shows who one is."""
    return b"Proxy-Authorization: " + authorization(user, password)


def connect_request(host, port, *, credentials=None, authorization=None):
    """With a Host field. `credentials`: (user, password); `authorization`: the field's value, right or wrong."""
    fields = [b"Host: " + target(host, port)]
    if credentials:
        fields.append(basic(*credentials))
    if authorization is not None:
        fields.append(b"Proxy-Authorization: " + authorization)
    return connect(host, port, *fields)


class Reply(NamedTuple):
    status: int
    fields: dict  # by lower-case names
    body: bytes


def read_http_reply(wire):
    """The head, and the body that Content-Length announces."""
    head = bytearray()
    while not head.endswith(b"\r\n\r\n"):
        head += wire.read(1)
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    version, status, _ = first.split(" ", 2)
    assert version == "HTTP/1.1", first
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert len(fields) == len(lines), f"a field twice: {lines}"
    return Reply(int(status), fields, wire.read(int(fields.get("content-length", 0))))


class Refusal(NamedTuple):
    status: int
    error: str
    fields: dict
    body: str


def refusal(data, without_body=False):
    """Takes a whole refusal apart: all that came before the end, and nothing that does not belong there."""
    head, separator, body = data.partition(b"\r\n\r\n")
    assert separator, f"no whole head: {data!r}"
    status_line, *lines = head.decode("ascii").split("\r\n")
    version, status, reason = status_line.split(" ", 2)
    status = int(status)
    assert (version, reason) == ("HTTP/1.1", REASON[status])
    fields = {}
    for line in lines:
        name, value = re.fullmatch(r"([A-Za-z-]+): (\S(?:.*\S)?)", line).groups()
        assert name.lower() not in fields, f"{name} twice"
        fields[name.lower()] = value
    wanted = {"connection": "close", "content-type": "text/plain", **OF_STATUS.get(status, {})}
    assert {**fields, "content-length": ""} == {**wanted, "content-length": ""}
    if without_body:
        assert body == b""
        return Refusal(status, "", fields, "")
    assert int(fields["content-length"]) == len(body), data
    sentence = SENTENCE.fullmatch(body.decode("ascii"))
    assert sentence, f"not one sentence with an error's name: {body!r}"
    assert STATUS.get(sentence[1], status) == status, f"{status} for {sentence[1]}"
    return Refusal(status, sentence[1], fields, body.decode("ascii"))
