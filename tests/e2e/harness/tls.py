"""TLS for a Wire, client or server; certificates of tests/tls, and others made as they are needed.

The certificates of tests/tls/make: their names say what is wrong with them. `server` is for server.test, *.wild.test,
127.0.0.1 and ::1; `second` for other.test; `alice` is a client; the common name is the file's name.
"""

import errno
import pathlib
import socket
import ssl
import subprocess
import threading

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "tls"
NAME = "server.test"
LEVELS = {"tlsv1.2": ssl.TLSVersion.TLSv1_2, "tlsv1.3": ssl.TLSVersion.TLSv1_3}
CHUNK = 1 << 16


def pem(name):
    return FOLDER / f"{name}.pem"


def key(name):
    return FOLDER / f"{name}.key"


def crl(name):
    return FOLDER / f"{name}.crl"


def own(name):
    """The keys of a section with this certificate."""
    return {"certificate": pem(name), "private_key": key(name)}


def keys(name="server", security="negotiated", **more):
    """The keys of a listener with TLS."""
    return {"security": security, **own(name), **more}


def make_certificate(folder, *, days=2, names=(NAME,), addresses=("127.0.0.1", "::1")):
    """A self-signed certificate, in `folder` as key.pem, certificate.pem, and both.pem with both."""
    files = key_file, certificate, both = [folder / name for name in ("key.pem", "certificate.pem", "both.pem")]
    others = ",".join([f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses])
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                    str(days), "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={others}",
                    "-keyout", key_file, "-out", certificate], check=True, capture_output=True, stdin=subprocess.DEVNULL)  # fmt: skip
    both.write_bytes(key_file.read_bytes() + certificate.read_bytes())
    return files


def client_context(authority="root", *, certificate=None, level=None, alpn=(), suites=None):
    """`authority`: a name or a path; None: everything is believed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        context.load_verify_locations(pem(authority) if isinstance(authority, str) else authority)
    if certificate:
        context.load_cert_chain(pem(certificate), key(certificate))
    return _settle(context, level, alpn, suites)


def server_context(certificate="server", *, authority=None, level=None, alpn=(), suites=None):
    """`authority`: clients have to show a certificate of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem(certificate), key(certificate))
    if authority:
        context.load_verify_locations(pem(authority))
        context.verify_mode = ssl.CERT_REQUIRED
    return _settle(context, level, alpn, suites)


def _settle(context, level, alpn, suites):
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF  # which would call a cut an end
    if level:
        context.minimum_version = context.maximum_version = LEVELS[level]
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if suites:
        context.set_ciphers(suites)
    return context


class Cut(ConnectionError):
    """The peer's end without close_notify."""


class TlsSocket:
    """What a Wire needs of a socket. Unlike ssl.SSLSocket it can end one direction, tells a cut from an end, and may be
    read and written by two threads. shutdown() sends close_notify; `cut`: it does not."""

    def __init__(self, sock, context, *, name=None, server=False, session=None, pieces=None):
        self.sock, self.pieces = sock, pieces
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server, name, session)
        self.lock, self.sending = threading.Lock(), threading.Lock()
        self.early = b""
        self.step(self.tls.do_handshake)

    def __getattr__(self, name):  # settimeout, getsockname, fileno, close ...
        return getattr(self.sock, name)

    def flush(self):
        with self.sending:
            with self.lock:
                data = self.outgoing.read()
            for at in range(0, len(data), self.pieces or len(data) or 1):
                self.sock.sendall(data[at : at + (self.pieces or len(data))])

    def step(self, action, *arguments):
        """One thing to do with the library; waits for the peer as long as it has to."""
        while True:
            try:
                with self.lock:
                    result = action(*arguments)
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(CHUNK)
                with self.lock:
                    self.incoming.write(data) if data else self.incoming.write_eof()
            except ssl.SSLEOFError:
                raise Cut("cut") from None
            except ssl.SSLError as error:
                if error.reason == "UNEXPECTED_EOF_WHILE_READING":
                    raise Cut("cut") from None
                self.flush()  # an alert
                raise
            else:
                self.flush()
                return result

    def sendall(self, data):
        data = memoryview(data)
        for at in range(0, len(data), CHUNK):
            with self.lock:
                self.tls.write(data[at : at + CHUNK])
            self.flush()

    send = sendall

    def recv(self, count):
        if self.early:
            data, self.early = self.early[:count], self.early[count:]
            return data
        try:
            return self.step(self.tls.read, count)
        except ssl.SSLZeroReturnError:
            return b""

    def shutdown(self, how=socket.SHUT_WR):
        """OpenSSL wants no data to be waiting when it sends close_notify."""
        with self.lock:
            try:
                while data := self.tls.read(CHUNK):
                    self.early += data
            except ssl.SSLError:
                pass
            try:
                self.tls.unwrap()
            except (ssl.SSLError, OSError):
                pass
        self.flush()
        self.sock.shutdown(how)

    def cut(self):
        """Ends our direction without a word."""
        self.sock.shutdown(socket.SHUT_WR)


def secure(wire, context, **more):
    """From here on the wire speaks TLS."""
    wire.sock = TlsSocket(wire.sock, context, **more)
    return wire


def refusal_in_handshake(wire, context, **more):
    """As refusal(), of a server that says nothing when all is well. In TLS 1.3 its refusal comes too late."""
    return refusal(wire, context, listen=False, **more)


def refusal(wire, context, listen=True, **more):
    """How a handshake fails: the alert's name as OpenSSL has it, "cut", "reset", or None if it does not."""
    try:
        secure(wire, context, **more)
        if listen:
            wire.sock.recv(1)  # in TLS 1.3 a server's refusal comes late
    except ssl.SSLError as error:
        return error.reason or type(error).__name__
    except Cut:
        return "cut"
    except ConnectionResetError:
        return "reset"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return None
