"""The bundle: many files in one stream, with sums that show whether all of it arrived (`wrapper/PROTOCOL.md`, "A bundle").

Couriers write them; podcov writes one only where it is the courier itself (`podcov.dumps`).
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from podcov.errors import DamagedError

_FIRST_LINE: Final = re.compile(rb"podcov-bundle ([0-9]{1,9}) ([0-9]{1,12})\n")
_LAST_LINE: Final = re.compile(rb"\nend ([0-9a-f]{64})\n")
_LAST_LINE_SIZE: Final = len("\nend ") + 64 + len("\n")
_VERSION: Final = 1
_HINT: Final = "ask for it again; if it comes damaged every time, look at what stands between this machine and the courier"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a courier sent. `files` maps paths, as the manifest has them, to contents, in the manifest's order."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]


def read_bundle(data: bytes) -> Bundle:
    """Takes a bundle apart. Raises DamagedError where a single byte is missing, too many or not what was sent."""
    first = _FIRST_LINE.match(data)
    if not first:
        raise _damaged(f"it begins with {data[:40]!r}")
    if int(first[1]) != _VERSION:
        raise _damaged(f"it is of version {int(first[1])}, this podcov reads {_VERSION}")
    last = _LAST_LINE.fullmatch(data, max(first.end(), len(data) - _LAST_LINE_SIZE))
    if not last:
        raise _damaged(f"its last line is missing: it was cut off after {len(data)} bytes")
    if hashlib.sha256(data[: last.start()]).hexdigest().encode() != last[1]:
        raise _damaged("its sum is another: bytes were lost or changed on the way")
    contents_begin = first.end() + int(first[2])
    manifest = _manifest(data[first.end() : contents_begin])
    return Bundle(manifest, _files(manifest, data[contents_begin : last.start()]))


def write_bundle(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """The bundle that `read_bundle` reads; its manifest's `files` are made here. Nothing is compressed: it goes nowhere."""
    entries = [
        {
            "path": path,
            "size": len(content),
            "stored": len(content),
            "encoding": "identity",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for path, content in files.items()
    ]
    head = json.dumps({**manifest, "files": entries}).encode()
    data = b"".join((b"podcov-bundle %d %d\n" % (_VERSION, len(head)), head, *files.values()))
    return data + b"\nend %s\n" % hashlib.sha256(data).hexdigest().encode()


def _manifest(data: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise _damaged(f"its manifest is no JSON: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), list):
        raise _damaged("its manifest lists no files")
    return cast(dict[str, Any], manifest)


def _files(manifest: Mapping[str, Any], contents: bytes) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    position = 0
    for entry in manifest["files"]:
        try:
            path, size, stored, encoding, digest = (entry[key] for key in ("path", "size", "stored", "encoding", "sha256"))
            piece = contents[position : position + stored]
            content = zlib.decompress(piece) if encoding == "zlib" else piece
        except (KeyError, TypeError, zlib.error) as error:
            raise _damaged(f"an entry of its manifest makes no sense: {entry!r}: {error!r}") from error
        if encoding not in ("zlib", "identity"):
            raise _damaged(f"{path} is encoded as {encoding!r}, which this podcov does not read")
        if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            raise _damaged(f"{path} is not what the manifest says")
        files[path] = content
        position += stored
    if position != len(contents):
        raise _damaged(f"{len(contents) - position} bytes belong to no file")
    return files


def _damaged(what: str) -> DamagedError:
    return DamagedError(f"a courier's bundle is damaged: {what}", hint=_HINT)
