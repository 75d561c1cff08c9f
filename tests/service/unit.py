"""pairsocksd.service as a test sees it: its entries in the journal, and whether it serves."""

from harness import wait

UNIT = "pairsocksd.service"
PROXY = ("127.0.0.1", 1080)


def ping(client, target):
    """One session, from its beginning to its end: a drain does not wait for it."""
    with client:
        client.connect("socks5", target.host, target.port)
        client.send(b"ping")
        assert client.read(4) == b"ping"
        client.finish()
        client.expect_end()


def entries(machine, unit=UNIT, **fields):
    """The newest run's entries of the daemon itself."""
    return machine.journal(unit, _SYSTEMD_INVOCATION_ID=machine.show(unit, "InvocationID"), SYSLOG_IDENTIFIER="pairsocksd", **fields)


def wait_for(machine, unit=UNIT, **fields):
    return wait.until(lambda: entries(machine, unit, **fields), lambda: f"{fields} in {story(machine, unit)}")[-1]


def story(machine, unit=UNIT):
    return "\n".join(str(entry.get("MESSAGE")) for entry in machine.journal(unit)[-20:])
