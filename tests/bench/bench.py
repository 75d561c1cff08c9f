"""One run of a suite: which proxies, on which CPUs, as which user; and its rounds. In each round each kind of work is done
with each proxy, freshly started and warmed up, in an order that changes from round to round."""

import os
import pwd
import shutil
import sys

import kinds
import machine
import measure
import peers
import programs
from machine import Failure
from proxy import Proxy

# Kinds that need no warming up, or would take long to.
COLD = ("rate",)
# Kinds that a tenth of the work would say nothing about: theirs is a time.
WHOLE = ("rate",)


class Bench:
    def __init__(self, args, suite, folder):
        self.args, self.suite, self.folder = args, suite, folder
        self.peers = suite.table
        self.own_children = set()  # in our tree, but no proxy's orphans
        self.proxies_begun = 0
        self.target_port = self.side_target_port = None  # who starts the targets says which
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self.choose_cpus()
        self.binaries = {name: self.find(name) for name in args.proxies}
        self.load = programs.build(suite.program, folder)
        if suite.table is peers.TLS:
            self.certificate, self.key, self.pair = programs.make_certificate(folder, self.user)
        os.sched_setaffinity(0, self.load_cpus)

    def choose_cpus(self):
        cpus = sorted(os.sched_getaffinity(0))
        if len(cpus) < 2:
            raise Failure("two CPUs are needed, one for the proxy and one for its clients and their target")
        if not self.suite.spread:
            self.load_cpus, self.proxy_cpus = {cpus[-2]}, {cpus[-1]}
        elif len(cpus) < 4:
            self.load_cpus = self.proxy_cpus = set(cpus)
        else:
            self.load_cpus, self.proxy_cpus = set(cpus[:-2]), set(cpus[-2:])

    def credentials(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def find(self, name):
        peer = self.peers[name]
        if peer.is_ours:
            return programs.build(peer.program, self.folder)
        if peer.program is None:
            path = os.path.abspath(self.args.pairsocksd)
            if not os.access(path, os.X_OK):
                raise Failure(f"pairsocksd is not there: {path} (./dev build makes it, --pairsocksd PATH names it, "
                              f"--proxies {','.join(self.peers)} without it does, too)")
            if self.user:  # the unprivileged user may not be able to reach the build folder
                path = shutil.copy(path, os.path.join(self.folder, "pairsocksd"))
                os.chmod(path, 0o755)
            return path
        path = shutil.which(peer.program, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/usr/bin")
        if not path:
            raise Failure(f"{peer.program} is not there (apt-get install {peer.package}, or leave it out with --proxies)")
        return path

    def version(self, name):
        peer = self.peers[name]
        if peer.is_ours:
            return "of this tree"
        if peer.package:
            return machine.package_version(peer.package)
        return machine.said_version([self.binaries[name], "--version"])

    def note(self, text):
        print(f"note: {text}", file=sys.stderr)

    def share(self, name, kind):
        whole = kind.measure in WHOLE or not self.args.quick
        return kinds.SHARE.get((name, kind.load), 1) * (1 if whole else 0.1)

    def measure(self, name, kind):
        """What measure.py says of a kind with a proxy."""
        connections, share = kind.connections, self.share(name, kind)
        count = int(kind.count * share) // connections * connections or connections
        if kind.load == "idle":
            count = connections = max(100, int(kind.count * share))
        warm = 16 if kind.load == "idle" else max(connections, count // 20 // connections * connections)
        try:
            with Proxy(self, name, kind) as proxy:
                try:
                    if kind.measure not in COLD:
                        measure.run(self, proxy, kind, warm, min(warm, connections))
                    return getattr(measure, kind.measure)(self, proxy, kind, count, connections)
                except Failure as e:
                    raise Failure(f"{e}\n{proxy.last_words()}") from None
        except Failure as e:
            raise Failure(f"{name}, {kind.name}: {e}") from None

    def rounds(self):
        """{row: {proxy: [figure of each round]}}; the figures are shown on stderr as they come."""
        costs = {row: {} for kind in self.args.kinds for row in kind.rows}
        for number in range(self.args.rounds):
            for kind in self.args.kinds:
                names = [name for name in self.args.proxies if name in kind.proxies]
                turn = number % len(names) if names else 0
                for name in names[turn:] + names[:turn]:
                    figures = self.measure(name, kind)
                    for row in kind.rows:
                        if row.key in figures:
                            costs[row].setdefault(name, []).append(figures[row.key] / row.scale)
                            self.show(number, kind, row, name, costs[row][name][-1], figures["seconds"])
        return costs

    def show(self, number, kind, row, name, figure, seconds):
        key = "" if row.key == "cost" else row.key
        print(f"round {number + 1}: {kind.name:9} {name:14} {figure:9.3f} {row.unit:8} {key:13} {seconds:6.2f} s",
              file=sys.stderr, flush=True)
