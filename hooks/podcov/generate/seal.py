"""What podcov wrote and nobody has edited since. Pure.

`podcov/SHA256SUMS` says what the generated files were, and `sha256sum -c` checks it. A first `podcov.yaml` says it of itself, in
its last line: it is the user's from then on, and may be all that there is of podcov in a project.
Line ends do not count: Git gives text files others on Windows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

NAME = "SHA256SUMS"
_SIGNED = re.compile(rb"\A(?P<text>.*)# As `podcov init` wrote it \(sha256 (?P<digest>[0-9a-f]{16})\)\.\r?\n\Z", re.DOTALL)


def write(files: Mapping[str, bytes]) -> bytes:
    """A line for each file, in the order of their names."""
    return "".join(f"{digest(files[name])}  {name}\n" for name in sorted(files)).encode()


def read(content: bytes | None) -> dict[str, str]:
    """Name -> digest. Lines that are none are left out: the files that they meant count as edited."""
    lines = (content or b"").decode("utf-8", "replace").splitlines()
    pairs = (line.split("  ", 1) for line in lines if "  " in line)
    return {name: digest for digest, name in pairs}


def digest(content: bytes) -> str:
    """SHA-256 of a file's content; of a text with `\\r\\n`, that of the same text with `\\n`."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n") if _is_text(content) else content).hexdigest()


def signed(text: str) -> str:
    """A text with a last line, a comment in YAML, that says what it was."""
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    return f"{whole}# As `podcov init` wrote it (sha256 {digest(whole.encode())[:16]}).\n"


def is_as_signed(content: bytes) -> bool:
    """Whether `signed` wrote this, and nobody has edited it since."""
    found = _SIGNED.match(content)
    return found is not None and digest(found["text"])[:16] == found["digest"].decode()


def _is_text(content: bytes) -> bool:
    try:
        return "\0" not in content.decode("utf-8")
    except UnicodeDecodeError:
        return False
