"""The PROXY protocol's headers in bytes, right and wrong."""

import ipaddress
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UDP6, UNIX_STREAM, UNIX_DGRAM = 0x00, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32
V1_MAX, V2_MAX = 107, 2048


def v1(source, destination=None):
    """The line of version 1 for a client at (host, port)."""
    host, port = source
    version = ipaddress.ip_address(host).version
    there, its_port = destination or (("127.0.0.1", "::1")[version == 6], 1080)
    return f"PROXY TCP{version} {host} {there} {port} {its_port}\r\n".encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2_raw(command, transport, block, length=None):
    """Version 2 with a block of any bytes."""
    return SIGNATURE + struct.pack("!BBH", command, transport, len(block) if length is None else length) + block


def v2(source, destination=None, *, command=PROXY, tlvs=b""):
    """Version 2 for a client at (host, port)."""
    host, port = source
    address = ipaddress.ip_address(host)
    there, its_port = destination or (("127.0.0.1", "::1")[address.version == 6], 1080)
    block = address.packed + ipaddress.ip_address(there).packed + struct.pack("!HH", port, its_port)
    return v2_raw(command, TCP4 if address.version == 4 else TCP6, block + tlvs)
