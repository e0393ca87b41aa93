"""What tells files that podcov wrote from files that somebody edited."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.generate import seal

FILES = {"Tiltfile": b"one\ntwo\n", "overlay/tracer.so.z": b"x\x9c\x00\r\n\xff", "overlay/kustomization.yaml": "é\n".encode()}


def test_sha256sum_reads_the_list(tmp_path: Path) -> None:
    for name, content in {**FILES, seal.NAME: seal.write(FILES)}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    subprocess.run(["sha256sum", "--check", "--strict", seal.NAME], cwd=tmp_path, check=True, capture_output=True)
    assert seal.read(seal.write(FILES)) == {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_other_line_ends_are_no_edit(text: str) -> None:
    assert seal.digest(text.replace("\n", "\r\n").encode()) == seal.digest(text.encode())
    assert seal.digest(f"{text}.".encode()) != seal.digest(text.encode())


@pytest.mark.parametrize("content", [b"\x00\r\n", b"\xff\r\n"])
def test_what_is_no_text_has_no_line_ends(content: bytes) -> None:
    assert seal.digest(content) == hashlib.sha256(content).hexdigest()


def test_the_list_may_have_other_line_ends_too() -> None:
    assert seal.read(seal.write(FILES).replace(b"\n", b"\r\n")) == seal.read(seal.write(FILES))


@given(st.text(st.characters(codec="utf-8")))
def test_a_signed_text_is_as_it_was_written_until_somebody_edits_it(text: str) -> None:
    signed = seal.signed(text).encode("utf-8")
    assert seal.is_as_signed(signed)
    assert not seal.is_as_signed(text.encode("utf-8"))
    for edited in (b"#" + signed, signed + b"x: 1\n", signed.replace(b"`podcov init`", b"me")):
        assert not seal.is_as_signed(edited)


@pytest.mark.parametrize("text", ["", "a: 1\n", "a: 1", "a: 1\r\n"])
def test_a_signed_text_may_have_other_line_ends(text: str) -> None:
    signed = seal.signed(text)
    assert signed.startswith(text)
    assert seal.is_as_signed(signed.replace("\r\n", "\n").replace("\n", "\r\n").encode())


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"\n"])
def test_what_nobody_signed_is_not_as_signed(content: bytes) -> None:
    assert not seal.is_as_signed(content)
