"""BIND, straight: the port that is opened, who is taken at it, and how the waiting ends."""

import ipaddress
import os
import pathlib
import socket
import subprocess

import pytest

from harness import tls, wait
from harness.bind import come, open_port, refused, stand
from harness.dns import Scripted
from harness.netns import Namespace
from harness.socks import BIND, Client
from harness.targets import bound, same_port
from harness.tcp_table import listeners
from harness.wire import Wire

SPELLINGS = [("socks4", "127.0.0.1"), ("socks4a", "peer.test"), ("socks5", "127.0.0.1"), ("socks5", "::1"),
             ("socks5", "peer.test"), ("socks5", "six.test"), ("socks5", "::ffff:127.0.0.1")]  # fmt: skip
VERSIONS = ("socks4", "socks5")
NOBODY = {"socks4": "0.0.0.0", "socks5": "::"}
BLOB = os.urandom(1 << 20)


@pytest.fixture
def dns(keep):
    dns = keep(Scripted())
    dns.name("peer.test", a=["127.0.0.1"], aaaa=["::1"])
    dns.name("six.test", aaaa=["::1"])
    dns.name("four.test", a=["127.0.0.2", "127.0.0.3"])
    return dns


def closed(port):
    wait.until(lambda: not listeners(port), f"port {port} to be closed")


def ended(daemon, client, error):
    session = daemon.session(client)
    assert (session["command"], session["error"]) == ("bind", error)
    return session


def test_both_versions_take_the_named_peer_and_are_sessions_like_any_other(pairsocks, dns, dial, keep):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    dns.name("peer.test", a=["127.0.0.1"])
    for protocol, host in SPELLINGS:
        client = dial(daemon)
        address = open_port(client, protocol, host, 21)
        assert address[0] == ("::1" if host in ("::1", "six.test") else "127.0.0.1")
        client.send(b"early")  # the peer is not there yet
        peer = keep(come(address))
        peer.send(b"at once")
        assert client.read_reply(protocol)[1:] == peer.local_address
        assert (client.read(7), peer.read(5)) == (b"at once", b"early")
        closed(address[1])
        for one, other in ((client, peer), (peer, client)):
            one.send(BLOB)
            assert other.read(len(BLOB)) == BLOB
        peer.finish()
        client.expect_end()
        client.send(b"still")
        client.finish()
        assert peer.read_to_end() == b"still"
        session = ended(daemon, client, "none")
        shown = f"[{host}]" if ":" in host else host
        assert (session["protocol"], session["target"], session["address"]) == (protocol, f"{shown}:21", peer.local)
        assert (session["sent"], session["received"]) == (str(len(BLOB) + 10), str(len(BLOB) + 7))
        assert session["route"] == "direct"


def test_another_peer_is_refused_and_all_is_closed(pairsocks, dns, dial, keep):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    for protocol, host in (("socks4", "127.0.0.1"), ("socks4a", "four.test"), ("socks5", "127.0.0.1"), ("socks5", "four.test")):
        client = dial(daemon)
        address = open_port(client, protocol, host)
        client.send(b"for the peer alone")
        peer = keep(come(address, source="127.0.0.9"))
        refused(client, protocol, 2, None)
        with pytest.raises((AssertionError, ConnectionResetError)):
            peer.read(1)
        closed(address[1])
        assert ended(daemon, client, "policy.bind.other-peer")["address"] == peer.local


def test_every_address_of_a_name_is_the_peers(pairsocks, dns, dial, keep):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    for source in ("127.0.0.2", "127.0.0.3"):
        for protocol in ("socks4a", "socks5"):
            keep(stand(dial(daemon), protocol, "four.test", source=source))


def test_a_name_that_leads_to_nobody_has_the_reply_of_a_connect(pairsocks, dns, dial):
    daemon = pairsocks(daemon={"nameserver": dns.nameserver})
    cases = [("socks5", "nowhere.test", "resolver.name.not-found"), ("socks4a", "nowhere.test", "resolver.name.not-found"),
             ("socks4a", "six.test", "resolver.name.no-address"), ("socks5", b"127.1", "resolver.name.invalid"),
             ("socks4a", "::1", "resolver.name.no-address")]  # fmt: skip
    for protocol, host, error in cases:
        client = dial(daemon)
        refused(client, protocol, 4, host)
        ended(daemon, client, error)


