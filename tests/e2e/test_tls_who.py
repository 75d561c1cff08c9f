"""Who comes in by TLS: certificates by the name that is asked for, client certificates as identities, and tickets."""

import shutil
import subprocess

import pytest

from harness import tls, wait
from harness.socks import greeting, request5
from harness.targets import Echo
from harness.tls import client_context, crl, keys, own, pem, refusal, secure
from harness.users import UsersFile

ROOT = {"authority": pem("root")}
VERSIONS = tuple(tls.LEVELS)


def common_name(client):
    """Of the server's certificate."""
    return dict(one[0] for one in client.sock.tls.getpeercert()["subject"])["commonName"]


def any_name(**more):
    context = client_context(**more)
    context.check_hostname = False
    return context


@pytest.fixture
def target(keep):
    return keep(Echo())


# --- names


@pytest.mark.parametrize("level", VERSIONS)
def test_certificates_by_name(pairsocks, dial_tls, level):
    """Exact names before suffixes, longer suffixes before shorter ones; the default for all else, and for who names nobody."""
    certificates = {
        "a": {"names": "a.test, other.test", **own("second")},
        "b": {"names": "*.wild.test", **own("alice")},
        "c": {"names": "*.deep.wild.test, one.wild.test", **own("server-rsa")},
    }
    daemon = pairsocks(**keys(certificates="a, b, c"), certificate_sections=certificates)
    wanted = {
        "a.test": "second", "A.TEST": "second", "other.test": "second", "b.test": "server", "x.a.test": "server", None: "server",
        "x.wild.test": "alice", "x.y.wild.test": "alice", "wild.test": "server", "one.wild.test": "server-rsa",
        "x.deep.wild.test": "server-rsa", "deep.wild.test": "alice", "xwild.test": "server",
    }  # fmt: skip
    got = {name: common_name(dial_tls(daemon, any_name(level=level), name=name)) for name in wanted}
    assert got == wanted


@pytest.mark.parametrize("level", VERSIONS)
@pytest.mark.parametrize("strict", ["named", "default"])
def test_each_certificate_has_its_own_policy(pairsocks, dial, target, level, strict):
    """A name that needs no client certificate does not open one that does, whichever of them is the default."""
    named, other = (ROOT, {}) if strict == "named" else ({}, ROOT)
    daemon = pairsocks(**keys(certificates="a", **other), certificate_sections={"a": {"names": "other.test", **own("second"), **named}})
    for name, is_strict in (("other.test", strict == "named"), (tls.NAME, strict == "default"), ("else.test", strict == "default")):
        for certificate in (None, "alice", "alice-other"):
            client = dial(daemon)
            if is_strict and certificate != "alice":
                assert refusal(client, any_name(level=level, certificate=certificate), name=name)
                client.close()
                error = "missing" if not certificate else "unknown-root"
                assert daemon.session(client)["error"] == f"tls.certificate.{error}"
            else:
                secure(client, any_name(level=level, certificate=certificate), name=name)
                client.connect("socks5", target.host, target.port)


# --- client certificates

REFUSED = {  # which certificate, with which keys of the listener: the error
    ("alice-other", ""): "unknown-root", ("expired", ""): "expired", ("future", ""): "not-yet-valid", (None, ""): "missing",
    ("self-signed", ""): "unknown-root", ("revoked", "revoke"): "revoked", ("expired-revoked", "revoke allow_expired_certificates"): "revoked",
    ("alice", "past"): "crl-expired", ("by-fake-chain", ""): "unknown-root", ("revoked", "revoke allow_any_root"): "revoked",
    (None, "allow_any_root allow_expired_certificates"): "missing",
}  # fmt: skip
BELIEVED = {
    ("alice", ""): "alice", ("alice", "revoke"): "alice", ("revoked", ""): "revoked", ("expired", "allow_expired_certificates"): "expired",
    ("by-middle-chain", ""): "by-middle",
}  # fmt: skip


def section_of(words):
    more = {word: "yes" for word in words.split() if word.startswith("allow")}
    if "revoke" in words:
        more["revoke"] = crl("root")
    if "past" in words:
        more["revoke"] = crl("root-past")
    return {**keys(auth="certificate", **ROOT), **more}


@pytest.mark.parametrize("level", VERSIONS)
@pytest.mark.parametrize("case, error", REFUSED.items(), ids=lambda value: str(value))
def test_who_is_refused(pairsocks, dial, level, case, error):
    certificate, words = case
    daemon = pairsocks(**section_of(words))
    client = dial(daemon)
    assert refusal(client, client_context(certificate=certificate, level=level), name=tls.NAME)
    client.close()
    session = daemon.session(client)
    assert (session["error"], session["user"], session["protocol"]) == (f"tls.certificate.{error}", "-", "-")


