"""Texts are analysed by the version that ran them, wherever such an interpreter is, and by no other."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import coverage
import pytest
from podcov.edges.analysis import Analyst, Remote, coverage_zip
from podcov.errors import DamagedError, InterpreterError
from podcov.formats.analysis import FORMAT, FileAnalysis, Rules, read_answer, read_table
from podcov.languages import Need

HOST = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = "3.99"
TEXT = b"x = 1\nif x:\n    y = 2\n"
DIGEST = "sha256:" + sha256(TEXT).hexdigest()


def need(minor: str = HOST, digest: str = DIGEST, rules: Rules | None = None) -> Need:
    return Need(minor, digest, "/app/x.py", rules or Rules())


def answer(python: str, **files: object) -> bytes:
    tables = files or {DIGEST: {"statements": [1, 2, 3], "excluded": [], "multiline": [], "functions": []}}
    return json.dumps({"format": FORMAT, "python": python, "coverage": coverage.__version__, "files": tables}).encode()


class Pod:
    """A pod that answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []

    async def __call__(self, stdin: bytes) -> bytes:
        self.asked.append(stdin)
        said = self.answers.pop(0)
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def analyst(root: Path, tmp_path: Path) -> Analyst:
    """Finds no interpreter but the one that runs the tests."""
    return Analyst(root / "wrapper/python/podcov_analysis.py", tmp_path / "cache", path=str(tmp_path / "bin"))


def ask(analyst: Analyst, *needs: Need, pod: Remote | None = None) -> dict[Need, FileAnalysis]:
    return asyncio.run(analyst.tables(needs, {DIGEST: TEXT}.get, lambda _: [pod] if pod else []))


def interpreter(folder: Path, minor: str, script: str) -> None:
    """A program that goes by the name of a Python."""
    folder.mkdir(exist_ok=True)
    program = folder / f"python{minor}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_the_host_s_own_interpreter_is_used_where_it_is_the_right_one(analyst: Analyst) -> None:
    assert ask(analyst, need())[need()].statements == {1, 2, 3}


def test_another_interpreter_on_the_path_is_used(analyst: Analyst, tmp_path: Path) -> None:
    interpreter(tmp_path / "bin", OTHER, f"cat > /dev/null; echo '{answer(OTHER).decode()}'")
    assert ask(analyst, need(OTHER))[need(OTHER)].statements == {1, 2, 3}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (f"cat > /dev/null; echo '{answer(HOST).decode()}'", f"is Python {HOST} with coverage.py {coverage.__version__}"),
        ("echo 'command not found' >&2; exit 127", "exit code 127: command not found"),
        ("cat > /dev/null; echo nonsense", "answered something else than expected"),
        ("exit 0", "answered something else than expected"),
    ],
)
def test_a_wrong_interpreter_is_passed_over_and_named(analyst: Analyst, tmp_path: Path, script: str, reason: str) -> None:
    interpreter(tmp_path / "bin", OTHER, script)
    with pytest.raises(InterpreterError) as caught:
        ask(analyst, need(OTHER))
    assert reason in caught.value.message
    assert ask(analyst, need(OTHER), pod=Pod(answer(OTHER)))[need(OTHER)].statements == {1, 2, 3}


def test_each_interpreter_of_the_path_is_tried(analyst: Analyst, tmp_path: Path) -> None:
    interpreter(tmp_path / "shims", OTHER, "exit 127")
    interpreter(tmp_path / "bin", OTHER, f"cat > /dev/null; echo '{answer(OTHER).decode()}'")
    analyst.path = os.pathsep.join([str(tmp_path / "shims"), "", str(tmp_path / "bin")])
    assert ask(analyst, need(OTHER))[need(OTHER)].statements == {1, 2, 3}


def test_a_pod_is_sent_a_zip_and_the_request(analyst: Analyst) -> None:
    pod = Pod(answer(OTHER))
    assert ask(analyst, need(OTHER), pod=pod)[need(OTHER)].statements == {1, 2, 3}
    stream = io.BytesIO(pod.asked[0])
    archive = zipfile.ZipFile(io.BytesIO(stream.read(int(stream.readline()))))
    assert {"podcov_analysis.py", "__main__.py", "coverage/__init__.py", "coverage/parser.py"} <= set(archive.namelist())
    assert json.loads(stream.read(int(stream.readline())))["files"][0]["digest"] == DIGEST
    assert stream.read() == b""


