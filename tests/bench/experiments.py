"""`tests/bench/run experiments`: what this kernel has of them, and which of them can be measured (EXPERIMENTS.md)."""

import subprocess

import programs
from machine import Failure

BUILT_ON = {"zerocopy": "zerocopy", "sockmap": "sockmap", "io_uring": "io_uring"}  # peer: feature of kernel.c


def prepare(args, folder):
    """Prints what the kernel says, and takes from args.proxies what it does not have."""
    done = subprocess.run([programs.build("kernel", folder)], capture_output=True, text=True, timeout=10)
    if done.returncode:
        raise Failure("kernel.c cannot say what there is")
    has = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    print("- of this kernel: " + "; ".join(f"{name}: {answer}" for name, answer in has.items()))
    args.proxies = [name for name in args.proxies if has.get(BUILT_ON.get(name), "yes") == "yes"]
