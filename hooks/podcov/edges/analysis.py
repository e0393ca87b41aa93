"""Gets the tables of Python texts from an interpreter of the right version, and keeps them.

The version that ran a text has to analyse it: the host's own interpreter where it is that one, else a `pythonX.Y` on the path,
else a pod. Each is handed one zip with coverage.py's Python sources and `podcov_analysis`, so that all answer alike. Tables
depend on nothing else than what names them in the cache; they can be deleted at any time.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import shutil
import sys
import zipfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import coverage

from podcov.edges import whole_files
from podcov.errors import DamagedError, InterpreterError
from podcov.formats.analysis import FORMAT, Answer, FileAnalysis, Rules, SourceText, read_answer, read_table, write_request
from podcov.formats.courier import run_input
from podcov.languages import Need

MODULE: Final = "podcov_analysis"
BATCH_BYTES: Final = 4_000_000
"""source text that is analysed in one go"""

Remote = Callable[[bytes], Awaitable[bytes]]
"""Has a courier run `podcov_analysis`: takes what `Platform.call` wants as the input of `run`, returns what that prints.

May raise whatever its platform raises; that is then one more reason in an InterpreterError.
"""


class Analyst:
    """Analyses texts. `module` is the file `podcov_analysis.py`, `cache` a folder that may not exist yet.

    `path` is searched for other interpreters; the default is that of the environment.
    """

    def __init__(self, module: Path, cache: Path, *, path: str | None = None) -> None:
        self.module = module
        self.cache = cache
        self.path = path

    async def tables(
        self,
        needs: Iterable[Need],
        source: Callable[[str], bytes | None],
        remote: Callable[[str], Sequence[Remote]] = lambda _: (),
    ) -> dict[Need, FileAnalysis]:
        """The table of every need. `source` gives a text by its digest, `remote` pods that may have an interpreter of a version.

        A text that cannot be had has a table with an error. Raises InterpreterError where no interpreter of a version is left
        to ask, DamagedError where one answers nonsense.
        """
        found: dict[Need, FileAnalysis] = {}
        missing: dict[tuple[str, Rules], list[Need]] = defaultdict(list)
        for need in needs:
            cached = self._cached(need)
            if cached is not None:
                found[need] = cached
            else:
                missing[need.minor, need.rules].append(need)
        for (minor, rules), wanted in missing.items():
            for batch in _batches(wanted, source, found):
                answer = await self._analyse(minor, write_request(batch.values(), rules), remote)
                for need in batch:
                    found[need] = self._keep(need, answer)
        return found

    # -- asking

    async def _analyse(self, minor: str, request: bytes, remote: Callable[[str], Sequence[Remote]]) -> Answer:
        refused: list[str] = []
        for interpreter in self._local_interpreters(minor):
            try:
                return _right_version(await self._run(interpreter, request), minor, interpreter)
            except (OSError, DamagedError, _WrongVersionError) as error:
                refused.append(f"{interpreter}: {error}")
        if not refused:
            refused.append(f"there is no python{minor} on this machine's path")
        pods = remote(minor)
        if not pods:
            refused.append("no pod with one can be asked")
        for pod in pods:
            try:
                return _right_version(await pod(run_input(coverage_zip(self.module.read_bytes()), request)), minor, "the pod")
            except Exception as error:  # whatever its platform raises: the message below says it
                refused.append(f"the pod: {error}")
        raise InterpreterError(
            f"Python {minor} ran files that only Python {minor} can analyse, and there is none: {'; '.join(refused)}",
            hint=f"install python{minor}, or make the report while a pod of the service is running",
        )

    def _local_interpreters(self, minor: str) -> Iterator[str]:
        if minor == f"{sys.version_info[0]}.{sys.version_info[1]}" and sys.implementation.name == "cpython":
            yield sys.executable
        path = os.environ.get("PATH", os.defpath) if self.path is None else self.path
        for folder in path.split(os.pathsep):
            if folder and (found := shutil.which(f"python{minor}", path=folder)):
                yield found

    async def _run(self, interpreter: str, request: bytes) -> bytes:
        process = await asyncio.create_subprocess_exec(
            interpreter,
            "-I",
            str(self._zip_file()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        stdout, stderr = await process.communicate(request)
        if process.returncode:
            last_line = (stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]
            raise OSError(f"ended with exit code {process.returncode}: {last_line}")
        return stdout

    def _zip_file(self) -> Path:
        content = coverage_zip(self.module.read_bytes())
        path = self.cache / f"coverage-{coverage.__version__}.zip"
        if not path.exists() or path.read_bytes() != content:
            whole_files.write(path, content)
        return path

    # -- keeping

    def _cached(self, need: Need) -> FileAnalysis | None:
        path = self._cache_file(need)
        try:
            return read_table(json.loads(path.read_bytes()), where=str(path))
        except (FileNotFoundError, ValueError, DamagedError):
            return None  # a damaged cache costs time, nothing else

    def _keep(self, need: Need, answer: Answer) -> FileAnalysis:
        raw: Mapping[str, Any] | None = answer.tables.get(need.digest)
        if raw is None:
            raise DamagedError(
                f"{need.path}: the analysis by Python {need.minor} did not answer for it", hint="make the report again"
            )
        table = read_table(raw, where=need.path)
        whole_files.write(self._cache_file(need), json.dumps(raw, separators=(",", ":")).encode())
        return table

    def _cache_file(self, need: Need) -> Path:
        folder = f"{FORMAT}-{coverage.__version__}-{need.minor}-{need.rules.digest}"
        return self.cache / folder / f"{need.digest.removeprefix('sha256:')}.json"


def coverage_zip(module: bytes) -> bytes:
    """A zip that Python runs: the `.py` files of the installed coverage.py, and `podcov_analysis`. Same input, same bytes."""
    package = Path(coverage.__file__).parent
    files = {f"coverage/{path.relative_to(package).as_posix()}": path.read_bytes() for path in sorted(package.rglob("*.py"))}
    files |= {f"{MODULE}.py": module, "__main__.py": f"import {MODULE}\n\n{MODULE}.main()\n".encode()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


class _WrongVersionError(Exception):
    """An interpreter is not of the version that its name says."""


def _right_version(answer: bytes, minor: str, where: str) -> Answer:
    read = read_answer(answer, where=where)
    if (read.python, read.coverage) != (minor, coverage.__version__):
        raise _WrongVersionError(f"is Python {read.python} with coverage.py {read.coverage}")
    return read


def _batches(
    needs: Sequence[Need], source: Callable[[str], bytes | None], found: dict[Need, FileAnalysis]
) -> Iterator[dict[Need, SourceText]]:
    """Texts in portions; needs whose text cannot be had are answered at once."""
    batch: dict[Need, SourceText] = {}
    size = 0
    for need in needs:
        content = source(need.digest)
        if content is None:
            found[need] = FileAnalysis(error="its text is not in the run's folder any more")
            continue
        batch[need] = SourceText(need.digest, content)
        size += len(content)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = {}, 0
    if batch:
        yield batch
