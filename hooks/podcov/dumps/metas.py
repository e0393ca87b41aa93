"""Go's meta-data: the same for all pods of a build, so one pod is asked for them, and the others only name their hash."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from podcov.dumps.contract import Subject
from podcov.errors import DamagedError
from podcov.formats import go_meta
from podcov.raw import digest_of


class Metas:
    """Those that were had, by the hash that counters name them with."""

    def __init__(self) -> None:
        self._by_hash: dict[str, tuple[str, int]] = {}
        """digest and size"""
        self._contents: dict[str, bytes] = {}
        self._fetching: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def content(self, digest: str) -> bytes | None:
        return self._contents.get(digest)

    async def source(self, subject: Subject, meta: str) -> dict[str, Any]:
        """An entry of a pull's `sources`. Moves the file where nobody had it yet. Raises HandsError."""
        name, reason = f"covmeta.{meta}", ""
        async with self._fetching[meta]:
            if meta not in self._by_hash:
                reason = self._keep(meta, (await subject.read([name])).get(name))
        digest, size = self._by_hash.get(meta, (None, -1))
        return {"path": name, "size": size, "mtime": 0, "digest": digest, "reason": reason}

    def _keep(self, meta: str, content: bytes | None) -> str:
        """Why it cannot be kept; empty where it is."""
        if content is None:
            return "it is not there"
        try:
            found = go_meta.identity(content)
        except DamagedError as error:
            return error.message
        if (found.hash, found.size) != (meta, len(content)):
            return f"it is damaged: it has {len(content)} bytes and says {found.size}"
        digest = digest_of(content)
        self._by_hash[meta] = digest, len(content)
        self._contents[digest] = content
        return ""
