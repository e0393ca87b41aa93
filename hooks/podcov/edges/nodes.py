"""Containers that are the nodes of a cluster (Kind): files that pods left in a folder of theirs are copied by docker or podman.

`NodeHands` gives them to `podcov.dumps` as if they were still in the pod, which is gone by then. All that is particular: the
folder is shared by all pods of a node, and podcov writes nothing into it.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import tarfile
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from podcov.dumps import counters, journal, node_files
from podcov.dumps.contract import HandsError, Listed, Process, Start
from podcov.dumps.node_files import Shares, Tenant
from podcov.formats.records import PROTOCOL

ENGINES = ("docker", "podman")
COPY_SECONDS = 120.0
_FRESH_SECONDS = 1.0
"""for which a copy of a folder is the folder"""
_POLL = 0.1
_ABSENT = ("no such file or directory", "could not find the file", "no such container:path", "could not be found on container")
"""what engines say of a folder that is not there, or that is a tmpfs, as Kind's /tmp is: Docker does not look into those"""


@dataclass
class NodeFolder:
    """One folder of one node, as it was last copied."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    copied: float = float("-inf")
    """the loop's clock"""
    shares: Shares = field(default_factory=dict)
    marked: dict[str, float] = field(default_factory=dict)
    """files that were there at a mark -> when that was, Unix seconds"""
    copying: asyncio.Lock = field(default_factory=asyncio.Lock)


class Nodes:
    """The nodes of one cluster."""

    def __init__(self) -> None:
        self._engines: dict[tuple[str, str], str] = {}
        self._folders: defaultdict[tuple[str, str], NodeFolder] = defaultdict(NodeFolder)

    async def folder(self, node: str, path: str, engine: str, *, fresh: bool = False) -> NodeFolder:
        """The folder as it is now, or was just now; as it is now where it must be `fresh`. Raises HandsError."""
        folder = self._folders[node, path]
        clock = asyncio.get_running_loop().time
        asked = clock()
        async with folder.copying:
            if folder.copied < (asked if fresh else asked - _FRESH_SECONDS):
                began = clock()
                folder.files = await copy(await self._engine(node, engine), node, path)
                folder.copied = began
        return folder

    async def _engine(self, node: str, wanted: str) -> str:
        if (node, wanted) not in self._engines:
            self._engines[node, wanted] = await find_engine(node, (wanted,) if wanted else ENGINES)
        return self._engines[node, wanted]


async def find_engine(node: str, engines: Sequence[str] = ENGINES) -> str:
    """Which of the engines has a container of the node's name. Raises HandsError where none has."""
    reasons: list[str] = []
    for engine in engines:
        try:
            code, _, errors = await _run(engine, "container", "inspect", "--format", "{{.Id}}", node)
        except FileNotFoundError:
            reasons.append(f"{engine} is not installed")
            continue
        if not code:
            return engine
        reasons.append(f"{engine}: {errors.splitlines()[-1] if errors else f'exit code {code}'}")
    raise HandsError(
        f"no container is the node {node} ({'; '.join(reasons)}): `dump.source: nodes` is for Kind clusters of this machine; "
        "elsewhere `source: pods` takes the files from the pods"
    )


async def copy(engine: str, node: str, path: str) -> Mapping[str, bytes]:
    """The files of a folder of a node, by name, without those in folders of it. Empty where it is missing. Raises HandsError."""
    try:
        async with asyncio.timeout(COPY_SECONDS):
            code, packed, errors = await _run(engine, "cp", f"{node}:{path}/.", "-")
            if code and any(text in errors.lower() for text in _ABSENT):
                absent, packed, _ = await _run(engine, "exec", node, "tar", "-C", path, "-cf", "-", ".")
                if absent:
                    return {}
                code = 0
    except TimeoutError:
        raise HandsError(f"{engine} cp {node}:{path} took more than {COPY_SECONDS:g} s") from None
    if code:
        raise HandsError(f"{engine} cp {node}:{path}: {errors or f'exit code {code}'}")
    try:
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            members = [m for m in archive if m.isfile() and "/" not in m.name.removeprefix("./")]
            return {m.name.removeprefix("./"): file.read() for m in members if (file := archive.extractfile(m))}
    except tarfile.TarError as error:
        raise HandsError(f"{engine} cp {node}:{path} printed no archive: {error}") from error


async def _run(*command: str) -> tuple[int, bytes, str]:
    """Exit code, standard output, and what it complained of. Raises FileNotFoundError. The command ends with the caller."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        stdout, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0, stdout, stderr.decode(errors="replace").strip()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a container's folder are: a folder of a node."""

    node: str
    path: str
    engine: str = ""


