"""Linux's signals, by its own names and numbers, whatever machine podcov runs on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ "
    "VTALRM PROF WINCH IO PWR SYS"
)
NUMBERS: Final[Mapping[str, int]] = {name: number for number, name in enumerate(_NAMES.split(), 1)}
LAST: Final = 64
"""the highest number; those above the names are real-time signals"""

NOT_FOR_GO: Final = frozenset({"ILL", "TRAP", "BUS", "FPE", "KILL", "SEGV", "STKFLT", "STOP", "SYS", "32", "33", "34"})
"""what no Go program can wait for: the system or Go's runtime keeps them for itself"""
ENDS_GO: Final = frozenset({"HUP", "INT", "QUIT", "ABRT", "TERM"})
"""what a Go program ends of that does not wait for it; Go's runtime passes over the others"""

_INTERRUPTING: Final = frozenset({"INT", "TERM"})


def named(signal: str | int) -> str:
    """Its name without SIG, or its number where it has none: `SIGUSR1`, `USR1`, `10` and 10 are `USR1`."""
    text = signal.removeprefix("SIG") if isinstance(signal, str) else str(int(signal))
    return next((name for name, number in NUMBERS.items() if str(number) == text), text)


def number(name: str) -> int:
    """Of what `named` says."""
    return NUMBERS[name] if name in NUMBERS else int(name)


def interrupted_by(exit_code: int) -> str:
    """The title of the signal by which somebody ended what has this exit code, as a shell tells it; else empty."""
    name = named(exit_code - 128)
    return title(name) if name in _INTERRUPTING else ""


def title(name: str) -> str:
    """What people call it: `SIGUSR1`, `signal 40`."""
    return f"SIG{name}" if name in NUMBERS else f"signal {name}"
