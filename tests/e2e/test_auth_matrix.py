"""Every set of ways in `auth` with every kind of client, credentials, identd and rule, against an oracle that
knows config.md, errors.md and pairsocks.ini(5), and nothing of the daemon's code."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from harness import wait
from harness.http import authorization, connect_request, read_http_reply
from harness.identd import Identd, userid
from harness.netns import Namespace
from harness.socks import Client, greeting, request4, request4a, request5, userpass
from harness.targets import Source
from harness.users import UsersFile

WAYS = ("none", "password", "ident")
SETS = [ways for n in (1, 2, 3) for ways in itertools.combinations(WAYS, n)]
PASSWORD = "correct horse"
RULES = {  # the listener's default, and the user whom a rule allows
    "open": ("allow", None),
    "alice": ("deny", "alice"),
    "bob": ("deny", "ident:bob"),
}
IDENTDS = {"bob": 1, "carol": 2, "none": 3}  # who answers, by the second byte of the client's address

LOGINS = {
    "right": ("alice", PASSWORD),
    "wrong": ("alice", "wrong"),
    "unknown": ("zoe", PASSWORD),
}
MALFORMED = {"bearer": b"Bearer abc", "base64": b"Basic a", "colon": b"Basic YWxpY2U="}


@dataclass(frozen=True)
class Kind:
    """What a client says."""

    protocol: str
    login: str = None  # of LOGINS or MALFORMED; None: it shows no credentials
    offers: tuple = ()  # SOCKS5's methods
    claim: str = ""  # SOCKS4's USERID


KINDS = [
    *(Kind(protocol, claim=claim) for protocol in ("socks4", "socks4a") for claim in ("bob", "mallory", "")),
    Kind("socks5", offers=(0,)),
    *(Kind("socks5", login, offers) for offers in ((2,), (0, 2)) for login in LOGINS),
    *(Kind("http", login) for login in (None, *LOGINS, *MALFORMED)),
]


@dataclass(frozen=True)
class Fate:
    """What the client, the session line and the auth_failed line are to say."""

    reply: tuple
    error: str
    user: str
    failed_as: str  # None: no auth_failed line


# --- the oracle


def shows_password(ways, kind):
    """A password is asked for when it is listed and the client can show one; HTTP's comes unasked."""
    return "password" in ways and (2 in kind.offers or kind.protocol == "http" and kind.login is not None)


def identify(ways, kind, identd):
    """Who the client is: (error, user, whether that is a failed authentication)."""
    if shows_password(ways, kind):
        # What is no pair of a user and a password is refused, and nobody's guess.
        return ("none", "alice", False) if kind.login == "right" else ("auth.password.failed", "-", kind.login in LOGINS)
    if kind.protocol == "socks5" and 0 not in kind.offers:
        return "socks.socks5-method.none-acceptable", "-", False
    if "ident" in ways:
        fault = None
        if identd == "none":
            fault = "auth.ident.no-answer"
        elif kind.protocol in ("socks4", "socks4a") and kind.claim != identd:
            fault = "auth.ident.other-user"
        if not fault:
            return "none", f"ident:{identd}", False
        if "none" not in ways and kind.protocol == "http" and "password" in ways:
            return "auth.password.failed", "-", False  # a browser shows no password before it is asked for one
        if "none" not in ways:
            return fault, "-", True
    if "none" in ways:
        return "none", "-", False
    if kind.protocol == "socks5":
        return "socks.socks5-method.none-acceptable", "-", False
    return "auth.password.failed", "-", False


SOCKS4 = {"none": 90, "policy.rule.denied": 91, "auth.password.failed": 93, "auth.ident.no-answer": 92,
          "auth.ident.other-user": 93}  # fmt: skip
HTTP = {"none": 200, "policy.rule.denied": 403, "auth.password.failed": 407, "auth.ident.no-answer": 403,
        "auth.ident.other-user": 403}  # fmt: skip


def reply_to(ways, kind, error):
    """SOCKS5: the method, the status of RFC 1929, the reply's code; what is not said is missing."""
    if kind.protocol == "http":
        return (HTTP[error],)
    if kind.protocol != "socks5":
        return (SOCKS4[error],)
    if error.startswith("auth.ident.") or error == "socks.socks5-method.none-acceptable":
        return (0xFF,)
    said = (2,) if shows_password(ways, kind) else (0,)
    if error == "auth.password.failed":
        return (*said, 1)
    return (*said, *((0,) if said == (2,) else ()), {"none": 0, "policy.rule.denied": 2}[error])


