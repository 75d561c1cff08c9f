"""The status page, /metrics, /status.json and /proxy.pac: what they say, to whom, and how much of whom they bear."""

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess

import pytest

from harness import tls, wait
from harness.control import Control
from harness.daemon import BINARY, config_text, run
from harness.socks import Client
from harness.status import Page, page_of, samples
from harness.targets import Echo, Listener, Refusing
from harness.wire import Wire

TOKEN = "0123456789abcdefTOKEN"
HERE = {"status": "127.0.0.1:0"}


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


@pytest.fixture
def served(pairsocks, token_file):
    """A daemon with a page, single sessions for who holds TOKEN."""
    return pairsocks(daemon={**HERE, "status_token_file": token_file, "pac": "yes"})


def refuse(daemon, dial, target):
    """A session that ends with system.connect.refused."""
    client = dial(daemon)
    client.negotiate("socks5", target.host, target.port)
    client.close()
    assert daemon.session(client)["error"] == "system.connect.refused"


# ---- what it says


def test_metrics_agree_with_what_was_done(served, dial, through, keep):
    page = page_of(served)
    echo, refusing = keep(Echo()), keep(Refusing())
    for size in (1000, 20000, 300000):
        client = dial(served)
        client.connect("socks5", echo.host, echo.port)
        client.send(b"x" * size)
        assert client.read(size) == b"x" * size
        client.finish()
        client.read_to_end()
        client.close()
        served.session(client)
    refuse(served, dial, refusing)
    living, end = through(served, keep(Listener()))
    numbers = page.metrics()
    assert numbers["pairsocks_sessions", "main"] == 1
    assert numbers["pairsocks_sessions_started_total", "main"] == 5
    assert numbers["pairsocks_connections_accepted_total", "main"] == 5
    assert numbers["pairsocks_sent_bytes_total", "main"] == 321000
    lines = served.records(event="session")
    assert numbers["pairsocks_received_bytes_total", "main"] == 321000
    assert sum(int(line["sent"]) for line in lines) == 321000
    assert numbers["pairsocks_sessions_ended_total", "none"] == 3
    assert numbers["pairsocks_sessions_ended_total", "system.connect.refused"] == 1
    assert numbers["pairsocks_connect_seconds_count", "direct"] == 4
    assert numbers["pairsocks_connect_seconds_bucket", "direct", "+Inf"] == 4
    assert numbers["pairsocks_setup_seconds_count",] == 4
    assert numbers["pairsocks_resolve_seconds_count",] == 0
    assert numbers["pairsocks_log_lines_lost_total",] == 0
    living.close()
    end.close()
    served.session(living)
    assert page.metrics()["pairsocks_sessions", "main"] == 0


def test_bytes_of_a_session_that_lives_are_counted(served, through, keep):
    client, target = through(served, keep(Listener()))
    page = page_of(served)
    for sent, received in ((70000, 5), (1, 100000)):
        before = page.metrics()
        client.send(b"u" * sent)
        target.read(sent)
        target.send(b"d" * received)
        client.read(received)

        def has_grown(name, by):
            return page.metrics()[name, "main"] - before[name, "main"] == by

        wait.until(lambda: has_grown("pairsocks_sent_bytes_total", sent), "what was sent")
        wait.until(lambda: has_grown("pairsocks_received_bytes_total", received), "what was received")


