"""From root to `user`, `group` and `chroot`, once everything is open; and what a reload can still do then."""

import grp
import os
import pathlib
import pwd
import shutil
import signal
import stat
import tempfile

import pytest

from harness import tls
from harness.daemon import config_text
from harness.dns import A, Scripted
from harness.socks import Client, greeting
from harness.targets import Echo, Listener

NOBODY = pwd.getpwnam("nobody")
# A sanitizer's leak check needs /proc, which no chroot of ours has.
NO_LEAK_CHECK = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}


@pytest.fixture
def folder():
    """A folder of nobody's."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    path = pathlib.Path(tempfile.mkdtemp(prefix="ps"))
    os.chown(path, NOBODY.pw_uid, -1)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def serving(folder, launch):
    """serving(key=value of [daemon]): a ready daemon in that folder, which has `.ini`."""
    daemons = []

    def start(log="log", listen="127.0.0.1:0", listener=None, upstreams=None, **keys):
        ini = folder / "pairsocks.ini"
        fixed = {"workers": 2, "log_target": f"file:{folder / log}"}
        ini.write_text(config_text({**fixed, **keys}, {"main": {"listen": listen, **(listener or {})}}, None, upstreams))
        environment = NO_LEAK_CHECK if "chroot" in keys else None
        daemon = launch(arguments=["-c", str(ini)], log_path=folder / log, environment=environment).ready()
        daemon.ini = ini
        daemons.append(daemon)
        return daemon

    yield start
    for daemon in daemons:
        daemon.finish()


@pytest.fixture
def root(folder):
    """An empty folder to be the root."""
    (folder / "root").mkdir()
    return folder / "root"


def serves(daemon, target, host=None):
    with Client.open(daemon.addresses()[-1]) as client:
        client.connect("socks5", host or target.host, target.port)
        target.accept().close()


def reload(daemon, event="reloaded", **more):
    text = daemon.ini.read_text()
    for before, after in more.items():
        text = text.replace(before, after)
    daemon.ini.write_text(text)
    count = len(daemon.records(event=event))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(count + 1, event=event)


def identities(daemon):
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        status = pathlib.Path(f"/proc/{daemon.pid}/task/{task}/status").read_text()
        yield dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)


# --- user


def test_every_thread_serves_as_the_user(serving, keep):
    daemon = serving(user="nobody")
    for fields in identities(daemon):
        assert fields["Uid"].split() == [str(NOBODY.pw_uid)] * 4
        assert fields["Gid"].split() == [str(NOBODY.pw_gid)] * 4
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
    serves(daemon, keep(Listener()))


def test_as_another_user_a_readable_file_is_read_again(serving, keep):
    daemon = serving(user="nobody")
    reload(daemon, **{"workers = 2": "workers = 2\nlog_format = json"})
    serves(daemon, keep(Listener()))
    assert daemon.wait_for(event="session")["listener"] == "main"
    assert daemon.log_text().splitlines()[-1].startswith("{")


def test_as_another_user_an_unreadable_file_is_told_and_changes_nothing(serving, keep):
    daemon = serving(user="nobody")
    daemon.ini.chmod(0o600)
    reload(daemon, event="reload_failed")
    assert "Permission denied" in daemon.wait_for(event="reload", level="error")["message"]
    serves(daemon, keep(Listener()))


def test_as_another_user_a_kept_unix_socket_gets_its_new_mode(serving, folder):
    daemon = serving(user="nobody", listen=f"unix:{folder}/s")
    reload(daemon, **{f"listen = unix:{folder}/s": f"listen = unix:{folder}/s\nunix_mode = 0666"})
    assert stat.S_IMODE((folder / "s").stat().st_mode) == 0o666
    assert daemon.records(event="listen") == []


def test_as_another_user_a_group_of_others_for_the_control_socket_is_refused_as_at_the_start(serving, folder):
    daemon = serving(user="nobody", control=folder / "c", control_group=NOBODY.pw_gid)
    reload(daemon, event="reload_failed", **{f"control_group = {NOBODY.pw_gid}": "control_group = daemon"})
    told = daemon.wait_for(event="reload", level="error")["message"]
    assert told.startswith("[daemon] control_group = daemon: the daemon may not give its socket to this group")
    assert (folder / "c").stat().st_gid == NOBODY.pw_gid


def who(daemon):
    """Uid, gid and supplementary groups of all threads, which are the same."""
    found = {(int(f["Uid"].split()[0]), int(f["Gid"].split()[0]), tuple(map(int, f["Groups"].split())))
             for f in identities(daemon)}
    assert len(found) == 1
    return found.pop()


def test_numbers_do_as_well_as_names(serving, folder):
    assert who(serving(user=NOBODY.pw_uid, log="one"))[:2] == (NOBODY.pw_uid, NOBODY.pw_gid)
    other = next(group for group in grp.getgrall() if group.gr_gid not in (0, NOBODY.pw_gid))
    assert who(serving(user=NOBODY.pw_uid, group=other.gr_gid, log="two"))[:2] == (NOBODY.pw_uid, other.gr_gid)


def test_the_number_of_a_user_gets_the_groups_of_his_name(serving, folder):
    assert who(serving(user=NOBODY.pw_uid, log="one")) == who(serving(user="nobody", log="two"))


def unknown(lookup):
    """A number that has no entry."""
    for number in range(40000, 60000):
        try:
            lookup(number)
        except KeyError:
            return number


def test_numbers_without_an_entry_will_do_together(serving, folder):
    uid, gid = unknown(pwd.getpwuid), unknown(grp.getgrgid)
    os.chown(folder, uid, -1)
    assert who(serving(user=uid, group=gid)) == (uid, gid, ())


@pytest.mark.parametrize("keys, says", [
    ({"user": "{uid}"}, "[daemon] user = {uid}: there is no such user, so its group must be said too (`group`)"),
    ({"user": "no-such-user"}, "[daemon] user = no-such-user: there is no such user"),
    ({"user": "nobody", "group": "no-such-group"}, "[daemon] group = no-such-group: there is no such group"),
    ({"user": "4294967295"}, "[daemon] user = 4294967295: the number is out of range"),
    ({"group": "99999999999999999999"}, "[daemon] group = 99999999999999999999: the number is out of range"),
])  # fmt: skip
def test_an_identity_that_cannot_be_found_ends_the_start(folder, launch, keys, says):
    uid = unknown(pwd.getpwuid)
    keys = {key: value.format(uid=uid) for key, value in keys.items()}
    daemon = launch(config_text({"log_target": "stderr", **keys}, {"main": {"listen": "127.0.0.1:0"}}))
    assert daemon.exit_code() == 1
    assert says.format(uid=uid) + '"' in daemon.errors()


def left_behind(daemon):
    return [(r["address"], r["message"]) for r in daemon.records(event="listen", level="warning")]


def test_as_another_user_a_unix_socket_that_cannot_be_removed_is_told(serving, folder):
    (folder / "roots").mkdir()
    path = folder / "roots" / "s"
    daemon = serving(user="nobody", listen=["127.0.0.1:0", f"unix:{path}"])
    told = [(str(path), "the socket's file stays behind: Permission denied")]
    reload(daemon, **{f"listen = unix:{path}\n": ""})
    assert left_behind(daemon) == told
    daemon.finish()
    assert left_behind(daemon) == told


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_users_file_that_the_user_cannot_read_again_is_told(serving, folder, mode):
    users = folder / "users"
    users.write_text("# nobody yet\n")
    users.chmod(mode)
    daemon = serving(user="nobody", listener={"auth": "password", "users_file": users})
    warnings = daemon.records(event="start", level="warning")
    assert len(warnings) == (mode == 0o600)
    assert all(str(users) in w["message"] and "Permission denied" in w["message"] for w in warnings)
    reload(daemon, event="reloaded" if mode == 0o644 else "reload_failed")


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_key_that_the_user_cannot_read_again_is_told(serving, folder, mode):
    """It serves with what was read as root; a reload fails, and changes nothing."""
    key, target = folder / "key.pem", Echo()
    shutil.copy(tls.key("server"), key)
    key.chmod(mode)
    daemon = serving(user="nobody", listener={**tls.keys(), "private_key": key})
    warnings = [record["message"] for record in daemon.records(event="start", level="warning")]
    assert len(warnings) == (mode == 0o600)
    assert all(f"[listener main] private_key = {key}: " in text and "Permission denied" in text for text in warnings)
    reload(daemon, event="reloaded" if mode == 0o644 else "reload_failed")
    with target, Client.open(daemon.address()) as client:
        tls.secure(client, tls.client_context(), name=tls.NAME).connect("socks5", target.host, target.port)


# --- chroot


def test_in_a_chroot_tls_is_served_and_files_out_of_reach_are_told(serving, root):
    daemon = serving(user="nobody", chroot=root, listener=tls.keys())
    warnings = [record["message"] for record in daemon.records(event="start", level="warning")]
    assert len(warnings) == 2 and all("No such file" in text for text in warnings)
    reload(daemon, event="reload_failed")
    with Echo() as target, Client.open(daemon.address()) as client:
        tls.secure(client, tls.client_context(), name=tls.NAME).connect("socks5", target.host, target.port)


def test_in_a_chroot_the_systems_authorities_are_out_of_reach(serving, root):
    """Of an upstream that needs them; one that does not is left in peace."""
    out = {"type": "direct", "security": "negotiated"}
    daemon = serving(chroot=root, upstreams={"out": out, "loose": {**out, "allow_any_root": "yes"}})
    (warning,) = [record["message"] for record in daemon.records(event="start", level="warning")]
    assert warning.startswith("[upstream out] authority = /") and "cannot be read again: No such file" in warning
    reload(daemon, event="reload_failed")


def test_every_thread_serves_inside_the_root_as_the_user(serving, root, keep):
    daemon = serving(user="nobody", chroot=root)
    for task in os.listdir(f"/proc/{daemon.pid}/task"):
        assert os.readlink(f"/proc/{daemon.pid}/task/{task}/root") == str(root)
        assert os.readlink(f"/proc/{daemon.pid}/task/{task}/cwd") == str(root)
    assert all(fields["Uid"].split() == [str(NOBODY.pw_uid)] * 4 for fields in identities(daemon))
    serves(daemon, keep(Listener()))


def test_in_a_chroot_names_are_resolved_before_and_after_a_reload(serving, root, keep):
    dns, target = keep(Scripted()), keep(Listener())
    daemon = serving(chroot=root, nameserver=dns.nameserver)
    serves(daemon, target, dns.name("before.test", a=["127.0.0.1"]))
    reload(daemon)
    serves(daemon, target, dns.name("after.test", a=["127.0.0.1"]))


def test_in_a_chroot_the_file_outside_is_read_again_and_a_new_address_bound(serving, root, keep):
    daemon = serving(user="nobody", chroot=root)
    reload(daemon, **{"127.0.0.1:0": "127.0.0.1:0, 127.0.0.2:0"})
    assert [host for host, _ in daemon.addresses()] == ["127.0.0.1", "127.0.0.2"]
    serves(daemon, keep(Listener()))


@pytest.mark.parametrize("absolute", [True, False])
def test_in_a_chroot_a_file_behind_a_symbolic_link_is_read_again(launch, folder, root, absolute):
    (folder / "etc").mkdir()
    real, link = folder / "etc" / "real.ini", folder / "pairsocks.ini"
    keys = {"workers": 2, "log_target": f"file:{folder}/log", "user": "nobody", "chroot": root}
    real.write_text(config_text(keys, {"main": {"listen": "127.0.0.1:0"}}))
    link.symlink_to(real if absolute else "etc/real.ini")
    daemon = launch(arguments=["-c", str(link)], log_path=folder / "log", environment=NO_LEAK_CHECK).ready()
    daemon.ini = real
    reload(daemon, **{"127.0.0.1:0": "127.0.0.1:0, 127.0.0.2:0"})
    assert [host for host, _ in daemon.addresses()] == ["127.0.0.1", "127.0.0.2"]
    daemon.finish()


def test_in_a_chroot_a_log_out_of_reach_stays_open_and_an_error_says_so(serving, root, keep):
    daemon = serving(chroot=root)
    reload(daemon)
    said = daemon.wait_for(event="log_reopen", level="error")
    assert (said["path"], said["message"]) == (str(daemon.log_path), "No such file or directory")
    serves(daemon, keep(Listener()))
    daemon.wait_for(event="session")


def test_in_a_chroot_a_mode_that_cannot_be_set_is_told_until_it_is(serving, root, folder):
    path = folder / "s"
    daemon = serving(user="nobody", chroot=root, listen=["127.0.0.1:0", f"unix:{path}"])
    reload(daemon)
    assert daemon.records(event="listen") == []
    reload(daemon, **{f"unix:{path}": f"unix:{path}\nunix_mode = 0666"})
    reload(daemon)
    told = daemon.records(event="listen", level="warning")
    assert [(record["listener"], record["address"]) for record in told] == [("main", str(path))] * 2
    assert told[0]["message"] == "unix_mode stays 0660: No such file or directory"
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_in_a_chroot_a_unix_socket_that_stays_behind_is_told_at_the_end(serving, root, folder):
    daemon = serving(user="nobody", chroot=root, listen=f"unix:{folder}/s")
    daemon.finish()
    assert left_behind(daemon) == [(f"{folder}/s", "the socket's file stays behind: No such file or directory")]


def test_a_root_that_is_not_there_ends_the_start(folder, launch):
    keys = {"log_target": "stderr", "chroot": folder / "none"}
    daemon = launch(config_text(keys, {"main": {"listen": "127.0.0.1:0"}}))
    assert daemon.exit_code() == 1
    assert "chroot" in daemon.errors() and "No such file" in daemon.errors()
