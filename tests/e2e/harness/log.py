"""Reads the daemon's log: key=value records, one a line."""

import re

FIELD = re.compile(r'([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^ "]*)(?: |$)')
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|.)")
PLAIN = {"n": "\n", "r": "\r", "t": "\t"}

SESSION_KEYS = (
    "time event id listener client user protocol command target address route rule upstream "
    "upstream_peer sent received setup_ms duration_ms error"
).split()


def unescape(text):
    def one(match):
        escape = match.group(1)
        return chr(int(escape[1:], 16)) if len(escape) == 3 else PLAIN.get(escape, escape)

    return ESCAPE.sub(one, text)


def parse(line):
    """One line as a dict, in the order of the line. A line of any other form is an error."""
    record, at = {}, 0
    while at < len(line):
        match = FIELD.match(line, at)
        if not match:
            raise ValueError(f"not key=value at {at}: {line!r}")
        key, value = match.groups()
        if key in record:
            raise ValueError(f"{key} twice: {line!r}")
        record[key] = unescape(value[1:-1]) if value.startswith('"') else value
        at = match.end()
    return record