def test_who_names_nobody_takes_whom_the_rules_allow(pairsocks, dial, keep):
    daemon = pairsocks(rules={"no": {"action": "deny", "command": "bind", "destination": "127.0.0.9"}})
    for protocol, host in (("socks4", "0.0.0.0"), ("socks5", "0.0.0.0"), ("socks5", "::")):
        keep(stand(dial(daemon), protocol, host, source="127.0.0.7"))
        client = dial(daemon)
        keep(come(open_port(client, protocol, host), source="127.0.0.9"))
        refused(client, protocol, 2, None)
        session = ended(daemon, client, "policy.rule.denied")
        assert session["rule"] == "no" and session["address"].startswith("127.0.0.9:")
    six = dial(daemon, version=6)
    assert open_port(six, "socks5", "0.0.0.0")[0] == "::1"  # where the client has found us


def test_the_wait_ends_after_bind_timeout(pairsocks, dial):
    daemon = pairsocks(bind_timeout="300ms", half_close_timeout="100ms", idle_timeout="100ms")
    clients = [(dial(daemon), protocol) for protocol in VERSIONS]
    ports = [open_port(client, protocol, "127.0.0.1")[1] for client, protocol in clients]
    for client, protocol in clients:
        refused(client, protocol, 6, None)
        assert int(ended(daemon, client, "timeout.bind")["duration_ms"]) >= 300
    for port in ports:
        closed(port)


def test_the_port_goes_with_its_client(daemon, dial):
    before = daemon.descriptors()
    for leave in (Client.close, Client.reset):
        for protocol in VERSIONS:
            client = dial(daemon)
            port = open_port(client, protocol, "127.0.0.1")[1]
            leave(client)
            closed(port)
            ended(daemon, client, "client.gone")
    client = dial(daemon)
    port = open_port(client, "socks5", "127.0.0.1")[1]
    client.send(b"x")
    client.reset()
    closed(port)
    ended(daemon, client, "client.gone")
    for _ in range(100):
        with Client.open(daemon.address()) as client:
            open_port(client, "socks5", "127.0.0.1")
    wait.until(lambda: daemon.descriptors() <= before, lambda: f"{daemon.descriptors()} descriptors, {before} before")


def test_a_client_that_has_said_all_still_hears_the_answer(daemon, dial, keep):
    """Its message waits, with its end behind it, whether they came before the first reply or after it."""
    for with_request in (True, False):
        client = dial(daemon)
        client.greet5()
        request = b"\x05\x02\x00\x01\x7f\x00\x00\x01\x00\x00"
        client.send(request + b"question" if with_request else request)
        if with_request:
            client.finish()
        reply = client.read_reply5()
        if not with_request:
            client.send(b"question")
            client.finish()
        peer = keep(come((reply.host, reply.port)))
        assert peer.read_to_end() == b"question"
        peer.send(b"answer")
        peer.close()
        assert client.read_reply5().code == 0
        assert client.read_to_end() == b"answer"
        ended(daemon, client, "none")


def test_early_bytes_are_bounded_and_none_is_lost(daemon, dial, keep):
    client = dial(daemon)
    address = open_port(client, "socks5", "127.0.0.1")
    sent = client.push(64 << 20, stall=0.2)
    assert 0 < sent < 64 << 20
    peer = keep(come(address))
    assert client.read_reply5().code == 0
    assert peer.read(sent) == bytes(sent)


def test_where_bind_is_off_the_command_is_not_supported(pairsocks, dial):
    daemon = pairsocks(listeners={"off": {"listen": "127.0.0.1:0", "bind": "no"},
                                  "out": {"listen": "0.0.0.0:0", "allow": "127.0.0.0/8"},
                                  "on": {"listen": "0.0.0.0:0", "allow": "127.0.0.0/8", "bind": "yes", "guard": "no"}})  # fmt: skip
    for listener in ("off", "out"):
        for protocol in ("socks4", "socks4a", "socks5"):
            client = dial(daemon, address=("127.0.0.1", daemon.address(listener=listener)[1]))
            refused(client, protocol, 7, "127.0.0.1", 80)
            ended(daemon, client, "protocol.command.unsupported")
    open_port(dial(daemon, address=("127.0.0.1", daemon.address(listener="on")[1])), "socks5", "127.0.0.1")


@pytest.fixture
def inside(keep):
    """A network of its own in which 192.0.2.1 and 2001:db8::1 are ours, each in its net, and nothing else is."""
    inside = keep(Namespace())
    inside.ip("addr add 192.0.2.1/24 dev lo")
    inside.ip("-6 addr add 2001:db8::1/64 dev lo nodad")
    return inside


