"""curl, with each of its SOCKS options, over IPv4 and IPv6, up and down."""

import random
import subprocess

import pytest

from harness import wait
from harness.dns import Dnsmasq
from harness.targets import Refusing, Web
from harness.wire import endpoint

BLOB = random.Random(3).randbytes(3 << 20)
OPTIONS = ["--socks4", "--socks4a", "--socks5", "--socks5-hostname"]
PROTOCOL = {"--socks4": "socks4", "--socks4a": "socks4a", "--socks5": "socks5", "--socks5-hostname": "socks5"}
BY_NAME = ["--socks4a", "--socks5-hostname"]


@pytest.fixture
def curl(program, tmp_path):
    """curl(*arguments): runs it; what it got is in `body`."""
    path = program("curl")

    def run(*arguments):
        out = tmp_path / "body"
        done = subprocess.run(
            [path, "-q", "-sS", "--noproxy", "", "--max-time", f"{wait.seconds(20):.0f}", "-o", str(out), *arguments],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=wait.seconds(30))
        done.body = out.read_bytes() if out.exists() else b""
        return done

    return run


def fetch(curl, option, proxy, url, *more):
    done = curl(option, endpoint(proxy), url, *more)
    assert done.returncode == 0, done.stderr
    return done.body


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("option", OPTIONS)
def test_curl_gets_a_file_from_an_ipv4_address(daemon, curl, keep, option, version):
    web = keep(Web(BLOB))
    assert fetch(curl, option, daemon.address(version), web.url) == BLOB
    assert daemon.wait_for(event="session")["protocol"] in (PROTOCOL[option], "socks4")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("option", ["--socks5", "--socks5-hostname"])
def test_curl_gets_a_file_from_an_ipv6_address(daemon, curl, keep, option, version):
    web = keep(Web(BLOB, "::1"))
    assert fetch(curl, option, daemon.address(version), web.url) == BLOB


@pytest.mark.parametrize("option", OPTIONS)
def test_curl_puts_a_file(daemon, curl, keep, tmp_path, option):
    web = keep(Web(BLOB))
    (tmp_path / "blob").write_bytes(BLOB)
    assert fetch(curl, option, daemon.address(), web.url + "up", "-T", str(tmp_path / "blob")) == b"stored\n"
    assert web.uploads == [BLOB]


@pytest.fixture
def named(pairsocks, keep, program, tmp_path):
    """A daemon that knows web.test (both families) through dnsmasq; curl does not."""
    dns = keep(Dnsmasq(tmp_path / "dns", program("dnsmasq"), ["host-record=web.test,127.0.0.1,::1", "host-record=six.test,::1"]))
    return pairsocks(daemon={"nameserver": dns.nameserver})


@pytest.mark.parametrize("option", BY_NAME)
def test_curl_lets_the_proxy_resolve_a_name(named, curl, keep, option):
    web = keep(Web(BLOB))
    assert fetch(curl, option, named.address(), f"http://web.test:{web.port}/") == BLOB
    session = named.wait_for(event="session", protocol=PROTOCOL[option])
    assert (session["target"], session["address"]) == (f"web.test:{web.port}", f"127.0.0.1:{web.port}")


def test_curl_reaches_an_ipv6_only_name_by_socks5_hostname(named, curl, keep):
    web = keep(Web(BLOB, "::1"))
    assert fetch(curl, "--socks5-hostname", named.address(), f"http://six.test:{web.port}/") == BLOB


@pytest.mark.parametrize("option", ["--socks4", "--socks5"])
def test_curl_resolves_localhost_itself(daemon, curl, keep, option):
    web = keep(Web(BLOB))
    assert fetch(curl, option, daemon.address(), f"http://localhost:{web.port}/", "-4") == BLOB
    assert daemon.wait_for(event="session")["target"] == f"127.0.0.1:{web.port}"


@pytest.mark.parametrize("option", OPTIONS)
def test_curl_is_told_that_the_target_refuses(daemon, curl, keep, option):
    target = keep(Refusing())
    done = curl(option, endpoint(daemon.address()), f"http://127.0.0.1:{target.port}/")
    assert done.returncode == 97, done.stderr  # CURLE_PROXY
    assert ("(5)" if "5" in option else "request rejected or failed") in done.stderr
    assert daemon.wait_for(event="session")["error"] == "system.connect.refused"


@pytest.mark.parametrize("option", BY_NAME)
def test_curl_is_told_that_a_name_does_not_exist(named, curl, option):
    done = curl(option, endpoint(named.address()), "http://nowhere.test/")
    assert done.returncode == 97, done.stderr
    assert named.wait_for(event="session")["error"] == "resolver.name.not-found"


def test_curl_that_offers_a_password_too_is_served_without(daemon, curl, keep):
    """It offers methods 0 and 2; we take 0."""
    web = keep(Web(b"ok"))
    proxy = endpoint(daemon.address())
    done = curl("-x", f"socks5h://user:password@{proxy}", web.url)
    assert (done.returncode, done.body) == (0, b"ok")


def test_curl_that_wants_it_to_fetch_is_told_what_it_is(daemon, curl, keep):
    web = keep(Web(b"ok"))
    done = curl("-x", f"http://{endpoint(daemon.address())}", "-w", "%{http_code}", web.url)
    assert (done.returncode, done.stdout) == (0, "405") and b"CONNECT" in done.body
    assert daemon.wait_for(event="session")["error"] == "protocol.command.unsupported"


def test_curl_through_http_connect(daemon, curl, keep):
    web = keep(Web(BLOB))
    done = curl("--proxytunnel", "-x", f"http://{endpoint(daemon.address())}", web.url)
    assert done.body == BLOB, done.stderr
    assert daemon.wait_for(event="session")["protocol"] == "http"
