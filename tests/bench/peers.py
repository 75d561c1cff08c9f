"""The proxies that are measured: each as a program, the package that has it, and how it is configured for one run. A new
peer is one function and one row.

All log a line per connection to a file where they can; each is one process, thread or worker unless it knows no other
way, and all else is as it is by default."""

import ctypes
import os

from machine import Failure

LOGIN = ("bench", "a password of some length")
TLS_SUITE = "TLS_AES_128_GCM_SHA256"


class Peer:
    """`program` is looked for in PATH; None: it is pairsocksd; a name of programs.PROGRAMS with `is_ours`: built here.
    `config(proxy, port, target)` writes its files and returns its command line. `socks`: clients speak SOCKS to it.
    `cuts`: it ends a TLS connection without a close_notify. `asks`: for a password."""

    def __init__(self, config, program=None, package=None, socks=True, cuts=False, is_ours=False, is_root=False,
                 asks=False):
        self.config, self.program, self.package = config, program, package
        self.socks, self.cuts, self.is_ours, self.is_root, self.asks = socks, cuts, is_ours, is_root, asks


def config_pairsocksd(proxy, port, target, daemon="", listener="", rules="", workers=1):
    proxy.write("pairsocks.ini", f"""
[daemon]
workers = {workers}
log_target = file:{proxy.path("log")}
log_level = info
{daemon}
[listener bench]
listen = 127.0.0.1:{port}
{listener}
{rules}""")
    return [proxy.binary, "-c", proxy.path("pairsocks.ini")]


def config_policy(proxy, port, target):
    """1,000 rules of all sorts, of which the last one decides, the guard, the json log."""
    sorts = ("host{}.example.com", "*.zone{}.example.net", "10.{}.0.0/16", "2001:db8:{}::/48")
    rules = [f"[rule r{i}]\ndestination = {sorts[i % 4].format(i % 250)}\naction = deny\n" for i in range(999)]
    rules.append("[rule last]\ndestination = 127.0.0.0/8\nport = 1-65535\naction = allow\n")
    return config_pairsocksd(proxy, port, target, "log_format = json", "default = deny\nguard = yes", "\n".join(rules))


def config_two_workers(proxy, port, target):
    return config_pairsocksd(proxy, port, target, workers=2)


def config_rate(proxy, port, target):
    """Every session is held to the kind's rate."""
    rule = f"[rule all]\ndestination = 127.0.0.0/8\naction = allow\nrate = {proxy.kind.rate}\n"
    return config_pairsocksd(proxy, port, target, rules=rule)


def crypt(setting):
    """The hash of the password of LOGIN."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    return library.crypt(LOGIN[1].encode(), setting.encode()).decode()


def config_pairsocksd_auth(proxy, port, target):
    proxy.write("users", f"{LOGIN[0]}:{crypt('$y$j9T$saltsaltsalt$')}\n")
    return config_pairsocksd(proxy, port, target, "", f"auth = password\nusers_file = {proxy.path('users')}")


def config_danted_auth(proxy, port, target):
    """Its users are the system's: it gets a passwd and a shadow of its own, in mounts of its own."""
    if not proxy.bench.user:
        raise Failure("danted checks passwords only as root")
    command = config_danted(proxy, port, target)
    with open(proxy.path("danted.conf")) as f:
        text = f.read().replace("socksmethod: none", "socksmethod: username\nuser.privileged: root\n"
                                "user.unprivileged: nobody")
    proxy.write("danted.conf", text)
    with open("/etc/passwd") as f:
        proxy.write("passwd", f.read() + f"{LOGIN[0]}:x:64999:64999::/:/bin/false\n")
    proxy.write("shadow", f"{LOGIN[0]}:{crypt('$1$saltsalt$')}:19000:0:99999:7:::\n")
    mounts = " && ".join(f"mount --bind {proxy.path(name)} /etc/{name}" for name in ("passwd", "shadow"))
    return ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command]


def config_microsocks(proxy, port, target):
    return [proxy.binary, "-i", "127.0.0.1", "-p", str(port)]  # logs a line per connection on stderr


