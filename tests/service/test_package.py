"""The Debian packages that ./dev package has built: installed in a real systemd, used, installed again, and purged. In this
order: each test goes on where the one before has left the machine."""

import os
import pathlib
import re
import subprocess

import pytest

from harness import wait
from harness.daemon import ROOT
from harness.machine import Page
from harness.socks import Client
from harness.targets import Echo, bound
from machine import Machine, is_possible

PACKAGES = pathlib.Path(os.environ.get("PAIRSOCKS_PACKAGES") or ROOT / "build" / "package")
PROXY = ("127.0.0.1", 1080)
PAGE = b"a page\n"

# Where packages have files, but for what changes by itself, or by any package that comes and goes. Of /usr the names do.
ROOTS, PROGRAMS = ("/etc", "/opt", "/run", "/srv", "/var"), "/usr"
BUSY = ("/run/log", "/run/systemd", "/run/user", "/var/log/journal", "/var/tmp", "/var/cache", "/var/lib/systemd/timers",
        "/var/lib/systemd/random-seed", "/var/lib/dpkg/status-old")  # fmt: skip


class Bare(Machine):
    """One without our build, on which packages may start what they bring."""

    def _install(self, folder):
        folder.mkdir()
        self.installed = folder

    def _prepare(self):
        self.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)

    def package(self, name):
        """The path inside of one of our packages."""
        files = list(PACKAGES.glob(f"{name}_*.deb"))
        assert len(files) == 1, f"./dev package builds {name}, which is not there: {files}"
        [file] = files
        self.path(f"/tmp/{file.name}").write_bytes(file.read_bytes())
        return f"/tmp/{file.name}"

    def dpkg(self, *words):
        return self.run("env", "DEBIAN_FRONTEND=noninteractive", "dpkg", *words, timeout=120)

    def files(self):
        """{path: mode, user and group}, but for what changes by itself."""
        paths = [word for path in BUSY for word in ("-path", path, "-o")][:-1]
        text = self.run("find", *ROOTS, "(", *paths, ")", "-prune", "-o", "-printf", r"%p\t%M %u %g\n").stdout
        text += self.run("find", PROGRAMS, "-printf", r"%p\t\n").stdout
        return dict(line.rsplit("\t", 1) for line in text.splitlines())

    def accounts(self):
        return [self.path(f"/etc/{name}").read_text() for name in ("passwd", "group", "shadow", "gshadow")]

    def pid(self, unit="pairsocksd.service"):
        return int(self.show(unit, "MainPID"))


@pytest.fixture(scope="module")
def bare():
    if not is_possible():
        pytest.skip("only root may boot a machine")
    with Bare() as machine:
        machine.before = machine.files(), machine.accounts()
        yield machine
        print("\n".join(str(entry.get("MESSAGE")) for entry in machine.journal("pairsocksd*")[-60:]))


def client(machine, keep, address=PROXY):
    return keep(Client.open(address, make_socket=machine.network.make_socket))


def curl(machine, *words):
    return machine.run("curl", "-q", "-sS", "--noproxy", "", "--max-time", "20", *words).stdout


def target(machine, kind, keep, *words):
    return keep(kind(*words, sock=bound("127.0.0.1", 0, machine.network.make_socket)))


def test_lintian_finds_no_errors_and_no_warnings():
    [changes] = PACKAGES.glob("*.changes")
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error,warning", changes], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=wait.seconds(120))  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_installed_it_is_enabled_and_serves_loopback_alone(bare):
    bare.dpkg("-i", bare.package("pairsocks"))
    assert bare.run("systemctl", "is-enabled", "pairsocksd.service").stdout == "enabled\n"
    assert bare.run("systemctl", "is-active", "pairsocksd.service").stdout == "active\n"
    listening = bare.run("ss", "-Hltnp").stdout
    ours = [line.split()[3] for line in listening.splitlines() if f"pid={bare.pid()}," in line]
    assert sorted(set(ours)) == ["127.0.0.1:1080", "[::1]:1080"], listening
    for unit in "pairsocksd.socket", "pairsocksd@.service":
        assert bare.run("systemctl", "is-enabled", unit, check=False).stdout == "disabled\n"


def test_the_service_is_hardened(bare):
    user = bare.run("id", "-u", "pairsocks").stdout.strip()
    assert user != "0"
    threads = list(bare.status(bare.pid()))
    assert len(threads) > 1
    for thread in threads:
        assert thread["Uid"].split() == [user] * 4
        assert (thread["CapEff"], thread["CapBnd"]) == ("0" * 16, "0" * 16)
        assert (thread["NoNewPrivs"], thread["Seccomp"]) == ("1", "2")
    said = bare.run("systemd-analyze", "security", "--no-pager", "pairsocksd.service").stdout
    assert float(re.search(r"Overall exposure level for pairsocksd\.service: ([0-9.]+)", said)[1]) <= 1.3, said