def test_the_address_faces_the_peer_or_is_bind_address(launch, inside, keep, tmp_path):
    log = tmp_path / "log"
    text = (f"[daemon]\nlog_target = file:{log}\n[listener main]\nlisten = 127.0.0.1:0\n"
            "[listener fixed]\nlisten = 127.0.0.1:0\nbind_address = 127.0.0.9\n"
            "[listener routed]\nlisten = 127.0.0.1:0\nbind_address = 127.0.0.9\nroute = out\n"
            "[listener lost]\nlisten = 127.0.0.1:0\nbind_address = 203.0.113.1\n"
            "[upstream out]\ntype = direct\nbind_address = 192.0.2.1\n")  # fmt: skip
    daemon = launch(text, log_path=log, prefix=inside.prefix).ready()

    def ask(protocol, host, listener="main"):
        client = keep(Client.open(daemon.address(listener=listener), make_socket=inside.make_socket))
        return client.negotiate(protocol, host, 0, command=BIND)[:2]

    assert ask("socks4", "192.0.2.7") == (90, "192.0.2.1")
    assert ask("socks5", "192.0.2.7") == (0, "192.0.2.1")
    assert ask("socks5", "2001:db8::7") == (0, "2001:db8::1")
    assert ask("socks5", "203.0.113.7") == (3, "0.0.0.0")
    assert ask("socks4", "203.0.113.7") == (91, "0.0.0.0")
    assert ask("socks5", "192.0.2.7", "fixed") == (0, "127.0.0.9")
    assert ask("socks5", "2001:db8::7", "fixed") == (3, "0.0.0.0")
    assert ask("socks5", "0.0.0.0", "fixed") == (0, "127.0.0.9")
    assert ask("socks5", "192.0.2.7", "lost") == (1, "0.0.0.0")
    assert ask("socks4", "192.0.2.7", "lost") == (91, "0.0.0.0")
    assert ask("socks5", "127.0.0.1", "routed") == (0, "192.0.2.1")


def test_ports_come_from_bind_ports_until_none_is_left(pairsocks, dial, keep):
    sockets = [keep(bound()) for _ in range(5)]
    ports = [sock.getsockname()[1] for sock in sockets]
    daemon = pairsocks(bind_ports=", ".join(map(str, ports)))
    for sock in sockets[1:]:
        sock.close()  # the first stays taken
    sockets[0].listen()
    clients = [dial(daemon) for _ in ports[1:]]
    addresses = [open_port(client, "socks5", "127.0.0.1") for client in clients]
    assert {port for _, port in addresses} == set(ports[1:])
    for protocol in VERSIONS:
        client = dial(daemon)
        refused(client, protocol, 1)
        ended(daemon, client, "policy.limit.bind-ports")
    peer = keep(come(addresses[0]))
    assert clients[0].read_reply5().code == 0
    again = dial(daemon)  # the port is free as soon as somebody has come, though the session goes on
    assert open_port(again, "socks5", "127.0.0.1") == addresses[0]
    other = keep(come(addresses[0]))
    assert again.read_reply5().code == 0
    for client, wire, word in ((clients[0], peer, b"one"), (again, other, b"two")):
        client.send(word)
        assert wire.read(3) == word


def test_the_order_of_bind_ports_cannot_be_foreseen(pairsocks, dial):
    daemon = pairsocks(bind_ports="20000-29999")
    ports = []
    for _ in range(12):
        client = dial(daemon)
        ports.append(open_port(client, "socks5", "127.0.0.1")[1])
        client.reset()
    assert all(20000 <= port <= 29999 for port in ports)
    assert len({b - a for a, b in zip(ports, ports[1:])}) > 3


def test_sessions_that_wait_for_their_peer_count(pairsocks, dial, keep):
    daemon = pairsocks(daemon={"workers": 1}, max_connections=3, max_per_host=2)
    waiting = [dial(daemon) for _ in range(2)]
    ports = [open_port(client, "socks5", "127.0.0.1")[1] for client in waiting]
    third = dial(daemon)
    third.expect_closed()
    assert daemon.session(third)["error"] == "policy.limit.host"
    elsewhere = dial(daemon, source="127.0.0.2")
    open_port(elsewhere, "socks5", "127.0.0.1")
    last = keep(Client.open(daemon.address(), source="127.0.0.3"))
    last.send(b"\x05\x01\x00")
    assert last.is_quiet(0.1)  # not accepted yet
    waiting[0].close()
    assert last.read(2) == b"\x05\x00"
    keep(come(("127.0.0.1", ports[1])))
    assert waiting[1].read_reply5().code == 0