def test_both_formats_say_the_same(served):
    page = page_of(served)
    classic = page.ask("/metrics")
    prometheus = page.ask("/metrics", Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert classic.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    assert prometheus.getheader("Content-Type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert samples(classic.text).keys() == samples(prometheus.text).keys()
    assert prometheus.text.endswith("\n# EOF\n") and prometheus.text.count("# EOF") == 1
    assert "# TYPE pairsocks_sessions_ended counter\n" in prometheus.text
    assert "# TYPE pairsocks_sessions_ended_total counter\n" in classic.text


def test_refusals_and_names_are_counted(pairsocks, dial, keep):
    daemon = pairsocks(
        daemon=HERE,
        listeners={
            "open": {"listen": "127.0.0.1:0"},
            "closed": {"listen": "127.0.0.1:0", "deny": "127.0.0.1"},
        },
    )
    closed = keep(Client.open(daemon.address(4, "closed")))
    closed.expect_closed()
    client = dial(daemon, address=daemon.address(4, "open"))
    client.negotiate("socks4a", b"no-such-name.invalid", 80)
    client.close()
    daemon.session(client)
    numbers = page_of(daemon).metrics()
    assert numbers["pairsocks_connections_refused_total", "closed", "whitelist"] == 1
    assert numbers["pairsocks_connections_accepted_total", "closed"] == 1
    assert numbers["pairsocks_sessions_started_total", "closed"] == 0
    assert numbers["pairsocks_resolve_seconds_count",] == 1
    names = [key[1] for key in numbers if key[0] == "pairsocks_sessions_ended_total"]
    assert len(names) == 1 and names[0].startswith("resolver.name.")


def test_handshakes_are_counted_full_resumed_and_failed(pairsocks, dial_tls, dial, keep):
    daemon = pairsocks(daemon=HERE, **tls.keys())
    page = page_of(daemon)
    first = dial_tls(daemon)
    first.close()
    plain = dial(daemon)
    plain.send(b"GET / HTTP/1.0\r\n\r\n")
    plain.read_to_end_or_reset()
    daemon.session(plain)
    numbers = page.metrics()
    assert numbers["pairsocks_tls_handshakes_total", "main", "full"] == 1
    assert numbers["pairsocks_tls_handshakes_total", "main", "failed"] == 1


def test_the_json_has_the_parts_of_the_page(pairsocks, dial, keep, token_file):
    refusing = keep(Refusing())
    proxy = keep(Refusing())
    daemon = pairsocks(
        daemon={**HERE, "status_token_file": token_file},
        listeners={"main": {"listen": "127.0.0.1:0"}, "by": {"listen": "127.0.0.1:0", "route": "away"}},
        upstreams={"away": {"type": "socks5", "server": f"127.0.0.1:{proxy.port}"}},
    )
    refuse(daemon, dial, refusing)
    by = dial(daemon, address=daemon.address(4, "by"))
    by.negotiate("socks5", "192.0.2.1", 80)
    by.close()
    daemon.session(by)
    status = page_of(daemon).status()
    assert status["state"] == "serving" and status["pid"] == daemon.pid and status["workers"] == 2
    assert [listener["name"] for listener in status["listeners"]] == ["main", "by"]
    assert status["listeners"][0]["addresses"] == ["%s:%d" % daemon.address()]
    assert status["upstreams"][0]["servers"][0]["state"] == "set aside"
    assert status["upstreams"][0]["servers"][0]["last_error"] == "system.connect.refused"
    assert status["counters"]["errors"] == {"system.connect.refused": 2}
    assert status["sessions"] is None and status["has_token"] is True


def test_sessions_are_for_those_who_hold_the_token(served, through, keep):
    target = keep(Listener())
    client, end = through(served, target)
    page, holder = page_of(served), page_of(served, TOKEN)
    assert page.status()["sessions"] is None
    (session,) = holder.status()["sessions"]
    assert session["client"] == client.local
    assert session["target"] == f"{target.host}:{target.port}"
    client.close()
    end.close()
    served.session(client)
    assert holder.status()["sessions"] == []


@pytest.mark.parametrize("shown", [TOKEN[:-1], TOKEN + "x", "", TOKEN.swapcase()])
def test_another_token_is_denied_and_said_so(served, shown):
    answer = page_of(served).ask("/status.json", Authorization=f"Bearer {shown}")
    assert answer.status == 401 and answer.getheader("WWW-Authenticate") == "Bearer"
    assert served.wait_for(event="status_denied")["client"] == "127.0.0.1"
    assert TOKEN not in served.log_text()


# ---- to whom


@pytest.mark.parametrize("path", ["/", "/metrics", "/status.json", "/proxy.pac", "/page.js"])
def test_another_host_is_refused(served, path):
    page = page_of(served)
    for host in ("evil.example", "evil.example:80", "192.0.2.1", "localhost.evil.example", "0.0.0.0", ""):
        assert page.ask(path, Host=host).status == 421, host
    for host in ("localhost", "localhost:1", "127.0.0.1", "[::1]:9", page.address):
        assert page.ask(path, Host=host).status == 200, host


def raw(page, request, finish=False):
    """What comes for these bytes until the connection ends; some may come too late for it."""
    data = bytearray()
    with Wire.open(page.endpoint) as wire, contextlib.suppress(ConnectionError):
        wire.send(request)
        if finish:
            wire.finish()
        while piece := wire.sock.recv(1 << 16):
            data += piece
    return bytes(data)


def test_a_request_needs_one_host(served):
    page = page_of(served)
    assert b" 421 " in raw(page, b"GET / HTTP/1.0\r\n\r\n")
    assert b" 200 " not in raw(page, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
    two = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
    assert b" 200 " not in raw(page, two)


def test_names_of_status_hosts_are_answered(pairsocks):
    page = page_of(pairsocks(daemon={**HERE, "status_hosts": "proxy.example, other"}))
    assert page.ask("/", Host="Proxy.Example:8080").status == 200
    assert page.ask("/", Host="localhost").status == 421


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "BREW"])
def test_only_get_and_head(served, method):
    answer = page_of(served).ask("/status.json", method)
    assert answer.status == 405 and answer.getheader("Allow") == "GET, HEAD"


def test_head_has_the_fields_alone(served):
    answer = page_of(served).ask("/metrics", "HEAD")
    assert answer.status == 200 and answer.text == "" and int(answer.getheader("Content-Length")) > 1000


@pytest.mark.parametrize("path", ["/", "/page.css", "/page.js", "/icon.svg", "/metrics", "/status.json", "/proxy.pac", "/no"])
def test_every_answer_is_guarded(served, path):
    answer = page_of(served).ask(path)
    policy = answer.getheader("Content-Security-Policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Cache-Control") == "no-store"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.status == (404 if path == "/no" else 200)


def test_beyond_loopback_the_numbers_are_for_the_token(pairsocks, token_file):
    daemon = pairsocks(daemon={"status": "0.0.0.0:0", "status_token_file": token_file, "pac": "yes"})
    port = page_of(daemon).endpoint[1]
    page, holder = Page(f"127.0.0.1:{port}"), Page(f"127.0.0.1:{port}", TOKEN)
    for path in ("/metrics", "/status.json"):
        assert page.ask(path).status == 401
        assert holder.ask(path).status == 200
    assert page.ask("/").status == page.ask("/proxy.pac").status == 200


def test_beyond_loopback_without_a_token_is_no_configuration(tmp_path):
    (tmp_path / "p.ini").write_text(config_text({"status": "0.0.0.0:1"}, {"main": {"listen": "127.0.0.1:0"}}))
    done = run("--check", "-c", tmp_path / "p.ini")
    assert done.returncode == 1 and "status_token_file" in done.stderr


def test_clients_do_not_reach_it_through_us(pairsocks, dial):
    daemon = pairsocks(daemon=HERE, guard="yes")
    client = dial(daemon)
    host, port = page_of(daemon).endpoint
    client.negotiate("socks5", host, port)
    client.close()
    assert daemon.session(client)["error"] == "policy.guard.denied"


# ---- how much it bears


def test_an_oversized_request_is_refused(served):
    page = page_of(served)
    for fields in (b"X: " + b"x" * 40000 + b"\r\n", b"X: y\r\n" * 9000):
        answer = raw(page, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + b"\r\n")
        assert b" 200 " not in answer
    answer = raw(page, b"GET /" + b"x" * 40000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 " not in answer
    assert page.ask("/").status == 200


def test_a_body_is_refused(served):
    page = page_of(served)
    assert page.ask("/", body=b"x" * 10).status == 413
    assert page.ask("/", body=iter([b"x"]), Transfer_Encoding="chunked").status == 413


def test_rubbish_is_no_request(pairsocks, fast_clock):
    """What might become one is waited for: the daemon's clock runs 20 times faster."""
    page = page_of(pairsocks(daemon=HERE, environment=fast_clock(20)))
    for rubbish in (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"\0" * 100 + b"\r\n\r\n", b"\r\n" * 50, b"GET\r\n\r\n"):
        assert b" 200 " not in raw(page, rubbish, finish=True)
    assert page.ask("/").status == 200


def test_who_is_slow_is_closed_and_keeps_nobody_out(pairsocks, keep, fast_clock):
    """The deadlines are 20 s; the daemon's clock runs 20 times faster."""
    daemon = pairsocks(daemon=HERE, environment=fast_clock(20))
    page = page_of(daemon)
    slow = [keep(Wire.open(page.endpoint)) for _ in range(80)]
    for wire in slow:
        wire.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
    slow[0].drip(b"y" * 500, 0.05, until_closed=True)
    assert page.ask("/").status == 200


def test_a_reader_that_hangs_does_not_hold_the_daemon(served, dial, keep):
    page = page_of(served)
    echo = keep(Echo())
    hanging = [keep(Wire.open(page.endpoint, receive_buffer=4096)) for _ in range(10)]
    for wire in hanging:
        wire.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 20)
    client = dial(served)
    client.connect("socks5", echo.host, echo.port)
    client.send(b"ping")
    assert client.read(4) == b"ping"
    assert page.ask("/metrics").status == 200


# ---- where


def reload(daemon, event="reloaded", **keys):
    text = config_text(
        {"workers": 2, "log_target": f"file:{daemon.log_path}", **keys}, {"main": {"listen": "127.0.0.1:0"}}
    )
    (daemon.folder / "pairsocks.ini").write_text(text)
    daemon.reload(event)


def refuses(page):
    try:
        with socket.create_connection(page.endpoint, wait.seconds(5)):
            return False
    except ConnectionRefusedError:
        return True


def test_a_reload_changes_the_address_and_the_keys(served, token_file):
    before = page_of(served)
    assert before.ask("/proxy.pac").status == 200
    reload(served, status="[::1]:0")
    after = page_of(served)
    assert after.address.startswith("[::1]:")
    assert after.ask("/").status == 200 and after.ask("/proxy.pac").status == 404
    assert refuses(before)
    assert after.status()["has_token"] is False
    reload(served)
    assert refuses(after)


def test_a_reload_keeps_the_place_and_what_was_counted(served, dial, keep):
    page = page_of(served)
    refuse(served, dial, keep(Refusing()))
    reload(served, status=HERE["status"], pac="no")
    assert len(served.records(event="status")) == 1
    assert page.status()["counters"]["errors"] == {"system.connect.refused": 1}


def test_a_failed_reload_changes_nothing(served, keep):
    page, taken = page_of(served), keep(Listener())
    reload(served, "reload_failed", status=f"127.0.0.1:{taken.port}")
    assert page.ask("/proxy.pac").status == 200


def test_a_reload_is_told_why_the_page_cannot_be_had(pairsocks, keep, tmp_path):
    control, taken = tmp_path / "control", keep(Listener())
    daemon = pairsocks(daemon={**HERE, "control": control})
    reload(daemon, "reload_failed", status=f"127.0.0.1:{taken.port}", control=control)
    why = f"127.0.0.1:{taken.port}: address in use: another program listens there"
    assert Control(control).ask("reload")["errors"] == [f"[daemon] status = {why}"]
    assert page_of(daemon).ask("/").status == 200


def test_an_address_in_use_keeps_the_daemon_from_starting(launch, tmp_path, keep):
    taken = keep(Listener())
    log = tmp_path / "log"
    daemon = launch(
        config_text({"status": f"127.0.0.1:{taken.port}", "log_target": f"file:{log}"}, {"main": {"listen": "127.0.0.1:0"}}),
        log_path=log,
    )
    assert daemon.exit_code() == 1
    assert daemon.records(event="status", level="error")[0]["address"] == f"127.0.0.1:{taken.port}"


def test_a_unix_socket_serves_and_goes(pairsocks, tmp_path):
    path = tmp_path / "page"
    served = pairsocks(daemon={"status": f"unix:{path}"})
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    page = Page(str(path))
    assert page.ask("/metrics").status == 200
    assert page.ask("/metrics", Host="evil.example").status == 421
    served.signal(signal.SIGINT)
    assert served.exit_code() == 0
    assert not path.exists()


def test_it_tells_of_the_drain(served, through, keep):
    client, end = through(served, keep(Listener()))
    page = page_of(served)
    served.signal(signal.SIGTERM)
    served.wait_for(event="drain")
    assert page.status()["state"] == "draining"
    assert page.metrics()["pairsocks_draining",] == 1
    client.close()
    end.close()
    assert served.exit_code() == 0


# ---- /proxy.pac


def test_the_pac_names_what_the_asker_can_reach(pairsocks):
    daemon = pairsocks(
        daemon={**HERE, "pac": "yes"},
        listeners={
            "main": {"listen": "127.0.0.1:0"},
            "web": {"listen": "127.0.0.1:0", "protocols": "http"},
            "closed": {"listen": "127.0.0.1:0", "deny": "127.0.0.1"},
        },
    )
    answer = page_of(daemon).ask("/proxy.pac")
    main, web = ("%s:%d" % daemon.address(4, name) for name in ("main", "web"))
    assert answer.getheader("Content-Type") == "application/x-ns-proxy-autoconfig"
    assert f'return "SOCKS5 {main}; SOCKS {main}; PROXY {main}; PROXY {web}";' in answer.text


def test_the_pac_is_a_script_that_keeps_this_host_direct(pairsocks, program):
    daemon = pairsocks(daemon={**HERE, "pac": "yes"})
    script = page_of(daemon).ask("/proxy.pac").text
    helpers = """
        const isPlainHostName = (host) => !host.includes('.') && !host.includes(':');
        const shExpMatch = (text, pattern) => new RegExp('^' + pattern.replace(/[.]/g, '\\\\.').replace(/[*]/g, '.*') + '$').test(text);
    """
    ask = "for (const h of ['intranet', '127.0.0.1', '[::1]', 'a.localhost', 'www.example.org', '192.0.2.1'])" \
          "console.log(FindProxyForURL('http://' + h + '/', h));"  # fmt: skip
    done = subprocess.run([program("node"), "-e", helpers + script + ask], capture_output=True, text=True, check=True)
    answers = done.stdout.splitlines()
    assert answers[:4] == ["DIRECT"] * 4
    assert all(answer.startswith("SOCKS5 127.0.0.1:") and "DIRECT" not in answer for answer in answers[4:])


def test_without_the_key_there_is_no_pac(pairsocks):
    assert page_of(pairsocks(daemon=HERE)).ask("/proxy.pac").status == 404


def test_without_a_way_the_pac_says_direct(pairsocks, tmp_path):
    daemon = pairsocks(daemon={**HERE, "pac": "yes"}, listeners={"main": {"listen": f"unix:{tmp_path}/s"}})
    assert 'return "DIRECT";\n}\n' in page_of(daemon).ask("/proxy.pac").text


# ---- `pairsocks status`


def test_the_command_says_what_the_page_says(pairsocks, dial, keep, tmp_path):
    daemon = pairsocks(daemon={**HERE, "control": tmp_path / "control"})
    refuse(daemon, dial, keep(Refusing()))
    pairsocks_command = os.path.join(os.path.dirname(BINARY), "pairsocks")
    done = subprocess.run(
        [pairsocks_command, "status", "--json", "--control", tmp_path / "control"], capture_output=True, text=True, check=True
    )
    said, page = json.loads(done.stdout), page_of(daemon).status()
    assert said["errors"] == page["counters"]["errors"] == {"system.connect.refused": 1}
    assert said["listeners"][0]["sent"] == page["counters"]["total"]["sent"]