def config_danted(proxy, port, target):
    # An address of its own for the outgoing leg: danted binds it before it connects, and a port that another proxy
    # left in TIME_WAIT on the same address could not be bound.
    proxy.write("danted.conf", f"""
logoutput: {proxy.path("log")}
internal: 127.0.0.1 port = {port}
external: 127.0.0.2
clientmethod: none
socksmethod: none
client pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
}}
socks pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
    command: connect
    log: disconnect
}}
""")
    return [proxy.binary, "-f", proxy.path("danted.conf"), "-p", proxy.path("danted.pid")]


def config_danted_udp(proxy, port, target):
    command = config_danted(proxy, port, target)
    with open(proxy.path("danted.conf")) as f:
        text = f.read()
    proxy.write("danted.conf", text.replace("command: connect", "command: udpassociate udpreply"))
    return command


def config_haproxy(proxy, port, target, splice=""):
    proxy.write("haproxy.cfg", f"""
global
    nbthread 1
    maxconn 9500
    log stdout format raw local0
defaults
    mode tcp
    log global
    option tcplog
    {splice}
    timeout connect 10s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server target 127.0.0.1:{target}
""")
    return [proxy.binary, "-db", "-f", proxy.path("haproxy.cfg")]  # stdout is the log file


def config_haproxy_side(proxy, port, target):
    """With a second port for the second target: who is only forwarded cannot name it."""
    command = config_haproxy(proxy, port, target)
    with open(proxy.path("haproxy.cfg"), "a", encoding="ascii") as f:
        f.write(f"listen side\n    bind 127.0.0.1:{proxy.side_port}\n"
                f"    server side 127.0.0.1:{proxy.bench.side_target_port}\n")
    return command


def config_haproxy_splice(proxy, port, target):
    return config_haproxy(proxy, port, target, "option splice-request\n    option splice-response")


# What TLS is in all five: 1.3 only, one suite, one certificate, one worker, and a line in a file for each connection
# where there is such a log (hitch has none). All else is as each program is by default: so a handshake of ours gives
# one session ticket, of the others two. A target address of one's own: no port of the outgoing leg is in TIME_WAIT
# from the proxy before.


def config_pairsocksd_tls(proxy, port, target):
    return config_pairsocksd(proxy, port, target, "", f"""protocols = forward
forward_to = {proxy.own_target}:{target}
security = tlsv1.3
ciphers = {TLS_SUITE}
certificate = {proxy.bench.certificate}
private_key = {proxy.bench.key}""")


def config_haproxy_tls(proxy, port, target):
    command = config_haproxy(proxy, port, target)
    with open(proxy.path("haproxy.cfg")) as f:
        text = f.read()
    bind = f"bind 127.0.0.1:{port}"
    text = text.replace(bind, f"{bind} ssl crt {proxy.bench.pair} ssl-min-ver TLSv1.3 ciphersuites {TLS_SUITE}")
    proxy.write("haproxy.cfg", text.replace(f"127.0.0.1:{target}", f"{proxy.own_target}:{target}"))
    return command


def config_nginx_tls(proxy, port, target):
    proxy.write("nginx.conf", f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
worker_processes 1;
pid {proxy.path("nginx.pid")};
error_log stderr;
events {{
    worker_connections 9000;
}}
stream {{
    log_format line '$remote_addr:$remote_port [$time_local] $status $bytes_sent $bytes_received $session_time';
    access_log {proxy.path("log")} line;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {proxy.bench.certificate};
        ssl_certificate_key {proxy.bench.key};
        ssl_protocols TLSv1.3;
        ssl_conf_command Ciphersuites {TLS_SUITE};
        proxy_timeout 1h;
        proxy_pass {proxy.own_target}:{target};
    }}
}}
""")
    return [proxy.binary, "-e", "stderr", "-p", proxy.folder, "-c", proxy.path("nginx.conf")]


def config_hitch_tls(proxy, port, target):
    proxy.write("hitch.conf", f"""
