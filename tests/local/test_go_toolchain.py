"""`podcov go`: any command, with a Go toolchain that records. The toolchain that is copied is a real one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from podcov.edges import go_toolchain
from podcov.errors import UsageError

PODCOV = [sys.executable, "-c", "from podcov.commands.main import main; main()", "go"]
SERVICE = "package main\n\nfunc main() { println(greeting()) }\n\nfunc greeting() string { return `hello` }\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment with a cache of its own, and without any GOFLAGS, those of `go env -w` too."""
    if not shutil.which("go"):
        pytest.skip("there is no go on the PATH: these tests copy a real toolchain, and CI has it")
    folder = tmp_path_factory.mktemp("cache")
    gone = ("GOFLAGS", "GOROOT", "GOTOOLCHAIN", "GOENV")
    kept = {name: value for name, value in os.environ.items() if name not in gone}
    build = subprocess.run(["go", "env", "GOCACHE"], capture_output=True, text=True, check=True).stdout.strip()
    return {**kept, "XDG_CACHE_HOME": str(folder), "GOENV": "off", "GOCACHE": build}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "module"
    folder.mkdir()
    (folder / "go.mod").write_text("module example.com/service\n\ngo 1.21\n")
    (folder / "main.go").write_text(SERVICE)
    return folder


@pytest.fixture
def run(settings: Mapping[str, str], module: Path) -> Run:
    """`run("go", "build", GOFLAGS="-v")`: `podcov go -- go build` in the module, without cgo."""

    def called(*command: str, options: Sequence[str] = ("--",), **env: str) -> subprocess.CompletedProcess[str]:
        whole = {**settings, "CGO_ENABLED": "0", **env}
        return subprocess.run(
            [*PODCOV, *options, *command], cwd=module, env=whole, capture_output=True, text=True, timeout=600, check=False
        )

    return called


def records(binary: Path, data: Path) -> bool:
    """Whether counters and meta-data of a run are there, which only podcov in the toolchain and `-cover` together leave."""
    data.mkdir(exist_ok=True)
    env = {"PODCOV_DATA": str(data), "PODCOV_CONTAINER": "app", "PODCOV_START": "one"}
    subprocess.run([binary], env=env, check=True, capture_output=True)
    return bool(list(data.glob("targets/app/one/*.counters"))) and bool(list(data.glob("go/covmeta.*")))


@pytest.mark.parametrize(
    "script",
    ["go build -o app .", "GOFLAGS=-trimpath go build -o app .", 'GOFLAGS= "$(go env GOROOT)/bin/go" build -cover -o app .'],
)
def test_what_a_command_builds_records_whatever_it_does_with_goflags(script: str, run: Run, module: Path, tmp_path: Path) -> None:
    done = run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert records(module / "app", tmp_path / "data")


def test_goflags_of_the_user_come_first_and_nothing_is_doubled(run: Run) -> None:
    assert run("go", "env", "GOFLAGS", GOFLAGS="-mod=mod '-ldflags=-s -w'").stdout == "-mod=mod '-ldflags=-s -w' -cover\n"
    assert run("go", "env", "GOFLAGS", GOFLAGS="--cover=true").stdout == "--cover=true\n"
    assert run("go", "env", "GOFLAGS").stdout == "-cover\n"


def test_within_itself_it_changes_nothing(run: Run) -> None:
    once = run("sh", "-c", "go env GOROOT GOFLAGS").stdout
    assert run(*PODCOV, "--", "sh", "-c", "go env GOROOT GOFLAGS").stdout == once


def test_the_exit_code_is_the_command_s(run: Run) -> None:
    assert run("sh", "-c", "exit 7").returncode == 7
    assert run("sh", "-c", "kill -9 $$").returncode == -9


def test_what_cannot_be_run_is_said(run: Run, settings: Mapping[str, str], tmp_path: Path) -> None:
    done = run("there-is-no-such-program")
    assert (done.returncode, "there-is-no-such-program: No such file" in done.stderr) == (2, True)
    assert run().returncode == 2
    done = run("go", "version", PATH=str(tmp_path))
    assert "go: there is no such program on the PATH" in done.stderr


def test_other_programs_are_told_by_variables(run: Run, settings: Mapping[str, str], module: Path, tmp_path: Path) -> None:
    """As the profile tells the `go` that ko calls; it may be of another version than the module wants."""
    values = {name: run(options=["--env", name]).stdout.strip() for name in ("GOROOT", "GOTOOLCHAIN", "PATH")}
    plain = shutil.which("go")
    assert plain
    subprocess.run([plain, "build", "-cover", "-o", "app", "."], cwd=module, env={**settings, **values}, check=True)
    assert records(module / "app", tmp_path / "data")


def test_the_copy_is_of_the_toolchain_that_the_module_asks_for(run: Run, module: Path) -> None:
    """From the module cache or the module proxy, as `go` itself has it."""
    (module / "go.mod").write_text("module example.com/service\n\ngo 1.21\n\ntoolchain go1.99.1\n")
    done = run("go", "version", GOPROXY="off", GOTOOLCHAIN="auto")
    assert done.returncode == 2
    assert "go1.99.1" in done.stderr
    assert "has to work in" in done.stderr


def test_a_version_that_podcov_does_not_know_is_named(settings: Mapping[str, str], tmp_path: Path) -> None:
    goroot = tmp_path / "goroot"
    (goroot / "bin").mkdir(parents=True)
    (goroot / "VERSION").write_text("go1.99.1\n")
    go = goroot / "bin/go"
    go.write_text(f"#!/bin/sh\necho {goroot}\n")
    go.chmod(0o755)
    with pytest.raises(UsageError, match=r"Go 1\.99\.1 .* is not known: podcov knows 1\.20 to") as caught:
        go_toolchain.ensure(str(go), env=settings)
    assert "GOTOOLCHAIN=" in caught.value.hint
    assert not [path for path in go_toolchain.cache_folder(settings).iterdir() if path.name.startswith((".new-", "go1.99"))]


def test_two_at_once_make_one_copy_and_one_that_lost_its_original_is_made_anew(
    settings: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = {**settings, "XDG_CACHE_HOME": str(tmp_path)}
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: go_toolchain.ensure(env=env), range(2))
    assert first == second
    (folder,) = (path for path in first.parent.iterdir() if not path.name.startswith("."))
    assert folder == first

    (first / "VERSION").unlink()
    (first / "VERSION").symlink_to(tmp_path / "gone")
    earlier = first.with_name(first.name.replace(first.name.split("-")[1], "0" * 12))
    earlier.mkdir()
    os.utime(earlier, (0, 0))
    assert go_toolchain.ensure(env=env) == first
    assert (first / "VERSION").is_file()
    assert not earlier.exists()
