"""Standard error for a command whose caller does not show it, or takes it for part of the result.

Skaffold reads a render hook's two outputs through one pipe, so that a word on standard error ends up in the manifests, and
drops both where the hook fails. Helm 4 keeps a post-renderer's standard error to itself. What podcov has to say goes to the
caller's own.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping


def use(environ: Mapping[str, str]) -> None:
    """From now on, file descriptor 2 is the caller's standard error where its own would be swallowed; else nothing changes.

    Where the caller's cannot be had, it is the terminal, and without one it is nothing: manifests must stay manifests.
    """
    if not (_is_mixed_with_stdout() or environ.get("HELM_PLUGIN_NAME")):
        return
    sys.stderr.flush()
    place = _open_first(f"/proc/{os.getppid()}/fd/2", "/dev/tty", os.devnull)
    os.dup2(place, 2)
    os.close(place)


def _is_mixed_with_stdout() -> bool:
    """Whether both outputs are one pipe. A terminal or a file that holds both was wanted so."""
    out, err = os.fstat(1), os.fstat(2)
    return stat.S_ISFIFO(err.st_mode) and os.path.samestat(out, err)


def _open_first(*paths: str) -> int:
    """The last of them can always be opened."""
    for path in paths[:-1]:
        try:
            return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:  # no /proc, another user's process, a socket, no terminal
            continue
    return os.open(paths[-1], os.O_WRONLY)
