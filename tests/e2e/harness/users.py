"""Users files with hashes of the system's crypt(3)."""

import ctypes
import functools
import time

CHEAP = "$5$rounds=1000$pairsocks"  # where time does not matter: a quarter of a millisecond
YESCRYPT = "$y$j75$pairsocks"


@functools.cache
def crypt(password, setting):
    """What crypt(3) makes of it; `password` is bytes or text without NUL."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    password = password.encode() if isinstance(password, str) else password
    result = library.crypt(password, setting.encode())
    assert result and not result.startswith(b"*"), f"crypt(3) does not know {setting}"
    return result.decode()


@functools.cache
def slow(seconds=0.02):
    """A setting that takes at least so long on this machine."""
    rounds = 10000
    while True:
        setting = f"$6$rounds={rounds}$pairsocks"
        start = time.process_time()
        crypt(f"{rounds}", setting)
        took = time.process_time() - start
        if took >= seconds:
            return setting
        rounds = int(rounds * max(1.5, 1.2 * seconds / max(took, 1e-4)))


class UsersFile:
    """A users file: `write(alice="secret")` makes its content anew."""

    def __init__(self, path, setting=CHEAP, **passwords):
        self.path, self.setting = path, setting
        self.write(**passwords)

    def write(self, **passwords):
        self.path.write_text("".join(f"{name}:{crypt(password, self.setting)}\n" for name, password in passwords.items()))

    def __str__(self):
        return str(self.path)
