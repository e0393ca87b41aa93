"""What git says of the checkout, for `run.json` and `summary.json`."""

from __future__ import annotations

import subprocess
from pathlib import Path


def describe(folder: Path) -> dict[str, object] | None:
    """`{commit, branch, dirty}` of the checkout around `folder`; None outside one, or without git."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD")
    return {"commit": commit, "branch": branch, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