def test_curl_goes_through_and_the_journal_has_the_fields(bare, keep):
    page = target(bare, Page, keep, PAGE)
    for option in "--socks5-hostname", "--socks4a":
        assert curl(bare, option, "localhost:1080", f"http://localhost:{page.port}/") == PAGE.decode()
    wait.until(lambda: len(bare.journal("pairsocksd.service", PAIRSOCKS_EVENT="session", PAIRSOCKS_TARGET=f"localhost:{page.port}")) == 2,
               lambda: bare.journal("pairsocksd.service"))  # fmt: skip


def test_the_page_is_one_line_of_its_file_away(bare):
    bare.run("sed", "-i", "s/^#status = /status = /", "/etc/pairsocks/pairsocks.ini")
    bare.run("systemctl", "reload", "pairsocksd.service")
    page = bare.run("curl", "-q", "-sS", "--noproxy", "*", "--max-time", "20", "http://localhost:8088/").stdout
    assert page.startswith("<!DOCTYPE html>")


def test_the_folder_is_the_daemons_to_read_and_no_strangers(bare, keep):
    bare.run("sh", "-ec", "echo secret | pairsocks passwd alice >> /etc/pairsocks/users")
    bare.run("sed", "-i", "s|^listen = .*|&\\nauth = password\\nusers_file = /etc/pairsocks/users|", "/etc/pairsocks/pairsocks.ini")
    assert bare.run("pairsocksd", "--check").stdout == "/etc/pairsocks/pairsocks.ini: ok\n"
    stranger = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
    assert bare.run(*stranger, "cat", "/etc/pairsocks/users", check=False).returncode != 0
    bare.run("systemctl", "reload", "pairsocksd.service")
    page = target(bare, Page, keep, PAGE)
    words = ["--socks5-hostname", "localhost:1080", f"http://localhost:{page.port}/"]
    assert curl(bare, "--proxy-user", "alice:secret", *words) == PAGE.decode()
    assert bare.run("curl", "-q", "-sS", "--noproxy", "", *words, check=False).returncode == 97  # CURLE_PROXY


def test_the_same_version_once_more_keeps_it_running_and_its_configuration(bare, keep):
    before = bare.pid()
    changed = bare.path("/etc/pairsocks/pairsocks.ini").read_text()
    bare.write("/etc/pairsocks/two.ini", "[listener two]\nlisten = 127.0.0.1:1081\n")
    bare.run("systemctl", "enable", "--now", "pairsocksd@two.service")
    second = bare.pid("pairsocksd@two.service")
    bare.dpkg("-i", bare.package("pairsocks"))
    assert bare.run("systemctl", "is-active", "pairsocksd.service", "pairsocksd@two.service").stdout == "active\nactive\n"
    assert bare.path("/etc/pairsocks/pairsocks.ini").read_text() == changed
    assert 0 not in (bare.pid(), second) and (bare.pid(), bare.pid("pairsocksd@two.service")) != (before, second)
    echo = target(bare, Echo, keep)
    client(bare, keep, ("127.0.0.1", 1081)).connect("socks5", *echo.address)


def test_a_service_that_was_disabled_stays_so(bare):
    bare.run("systemctl", "disable", "--now", "pairsocksd.service")
    bare.dpkg("-i", bare.package("pairsocks"))
    assert bare.run("systemctl", "is-active", "pairsocksd.service", check=False).stdout == "inactive\n"
    assert bare.run("systemctl", "is-enabled", "pairsocksd.service", check=False).stdout == "disabled\n"


def test_removed_nothing_of_it_runs_and_its_configuration_is_kept(bare):
    bare.drop_in("pairsocksd.socket", "[Socket]\nListenStream=\nListenStream=127.0.0.1:1082\n")
    units = ["pairsocksd.service", "pairsocksd.socket", "pairsocksd@two.service"]
    for unit in "pairsocksd.socket", "pairsocksd.service":
        bare.run("systemctl", "start", unit)
    assert bare.run("systemctl", "is-active", *units).stdout == "active\n" * 3
    bare.dpkg("--remove", "pairsocks")
    assert not bare.run("systemctl", "list-units", "--plain", "--no-legend", "--state=active", "pairsocksd*").stdout
    assert bare.path("/etc/pairsocks/users").exists()


def test_purged_nothing_is_left(bare):
    bare.dpkg("--purge", "pairsocks")
    before, accounts = bare.before
    after = bare.files()
    assert {path: what for path, what in after.items() if before.get(path) != what} == {}
    assert [path for path in before if path not in after] == []
    assert bare.accounts() == accounts
    assert "pairsocks" not in bare.run("systemctl", "list-unit-files", "--no-legend").stdout


def test_the_library_is_found_by_pkg_config_and_runs_the_example(bare):
    names = ["libpairsocks0", "libpairsocks-dev"]
    bare.dpkg("-i", *(bare.package(name) for name in names))
    example = "/usr/share/doc/libpairsocks-dev/examples/example.c"
    bare.run("sh", "-ec", f"cd /tmp && cc {example} $(pkg-config --cflags --libs pairsocks) -o example")
    assert bare.run("/tmp/example", "some words").stdout == "SOME WORDS\n"
    assert "libpairsocks.so.0" in bare.run("ldd", "/tmp/example").stdout
    bare.dpkg("--purge", *reversed(names))
