"""The C tracers that Python 3.11, and branch mode on 3.12 and 3.13, record with: fetched once, checked, made small.

They are the shared objects of coverage.py's own wheels, pinned by `wrapper/python/tracers.json` to the byte. An installed
podcov brings them along; a checkout fetches them when they are first needed. Of each, only what the loader maps is kept, and
that compressed: 8 KB instead of 100 to 300, so that all of them fit into one ConfigMap.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from podcov import assets
from podcov.edges import whole_files
from podcov.errors import UsageError
from podcov.model import Mode

LOCK = "tracers.json"
"""The pins' file name, in the wrapper's folder."""

NOTICE = "podcov_tracer.NOTICE"
"""The name of the licence notice that lies beside the tracers."""

_PREFACE = """\
The files podcov_tracer.*.so.z are coverage.py {version}'s compiled tracer (https://github.com/coveragepy/coveragepy), each taken
from the wheel that tracers.json names, changed in this only: what the loader does not map (debug information, section headers)
is cut off, and the rest is compressed. coverage.py's own notice follows.

"""


@dataclass(frozen=True, slots=True)
class Tracer:
    """One pinned tracer. `name` is `<python tag>-<architecture>-<libc>`: `cp311-x86_64-gnu`."""

    name: str
    version: str
    wheel: str
    wheel_sha256: str
    member: str
    sha256: str

    @property
    def python(self) -> str:
        """The minor version that it works in: `3.11`."""
        tag = self.name.partition("-")[0]
        return f"{tag[2]}.{tag[3:]}"

    @property
    def variant(self) -> str:
        """Architecture and libc: `x86_64-gnu`."""
        return self.name.partition("-")[2]

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags of its wheel."""
        return tuple(self.wheel.removesuffix(".whl").rpartition("-")[2].split("."))

    @property
    def file_name(self) -> str:
        return f"podcov_tracer.{self.name}.so.z"


def minors_for(mode: Mode) -> tuple[str, ...]:
    """The minor versions of Python that need a tracer to record in this mode; all others need none."""
    return ("3.11",) if mode == "line" else ("3.11", "3.12", "3.13")


def pinned(lock: Path) -> tuple[Tracer, ...]:
    """What `tracers.json` pins, in its order."""
    document = json.loads(lock.read_text(encoding="utf-8"))
    return tuple(Tracer(name, document["coverage"], **pin) for name, pin in document["tracers"].items())


def ensure(
    minors: Iterable[str], folder: Path | None = None, *, variants: Iterable[str] = (), lock: Path | None = None
) -> list[Path]:
    """The tracer files for these minor versions, in `folder` (default: `default_folder()`), fetched with NOTICE where need be.

    `variants` (`x86_64-gnu`, ...) leaves out the others; none means all. What is there and intact needs no network.
    Raises UsageError when a version or variant has no pinned tracer, when one cannot be downloaded, or when what
    comes is not what was pinned.
    """
    folder = folder or default_folder()
    wanted = _selected(pinned(lock or assets.wrapper_folder() / LOCK), tuple(minors), tuple(variants))
    noticed = (folder / NOTICE).exists()
    missing = [tracer for tracer in wanted if not (noticed and _intact(folder / tracer.file_name, tracer))]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max_workers=2) as pool:
            for _ in pool.map(lambda tracer: _fetch(tracer, folder), missing):
                pass
    return [folder / tracer.file_name for tracer in wanted]


def default_folder(wrapper: Path | None = None) -> Path:
    """Where tracers are kept: beside the wrapper's modules, or in the user's cache where they are not and cannot be."""
    beside = (wrapper or assets.wrapper_folder()) / "tracers"
    if any(beside.glob("*.so.z")) or os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache, "podcov", "tracers")


