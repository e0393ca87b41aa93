"""The interpreters that are measured, each in two virtual environments: the shop as its image has it, and coverage.py added.

They are made once and kept in `.cache/benchmarks`. Plain and podcov run in the first, so that neither pays for what an
installed coverage.py does at every start.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOP = ROOT / "examples" / "shop"
CACHE = ROOT / ".cache" / "benchmarks"
_ASK_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`version` is like 3.13.1; `image` and `covered` are the Pythons of its two environments."""

    version: str
    image: Path
    covered: Path

    @property
    def minor(self) -> tuple[int, int]:
        major, minor, _ = self.version.split(".")
        return int(major), int(minor)


def prepare(python: str) -> Interpreter:
    """The interpreter that this command starts, with its environments made. Ends the program where that is impossible."""
    path = shutil.which(python)
    if path is None:
        sys.exit(f"there is no interpreter {python}: name another with --python")
    version = _run(path, "-c", _ASK_VERSION).strip()
    if tuple(map(int, version.split(".")[:2])) < (3, 11):
        sys.exit(f"{python} is Python {version}, which podcov cannot measure: name 3.11 or later with --python")
    return Interpreter(
        version, _environment(path, version, "image", _shop()), _environment(path, version, "covered", [*_shop(), _coverage()])
    )


def _shop() -> list[str]:
    """The requirements of all of the shop's services."""
    return [line for file in sorted(SHOP.glob("*/requirements.txt")) for line in file.read_text().split()]


def _coverage() -> str:
    """The version that podcov takes its C tracers from, so that both measure with the same one."""
    pins = json.loads((ROOT / "wrapper" / "python" / "tracers.json").read_text())
    return f"coverage=={pins['coverage']}"


def _environment(path: str, version: str, name: str, requirements: list[str]) -> Path:
    digest = hashlib.sha256("\n".join([path, *requirements]).encode()).hexdigest()[:8]
    folder = CACHE / f"{version}-{name}-{digest}"
    python = folder / "bin" / "python"
    complete = folder / ".complete"
    if not complete.exists():
        print(f"making {folder.relative_to(ROOT)}", file=sys.stderr)
        _run(path, "-m", "venv", "--clear", "--without-pip", str(folder))
        pip = ("-m", "pip", "--python", str(python), "--disable-pip-version-check", "install", "--quiet")
        _run(sys.executable, *pip, *requirements)
        complete.touch()
    return python


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr.strip()}")
    return done.stdout
