"""What is measured, as tables: a suite is what one command measures, a kind is one sort of work in it, and a row is one
figure of that work, with its goal. How a kind is measured is in measure.py, by the name in `measure`."""

import peers
from goals import AtMost, RatioTo, RatioToBest, RatioToRow, Within

MB = 1000 * 1000


class Row:
    """One line of a table: the figure `key` of its kind, divided by `scale`, shown in `unit`."""

    def __init__(self, what, unit, scale, goal=None, key="cost"):
        self.what, self.unit, self.scale, self.goal, self.key = what, unit, scale, goal, key
        self.kind = self.proxies = None  # its kind sets them


class Kind:
    """`count` units of the work `load` (load_kinds.c; udp_load.c) over `connections`, with each of `proxies`. What else a
    measurement looks at: `gear` of the bare relay, `idle` connections that are open beside, `rate` (bytes a second of a
    rule, or exchanges a second of what is paced), `greedy`: one stream beside that takes all it can get."""

    def __init__(self, name, load, count, connections, proxies, rows, measure="cost", gear="copy", idle=0, rate=0,
                 greedy=False):
        self.name, self.load, self.count, self.connections = name, load, count, connections
        self.proxies, self.rows, self.measure, self.gear = proxies, rows, measure, gear
        self.idle, self.rate, self.greedy = idle, rate, greedy
        for row in rows:
            row.kind, row.proxies = name, proxies


class Suite:
    """`table` has the peers; `proxies` are those that are measured if none are named. `program`: the load generator.
    `by_best`: the ratio is to the best of the others. `spread`: the proxy is not held to one CPU. `urgent`: clients and
    target come before all else on their CPU. `head`: what stands above the rows."""

    def __init__(self, kinds, table, proxies=None, program="load", by_best=False, spread=False, urgent=False,
                 head="proxy's cost of one"):
        self.kinds, self.table, self.program = kinds, table, program
        self.proxies = proxies or list(table)
        self.by_best, self.spread, self.urgent, self.head = by_best, spread, urgent, head


# ---- the main table

SOCKS = ("pairsocksd", "microsocks", "danted", "floor")
ALL = ("pairsocksd", "microsocks", "danted", "haproxy", "haproxy-splice", "floor")

CONNECT = "new SOCKS5 connection up to the reply, and its end; 64 at a time"
EXCHANGE = "64-byte exchange over 64 connections"


def bytes_kinds(count, proxies, goals, what, unit):
    """Both ways, with as many streams as `goals` has rows for."""
    return [Kind(f"{way}{streams}", way, count, streams, proxies,
                 [Row(what(way, streams), unit, 1.0, goal)], gear="splice")  # ns a byte = s a GB
            for way in ("up", "down") for streams, goal in goals.items()]


def streams(number):
    return "1 stream" if number == 1 else f"{number} streams"


MAIN = Suite([
    Kind("connect", "connect", 10000, 64, SOCKS, [Row(CONNECT, "us", 1e3, RatioTo(0.55, "microsocks"))]),
    Kind("exchange", "exchange", 200000, 64, ALL, [Row(EXCHANGE, "us", 1e3, RatioTo(0.45, "microsocks"))]),
    *bytes_kinds(2400 * MB, ALL, {1: RatioTo(0.50, "haproxy"), 8: RatioTo(0.45, "haproxy"),
                                  256: RatioTo(0.50, "haproxy")},
                 lambda way, n: f"GB {way}, {streams(n)}", "CPU s"),
    Kind("idle", "idle", 4000, 4000, ALL, [
        Row("open idle connection (4,000 of them; danted: 1,000)", "KiB PSS", 1024.0, AtMost(1.0, "KiB PSS"), "pss"),
        Row("open idle connection", "descriptors", 1.0, AtMost(2.0, "descriptors"), "descriptors"),
    ], measure="memory"),
], peers.PLAIN, ["pairsocksd", "microsocks", "danted", "haproxy", "floor"])

# Some peers take very long: they get less of the work, and a unit still costs what it costs.
SHARE = {("danted", "connect"): 0.2, ("danted", "exchange"): 0.5, ("danted", "idle"): 0.25,
         ("microsocks", "up"): 0.25, ("microsocks", "down"): 0.25}

