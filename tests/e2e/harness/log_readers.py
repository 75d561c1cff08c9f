"""Readers of the log in place of syslogd and journald, for daemons that see only them.

`LogHost` is a folder with both sockets. A daemon started with its `prefix` has mounts of its own, where /dev/log
and /run/systemd/journal/socket lead there. A `Reader` takes the datagrams and writes their texts to a file, a line
each: a Daemon with this file as `log_path` can be asked about its log as always.
"""

import os
import pathlib
import re
import socket
import struct
import tempfile
import threading

from . import wait

MOUNTS = """
folder=$1
shift
mkdir -p "$folder/dev"
mount --rbind /dev "$folder/dev"
mount -t tmpfs -o mode=755 none /dev
for name in full null random urandom zero; do
    : >"/dev/$name"
    mount --bind "$folder/dev/$name" "/dev/$name"
done
ln -s "$folder/syslog" /dev/log
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/systemd/journal
ln -s "$folder/journal" /run/systemd/journal/socket
exec "$@"
"""

SYSLOG = re.compile(rb"<(\d+)>([A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d) ([^ \[]+)\[(\d+)\]: ([^\n]*)")


def read_syslog(datagram):
    """A datagram as syslog(3) sends it, as the fields that journald would make of it."""
    match = SYSLOG.fullmatch(datagram)
    assert match, datagram
    priority, _, tag, pid, text = match.groups()
    return {
        "PRIORITY": str(int(priority) % 8),
        "SYSLOG_FACILITY": str(int(priority) // 8),
        "SYSLOG_IDENTIFIER": tag.decode(),
        "SYSLOG_PID": pid.decode(),
        "MESSAGE": text.decode(),
    }


def read_journal(datagram):
    """An entry of the native protocol, as journald reads it. A field given twice is an error."""
    entry, at = {}, 0
    while at < len(datagram):
        end = datagram.index(b"\n", at)
        name, equals, value = datagram[at:end].partition(b"=")
        at = end + 1
        if not equals:
            (length,) = struct.unpack_from("<Q", datagram, at)
            value = datagram[at + 8 : at + 8 + length]
            at += 8 + length
            assert len(value) == length and datagram[at : at + 1] == b"\n", datagram
            at += 1
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]{0,63}", name) and name.decode() not in entry, datagram
        entry[name.decode()] = value.decode()
    return entry


class Reader:
    """Reads the socket at `path` in a thread of its own, unless it is paused or stopped."""

    def __init__(self, path, log_path, read):
        self.path, self.log_path, self.read = path, log_path, read
        self.datagrams, self.entries = [], []
        self.reading = threading.Event()
        self.reading.set()
        self.sock = None
        self.start()

    def start(self):
        assert not self.sock
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        os.chmod(self.path, 0o666)
        self.thread = threading.Thread(target=self._run, args=(self.sock,), daemon=True)
        self.thread.start()

    def stop(self):
        """As a syslogd that ends: what it has not read is lost with it."""
        sock, self.sock = self.sock, None
        os.unlink(self.path)
        sock.shutdown(socket.SHUT_RD)
        self.reading.set()
        self.thread.join(wait.seconds(10))
        sock.close()

    def pause(self):
        """As one that was stopped: its queue fills. One datagram more may be taken."""
        self.reading.clear()

    def resume(self):
        self.reading.set()

    def close(self):
        if self.sock:
            self.stop()

    def _run(self, sock):
        while datagram := sock.recv(1 << 20):
            self.reading.wait()
            entry = self.read(datagram)
            self.datagrams.append(datagram)
            self.entries.append(entry)
            with open(self.log_path, "a") as file:
                file.write(entry["MESSAGE"] + "\n")


class LogHost:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pairsocks-log-")  # short: the path of a socket is
        os.chmod(self.folder.name, 0o755)
        self.prefix = ["unshare", "-m", *([] if os.geteuid() == 0 else ["-r"]), "sh", "-ec", MOUNTS, "sh", self.folder.name]
        self.log_path = pathlib.Path(self.folder.name) / "text"
        self.readers = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for reader in self.readers:
            reader.close()
        self.folder.cleanup()

    def reader(self, target):
        """A reader for log_target = syslog or journal."""
        read = {"syslog": read_syslog, "journal": read_journal}[target]
        self.readers.append(Reader(pathlib.Path(self.folder.name) / target, self.log_path, read))
        return self.readers[-1]
