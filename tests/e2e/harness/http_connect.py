"""HTTP CONNECT as a client says it, message by message."""

import base64
from typing import NamedTuple


class HttpReply(NamedTuple):
    status: int
    fields: dict  # by lower-case names
    body: bytes


def basic(user, password):
    """The value of Proxy-Authorization."""
    user, password = (word.encode() if isinstance(word, str) else word for word in (user, password))
    return b"Basic " + base64.b64encode(user + b":" + password)


def connect_request(host, port, *, credentials=None, authorization=None):
    """`credentials`: (user, password); `authorization`: the field's value itself, right or wrong."""
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n".encode()
    if credentials:
        authorization = basic(*credentials)
    if authorization is not None:
        request += b"Proxy-Authorization: " + authorization + b"\r\n"
    return request + b"\r\n"


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
    return HttpReply(int(status), fields, wire.read(int(fields.get("content-length", 0))))
