"""This machine and its processes: CPUs, clocks, memory, ports, descriptors, versions. Knows no proxy and no kind of
work."""

import contextlib
import ctypes
import os
import random
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


class Failure(Exception):
    """Something that makes the figures worthless; the text says what."""


# --- a process


def prctl(option, value):
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def settle_child(cpus, urgent=False):
    """In a child, before exec: its CPUs, all the descriptors it may have, and the end if this script is killed. `urgent`:
    before all others on its CPU, where that is allowed."""
    os.sched_setaffinity(0, cpus)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if urgent:
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))


def stat_fields(pid):
    """/proc/PID/stat from the third field (state) on; the second may hold anything."""
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rpartition(")")[2].split()


def process_tree(root):
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(stat_fields(name)[1]), []).append(int(name))
    found, new = [], [root]
    while new:
        found += new
        new = [child for pid in new for child in children.get(pid, [])]
    return found


def ended_children_ticks(pid):
    fields = stat_fields(pid)
    return int(fields[13]) + int(fields[14])  # cutime, cstime


def cpu_ns(pid):
    """Nanoseconds of CPU, user and system, of a process so far. A living process's clock is exact and keeps what its
    ended threads used, but for the last steps of their end (about 4 % of microsocks' cost of a connection, by the
    cpuacct cgroup: it is shown that much too cheap). What ended children used is known to their parent, in ticks."""
    clock = time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives
    return clock + ended_children_ticks(pid) * (10**9 // os.sysconf("SC_CLK_TCK"))


def pss_bytes(pid):
    """Bytes of memory, what is shared counted in shares."""
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/task")]


def thread_cpu_ns(pid):
    """{thread: nanoseconds of CPU so far}"""
    found = {}
    for thread in threads(pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/schedstat") as f:
            found[thread] = int(f.read().split()[0])
    return found


def wake_ups(pid):
    """How often the threads of a process have gone to sleep so far: as often they were woken."""
    total = 0
    for thread in threads(pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{thread}/status") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("voluntary_ctxt_switches:"))
    return total


def watched_by_poller(pid):
    """{epoll descriptor: how many descriptors it watches}"""
    found = {}
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:[eventpoll]":
                with open(f"/proc/{pid}/fdinfo/{name}") as f:
                    found[name] = sum(line.startswith("tfd:") for line in f)
    return found


def reap_orphans(known):
    """Descendants whose parent died came to us (PR_SET_CHILD_SUBREAPER); those in `known` are no orphans."""
    deadline = time.monotonic() + 2
    known = {os.getpid(), *known}
    while set(process_tree(os.getpid())) - known and time.monotonic() < deadline:
        for pid in set(process_tree(os.getpid())) - known:
            with contextlib.suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)


# --- the machine


def busy_ns():
    """Nanoseconds that all CPUs together have been busy, interrupts and kernel threads too, in steps of a tick."""
    with open("/proc/stat") as f:
        user, nice, system, _idle, _iowait, irq, softirq = map(int, f.readline().split()[1:8])
    return (user + nice + system + irq + softirq) * (10**9 // os.sysconf("SC_CLK_TCK"))


def free_port():
    """A port below the ephemeral ones, so that no outgoing connection sits on it."""
    with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
        lowest = int(f.read().split()[0])
    for _ in range(200):
        port = random.randrange(1024 + 1, max(lowest, 2048))
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("0.0.0.0", port))
            return port
    raise Failure("no free port")


def first_line(path, start=""):
    with contextlib.suppress(OSError), open(path) as f:
        for line in f:
            if line.startswith(start):
                return line.removeprefix(start).strip(" \t:\n")
    return "unknown"


def describe():
    """A line about it."""
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 2**20
    with open("/etc/os-release") as f:
        system = dict(line.rstrip().split("=", 1) for line in f if "=" in line)["PRETTY_NAME"].strip('"')
    uname = os.uname()
    return (f"{first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} CPUs, {memory:.0f} GiB, {uname.machine}; "
            f"{system}, Linux {uname.release}; load {first_line('/proc/loadavg').split()[0]} at the start")


def package_version(package):
    return said_version(["dpkg-query", "-W", "-f", "${Version}", package])


def said_version(command):
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, stdin=subprocess.DEVNULL)
        if done.returncode == 0 and done.stdout:
            return done.stdout.splitlines()[0]
    return "of unknown version"
