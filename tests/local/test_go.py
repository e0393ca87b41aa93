"""Go services on the local platform: built by a toolchain that records, ended in any way, and reported as Go itself would."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from podcov.formats import report_json
from ports import free_port

PROJECT = Path(__file__).parent / "go_project"
PODCOV = [sys.executable, "-c", "from podcov.commands.main import main; main()"]
SECONDS = 600

Blocks = Mapping[str, bool]
"""a block as text profiles name it, and whether it ran"""


@pytest.fixture(scope="module")
def go() -> str:
    """The toolchain that this machine has."""
    program = shutil.which("go")
    if not program:
        pytest.skip("there is no go on the PATH: these tests build real Go programs, and CI has it")
    return program


def settings(**local: Any) -> dict[str, Any]:
    service = {
        "language": "go",
        "local": {
            "build": ["go", "build", "-o", "bin/numbers", "."],
            "command": ["bin/numbers", "-address", "127.0.0.1:{port:numbers}"],
            **local,
        },
    }
    return {"version": 1, "platform": "local", "services": {"numbers": service}}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture
def podcov(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`podcov(settings, "run", ...)` in the project."""

    def call(config: Mapping[str, Any], *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        (project / "podcov.yaml").write_text(yaml.safe_dump(config))
        return subprocess.run(
            [*PODCOV, *words],
            cwd=project,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return call


@pytest.fixture
def reference(go: str, tmp_path: Path, wait_until: Callable[..., Any]) -> Callable[..., Blocks]:
    """`reference(folder, "-covermode=atomic")`: the same questions asked of a plain build, which is ended cleanly."""

    def run(folder: Path, *flags: str) -> Blocks:
        program, data = tmp_path / "reference" / "numbers", tmp_path / "reference" / "data"
        data.mkdir(parents=True)
        subprocess.run([go, "build", "-cover", *flags, "-o", program, "."], cwd=folder, check=True, timeout=SECONDS)
        port = free_port()
        with running([program, "-address", f"127.0.0.1:{port}"], GOCOVERDIR=str(data)) as process:
            wait_until(lambda: answers(port), what="the reference is up")
            env = {**os.environ, "NUMBERS_HOST": "127.0.0.1", "NUMBERS_PORT": str(port)}
            subprocess.run([sys.executable, folder / "ask.py", "pid", "end"], env=env, check=True, timeout=SECONDS)
            assert process.wait(SECONDS) == 0
        text = data / "profile.txt"
        subprocess.run([go, "tool", "covdata", "textfmt", f"-i={data}", f"-o={text}"], check=True, timeout=SECONDS)
        return blocks_of(text.read_text())

    return run


@contextmanager
def running(command: list[Any], **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, env={**os.environ, **env}) as process:
        try:
            yield process
        finally:
            process.kill()


def answers(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


def blocks_of(profile: str) -> Blocks:
    blocks: dict[str, bool] = {}
    for line in profile.splitlines()[1:]:
        block, _, count = line.rpartition(" ")
        blocks[block] = blocks.get(block, False) or int(count) > 0
    return blocks


def latest(project: Path, name: str) -> Path:
    return project / ".podcov/runs/latest" / name


def test_two_replicas_and_sigkill_leave_what_one_clean_run_leaves(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]], reference: Callable[..., Blocks]
) -> None:
    done = podcov(settings(replicas=2), "run", "--", sys.executable, "ask.py", "kill", "end")
    assert done.returncode == 0, done.stderr
    summary = json.loads(latest(project, "summary.json").read_text())
    assert summary["ledger"]["complete"]
    targets = json.loads(latest(project, "ledger.json").read_text())["targets"]
    assert sorted(target["ended"] for target in targets) == ["Completed", signal.Signals.SIGKILL.name]
    assert blocks_of(latest(project, "reports/go.txt").read_text()) == reference(project)


def test_what_started_it_is_told_from_what_the_tests_ran(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]], go: str
) -> None:
    config = settings(build=["go", "build", "-covermode=atomic", "-o", "bin/numbers", "."])
    done = podcov(config, "run", "--", sys.executable, "ask.py")
    assert done.returncode == 0, done.stderr
    report = report_json.load(latest(project, "report.json").read_bytes())
    files = {file.path: file for file in report.files}
    assert files.keys() == {"main.go", "numbers/numbers.go"}
    assert {(0,), (1,)} <= {region.epochs for region in files["main.go"].regions if region.covered}
    assert {region.epochs for region in files["numbers/numbers.go"].regions if region.covered} == {(1,)}