# ---- terminating TLS: 1.3 in, plain out

ALL_TLS = tuple(peers.TLS)

TLS = Suite([
    Kind("handshake", "first", 4000, 64, ALL_TLS,
         [Row("full TLS handshake: connection, handshake, 1 byte there and back, end; 64 at a time", "us", 1e3,
              RatioToBest(0.60))]),
    Kind("exchange", "exchange", 100000, 64, ALL_TLS,
         [Row("64-byte exchange over 64 TLS connections", "us", 1e3, RatioToBest(0.85))]),
    *bytes_kinds(1600 * MB, ALL_TLS, {n: RatioToBest(0.80) for n in (1, 8, 256)},
                 lambda way, n: f"GB {way}, {n} TLS stream{'s' * (n > 1)} ({'de' if way == 'up' else 'en'}crypted)",
                 "CPU s"),
    Kind("idle", "idle", 2000, 2000, ALL_TLS,
         [Row("open idle TLS connection (2,000 of them)", "KiB PSS", 1024.0, AtMost(6.0, "KiB PSS"), "pss")],
         measure="memory"),
], peers.TLS, program="tls_load", by_best=True)

# ---- what else a connection may cost: rules, the guard and the json log; a password

POLICY = Suite([
    Kind("connect", "connect", 10000, 64, ("pairsocksd", "plain", "floor"),
         [Row("new SOCKS5 connection with 1,000 rules, guard and json log; 64 at a time", "us", 1e3,
              RatioTo(1.12, "plain"))]),
], peers.POLICY)

# danted has no memory of logins, so its user has the cheapest hash of crypt(3) that is still in use (md5crypt); ours has
# the one that `pairsocks passwd` makes.
AUTH = Suite([
    Kind("connect", "connect", 10000, 64, ("pairsocksd", "danted", "floor"),
         [Row("new SOCKS5 connection with a password that is remembered; 64 at a time", "us", 1e3,
              RatioTo(0.60, "danted"))]),
], peers.AUTH)

# danted has no batches, and needs an address of its own to answer from.
UDP = Suite([
    Kind("burst", "burst", 400000, 16, ("pairsocksd", "danted", "floor"),
         [Row("UDP datagram of 1,200 bytes, 16 associations with 16 under way each", "us", 1e3,
              RatioTo(0.70, "danted"))]),
    Kind("single", "single", 400000, 64, ("pairsocksd", "danted", "floor"),
         [Row("UDP datagram of 1,200 bytes, 64 associations with one under way each", "us", 1e3,
              RatioTo(0.70, "danted"))]),
], peers.UDP, program="udp_load")

# ---- many idle connections beside

CROWD = ("pairsocksd", "haproxy", "floor")

IDLE = Suite([
    Kind("alone", "exchange", 200000, 64, CROWD, [Row(EXCHANGE + ", no other open", "us", 1e3)]),
    Kind("crowd", "exchange", 200000, 64, CROWD,
         [Row(EXCHANGE + ", beside 8,000 idle ones", "us", 1e3, RatioToRow(1.10, "alone", "that without them"))],
         measure="cost_in_crowd", idle=8000),
], peers.PLAIN, list(CROWD))

# ---- two workers. With more than one CPU for proxy and clients together all may run on all of them.

PAIR = ("pairsocksd", "one worker", "floor")


def shares(what, *keys):
    """The rows of how the load is spread."""
    texts = {"cpu_share": "the lesser worker's share of the CPU time", "session_share": "... of the sessions"}
    return [Row(f"{what}: {texts[key]}", "%", 0.01, Within(40, 60, "%"), key) for key in keys]


def futex(what):
    return Row(f"{what}: waits of workers for a lock (strace)", "of 1,000", 1e-3, AtMost(0.0, "of 1,000"), "lock_waits")


