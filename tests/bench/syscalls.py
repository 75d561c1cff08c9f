"""`./dev bench syscalls`: how many system calls a connection, an exchange and a MB cost, by strace -c, ours beside the bare
relay's. strace slows the proxy down, so that more happens between two waits than otherwise: calls that wait may
be fewer than they are without it."""

import contextlib
import statistics

import measure
import peers
import strace
from goals import FLOOR, MINE
from kinds import ALL, MB, Kind, Suite
from proxy import Proxy
from table import line

# (kind, what a unit is called in the heads, units of load.c in it)
WORK = (
    (Kind("connect", "connect", 2000, 64, ALL, []), "connection", 1),
    (Kind("exchange", "exchange", 40000, 64, ALL, []), "exchange", 1),
    (Kind("up", "up", 800 * MB, 8, ALL, [], gear="splice"), "MB up", MB),
    (Kind("down", "down", 800 * MB, 8, ALL, [], gear="splice"), "MB down", MB),
)
SUITE = Suite([kind for kind, _, _ in WORK], peers.PLAIN, [MINE, FLOOR])

# Calls that are easily made for nothing. A time call is seen only where the kernel's vDSO does not answer it.
WATCHED = {"epoll_ctl": ("epoll_ctl",), "fcntl": ("fcntl",), "getsockopt": ("getsockopt",),
           "setsockopt": ("setsockopt",), "time": ("clock_gettime", "gettimeofday", "time")}

# The most of them, above the floor's. A connection needs an answer to "is it connected?", and no more than
# TCP_NODELAY and three of keep-alive on the leg that it opens: the other one has them from the listener. Keep-alive is
# set when a session has lived for some seconds, by four calls for each leg: with 800 MB over 8 streams 0.08 of a MB.
ABOVE_FLOOR = {
    "connection": {"epoll_ctl": 0, "fcntl": 0, "getsockopt": 1, "setsockopt": 4, "time": 0},
    "exchange": {"epoll_ctl": 0, "fcntl": 0, "getsockopt": 0, "setsockopt": 0, "time": 0},
    "MB up": {"epoll_ctl": 0, "fcntl": 0, "getsockopt": 0, "setsockopt": 0.1, "time": 0},
    "MB down": {"epoll_ctl": 0, "fcntl": 0, "getsockopt": 0, "setsockopt": 0.1, "time": 0},
}
SLACK = 0.05  # calls a unit: what is made once at the begin of the work


def count_calls(bench, name, kind, size):
    """{system call: how many for a unit of `size`}"""
    count = int(kind.count * (0.1 if bench.args.quick else 1)) // kind.connections * kind.connections
    with Proxy(bench, name, kind) as proxy:
        measure.run(bench, proxy, kind, count // 10 // kind.connections * kind.connections or kind.connections,
                    kind.connections)
        with contextlib.ExitStack() as around:
            # not around what opens and ends the connections of an exchange or a stream
            trace, _, _ = measure.run(
                bench, proxy, kind, count, kind.connections, after=around.close,
                before=lambda: around.enter_context(strace.attached(bench, proxy, ["-c", "-U", "calls,errors,name"])))
        return {call: number / (count / size) for call, number in strace.calls(trace.text()).items()
                if call != "restart_syscall"}  # strace's own doing


def median_calls(rounds):
    """Of each call the median of the rounds; one that a round does not have is 0 there."""
    names = {name for counts in rounds for name in counts}
    return {name: statistics.median(counts.get(name, 0) for counts in rounds) for name in names}


def collect(bench):
    """{(unit, proxy): {system call: how many}}"""
    rounds = {}
    for _ in range(bench.args.rounds):
        for kind, unit, size in WORK:
            for name in bench.args.proxies if kind in bench.args.kinds else ():
                rounds.setdefault((unit, name), []).append(count_calls(bench, name, kind, size))
    return {place: median_calls(counts) for place, counts in rounds.items()}


def cell(number):
    return f"{number:.2f}" if number >= 0.005 else ""


def report_calls(found):
    names = {name for counts in found.values() for name in counts}
    order = sorted(names, key=lambda name: (-sum(counts.get(name, 0) for counts in found.values()), name))
    line(["system calls of one", *(f"{unit}: {name}" for unit, name in found)])
    print("| --- |" + " ---: |" * len(found))
    for call in order:
        cells = [cell(counts.get(call, 0)) for counts in found.values()]
        if any(cells):
            line([call, *cells])
    line(["all", *(cell(sum(counts.values())) for counts in found.values())])
    print()


def report_goals(found):
    """True if all are reached."""
    good = True
    line(["calls that are easily needless, of one", *WATCHED])
    print("| --- |" + " --- |" * len(WATCHED))
    for unit, bounds in ABOVE_FLOOR.items():
        mine, floor = found.get((unit, MINE)), found.get((unit, FLOOR))
        if mine is None:
            continue
        cells = []
        for what, calls in WATCHED.items():
            ours = sum(mine.get(call, 0) for call in calls)
            if floor is None:
                cells.append(f"{ours:.2f}; the floor is not measured")
                good = False
                continue
            bound = sum(floor.get(call, 0) for call in calls) + bounds[what]
            reached = ours <= bound + SLACK
            good &= reached
            cells.append(f"{ours:.2f}, <= {bound:.2f}: {'ok' if reached else 'MISSED'}")
        line([unit, *cells])
    return good


def main(bench):
    """Prints the tables; True if every goal is reached."""
    found = collect(bench)
    report_calls(found)
    return report_goals(found) if MINE in bench.args.proxies else True
