"""How each kind is measured: one function a sort of figure, by the name that a kind has in `measure`. Each gets the bench, a
proxy that was freshly started and warmed up, the kind and how much of it to do, and returns {key of a row: figure}; and
`seconds`, what the work took by the clock."""

import contextlib
import time

import machine
import strace
from load import clients, greedy, hear, target, tell
from machine import Failure

SETTLE = 0.2  # seconds for the last sessions' ends and log lines


def run(bench, proxy, kind, count, connections, before=None, after=None, urgent=False):
    """Does the work; `before` and `after` are called around it, with all connections open. Returns (what they
    returned, the words of the clients)."""
    more = ["--rate", str(kind.rate)] if kind.load == "paced" else []
    with clients(bench, proxy, kind.load, count, connections, more=more, urgent=urgent) as process:
        time.sleep(0.1)
        first = before() if before else None
        tell(process)
        words = hear(process, "done")
        time.sleep(SETTLE)
        last = after() if after else None
    if int(words[1]) != count:
        raise Failure(f"{words[1]} units done instead of {count}")
    return first, last, words


def cost(bench, proxy, kind, count, connections, also=lambda: None):
    """Nanoseconds of CPU of the proxy's whole process tree for a unit."""

    def now():
        return proxy.sum(machine.cpu_ns), set(proxy.tree()), also()

    first, last, words = run(bench, proxy, kind, count, connections, now, now)
    if first[1] - last[1]:  # their CPU is known in ticks only
        bench.note(f"{len(first[1] - last[1])} helpers of {proxy.name} ended meanwhile")
    return {"cost": (last[0] - first[0]) / count, "seconds": int(words[2]) / 1e9, "also": (first[2], last[2])}


def cost_with_machine(bench, proxy, kind, count, connections):
    figures = cost(bench, proxy, kind, count, connections, machine.busy_ns)
    first, last = figures["also"]
    return {**figures, "machine": (last - first) / count}


def memory(bench, proxy, kind, count, connections):
    """Bytes and descriptors of a connection that is open and silent."""

    def now():
        return proxy.sum(machine.pss_bytes), proxy.sum(machine.descriptors)

    first = now()
    _, last, words = run(bench, proxy, kind, count, connections, after=now)
    return {"pss": (last[0] - first[0]) / count, "descriptors": (last[1] - first[1]) / count,
            "seconds": int(words[2]) / 1e9}


CROWD_PARTS = 2  # processes that the idle ones are spread over, for they need descriptors, too


def cost_in_crowd(bench, proxy, kind, count, connections):
    """The cost while other connections are open and silent."""
    part = max(100, int(kind.idle * bench.share(proxy.name, kind))) // CROWD_PARTS
    with contextlib.ExitStack() as stack:
        for _ in range(CROWD_PARTS):
            port = stack.enter_context(target(bench))
            crowd = stack.enter_context(clients(bench, proxy, "idle", part, part, port))
            tell(crowd)
            hear(crowd, "done")
        return cost(bench, proxy, kind, count, connections)


# ---- workers


def least_share(before, after, number):
    """Of the `number` that grew most the least one's part of their growth; and who they are."""
    growth = {name: figure - before.get(name, 0) for name, figure in after.items()}
    most = sorted(growth, key=growth.get, reverse=True)[:number]
    total = sum(growth[name] for name in most)
    return (growth[most[-1]] / total if total and len(most) == number else 0.0), most


def cost_of_workers(bench, proxy, kind, count, connections):
    """The cost, how evenly two workers share the load, and how often they wait for a lock."""
    pid = proxy.process.pid
    if proxy.name != "pairsocksd":
        return cost(bench, proxy, kind, count, connections)
    pollers = machine.watched_by_poller(pid)
    figures = cost(bench, proxy, kind, count, connections,
                   lambda: (machine.thread_cpu_ns(pid), machine.watched_by_poller(pid)))
    first, last = figures["also"]
    figures["cpu_share"], workers = least_share(first[0], last[0], 2)
    figures["session_share"], _ = least_share(pollers, first[1], 2)
    traced = count // 10 // connections * connections or connections
    with strace.attached(bench, proxy, ["-e", "trace=futex"]) as trace:
        run(bench, proxy, kind, traced, connections)
    figures["lock_waits"] = strace.lock_waits(trace.text(), workers) / traced
    return figures


# ---- by the clock


def latency(bench, proxy, kind, count, connections):
    with greedy(bench, proxy) if kind.greedy else contextlib.nullcontext():
        _, _, words = run(bench, proxy, kind, count, connections, urgent=True)
    return {"p50": int(words[3]), "p99": int(words[4]), "seconds": int(words[2]) / 1e9}


def rate(bench, proxy, kind, count, connections):
    """The share of the rule's rate that a connection got."""
    _, _, words = run(bench, proxy, kind, count, connections)
    seconds = int(words[2]) / 1e9
    return {"rate": count / connections / seconds / kind.rate, "seconds": seconds}


WATCHED = 5  # seconds
# ... after which no session does anything for the first time: its handshake's deadline, keep-alive set late
SETTLED = 12


def wake_ups(bench, proxy, kind, count, connections):
    """Wake-ups a second of the proxy while its connections, which have carried something, are silent; without those that
    it has without them."""

    def watch(rest):
        time.sleep(rest)
        before = proxy.sum(machine.wake_ups)
        time.sleep(WATCHED)
        return (proxy.sum(machine.wake_ups) - before) / WATCHED

    alone = watch(1)
    _, beside, words = run(bench, proxy, kind, count, connections, after=lambda: watch(SETTLED))
    return {"wake_ups": beside - alone, "seconds": int(words[2]) / 1e9}
