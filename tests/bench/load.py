"""The processes that make load: targets for a run, and clients for a measurement (load.c says what they are told
and what they answer)."""

import contextlib
import subprocess

import peers
from machine import Failure, free_port, settle_child


@contextlib.contextmanager
def child(bench, command, urgent=False):
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                               start_new_session=True,
                               preexec_fn=lambda: settle_child(bench.load_cpus, urgent))
    bench.own_children.add(process.pid)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        bench.own_children.discard(process.pid)


@contextlib.contextmanager
def target(bench, urgent=False):
    """Its port."""
    port = free_port()
    with child(bench, [bench.load, "target", str(port)], urgent) as process:
        if process.stdout.readline() != b"ready\n":
            raise Failure("the target cannot start")
        yield port


@contextlib.contextmanager
def clients(bench, proxy, load, count, connections, target_port=None, more=(), urgent=False):
    """Clients that are set up and wait for the word; at the end they are told to end all connections in order."""
    command = [bench.load, load, str(proxy.port), str(target_port or bench.target_port), str(count), str(connections),
               str(bench.args.limit), *([] if proxy.peer.socks else ["--direct"]), *more]
    if proxy.peer.asks:
        command += ["--login", *peers.LOGIN]
    if bench.suite.table is peers.TLS:
        command += ["--tls", bench.certificate, *(["--cut"] if proxy.peer.cuts else [])]
    with child(bench, command, urgent) as process:
        hear(process, "ready")
        yield process
        tell(process)
        if process.wait(bench.args.limit + 5) != 0:
            raise Failure("the connections did not end as they should")


@contextlib.contextmanager
def greedy(bench, proxy):
    """A stream that takes what it can get from the second target, until the end of the measurement."""
    command = [bench.load, "down", str(proxy.port if proxy.peer.socks else proxy.side_port),
               str(bench.side_target_port), str(1 << 45), "1", str(bench.args.limit + 30),
               *([] if proxy.peer.socks else ["--direct"])]
    with child(bench, command) as process:
        hear(process, "ready")
        tell(process)
        yield


def tell(process):
    try:
        process.stdin.write(b"go\n")
    except BrokenPipeError:
        raise Failure("the clients gave up") from None


def hear(process, word):
    """The words of the next line of load.c, which bounds its own life."""
    words = process.stdout.readline().decode().split()
    if not words or words[0] != word:
        raise Failure("the clients were not served (load.c says why above; without a word: it took too long)")
    return words
