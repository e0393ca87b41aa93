"""Which generated files somebody edited: `podcov/SHA256SUMS` says what they were, and `sha256sum -c` checks it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

NAME = "SHA256SUMS"


def write(files: Mapping[str, bytes]) -> bytes:
    """A line for each file, in the order of their names."""
    return "".join(f"{digest(files[name])}  {name}\n" for name in sorted(files)).encode()


def read(content: bytes | None) -> dict[str, str]:
    """Name -> digest. Lines that are none are left out: the files that they meant count as edited."""
    lines = (content or b"").decode("utf-8", "replace").splitlines()
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
