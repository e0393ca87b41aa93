"""A file is there whole or not at all, and nothing else is left."""

from __future__ import annotations

from pathlib import Path

import pytest
from podcov.edges import whole_files


def test_a_file_is_replaced_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.json"
    for content in (b"old", b"new"):
        whole_files.write(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_what_could_not_be_replaced_leaves_no_scratch(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        whole_files.write(tmp_path / "folder", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_cannot_be_written_is_named_itself_and_not_its_scratch(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 250)
    with pytest.raises(OSError, match="too long") as caught:
        whole_files.write(path, b"x")
    assert caught.value.filename == str(path)
