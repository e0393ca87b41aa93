"""Whole repos that measure coverage already, as people have them: what is said of each, and what would be put in its place.

`PODCOV_UPDATE_GOLD=1` writes the gold files anew: read what changed.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from podcov.edges.project import DiskProject
from podcov.generate import adoption, dockerfile
from podcov.generate.adoption import Adoption

SETUPS = Path(__file__).with_name("adoption")
NAMES = sorted(path.parent.name for path in SETUPS.glob("*/repo"))
PYTHON = ("coverage-http", "coverage-http-workers", "process-start")
Copy = Callable[[str], Path]


@pytest.fixture
def repo(tmp_path: Path) -> Copy:
    """A copy of one of the repos."""
    return lambda name: shutil.copytree(SETUPS / name / "repo", tmp_path / name)


def recognise(folder: Path) -> tuple[Adoption, ...]:
    return adoption.recognise(DiskProject(folder))


def adopt(folder: Path) -> None:
    """What `podcov init --adopt` writes."""
    for replacement in (r for found in recognise(folder) for r in found.replaces):
        path = folder / replacement.path
        if replacement.content is None:
            path.unlink()
        else:
            path.write_bytes(replacement.content)


def said(adoptions: Iterable[Adoption]) -> str:
    lines = []
    for found in adoptions:
        lines += [found.name, *(f"  {kind}: {', '.join(values)}" for kind, values in found.facts.items())]
        lines += [f"  profile taken: {found.profile_taken}"] if found.profile_taken else []
        lines += [f"  keeps: {sentence}" for sentence in found.keeps]
        lines += [f"  {f.level}: {f.subject} | {f.found} | {f.decided} | {f.why}" for f in found.findings]
        lines += [f"  {e.path}:{e.line}: {e.what}" for e in found.evidence]
    return "\n".join(lines) + "\n"


def diff(folder: Path, adoptions: Iterable[Adoption]) -> str:
    out: list[str] = []
    for replacement in (r for found in adoptions for r in found.replaces):
        before = (folder / replacement.path).read_text().splitlines(keepends=True)
        after = (replacement.content or b"").decode().splitlines(keepends=True)
        to = "/dev/null" if replacement.content is None else replacement.path
        out += [f"# {replacement.reason}\n", *difflib.unified_diff(before, after, replacement.path, to)]
    return "".join(out)


def same_as_gold(text: str, gold: Path) -> None:
    if os.environ.get("PODCOV_UPDATE_GOLD"):
        gold.write_text(text)
    assert text == gold.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_and_offered(name: str) -> None:
    found = recognise(SETUPS / name / "repo")
    assert found
    same_as_gold(said(found), SETUPS / name / "said.txt")
    same_as_gold(diff(SETUPS / name / "repo", found), SETUPS / name / "adopted.diff")


@pytest.mark.parametrize("name", NAMES)
def test_once_adopted_there_is_nothing_more_to_replace(name: str, repo: Copy) -> None:
    folder = repo(name)
    adopt(folder)
    assert [replacement for found in recognise(folder) for replacement in found.replaces] == []


@pytest.mark.parametrize("name", NAMES)
def test_only_lines_in_evidence_are_changed(name: str) -> None:
    folder = SETUPS / name / "repo"
    found = recognise(folder)
    evidence = {(e.path, e.line) for one in found for e in one.evidence}
    for replacement in (r for one in found for r in one.replaces):
        lines = (folder / replacement.path).read_text().split("\n")
        untouched = [line for number, line in enumerate(lines, 1) if (replacement.path, number) not in evidence]
        left = iter((replacement.content or b"").decode().split("\n"))
        assert all(line in left for line in untouched), replacement.path


@pytest.mark.parametrize("name", NAMES)
def test_evidence_stands_where_it_says(name: str) -> None:
    folder = SETUPS / name / "repo"
    for evidence in (e for found in recognise(folder) for e in found.evidence):
        assert 1 <= evidence.line <= len((folder / evidence.path).read_text().split("\n"))


@pytest.mark.parametrize("name", ["hello", "shop"])
def test_a_repo_without_any_of_it(name: str, root: Path) -> None:
    assert recognise(root / "examples" / name) == ()


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    found = sorted(folder.rglob("Dockerfile*"))
    return {str(path.relative_to(folder)): dockerfile.parse(path.read_text()).command for path in found}


def test_images_start_the_app_itself(repo: Copy) -> None:
    http, process = repo("coverage-http"), repo("process-start")
    adopt(http)
    adopt(process)
    assert commands(http)["Dockerfile.test"] == ("python", "app.py", "--port", "8080")
    assert commands(process)["orders/Dockerfile"] == ("python", "-m", "orders")
