"""The command line and the file: what is found where, and how errors are told."""

import re

import pytest

from harness import wait
from harness.daemon import ROOT, config_text, run
from harness.log import parse
from harness.netns import Namespace
from harness.socks import Client
from harness.targets import Echo, Listener

ERROR = re.compile(r"^(?P<file>.+):(?P<line>\d+): (?:\[(?P<section>[^]]*)\] )?(?P<what>.+)$")
GOOD = "[listener main]\nlisten = 127.0.0.1:0\n"


def check(folder, text):
    """--check of a file with this text; returns the run and its errors as (line, rest)."""
    path = folder / "a.ini"
    path.write_text(text)
    done = run("-c", path, "--check")
    errors = []
    for line in done.stderr.splitlines():
        match = ERROR.match(line)
        assert match and match["file"] == str(path), f"not FILE:LINE: ...: {line!r}"
        errors.append((int(match["line"]), line.partition(": ")[2]))
    return done, errors


def test_check_of_a_good_file_says_ok(tmp_path):
    done, errors = check(tmp_path, GOOD)
    assert (done.returncode, done.stdout, errors) == (0, f"{tmp_path}/a.ini: ok\n", [])


def test_check_says_where_the_guard_sees_no_addresses(tmp_path):
    guarded = GOOD + "guard = yes\n"
    proxy = "[upstream p]\ntype = {}\nserver = a:1\n"
    note = f"{tmp_path}/a.ini: note: [listener main] guard: names that go to [upstream p] are resolved there"
    for text, noted in ((guarded + "route = p\n" + proxy.format("socks5"), True),
                        (guarded + "[rule r]\naction = route p\n" + proxy.format("http"), True),
                        (guarded + "route = p\n" + proxy.format("socks4"), False),
                        (GOOD + "route = p\n" + proxy.format("socks5"), False)):  # fmt: skip
        done, errors = check(tmp_path, text)
        first, *more = done.stdout.splitlines()
        assert (done.returncode, first, errors) == (0, f"{tmp_path}/a.ini: ok", [])
        assert [line.startswith(note) for line in more] == [True] * noted, done.stdout


EVERY_KEY = """
; a comment
# another
[daemon]
workers = 2
user = nobody
group = nogroup
chroot = /
log_target = stderr
log_level = debug
log_format = json
nameserver = 127.0.0.1:5353, [::1]:53
nameserver = 127.0.0.2
drain_timeout = 5s
search_domains = yes
max_files = 1000

   [listener main]
   listen = 127.0.0.1:0, [::1]:0
listen = 127.0.0.2:0
queue = 10
max_connections = 20
protocols = socks4, socks5
handshake_timeout = 500ms
connect_timeout = 10s
write_timeout = 5m
idle_timeout = 2h
half_close_timeout = 1m
keepalive = 0
unix_mode = 0600
max_per_host = 10
max_per_user = 0
allow = 127.0.0.0/8, ::1
allow = localhost
deny = 127.0.0.9
open_proxy = no
guard = yes
default = deny
bind_address = 127.0.0.1
udp = auto
udp_ports = 40000-40100
udp_advertise = 192.0.2.1
udp_max_targets = 100
udp_rate = 0
udp_filter = address
resolve_for_rules = no
[listener second-one_2.b]
listen=127.0.0.1:0, unix:/tmp/pairsocks-test.socket
[rule first]
listener = main, second-one_2.b
client = 127.0.0.0/8
user = alice, ident:bob, cert:Carol
destination = example.org, *.example.net, 192.0.2.1, 2001:db8::/32
port = 80, 8000-8999
command = connect
action = allow
rate = 10M
[rule last]
action = deny
"""


def test_every_key_of_this_version_is_taken(tmp_path):
    done, errors = check(tmp_path, EVERY_KEY)
    assert (done.returncode, errors) == (0, [])


def test_check_needs_no_network_and_no_free_address(tmp_path, keep):
    taken = keep(Listener())
    done, _ = check(tmp_path, f"[listener main]\nlisten = 127.0.0.1:{taken.port}\n")
    assert done.returncode == 0