class NodeHands:
    """Fulfils `podcov.dumps.contract.Hands` for a pod whose files stay on its node.

    `starts` gives the starts of a container of the pod, `place` where its folder is; it may raise HandsError. `tenants` are all
    container starts that write into the same folder. `over` says whether all containers of the pod
    have ended: who collects takes that for an answer for all couriers of the pod, and releases the others.
    """

    def __init__(
        self,
        nodes: Nodes,
        pod: str,
        *,
        starts: Callable[[str], Sequence[Start]],
        place: Callable[[str, str], Place],
        tenants: Callable[[Place], Collection[Tenant]],
        over: Callable[[], bool],
        ready: Callable[[], bool],
    ) -> None:
        self._nodes = nodes
        self._pod = pod
        self._starts = starts
        self._place = place
        self._tenants = tenants
        self._over = over
        self._ready = ready
        self._fresh = False
        self._written: defaultdict[tuple[str, str, str], str] = defaultdict(str)
        """what podcov notes about this run: by container, folder and name"""

    async def starts(self, container: str) -> Sequence[Start]:
        return self._starts(container)

    async def ready(self) -> bool:
        return self._ready()

    async def ending(self) -> bool:
        """Whoever leaves files on a node has done so once it ends, and is asked nothing."""
        return False

    async def processes(self, container: str) -> Sequence[Process]:
        """The container's own one, as far as can be told from outside."""
        running = any(start.running for start in self._starts(container))
        return (Process(node_files.MAIN, ()),) if running else ()

    async def list(self, container: str, folder: str) -> Sequence[Listed]:
        """Of the counters those that this pod wrote."""
        place = self._place(container, folder)
        found = await self._folder(place)
        listed = [Listed(name, len(content), 0) for name, content in found.files.items()]
        pieces = counters.counters_pieces(listed)
        found.shares = node_files.share_out(pieces, self._tenants(place), found.shares, found.marked)
        foreign = {piece.name for piece in pieces} - {
            name for name, owner in found.shares.items() if (owner.pod, owner.container) == (self._pod, container)
        }
        return [file for file in listed if file.name not in foreign]

    async def read(self, container: str, folder: str, names: Sequence[str]) -> Mapping[str, bytes]:
        noted = {name: self._written[container, folder, name].encode() for name in names if name in journal.FILES}
        if len(noted) == len(names):
            return noted
        files = (await self._folder(self._place(container, folder))).files
        return {**{name: files[name] for name in names if name in files}, **noted}

    async def append(self, container: str, folder: str, name: str, text: str) -> None:
        """Remembered for this run, and no other needs it: whoever collects ends the pod."""
        self._written[container, folder, name] += f"{text}\n"
        if name == journal.EPOCHS:  # what is there now is of before
            self._fresh = True
            found = await self._folder(self._place(container, folder))
            for file in found.files:
                found.marked.setdefault(file, time.time())

    async def sidecar(self, *words: str) -> bytes:
        """Nobody has to hold the pod back: what it wrote stays."""
        match words:
            case ["wait", seconds]:
                await self._until_over(float(seconds))
                self._fresh = True
                return _document(ended=self._over())
            case ["lease", seconds]:
                return _document(until=int((time.time() + float(seconds)) * node_files.NANO))
        return _document(released=True)

    async def _until_over(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._over() and loop.time() < end:  # noqa: ASYNC110 (the watch tells nobody in particular)
            await asyncio.sleep(_POLL)

    async def _folder(self, place: Place) -> NodeFolder:
        fresh, self._fresh = self._fresh, False
        return await self._nodes.folder(place.node, place.path, place.engine, fresh=fresh)

    def keeps(self, container: str, folder: str) -> bool:  # noqa: ARG002
        return False

    async def signal(self, container: str, name: str, pid: int) -> None:  # noqa: ARG002
        raise HandsError("nothing is done inside a pod whose files are taken from its node")

    async def inspect(self, container: str, path: str) -> bytes:  # noqa: ARG002
        raise HandsError("nobody looks into a pod whose files are taken from its node")

    async def probe(self, container: str, folder: str) -> str:  # noqa: ARG002
        return ""

    async def get(self, container: str, port: int, path: str, seconds: float) -> str:  # noqa: ARG002
        raise HandsError("nothing is asked of a pod whose files are taken from its node")


def _document(**values: object) -> bytes:
    return json.dumps({"protocol": PROTOCOL, **values}).encode() + b"\n"
