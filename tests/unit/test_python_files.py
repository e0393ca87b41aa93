"""The project's Python files are found, and nothing that is not the project's."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from podcov.edges.python_files import PythonFiles


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
    assert sorted(PythonFiles(root).digests) == ["web/build/helpers.py", "web/main.py", "web/serve", "web/window.pyw"]


def test_a_text_is_found_by_its_digest_while_it_is_there(root: Path) -> None:
    files = PythonFiles(root)
    digest = "sha256:" + sha256(b"web/main.py").hexdigest()
    assert files.digests["web/main.py"] == digest
    assert files.content(digest) == b"web/main.py"
    assert files.content("sha256:00") is None
    (root / "web/main.py").write_text("changed")
    assert files.content(digest) is None
    (root / "web/main.py").unlink()
    assert files.content(digest) is None
