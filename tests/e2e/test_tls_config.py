"""The TLS keys: what --check and the start say of them, and what a reload does with files that have changed."""

import datetime
import re
import shutil

import pytest

from harness import tls
from harness.daemon import config_text, run
from harness.targets import Echo
from harness.tls import client_context, keys, make_certificate

MAIN = {"listen": "127.0.0.1:0"}
BAD_LEVELS = {"sslv2": "RFC 6176", "sslv3": "RFC 7568", "tlsv1": "RFC 8996", "tlsv1.1": "RFC 8996"}


@pytest.fixture
def check(tmp_path):
    """check(key=value ...): the lines of --check for a listener `main` with these keys; it must fail."""

    def start(listener=None, **sections):
        ini = tmp_path / "check.ini"
        ini.write_text(config_text(None, {"main": {**MAIN, **(listener or {})}}, **sections))
        done = run("-c", ini, "--check")
        assert done.returncode == 1 and done.stdout == "", done
        return done.stderr

    return start


@pytest.mark.parametrize("level, rfc", BAD_LEVELS.items())
@pytest.mark.parametrize("where", ["listener", "upstream"])
def test_levels_that_are_forbidden_name_who_forbids_them(check, level, rfc, where):
    if where == "listener":
        said = check(keys(security=level))
    else:
        said = check(upstreams={"out": {"type": "direct", "security": level}})
    assert rfc in said and "security" in said and f"[{where} " in said
    assert "negotiated, tlsv1.2, tlsv1.3" in said


