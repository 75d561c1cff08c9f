"""Other people's programs at our TLS: curl, openssl, gnutls-cli, stunnel on either side, sslscan."""

import random
import re
import ssl
import subprocess
import threading

import pytest

from harness import tls, wait
from harness.targets import Echo, Web
from harness.tls import client_context, crl, keys, own, pem
from harness.wire import endpoint

BLOB = random.Random(9).randbytes(3 << 20)
OUT = {"type": "direct", "security": "negotiated", "authority": pem("root")}


@pytest.fixture
def served(pairsocks):
    """SOCKS and HTTP inside TLS."""
    return pairsocks(listen="127.0.0.1:0", **keys())


@pytest.fixture
def run(program):
    """run(name, words): a program that ends by itself; its output and errors together in `.text`."""

    def call(name, *words, data=b"", check=True):
        done = subprocess.run([program(name), *map(str, words)], input=data, capture_output=True, timeout=wait.seconds(40))
        done.text = (done.stdout + done.stderr).decode(errors="replace")
        assert not check or done.returncode == 0, done.text[-3000:]
        return done

    return call


@pytest.fixture
def curl(run):
    words = ["-q", "-sS", "--noproxy", "", "--max-time", f"{wait.seconds(20):.0f}"]
    return lambda *more, **how: run("curl", *words, *more, **how)


