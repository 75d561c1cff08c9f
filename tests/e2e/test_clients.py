"""Other people's clients: netcat-openbsd, ncat, socat, proxychains4, ssh, and the npm package socks."""

import os
import pathlib
import pwd
import random
import subprocess

import pytest

from harness import wait
from harness.daemon import ROOT
from harness.dns import free_port
from harness.targets import Echo, Refusing, Sink, Source, Web
from harness.wire import endpoint

BLOB = random.Random(5).randbytes(1 << 20)
CLIENT_JS = pathlib.Path(__file__).with_name("node") / "client.js"
NODE_PATH = os.environ.get("NODE_PATH") or str(ROOT / "build" / "npm" / "node_modules")  # ./dev deps fills it


def run(command, data=b"", check=True, **more):
    """A client that ends by itself; its standard output."""
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True,
                          timeout=wait.seconds(30), **more)  # fmt: skip
    if check:
        assert done.returncode == 0, done.stderr
    return done.stdout


def ended_well(daemon, protocol, sent=len(BLOB), received=len(BLOB)):
    daemon.wait_for(event="session", protocol=protocol, error="none", sent=str(sent), received=str(received))


# --- netcat-openbsd


@pytest.fixture
def nc(program):
    return program("nc.openbsd")


@pytest.mark.parametrize("version,protocol", [("4", "socks4"), ("5", "socks5"), ("connect", "http")])
def test_nc_sends_and_receives_through_each_version(daemon, keep, nc, version, protocol):
    target = keep(Echo())
    proxy = endpoint(daemon.address())
    assert run([nc, "-N", "-X", version, "-x", proxy, *target.address], BLOB) == BLOB
    ended_well(daemon, protocol)


def test_nc_through_an_ipv6_listener_to_an_ipv6_target(daemon, keep, nc):
    target = keep(Echo("::1"))
    assert run([nc, "-N", "-X", "5", "-x", endpoint(daemon.address(6)), *target.address], BLOB) == BLOB


def test_nc_ends_its_direction_and_still_gets_the_answer(daemon, keep, nc):
    target = keep(Sink(lambda data: b"%d bytes" % len(data)))
    assert run([nc, "-N", "-X", "5", "-x", endpoint(daemon.address()), *target.address], BLOB) == b"%d bytes" % len(BLOB)


def test_nc_fails_where_the_target_refuses(daemon, keep, nc):
    target = keep(Refusing())
    done = subprocess.run([nc, "-X", "5", "-x", endpoint(daemon.address()), target.host, str(target.port)],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=wait.seconds(10))  # fmt: skip
    assert done.returncode == 1
    assert b"refused" in done.stderr.lower()


# --- ncat


@pytest.mark.parametrize("protocol", ["socks4", "socks5", "http"])
def test_ncat_receives_through_each_version(daemon, keep, program, protocol):
    target = keep(Source(BLOB))
    words = [program("ncat"), "--proxy", endpoint(daemon.address()), "--proxy-type", protocol, "--recv-only"]
    assert run([*words, *target.address]) == BLOB


@pytest.mark.parametrize("protocol", ["socks4", "socks5", "http"])
def test_ncat_sends_through_each_version(daemon, keep, program, protocol):
    got = []
    target = keep(Sink(lambda data: got.append(data) or b""))
    words = [program("ncat"), "--proxy", endpoint(daemon.address()), "--proxy-type", protocol, "--send-only"]
    run([*words, *target.address], BLOB)
    wait.until(lambda: got, "the target to have it all")
    assert got == [BLOB]


def test_ncat_lets_the_proxy_resolve(daemon, keep, program):
    target = keep(Source(BLOB))
    words = [program("ncat"), "--proxy", endpoint(daemon.address()), "--proxy-type", "socks5", "--proxy-dns", "remote"]
    assert run([*words, "--recv-only", "localhost", target.port]) == BLOB
    assert daemon.wait_for(event="session")["target"] == f"localhost:{target.port}"


# --- socat


@pytest.mark.parametrize("kind,protocol", [("SOCKS4", "socks4"), ("SOCKS4A", "socks4a")])
def test_socat_sends_and_receives_by_socks(daemon, keep, program, kind, protocol):
    target = keep(Echo())
    host, port = daemon.address()
    where = f"{kind}:{host}:{'localhost' if kind == 'SOCKS4A' else target.host}:{target.port},socksport={port},socksuser=me"
    assert run([program("socat"), "-t", "20", "-", where], BLOB) == BLOB
    ended_well(daemon, protocol)


def test_socat_sends_and_receives_by_http(daemon, keep, program):
    target = keep(Echo())
    host, port = daemon.address()
    assert run([program("socat"), "-t", "20", "-", f"PROXY:{host}:localhost:{target.port},proxyport={port}"], BLOB) == BLOB
    ended_well(daemon, "http")


# --- proxychains4


