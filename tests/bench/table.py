"""What is printed in the end: what was measured where, and the table with its goals, as Markdown."""

import statistics

import machine
import peers
from goals import FLOOR, MINE, best_peer, ratios, verdict


def cpus(numbers):
    return f"CPU{'s' * (len(numbers) > 1)} {', '.join(map(str, sorted(numbers)))}"


def describe(bench):
    suite, args = bench.suite, bench.args
    print(f"- machine: {machine.describe()}")
    print("- " + "; ".join(f"{name} {bench.version(name)}" for name in args.proxies))
    if FLOOR in args.proxies and suite.table is peers.UDP:
        print("- floor: a bare relay of datagrams without timers, checks, log or limits (floor_udp.c)")
    elif FLOOR in args.proxies and suite.table is not peers.TLS:
        print("- floor: a bare epoll relay without timers, checks, log or limits (floor.c), splicing where bytes are "
              "counted and copying elsewhere" + ("; it asks for no password" if suite.table is peers.AUTH else ""))
    elif FLOOR in args.proxies:
        print("- floor: wolfSSL and two sockets in a bare epoll relay (floor.c)")
    if suite.table is peers.TLS:
        print(f"- TLS 1.3 in, plain out; {peers.TLS_SUITE}, X25519, a self-signed certificate with P-256, no resumption; "
              f"libssl3 {machine.package_version('libssl3')}")
    workers = "two workers" if suite.table is peers.WORKERS else "one worker"
    urgent = ", before all else there" if suite.urgent else ""
    print(f"- proxy on {cpus(bench.proxy_cpus)}, {workers}, as {bench.user.pw_name if bench.user else 'the current user'},"
          f" logging to a file; clients and target on {cpus(bench.load_cpus)}{urgent}")
    print(f"- {args.rounds} interleaved rounds, medians; ratio = pairsocksd / peer within a round, median "
          f"(least to greatest){'; a tenth of the work (--quick)' if args.quick else ''}")
    print(flush=True)


def ratio_cell(figures, peer):
    if MINE not in figures or peer not in figures or not all(figures[peer]):
        return ""
    found = ratios(figures[MINE], figures[peer])
    return f"{statistics.median(found):.2f} ({found[0]:.2f} to {found[-1]:.2f})"


def ratio_cells(by_best, figures, others):
    if not by_best:
        return [ratio_cell(figures, name) for name in others]
    best = best_peer(figures)
    floor = [ratio_cell(figures, FLOOR)] if FLOOR in others else []
    return [f"{ratio_cell(figures, best)}, {best}" if best else "", *floor]


def figure_cell(figures, is_alone):
    """The median; with its spread where no ratio shows one."""
    if not figures:
        return ""
    spread = f" ({min(figures):.3g} to {max(figures):.3g})" if is_alone and len(figures) > 1 else ""
    return f"{statistics.median(figures):.3g}{spread}"


def line(cells):
    print("| " + " | ".join(cells) + " |")


def report(bench, costs):
    """Prints the table; True if every goal is reached."""
    names = [name for name in bench.args.proxies if any(name in figures for figures in costs.values())]
    others = [name for name in names if name != MINE] if MINE in names else []
    by_best = bench.suite.by_best and any(name != FLOOR for name in others)
    ratio_heads = [f"ratio to {name}" for name in others]
    if by_best:
        ratio_heads = ["ratio to the best", *(["ratio to floor"] if FLOOR in others else [])]
    heads = [bench.suite.head, "unit", *names, *ratio_heads, "goal"]
    line(heads)
    print("| --- | --- |" + " ---: |" * (len(heads) - 3) + " --- |")
    missed = False
    for row, figures in costs.items():
        cells = [figure_cell(figures.get(name), not others or len(figures) == 1) for name in names]
        text, bad = verdict(row.goal, row, costs) if row.goal and MINE in figures else ("", False)
        missed |= bad
        line([row.what, row.unit, *cells, *ratio_cells(by_best, figures, others), text])
    return not missed