@pytest.mark.parametrize("pod", [None, Pod(OSError("connection lost")), Pod(answer("3.98"))])
def test_without_the_right_version_there_is_no_table_and_a_named_failure(analyst: Analyst, pod: Remote | None) -> None:
    with pytest.raises(InterpreterError) as caught:
        ask(analyst, need(OTHER), pod=pod)
    assert f"only Python {OTHER} can analyse" in caught.value.message
    assert f"there is no python{OTHER} on this machine's path" in caught.value.message
    assert f"install python{OTHER}" in caught.value.hint


def test_tables_are_kept_by_text_version_and_rules(analyst: Analyst) -> None:
    pod = Pod(answer(OTHER), answer(OTHER))
    ask(analyst, need(OTHER), pod=pod)
    assert ask(analyst, need(OTHER))[need(OTHER)].statements == {1, 2, 3}
    other_rules = need(OTHER, rules=Rules(exclude=("x",)))
    ask(analyst, other_rules, pod=pod)
    assert len(pod.asked) == 2
    with pytest.raises(InterpreterError):
        ask(analyst, need("3.98"))


def test_a_damaged_cache_is_made_again(analyst: Analyst) -> None:
    pod = Pod(answer(OTHER), answer(OTHER))
    ask(analyst, need(OTHER), pod=pod)
    (cached,) = analyst.cache.glob(f"*/{DIGEST.removeprefix('sha256:')}.json")
    cached.write_bytes(b'{"statements": 5')
    assert ask(analyst, need(OTHER), pod=pod)[need(OTHER)].statements == {1, 2, 3}


def test_a_text_that_cannot_be_had_has_an_error_instead_of_a_table(analyst: Analyst) -> None:
    lost = need(digest="sha256:00")
    assert "not in the run's folder" in ask(analyst, lost, need())[lost].error


def test_a_pod_with_another_version_is_passed_over_for_one_with_the_right_one(analyst: Analyst) -> None:
    pods = [Pod(answer(HOST)), Pod(answer(OTHER))]
    tables = asyncio.run(analyst.tables([need(OTHER)], {DIGEST: TEXT}.get, lambda _: pods))
    assert tables[need(OTHER)].statements
    assert [len(pod.asked) for pod in pods] == [1, 1]


def test_an_interpreter_that_forgets_a_text_is_damage(analyst: Analyst) -> None:
    with pytest.raises(DamagedError, match=r"/app/x\.py"):
        ask(analyst, need(OTHER), pod=Pod(answer(OTHER, other={})))


def test_many_texts_are_asked_for_in_portions(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podcov.edges.analysis.BATCH_BYTES", 100)
    texts = {f"sha256:{n:02}": f"x = {n}\n".encode() * 10 for n in range(5)}
    needs = [need(digest=digest) for digest in texts]
    source: Callable[[str], bytes | None] = texts.get
    tables = asyncio.run(analyst.tables(needs, source))
    assert {n.digest: len(t.statements) for n, t in tables.items()} == dict.fromkeys(texts, 10)


def test_the_zip_is_the_same_every_time_and_has_nothing_compiled() -> None:
    archive = coverage_zip(b"pass\n")
    assert archive == coverage_zip(b"pass\n")
    assert all(name.endswith(".py") for name in zipfile.ZipFile(io.BytesIO(archive)).namelist())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"format": 2, "files": {}}', b'{"format": 1}'])
def test_an_answer_that_makes_no_sense_is_damage(data: bytes) -> None:
    with pytest.raises(DamagedError, match="the pod: "):
        read_answer(data, where="the pod")


@pytest.mark.parametrize(
    "raw", [{}, {"statements": [1]}, {"statements": ["x"], "excluded": [], "multiline": [], "functions": []}]
)
def test_a_table_that_makes_no_sense_is_damage(raw: dict[str, object]) -> None:
    with pytest.raises(DamagedError, match=r"x\.py: "):
        read_table(raw, where="x.py")
