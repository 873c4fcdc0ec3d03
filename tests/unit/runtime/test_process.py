"""What the agent does about its own memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

LARGE = 16 * 2**20
# What glibc learns from the first large block decides where the second comes from; the small one keeps a heap from
# shrinking.
GROWTH = f"""
from quaywatch.runtime.process import resident_bytes, settle_memory
%s
block = b"x" * {LARGE}
del block
before = resident_bytes()
block = b"x" * {LARGE}
small = b"x" * 4096
del block
print(resident_bytes() - before)
"""


@pytest.mark.parametrize(("settled", "stays"), [("settle_memory()", False), ("", True)])
def test_a_large_block_goes_back_to_the_system(settled: str, *, stays: bool) -> None:
    """Once memory is settled; without that the hole stays in the process."""
    done = subprocess.run([sys.executable, "-c", GROWTH % settled], capture_output=True, text=True, check=True)
    assert (int(done.stdout) > LARGE / 2) is stays