def loadable_part(library: bytes) -> bytes:
    """What the dynamic loader maps of a 64-bit little-endian shared object; section headers and debug information are cut off.

    Raises ValueError for anything else.
    """
    if library[:6] != b"\x7fELF\x02\x01" or len(library) < _ELF_HEADER:
        raise ValueError("not a 64-bit little-endian ELF file")
    end = max((offset + size for offset, size in _segments(library)), default=0)
    if not _ELF_HEADER <= end <= len(library):
        raise ValueError("truncated ELF file")
    kept = bytearray(library[:end])
    struct.pack_into("<Q", kept, _SECTION_TABLE_OFFSET, 0)
    struct.pack_into("<HH", kept, _SECTION_COUNT, 0, 0)
    return bytes(kept)


_ELF_HEADER = 64
_PROGRAM_TABLE_OFFSET = 32
_SECTION_TABLE_OFFSET = 40
_PROGRAM_ENTRY_SIZE = 54
_SECTION_COUNT = 60


def _segments(library: bytes) -> Iterator[tuple[int, int]]:
    """Offset and size in the file of each program segment."""
    (table,) = struct.unpack_from("<Q", library, _PROGRAM_TABLE_OFFSET)
    entry, count = struct.unpack_from("<HH", library, _PROGRAM_ENTRY_SIZE)
    for at in range(table, table + entry * count, entry or 1):
        try:
            (offset,), (size,) = struct.unpack_from("<Q", library, at + 8), struct.unpack_from("<Q", library, at + 32)
        except struct.error as error:
            raise ValueError("truncated ELF file") from error
        yield offset, size


def _selected(tracers: tuple[Tracer, ...], minors: tuple[str, ...], variants: tuple[str, ...]) -> list[Tracer]:
    for asked, known, what in (
        (minors, {t.python for t in tracers}, "Python"),
        (variants, {t.variant for t in tracers}, "platform"),
    ):
        unknown = sorted(set(asked) - known)
        if unknown:
            raise UsageError(
                f"no C tracer for {what} {', '.join(unknown)}",
                hint=f"there are tracers for {what} {', '.join(sorted(known))}.",
            )
    return [t for t in tracers if t.python in minors and (not variants or t.variant in variants)]


def _intact(path: Path, tracer: Tracer) -> bool:
    try:
        return hashlib.sha256(zlib.decompress(path.read_bytes())).hexdigest() == tracer.sha256
    except (FileNotFoundError, zlib.error):
        return False


def _fetch(tracer: Tracer, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="podcov-tracer-") as scratch:
        wheel = _download(tracer, Path(scratch))
        with zipfile.ZipFile(wheel) as archive:
            library = loadable_part(archive.read(tracer.member))
            notice = next(archive.read(name) for name in archive.namelist() if name.endswith("/NOTICE.txt"))
    if hashlib.sha256(library).hexdigest() != tracer.sha256:
        raise UsageError(
            f"{tracer.wheel}: {tracer.member} is not the tracer that tracers.json pins",
            hint="nothing was installed from it. Check which package index pip uses (pip config list).",
        )
    whole_files.write(folder / NOTICE, _PREFACE.format(version=tracer.version).encode() + notice)
    whole_files.write(folder / tracer.file_name, zlib.compress(library, 9))


def _download(tracer: Tracer, scratch: Path) -> Path:
    """The wheel, by pip, which knows the user's index, proxy and certificates, and refuses one with another digest."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"coverage=={tracer.version} --hash=sha256:{tracer.wheel_sha256}\n", encoding="utf-8")
    tag = tracer.name.partition("-")[0]
    target = ["--python-version", tracer.python, "--implementation", "cp", "--abi", tag]
    for platform in tracer.platforms:
        target += ["--platform", platform]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--require-hashes", "--requirement", str(requirements), "--dest", str(scratch), *target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        complaint = (done.stderr.strip() or done.stdout.strip() or f"pip exited with {done.returncode}").splitlines()[-1]
        raise UsageError(
            f"cannot download the C tracer for Python {tracer.python} on {tracer.variant}: {complaint}",
            hint=f"it comes from {tracer.wheel}. Make the package index reachable for `{sys.executable} -m pip download`, "
            "or install podcov's wheel, which has the tracers in it.",
        )
    return wheels[0]
