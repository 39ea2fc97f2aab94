"""The short forms of the benchmarks that make life hard for a store; each exits with 1 where anything is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.mark.parametrize("name", ["store_writers", "store_failures", "store_fuzz"])
def test_the_store_endures(name):
    command = [sys.executable, str(BENCHMARKS / f"{name}.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
