"""From a run on disk to its reports: what `run`, `collect` and `report` end with."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from podcov import assets, languages, pipeline, signals
from podcov.collecting import Progress
from podcov.commands.session import Project
from podcov.edges import copies, coverage_config, coverdata
from podcov.edges.analysis import Analyst, Remote
from podcov.edges.source_files import SourceFiles
from podcov.edges.store import RunFolder
from podcov.errors import PodcovError
from podcov.formats import checkout_json, ledger_json, report_json, summary
from podcov.formats.analysis import FileAnalysis
from podcov.formats.checkout_json import CheckoutRecord
from podcov.formats.run_json import RunRecord
from podcov.languages import Need, Text
from podcov.ledger import Ledger
from podcov.model import Report
from podcov.platform import CourierAddress
from podcov.reports import terminal, write_all

RemoteInterpreters = Callable[[str], Sequence[Remote]]
"""living pods that may have an interpreter of that minor version, and can be asked to analyse"""

_CHECKOUT = "checkout.json"


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run: what it covered, what that is made of, and where it can be read."""

    report: Report
    ledger: Ledger
    summary: Mapping[str, Any]
    written: tuple[Path, ...]

    @property
    def exit_code(self) -> int:
        code = self.summary["exit"]["code"]
        assert isinstance(code, int)
        return code


async def examine(
    project: Project,
    folder: RunFolder,
    record: RunRecord,
    progress: Progress,
    *,
    allow_partial: bool = False,
    remote: RemoteInterpreters = lambda _: (),
    again: bool = False,
) -> Result:
    """Converts what was pulled, writes `ledger.json`, `report.json`, `summary.json` and the reports.

    `again`: nothing new was observed since the run was examined before, so that the checkout counts as it was then.
    Raises MappingError, DamagedError; the raw data stay as they are.
    """
    progress.step("reporting")
    local = _sources(project)
    targets = pipeline.read_targets(folder, record.id)
    text = _texts(folder, local)
    analyse = _analyse(project, text, remote)
    checkout = _as_first_examined(project, folder, local, again=again)
    report, ledger = await pipeline.examine(record, targets, project.config, checkout, analyse, text)
    _keep_vendored(folder, local)
    _keep_sources({f.digest for f in report.files if f.origin != "missing"}, folder, local)
    code, reason = pipeline.outcome(
        record.tests, ledger, anything=pipeline.recorded_anything(report, ledger), allow_partial=allow_partial
    )
    tests = record.tests
    built = summary.build(
        report,
        ledger,
        run=record.id,
        platform=record.platform,
        git=record.git,
        tests=None
        if tests.exit_code is None
        else {"command": list(tests.command), "exit_code": tests.exit_code, "seconds": tests.seconds},
        exit={"code": code, "reason": reason},
    )
    folder.write("ledger.json", ledger_json.dump(ledger))
    folder.write("report.json", report_json.dump(report))
    folder.write("summary.json", summary.dump(built))
    written = write_all(
        project.config.reports, report, ledger, built, lambda digest: _text(folder, digest), folder.reports, root=project.root
    )
    coverdata.write(project.config, targets, folder, folder.reports)
    for copied in copies.copy(project.config, folder.reports, project.root):
        progress.note(copied)
    return Result(report, ledger, built, written)


class EndingPods:
    """Has pods that end analyse what they ran: each may be the last with an interpreter of its version.

    What cannot be analysed now is asked for again when the report is made, and only then missing.
    """

    def __init__(self, project: Project, folder: RunFolder, record: RunRecord) -> None:
        self._project = project
        self._folder = folder
        self._record = record
        self._local = _sources(project)
        self._reading = asyncio.Lock()
        self._checkout: pipeline.Checkout | None = None

    async def analyse(self, ending: CourierAddress, interpreter: Remote) -> None:
        """Asks that pod's interpreter, `interpreter`, about what was pulled of the pod."""
        with contextlib.suppress(PodcovError):
            of_pod = pipeline.read_targets(self._folder, self._record.id, ending.pod_uid)
            targets = tuple(target for target in of_pod if target.stored.info.container in ending.containers)
            if not targets:
                return
            checkout = await self._checkout_once()
            services = self._project.with_only({target.service for target in targets}).config
            text = _texts(self._folder, self._local)
            needs = pipeline.needs(self._record, targets, services, checkout, text)
            await _analyse(self._project, text, lambda _: [interpreter])(needs)

    async def _checkout_once(self) -> pipeline.Checkout:
        """Beside the event loop: the other pods that end at the same time have their grace period only."""
        async with self._reading:
            if self._checkout is None:
                self._checkout = await asyncio.to_thread(lambda: _checkout(self._project, self._local.digests, self._local))
            return self._checkout


def _sources(project: Project) -> SourceFiles:
    used = sorted({service.language for service in project.config.services})
    return SourceFiles(project.root, [languages.of(name) for name in used])