KEYS = {
    **tls.own("server"), "authority": tls.pem("root"), "revoke": tls.crl("root"), "ciphers": "TLS_AES_128_GCM_SHA256", "alpn": "h2",
    "validate_chain": "no", "allow_expired_certificates": "yes", "allow_expired_roots": "yes", "allow_any_root": "yes",
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("where", ["listener", "upstream"])
def test_a_key_without_security_is_an_error(check, key, where):
    more = {key: KEYS[key]}
    said = check(more) if where == "listener" else check(upstreams={"out": {"type": "direct", **more}})
    assert f"[{where} " in said and "add `security`" in said


def test_peer_name_and_certificates_without_security_too(check):
    assert "add `security`" in check(upstreams={"out": {"type": "direct", "peer_name": "none"}})
    names = {"names": "a.test", **tls.own("second")}
    assert "add `security`" in check({"certificates": "a"}, certificates={"a": names})


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """Files that are wrong."""
    folder = tmp_path_factory.mktemp("broken")
    text = tls.pem("server").read_text()
    body = text.splitlines()
    (folder / "empty").write_text("")
    (folder / "junk").write_bytes(bytes(range(256)) * 20)
    (folder / "cut").write_text(text[: len(text) // 2])
    (folder / "damaged").write_text("\n".join([body[0], body[1][::-1], *body[2:]]) + "\n")
    (folder / "key as well").write_text(tls.key("server").read_text())
    return folder


FAULTS = {
    "certificate": {None: "No such file", "empty": "no certificate in it", "junk": "no certificate in it", "cut": "not a usable",
                    "damaged": "not a usable", "key as well": "no certificate in it"},
    "private_key": {None: "No such file", "empty": "no private key in it", "junk": "no private key in it",
                    tls.pem("server"): "no private key in it", tls.key("alice"): "does not belong to the certificate",
                    tls.key("locked"): "pass phrase"},
    "authority": {None: "No such file", "empty": "no certificate in it", "junk": "no certificate in it", "damaged": "broken",
                  tls.key("root"): "no certificate in it"},
    "revoke": {None: "No such file", "empty": "no revocation list in it", "junk": "no revocation list in it",
               tls.pem("root"): "no revocation list in it", tls.crl("other"): "no revocation list in it is signed by"},
    "ciphers": {"TLS_NULL_WITH_NOTHING": "no suite `TLS_NULL_WITH_NOTHING`", "AES128-SHA:": "no suite"},
}  # fmt: skip


@pytest.mark.parametrize("key, fault, says", [(key, fault, says) for key in FAULTS for fault, says in FAULTS[key].items()],
                         ids=lambda value: getattr(value, "name", str(value))[:30])  # fmt: skip
@pytest.mark.parametrize("where", ["listener", "upstream"])
def test_files_that_cannot_be_used_are_named(check, launch, broken, key, fault, says, where):
    """By --check and by the start, with the section and the reason, and only once."""
    value = fault if key == "ciphers" else broken / (fault or "missing") if not hasattr(fault, "parts") else fault
    section = keys(authority=tls.pem("root"), revoke=tls.crl("root")) | {key: value}
    sections = {"upstreams": {"out": {"type": "direct", **section}}} if where == "upstream" else {}
    said = check(section if where == "listener" else None, **sections)
    name = "main" if where == "listener" else "out"
    assert re.match(rf"[^:]+/check.ini:[0-9]+: \[{where} {name}\] {key}: ", said), said
    assert says in said and said.count("\n") == 1, said
    if key != "ciphers":
        assert str(value) in said
    daemon = launch(config_text({"workers": 1}, {"main": {**MAIN, **(section if where == "listener" else {})}}, **sections))
    assert daemon.exit_code() == 1
    assert f"[{where} {name}] " in daemon.errors() and says in daemon.errors().replace('\\"', '"')


def test_every_section_is_looked_at(check, broken, tmp_path):
    missing = {"certificate": broken / "missing", "private_key": broken / "missing"}
    said = check({**keys(), **missing, "certificates": "a"}, certificates={"a": {"names": "a.test", **missing}},
                 upstreams={"out": {"type": "direct", "security": "tlsv1.3", "authority": broken / "missing"}})  # fmt: skip
    places = [re.match(r".*/check.ini:([0-9]+): (.*): /", line).groups() for line in said.splitlines()]
    lines = (tmp_path / "check.ini").read_text().splitlines()
    assert [key for _, key in places] == ["[listener main] certificate", "[certificate a] certificate", "[upstream out] authority"]
    assert all(lines[int(at) - 1].startswith(key.split("] ")[1] + " = ") for at, key in places), said


def test_a_listener_needs_a_certificate_and_its_key(check):
    for missing in ("certificate", "private_key"):
        section = {key: value for key, value in keys().items() if key != missing}
        assert "[listener main] certificate" in check(section)


def test_who_is_to_show_a_certificate_needs_an_authority(check):
    assert "add `authority`" in check(keys(auth="certificate"))
    assert "authority" in check(keys(revoke=tls.crl("root")))


def test_a_list_may_be_for_the_authorities_of_certificates(check, pairsocks, dial):
    """One file for all of them: each is answered by its own list, and has to have one."""
    section = keys(revoke=tls.crl("three"), certificates="a, b", security="tlsv1.2")
    sections = {"a": {"names": "a.test", **tls.own("second"), "authority": tls.pem("other-root")},
                "b": {"names": "b.test", **tls.own("second"), "authority": tls.pem("root")}}  # fmt: skip
    daemon = pairsocks(listen="127.0.0.1:0", **section, certificate_sections=sections)
    wanted = {("a.test", "alice-other"): "certificate.revoked", ("a.test", "alice"): "certificate.unknown-root",
              ("b.test", "alice"): None, ("b.test", "revoked"): "certificate.revoked", (tls.NAME, "revoked"): None}  # fmt: skip
    for (name, certificate), error in wanted.items():
        context = client_context(certificate=certificate)
        context.check_hostname = False
        client = dial(daemon)
        refused = tls.refusal_in_handshake(client, context, name=name)
        client.close()
        assert (refused is not None) == (error is not None), (name, certificate, refused)
        assert daemon.session(client)["error"] == (f"tls.{error}" if error else "client.gone")
    sections["b"]["authority"] = tls.pem("root-expired")
    assert "[certificate b] " in (said := check(section, certificates=sections)) and "no revocation list in it is signed by" in said


def test_a_certificate_that_is_named_exists(check):
    said = check(keys(certificates="ab, b"), certificates={"abc": {"names": "a.test", **tls.own("second")}})
    assert "there is no [certificate ab]" in said and "did you mean `abc`?" in said and "there is no [certificate b]" in said


@pytest.mark.parametrize("name", ["", "127.0.0.1", "*", "*.", "a..b", "*.*.test", "x.*.test", "::1"])
def test_names_that_nobody_can_ask_for(check, name):
    assert "names" in check(keys(certificates="a"), certificates={"a": {"names": name, **tls.own("second")}})


# --- reload


@pytest.fixture
def files(tmp_path):
    """The certificate and the key of a listener as files that change: `files.become(name)`."""
    folder = tmp_path / "tls"
    folder.mkdir()

    class Files:
        section = {"security": "negotiated", "certificate": folder / "c.pem", "private_key": folder / "k.pem"}

        def become(self, name):
            shutil.copy(tls.pem(name), folder / "c.pem")
            shutil.copy(tls.key(name), folder / "k.pem")

    files = Files()
    files.become("server")
    files.folder = folder
    return files


def common_name(client):
    """Of the server's certificate."""
    return dict(one[0] for one in client.sock.tls.getpeercert()["subject"])["commonName"]


def test_a_new_certificate_is_for_new_connections(pairsocks, dial_tls, keep, files):
    target = keep(Echo())
    daemon = pairsocks(**files.section)
    old = dial_tls(daemon)
    old.connect("socks5", target.host, target.port)
    waiting = dial_tls(daemon)
    files.become("second")
    daemon.reload()
    new = dial_tls(daemon, name="other.test")
    assert (common_name(old), common_name(new)) == ("server", "second")
    waiting.connect("http", target.host, target.port)
    for client in (old, waiting):
        client.send(b"still here")
        assert client.read(10) == b"still here"


@pytest.mark.parametrize("fault, says", [
    ("certificate", "no certificate in it"), ("key", "does not belong"), ("gone", "No such file"), ("section", "No such file"),
])  # fmt: skip
def test_a_bad_certificate_leaves_the_old_one_serving(pairsocks, dial_tls, keep, files, fault, says):
    target = keep(Echo())
    daemon = pairsocks(**files.section)
    if fault == "certificate":
        files.section["certificate"].write_text("nothing\n")
    elif fault == "key":
        shutil.copy(tls.key("alice"), files.section["private_key"])
    elif fault == "gone":
        files.section["private_key"].unlink()
    else:
        ini = daemon.folder / "pairsocks.ini"
        ini.write_text(ini.read_text() + "[upstream out]\ntype = direct\nsecurity = tlsv1.3\nauthority = /nowhere\n")
    daemon.reload("reload_failed")
    messages = [record["message"] for record in daemon.records(level="error")]
    section = "[upstream out] " if fault == "section" else "[listener main] "
    assert any(f": {section}" in message and says in message for message in messages), messages
    client = dial_tls(daemon)
    assert common_name(client) == "server"
    client.connect("socks5", target.host, target.port)


def test_reloads_under_load_refuse_nobody(pairsocks, dial_tls, keep, files):
    """And what is served is always one of the two certificates, with its own key."""
    target = keep(Echo())
    daemon = pairsocks(**files.section)
    context = client_context()
    context.check_hostname = False
    seen = set()
    for i in range(30):
        files.become(("second", "server")[i % 2])
        before = len(daemon.records(event="reloaded"))
        daemon.signal(1)
        client = dial_tls(daemon, context)
        client.connect("socks5", target.host, target.port)
        seen.add(common_name(client))
        client.close()
        daemon.wait_for(before + 1, event="reloaded")
    assert seen == {"server", "second"}
    assert not daemon.records(level="error")


def test_an_authority_and_a_list_are_read_again(pairsocks, dial, tmp_path):
    """A certificate that is revoked is refused after the reload."""
    shutil.copy(tls.crl("root-empty"), tmp_path / "crl")
    daemon = pairsocks(**keys(authority=tls.pem("root"), revoke=tmp_path / "crl", security="tlsv1.2"))
    context = client_context(certificate="revoked")
    tls.secure(dial(daemon), context, name=tls.NAME)
    shutil.copy(tls.crl("root"), tmp_path / "crl")
    daemon.reload()
    client = dial(daemon)
    assert tls.refusal(client, context, name=tls.NAME)
    client.close()
    assert daemon.session(client)["error"] == "tls.certificate.revoked"


# --- warnings


def test_a_certificate_that_expires_soon_is_warned_of(pairsocks, launch, tmp_path):
    section = {}
    for name, days in (("soon", 13), ("late", 16)):
        (tmp_path / name).mkdir()
        key, certificate, _ = make_certificate(tmp_path / name, days=days, names=(f"{name}.test",))
        section[name] = {"certificate": certificate, "private_key": key}
    out = {"type": "direct", "security": "negotiated", "authority": tls.pem("root")}
    daemon = pairsocks(
        listeners={"soon": {**MAIN, "security": "tlsv1.3", **section["soon"]}, "late": {**MAIN, "security": "tlsv1.3", **section["late"]},
                   "gone": {**MAIN, **keys("expired")}, "names": {**MAIN, **keys(certificates="soon, late")}},
        certificate_sections={name: {"names": f"*.{name}.test", **section[name]} for name in section},
        upstreams={"soon": {**out, **section["soon"]}, "fine": {**out, **tls.own("alice")}})  # fmt: skip

    def warned():
        return [record["message"] for record in daemon.records(event="certificate", level="warning")]

    said = warned()
    assert [message.split("]")[0][1:] for message in said] == ["listener soon", "listener gone", "certificate soon", "upstream soon"]
    date = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=13)).strftime("%Y-%m-%d")
    assert "expires at " in said[0] and date[:8] in said[0]
    assert "has expired at 2021-01-01T00:00:00Z" in said[1]
    daemon.reload()
    assert warned() == said + said


def test_it_is_warned_of_once_a_day(pairsocks, fast_clock):
    """A day is over in less than a second; what is not about dates is said at start only."""
    daemon = pairsocks(**keys("expired"), environment=fast_clock(200_000),
                       certificate_sections={"idle": {"names": "a.test", **tls.own("no-such")}},
                       upstreams={"out": {"type": "direct", "security": "negotiated", "validate_chain": "no"}})  # fmt: skip
    daemon.wait_for(4, event="certificate")
    first, *others = [record["message"] for record in daemon.records(event="certificate")]
    assert "[upstream out] validate_chain = no" in first
    assert "[certificate idle] no listener has it in `certificates`" in others[0]
    assert all("[listener main] the certificate has expired at 2021" in message for message in others[1:])


def test_a_chain_that_is_not_looked_at_is_said(pairsocks):
    daemon = pairsocks(upstreams={"out": {"type": "direct", "security": "negotiated", "validate_chain": "no"}})
    (record,) = daemon.records(event="certificate", level="warning")
    assert "[upstream out] validate_chain = no" in record["message"]
