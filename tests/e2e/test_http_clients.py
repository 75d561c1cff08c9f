"""Other people's programs through HTTP CONNECT: curl, git, apt, npm, openssl, ncat, socat, Python.

All of them talk TLS to a server of the test under a name that only the daemon can resolve.
"""

import base64
import hashlib
import http.client
import io
import json
import os
import random
import ssl
import subprocess
import tarfile

import pytest

from harness import wait
from harness.dns import Scripted
from harness.targets import Echo, Refusing, Sink, Web
from harness.tls import make_certificate
from harness.users import UsersFile
from harness.wire import endpoint

BLOB = random.Random(6).randbytes(1 << 20)
NAME = "web.test"
GOOD, BAD = "alice:s3cret", "alice:wrong"


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A file with the key and the certificate of NAME."""
    _, certificate, both = make_certificate(tmp_path_factory.mktemp("identity"), names=(NAME,))
    both.with_name("ca.pem").write_bytes(certificate.read_bytes())
    return both


@pytest.fixture
def ca(identity):
    return identity.with_name("ca.pem")


@pytest.fixture
def serve(keep, identity):
    """serve(content): a Web with TLS, its url with NAME."""

    def start(content, host="127.0.0.1"):
        web = keep(Web(content, host, identity=identity))
        web.url = f"https://{NAME}:{web.port}/"
        return web

    return start


@pytest.fixture
def start(pairsocks, keep, tmp_path):
    """start(key=value ...): a daemon that knows NAME; `start.proxy(daemon, login)` is its URL."""
    dns = keep(Scripted())
    dns.name(NAME, a=["127.0.0.1"])

    def with_keys(**keys):
        return pairsocks(daemon={"nameserver": dns.nameserver}, **keys)

    def with_users():
        return with_keys(auth="password", users_file=UsersFile(tmp_path / "users", **dict([GOOD.split(":")])))

    with_keys.with_users = with_users
    return with_keys


@pytest.fixture
def named(start):
    return start()


def proxy(daemon, login=None, version=4):
    return f"http://{login + '@' if login else ''}{endpoint(daemon.address(version))}"


@pytest.fixture
def run(tmp_path):
    """run(words): a program that ends by itself, with a home of its own: nobody's proxies, certificates or settings."""
    home = tmp_path / "home"
    home.mkdir()
    clean = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}

    def call(words, data=b"", cwd=home, **environment):
        return subprocess.run([str(word) for word in words], input=data, capture_output=True, cwd=cwd,
                              timeout=wait.seconds(50), env={**clean, "HOME": str(home), **environment})  # fmt: skip

    return call


def succeeded(done):
    assert done.returncode == 0, (done.stdout[-2000:] + done.stderr[-2000:]).decode(errors="replace")
    return done.stdout


def tunnelled(daemon, web, **more):
    """A session through CONNECT to the Web, by its name."""
    session = daemon.wait_for(event="session", protocol="http", error="none", **more)
    assert session["target"] == f"{NAME}:{web.port}"
    assert session["address"] == f"127.0.0.1:{web.port}"


# --- curl


@pytest.fixture
def curl(program, run, ca):
    words = [program("curl"), "-q", "-sS", "--noproxy", "", "--cacert", ca, "--max-time", f"{wait.seconds(20):.0f}"]
    return lambda *more: run([*words, *more])


@pytest.mark.parametrize("option", ["--proxy", "--proxy1.0"])
@pytest.mark.parametrize("version", [4, 6])
def test_curl_gets_by_https(named, curl, serve, option, version):
    web = serve(BLOB)
    where = endpoint(named.address(version))
    assert succeeded(curl(option, where, web.url)) == BLOB
    tunnelled(named, web)


def test_curl_puts_by_https(named, curl, serve, tmp_path):
    web = serve(BLOB)
    (tmp_path / "blob").write_bytes(BLOB)
    assert succeeded(curl("-x", proxy(named), "-T", tmp_path / "blob", web.url)) == b"stored\n"
    assert web.uploads == [BLOB]


def test_curl_reaches_literals(named, curl, serve):
    for host in ("127.0.0.1", "::1"):
        web = serve(BLOB, host)
        literal = endpoint((host, web.port))
        assert succeeded(curl("-x", proxy(named), f"https://{literal}/")) == BLOB
        named.wait_for(event="session", protocol="http", target=literal)


