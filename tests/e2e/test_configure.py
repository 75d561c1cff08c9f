"""Which wolfSSL the build takes, and what configure says of it."""

import os
import subprocess

import pytest

from harness import wait
from harness.daemon import ROOT

pytestmark = pytest.mark.slow
PREFIX = ROOT / ".deps" / "wolfssl"


@pytest.fixture
def configure(program, tmp_path):
    """configure(version, options=text): its exit code and all that it says, with a wolfSSL that calls itself that.

    `options` goes behind those that it was built with.
    """

    def start(version, options=""):
        include = tmp_path / "include"
        (include / "wolfssl").mkdir(parents=True, exist_ok=True)
        (tmp_path / "wolfssl.pc").write_text(
            f"Name: wolfssl\nDescription: a test\nVersion: {version}\nLibs: -L{PREFIX}/lib -lwolfssl\nLibs.private: -lm\n"
            f"Cflags: -I{include} -I{PREFIX}/include\n")  # fmt: skip
        (include / "wolfssl" / "options.h").write_text((PREFIX / "include/wolfssl/options.h").read_text() + options)
        (tmp_path / "build").mkdir(exist_ok=True)
        done = subprocess.run([ROOT / "configure"], cwd=tmp_path / "build", env={**os.environ, "PKG_CONFIG_PATH": str(tmp_path)},
                              capture_output=True, text=True, timeout=wait.seconds(60), stdin=subprocess.DEVNULL)  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return start


@pytest.mark.parametrize("version, options, code, says", [
    ("5.6.6", "", 1, "wolfSSL 5.6.6 is too old, 5.7.0 is needed"),
    ("5.7.0", "", 0, "accelerated ("),
    ("6.0.0", "#undef WOLFSSL_AESNI\n#undef WOLFSSL_ARMASM\n#undef WOLFSSL_RISCV_ASM\n", 0, "does not use the AES instructions"),
    ("5.7.2", "#undef HAVE_SNI\n#undef HAVE_CRL\n", 1, "was built without HAVE_SNI HAVE_CRL"),
])  # fmt: skip
def test_any_wolfssl_from_5_7_0_on_is_taken(configure, version, options, code, says):
    got, text = configure(version, options)
    assert got == code and says in text, text
