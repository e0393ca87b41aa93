"""How a Go service's courier is called: it is the service's own program, with an argument. Pure.

A program without podcov in it would not know the argument, and run as the service once more. A sidecar is kept from that by what
it is started with; in the service's own container only a link is called that no other program leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from podcov.config import Service
from podcov.languages.couriers import Missing, Outcome, Words

ARGUMENT: Final = "--podcov-courier"

LINKS: Final = "/podcov/data/programs"
"""where programs with podcov in them leave a link to themselves, by the name of their container"""

_PROGRAM = 0
_ANSWERS: Final = (b"{", b"podcov-bundle ")
_COMPLAINT: Final = "podcov courier: "
_LONGEST: Final = 200
"""characters of what somebody else's program said"""


class GoCourier:
    """Fulfils `podcov.languages.couriers.Courier`."""

    unknown = (
        "which program of the image is the service's is not known: name it as `binary` in podcov.yaml, such as `binary: /app`"
    )
    absent = (
        "is that the service's program? Name it as `binary` in podcov.yaml, and let `podcov init` write the sidecar anew; what "
        "is below /layers/podcov_go is in images only that buildpacks have built with the coverage profile"
    )
    ended = "its log says why; a program that does not know --podcov-courier was not built by the coverage profile"

    def ways(self, service: Service, container: str, command: Sequence[str], *, sidecar: bool) -> tuple[Words, ...]:
        """The program that runs as the sidecar, or that left a link; the configured one where no sidecar tells which it runs."""
        program = f"{LINKS}/{container}"
        if sidecar:
            program = command[0] if ARGUMENT in command else service.binary
        return ((program, ARGUMENT),) if program else ()

    def missing(self, words: Words, outcome: Outcome) -> Missing | None:
        """Also where the program does not know the argument, and took it for one of its own."""
        said = " ".join(outcome.stderr.split())
        if outcome.no_executable and words[0].startswith(f"{LINKS}/"):
            return Missing(
                _PROGRAM,
                "no program with podcov in it has begun in the container, or the one that did has been removed: was the image "
                f"built by the coverage profile, and by this podcov? Is PODCOV_OFF set? ({said})",
                unbegun=True,
            )
        if outcome.no_executable:
            return Missing(_PROGRAM, f"{words[0]} is not in the image; name its program as `binary` in podcov.yaml ({said})")
        if outcome.exit_code is None or outcome.signal or said.startswith(_COMPLAINT) or outcome.stdout.startswith(_ANSWERS):
            return None
        return Missing(
            _PROGRAM,
            f"{words[0]} is no courier: the Go toolchain that built it had no podcov in it, or PODCOV_DATA is not set in the "
            f"container; was the image built by the coverage profile? (it said: {said[:_LONGEST] or 'nothing'})",
        )
