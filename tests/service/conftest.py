"""Fixtures of the tests in a real systemd: one machine for all, cleared before each test. PAIRSOCKSD as for tests/e2e."""

import contextlib
import os
import sys

sys.dont_write_bytecode = True
here = os.path.dirname(__file__)
sys.path[:0] = [here, os.path.join(here, "..", "e2e")]

import pytest  # noqa: E402

from machine import Machine, is_possible  # noqa: E402


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