def test_curl_tunnels_plain_http_and_uses_the_tunnel_twice(named, curl, keep):
    web = keep(Web(BLOB))
    assert succeeded(curl("-p", "-x", proxy(named), web.url, web.url)) == BLOB + BLOB
    assert len(set(web.clients)) == 1


@pytest.mark.parametrize("how", ["--proxy-basic", "--proxy-anyauth"])
def test_curl_shows_its_password(start, curl, serve, how):
    """With --proxy-anyauth it asks first, and comes again after 407."""
    daemon = start.with_users()
    web = serve(BLOB)
    assert succeeded(curl(how, "-x", proxy(daemon), "-U", GOOD, web.url)) == BLOB
    tunnelled(daemon, web, user="alice")
    assert len(daemon.records(event="session", error="auth.password.failed")) == (how == "--proxy-anyauth")


@pytest.mark.parametrize("login", [BAD, None])
def test_curl_is_told_that_a_password_is_needed(start, curl, serve, login):
    daemon = start.with_users()
    web = serve(BLOB)
    done = curl("-x", proxy(daemon), *(["-U", login] if login else []), "-w", "%{http_connect}", web.url)
    assert (done.returncode, done.stdout) == (56, b"407"), done.stderr
    assert daemon.wait_for(event="session")["error"] == "auth.password.failed"
    assert len(daemon.records(event="auth_failed", user="alice")) == (login == BAD)
    assert web.clients == []


def test_curl_is_told_what_failed(named, curl, keep):
    refusing = keep(Refusing())
    for url, status, error in ((f"https://{endpoint(refusing.address)}/", b"502", "system.connect.refused"),
                               ("https://nowhere.test/", b"502", "resolver.name.not-found"),
                               ("https://127.1.:1/", b"400", "resolver.name.invalid")):  # fmt: skip
        done = curl("-x", proxy(named), "-w", "%{http_connect}", url)
        assert (done.returncode, done.stdout) == (56, status), done.stderr
        named.wait_for(event="session", error=error)


def test_curl_that_asks_for_a_head_is_told_in_a_head(named, curl, keep):
    web = keep(Web(b"ok"))
    done = curl("-I", "-x", proxy(named), web.url)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"HTTP/1.1 405 ") and done.stdout.endswith(b"\r\n\r\n")


# --- git


@pytest.fixture
def git(program, run, ca):
    words = [program("git"), "-c", f"http.sslCAInfo={ca}", "-c", "user.name=A", "-c", "user.email=a@a.test"]
    environment = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null", "GIT_TERMINAL_PROMPT": "0"}
    return lambda *more, **where: run([*words, *more], **environment, **where)


@pytest.fixture
def repository(git, tmp_path):
    """A repository's files as a web server has them, with one file `blob`."""
    work, bare = tmp_path / "work", tmp_path / "bare"
    work.mkdir()
    succeeded(git("init", "-q", work))
    (work / "blob").write_bytes(BLOB)
    for words in (["add", "blob"], ["commit", "-q", "-m", "one"]):
        succeeded(git("-C", work, *words))
    succeeded(git("clone", "-q", "--bare", work, bare))
    succeeded(git("-C", bare, "update-server-info"))
    return {f"/it.git/{path.relative_to(bare)}": path.read_bytes() for path in bare.rglob("*") if path.is_file()}


@pytest.mark.parametrize("login", [None, GOOD])
def test_git_clones_by_https(start, git, serve, repository, tmp_path, login):
    daemon = start.with_users() if login else start()
    web = serve(repository)
    succeeded(git("-c", f"http.proxy={proxy(daemon, login)}", "clone", "-q", web.url + "it.git", tmp_path / "clone"))
    assert (tmp_path / "clone" / "blob").read_bytes() == BLOB
    tunnelled(daemon, web, user=login.split(":")[0] if login else "-")


@pytest.mark.parametrize("login", [None, BAD])
def test_git_is_told_that_a_password_is_needed(start, git, serve, repository, tmp_path, login):
    daemon = start.with_users()
    web = serve(repository)
    done = git("-c", f"http.proxy={proxy(daemon, login)}", "clone", "-q", web.url + "it.git", tmp_path / "clone")
    assert done.returncode == 128 and b"407" in done.stderr, done.stderr
    daemon.wait_for(event="session", error="auth.password.failed")
    assert web.clients == []


