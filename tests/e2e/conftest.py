"""Fixtures of the end-to-end tests.

PAIRSOCKSD: the binary (build/pairsocksd without it). PAIRSOCKS_SLOW_FACTOR: stretches all deadlines.
PAIRSOCKS_SANITIZED=1: leaves out what measures memory or CPU.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(__file__))

import pytest  # noqa: E402

from harness import preload, tls, wait  # noqa: E402
from harness.daemon import BINARY, Daemon, config_text  # noqa: E402
from harness.socks import Client  # noqa: E402


def pytest_configure(config):
    # Who starts this in the background (nohup, a shell's &) may have signals ignored, which children inherit.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if not os.access(BINARY, os.X_OK) and not config.option.collectonly:
        raise pytest.UsageError(f"no daemon at {BINARY}: build it, or set PAIRSOCKSD")


def pytest_collection_modifyitems(config, items):
    default = float(config.getini("timeout") or 60)
    for item in items:
        mark = item.get_closest_marker("timeout")
        bound = mark.args[0] if mark else default
        item.add_marker(pytest.mark.timeout(wait.seconds(bound)), append=False)
        if wait.SANITIZED and item.get_closest_marker("figures"):
            item.add_marker(pytest.mark.skip(reason="figures mean nothing under a sanitizer"))


@pytest.fixture
def folder():
    """A short path: sockets have no room for long ones."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="ps"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def keep():
    """keep(thing): enters `thing` now and closes it at the end of the test; returns it."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def program():
    """program(name): the path of a program that the test needs. A missing one is a failure, not a skip."""

    def find(name):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        return path or pytest.fail(f"{name} is not installed (./dev deps installs it)")

    return find


@pytest.fixture(scope="session")
def fast_clock(tmp_path_factory):
    """fast_clock(times): the environment of a daemon whose timers run so many times faster."""
    library = preload.build("fast_clock", tmp_path_factory.mktemp("clock"))
    return lambda times: {"LD_PRELOAD": str(library), "FAST_CLOCK": str(times)}


@pytest.fixture
def launch(tmp_path):
    """launch(...): a Daemon, not yet ready. At the end each must exit 0 and have reported nothing."""
    daemons = []

    def start(*args, **kwargs):
        daemons.append(Daemon(tmp_path / f"daemon{len(daemons)}", *args, **kwargs))
        return daemons[-1]

    yield start
    failures = []
    for daemon in daemons:
        try:
            daemon.finish()
        except AssertionError as failure:
            failures.append(str(failure))
        print(f"-- daemon {daemon.pid}{daemon.story()}")
    assert not failures, "\n".join(failures)


@pytest.fixture
def pairsocks(launch, tmp_path):
    """pairsocks(key=value, ...): a ready daemon, the keys being those of its only listener, `main`.

    daemon={...}: keys of [daemon]. listeners={name: {...}}: these listeners instead. rules={name: {...}}: in this
    order. upstreams={name: {...}}, certificate_sections={name: {...}}. The rest goes to Daemon.
    """

    def start(*, daemon=None, listeners=None, rules=None, upstreams=None, certificate_sections=None,
              files=None, prefix=(), environment=None, **keys):  # fmt: skip
        log_path = tmp_path / f"log{len(os.listdir(tmp_path))}"
        fixed = {"workers": 2, "log_target": f"file:{log_path}"}
        listeners = listeners or {"main": {"listen": "127.0.0.1:0, [::1]:0", **keys}}
        text = config_text({**fixed, **(daemon or {})}, listeners, rules, upstreams, certificate_sections)
        return launch(text, log_path=log_path, files=files, prefix=prefix, environment=environment).ready()

    return start


@pytest.fixture
def daemon(pairsocks):
    """A ready daemon with two workers and ordinary settings."""
    return pairsocks()


@pytest.fixture
def dial(keep):
    """dial(daemon): a new connection to it, as a socks.Client."""

    def connect(daemon, *, version=4, address=None, **more):
        return keep(Client.open(address or daemon.address(version), **more))

    return connect


@pytest.fixture
def dial_tls(dial):
    """dial_tls(daemon): as dial, and secured. `context`: a client's; `name`: what is asked for; the rest as for TlsSocket."""

    def connect(daemon, context=None, *, name=tls.NAME, before=b"", listener="main", more=None, **how):
        client = dial(daemon, address=daemon.address(4, listener), **how)
        if before:
            client.send(before)
        return tls.secure(client, context or tls.client_context(), name=name, **(more or {}))

    return connect


@pytest.fixture
def through(dial):
    """through(daemon, listener, protocol): a session that stands, as (client, the target's end)."""

    def connect(daemon, target, protocol="socks5", **more):
        client = dial(daemon, version=6 if protocol == "socks5" else 4, **more)
        client.connect(protocol, target.host, target.port)
        return client, target.accept()

    return connect
