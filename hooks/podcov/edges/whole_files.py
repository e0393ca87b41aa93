"""Files that are there whole or not at all: what reads them never sees a part."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Makes or replaces a file, by rename; folders that are missing are made. An OSError names the file itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a disk that refuses the one refuses the other, too
            temporary.unlink(missing_ok=True)
