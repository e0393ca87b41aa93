"""Putting podcov into a toolchain: the change is small, checked, and made twice it is the same."""

from __future__ import annotations

import difflib
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest


def install(root: Path, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(root / "wrapper" / "go" / "install"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def goroot(tmp_path: Path, plain_go: Any) -> Path:
    """As much of a toolchain as is looked at."""
    folder = tmp_path / "go"
    for package in ("os", "runtime", "internal/coverage/cfile"):
        shutil.copytree(plain_go.goroot / "src" / package, folder / "src" / package)
    shutil.copy(plain_go.goroot / "VERSION", folder)
    (folder / "bin").mkdir()
    (folder / "bin" / "go").touch(mode=0o755)
    return folder


def tree(folder: Path) -> Mapping[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.go") if "testdata" not in path.parts}


def test_two_statements_are_changed_of_what_was_there(root: Path, goroot: Path) -> None:
    before = tree(goroot)
    done = install(root, goroot)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"in {goroot} can record" in done.stderr
    after = tree(goroot)
    changed = {name: changes(before[name], after[name]) for name in before if before[name] != after[name]}
    assert changed == {
        "src/internal/coverage/cfile/hooks.go": ["+ \tif podcovHook(istest) {", "+ \t\treturn", "+ \t}"],
        "src/runtime/mgcpacer.go": [
            '- \tif p == "" || p == "off" {',
            '+ \tif p == "" || p == "off" || podcovIsNoLimit(p) {',
        ],
    }
    assert all("podcov" in name for name in after.keys() - before.keys())


def changes(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def test_twice_is_once(root: Path, goroot: Path) -> None:
    install(root, goroot)
    once = tree(goroot)
    assert install(root, goroot).returncode == 0
    assert tree(goroot) == once


@pytest.mark.parametrize(
    ("file", "old", "new", "text"),
    [
        ("VERSION", "go1.", "go9.", "Go 9."),
        ("VERSION", "go1.", "devel go1.", "has no VERSION that begins with 'go'"),
        (
            "src/internal/coverage/cfile/hooks.go",
            "func InitHook(istest bool)",
            "func InitHook(kind int)",
            "hooks.go, nothing was changed",
        ),
        ("src/internal/coverage/cfile/emit.go", "func prepareForMetaEmit(", "func prepare(", "emit.go, nothing was changed"),
        ("src/runtime/mgcpacer.go", 'p == "off" {', 'p == "none" {', "mgcpacer.go, nothing was changed"),
        ("src/os/proc.go", "func runtime_args()", "func args()", "proc.go, nothing was changed"),
    ],
)
def test_an_unknown_toolchain_is_refused_and_left_alone(
    root: Path, goroot: Path, file: str, old: str, new: str, text: str
) -> None:
    path = goroot / file
    path.write_text(path.read_text().replace(old, new))
    before = tree(goroot)
    done = install(root, goroot)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("podcov: ")
    assert text in done.stderr
    assert tree(goroot) == before


def test_a_copy_leaves_the_toolchain_alone(root: Path, goroot: Path, tmp_path: Path) -> None:
    before = tree(goroot)
    copy = tmp_path / "copy"
    assert install(root, "--copy", copy, goroot).returncode == 0
    assert tree(goroot) == before
    assert (copy / "src" / "internal" / "podcov" / "start.go").is_file()
    assert "is there already" in install(root, "--copy", copy, goroot).stderr
    assert "needs a folder" in install(root, "--copy").stderr


def test_what_ships_is_formatted_and_vetted(root: Path, podcov_go: Any) -> None:
    dropin = root / "wrapper" / "go" / "dropin"
    formatted = subprocess.run([podcov_go.goroot / "bin" / "gofmt", "-l", dropin], capture_output=True, text=True, check=True)
    assert formatted.stdout == ""
    for architecture in ("amd64", "arm64"):
        podcov_go.go("vet", "-unsafeptr=false", "internal/podcov", cwd=podcov_go.goroot / "src", GOARCH=architecture)


def test_no_line_of_go_itself_is_shipped(root: Path, plain_go: Any) -> None:
    """No run of three lines of ours is in the package that it is put into, or in os."""
    ours = {
        lines[i : i + 3]
        for path in (root / "wrapper" / "go" / "dropin").rglob("*.go")
        for lines in [tuple(line.strip() for line in path.read_text().splitlines() if line.strip())]
        for i in range(len(lines) - 2)
    }
    for package in ("os", "runtime", "internal/coverage", "internal/coverage/cfile", "internal/coverage/encodecounter"):
        for path in (plain_go.goroot / "src" / package).glob("*.go"):
            lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
            theirs = {tuple(lines[i : i + 3]) for i in range(len(lines) - 2)}
            shared = [three for three in ours & theirs if len("".join(three)) > 40]
            assert shared == []
