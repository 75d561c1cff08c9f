"""A reset on one side is a reset on the other, and ends a dial at once."""

import pytest

from harness import wait
from harness.socks import ALL
from harness.targets import Listener, Silent
from harness.tcp_table import dialing

RESETS = ("system.read.reset", "system.write.reset")


@pytest.mark.parametrize("protocol", ALL)
def test_a_reset_by_the_target_reaches_the_client_as_a_reset(daemon, through, keep, protocol):
    client, target = through(daemon, keep(Listener()), protocol)
    target.reset()
    client.expect_reset()
    assert daemon.session(client)["error"] in RESETS


@pytest.mark.parametrize("protocol", ALL)
def test_a_reset_by_the_client_reaches_the_target_as_a_reset(daemon, through, keep, protocol):
    client, target = through(daemon, keep(Listener()), protocol)
    client.reset()
    target.expect_reset()
    assert daemon.session(client)["error"] in RESETS


def test_a_reset_in_an_idle_session_is_logged_as_read(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    target.reset()
    assert daemon.session(client)["error"] == "system.read.reset"


def test_a_reset_after_a_half_close_is_passed_on(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    client.finish()
    target.expect_end()
    target.reset()
    client.expect_reset()
    assert daemon.session(client)["error"] in RESETS


def test_a_reset_by_a_target_that_the_daemon_cannot_write_to_ends_the_session(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    client.push(64 << 20, stall=0.3)
    target.reset()
    client.expect_reset()
    assert daemon.session(client)["error"] in RESETS


def test_a_reset_by_a_client_that_the_daemon_cannot_write_to_ends_the_session(daemon, through, keep):
    client, target = through(daemon, keep(Listener()))
    target.push(64 << 20, stall=0.3)
    client.reset()
    target.expect_reset()
    assert daemon.session(client)["error"] in RESETS


@pytest.mark.parametrize("sender", ["client", "target"])
def test_a_reset_behind_bytes_that_are_stuck_is_no_orderly_end(daemon, through, keep, sender):
    """Nobody may take what came before it for the whole."""
    client, target = through(daemon, keep(Listener(buffer=65536)), receive_buffer=65536)
    resets, reads = (client, target) if sender == "client" else (target, client)
    resets.push(64 << 20, stall=0.3)
    resets.reset()
    reads.expect_reset()
    assert daemon.session(client)["error"] in RESETS


@pytest.mark.parametrize("protocol", ALL)
def test_a_client_that_resets_while_its_target_is_dialed_ends_the_dial_at_once(pairsocks, dial, keep, protocol):
    daemon = pairsocks(connect_timeout="50s")
    target = keep(Silent())
    client = dial(daemon)
    client.ask(protocol, *target.address)
    wait.until(lambda: dialing(target.port), "the dial to begin")
    client.reset()
    assert daemon.session(client)["error"] == "client.gone"
    wait.until(lambda: not dialing(target.port), "the dial to end")


def test_a_client_that_only_ends_its_direction_does_not_end_the_dial(pairsocks, dial, keep):
    daemon = pairsocks(connect_timeout="50s")
    target = keep(Silent())
    client = dial(daemon)
    client.ask("socks4", *target.address)
    client.send(b"all I have to say")
    client.finish()
    wait.until(lambda: dialing(target.port), "the dial to begin")
    assert client.is_quiet()
    target.wake_up()
    wire = target.accept()
    assert client.read_reply4().code == 90
    assert wire.read_to_end() == b"all I have to say"
    wire.send(b"and my answer")
    wire.finish()
    assert client.read_to_end() == b"and my answer"
    assert daemon.session(client)["error"] == "none"
