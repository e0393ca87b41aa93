"""From what recorded Go processes left to their reports: the numbers and the text that Go's own tools have of the same data."""

from __future__ import annotations

import asyncio
import shutil
import time
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
IDLE = """\
package main

import (
	"os"

	"example.com/ends/idle"
)

func init() {
	if len(os.Args) > 9 {
		idle.Idle()
	}
}
"""


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

    def targets(self, pod_uid: str = "") -> Iterator[StoredTarget]:
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
        record = RunRecord(RUN, "kubernetes", marked=time.time(), services=tuple(names))
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


def test_what_cannot_be_counted_is_said_with_what_to_do(
    ends: Path, podcov_go: Any, project: Path, container: Callable[[Path], Any], pods: Pods, tmp_path: Path
) -> None:
    plain = container(podcov_go.build(tmp_path / "plain", ".", cwd=project / "services" / "ends"))
    plain.run("return")
    pods.pull(plain)
    reported = pods.report()
    (target,) = reported.ledger.targets
    (process,) = target.processes
    assert (process.state, process.slug) == ("failed", "unsupported")
    assert process.reason.endswith(
        "; build it with GOFLAGS=-cover, and where there is a -coverpkg, see that it matches its packages"
    )
    assert reported.report.files == ()


def test_a_binary_of_other_sources_than_the_local_ones_is_a_failure(
    ends: Path, project: Path, container: Callable[[Path], Any], pods: Pods, tmp_path: Path
) -> None:
    """The files that differ are named and have numbers only; all others are as ever."""
    pods.project = tmp_path / "edited"
    shutil.copytree(project, pods.project)
    work = pods.project / "services" / "ends" / "work" / "work.go"
    work.write_text("// Package work is explained now.\n" + work.read_text())
    pod = container(ends)
    pod.run("return")
    pods.pull(pod)
    reported = pods.report()
    (failure,) = reported.ledger.unreported
    assert failure.startswith("service ends: it was built from other sources than the local ones: services/ends/work/work.go (")
    assert failure.endswith("check out what is deployed, or deploy what is checked out")
    assert {file.path: file.origin for file in reported.report.files} == {
        "services/ends/main.go": "local",
        "services/ends/ending/ending.go": "local",
        "services/ends/work/work.go": "missing",
    }
    assert reported.profile == pods.textfmt()


def test_builds_of_different_sources_are_a_failure(
    ends: Path, podcov_go: Any, project: Path, container: Callable[[Path], Any], pods: Pods, tmp_path: Path
) -> None:
    shutil.copytree(project, tmp_path / "older")
    older = tmp_path / "older" / "services" / "ends"
    (older / "work" / "work.go").write_text("// Before.\n" + (older / "work" / "work.go").read_text())
    for binary in (ends, podcov_go.build(tmp_path / "old", "-cover", "-covermode=atomic", ".", cwd=older)):
        pod = container(binary)
        pod.run("return")
        pods.pull(pod)
    reported = pods.report()
    (failure,) = reported.ledger.unreported
    assert "package example.com/ends/work is not the same in" in failure
    assert reported.report.files == ()


def test_a_service_of_which_only_other_packages_are_measured_is_a_failure(
    podcov_go: Any, project: Path, container: Callable[[Path], Any], pods: Pods, tmp_path: Path
) -> None:
    shutil.copytree(project, tmp_path / "project")
    program = tmp_path / "project" / "services" / "ends"
    (program / "idle").mkdir()
    (program / "idle" / "idle.go").write_text("package idle\n\nfunc Idle() int {\n\treturn 1\n}\n")
    (program / "idle.go").write_text(IDLE)
    binary = podcov_go.build(tmp_path / "elsewhere", "-cover", "-coverpkg=./idle", ".", cwd=program)
    pod = container(binary)
    pod.run("return")
    pods.pull(pod)
    reported = pods.report()
    (failure,) = reported.ledger.unreported
    assert failure.startswith("service ends: 0 % of it ran, not even its start: does -coverpkg name")


def test_the_recorder_itself_is_no_part_of_a_report(
    podcov_go: Any, project: Path, container: Callable[[Path], Any], pods: Pods, tmp_path: Path
) -> None:
    flags = ["-cover", "-coverpkg=./...,internal/podcov,strings"]
    pod = container(podcov_go.build(tmp_path / "all", *flags, ".", cwd=project / "services" / "ends"))
    pod.run("return")
    pods.pull(pod)
    reported = pods.report()
    packages = {file.package for file in reported.report.files}
    assert {"example.com/ends", "strings"} <= packages
    assert "internal/podcov" not in packages
    (warning,) = reported.report.warnings
    assert warning.startswith("ends: measured, but not in the project, so that only numbers are reported: packages strings;")
    assert {file.path for file in reported.report.files if file.package == "strings"} >= {"strings/builder.go"}