WORKERS = Suite([
    Kind("connect", "connect", 20000, 64, PAIR,
         [Row("new SOCKS5 connection, two workers", "us", 1e3, RatioTo(1.10, "one worker")),
          *shares("new connections", "cpu_share"), futex("new connections")], measure="cost_of_workers"),
    Kind("exchange", "exchange", 200000, 400, PAIR,
         [Row("64-byte exchange over 400 connections, two workers", "us", 1e3, RatioTo(1.10, "one worker")),
          *shares("exchanges", "cpu_share", "session_share"), futex("exchanges")], measure="cost_of_workers"),
    Kind("down", "down", 2400 * MB, 64, PAIR,
         [Row("GB down, 64 streams, two workers", "CPU s", 1.0, RatioTo(1.10, "one worker"))],
         measure="cost_of_workers", gear="splice"),
], peers.WORKERS, spread=True)

# ---- latency at equal load

PACED = ("pairsocksd", "haproxy", "floor")


def latency(name, what, rate, greedy, keys):
    return Kind(name, "paced", rate * 4, 64, PACED,
                [Row(f"{what}: {text}", "us", 1e3, RatioTo(1.00, "haproxy") if key in keys else None, key)
                 for key, text in (("p50", "median"), ("p99", "99 of 100 take at most"))],
                measure="latency", rate=rate, greedy=greedy)


LATENCY = Suite([
    latency("alone", "64-byte exchange, 5,000 a second over 64 connections", 5000, False, ("p50", "p99")),
    # fewer, so that none waits for the one before: it is the stream that is to be in the way
    latency("greedy", "64-byte exchange, 1,000 a second, beside one greedy stream", 1000, True, ("p99",)),
], peers.LATENCY, list(PACED), urgent=True, head="time of an exchange")

# ---- the rate of a rule


def rate_kinds(name, text, rate, number):
    return [Kind(f"{way}-{name}", way, rate * 10 * number, number, ("pairsocksd",),
                 [Row(f"{streams(number)} {way} for ten seconds, rule of {text} bytes a second", "% of the rate", 0.01,
                      Within(95, 105, "%"), "rate")], measure="rate", rate=rate)
            for way in ("up", "down")]


# A rule with a rate that no stream reaches keeps nothing from its gear.
RATED = ("pairsocksd", "haproxy", "floor")
FAR_OFF = 10_000_000_000

RATE = Suite([
    *(Kind(f"{way}-free", way, 2400 * MB, 8, RATED,
           [Row(f"GB {way}, 8 streams under a rule whose rate they do not reach", "CPU s", 1.0,
                RatioTo(0.45, "haproxy"))], gear="splice", rate=FAR_OFF) for way in ("up", "down")),
    *rate_kinds("64k", "64,000", 64000, 4),
    *rate_kinds("1M", "1,000,000", MB, 4),
    *rate_kinds("100M", "100,000,000", 100 * MB, 1),
    Kind("sleep", "exchange", 1000, 1000, ("pairsocksd",),
         [Row("wake-ups for 1,000 idle connections under a rule with a rate", "a second", 1.0, AtMost(1.0, "a second"),
              "wake_ups")], measure="wake_ups", rate=MB),
], peers.RATE, list(RATED), head="with `rate`")

# ---- what may be below the floor (EXPERIMENTS.md)

GEARS = tuple(peers.EXPERIMENTS)
WAYS = {1: None, 8: None, 256: None}


def with_machine(kind):
    """With what all CPUs did for it: a kernel that works on its own account is not seen in the process's."""
    row = kind.rows[0]
    kind.measure = "cost_with_machine"
    kind.rows.append(Row(f"... by all CPUs, clients and target included", row.unit, row.scale, None, "machine"))
    kind.rows[1].kind, kind.rows[1].proxies = kind.name, kind.proxies
    return kind


EXPERIMENTS = Suite([with_machine(kind) for kind in (
    Kind("connect", "connect", 10000, 64, GEARS, [Row(CONNECT, "us", 1e3)]),
    Kind("exchange", "exchange", 200000, 64, GEARS, [Row(EXCHANGE, "us", 1e3)]),
    *bytes_kinds(2400 * MB, GEARS, WAYS, lambda way, n: f"GB {way}, {streams(n)}", "CPU s"),
)], peers.EXPERIMENTS)

SUITES = {"": MAIN, "policy": POLICY, "auth": AUTH, "tls": TLS, "udp": UDP, "idle": IDLE, "workers": WORKERS,
          "latency": LATENCY, "rate": RATE, "experiments": EXPERIMENTS}