@pytest.mark.parametrize("level", VERSIONS)
@pytest.mark.parametrize("case, user", BELIEVED.items(), ids=lambda value: str(value))
def test_who_comes_in_is_known(pairsocks, dial_tls, target, level, case, user):
    certificate, words = case
    daemon = pairsocks(**section_of(words))
    client = dial_tls(daemon, client_context(certificate=certificate, level=level))
    client.connect("socks5", target.host, target.port)
    client.finish()
    client.expect_end()
    assert daemon.session(client)["user"] == f"cert:{user}"


def test_what_no_root_vouches_for_is_nobody(pairsocks, dial_tls, target):
    """allow_any_root lets the certificate in, and anybody can make one in alice's name."""
    daemon = pairsocks(**section_of("allow_any_root"))
    client = dial_tls(daemon, client_context(certificate="alice-other", level=VERSIONS[0]))
    client.expect_closed()
    session = daemon.session(client)
    assert (session["error"], session["user"]) == ("auth.certificate.missing", "-")


def test_rules_go_by_certificates(pairsocks, dial_tls, target):
    rules = {"yes": {"user": "cert:alice", "action": "allow"}, "plain": {"user": "second, ident:second", "action": "allow"}}
    daemon = pairsocks(**keys(auth="certificate", default="deny", **ROOT), rules=rules)
    for certificate, code, rule in (("alice", 0, "yes"), ("second", 2, "-")):
        client = dial_tls(daemon, client_context(certificate=certificate))
        assert client.negotiate("socks5", target.host, target.port).code == code
        client.close()
        assert daemon.session(client)["rule"] == rule


def test_a_certificate_is_a_user_for_max_per_user(pairsocks, dial, dial_tls, target):
    daemon = pairsocks(**keys(auth="certificate", max_per_user=2, **ROOT))
    alice = client_context(certificate="alice")
    first, second = (dial_tls(daemon, alice) for _ in range(2))
    for client in (first, second):
        client.greet5()  # answered: it is counted
    third = dial(daemon)
    refusal(third, alice, name=tls.NAME)
    third.close()
    assert daemon.session(third)["error"] == "policy.limit.user"
    dial_tls(daemon, client_context(certificate="second")).connect("socks5", target.host, target.port)
    first.sock.sock.close()
    daemon.session(first)
    dial_tls(daemon, alice).connect("socks5", target.host, target.port)
    second.send(request5(target.host, target.port))
    assert second.read_reply5().code == 0


@pytest.fixture
def both(pairsocks, tmp_path):
    """both(key=value ...): `auth = certificate, password`; only other.test wants to see certificates."""

    def start(**more):
        users = UsersFile(tmp_path / "users", bob="secret")
        return pairsocks(**keys(auth="certificate, password", users_file=users, certificates="free", **ROOT, **more),
                         certificate_sections={"free": {"names": "free.test", **own("second")}})  # fmt: skip

    return start


def test_beside_a_password(both, dial_tls, target):
    """Either is enough; who shows a password is the one that it says, also with a certificate."""
    daemon = both(rules={"no": {"user": "cert:alice", "port": 1, "action": "deny"}})
    alice = any_name(certificate="alice")
    for name, context, login, user in (
        (tls.NAME, alice, None, "cert:alice"), (tls.NAME, alice, ("bob", "secret"), "bob"), ("free.test", any_name(), ("bob", "secret"), "bob"),
    ):  # fmt: skip
        client = dial_tls(daemon, context, name=name)
        if login:
            client.connect_as(*login, target.host, target.port)
        else:
            client.connect("socks5", target.host, target.port)
        client.close()
        assert daemon.session(client)["user"] == user
    for name, context in (("free.test", any_name()), ("free.test", alice)):
        client = dial_tls(daemon, context, name=name)
        assert client.greet(0) == 0xFF, "nobody is known there without a password"
        client.close()


def test_a_password_takes_no_place_of_the_certificate(both, dial_tls, target):
    """Who changes into another user leaves the first one's place."""
    daemon = both(max_per_user=1)
    alice = any_name(certificate="alice")
    for _ in range(3):
        client = dial_tls(daemon, alice)
        client.connect_as("bob", "secret", target.host, target.port)
        client.close()
        daemon.session(client)
    client = dial_tls(daemon, alice)
    client.connect_as("bob", "secret", target.host, target.port)
    other = dial_tls(daemon, alice)
    other.connect("socks5", target.host, target.port)
    client.close()
    assert daemon.session(client)["user"] == "bob"


def test_a_listener_that_knows_nobody_by_certificate(pairsocks, dial_tls):
    """The name's own policy asks for none, and nothing else is asked for either."""
    certificates = {"free": {"names": "free.test", **own("second")}}
    daemon = pairsocks(**keys(auth="certificate", certificates="free", **ROOT), certificate_sections=certificates)
    client = dial_tls(daemon, any_name(), name="free.test")
    client.close()
    assert daemon.session(client)["error"] == "auth.certificate.missing"


