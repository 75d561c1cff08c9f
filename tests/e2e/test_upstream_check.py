"""Health checks: their steps against real servers, and what a pool does with a server that fails them."""

import smtplib

import pytest

from harness import tls, wait
from harness.dns import Scripted
from harness.proxies import Dante, Microsocks, Program, Script, Tinyproxy, read_request5
from harness.wire import endpoint

SMTP = ["expect 220", r"send HELO check.test\r\n", "expect 250", r"send QUIT\r\n", "expect 221"]


class Smtp(Program):
    """aiosmtpd, a real SMTP server; its log has the commands."""

    def __init__(self, folder, program, port=None):
        self.wanted = port
        super().__init__(folder, program)

    def command(self):
        self.port = self.wanted or self.port
        self.address = (self.host, self.port)
        return ["-m", "aiosmtpd", "-n", "-d", "-l", f"127.0.0.1:{self.port}"]


@pytest.fixture
def smtp(keep, tmp_path):
    folders = iter(range(9))
    return lambda port=None: keep(Smtp(tmp_path / f"smtp{next(folders)}", "/usr/bin/python3", port))


def news(daemon, server, word, count=1):
    """Waits for the news that a server is `not used` or `good again`."""

    def found():
        return [r for r in daemon.records(event="check") if f"{server} is {word}" in r["message"]]

    wait.until(lambda: len(found()) >= count, lambda: f"{server} {word}: {daemon.story()}")
    return found()[count - 1]["message"]


def test_smtp_dialogue_with_a_real_server(pairsocks, keep, smtp):
    """The script of the sources: 220, HELO, 250, QUIT, 221, each only after the one before."""
    server = smtp()
    rude = keep(Script(lambda wire: wire.send(b"554 go away\r\n")))
    mute = keep(Script(lambda wire: wire.send(b"220 hello\r\n")))
    servers = ", ".join(map(endpoint, (server.address, rude.address, mute.address)))
    daemon = pairsocks(upstreams={"mail": {"type": "socks5", "server": servers, "check_interval": "100ms", "check": SMTP,
                                           "connect_timeout": "3s"}})  # fmt: skip
    assert "no answer in time at `check = expect 220`" in news(daemon, rude, "not used")
    assert "no answer in time at `check = expect 250`" in news(daemon, mute, "not used")
    wait.until(lambda: server.log.read_text().count("QUIT") >= 3, "three rounds")
    text = server.log.read_text()
    assert text.index("HELO check.test") < text.index("QUIT")
    assert not [r for r in daemon.records(event="check") if str(server) in r["message"]]
    with smtplib.SMTP(*server.address) as client:  # it is one indeed
        assert client.ehlo()[0] == 250
    server.kill()
    assert "system.connect.refused" in news(daemon, server, "not used")
    smtp(server.port)
    news(daemon, server, "good again")


def test_server_that_fails_its_check_is_left_alone_until_it_is_good_again(pairsocks, keep, dial):
    def grant(wire):
        read_request5(wire)
        wire.send(b"\x05\0\0\x01" + bytes(6))

    def refuse(wire):
        wire.read(3)
        wire.send(b"\x05\xff")

    first, second = keep(Script(refuse)), keep(Script(grant))
    upstreams = {"pool": {"type": "socks5", "server": f"{first}, {second}", "check_interval": "100ms", "check": "socks"}}
    daemon = pairsocks(route="pool", upstreams=upstreams)

    def peer():
        client = dial(daemon)
        assert client.negotiate("socks5", "target.test", 80).code == 0
        client.close()
        return daemon.session(client)["upstream_peer"]

    assert "another answer at `check = socks`" in news(daemon, first, "not used")
    assert [peer() for _ in range(3)] == [str(second)] * 3
    daemon.reload()
    assert peer() == str(second)
    first.script = grant
    news(daemon, first, "good again")
    assert peer() == str(first)


def test_socks_checks_of_real_proxies_also_through_others_and_tls(pairsocks, keep, program, tmp_path, dial):
    login = ("alice", "secret")
    dante = keep(Dante(tmp_path / "dante", program("danted")))
    locked = keep(Microsocks(tmp_path / "microsocks", program("microsocks"), login))
    web = keep(Tinyproxy(tmp_path / "tinyproxy", program("tinyproxy")))
    secure = keep(Script(lambda wire: (wire.read(3), wire.send(b"\x05\0")), context=tls.server_context()))
    dns = keep(Scripted())
    dns.name("locked.test", a=["127.0.0.1"])
    common = {"check_interval": "100ms", "check": "socks", "connect_timeout": "5s"}
    user = {"user": login[0], "password": login[1]}
    secured = {"security": "negotiated", "server": str(secure), "type": "socks5"}
    trusted = {**secured, "authority": tls.pem("root")}
    daemon = pairsocks(daemon={"nameserver": dns.nameserver}, upstreams={
        "dante4": {"type": "socks4", "server": str(dante), **common},
        "dante5": {"type": "socks5", "server": str(dante), **common},
        "locked": {"type": "socks5", "server": str(locked), **user, **common},
        "wrong": {"type": "socks5", "server": str(locked), "user": "alice", "password": "wrong", **common},
        "web": {"type": "http", "server": str(web), **common},
        "behind": {"type": "socks5", "server": f"locked.test:{locked.port}", "via": "dante4", **user, **common},
        "lost": {"type": "socks5", "server": "gone.test:1", "via": "dante4", **common},
        "secure": {**trusted, **common, "check": ["connect", "tls", "socks"]},
        "tls": {**trusted, **common, "check": "tls"},
        "false": {**trusted, **common, "check": "tls", "peer_name": "other.test"},
    })  # fmt: skip
    bad = {"wrong": "another answer at `check = socks`", "lost": "resolver.name.not-found",
           "false": "tls.certificate.name-mismatch"}  # fmt: skip
    for name, why in bad.items():
        wait.until(lambda: any(f"[upstream {name}]" in r["message"] and why in r["message"]
                               for r in daemon.records(event="check")), daemon.story)  # fmt: skip
    seen = secure.seen
    wait.until(lambda: secure.seen > seen + 9, "three rounds more")
    told = [r["message"] for r in daemon.records(event="check")]
    assert len(told) == len(bad), told


def test_reload_that_ends_the_checks_forgets_what_they_found(pairsocks, keep, dial):
    server = keep(Script(lambda wire: (read_request5(wire), wire.send(b"\x05\0\0\x01" + bytes(6)))))
    other = keep(Script(lambda wire: (read_request5(wire), wire.send(b"\x05\0\0\x01" + bytes(6)))))
    keys = {"type": "socks5", "server": f"{server}, {other}"}
    checks = {"check_interval": "100ms", "check": "expect x", "connect_timeout": "200ms"}
    daemon = pairsocks(route="pool", upstreams={"pool": {**keys, **checks}})
    news(daemon, server, "not used")
    path = daemon.folder / "pairsocks.ini"
    text = path.read_text()
    for key, value in checks.items():
        text = text.replace(f"{key} = {value}\n", "")
    path.write_text(text)
    daemon.reload()
    client = dial(daemon)
    assert client.negotiate("socks5", "target.test", 80).code == 0
    client.close()
    assert daemon.session(client)["upstream_peer"] == str(server)
