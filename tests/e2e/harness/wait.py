"""Waiting for events. The only place of the tests that looks at the clock in a loop.

PAIRSOCKS_SLOW_FACTOR stretches every deadline (a run under a sanitizer is several times slower); it
never stretches what the daemon is configured with.
"""

import os
import time

FACTOR = float(os.environ.get("PAIRSOCKS_SLOW_FACTOR") or 1)
SANITIZED = os.environ.get("PAIRSOCKS_SANITIZED") == "1"


def seconds(value):
    """A deadline of `value` seconds on an ordinary machine."""
    return value * FACTOR


def until(condition, what, timeout=10, every=0.01):
    """Returns the first true value of condition(). Fails with `what` (a text or a function) in the end. Looks every
    `every` seconds, and oftener at first: most of what is waited for comes at once."""
    end = time.monotonic() + seconds(timeout)
    pause = every / 16
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(
                f"waited {seconds(timeout):g} s for {what() if callable(what) else what}"
            )
        time.sleep(pause)
        pause = min(2 * pause, every)
