"""What is done inside pods whose services measure themselves: by podcov's hand where there is one, else by the image's tools.

Files of a service are looked at from podcov's sidecar where that sees them, because it outlives the service.
"""

from __future__ import annotations

import asyncio
import io
import tarfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from podcov.dumps import HandsError, Listed, NoTool, Process, Start
from podcov.edges.cluster import exec as cluster_exec
from podcov.edges.cluster import forwards
from podcov.edges.cluster.api import Api, Failed
from podcov.edges.cluster.exec import Cut
from podcov.edges.cluster.pods import DATA_FOLDER, WRAPPER_FOLDER
from podcov.edges.cluster.table import Entry
from podcov.languages.couriers import Outcome

HANDS: Final = (f"{WRAPPER_FOLDER}/hand-x86_64", f"{WRAPPER_FOLDER}/hand-aarch64")
_OF_THE_POD: Final = "/proc/net/"
"""the same in all of its containers"""
_OTHER_MACHINE: Final = "exec format error"
_REFUSED: Final = 3
_NOT_RUNNING: Final = 500
"""what the API server answers to an exec in a container that has ended"""
_STATUS_SECONDS: Final = 10.0
_STATUS_POLL: Final = 0.25
_FILES_AT_ONCE: Final = 64
"""they go as arguments of a command"""

PROCESSES: Final = r"""
for folder in /proc/[0-9]*; do
    pid=${folder#/proc/}
    [ "$pid" = $$ ] && continue
    arguments=$(tr '\0\n\t' '\037??' <"$folder/cmdline") || continue
    covers=$(tr '\0' '\n' <"$folder/environ" | sed -n 's/^GOCOVERDIR=//p')
    printf '%s\t\t\t%s\t%s\n' "$pid" "$arguments" "$covers"
done 2>/dev/null
"""
"""as `hand processes` says it"""
_APPEND: Final = 'mkdir -p "${0%/*}" && printf "%s\\n" "$1" >>"$0"'
_PROBE: Final = 'mkdir -p "${0%/*}" && echo >"$0"'


