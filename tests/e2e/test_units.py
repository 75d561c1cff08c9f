"""systemd's units, as far as they can be judged without it (tests/service runs them)."""

import pathlib
import re
import subprocess

import pytest

from harness import wait
from harness.daemon import BINARY

UNITS = pathlib.Path(BINARY).parent / "systemd"
SERVICES = ["pairsocksd.service", "pairsocksd@.service"]


@pytest.mark.parametrize("name", SERVICES)
def test_the_exposure_is_at_most_1_3(program, name):
    judged = subprocess.run(
        [program("systemd-analyze"), "security", "--offline=true", "--threshold=13", "--no-pager", UNITS / name],
        capture_output=True, text=True, timeout=wait.seconds(20), stdin=subprocess.DEVNULL)  # fmt: skip
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "Overall exposure level" in judged.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_nothing_is_left_to_be_filled_in(name):
    assert not re.findall(r"^[^#\n]*@[a-z]+@", (UNITS / name).read_text(), re.M)
