"""Users files with hashes of the system's crypt(3)."""

import ctypes
import functools
import time

CHEAP = "$5$rounds=1000$pairsocks"  # where time does not matter: a quarter of a millisecond
YESCRYPT = "$y$j75$pairsock"


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
def rounds_a_second():
    times = []
    for number in range(5):
        start = time.thread_time()
        crypt(f"{number}", "$6$rounds=20000$measured")
        times.append(time.thread_time() - start)
    return 20000 / min(times)


def slow(seconds=0.02):
    """A setting that takes about so long on this machine, and never less."""
    return f"$6$rounds={int(1.3 * seconds * rounds_a_second())}$pairsocks"


class UsersFile:
    """A users file: `write(alice="secret")` makes its content anew."""

    def __init__(self, path, setting=CHEAP, **passwords):
        self.path, self.setting = path, setting
        self.write(**passwords)

    def write(self, **passwords):
        self.path.write_text("".join(f"{name}:{crypt(password, self.setting)}\n" for name, password in passwords.items()))

    def __str__(self):
        return str(self.path)