frontend = "[127.0.0.1]:{port}"
backend = "[{proxy.own_target}]:{target}"
pem-file = "{proxy.bench.pair}"
tls-protos = TLSv1.3
ciphersuites = "{TLS_SUITE}"
workers = 1
daemon = off
""")
    return [proxy.binary, f"--config={proxy.path('hitch.conf')}"]


def config_stunnel_tls(proxy, port, target):
    proxy.write("stunnel.conf", f"""
foreground = yes
syslog = no
output = {proxy.path("log")}
pid =
[bench]
accept = 127.0.0.1:{port}
connect = {proxy.own_target}:{target}
cert = {proxy.bench.certificate}
key = {proxy.bench.key}
sslVersionMin = TLSv1.3
ciphersuites = {TLS_SUITE}
""")
    return [proxy.binary, proxy.path("stunnel.conf")]


# The bare relay, which no one should use for anything else (floor.c).


def config_floor(proxy, port, target):
    return [proxy.binary, str(port), "--gear", proxy.kind.gear]


def config_floor_tls(proxy, port, target):
    return [proxy.binary, str(port), "--forward", f"{proxy.own_target}:{target}", "--gear", "tls",
            proxy.bench.certificate, proxy.bench.key, TLS_SUITE]


def config_floor_udp(proxy, port, target):
    return [proxy.binary, str(port)]


def config_gear(gear):
    """An experiment: always this gear, whatever the kind of work."""
    return lambda proxy, port, target: [proxy.binary, str(port), "--gear", gear]


def config_uring(proxy, port, target):
    return [proxy.binary, str(port)]


FLOOR = Peer(config_floor, "floor", is_ours=True)

PLAIN = {
    "pairsocksd": Peer(config_pairsocksd),
    "microsocks": Peer(config_microsocks, "microsocks", "microsocks"),
    "danted": Peer(config_danted, "danted", "dante-server"),
    "haproxy": Peer(config_haproxy, "haproxy", "haproxy", socks=False),
    "haproxy-splice": Peer(config_haproxy_splice, "haproxy", "haproxy", socks=False),
    "floor": FLOOR,
}
TLS = {
    "pairsocksd": Peer(config_pairsocksd_tls, socks=False),
    "haproxy": Peer(config_haproxy_tls, "haproxy", "haproxy", socks=False),
    "nginx": Peer(config_nginx_tls, "nginx", "nginx", socks=False, cuts=True),
    "hitch": Peer(config_hitch_tls, "hitch", "hitch", socks=False),
    "stunnel": Peer(config_stunnel_tls, "stunnel4", "stunnel4", socks=False),
    "floor": Peer(config_floor_tls, "tls_floor", socks=False, is_ours=True),
}
POLICY = {"pairsocksd": Peer(config_policy), "plain": Peer(config_pairsocksd), "floor": FLOOR}
AUTH = {"pairsocksd": Peer(config_pairsocksd_auth, asks=True),
        "danted": Peer(config_danted_auth, "danted", "dante-server", is_root=True, asks=True), "floor": FLOOR}
UDP = {"pairsocksd": Peer(config_pairsocksd), "danted": Peer(config_danted_udp, "danted", "dante-server"),
       "floor": Peer(config_floor_udp, "floor_udp", is_ours=True)}
WORKERS = {"pairsocksd": Peer(config_two_workers), "one worker": Peer(config_pairsocksd), "floor": FLOOR}
LATENCY = {**PLAIN, "haproxy": Peer(config_haproxy_side, "haproxy", "haproxy", socks=False)}
RATE = {**PLAIN, "pairsocksd": Peer(config_rate)}
EXPERIMENTS = {
    "copy": Peer(config_gear("copy"), "experiments", is_ours=True),
    "splice": Peer(config_gear("splice"), "experiments", is_ours=True),
    "zerocopy": Peer(config_gear("zerocopy"), "experiments", is_ours=True),
    "sockmap": Peer(config_gear("sockmap"), "experiments", is_ours=True, is_root=True),
    "io_uring": Peer(config_uring, "uring", is_ours=True),
}