class ClusterHands:
    """The hands in one pod. Fulfils `podcov.dumps.Hands`, and raises Failed, Cut and ClusterError as every exec does.

    `refresh` brings what `entry` says up to date.
    """

    def __init__(self, api: Api, entry: Entry, refresh: Callable[[], Awaitable[None]]) -> None:
        self._api = api
        self._entry = entry
        self._refresh = refresh
        self._programs: dict[str, tuple[str, ...]] = {}
        """by container: the hands that may run there; none where it has to do without"""

    # What the platform knows

    async def starts(self, container: str) -> Sequence[Start]:
        await self._refresh()
        known = sorted(((restart, s) for (name, restart), s in self._entry.starts.items() if name == container), key=_by_restart)
        running = self._entry.pod.running(container)
        return tuple(
            Start(restart, s.container_id or str(restart), s.started, s.finished, running and (restart, s) == known[-1], s.killed)
            for restart, s in known
        )

    async def ready(self) -> bool:
        await self._refresh()
        return self._entry.pod.ready

    async def ending(self) -> bool:
        await self._refresh()
        return self._entry.pod.deleting or self._entry.gone

    # Processes

    async def processes(self, container: str) -> Sequence[Process]:
        if not self._entry.pod.running(container):
            return ()
        try:
            return await self._processes(container)
        except Failed as failure:
            if failure.status != _NOT_RUNNING or not await self._has_ended(container):
                raise
            return ()

    async def _has_ended(self, container: str) -> bool:
        """Whether the container's status says so before long; that of a pod that is being deleted waits for all of the pod."""
        end = asyncio.get_running_loop().time() + _STATUS_SECONDS
        while self._entry.pod.running(container) and not (self._entry.pod.deleting or self._entry.gone):
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(_STATUS_POLL)
            await self._refresh()
        return True

    async def _processes(self, container: str) -> Sequence[Process]:
        outcome = await self._hand(container, "processes")
        if outcome is None:
            try:
                outcome = await self._own(container, "sh", "-c", PROCESSES)
            except NoTool:
                return (Process(1, ()),)  # every container has this one
        return parse_processes(self._said(container, outcome))

    async def signal(self, container: str, name: str, pid: int) -> None:
        outcome = await self._hand(container, "signal", name, str(pid))
        if outcome is None:
            kill = ("kill", f"-{name}", str(pid))
            try:
                outcome = await self._own(container, *kill)
            except NoTool:
                outcome = await self._own(container, "sh", "-c", " ".join(kill))  # shells have one of their own
        self._said(container, outcome)

    async def inspect(self, container: str, path: str) -> bytes:
        where = self._beside(container) if path.startswith(_OF_THE_POD) else container
        try:
            outcome = await self._hand(where, "read", path) or await self._own(where, "cat", path)
        except Failed as failure:
            if failure.status != _NOT_RUNNING or not await self._has_ended(where):
                raise
            raise HandsError(f"{where} does not run: {failure}") from failure
        return self._said(where, outcome)

    # Files

    def keeps(self, container: str, folder: str) -> bool:
        return self._seen_from(container, folder)[0] == self._entry.courier

    async def list(self, container: str, folder: str) -> Sequence[Listed]:
        where, path = self._seen_from(container, folder)
        outcome = await self._hand(where, "list", path)
        if outcome is not None:
            return parse_list(self._said(where, outcome))
        try:
            outcome = await self._own(where, "ls", "-lnA", "--full-time", path)
            if outcome.exit_code == 0:
                return parse_ls(outcome.stdout)
        except NoTool:
            pass  # tar is all that the tutorial asks of an image
        outcome = await self._own(where, "tar", "-cf", "-", "-C", path, ".")
        return [listed for listed, _ in parse_tar(outcome.stdout)]

    async def read(self, container: str, folder: str, names: Sequence[str]) -> Mapping[str, bytes]:
        where, path = self._seen_from(container, folder)
        found: dict[str, bytes] = {}
        for some in (names[at : at + _FILES_AT_ONCE] for at in range(0, len(names), _FILES_AT_ONCE)):
            contents = await self._read(where, path, some)
            found |= {name: contents[base] for name in some if (base := name.rpartition("/")[2]) in contents}
        return found

    async def _read(self, container: str, folder: str, names: Sequence[str]) -> dict[str, bytes]:
        """By the last part of their names, which differ."""
        outcome = await self._hand(container, "tar", *(f"{folder}/{name}" for name in names))
        if outcome is None:
            try:
                outcome = await self._own(container, "tar", "-cf", "-", "-C", folder, *names)
            except NoTool:
                return await self._read_one_by_one(container, folder, names)
        return {listed.name: content for listed, content in parse_tar(outcome.stdout)}

    async def _read_one_by_one(self, container: str, folder: str, names: Sequence[str]) -> dict[str, bytes]:
        outcomes = {name.rpartition("/")[2]: await self._own(container, "cat", f"{folder}/{name}") for name in names}
        return {base: outcome.stdout for base, outcome in outcomes.items() if outcome.exit_code == 0}

    async def append(self, container: str, folder: str, name: str, text: str) -> None:
        where, path = self._seen_from(container, folder)
        outcome = await self._hand(where, "append", f"{path}/{name}", text)
        if outcome is None:
            outcome = await self._own(where, "sh", "-c", _APPEND, f"{path}/{name}", text)
        self._said(where, outcome)

    async def probe(self, container: str, folder: str) -> str:
        path = f"{folder.rstrip('/')}/.podcov/probe"
        outcome = await self._hand(container, "write", path, "") or await self._own(container, "sh", "-c", _PROBE, path)
        return "" if outcome.exit_code == 0 else _trouble(outcome)

    def _seen_from(self, container: str, folder: str) -> tuple[str, str]:
        """The container that its files are looked at from, and what the folder is called there."""
        folder = folder.rstrip("/")
        courier, own = self._entry.pod.container(self._entry.courier), self._entry.pod.container(container)
        seen_at = f"{DATA_FOLDER}/coverage/{container}"
        if courier and own and self._entry.pod.running(self._entry.courier):
            data, _ = courier.mounts[DATA_FOLDER]
            if own.mounts.get(folder, ()) in ((data, f"coverage/{container}"), courier.mounts.get(seen_at)):
                return self._entry.courier, seen_at
        return container, folder

    # The rest

    async def get(self, container: str, port: int, path: str, seconds: float) -> str:
        where = self._beside(container)
        outcome = await self._hand(where, "get", str(port), path, f"{seconds:g}")
        if outcome is None:
            return await forwards.get(self._api, self._entry.address.namespace, self._entry.address.pod, port, path)
        return "refused" if outcome.exit_code == _REFUSED else self._said(where, outcome).decode().strip()

    async def sidecar(self, *words: str) -> bytes:
        outcome = await self._hand(self._entry.courier, *words)
        if outcome is None:
            raise NoTool(f"{self._entry.courier} has no {HANDS[0]}: was the pod deployed with what `podcov init` generates?")
        return self._said(self._entry.courier, outcome)

    def _beside(self, container: str) -> str:
        """A container of the pod that stays when the service's own is started again."""
        return self._entry.courier if self._entry.pod.running(self._entry.courier) else container

    # Calling

    async def _hand(self, container: str, *words: str) -> Outcome | None:
        """None where podcov's hand is not mounted, or not for this machine."""
        if container not in self._programs:
            mounted = self._entry.pod.container(container)
            self._programs[container] = HANDS if mounted and WRAPPER_FOLDER in mounted.mounts else ()
        for program in self._programs[container]:
            outcome = await self._exec(container, program, *words)
            if not (outcome.no_executable or _OTHER_MACHINE in outcome.stderr):
                self._programs[container] = (program,)
                return outcome
        self._programs[container] = ()
        return None

    async def _own(self, container: str, *command: str) -> Outcome:
        """Raises NoTool where the image does not have it."""
        outcome = await self._exec(container, *command)
        if outcome.no_executable:
            raise NoTool(
                f"{container} has neither podcov's hand nor a `{command[0]}`: deploy it with what `podcov init` generates, "
                "or take a base image that has kill, tar and sh"
            )
        return outcome

    async def _exec(self, container: str, *command: str) -> Outcome:
        address = self._entry.address
        outcome = await cluster_exec.run(self._api, address.namespace, address.pod, container, command, b"")
        if outcome.exit_code is None and not (outcome.no_executable or _OTHER_MACHINE in outcome.stderr):
            raise Cut(outcome.stderr)
        if outcome.signal:
            raise Cut(f"{command[0]} was ended by signal {outcome.signal}: its container was ended, or is out of memory")
        return outcome

    @staticmethod
    def _said(container: str, outcome: Outcome) -> bytes:
        if outcome.exit_code:
            raise HandsError(f"{container}: {_trouble(outcome)}")
        return outcome.stdout


