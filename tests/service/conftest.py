"""Fixtures of the tests in a real systemd: one machine for all, cleared before each test. PAIRSOCKSD as for tests/e2e."""

import contextlib
import os
import sys

sys.dont_write_bytecode = True
here = os.path.dirname(__file__)
sys.path[:0] = [here, os.path.join(here, "..", "e2e")]

import pytest  # noqa: E402

from harness.daemon import config_text  # noqa: E402
from harness.load import Load  # noqa: E402
from harness.socks import Client  # noqa: E402
from harness.targets import Echo  # noqa: E402
from machine import Machine, is_possible  # noqa: E402
from unit import PROXY, UNIT  # noqa: E402


@pytest.fixture(scope="session")
def booted():
    if not is_possible():
        pytest.skip("only root may boot a machine")
    with Machine() as machine:
        yield machine


@pytest.fixture
def machine(booted):
    booted.clear()
    yield booted
    for unit in ("pairsocksd.service", "pairsocksd@one.service"):
        print("\n".join(str(entry.get("MESSAGE")) for entry in booted.journal(unit)[-40:]))


@pytest.fixture
def keep():
    """keep(thing): enters `thing` now and closes it at the end of the test; returns it."""
    with contextlib.ExitStack() as stack:
        yield stack.enter_context


@pytest.fixture
def serving(machine):
    """serving(key=value of the only listener, daemon={...}, upstreams={...}): the unit runs with this configuration."""

    def start(*, daemon=None, upstreams=None, instance=None, **listener):
        text = config_text(
            {"workers": 2, "log_target": "journal", **(daemon or {})}, {"main": {"listen": "127.0.0.1:1080", **listener}}, None, upstreams)
        machine.write(f"/etc/pairsocks/{instance or 'pairsocks'}.ini", text)
        unit = f"pairsocksd@{instance}.service" if instance else UNIT
        machine.run("systemctl", "start", unit)
        return text

    return start


@pytest.fixture
def connect(machine, keep):
    """connect(address, source): a client of the daemon."""
    return lambda address=PROXY, **more: keep(Client.open(address, make_socket=machine.network.make_socket, **more))


@pytest.fixture
def target(machine, keep):
    return keep(Echo(make_socket=machine.network.make_socket))


@pytest.fixture
def load(machine, target):
    """load(address): clients of the daemon that never stop, as long as it is entered."""
    return lambda address=PROXY: Load(address, target, clients=6, make_socket=machine.network.make_socket)