@pytest.mark.parametrize("protocol", ["socks4", "socks5", "http"])
def test_proxychains_leads_a_program_through(daemon, keep, program, tmp_path, protocol):
    web = keep(Web(BLOB))
    host, port = daemon.address()
    (tmp_path / "chain").write_text(f"strict_chain\nproxy_dns\n[ProxyList]\n{protocol} {host} {port}\n")
    words = [program("proxychains4"), "-q", "-f", tmp_path / "chain", program("curl"), "-q", "-sS", "--noproxy", "*"]
    assert run([*words, web.url]) == BLOB
    assert daemon.wait_for(event="session", protocol=protocol)["target"] == f"127.0.0.1:{web.port}"


def test_proxychains_lets_the_proxy_resolve(daemon, keep, program, tmp_path):
    web = keep(Web(BLOB))
    host, port = daemon.address()
    (tmp_path / "chain").write_text(f"strict_chain\nproxy_dns\n[ProxyList]\nsocks5 {host} {port}\n")
    words = [program("proxychains4"), "-q", "-f", tmp_path / "chain", program("curl"), "-q", "-sS", "--noproxy", "*"]
    assert run([*words, f"http://web.localhost:{web.port}/"]) == BLOB


# --- ssh


@pytest.fixture
def sshd(program, tmp_path):
    """A private sshd for the user that runs the tests; returns the words of an ssh command, without host."""
    folder = tmp_path / "ssh"
    folder.mkdir(mode=0o700)
    for key in ("host", "user"):
        run([program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", folder / key])
    (folder / "authorized").write_bytes((folder / "user.pub").read_bytes())
    port = free_port()
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "UsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\nPidFile none\n"
    )
    command = [program("sshd"), "-D", "-e", "-f", str(folder / "sshd_config")]
    if os.geteuid() == 0:  # it then wants /run/sshd, which only Debian's service makes
        command = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs tmpfs /run; mkdir -m 755 /run/sshd; exec "$@"', "sh", *command]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *command], stdin=subprocess.DEVNULL, stderr=log)
    try:
        wait.until(lambda: "Server listening" in (folder / "log").read_text(), lambda: (folder / "log").read_text())
        (folder / "known").write_text(f"[127.0.0.1]:{port} " + (folder / "host.pub").read_text())
        user = pwd.getpwuid(os.geteuid()).pw_name
        options = ["BatchMode=yes", f"UserKnownHostsFile={folder}/known", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"]
        yield [program("ssh"), "-F", "none", "-i", folder / "user", "-p", port, "-l", user, *(f"-o{o}" for o in options)]
    finally:
        process.terminate()
        process.wait(wait.seconds(10))


@pytest.mark.parametrize("version, protocol", [("4", "socks4"), ("5", "socks5"), ("connect", "http")])
def test_ssh_works_through_a_proxy_command(daemon, nc, sshd, version, protocol):
    proxy = endpoint(daemon.address())
    words = [*sshd, f"-oProxyCommand={nc} -X {version} -x {proxy} %h %p", "127.0.0.1", "cat"]
    assert run(words, BLOB) == BLOB
    assert daemon.wait_for(event="session", protocol=protocol)["error"] == "none"


def test_ssh_works_through_ncat(daemon, program, sshd):
    proxy = endpoint(daemon.address())
    command = f"{program('ncat')} --proxy {proxy} --proxy-type socks5 %h %p"
    assert run([*sshd, f"-oProxyCommand={command}", "127.0.0.1", "cat"], BLOB) == BLOB


# --- npm's socks


@pytest.fixture
def node(program):
    """node(arguments): node/client.js with them, as the words to run and its environment."""
    if not any((pathlib.Path(path) / "socks").is_dir() for path in NODE_PATH.split(":")):
        pytest.fail(f"the npm package socks is not in {NODE_PATH} (./dev deps puts it there)")
    environment = {**os.environ, "NODE_PATH": NODE_PATH}
    return lambda *words: {"command": [program("node"), CLIENT_JS, *words], "env": environment}


NPM_CASES = [(4, "127.0.0.1", "socks4"), (4, "localhost", "socks4a"), (5, "127.0.0.1", "socks5"),
             (5, "localhost", "socks5"), (5, "::1", "socks5")]  # fmt: skip


@pytest.mark.parametrize("version,host,protocol", NPM_CASES)
def test_the_npm_package_socks_sends_and_receives(daemon, keep, node, version, host, protocol):
    target = keep(Echo("::1" if host == "::1" else "127.0.0.1"))
    assert run(**node(*daemon.address(), version, host, target.port), data=BLOB) == BLOB
    ended_well(daemon, protocol)


def test_the_npm_package_socks_is_told_that_the_target_refuses(daemon, keep, node):
    target = keep(Refusing())
    words = node(*daemon.address(), 5, *target.address)
    done = subprocess.run([str(word) for word in words["command"]], env=words["env"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=wait.seconds(20))  # fmt: skip
    assert done.returncode == 1
    assert b"ConnectionRefused" in done.stderr
