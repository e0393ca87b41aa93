"""What commands that talk to services share: the project, its store, and the platform that its services run on."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from podcov.config import Config
from podcov.edges import configuration, git
from podcov.edges.store import RunFolder, Store
from podcov.errors import UsageError
from podcov.formats import run_json
from podcov.formats.run_json import RunRecord, SuiteRecord
from podcov.platform import Platform

PlatformName = Literal["kubernetes", "local"]


@dataclass(frozen=True, slots=True)
class Where:
    """Which of the services' pods are meant; empty means what `podcov.yaml` says."""

    platform: PlatformName | None = None
    context: str = ""
    namespaces: tuple[str, ...] = ()
    skaffold_run: str = ""
    tilt: bool = False
    selector: str = ""


@dataclass(frozen=True, slots=True)
class Project:
    """`podcov.yaml`, the folder that it stands in, and the runs beside it."""

    config: Config
    root: Path
    store: Store
    left_out: frozenset[str] = frozenset()
    """services that take no part in the run that is begun"""

    @classmethod
    def open(cls, path: Path) -> Project:
        """Raises UsageError and ConfigError."""
        config = configuration.read(path)
        root = path.resolve().parent
        return cls(config, root, Store(root / ".podcov"))

    def for_platform(self, name: PlatformName | None) -> Project:
        """The project with its services on another platform than `podcov.yaml` says."""
        return self if name is None else replace(self, config=replace(self.config, platform=name))

    def without(self, names: Sequence[str]) -> Project:
        """The project with these services left out of the run that is begun. Raises UsageError for unknown names."""
        services = [service.name for service in self.config.services]
        for name in names:
            if name not in services:
                raise UsageError(f"there is no service {name!r} to leave out", hint=f"name one of: {', '.join(services)}")
        if names and set(names) >= set(services):
            raise UsageError("no service is left to measure", hint=f"--without leaves out {', '.join(names)}, and these are all")
        return replace(self, left_out=frozenset(names))

    def with_only(self, names: Collection[str]) -> Project:
        """The project as if it had no other services than these."""
        return replace(self, config=replace(self.config, services=tuple(s for s in self.config.services if s.name in names)))

    @property
    def _measured(self) -> Config:
        """The configuration of a run that is begun now."""
        return replace(self.config, services=tuple(s for s in self.config.services if s.name not in self.left_out))

    def new_run(self, tests: tuple[str, ...], context: str = "") -> tuple[RunFolder, RunRecord]:
        folder = self.store.new_run(lambda: datetime.now().astimezone())
        record = RunRecord(
            id=folder.id,
            platform=self.config.platform,
            context=context or self.config.context,
            started=time.time(),
            services=tuple(s.name for s in self._measured.services),
            git=git.describe(self.root),
            tests=SuiteRecord(tests),
        )
        return folder, record

    def keep(self, folder: RunFolder, record: RunRecord) -> None:
        """Writes what was observed; from here on the run is the latest, whatever becomes of its report."""
        folder.write("run.json", run_json.dump(record))
        self.store.set_latest(folder)

    @asynccontextmanager
    async def platform(
        self, where: Where, folder: RunFolder, note: Callable[[str], None] = lambda _: None
    ) -> AsyncIterator[Platform]:
        """Where the services run; entering it builds and starts them (local) or connects to them (kubernetes).

        `note` is told what takes its time.
        """
        try:
            async with self._platform(where, folder, note) as platform:
                yield platform
        finally:
            folder.discard_empty()

    def _platform(self, where: Where, folder: RunFolder, note: Callable[[str], None]) -> AbstractAsyncContextManager[Platform]:
        if self.config.platform == "local":
            from podcov.edges.local.platform import LocalPlatform

            return LocalPlatform(self._measured, root=self.root, folder=local_folder(folder), note=note)
        from podcov.edges.cluster.platform import ClusterPlatform

        return ClusterPlatform(
            self._measured,
            context=where.context,
            namespaces=where.namespaces,
            run_id=where.skaffold_run,
            tilt=where.tilt,
            selector=where.selector,
            note=note,
        )


def local_folder(folder: RunFolder) -> Path:
    """Where the services of this machine record and print."""
    return folder.path / "local"


def load(folder: RunFolder) -> RunRecord:
    """Raises DamagedError where the run has no readable `run.json`."""
    return run_json.load(folder.read("run.json") or b"", name=str(folder.path / "run.json"))


def need_cluster(config: Config, command: str) -> None:
    """`mark`, `dump` and `pull` alone make sense only where services outlive the command."""
    if config.platform == "local":
        raise UsageError(
            f"`podcov {command}` needs services that run already, and the local platform starts its own",
            hint="use `podcov run --platform local`, or a cluster",
        )
