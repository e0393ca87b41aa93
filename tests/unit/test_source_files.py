"""The project's sources are found, and nothing that is not the project's."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from podcov.edges.source_files import SourceFiles
from podcov.languages import go_files
from podcov.languages.go import Go
from podcov.languages.python import Python


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (
        "web/main.py",
        "web/window.pyw",
        "web/build/helpers.py",
        "web/build/lib/main.py",
        "web/build/bdist.linux/main.py",
        ".git/hook.py",
        ".venv/lib/x.py",
        "env/pyvenv.cfg",
        "env/x.py",
        "node_modules/gyp/x.py",
        "vendor/site-packages/x.py",
        "web/__pycache__/main.py",
        "README.md",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "web/serve").write_text("#!/usr/bin/env python3\n")
    (tmp_path / "web/start").write_text("#!/bin/sh\npython3\n")
    (tmp_path / "web/gone.py").symlink_to("nowhere.py")
    return tmp_path


def test_sources_and_scripts_are_found(root: Path) -> None:
    assert sorted(SourceFiles(root, [Python()]).digests) == ["web/build/helpers.py", "web/main.py", "web/serve", "web/window.pyw"]


def test_a_text_is_found_by_its_digest_while_it_is_there(root: Path) -> None:
    files = SourceFiles(root, [Python()])
    digest = "sha256:" + sha256(b"web/main.py").hexdigest()
    assert files.digests["web/main.py"] == digest
    assert files.content(digest) == b"web/main.py"
    assert files.content("sha256:00") is None
    (root / "web/main.py").write_text("changed")
    assert files.content(digest) is None
    (root / "web/main.py").unlink()
    assert files.content(digest) is None


@pytest.mark.parametrize("path", ["main.go", "cmd/server/main.go", "go.mod", "tools/go.mod", "go.work", "build/version.go"])
def test_gos_sources_and_what_says_where_its_modules_are(path: str) -> None:
    assert go_files.is_source(path)


@pytest.mark.parametrize("path", ["main_test.go", "testdata/src/x.go", "_old/x.go", "go.sum", "main.py", "go.mod/README"])
def test_what_no_go_program_is_built_from(path: str) -> None:
    assert not go_files.is_source(path)


@pytest.fixture
def vendoring(tmp_path: Path) -> Path:
    for name in ("go.mod", "vendor/modules.txt", "vendor/example.com/x/x.py", "vendor/example.com/x/x.go", "web/vendor/own.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return tmp_path


def test_vendored_modules_are_not_the_projects_own(vendoring: Path) -> None:
    assert [*SourceFiles(vendoring, [Python(), Go()]).digests] == ["go.mod", "web/vendor/own.py"]


def test_of_vendored_modules_only_what_is_asked_for_is_read(vendoring: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    really = Path.read_bytes

    def noted(path: Path) -> bytes:
        read.append(path.relative_to(vendoring).as_posix())
        return really(path)

    monkeypatch.setattr(Path, "read_bytes", noted)
    (vendoring / "vendor/example.com/x/other.go").write_text("other")
    files = SourceFiles(vendoring, [Go()])
    assert [*files.digests] == ["go.mod"]
    name = "vendor/example.com/x/x.go"
    digest = files.vendored(name)
    assert digest == files.vendored(name) == "sha256:" + sha256(name.encode()).hexdigest()
    assert read == ["go.mod", name], "and once"
    assert files.content(digest) == name.encode()
    assert files.vendored_digests == {name: digest}


@pytest.mark.parametrize(
    "path", ["go.mod", "web/vendor/own.py", "vendor/gone.go", "vendor/../go.mod", "{root}/vendor/modules.txt"]
)
def test_what_is_no_file_of_a_vendored_module_is_not_found_there(vendoring: Path, path: str) -> None:
    files = SourceFiles(vendoring, [Go()])
    assert files.vendored(path.format(root=vendoring)) is None
    assert files.vendored_digests == {}
