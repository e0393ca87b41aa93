"""A run's `go/coverdata`: what services left at their end, as Go's own tools take it (`go tool covdata textfmt -i=...`).

Their files are as Go wrote them, and have the names that Go gives them but for the time, which is a number here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from podcov.config import Config
from podcov.errors import DamagedError
from podcov.formats import go_counters
from podcov.formats.go_records import counters_files, meta_digests
from podcov.pipeline import Target
from podcov.raw import RawStore

FOLDER = "go/coverdata"


def write(config: Config, targets: Iterable[Target], store: RawStore, reports: Path) -> None:
    """Anew. Nothing where no service hands over at its end; damaged files are left out, and the ledger names them."""
    folder = reports / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    ending = {service.name for service in config.services if service.dump and service.dump.by == "exit"}
    for number, (target, content) in enumerate(_counters(target for target in targets if target.service in ending)):
        try:
            meta = go_counters.parse(content, walk=False).meta_hash
        except DamagedError:
            continue
        source = _meta(target, meta, store)
        if source is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"covmeta.{meta}").write_bytes(source)
            (folder / f"covcounters.{meta}.1.{number}").write_bytes(content)


def _counters(targets: Iterable[Target]) -> Iterable[tuple[Target, bytes]]:
    for target in targets:
        for file in counters_files(target.stored.files):
            if file.epoch in target.counted_epochs and not file.is_profile:
                yield target, file.content


def _meta(target: Target, meta: str, store: RawStore) -> bytes | None:
    digest = meta_digests((source.path, source.digest) for source in target.status.sources).get(meta)
    return store.source(digest) if digest else None
