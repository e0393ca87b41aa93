"""Files that several pods wrote into one folder of their node: which start of which container wrote each. Pure.

They have no name of their pod. A process writes its counters as it ends, and their name says when: so they are told by the ends
of the containers. Where two end in the same second either may have written either file; together they have both.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from podcov.dumps.contract import Piece

NANO = 1_000_000_000
MAIN = 1
"""the pid of a container's own process"""
_SLACK = 0.5
_AROUND_THE_END = 2.0
"""seconds in which a container's own process writes, ends, and is seen to have ended; platforms round down to whole ones"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """One start of a container that writes into the folder. Times are Unix seconds, perhaps whole ones; None while unknown."""

    pod: str
    container: str
    restart: int
    began: float | None
    ended: bool
    finished: float | None = None

    def may_have_written(self, moment: float) -> bool:
        if self.began is None or moment < self.began - _SLACK:
            return False
        return self.finished is None or moment <= self.finished + 1 + _SLACK

    def may_have_ended_by(self, moment: float) -> bool:
        if not self.ended or not self.may_have_written(moment):
            return False
        return self.finished is None or moment >= self.finished - _AROUND_THE_END

    def distance(self, moment: float) -> float:
        return abs((self.finished if self.finished is not None else moment) + 0.5 - moment)


Shares = dict[str, Tenant]
"""by name of the file"""


def share_out(pieces: Collection[Piece], tenants: Collection[Tenant], shares: Shares, marked: Mapping[str, float]) -> Shares:
    """Whose each of the files is, beside those that have their owner already; nobody's are left out.

    `marked` are files that were there at a mark, and when that was: no process that ended later has written them.
    """
    found = {name: _now(tenant, tenants) for name, tenant in shares.items()}
    ended = sorted((t for t in tenants if t.ended), key=lambda t: (t.finished is None, t.finished or 0.0, t.pod, t.container))
    for tenant in ended:
        if not any(_same(owner, tenant) and _pid(name, pieces) == MAIN for name, owner in found.items()):
            own = [p for p in _free(pieces, found, tenant, marked) if p.pid == MAIN and tenant.may_have_ended_by(_moment(p))]
            if own:
                found[min(own, key=lambda piece: tenant.distance(_moment(piece))).name] = tenant
    for piece in sorted(pieces, key=lambda piece: piece.time):
        if piece.name in found or piece.pid == MAIN:
            continue
        owners = [t for t in tenants if t.may_have_written(_moment(piece)) and not _was_there(piece, t, marked)]
        if owners:
            found[piece.name] = min(owners, key=lambda tenant: (not tenant.ended, tenant.distance(_moment(piece))))
    return found


def _free(pieces: Collection[Piece], shares: Shares, tenant: Tenant, marked: Mapping[str, float]) -> list[Piece]:
    return [piece for piece in pieces if piece.name not in shares and not _was_there(piece, tenant, marked)]


def _was_there(piece: Piece, tenant: Tenant, marked: Mapping[str, float]) -> bool:
    """The file was there at a mark, and the container ended later, or has not."""
    mark = marked.get(piece.name)
    return mark is not None and (tenant.finished is None or tenant.finished >= mark)


def _now(tenant: Tenant, tenants: Collection[Tenant]) -> Tenant:
    """What is known of it by now."""
    return next((other for other in tenants if _same(other, tenant)), tenant)


def _same(one: Tenant, other: Tenant) -> bool:
    return (one.pod, one.container, one.restart) == (other.pod, other.container, other.restart)


def _pid(name: str, pieces: Collection[Piece]) -> int:
    return next((piece.pid for piece in pieces if piece.name == name), 0)


def _moment(piece: Piece) -> float:
    return piece.time / NANO
