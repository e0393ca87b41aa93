"""The way `killswitch`: a test binary that a request ends. It writes its profile, and a loop in the image starts it again.

Every life of the binary is a profile. With podcov's sidecar each is kept under a name of its own; without it the next life
overwrites the last one's, and what counts is the one that the killswitch brought. Most loops do not end at SIGTERM, so a pod that
is told to end is asked once more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from podcov.dumps.contract import Dumped, HandsError, Listed, Piece, Subject, polling
from podcov.errors import DamagedError
from podcov.formats import go_profile

READY_SECONDS = 15.0
"""how long the service may take to serve again"""
FIRST = 1
"""the pid that all lives are told under: theirs is not in what they leave"""
_LISTEN = "0A"
"""a state of a socket in `/proc/net/tcp`"""


class KillswitchWay:
    """Fulfils `podcov.dumps.contract.Way`."""

    in_parts = False

    def pieces(self, subject: Subject, listed: Sequence[Listed]) -> tuple[Piece, ...]:
        profile = subject.dump.profile
        kept = re.compile(re.escape(profile) + r"\.\d+")
        found = [_piece(file.name, file) for file in listed if kept.fullmatch(file.name)]
        if not subject.hands.keeps(subject.container, subject.dump.folder):
            found += [_piece(f"{file.name}@{file.modified}", file) for file in listed if file.name == profile]
        return tuple(sorted(found, key=lambda piece: piece.time))

    async def begin(self, subject: Subject, known: frozenset[str], seconds: float, *, may_interrupt: bool) -> Dumped:
        """Start-up and what ran before a pod's first mark stay one life with what comes after: nobody is ended for that."""
        return await self.dump(subject, known, seconds) if may_interrupt else Dumped()

    async def dump(self, subject: Subject, known: frozenset[str], seconds: float) -> Dumped:
        before = await listening(subject)
        if subject.dump.port not in before:
            return Dumped(failures={FIRST: _nobody_listens(subject, before)})
        answer = await subject.hands.get(subject.container, subject.dump.port, subject.dump.path, seconds)
        if answer != "closed" and not answer.startswith(("2", "3")):
            return Dumped(failures={FIRST: f"the killswitch on port {subject.dump.port} answered {answer}"})
        pieces = await self._wait_for_profile(subject, known, seconds)
        if not pieces:
            return Dumped(failures={FIRST: _no_profile(subject, seconds)})
        if await subject.hands.ending():
            return Dumped(pieces)
        served = await self._wait_until_it_serves(subject, before)
        return Dumped(pieces, {} if served else {FIRST: f"it did not serve again within {READY_SECONDS:g} s of its killswitch"})

    async def unsupported(self, subject: Subject) -> str:  # noqa: ARG002 only its profile would tell
        return ""

    async def _wait_for_profile(self, subject: Subject, known: frozenset[str], seconds: float) -> tuple[Piece, ...]:
        """The profiles that are new, once they are whole: what is still being written grows, or ends in the middle of a line."""
        seen: Mapping[str, bytes] = {}
        ended = False
        async for _ in polling(seconds):
            pieces = tuple(p for p in self.pieces(subject, await subject.list()) if p.key not in known)
            contents = await subject.read([p.name for p in pieces]) if pieces else {}
            whole = pieces and all(is_complete(contents.get(p.name, b"")) for p in pieces)
            if whole and (subject.hands.keeps(subject.container, subject.dump.folder) or contents == seen):
                return pieces
            if ended:
                break
            seen, ended = contents, await self._ended(subject)
        return ()

    async def _ended(self, subject: Subject) -> bool:
        """Its container did so with its pod, and nothing more is written."""
        return await subject.hands.ending() and not await subject.hands.processes(subject.container)

    async def _wait_until_it_serves(self, subject: Subject, before: Mapping[int, frozenset[int]]) -> bool:
        """All ports that were listened on are so again, the killswitch's by another process, and the pod is ready."""
        async for _ in polling(READY_SECONDS):
            now = await listening(subject)
            anew = now.get(subject.dump.port, frozenset()) - before[subject.dump.port]
            if anew and now.keys() >= before.keys() and await subject.hands.ready():
                return True
        return False


def _piece(key: str, file: Listed) -> Piece:
    return Piece(key, file.name, FIRST, file.modified, life=file.modified)


async def listening(subject: Subject) -> dict[int, frozenset[int]]:
    """The TCP ports that somebody in the pod listens on, and the inodes of the sockets that do."""
    found: dict[int, frozenset[int]] = {}
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            table = await subject.hands.inspect(subject.container, path)
        except HandsError:
            continue  # a kernel without IPv6
        for port, inode in parse_sockets(table.decode(errors="replace")):
            found[port] = found.get(port, frozenset()) | {inode}
    return found


def parse_sockets(table: str) -> list[tuple[int, int]]:
    """Port and inode of each socket of `/proc/net/tcp` that somebody listens on."""
    rows = (line.split() for line in table.splitlines()[1:])
    return [(int(row[1].rpartition(":")[2], 16), int(row[9])) for row in rows if len(row) > 9 and row[3] == _LISTEN]


def is_complete(content: bytes) -> bool:
    """Whether this may be a whole profile: it ends with a whole line."""
    try:
        go_profile.parse(content)
    except DamagedError:
        return False
    return True


def _nobody_listens(subject: Subject, ports: Mapping[int, object]) -> str:
    others = ", ".join(map(str, sorted(ports))) or "none"
    return (
        f"nobody listens on port {subject.dump.port} for the killswitch (ports that are listened on: {others}): "
        f"was the test binary built into the image? Or write its port as `services.{subject.service.name}.dump.port`"
    )


def _no_profile(subject: Subject, seconds: float) -> str:
    path = f"{subject.dump.folder.rstrip('/')}/{subject.dump.profile}"
    return (
        f"the killswitch was asked, and no new {path} came within {seconds:g} s: is the binary built with "
        "`go test -c -cover`, does it end when it is asked, and is it given -test.coverprofile with that path?"
    )