def test_in_a_forward_listener(pairsocks, dial_tls, target):
    rules = {"yes": {"user": "cert:alice", "action": "allow"}}
    daemon = pairsocks(**keys(auth="certificate", **ROOT), protocols="forward", forward_to=f"{target.host}:{target.port}",
                       default="deny", rules=rules)  # fmt: skip
    client = dial_tls(daemon, client_context(certificate="alice"))
    client.send(b"x")
    assert client.read(1) == b"x"
    client.close()
    assert daemon.session(client)["user"] == "cert:alice"
    client = dial_tls(daemon, client_context(certificate="second"))
    client.expect_reset()
    assert daemon.session(client)["error"] == "policy.rule.denied"


# --- tickets


@pytest.fixture
def s_client(program, tmp_path):
    """s_client(address, level, save= or use=): does it resume? With the ticket in that file."""

    def call(address, level, *more, name=tls.NAME, save=None, use=None):
        words = [program("openssl"), "s_client", "-connect", "%s:%d" % address, "-" + level.replace("tlsv", "tls").replace(".", "_"),
                 "-servername", name, "-CAfile", pem("root"), "-ign_eof", *more]  # fmt: skip
        if save:
            words += ["-sess_out", tmp_path / save]
        if use:
            words += ["-sess_in", tmp_path / use]
        # A reply (that the request is bad) comes behind the tickets of TLS 1.3, and then the end.
        done = subprocess.run(list(map(str, words)), input=greeting() + request5("127.0.0.1", 0), capture_output=True,
                              timeout=wait.seconds(20))  # fmt: skip
        text = (done.stdout + done.stderr).decode(errors="replace")
        assert ("\nNew, TLSv" in text) != ("\nReused, TLSv" in text), text
        assert not save or (tmp_path / save).exists(), text
        return "\nReused, TLSv" in text

    return call


@pytest.mark.parametrize("level", VERSIONS)
def test_a_ticket_is_good_on_all_workers_and_after_reloads(pairsocks, s_client, level):
    daemon = pairsocks(listen="127.0.0.1:0", **keys(), daemon={"workers": 4})
    address = daemon.address()
    assert not s_client(address, level, save="ticket")
    assert all(s_client(address, level, use="ticket") for _ in range(8))
    daemon.reload()
    assert all(s_client(address, level, use="ticket") for _ in range(4))


@pytest.mark.parametrize("level", VERSIONS)
def test_a_ticket_is_good_nowhere_else(pairsocks, s_client, level):
    """On another listener with the same files, under another name, behind another policy: a full handshake."""
    certificates = {"a": {"names": "a.test", **own("server")}, "b": {"names": "b.test", **own("server")}}
    same = {"listen": "127.0.0.1:0", **keys(certificates="a, b")}
    daemon = pairsocks(listeners={"one": same, "two": same, "strict": {**same, **ROOT}}, certificate_sections=certificates)
    one, two, strict = (daemon.address(4, name) for name in ("one", "two", "strict"))
    s_client(one, level, save="default")
    s_client(one, level, name="a.test", save="a")
    alice = ("-cert", pem("alice"), "-key", tls.key("alice"))
    assert s_client(one, level, use="default") and s_client(one, level, name="a.test", use="a")
    assert not s_client(two, level, use="default")
    assert not s_client(two, level, name="a.test", use="a")
    assert not s_client(one, level, name="b.test", use="a")
    assert not s_client(one, level, name="a.test", use="default")
    assert not s_client(one, level, use="a")
    assert not s_client(strict, level, *alice, use="default")


@pytest.mark.parametrize("level", VERSIONS)
def test_nobody_resumes_past_a_policy(pairsocks, s_client, dial, level, tmp_path):
    """A ticket from before the listener wanted to see certificates does not replace one; nor where certificates are shown."""
    daemon = pairsocks(listen="127.0.0.1:0", **keys())
    address = daemon.address()
    s_client(address, level, save="ticket")
    ini = daemon.folder / "pairsocks.ini"
    ini.write_text(ini.read_text() + f"authority = {pem('root')}\nauth = certificate\n")
    daemon.reload()
    assert not s_client(address, level, use="ticket")
    assert daemon.wait_for(event="session", error="tls.certificate.missing")
    alice = ("-cert", pem("alice"), "-key", tls.key("alice"))
    assert not s_client(address, level, *alice, use="ticket")
    daemon.wait_for(event="session", user="cert:alice")


def test_another_certificate_takes_no_old_tickets(pairsocks, s_client, tmp_path):
    shutil.copy(pem("server"), tmp_path / "c.pem")
    shutil.copy(tls.key("server"), tmp_path / "k.pem")
    daemon = pairsocks(listen="127.0.0.1:0", security="negotiated", certificate=tmp_path / "c.pem", private_key=tmp_path / "k.pem")
    s_client(daemon.address(), "tlsv1.3", save="ticket")
    shutil.copy(pem("second"), tmp_path / "c.pem")
    shutil.copy(tls.key("second"), tmp_path / "k.pem")
    daemon.reload()
    assert not s_client(daemon.address(), "tlsv1.3", use="ticket")