def test_bind_inside_tls_and_over_a_unix_socket(pairsocks, dial_tls, keep, tmp_path):
    daemon = pairsocks(listeners={
        "main": {"listen": "127.0.0.1:0", "security": "tlsv1.3", "certificate": tls.pem("server"), "private_key": tls.key("server")},
        "unix": {"listen": f"unix:{tmp_path}/socket"}})  # fmt: skip
    secured = dial_tls(daemon)
    peer = keep(stand(secured, "socks5", "127.0.0.1"))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(f"{tmp_path}/socket")
    sock.settimeout(wait.seconds(10))
    local = keep(sock)
    local.sendall(b"\x05\x01\x00\x05\x02\x00\x01" + bytes(6))
    reply = b""
    while len(reply) < 12:
        reply += local.recv(12 - len(reply))
    assert reply[2:10] == b"\x05\x00\x00\x01\x7f\x00\x00\x01"
    keep(come(("127.0.0.1", int.from_bytes(reply[10:], "big"))))
    assert local.recv(4) == b"\x05\x00\x00\x01"
    for one, other in ((secured, peer), (peer, secured)):
        one.send(b"x" * 50000)
        assert other.read(50000) == b"x" * 50000


def test_a_reload_leaves_an_open_port_open(pairsocks, dial, keep):
    daemon = pairsocks()
    client = dial(daemon)
    address = open_port(client, "socks5", "127.0.0.1")
    daemon.reload()
    keep(come(address))
    assert client.read_reply5().code == 0


# --- other people's programs

BIND_JS = pathlib.Path(__file__).with_name("node") / "bind.js"
ROOT = pathlib.Path(__file__).resolve().parents[2]
NODE_PATH = os.environ.get("NODE_PATH") or str(ROOT / "build" / "npm" / "node_modules")  # ./dev deps fills it


def test_the_npm_package_socks_binds(daemon, program, keep):
    for version, host in ((4, "127.0.0.1"), (5, "127.0.0.1"), (5, "localhost"), (5, "0.0.0.0")):
        with subprocess.Popen(
            [program("node"), BIND_JS, *map(str, (*daemon.address(), version, host))], env={**os.environ, "NODE_PATH": NODE_PATH},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        ) as node:  # fmt: skip
            where, port = node.stdout.readline().split()
            peer = keep(Wire.open((where.decode(), int(port))))
            host, port = node.stdout.readline().decode().split()
            assert (str(ipaddress.ip_address(host)), int(port)) == peer.local_address
            peer.send(b"hello\n")
            assert node.stdout.readline() == b"hello\n"
            node.stdin.write(b"and back")
            node.stdin.close()
            assert peer.read_to_end() == b"and back"
            peer.close()
            assert node.wait(wait.seconds(10)) == 0


FTP_SERVER = """
import sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(sys.argv[1], perm="elradfmw")
server = FTPServer(("192.0.2.1", 0), FTPHandler)
print(server.address[1], flush=True)
server.serve_forever()
"""


@pytest.mark.parametrize("version", [4, 5])
def test_ftp_in_its_active_mode(launch, inside, program, tmp_path, version):
    """tnftp -A under dante's socksify: control by CONNECT, each transfer by a BIND; both ways, and a listing."""
    folder, home, log = tmp_path / "ftp", tmp_path / "client", tmp_path / "log"
    folder.mkdir()
    home.mkdir()
    (folder / "server.bin").write_bytes(BLOB)
    (home / "client.bin").write_bytes(BLOB[::-1])
    daemon = launch(f"[daemon]\nlog_target = file:{log}\n[listener main]\nlisten = 192.0.2.1:0\nallow = 192.0.2.1\n"
                    "bind = yes\nguard = no\n", log_path=log, prefix=inside.prefix).ready()  # fmt: skip
    (home / "socks.conf").write_text(
        f"logoutput: {home}/socks.log\nroute {{\n from: 0/0 to: 0/0 via: 192.0.2.1 port = {daemon.address()[1]}\n"
        f" proxyprotocol: socks_v{version}\n command: connect bind\n method: none\n}}\n")  # fmt: skip
    environment = {**os.environ, "SOCKS_CONF": f"{home}/socks.conf", "HOME": str(home), "SOCKS_AUTOADD_LANROUTES": "no"}
    with subprocess.Popen(
        [*inside.prefix, "setpriv", "--pdeathsig", "KILL", "/usr/bin/python3", "-c", FTP_SERVER, folder],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:  # fmt: skip
        try:
            port = int(server.stdout.readline())
            done = subprocess.run(
                [*inside.prefix, program("socksify"), program("tnftp"), "-n", "-A", "192.0.2.1", str(port)],
                input=b"user anonymous x\nbinary\nls\nget server.bin\nput client.bin\nquit\n", cwd=home, capture_output=True,
                timeout=wait.seconds(20), env=environment)
        finally:
            server.kill()
    assert done.returncode == 0, done
    assert b"server.bin" in done.stdout, done
    assert (home / "server.bin").read_bytes() == BLOB
    assert (folder / "client.bin").read_bytes() == BLOB[::-1]
    daemon.wait_for(3, event="session", command="bind", error="none", protocol=f"socks{version}")
    daemon.wait_for(event="session", command="connect", target=f"192.0.2.1:{port}", error="none")