class Stunnel:
    """stunnel4 in the foreground, as a client or as a server; listens at `.address`."""

    def __init__(self, path, folder, connect, **more):
        folder.mkdir()
        self.folder = folder
        self.log = folder / "log"
        options = {"foreground": "yes", "pid": "", "debug": "info", "output": self.log, "syslog": "no"}
        service = {"accept": "127.0.0.1:0", "connect": endpoint(connect), **more}
        text = "".join(f"{key} = {value}\n" for key, value in options.items()) + "[one]\n"
        (folder / "conf").write_text(text + "".join(f"{key} = {value}\n" for key, value in service.items()))
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", path, folder / "conf"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
        self.address = ("127.0.0.1", int(wait.until(self._port, self._story, 10)))
        self.host, self.port = self.address

    def _text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _story(self):
        return f"stunnel to listen: {self._text()}"

    def _port(self):
        found = re.search(r"bound to 127\.0\.0\.1:(\d+)", self._text())
        return found and found[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def stunnel(program, keep, tmp_path):
    """stunnel(connect, key=value): a running one."""
    return lambda connect, **more: keep(Stunnel(program("stunnel4"), tmp_path / "stunnel", connect, **more))


VERIFIED = {"client": "yes", "CAfile": pem("root"), "verifyChain": "yes", "checkHost": tls.NAME, "sni": tls.NAME}


# --- curl, with either local half


def transfer(curl, local, keep, tmp_path):
    web = keep(Web(BLOB))
    (tmp_path / "blob").write_bytes(BLOB)
    for option in ("--socks5", "--socks4", "--socks5-hostname", "--proxy"):
        assert curl(option, endpoint(local), *(["-p"] if option == "--proxy" else []), web.url).stdout == BLOB
    curl("--socks5", endpoint(local), "-T", tmp_path / "blob", web.url + "up")
    assert web.uploads == [BLOB]


def test_curl_through_stunnel(served, stunnel, curl, keep, tmp_path):
    transfer(curl, stunnel(served.address(), **VERIFIED).address, keep, tmp_path)
    assert not served.records(event="session", error="tls.handshake.protocol")


def test_curl_through_our_own_local_half(served, pairsocks, curl, keep, tmp_path):
    """A listener that is plain and forwards to the secured one."""
    local = pairsocks(listen="127.0.0.1:0", protocols="forward", forward_to=endpoint(served.address()),
                      upstreams={"out": {**OUT, "peer_name": tls.NAME}}, route="out")  # fmt: skip
    transfer(curl, local.address(), keep, tmp_path)
    assert {record["error"] for record in local.records(event="session") + served.records(event="session")} <= {"none"}


def test_curl_speaks_tls_to_the_proxy_itself(served, curl, keep):
    """`https://` proxies of curl, with a client's eye on our certificate."""
    web = keep(Web(BLOB))
    words = ("-p", "-x", f"https://{endpoint(served.address())}", "--proxy-cacert")
    assert curl(*words, pem("root"), web.url).stdout == BLOB
    done = curl(*words, pem("other-root"), web.url, check=False)
    assert done.returncode == 60, done.text


def test_curl_shows_its_certificate_to_the_proxy(pairsocks, curl, keep):
    web = keep(Web(BLOB))
    daemon = pairsocks(listen="127.0.0.1:0", **keys(auth="certificate", authority=pem("root"), revoke=crl("root")))
    words = ("-p", "-x", f"https://{endpoint(daemon.address())}", "--proxy-cacert", pem("root"))
    assert curl(*words, "--proxy-cert", pem("alice"), "--proxy-key", tls.key("alice"), web.url).stdout == BLOB
    assert daemon.wait_for(event="session", user="cert:alice")["error"] == "none"
    assert curl(*words, web.url, check=False).returncode != 0
    daemon.wait_for(event="session", error="tls.certificate.missing")
    assert curl(*words, "--proxy-cert", pem("revoked"), "--proxy-key", tls.key("revoked"), web.url, check=False).returncode != 0
    daemon.wait_for(event="session", error="tls.certificate.revoked")


def test_curl_gets_by_https_from_a_terminating_forward(pairsocks, curl, keep):
    web = keep(Web(BLOB))
    daemon = pairsocks(listen="127.0.0.1:0", **keys(alpn="http/1.1"), protocols="forward", forward_to=endpoint(web.address))
    assert curl("--cacert", pem("root"), f"https://{endpoint(daemon.address())}/").stdout == BLOB
    assert daemon.wait_for(event="session")["error"] == "none"


# --- stunnel as a server


def test_stunnel_behind_our_plain_to_tls(pairsocks, stunnel, dial, keep):
    echo = keep(Echo())
    server = stunnel(echo.address, cert=pem("server"), key=tls.key("server"), CAfile=pem("root"), verifyChain="yes")
    out = {**OUT, **own("alice")}
    daemon = pairsocks(listen="127.0.0.1:0", protocols="forward", forward_to=endpoint(server.address), upstreams={"out": out}, route="out")
    client = dial(daemon)
    client.send(BLOB[:60_000])
    assert client.read(60_000) == BLOB[:60_000]
    client.finish()
    client.expect_end()
    assert daemon.session(client)["error"] == "none"


# --- openssl


@pytest.fixture
def s_client(run):
    words = ["-servername", tls.NAME, "-CAfile", pem("root"), "-verify_return_error"]
    return lambda daemon, *more, **how: run("openssl", "s_client", "-connect", endpoint(daemon.address()), *words, *more, **how)


def test_openssl_may_not_renegotiate(pairsocks, s_client, keep):
    """TLS 1.2, by the client's wish (R): that is the end."""
    echo = keep(Echo())
    daemon = pairsocks(listen="127.0.0.1:0", **keys(), protocols="forward", forward_to=endpoint(echo.address))
    done = s_client(daemon, "-tls1_2", data=b"R\nafter\n", check=False)
    assert "RENEGOTIATING" in done.text and "after" not in done.text and done.text.count("New, TLSv1.2") == 1, done.text
    # unexpected_message; who writes on meanwhile may meet the reset behind it first
    assert "SSL alert number 10" in done.text or "errno=104" in done.text or "errno=32" in done.text, done.text
    assert daemon.wait_for(event="session")["error"] == "tls.record.bad"


def test_openssl_as_a_server_gets_no_new_handshake(pairsocks, program, dial):
    """TLS 1.2, by its wish (r, a HelloRequest): it hears that there is none, and how it takes that is its own affair."""
    words = ["setpriv", "--pdeathsig", "KILL", program("openssl"), "s_server", "-accept", "127.0.0.1:0", "-cert", pem("server"), "-key",
             tls.key("server"), "-tls1_2", "-msg"]  # fmt: skip
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    watch = threading.Timer(wait.seconds(30), process.kill)
    watch.start()

    def until(word):
        lines = []
        while word not in (line := process.stdout.readline()):
            assert line, f"the end before {word}: {lines}"
            lines.append(line)
        return line

    try:
        port = int(until(b"ACCEPT ").rpartition(b":")[2])
        daemon = pairsocks(listen="127.0.0.1:0", protocols="forward", forward_to=f"127.0.0.1:{port}", upstreams={"out": OUT}, route="out")
        client = dial(daemon)
        client.send(b"before\n")
        until(b"before")
        process.stdin.write(b"r\n")
        process.stdin.flush()
        until(b"HelloRequest")
        assert b"warning no_renegotiation" in until(b"Alert")
    finally:
        watch.cancel()
        process.kill()
        process.communicate()


def test_openssl_updates_keys(pairsocks, program, keep):
    """TLS 1.3: KeyUpdate with a request for ours (K), again and again."""
    echo = keep(Echo())
    daemon = pairsocks(listen="127.0.0.1:0", **keys(), protocols="forward", forward_to=endpoint(echo.address))
    words = ["setpriv", "--pdeathsig", "KILL", program("openssl"), "s_client", "-connect", endpoint(daemon.address()), "-tls1_3",
             "-servername", tls.NAME]  # fmt: skip
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def say(text, answer):
        process.stdin.write(text)
        process.stdin.flush()
        while (line := process.stdout.readline()).strip() != answer:
            assert line, f"the end before {answer}"

    watch = threading.Timer(wait.seconds(30), process.kill)
    watch.start()
    try:
        for i in range(20):
            say(b"K\n", b"KEYUPDATE")
            say(b"line %d\n" % i, b"line %d" % i)
    finally:
        watch.cancel()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("level", ["-tls1_2", "-tls1_3"])
def test_openssl_that_does_not_believe_us_says_so(pairsocks, run, level):
    daemon = pairsocks(listen="127.0.0.1:0", **keys())
    run("openssl", "s_client", "-connect", endpoint(daemon.address()), level, "-CAfile", pem("other-root"), "-verify_return_error", check=False)
    assert daemon.wait_for(event="session")["error"] == "tls.alert.unknown-ca"


def test_openssl_is_told_by_alert_what_is_wrong(pairsocks, s_client):
    daemon = pairsocks(listen="127.0.0.1:0", **keys(alpn="h2"))
    assert "alert number 120" in s_client(daemon, "-alpn", "imap", check=False).text
    assert "ALPN protocol: h2" in s_client(daemon, "-alpn", "imap,h2", check=False).text
    daemon = pairsocks(listen="127.0.0.1:0", **keys(security="tlsv1.3"))
    assert "alert number 70" in s_client(daemon, "-tls1_2", check=False).text


def test_openssl_is_asked_to_begin_again(pairsocks, run):
    """HelloRetryRequest: its first key share is for a group that we have not. The name still chooses."""
    certificates = {"a": {"names": "other.test", **own("second")}}
    daemon = pairsocks(listen="127.0.0.1:0", **keys(certificates="a"), certificate_sections=certificates)
    for name, subject in (("other.test", "second"), (tls.NAME, "server")):
        text = run("openssl", "s_client", "-connect", endpoint(daemon.address()), "-tls1_3", "-groups", "X448:P-256", "-msg",
                   "-servername", name, check=False).text  # fmt: skip
        assert text.count(", ClientHello") == 2 and f"subject=CN = {subject}\n" in text and "New, TLSv1.3" in text, text


def test_there_is_no_early_data_and_no_compression(served, s_client):
    text = s_client(served, "-tls1_3", check=False).text
    assert "Max Early Data: 0" in text or "Early data was not sent" in text
    assert "Compression: NONE" in text and "Verification: OK" in text
    assert "Secure Renegotiation IS supported" in s_client(served, "-tls1_2", check=False).text


# --- gnutls


@pytest.mark.parametrize("priority, ok", [
    ("NORMAL", True), ("NORMAL:-VERS-ALL:+VERS-TLS1.2", True), ("NORMAL:-VERS-ALL:+VERS-TLS1.3", True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.1:%ALLOW_SMALL_RECORDS", False), ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP384R1", True),
    ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA", False), ("NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC", False),
])  # fmt: skip
def test_gnutls(pairsocks, run, keep, priority, ok):
    echo = keep(Echo())
    daemon = pairsocks(listen="127.0.0.1:0", **keys(), protocols="forward", forward_to=endpoint(echo.address))
    host, port = daemon.address()
    done = run("gnutls-cli", f"--x509cafile={pem('root')}", f"--sni-hostname={tls.NAME}", f"--verify-hostname={tls.NAME}",
               f"--priority={priority}", "-p", port, host, data=b"a line of text\n", check=ok)  # fmt: skip
    assert ("a line of text" in done.stdout.decode()) == ok, done.text
    session = daemon.wait_for(event="session")
    assert (session["error"] == "none") == ok


# --- sslscan


@pytest.mark.parametrize("certificate", ["server", "server-rsa"])
def test_sslscan_finds_nothing_weak(pairsocks, run, certificate):
    daemon = pairsocks(listen="127.0.0.1:0", **keys(certificate))
    text = run("sslscan", "--no-colour", f"--sni-name={tls.NAME}", endpoint(daemon.address())).text
    states = dict(re.findall(r"^(SSLv2|SSLv3|TLSv1\.[0-3])\s+(enabled|disabled)", text, re.M))
    assert states == {"SSLv2": "disabled", "SSLv3": "disabled", "TLSv1.0": "disabled", "TLSv1.1": "disabled",
                      "TLSv1.2": "enabled", "TLSv1.3": "enabled"}, text  # fmt: skip
    suites = re.findall(r"^(?:Preferred|Accepted)\s+TLSv1\.[0-3]\s+(\d+) bits\s+(\S+)", text, re.M)
    kind = "RSA" if certificate == "server-rsa" else "ECDSA"
    assert {suite for _, suite in suites} == {
        "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
        *(f"ECDHE-{kind}-{suite}" for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305"))}, text  # fmt: skip
    assert "Insecure session renegotiation" not in text
    assert "vulnerable to heartbleed" not in text.replace("not vulnerable", "")


@pytest.mark.parametrize("certificate, kind", [("server", "ECDSA"), ("server-rsa", "RSA")])
def test_no_weak_suite_of_1_2_is_served(pairsocks, dial, certificate, kind):
    """Each that OpenSSL knows, one by one."""
    daemon = pairsocks(listen="127.0.0.1:0", **keys(certificate))
    every = client_context(level="tlsv1.2", suites="ALL:COMPLEMENTOFALL:@SECLEVEL=0").get_ciphers()
    names = [suite["name"] for suite in every if not suite["name"].startswith("TLS_")]
    assert len(names) > 100
    taken = set()
    for name in names:
        with dial(daemon) as client:
            if refusal_of_handshake(client, client_context(level="tlsv1.2", suites=f"{name}:@SECLEVEL=0")) is None:
                taken.add(name)
    assert taken == {f"ECDHE-{kind}-{suite}" for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")}


def refusal_of_handshake(client, context):
    """The error; None: it stands."""
    try:
        tls.secure(client, context, name=tls.NAME)
    except (ssl.SSLError, ConnectionError) as error:
        return error
    return None
