"""strace(1) at a proxy that runs: for what is counted and not timed."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

from machine import Failure, settle_child, threads

LOCK_WAIT = re.compile(r"^(\d+) +futex\([^,]+, FUTEX_(WAIT|LOCK)", re.M)
SUMMARY_LINE = re.compile(r"^ *(\d+) +(\d+)? *([a-z_0-9]+)$", re.M)


class Trace:
    def __init__(self, path):
        self.path = path

    def text(self):
        """Complete only after the end of `attached`."""
        with open(self.path) as f:
            return f.read()


def is_traced(pid):
    for thread in threads(pid):
        with open(f"/proc/{pid}/task/{thread}/status") as f:
            if "TracerPid:\t0\n" in f.read():
                return False
    return True


@contextlib.contextmanager
def attached(bench, proxy, options):
    """strace with these options at the proxy and all its threads."""
    if not shutil.which("strace"):
        raise Failure("strace is not there (apt-get install strace)")
    trace = Trace(os.path.join(bench.folder, f"strace-{bench.proxies_begun}"))
    process = subprocess.Popen(["strace", "-f", "-qq", *options, "-o", trace.path, "-p", str(proxy.process.pid)],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
                               preexec_fn=lambda: settle_child(bench.load_cpus))
    bench.own_children.add(process.pid)
    deadline = time.monotonic() + 10
    try:
        while not is_traced(proxy.process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failure(f"strace cannot attach to {proxy.name}: {process.stderr.read().decode().strip()}")
            time.sleep(0.02)
        yield trace
        process.send_signal(signal.SIGINT)
        process.wait(10)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        bench.own_children.discard(process.pid)


def lock_waits(text, workers):
    """How often one of these threads waited for a futex, in the text of `-e trace=futex`."""
    return sum(int(match[1]) in workers for match in LOCK_WAIT.finditer(text))


def calls(text):
    """{system call: how often}, in the text of `-c -U calls,errors,name`"""
    return {match[3]: int(match[1]) for match in SUMMARY_LINE.finditer(text) if match[3] != "total"}
