"""From what recorded Go processes left to their reports: the numbers and the text that Go's own tools have of the same data."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from podcov import languages, pipeline
from podcov.config import Config, Service
from podcov.edges.source_files import SourceFiles
from podcov.formats import summary
from podcov.formats.analysis import FileAnalysis
from podcov.formats.bundle import read_bundle
from podcov.formats.records import parse_target
from podcov.formats.run_json import RunRecord
from podcov.languages import Need
from podcov.ledger import Ledger
from podcov.model import Report, total
from podcov.pipeline import Checkout
from podcov.raw import StoredTarget, TargetInfo, digest_of
from podcov.reports import write_all

RUN = "run"


@dataclass(frozen=True)
class Reported:
    report: Report
    ledger: Ledger
    reports: Path

    @property
    def profile(self) -> list[str]:
        return sorted((self.reports / "go.txt").read_text().splitlines())


class Pods:
    """What a run pulled of pods, each of which is a container with its data volume. Fulfils what is read of a `RawStore`."""

    def __init__(self, project: Path, folder: Path, go: Any) -> None:
        self.project = project
        self.folder = folder
        self.go = go
        self._targets: list[StoredTarget] = []
        self._texts: dict[str, bytes] = {}
        self._counted = folder / "counted"
        """what counts, as Go's own tools want it"""
        self._counted.mkdir()

    def targets(self) -> Iterator[StoredTarget]:
        yield from self._targets

    def pull(self, pod: Any, service: str = "ends") -> None:
        pulled = pod.pull()
        bundle = read_bundle(pod.courier("pull"))
        (described,) = bundle.manifest["targets"]
        uid = f"uid-{len(self._targets)}"
        info = TargetInfo(service, f"shop/{uid}/app", uid, "app", described["start_id"], described)
        self._targets.append(StoredTarget(info, pulled.files))
        self._texts |= {digest_of(content): content for content in pulled.metas.values()}
        counted = {0, *parse_target(pulled.files).epochs_of(RUN)}
        for name, content in pulled.metas.items():
            (self._counted / f"covmeta.{name}").write_bytes(content)
        for number, file in enumerate(pulled.counters):
            if file.epoch in counted:
                name = f"covcounters.{file.content[8:24].hex()}.{len(self._targets)}.{number}"
                (self._counted / name).write_bytes(file.content)

    def textfmt(self) -> list[str]:
        """What Go's own tool says of the same counters."""
        output = self.folder / "textfmt"
        self.go.go("tool", "covdata", "textfmt", f"-i={self._counted}", f"-o={output}")
        return sorted(output.read_text().splitlines())

    def report(self, **service: Any) -> Reported:
        names = sorted({target.info.service for target in self._targets})
        config = Config(tuple(Service(name, language="go", **service) for name in names))
        local = SourceFiles(self.project, [languages.of("go")])

        def text(digest: str) -> bytes | None:
            return self._texts.get(digest) or local.content(digest)

        checkout = Checkout(str(self.project), local.digests, {}, "")
        targets = pipeline.read_targets(self, RUN)  # type: ignore[arg-type]
        record = RunRecord(RUN, "kubernetes", services=tuple(names))
        report, ledger = asyncio.run(pipeline.examine(record, targets, config, checkout, nothing, text))
        told = summary.build(report, ledger, run=RUN, platform="", git=None, tests=None, exit={"code": 0, "reason": ""})
        reports = self.folder / "reports"
        write_all(config.reports, report, ledger, told, lambda digest: decoded(text(digest)), reports, root=self.project)
        return Reported(report, ledger, reports)


async def nothing(_: object) -> Mapping[Need, FileAnalysis]:
    """No text of Go has to be looked at by anybody."""
    return {}


def decoded(content: bytes | None) -> str | None:
    return None if content is None else content.decode()


@pytest.fixture(scope="module")
def project(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the program below `services`."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(programs / "ends", folder / "services" / "ends")
    return folder


@pytest.fixture(scope="module")
def ends(podcov_go: Any, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("report") / "ends"
    return podcov_go.build(output, "-cover", "-covermode=atomic", ".", cwd=project / "services" / "ends")  # type: ignore[no-any-return]


@pytest.fixture
def pods(project: Path, tmp_path: Path, plain_go: Any) -> Pods:
    folder = tmp_path / "pods"
    folder.mkdir()
    return Pods(project, folder, plain_go)


def test_the_report_of_recorded_pods_is_what_gos_tool_says(
    ends: Path, container: Callable[[Path], Any], pods: Pods, plain_go: Any, project: Path
) -> None:
    for how in ("return", "panic", "fatal"):
        pod = container(ends)
        pod.run("exit")  # what an earlier run ran counts for no other
        pod.mark("earlier", "")
        pod.run("panic", "some", "words")
        pod.mark(RUN, "tests")
        pod.run(how)
        pod.run(how)
        pods.pull(pod)
    reported = pods.report()
    assert reported.profile == pods.textfmt()
    assert reported.ledger.complete
    assert {(file.path, file.origin, file.counting) for file in reported.report.files} == {
        (f"services/ends/{name}", "local", "atomic") for name in ("main.go", "work/work.go", "ending/ending.go")
    }
    module = project / "services" / "ends"
    plain_go.go("tool", "cover", f"-html={reported.reports / 'go.txt'}", "-o", pods.folder / "go.html", cwd=module)
    cover = plain_go.go("tool", "cover", f"-func={reported.reports / 'go.txt'}", cwd=module)
    assert cover.splitlines()[-1].split()[-1] == f"{total(reported.report.files).percent:.1f}%"
