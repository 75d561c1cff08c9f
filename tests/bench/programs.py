"""Our own C programs, built for one run: the load generators and the bare relay; and the certificate of the TLS
kinds."""

import os
import subprocess

from machine import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
WOLFSSL = os.path.join(TOP, ".deps", "wolfssl", "lib", "pkgconfig")  # what ./dev deps has built
LIBSSL = "(apt-get install libssl-dev)"

# name: sources, libraries, what pkg-config is asked for, and what may help when it cannot be built
PROGRAMS = {
    "load": (("load.c", "client.c", "load_kinds.c", "target.c", "wire.c"), (), None, ""),
    "tls_load": (("load.c", "client.c", "load_kinds.c", "target.c", "wire.c", "tls_client.c"),
                 ("-lssl", "-lcrypto"), None, LIBSSL),
    "udp_load": (("udp_load.c", "wire.c"), (), None, ""),
    "floor": (("floor.c", "floor_gears.c"), (), None, ""),
    "tls_floor": (("floor.c", "floor_gears.c", "floor_tls.c"), (), "wolfssl", "(./dev deps, or --proxies without it)"),
    "floor_udp": (("floor_udp.c", "wire.c"), (), None, ""),
    "experiments": (("floor.c", "floor_gears.c", "floor_zerocopy.c", "floor_sockmap.c"), (), None, ""),
    "uring": (("uring.c",), (), None, ""),
    "kernel": (("kernel.c",), (), None, ""),
}


def flags_of(package):
    path = os.pathsep.join(filter(None, (os.environ.get("PKG_CONFIG_PATH"), WOLFSSL)))
    done = subprocess.run(["pkg-config", "--cflags", "--libs", "--static", package], capture_output=True, text=True,
                          env={**os.environ, "PKG_CONFIG_PATH": path})
    if done.returncode:
        raise Failure(f"pkg-config does not know {package}: {done.stderr.strip()}")
    return done.stdout.split()


def build(name, folder):
    """Its path, in `folder`; built once."""
    path = os.path.join(folder, name)
    sources, libraries, package, hint = PROGRAMS[name]
    if os.path.exists(path):
        return path
    compiler = os.environ.get("CC", "cc").split()
    command = [*compiler, "-std=gnu11", "-O2", "-o", path, *(os.path.join(HERE, source) for source in sources),
               *libraries, *(flags_of(package) if package else [])]
    if subprocess.run(command).returncode:
        raise Failure(f"{name} cannot be built {hint}")
    return path


def make_certificate(folder, user):
    """A self-signed one with P-256, its key, and both in one file, for the user that the proxies run as. Returns the
    three paths."""
    certificate, key, pair = (os.path.join(folder, name) for name in ("certificate.pem", "key.pem", "pair.pem"))
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "30",
               "-keyout", key, "-out", certificate]
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Failure("openssl is not there (apt-get install openssl)") from None
    if done.returncode:
        raise Failure(f"openssl makes no certificate:\n{done.stderr}")
    with open(pair, "w") as f:
        for name in (certificate, key):
            with open(name) as part:
                f.write(part.read())
    for name in (key, pair):
        os.chmod(name, 0o600)
        if user:
            os.chown(name, user.pw_uid, user.pw_gid)
    return certificate, key, pair
