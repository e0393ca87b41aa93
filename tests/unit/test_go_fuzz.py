"""Go's coverage data, damaged in random ways; `tests/fuzz_go_data.py` does the same for as long as one likes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_nothing_but_a_named_damage_comes_of_damaged_data(root: Path) -> None:
    command = [sys.executable, str(root / "tests" / "fuzz_go_data.py"), "--rounds", "3000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rounds, _, refused, _ = done.stdout.split()
    assert int(rounds) == 3000
    assert 500 < int(refused) < 3000
