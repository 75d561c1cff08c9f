"""The files of examples/ that speak TLS or go through other proxies, as test_examples.py runs them."""

import subprocess

import pytest

from harness import tls, wait
from harness.machine import COMMAND
from harness.proxy_protocol import SIGNATURE
from harness.targets import Echo
from harness.wire import Wire
from test_examples import DENIED, HERE, PAGE, WORLD, commands, machine, serve, start, web  # noqa: F401 - fixtures among them


# --- tunnel-near.ini and tunnel-far.ini


@pytest.fixture
def tunnel(machine, start, tmp_path):
    """Both ends. `.certificates`: the folder with what openssl has made."""
    folder = tmp_path / "tunnel"
    folder.mkdir()
    lines, _ = commands("tunnel-far.ini")
    assert len(lines) == 3
    for line in lines:
        script = line.replace("\\\n#", "\\\n")
        done = subprocess.run(["sh", "-ec", script], cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
    for name in "tunnel-ca.pem", "near.pem", "near.key", "far.pem", "far.key":
        machine.write(f"/etc/pairsocks/{name}", (folder / name).read_text())
    machine.knows(far_example_net=HERE)
    near = start("tunnel-near.ini")
    near.far = start("tunnel-far.ini")
    near.certificates = folder
    return near


def test_tunnel_a_page_comes_through_both_ends(machine, tunnel, web):
    assert machine.curl("--socks5-hostname", "localhost:1080", *web.trust, "https://example.org/") == PAGE
    near, far = tunnel.wait_for(event="session"), tunnel.far.wait_for(event="session")
    assert (near["upstream"], near["error"], near["target"]) == ("far", "none", "example.org:443")
    assert near["address"] == f"{HERE}:1443"  # the name was not resolved here
    assert (far["user"], far["target"], far["address"]) == ("cert:near", "example.org:443", f"{WORLD}:443")


def test_tunnel_the_far_end_wants_our_certificate_and_tls_1_3(machine, tunnel, tmp_path):
    folder = tunnel.certificates
    authority = folder / "tunnel-ca.pem"

    def knock(context):
        return tls.refusal(machine.client((HERE, 1443)), context, name="far.example.net")

    assert "CERTIFICATE_REQUIRED" in knock(tls.client_context(authority))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    context = tls.client_context(authority)
    context.load_cert_chain(tls.make_certificate(stranger)[2])
    assert "UNKNOWN_CA" in knock(context) or "BAD_CERTIFICATE" in knock(context)
    ours = tls.client_context(authority)
    ours.load_cert_chain(folder / "near.pem", folder / "near.key")
    ours.maximum_version = tls.ssl.TLSVersion.TLSv1_2
    assert "PROTOCOL_VERSION" in knock(ours)
    plain = machine.client((HERE, 1443))
    plain.send(b"GET / HTTP/1.1\r\n\r\n")
    plain.read_to_end_or_reset()
    plain.close()
    assert tunnel.far.session(plain)["error"].startswith("tls.handshake.")


def test_tunnel_the_far_end_serves_the_web_and_no_private_address(machine, tunnel, keep):
    serve(machine, keep, WORLD, 22)
    machine.answers_at("10.20.30.5")
    serve(machine, keep, "10.20.30.5", 80)
    for host, port, error in (WORLD, 22, "policy.rule.denied"), ("10.20.30.5", 80, "policy.guard.denied"):
        client = machine.client(("127.0.0.1", 1080))
        assert client.negotiate("socks5", host, port).code == DENIED
        client.expect_closed()
        assert tunnel.session(client)["error"] == "socks.socks5-response.not-allowed"
        tunnel.far.wait_for(event="session", target=f"{host}:{port}", error=error)


# --- terminate.ini


@pytest.fixture
def terminating(machine, start, tmp_path):
    """terminating(...): the daemon in front of nothing yet; `machine.trust(name)`: curl's words for its certificate."""

    def run(*changes, **more):
        files = {}
        for name, names in ("example.com", ["example.com"]), ("shop", ["shop.example.com", "*.shop.example.com"]):
            folder = tmp_path / name
            folder.mkdir()
            key, certificate, _ = tls.make_certificate(folder, names=names, days=90)
            machine.write(f"/etc/pairsocks/{name}.key", key.read_text())
            machine.write(f"/etc/pairsocks/{name}.pem", certificate.read_text())
            files[name] = certificate
        machine.trust = lambda name: ["--cacert", files[name]]
        machine.certificates = files
        machine.knows(example_com=HERE, shop_example_com=HERE, eu_shop_example_com=HERE)
        return start("terminate.ini", *changes, **more)

    return run


WITHOUT_HEADER = ("route = with-address\n", "")


@pytest.mark.parametrize("host,certificate", [("example.com", "example.com"), ("shop.example.com", "shop"),
                                              ("eu.shop.example.com", "shop")])  # fmt: skip
def test_terminate_each_name_has_its_certificate_and_the_server_speaks_plain_http(machine, terminating, host, certificate):
    terminating(WITHOUT_HEADER)  # what the comment says of a server that knows no PROXY header
    page = machine.page("127.0.0.1", 8080, PAGE)
    for version in "1.2", "1.3":
        assert machine.curl("--tls-max", version, *machine.trust(certificate), f"https://{host}/") == PAGE
    assert len(page.peers) == 2
    other = "shop" if certificate == "example.com" else "example.com"
    assert machine.curl(*machine.trust(other), f"https://{host}/") == 60  # CURLE_PEER_FAILED_VERIFICATION


def test_terminate_the_server_is_told_the_clients_address(machine, terminating, keep):
    daemon = terminating()
    machine.answers_at("203.0.113.9")
    server = keep(Held(machine.bound("127.0.0.1", 8080)))
    client = machine.client((HERE, 443), source="203.0.113.9")
    context = tls.client_context(machine.certificates["example.com"], alpn=("h2", "http/1.1"))
    tls.secure(client, context, name="example.com")
    assert client.sock.tls.selected_alpn_protocol() == "http/1.1"
    client.send(b"GET")
    wire = server.accept()
    header = wire.read(28)
    assert header[:12] == SIGNATURE and header[16:20] == bytes([203, 0, 113, 9])
    assert wire.read(3) == b"GET"
    wire.finish()
    client.finish()
    assert daemon.session(client)["protocol"] == "forward"


def test_terminate_who_does_not_finish_his_handshake_goes(machine, terminating, fast_clock):
    daemon = terminating(environment=fast_clock(10))
    client = machine.client((HERE, 443))
    client.expect_closed()
    record = daemon.session(client)
    assert record["error"] in ("timeout.handshake", "tls.handshake.timeout")
    assert 5000 <= int(record["duration_ms"]) < 15000


def test_terminate_one_host_has_100_connections(machine, terminating, keep):
    daemon = terminating(WITHOUT_HEADER)
    keep(Echo(sock=machine.bound("127.0.0.1", 8080)))
    machine.answers_at("203.0.113.9")
    context = tls.client_context(machine.certificates["example.com"])
    for _ in range(100):
        tls.secure(machine.client((HERE, 443), source="203.0.113.9"), context, name="example.com")
    last = machine.client((HERE, 443), source="203.0.113.9")
    last.expect_closed()
    assert daemon.session(last)["error"] == "policy.limit.host"
    tls.secure(machine.client((HERE, 443)), context, name="example.com")  # another host's


class Held:
    """A listening socket whose connections the test takes."""

    def __init__(self, sock):
        self.sock, self.wires = sock, []
        sock.listen(16)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()
        for wire in self.wires:
            wire.close()

    def accept(self):
        self.sock.settimeout(wait.seconds(10))
        self.wires.append(Wire(self.sock.accept()[0]))
        return self.wires[-1]


# --- chain.ini

EXITS = ("203.0.113.1", "203.0.113.2")
PROXY = "192.0.2.50"
OFFICE_PROXY = f"""
[listener office]
listen = {PROXY}:3129
protocols = http
security = negotiated
certificate = /etc/proxy/certificate.pem
private_key = /etc/proxy/key.pem
auth = password
users_file = /etc/proxy/users
[rule all]
destination = 0.0.0.0/0
action = allow
"""


class Microsocks:
    """On port 1080 of an address inside."""

    def __init__(self, machine, program, host):
        self.process = subprocess.Popen([*machine.prefix, "setpriv", "--pdeathsig", "KILL", program, "-i", host, "-p", "1080"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        wait.until(lambda: connects(machine, host), f"microsocks at {host}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(wait.seconds(10))


def connects(machine, host):
    try:
        machine.client((host, 1080)).close()
        return True
    except ConnectionRefusedError:
        return False


@pytest.fixture
def chain(machine, start, keep, tmp_path, program):
    """The office's proxy (a daemon of ours, with TLS, users and a certificate that the system believes), two exits
    (microsocks), and the daemon of the example."""
    machine.answers_at(PROXY, *EXITS, "10.20.30.5", "10.20.30.6")
    machine.knows(proxy_corp_example=PROXY, exit1_example_net=EXITS[0], exit2_example_net=EXITS[1],
                  wiki_corp_example="10.20.30.6", printer="10.20.30.5")  # fmt: skip
    folder = tmp_path / "proxy"
    folder.mkdir()
    key, certificate, _ = tls.make_certificate(folder, names=["proxy.corp.example"], days=90)
    machine.write("/etc/proxy/key.pem", key.read_text())
    machine.write("/etc/proxy/certificate.pem", certificate.read_text())
    machine.write("/etc/ssl/certs/ca-certificates.crt", certificate.read_text())
    users = subprocess.run([COMMAND, "passwd", "alice"], input=b"secret", capture_output=True, check=True).stdout
    machine.write("/etc/proxy/users", users.decode())
    machine.write("/etc/pairsocks/office.password", "secret\n")
    office = machine.start("/etc/proxy/office.ini", OFFICE_PROXY)
    exits = [keep(Microsocks(machine, program("microsocks"), host)) for host in EXITS]
    daemon = start("chain.ini")
    daemon.office, daemon.exits = office, exits
    return daemon


def by_way(machine, *arguments):
    return machine.curl("--socks5-hostname", "localhost:1080", *arguments)


def test_chain_the_world_is_reached_by_the_office_and_the_first_exit(machine, chain, web):
    assert by_way(machine, *web.trust, "https://example.org/") == PAGE
    record = chain.wait_for(event="session")
    assert (record["route"], record["upstream"], record["upstream_peer"]) == ("exits", "exits", "exit1.example.net:1080")
    chain.office.wait_for(event="session", user="alice", target="exit1.example.net:1080", error="none")


def test_chain_when_the_first_exit_fails_the_second_does_it(machine, chain, web):
    chain.exits[0].__exit__()
    assert by_way(machine, *web.trust, "https://example.org/") == PAGE
    record = chain.wait_for(event="session")
    assert (record["upstream_peer"], record["error"]) == ("exit2.example.net:1080", "none")


def test_chain_both_exits_are_asked_by_way_of_the_office_unasked(chain):
    for name in "exit1", "exit2":
        chain.office.wait_for(event="session", user="alice", target=f"{name}.example.net:1080")


def test_chain_the_intranet_goes_by_the_office_alone(machine, chain):
    page = machine.page("10.20.30.6", 80, PAGE)
    assert by_way(machine, "http://wiki.corp.example/") == PAGE
    record = chain.wait_for(event="session")
    assert (record["rule"], record["route"], record["upstream"]) == ("intranet", "office", "office")
    assert len(page.peers) == 1


@pytest.mark.parametrize("host", ["printer", "10.20.30.5"])
def test_chain_near_targets_are_connected_directly(machine, chain, host):
    machine.page("10.20.30.5", 80, PAGE)
    assert by_way(machine, f"http://{host}/") == PAGE
    record = chain.wait_for(event="session")
    assert (record["upstream"], record["address"]) == ("-", "10.20.30.5:80")
    assert not [r for r in chain.office.records(event="session") if r["target"].startswith("10.20.30.5")]
