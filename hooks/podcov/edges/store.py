"""`.podcov/`: runs on disk. Raw data are written once, whole, by rename; everything else can be made again from them."""

from __future__ import annotations

import contextlib
import glob
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from podcov.edges import whole_files
from podcov.errors import DamagedError, NoDataError, UsageError
from podcov.raw import StoredTarget, TargetInfo

_IGNORE = "# made by podcov\n*\n"
_BEGIN = "begin with: podcov run"


class RunFolder:
    """One run: `.podcov/runs/<id>/`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.reports = path / "reports"

    def discard_empty(self) -> None:
        """Removes the folder of a run that came to nothing; one that holds anything stays."""
        with contextlib.suppress(OSError):
            self.path.rmdir()

    def write(self, name: str, content: bytes) -> Path:
        """Replaces a file of the run as a whole."""
        target = self.path / name
        whole_files.write(target, content)
        return target

    def write_json(self, name: str, value: object) -> Path:
        return self.write(name, json.dumps(value, indent=2, sort_keys=False, ensure_ascii=False).encode() + b"\n")

    def read(self, name: str) -> bytes | None:
        try:
            return (self.path / name).read_bytes()
        except FileNotFoundError:
            return None

    def save_target(self, info: TargetInfo, files: Mapping[str, bytes]) -> Path:
        """Stores what was pulled of one target. A later pull of the same target replaces an earlier one as a whole."""
        service = self.path / "raw" / _safe(info.service)
        service.mkdir(parents=True, exist_ok=True)
        name = _safe(_folder_name(info))
        fresh = service / f".{name}.{secrets.token_hex(4)}"
        fresh.mkdir()
        for file, content in files.items():
            (fresh / _safe(file)).write_bytes(content)
        (fresh / "target.json").write_text(json.dumps(asdict(info), indent=1, ensure_ascii=False, default=dict) + "\n")
        final = service / name
        if final.exists():
            shutil.rmtree(final)
        fresh.rename(final)
        return final

    def targets(self, pod_uid: str = "") -> Iterator[StoredTarget]:
        """Every pulled target, or those of one pod, in a stable order.

        Raises DamagedError for a folder whose `target.json` cannot be read.
        """
        named = f"*{glob.escape(_safe(pod_uid)[:_UID_LENGTH])}*" if pod_uid else "*"
        for description in sorted(self.path.glob(f"raw/*/{named}/target.json")):
            if description.parent.name.startswith("."):
                continue
            try:
                info = TargetInfo(**json.loads(description.read_bytes()))
            except (ValueError, TypeError) as error:
                raise DamagedError(f"{description}: {error}", hint="pull the run again, or delete that folder") from None
            if pod_uid and info.pod_uid != pod_uid:
                continue
            files = {p.name: p.read_bytes() for p in sorted(description.parent.iterdir()) if p.name != "target.json"}
            yield StoredTarget(info, files)

    def add_source(self, digest: str, content: bytes) -> None:
        path = self._source(digest)
        if not path.exists():
            whole_files.write(path, content)

    def source(self, digest: str) -> bytes | None:
        """The text that ran, by `sha256:<hex>`; None where it was never had."""
        try:
            return self._source(digest).read_bytes()
        except FileNotFoundError:
            return None

    def _source(self, digest: str) -> Path:
        return self.path / "sources" / digest.removeprefix("sha256:")


class Store:
    """`.podcov/` beside `podcov.yaml`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"

    def new_run(self, now: Callable[[], datetime]) -> RunFolder:
        """A fresh run, named by time so that names sort; not yet the latest: see `set_latest`."""
        runs = self.root / "runs"
        runs.mkdir(parents=True, exist_ok=True)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_IGNORE)
        path = runs / f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        path.mkdir()
        return RunFolder(path)

    def run(self, name: str = "latest") -> RunFolder:
        """An existing run. Raises NoDataError where there is none, UsageError where the name is unknown."""
        path = self.root / "runs" / name
        if path.is_dir() and _safe(name) == name:
            return RunFolder(path.resolve())
        known = sorted(p.parent.name for p in (self.root / "runs").glob("*/run.json") if not p.parent.is_symlink())
        if name == "latest":
            raise NoDataError(f"{self.root}: there is no run yet", hint=_BEGIN)
        last = f"name one of the last: {', '.join(known[-5:])}; without a name it is the latest"
        raise UsageError(f"{self.root}: there is no run {name!r}", hint=last if known else _BEGIN)

    def earlier_runs(self) -> list[RunFolder]:
        """All but the latest, by name."""
        latest = (self.root / "runs" / "latest").resolve()
        folders = sorted(path for path in (self.root / "runs").glob("[!.]*") if path.is_dir() and not path.is_symlink())
        return [RunFolder(path) for path in folders if path.resolve() != latest]

    def remove(self, run: RunFolder) -> None:
        """Removes a run and all that belongs to it."""
        shutil.rmtree(run.path)

    def set_latest(self, run: RunFolder) -> None:
        """Points `runs/latest` to the run, by rename, so that a reader never sees it missing."""
        link = self.root / "runs" / f".latest.{secrets.token_hex(4)}"
        link.symlink_to(run.id)
        link.replace(self.root / "runs" / "latest")


_UID_LENGTH = 8
"""so much of a pod's uid is in the name of a folder; all of it is in `target.json`"""


def _folder_name(info: TargetInfo) -> str:
    """Unique within the service: pods may share a name, never a uid."""
    if info.pod_uid == info.address:
        return f"{info.address}.{info.start_id}"
    return f"{info.address.split('/')[-1]}.{info.pod_uid[:_UID_LENGTH]}.{info.container}.{info.start_id}"


def _safe(name: str) -> str:
    """A name as one path component."""
    cleaned = name.replace("/", "_").replace("\0", "_")
    return cleaned if cleaned.strip(".") else f"_{cleaned}"
