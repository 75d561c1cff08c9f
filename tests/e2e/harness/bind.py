"""BIND: a client's two replies, and the peer that comes between them."""

from .socks import BIND, GRANTED
from .wire import Wire

REFUSED = {"socks4": 91, "socks4a": 91}


def open_port(client, protocol, host, port=0):
    """The first reply, which must be a grant: the address that a peer is to come to."""
    reply = client.negotiate(protocol, host, port, command=BIND)
    assert reply.code == GRANTED[protocol], f"{protocol} BIND for {host} got reply {reply.code}"
    return reply.host, reply.port


def come(address, source=None):
    return Wire.open(address, source=source)


def stand(client, protocol, host, port=0, source=None):
    """Both replies and the peer's end; the second reply names the peer."""
    wire = come(open_port(client, protocol, host, port), source)
    reply = client.read_reply(protocol)
    assert reply == (GRANTED[protocol], *wire.local_address)
    return wire


def refused(client, protocol, code, host="127.0.0.1", port=0):
    """Instead of the first reply, or (host None) of the second: a refusal, and the end. `code`: SOCKS5's."""
    if host is not None:
        client.ask(protocol, host, port, command=BIND)
    reply = client.read_reply(protocol)
    assert reply == (REFUSED.get(protocol, code), "0.0.0.0", 0), reply
    client.expect_closed()