def test_vendored_modules_that_are_measured_are_reported_with_their_sources(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]], go: str
) -> None:
    unknown = project.parent / "unknown"
    unknown.mkdir()
    (unknown / "go.mod").write_text("module example.com/unknown\n\ngo 1.20\n")
    (unknown / "unknown.go").write_text(
        'package unknown\n\n// Word is said of what nobody knows.\nfunc Word() string { return "what?" }\n'
    )
    main = (project / "main.go").read_text().replace('return "what?"', "return unknown.Word()")
    (project / "main.go").write_text(main.replace('numbers/numbers"\n', 'numbers/numbers"\n\t"example.com/unknown"\n'))
    with (project / "go.mod").open("a") as file:
        file.write("\nrequire example.com/unknown v1.0.0\n\nreplace example.com/unknown => ../unknown\n")
    subprocess.run([go, "mod", "vendor"], cwd=project, check=True, timeout=SECONDS)
    build = ["go", "build", "-mod=vendor", "-coverpkg=./...,example.com/unknown", "-o", "bin/numbers", "."]
    done = podcov(settings(build=build), "run", "--", sys.executable, "ask.py", "nonsense")
    assert (done.returncode, "not in the project" in done.stderr) == (0, False), done.stderr
    report = report_json.load(latest(project, "report.json").read_bytes())
    (vendored,) = [file for file in report.files if file.path.startswith("vendor/")]
    assert (vendored.path, vendored.origin) == ("vendor/example.com/unknown/unknown.go", "local")
    assert vendored.numbers.covered == 1
    assert "Word is said of what nobody knows." in latest(project, "reports/go.html").read_text()
    moved_on = project / vendored.path
    moved_on.write_text("// moved on\n" + moved_on.read_text())
    again = podcov(settings(build=build), "report")
    assert again.returncode == 0, again.stderr
    report = report_json.load(latest(project, "report.json").read_bytes())
    (recorded,) = [file for file in report.files if file.path.startswith("vendor/")]
    assert recorded == replace(vendored, origin="recorded")


def test_what_measures_itself_in_a_cluster_is_recorded_here(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    config = settings()
    config["services"]["numbers"]["dump"] = {"by": "signal"}
    done = podcov(config, "run", "--", sys.executable, "ask.py", "kill")
    assert (done.returncode, "Ledger: complete" in done.stdout) == (0, True), done.stderr
    assert any(blocks_of(latest(project, "reports/go.txt").read_text()).values())


def test_a_build_that_fails_is_shown(project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]], go: str) -> None:
    (project / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    done = podcov(settings(build=["go", "build", "-o", "bin/numbers", "."]), "run", "--", "true")
    assert done.returncode == 2
    assert "service numbers cannot be built" in done.stderr
    assert "undefined: undefined" in done.stderr


def test_a_program_without_podcov_is_not_run(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]], go: str
) -> None:
    subprocess.run([go, "build", "-o", "bin/numbers", "."], cwd=project, check=True, timeout=SECONDS)
    config = settings()
    del config["services"]["numbers"]["local"]["build"]
    done = podcov(config, "run", "--", "true")
    assert done.returncode == 2
    assert "was not built by a Go toolchain with podcov in it" in done.stderr


def test_without_go_it_is_said_and_the_service_can_be_left_out(
    project: Path, podcov: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    config = settings()
    config["services"]["pages"] = {"local": {"command": [sys.executable, "pages.py", "{port:pages}"]}}
    ask = [
        sys.executable,
        "-c",
        "import os, urllib.request as u; u.urlopen(os.environ['PAGES_URL']); assert 'NUMBERS_URL' not in os.environ",
    ]
    refused = podcov(config, "run", "--", *ask, PATH=os.defpath)
    assert refused.returncode == 2
    assert "service numbers cannot be built: go: there is no such program on the PATH" in refused.stderr
    assert "--without numbers" in refused.stderr

    done = podcov(config, "run", "--without", "numbers", "--", *ask, PATH=os.defpath)
    summary = json.loads(latest(project, "summary.json").read_text())
    assert "service numbers took no part in this run, and is not reported" in summary["warnings"]
    assert (summary["ledger"]["complete"], done.returncode) == (True, 0), done.stderr