# --- apt


@pytest.fixture
def archive(program, tmp_path):
    """A package, and the files of a flat repository that has it."""
    root = tmp_path / "package"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text("Package: probe-package\nVersion: 1.0\nArchitecture: all\n"
                                             "Maintainer: A <a@a.test>\nDescription: a probe\n")  # fmt: skip
    (root / "blob").write_bytes(BLOB)
    subprocess.run([program("dpkg-deb"), "--root-owner-group", "-b", root, tmp_path / "it.deb"], check=True, capture_output=True)
    package = (tmp_path / "it.deb").read_bytes()
    packages = (f"Package: probe-package\nVersion: 1.0\nArchitecture: all\nMaintainer: A <a@a.test>\nDescription: a probe\n"
                f"Filename: ./it.deb\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n").encode()  # fmt: skip
    release = (f"Suite: test\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n {hashlib.sha256(packages).hexdigest()} "
               f"{len(packages)} Packages\n").encode()  # fmt: skip
    return package, {"/./Packages": packages, "/./Release": release, "/./it.deb": package, "/it.deb": package,
                     "/Packages": packages, "/Release": release}  # fmt: skip


@pytest.fixture
def apt(program, run, ca, tmp_path):
    """apt(daemon, web, login, words): apt-get with a configuration of its own; `apt.folder` is where it downloads to."""
    folder = tmp_path / "apt"
    for name in ("etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial", "cache/archives/partial", "log", "here"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()

    def call(daemon, web, login, *words):
        (folder / "etc" / "sources.list").write_text(f"deb [trusted=yes] {web.url} ./\n")
        (folder / "apt.conf").write_text("".join(f'{key} "{value}";\n' for key, value in {
            "Dir::Etc": folder / "etc", "Dir::State": folder / "state", "Dir::Cache": folder / "cache",
            "Dir::Log": folder / "log", "Dir::State::status": folder / "status", "APT::Sandbox::User": "root",
            "Acquire::https::Proxy": proxy(daemon, login), "Acquire::https::CaInfo": ca, "Acquire::Languages": "none",
            "Acquire::Retries": "0",
        }.items()))  # fmt: skip
        return run([program("apt-get"), "-q", *words], cwd=folder / "here", APT_CONFIG=str(folder / "apt.conf"))

    call.folder = folder / "here"
    return call


@pytest.mark.parametrize("login", [None, GOOD])
def test_apt_downloads_a_package_by_https(start, apt, serve, archive, login):
    daemon = start.with_users() if login else start()
    package, files = archive
    web = serve(files)
    for words in (["update"], ["download", "probe-package"]):
        succeeded(apt(daemon, web, login, *words))
    assert [path.read_bytes() for path in apt.folder.iterdir()] == [package]
    tunnelled(daemon, web, user=login.split(":")[0] if login else "-")


def test_apt_is_told_that_a_password_is_needed(start, apt, serve, archive):
    daemon = start.with_users()
    web = serve(archive[1])
    done = apt(daemon, web, BAD, "update")
    assert b"407" in done.stdout + done.stderr, done.stderr
    daemon.wait_for(event="session", error="auth.password.failed")
    assert web.clients == []


# --- npm


def npm_package():
    """The tarball of a package with one file `blob`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in (("package.json", b'{"name":"probe-package","version":"1.0.0"}'), ("blob", BLOB)):
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def registry(serve):
    web = serve({})
    package = npm_package()
    version = {"name": "probe-package", "version": "1.0.0", "dist": {
        "tarball": web.url + "probe-package.tgz",
        "shasum": hashlib.sha1(package).hexdigest(),
        "integrity": "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode(),
    }}  # fmt: skip
    web.content["/probe-package"] = json.dumps(
        {"name": "probe-package", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}).encode()  # fmt: skip
    web.content["/probe-package.tgz"] = package
    return web


@pytest.fixture
def npm(program, run, ca, tmp_path):
    folder = tmp_path / "npm"
    folder.mkdir()
    (folder / "package.json").write_text('{"private":true}')

    def call(daemon, web, login, *words):
        options = {"registry": web.url, "https-proxy": proxy(daemon, login), "cafile": ca, "cache": tmp_path / "npm-cache",
                   "userconfig": tmp_path / "none", "globalconfig": tmp_path / "none-either", "noproxy": "",
                   "fetch-retries": 0, "audit": "false", "fund": "false", "update-notifier": "false"}  # fmt: skip
        return run([program("npm"), *words, *(f"--{key}={value}" for key, value in options.items())], cwd=folder)

    call.folder = folder
    return call


@pytest.mark.parametrize("login", [None, GOOD])
def test_npm_installs_a_package_by_https(start, npm, registry, login):
    daemon = start.with_users() if login else start()
    succeeded(npm(daemon, registry, login, "install", "probe-package"))
    assert (npm.folder / "node_modules" / "probe-package" / "blob").read_bytes() == BLOB
    tunnelled(daemon, registry, user=login.split(":")[0] if login else "-")


def test_npm_is_told_that_a_password_is_needed(start, npm, registry):
    daemon = start.with_users()
    assert npm(daemon, registry, BAD, "install", "probe-package").returncode != 0
    daemon.wait_for(event="session", error="auth.password.failed")
    assert registry.clients == []


# --- openssl


@pytest.fixture
def s_client(program, run, ca):
    def call(daemon, host, port, *more):
        words = [program("openssl"), "s_client", "-quiet", "-verify_return_error", "-CAfile", ca, "-servername", NAME,
                 "-proxy", endpoint(daemon.address()), "-connect", f"{host}:{port}", *more]  # fmt: skip
        return run(words, b"GET / HTTP/1.0\r\n\r\n")

    return call


@pytest.mark.parametrize("login", [None, GOOD])
def test_openssl_talks_through_a_proxy(start, s_client, serve, login):
    daemon = start.with_users() if login else start()
    web = serve(BLOB)
    user, _, password = (login or "").partition(":")
    more = ["-proxy_user", user, "-proxy_pass", f"pass:{password}"] if login else []
    assert s_client(daemon, NAME, web.port, *more).stdout.endswith(b"\r\n\r\n" + BLOB)
    tunnelled(daemon, web, user=user or "-")


def test_openssl_is_told_that_it_failed(named, s_client, keep):
    refusing = keep(Refusing())
    done = s_client(named, *refusing.address)
    assert done.returncode == 1 and b"502" in done.stderr, done.stderr


# --- ncat, socat and nc with a login; without one they are in test_clients.py


def test_ncat_with_a_login(start, program, run, keep):
    daemon = start.with_users()
    got = []
    target = keep(Sink(lambda data: got.append(data) or b""))
    words = [program("ncat"), "--proxy", endpoint(daemon.address()), "--proxy-type", "http"]
    done = run([*words, "--proxy-auth", BAD, *target.address], BLOB)
    assert done.returncode != 0
    daemon.wait_for(event="session", error="auth.password.failed")
    succeeded(run([*words, "--proxy-auth", GOOD, "--send-only", *target.address], BLOB))
    wait.until(lambda: got, "the target to have it all")
    assert got == [BLOB]
    daemon.wait_for(event="session", protocol="http", user="alice", sent=str(len(BLOB)))


def test_socat_with_a_login(start, program, run, keep):
    daemon = start.with_users()
    target = keep(Echo())
    host, port = daemon.address()
    where = f"PROXY:{host}:{target.host}:{target.port},proxyport={port},proxyauth="
    assert run([program("socat"), "-", where + BAD], BLOB).returncode != 0
    daemon.wait_for(event="session", error="auth.password.failed")
    assert succeeded(run([program("socat"), "-t", "20", "-", where + GOOD], BLOB)) == BLOB
    daemon.wait_for(event="session", protocol="http", user="alice", error="none", received=str(len(BLOB)))


# --- Python


@pytest.mark.parametrize("login", [None, GOOD])
def test_pythons_http_client_tunnels(start, serve, ca, login):
    daemon = start.with_users() if login else start()
    web = serve(BLOB)
    connection = http.client.HTTPSConnection(*daemon.address(), context=ssl.create_default_context(cafile=ca),
                                             timeout=wait.seconds(10))  # fmt: skip
    headers = {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
    connection.set_tunnel(NAME, web.port, headers)
    for _ in range(2):
        connection.request("GET", "/")
        assert connection.getresponse().read() == BLOB
    connection.close()
    tunnelled(daemon, web, user="alice" if login else "-")