def parse_processes(lines: bytes) -> tuple[Process, ...]:
    """What `hand processes` says; by pid."""
    found = []
    for line in lines.decode("utf-8", "surrogateescape").splitlines():
        pid, _, _, arguments, covers = line.split("\t", 4)
        found.append(Process(int(pid), tuple(arguments.rstrip("\x1f").split("\x1f")) if arguments else (), covers))
    return tuple(sorted(found, key=lambda process: process.pid))


def parse_list(lines: bytes) -> list[Listed]:
    """What `hand list` says of the folder itself."""
    rows = (line.split("\t", 2) for line in lines.decode("utf-8", "surrogateescape").splitlines())
    return [Listed(name, int(size), int(modified)) for size, modified, name in rows if "/" not in name]


def parse_ls(lines: bytes) -> list[Listed]:
    """What `ls -lnA --full-time` says of regular files; some write fractions of a second, some do not."""
    found = []
    for line in lines.decode("utf-8", "surrogateescape").splitlines():
        if not line.startswith("-"):
            continue
        _, _, _, _, size, day, clock, zone, name = line.split(maxsplit=8)
        moment, _, fraction = clock.partition(".")
        seconds = int(datetime.fromisoformat(f"{day}T{moment}{zone}").timestamp())
        found.append(Listed(name, int(size), seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)))
    return found


def parse_tar(archive: bytes) -> list[tuple[Listed, bytes]]:
    """The regular files of an archive, by the last part of their names. What was cut off is left out."""
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            for file in files:
                content = files.extractfile(file) if file.isfile() else None
                if content is not None:
                    name = file.name.rpartition("/")[2]
                    found.append((Listed(name, file.size, int(file.mtime * 1_000_000_000)), content.read()))
    except tarfile.TarError:
        pass  # an empty archive, or one whose end is missing: whoever asked looks again
    return found


def _trouble(outcome: Outcome) -> str:
    return " ".join(outcome.stderr.split()) or f"exit code {outcome.exit_code}"


def _by_restart(known: tuple[int, object]) -> int:
    return known[0]