WRONG = {
    "unknown section": ("[weather]\nwind = 3\n" + GOOD, 1, "[weather]"),
    "unknown key": ("[daemon]\nwrokers = 2\n" + GOOD, 2, "[daemon] wrokers"),
    "key before any section": ("workers = 2\n" + GOOD, 1, "workers"),
    "no equals sign": ("[daemon]\nworkers\n" + GOOD, 2, ""),
    "section without end": ("[daemon\nworkers = 2\n" + GOOD, 1, ""),
    "empty value": ("[daemon]\nworkers =\n" + GOOD, 2, "[daemon] workers"),
    "not a number": ("[daemon]\nworkers = many\n" + GOOD, 2, "[daemon] workers"),
    "negative": ("[daemon]\nworkers = -1\n" + GOOD, 2, "[daemon] workers"),
    "too many": ("[daemon]\nworkers = 99999999999999999999\n" + GOOD, 2, "[daemon] workers"),
    "key twice": ("[daemon]\nworkers = 1\nworkers = 2\n" + GOOD, 3, "[daemon] workers"),
    "bad level": ("[daemon]\nlog_level = loud\n" + GOOD, 2, "[daemon] log_level"),
    "bad format": ("[daemon]\nlog_format = xml\n" + GOOD, 2, "[daemon] log_format"),
    "bad target": ("[daemon]\nlog_target = printer\n" + GOOD, 2, "[daemon] log_target"),
    "bad nameserver": ("[daemon]\nnameserver = not an address\n" + GOOD, 2, "[daemon] nameserver"),
    "duration without unit's sense": ("[daemon]\ndrain_timeout = 5 weeks\n" + GOOD, 2, "[daemon] drain_timeout"),
    "no port": ("[listener main]\nlisten = 127.0.0.1\n", 2, "[listener main] listen"),
    "port out of range": ("[listener main]\nlisten = 127.0.0.1:65536\n", 2, "[listener main] listen"),
    "odd address": ("[listener main]\nlisten = 127.1:1080\n", 2, "[listener main] listen"),
    "one of a list bad": ("[listener main]\nlisten = 127.0.0.1:0, [::1:0\n", 2, "[listener main] listen"),
    "missing listen": ("\n[listener main]\nqueue = 3\n", 2, "[listener main] listen"),
    "bad queue": (GOOD + "queue = 0x10\n", 3, "[listener main] queue"),
    "bad protocol": (GOOD + "protocols = socks6\n", 3, "[listener main] protocols"),
    "bad duration": (GOOD + "idle_timeout = -5s\n", 3, "[listener main] idle_timeout"),
    "section twice": (GOOD + "[daemon]\n[listener main]\nlisten = 127.0.0.1:0\n", 4, "[listener main]"),
    "listener without name": ("[listener]\nlisten = 127.0.0.1:0\n", 1, "listener"),
    "reserved name": ("[listener any]\nlisten = 127.0.0.1:0\n", 1, "any"),
    "name with a slash": ("[listener a/b]\nlisten = 127.0.0.1:0\n", 1, "a/b"),
    "missing action": (GOOD + "[rule r]\nport = 80\n", 3, "[rule r] action"),
    "rule without name": (GOOD + "[rule]\naction = deny\n", 3, "rule"),
    "rule for a listener that is not there": (GOOD + "[rule r]\nlistener = x\naction = deny\n", 4, "[rule r] listener"),
    "odd numeral in a rule": (GOOD + "[rule r]\ndestination = 127.1\naction = deny\n", 4, "[rule r] destination"),
    "star alone": (GOOD + "[rule r]\ndestination = *\naction = deny\n", 4, "[rule r] destination"),
    "rate of a rule that denies": (GOOD + "[rule r]\nrate = 64k\naction = deny\n", 4, "[rule r] rate"),
    "ports backwards": (GOOD + "[rule r]\nport = 90-80\naction = deny\n", 4, "[rule r] port"),
    "odd numeral in allow": (GOOD + "allow = 10.1\n", 3, "[listener main] allow"),
    "any beside others": (GOOD + "allow = any, 10.0.0.1\n", 3, "[listener main] allow"),
    "open proxy": ("[listener main]\nlisten = 0.0.0.0:1080\n", 1, "[listener main] open_proxy"),
    "open proxy in halves": (
        "[listener main]\nlisten = [::]:1080\nallow = 0.0.0.0/1, 128.0.0.0/1\n", 1, "[listener main] open_proxy"),
    "relative path": ("[listener main]\nlisten = unix:run/x\n", 2, "[listener main] listen"),
    "long path": (f"[listener main]\nlisten = unix:/{'x' * 107}\n", 2, "[listener main] listen"),
    "bad mode": (GOOD + "unix_mode = 1777\n", 3, "[listener main] unix_mode"),
    "address of another listener": (
        "[listener a]\nlisten = 127.0.0.1:1\n[listener b]\nlisten = localhost:1\n", 4, "[listener b] listen"),
    "relative root": ("[daemon]\nchroot = var\n" + GOOD, 2, "[daemon] chroot"),
    "control character": (GOOD + "protocols = socks5\v\n", 3, ""),
    "line too long": (GOOD + "protocols = " + "socks5, " * 4000 + "socks4\n", 3, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_error_is_told_with_file_line_section_and_key(tmp_path, case):
    text, line, start = WRONG[case]
    done, errors = check(tmp_path, text)
    assert (done.returncode, done.stdout) == (1, "")
    assert any(at == line and rest.startswith(start) or start in rest and at == line for at, rest in errors), errors


@pytest.mark.parametrize("case", ["not a number", "bad level", "port out of range", "bad duration", "bad protocol"])
def test_an_error_of_a_value_says_what_is_accepted(tmp_path, case):
    _, errors = check(tmp_path, WRONG[case][0])
    assert re.search(r"\(.+\)$", errors[0][1]), errors


def test_all_errors_are_told_at_once_in_the_order_of_the_file(tmp_path):
    text = (
        "[daemon]\nworkers = x\nlog_level = y\nunknown = z\n"
        "[rule r]\nlistener = lost\ndestination = 127.1, *, example.org\n"
        "[listener main]\nqueue = q\nlisten = nowhere\n[strange]\n[listener two]\nlisten = 0.0.0.0:1\n"
    )
    done, errors = check(tmp_path, text)
    assert done.returncode == 1
    # 5: no action; 6: no such listener; 7: two bad items; 12: an open proxy
    assert [line for line, _ in errors] == [2, 3, 4, 5, 6, 7, 7, 9, 10, 11, 12]


@pytest.mark.parametrize("text,line,offered", [
    ("[daemon]\nlogLevel = info\n" + GOOD, 2, "`log_level`"),
    (GOOD + "alow = 10.0.0.1\n", 3, "`allow`"),
    (GOOD + "protocols = sock5\n", 3, "`socks"),
    (GOOD + "[rul r]\naction = deny\n", 3, "`rule`"),
    (GOOD + "[rule r]\naction = deyn\n", 4, "`deny`"),
    (GOOD + "[rule r]\naction = deny\nlistener = mian\n", 5, "`main`"),
    (GOOD + "workers = 2\n", 3, "[daemon]"),
    (GOOD + "destination = example.org\n", 3, "[rule]"),
])
def test_a_misspelt_word_is_told_with_what_may_have_been_meant(tmp_path, text, line, offered):
    _, errors = check(tmp_path, text)
    assert [at for at, _ in errors] == [line] and offered in errors[0][1], errors


def test_a_misspelt_word_that_is_near_to_nothing_is_told_alone(tmp_path):
    _, errors = check(tmp_path, GOOD + "colour = red\n")
    assert len(errors) == 1 and "mean" not in errors[0][1]


LATER = [
    "peer_name = x",
]


@pytest.mark.parametrize("text", LATER)
def test_what_a_later_version_has_says_that_it_is_not_available_yet(tmp_path, text):
    done, errors = check(tmp_path, GOOD + text + "\n")
    assert done.returncode == 1
    assert len(errors) == 1 and "not available in this version yet" in errors[0][1]


def dump(folder, text):
    path = folder / "dump.ini"
    path.write_text(text)
    return run("-c", path, "--dump-config")


@pytest.mark.parametrize("text", [GOOD, EVERY_KEY], ids=["least", "every key"])
def test_a_dump_is_a_file_that_means_the_same(tmp_path, text):
    first = dump(tmp_path, text)
    assert (first.returncode, first.stderr) == (0, "")
    assert check(tmp_path, first.stdout)[0].returncode == 0
    assert dump(tmp_path, first.stdout).stdout == first.stdout


def test_a_dump_holds_what_was_given_and_the_defaults(tmp_path):
    lines = dump(tmp_path, GOOD + "idle_timeout = 120m\n[rule r]\ndestination = A.Example.\naction = deny\n").stdout.splitlines()
    for line in ("[daemon]", "workers = auto", "log_target = stderr", "[listener main]", "listen = 127.0.0.1:0",
                 "idle_timeout = 2h", "queue = 1024", "guard = auto", "[rule r]", "destination = a.example",
                 "port = any", "action = deny"):
        assert line in lines


def test_a_dump_of_a_bad_file_tells_its_errors_instead(tmp_path):
    done = dump(tmp_path, GOOD + "queue = x\nkeepalive = y\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert [int(ERROR.match(line)["line"]) for line in done.stderr.splitlines()] == [3, 4]


def test_the_example_of_the_manual_is_good(tmp_path):
    manual = (ROOT / "config" / "pairsocks.ini.5").read_text()
    example = re.search(r"^\.Bd -literal.*?\n(.*?)^\.Ed", manual, re.S | re.M)[1]
    done, errors = check(tmp_path, example)
    assert (done.returncode, errors) == (0, [])


def test_a_daemon_with_a_bad_file_tells_its_errors_and_exits_1(launch):
    daemon = launch("[daemon]\nworkers = x\n[listener main]\nlisten = 127.0.0.1:0\nqueue = y\n")
    assert daemon.exit_code() == 1
    told = [line for line in daemon.errors().splitlines() if ERROR.match(line)]
    assert [int(ERROR.match(line)["line"]) for line in told] == [2, 5]


@pytest.mark.parametrize("arguments", [["-c", "/nonexistent/a.ini"], ["-c", "/nonexistent/a.ini", "--check"], ["-c", "/"]])
def test_a_file_that_cannot_be_read_is_named_and_exits_1(arguments):
    done = run(*arguments)
    assert done.returncode == 1
    assert arguments[1] in done.stderr


@pytest.mark.parametrize("arguments", [["--nonsense"], ["-c"], ["stray"], ["-x"]])
def test_a_usage_error_exits_2(arguments):
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def test_version_and_help_are_printed(tmp_path):
    version = run("--version")
    assert version.returncode == 0 and re.match(r"pairsocksd .*\d", version.stdout)
    helped = run("--help")
    assert helped.returncode == 0
    assert all(word in helped.stdout for word in ("-c", "--check", "--dump-config", "--version", "--help"))


def test_a_log_file_that_cannot_be_opened_ends_the_start(launch):
    daemon = launch(config_text({"log_target": "file:/nonexistent/log"}, {"main": {"listen": "127.0.0.1:0"}}))
    assert daemon.exit_code() == 1
    assert "/nonexistent/log" in daemon.errors()


def test_every_address_of_the_list_is_served(pairsocks, dial, keep):
    daemon = pairsocks(listen=["127.0.0.1:0, 127.0.0.2:0", "[::1]:0"])
    target = keep(Echo())
    assert [host for host, _ in daemon.addresses()] == ["127.0.0.1", "127.0.0.2", "::1"]
    for address in daemon.addresses():
        dial(daemon, address=address).connect("socks5", *target.address)


@pytest.mark.parametrize("workers", ["1", "3", "auto"])
def test_any_number_of_workers_serves(pairsocks, dial, keep, workers):
    daemon = pairsocks(daemon={"workers": workers})
    target = keep(Echo())
    for _ in range(10):
        dial(daemon).connect("socks4", *target.address)


@pytest.mark.parametrize("served,other", [("socks4", "socks5"), ("socks5", "socks4")])
def test_a_listener_speaks_only_its_protocols(pairsocks, dial, keep, served, other):
    daemon = pairsocks(protocols=served)
    target = keep(Listener())
    client = dial(daemon)
    client.send(b"\x05\x01\x00" if other == "socks5" else b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00")
    answer = client.read_to_end()
    client.close()
    assert answer in (b"", b"\x05\xff" if other == "socks5" else b"\x00\x5b" + bytes(6))
    assert daemon.session(client)["error"] != "none"
    dial(daemon).connect(served, *target.address)


# --- without -c, in a namespace whose /etc is empty but for what the test puts there


@pytest.fixture
def machine(keep, launch):
    """machine(ipv6): a namespace with an empty /etc, and start() for a daemon without arguments in it."""

    def make(ipv6=True):
        namespace = keep(Namespace(ipv6=ipv6, mounts=True))
        namespace.shell("mount -t tmpfs tmpfs /etc")
        namespace.start = lambda: launch(prefix=namespace.prefix)
        return namespace

    return make


def tells_of(daemon, **wanted):
    """Waits for a record on stderr."""

    def there():
        records = [parse(line) for line in daemon.errors().splitlines() if line.startswith("time=")]
        return [r for r in records if all(r.get(key) == value for key, value in wanted.items())]

    return wait.until(there, lambda: f"{wanted}: {daemon.story()}")


def serves_at(namespace, keep, host, port=1080):
    """A client inside the namespace reaches a target there."""
    target = keep(Listener(make_socket=namespace.make_socket))
    client = keep(Client.open((host, port), make_socket=namespace.make_socket))
    client.connect("socks5", *target.address)
    target.accept().send(b"hi")
    assert client.read(2) == b"hi"


def test_without_a_file_it_serves_1080_of_both_loopbacks(machine, keep):
    namespace = machine()
    tells_of(namespace.start(), event="ready")
    serves_at(namespace, keep, "127.0.0.1")
    serves_at(namespace, keep, "::1")


def test_without_a_file_and_without_ipv6_it_serves_127_0_0_1(machine, keep):
    namespace = machine(ipv6=False)
    tells_of(namespace.start(), event="ready")
    serves_at(namespace, keep, "127.0.0.1")


def test_without_a_file_one_address_taken_leaves_the_other(machine, keep):
    namespace = machine()
    taken = namespace.make_socket()
    keep(taken)
    taken.bind(("127.0.0.1", 1080))
    taken.listen()
    tells_of(namespace.start(), event="ready")
    serves_at(namespace, keep, "::1")


def test_without_a_file_both_addresses_taken_is_an_error(machine, keep):
    namespace = machine()
    first = namespace.start()
    tells_of(first, event="ready")
    second = namespace.start()
    assert second.exit_code() == 1
    assert "address in use" in second.errors().lower()


def test_without_a_file_the_dump_is_of_the_built_in_default(machine):
    done = run("--dump-config", prefix=machine().prefix)
    assert (done.returncode, done.stderr) == (0, "")
    assert "[listener default]\nlisten = localhost:1080\n" in done.stdout


def test_without_c_the_file_in_etc_is_read(machine, keep):
    namespace = machine()
    namespace.shell("mkdir /etc/pairsocks; printf '[listener x]\\nlisten = 127.0.0.1:4321\\n' > /etc/pairsocks/pairsocks.ini")
    tells_of(namespace.start(), event="listening", listener="x", address="127.0.0.1:4321")
    serves_at(namespace, keep, "127.0.0.1", 4321)


def test_errors_of_the_file_in_etc_name_it(machine):
    namespace = machine()
    namespace.shell("mkdir /etc/pairsocks; printf '[nonsense]\\n' > /etc/pairsocks/pairsocks.ini")
    daemon = namespace.start()
    assert daemon.exit_code() == 1
    assert "/etc/pairsocks/pairsocks.ini:1: [nonsense]" in daemon.errors()


def test_a_failed_start_tells_the_terminal_even_if_the_log_is_a_file(tmp_path, keep):
    taken = keep(Listener())
    path = tmp_path / "a.ini"
    path.write_text(f"[daemon]\nlog_target = file:{tmp_path}/log\n"
                    f"[listener main]\nlisten = 127.0.0.1:{taken.port}\n")
    done = run("-c", path)
    assert done.returncode == 1
    assert "address in use" in done.stderr
    assert "address in use" in (tmp_path / "log").read_text()


@pytest.mark.figures
def test_a_worker_that_cannot_start_ends_the_daemon_instead_of_hanging_it(tmp_path):
    path = tmp_path / "a.ini"
    path.write_text(f"[daemon]\nworkers = 250\nmax_files = 8000\n{GOOD}")
    done = run("-c", path, prefix=("prlimit", "--as=900000000"))
    assert done.returncode == 1
    assert "cannot start the thread" in done.stderr or "out of descriptors or memory" in done.stderr
