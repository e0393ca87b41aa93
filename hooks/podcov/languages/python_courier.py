"""How Python's courier is called: an interpreter of the image, and a script of the wrapper. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from podcov.config import Service
from podcov.languages.couriers import Missing, Outcome, Words

SCRIPT: Final = "podcov_courier.py"
UNPACKED: Final = f"/podcov/data/wrapper/{SCRIPT}"
MOUNTED: Final = f"/podcov/wrapper/{SCRIPT}"
INTERPRETERS: Final = ("python3", "python", "/usr/local/bin/python3", "/usr/bin/python3")
FLAGS: Final = "-Es"
"""The courier must not be recorded itself where PYTHONPATH leads to the wrapper."""

_PROGRAM, _SCRIPT = 0, 2


class PythonCourier:
    """Fulfils `podcov.languages.couriers.Courier`."""

    unknown = "nothing was tried"
    ended = "its log says why"
    absent = "name the image's interpreter as `interpreter` in podcov.yaml, and let `podcov init` write the sidecar anew"

    def ways(
        self,
        service: Service,
        container: str,  # noqa: ARG002
        command: Sequence[str],  # noqa: ARG002
        *,
        sidecar: bool,
    ) -> tuple[Words, ...]:
        """The configured interpreter first. Only a sidecar unpacks the wrapper."""
        scripts = (UNPACKED, MOUNTED) if sidecar else (MOUNTED, UNPACKED)
        interpreters = dict.fromkeys((service.interpreter, *INTERPRETERS))
        return tuple((interpreter, FLAGS, script) for interpreter in interpreters for script in scripts)

    def missing(self, words: Words, outcome: Outcome) -> Missing | None:  # noqa: ARG002
        if outcome.exit_code == 2 and not outcome.stdout and "can't open file" in outcome.stderr and SCRIPT in outcome.stderr:
            return Missing(_SCRIPT, f"{SCRIPT} is not there: is the wrapper's ConfigMap missing, or damaged?")
        if outcome.no_executable:
            what = "no Python interpreter found; name it as `interpreter` in podcov.yaml"
            return Missing(_PROGRAM, f"{what} ({outcome.stderr.strip()})")
        return None