def predict(ways, rule, kind, identd):
    error, user, failed = identify(ways, kind, identd)
    default, allowed = RULES[rule]
    if error == "none" and default == "deny" and user != allowed:
        error = "policy.rule.denied"
    named = LOGINS[kind.login][0] if kind.login in LOGINS and shows_password(ways, kind) else kind.claim or "-"
    return Fate(reply_to(ways, kind, error), error, user, named if failed else None)


# --- the client


def speak_socks5(client, kind, target):
    client.send(greeting(*kind.offers))
    version, method = client.read(2)
    assert version == 5
    if method == 0xFF:
        return (method,)
    said = (method,)
    if method == 2:
        client.send(userpass(*LOGINS[kind.login]))
        version, status = client.read(2)
        assert version == 1
        said += (status,)
        if status:
            return said
    client.send(request5(*target))
    return (*said, client.read_reply5().code)


def speak_http(client, kind, target):
    shown = authorization(*LOGINS[kind.login]) if kind.login in LOGINS else MALFORMED.get(kind.login)
    client.send(connect_request(*target, authorization=shown))
    reply = read_http_reply(client)
    challenge = reply.fields.get("proxy-authenticate", "")
    assert challenge.lower().startswith("basic") == (reply.status == 407), f"{reply.status} with {challenge!r}"
    return (reply.status,)


def speak(client, kind, target):
    if kind.protocol == "http":
        said = speak_http(client, kind, target)
    elif kind.protocol == "socks5":
        said = speak_socks5(client, kind, target)
    else:
        write = request4 if kind.protocol == "socks4" else request4a
        client.send(write(*target, user=kind.claim.encode()))
        said = (client.read_reply4().code,)
    if said[-1] not in (0, 90, 200):
        client.expect_closed()
    client.close()
    return said


# --- all of them


def identd_of(namespace):
    names = {f"127.{byte}.": name for name, byte in IDENTDS.items()}

    def answer(query, wire):
        name = names[query.asked[:6]]
        return None if name == "none" else userid(query, name)

    return Identd(answer, "0.0.0.0", make_socket=namespace.make_socket)


@pytest.mark.parametrize("ways", SETS, ids="-".join)
def test_every_client_meets_its_fate(pairsocks, keep, tmp_path, ways):
    namespace = keep(Namespace())
    lock = threading.Lock()

    def make_socket(*args):
        with lock:
            return namespace.make_socket(*args)

    keep(identd_of(namespace))
    target = keep(Source(b"", make_socket=make_socket))
    keys = {"listen": "127.0.0.1:0", "auth": ", ".join(ways)}
    if "password" in ways:
        keys["users_file"] = UsersFile(tmp_path / "users", alice=PASSWORD, bob=PASSWORD)
    daemon = pairsocks(
        prefix=namespace.prefix,
        listeners={name: {**keys, "default": default} for name, (default, _) in RULES.items()},
        rules={name: {"listener": name, "user": user, "action": "allow"} for name, (_, user) in RULES.items() if user},
    )
    addresses = {name: daemon.address(listener=name) for name in RULES}

    def play(number, rule, kind, identd):
        # Each comes from an address of its own: failures delay the next check of the same host.
        source = f"127.{IDENTDS[identd]}.{number // 250}.{number % 250 + 1}"
        with Client.open(addresses[rule], source=source, make_socket=make_socket) as client:
            return client.local, speak(client, kind, target.address)

    cases = list(itertools.product(RULES, KINDS, IDENTDS))
    with ThreadPoolExecutor(8) as pool:
        played = list(pool.map(lambda item: play(item[0], *item[1]), enumerate(cases)))
    wait.until(lambda: len(daemon.records(event="session")) >= len(cases), "all session lines")
    sessions = {record["client"]: record for record in daemon.records(event="session")}
    failures = {record["client"]: record for record in daemon.records(event="auth_failed")}
    wrong = []
    for case, (client, said) in zip(cases, played):
        session, failed = sessions[client], failures.pop(client, None)
        fate = Fate(said, session["error"], session["user"], failed and failed["user"])
        if fate != predict(ways, *case) or session["protocol"] != case[1].protocol:
            wrong.append(f"{case}: {fate}, not {predict(ways, *case)}; {session} {failed}")
        if failed:
            assert (failed["listener"], failed["error"]) == (case[0], session["error"])
    assert not wrong, f"{len(wrong)} of {len(cases)} cases:\n" + "\n".join(wrong[:10])
    assert not failures, f"auth_failed of nobody: {failures}"
    assert PASSWORD not in daemon.log_text()
