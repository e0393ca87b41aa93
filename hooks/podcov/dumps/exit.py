"""The way `exit`: the service writes its counters into GOCOVERDIR when it ends, so whoever wants them ends it.

Who ends it, and starts it again, is the platform (`Platform.stopping`): a workload is scaled to 0. Here is what its files mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from podcov.dumps import diagnosis
from podcov.dumps.contract import Dumped, Listed, Piece, Subject
from podcov.dumps.counters import counters_pieces

_STILL_RUNS = "it hands over its coverage when it ends, and it still runs"


class ExitWay:
    """Fulfils `podcov.dumps.contract.Way`."""

    in_parts = False

    def pieces(self, subject: Subject, listed: Sequence[Listed]) -> tuple[Piece, ...]:  # noqa: ARG002
        return counters_pieces(listed)

    async def begin(
        self,
        subject: Subject,  # noqa: ARG002
        known: frozenset[str],  # noqa: ARG002
        seconds: float,  # noqa: ARG002
        *,
        may_interrupt: bool,  # noqa: ARG002
    ) -> Dumped:
        """Nothing is written before the end, and then what start-up ran is in the same file."""
        return Dumped()

    async def dump(self, subject: Subject, known: frozenset[str], seconds: float) -> Dumped:  # noqa: ARG002
        """Nothing either; where somebody asks who has not ended it, that is why."""
        processes = await subject.hands.processes(subject.container)
        counting = [process for process in processes if process.cover_folder] or processes[:1]
        return Dumped(failures={process.pid: _STILL_RUNS for process in counting})

    async def unsupported(self, subject: Subject) -> str:
        return await diagnosis.not_counting(subject)