def _checkout(project: Project, digests: Mapping[str, str], local: SourceFiles) -> pipeline.Checkout:
    return pipeline.Checkout(
        root=str(project.root),
        digests=digests,
        selections=coverage_config.read(
            project.root, (s for s in project.config.services if languages.of(s.language).reads_coverage_config)
        ),
        default_minor=f"{sys.version_info[0]}.{sys.version_info[1]}",
        vendored=local.vendored,
    )


def _as_first_examined(project: Project, folder: RunFolder, local: SourceFiles, *, again: bool) -> pipeline.Checkout:
    """The checkout that the run's numbers are made of: kept with the run at first, and what was kept from then on."""
    content = folder.read(_CHECKOUT) if again else None
    if content is not None:
        return _as_kept(project, _kept_checkout(content, folder), local)
    checkout = _checkout(project, local.digests, local)
    if not again or folder.read("report.json") is None:  # else an earlier podcov examined it: what there was then is unknown
        _keep_checkout(checkout, folder, local)
    return checkout


def _kept_checkout(content: bytes, folder: RunFolder) -> CheckoutRecord:
    return checkout_json.load(content, name=str(folder.path / _CHECKOUT))


def _as_kept(project: Project, kept: CheckoutRecord, local: SourceFiles) -> pipeline.Checkout:
    """What the configuration leaves out today is left out. Today's checkout is read only where the data are about it."""
    checkout = _checkout(project, kept.files, local)
    selections = {
        service: replace(
            selection, unloaded=tuple(p for p in kept.unloaded.get(service, ()) if selection.measures(f"{checkout.root}/{p}"))
        )
        for service, selection in checkout.selections.items()
    }
    return replace(checkout, selections=selections, today=local.digest)


def _keep_checkout(checkout: pipeline.Checkout, folder: RunFolder, local: SourceFiles) -> None:
    unloaded = {
        service: tuple(path for path in selection.unloaded if path in checkout.digests)
        for service, selection in checkout.selections.items()
    }
    _keep_sources({checkout.digests[path] for paths in unloaded.values() for path in paths}, folder, local)
    folder.write(_CHECKOUT, checkout_json.dump(CheckoutRecord(checkout.digests, unloaded)))


def _keep_vendored(folder: RunFolder, local: SourceFiles) -> None:
    """Which vendored files the data are about is only known when they have been read."""
    content = folder.read(_CHECKOUT) if local.vendored_digests else None
    if content is not None:
        kept = _kept_checkout(content, folder)
        folder.write(_CHECKOUT, checkout_json.dump(replace(kept, files={**local.vendored_digests, **kept.files})))


def show(result: Result, *, as_json: bool, files: bool, show_missing: bool = False) -> None:
    """Prints the result on stdout; raises NoDataError where nothing ran anywhere, after having printed the ledger."""
    if as_json:
        sys.stdout.write(summary.dump(result.summary).decode())
    else:
        terminal.print_report(result.report, result.ledger, sys.stdout, files=files, show_missing=show_missing)
        html = next((p for p in result.written if p.name == "index.html"), None)
        for path in [html] if html else result.written:
            click.echo(f"\nReport: {relative(path)}")
        tests = result.summary["tests"]
        if tests and (code := tests["exit_code"]):
            interrupted_by = signals.interrupted_by(code)
            ended = f"were INTERRUPTED ({interrupted_by})" if interrupted_by else "FAILED"
            click.echo(f"\nThe tests {ended}, exit code {code}: {' '.join(tests['command'])}")


def _analyse(
    project: Project, text: Text, remote: RemoteInterpreters
) -> Callable[[Iterable[Need]], Awaitable[Mapping[Need, FileAnalysis]]]:
    analyst = Analyst(assets.wrapper_folder("python") / "podcov_analysis.py", project.store.cache / "analysis")

    def analyse(needs: Iterable[Need]) -> Awaitable[Mapping[Need, FileAnalysis]]:
        return analyst.tables(needs, text, remote)

    return analyse


def _texts(folder: RunFolder, local: SourceFiles) -> Text:
    """Texts by digest. One of the checkout that was asked for is kept with the run: a later report asks for it again."""

    def text(digest: str) -> bytes | None:
        recorded = folder.source(digest)  # which may well be empty: `__init__.py`
        if recorded is None and (recorded := local.content(digest)) is not None:
            folder.add_source(digest, recorded)
        return recorded

    return text


def _keep_sources(digests: Iterable[str], folder: RunFolder, local: SourceFiles) -> None:
    """Files that nothing loaded were read from the checkout: the report stays right when that moves on."""
    for digest in digests:
        if folder.source(digest) is None and (content := local.content(digest)) is not None:
            folder.add_source(digest, content)


def _text(folder: RunFolder, digest: str) -> str | None:
    content = folder.source(digest)
    return None if content is None else content.decode("utf-8", "replace")


def relative(path: Path) -> Path:
    """As short as a path can be typed where the command was."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
