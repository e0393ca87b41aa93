"""Scalars as kubectl, Helm and Skaffold read them, and documents with their text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import ManifestError
from podcov.generate.kubernetes import kubernetes_yaml, yaml_text


def value(text: str) -> Any:
    (document,) = kubernetes_yaml.load(f"a: {text}\n", name="x")
    return document["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(word, True) for word in ("y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE")],
        *[(word, False) for word in ("n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE")],
        ("yEs", "yEs"),
        ("'yes'", "yes"),
        ("0644", 0o644),
        ("0o17", 15),
        ("0O17", 15),
        ("0x1F", 31),
        ("0X1F", 31),
        ("0b11", 3),
        ("-0b11", -3),
        ("+5", 5),
        ("1_000", 1000),
        ("1.5_0", 1.5),
        ("089", 89.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", float(2**64)),
        ("0xFFFFFFFFFFFFFFFFFF", "0xFFFFFFFFFFFFFFFFFF"),
        ("1e400", "1e400"),
        ("12:30:45", "12:30:45"),
        ("1.2.3", "1.2.3"),
        ("100m", "100m"),
        ("2024-01-01", "2024-01-01"),
        ("2024-01-01T10:00:00Z", "2024-01-01T10:00:00Z"),
        ("=", "="),
        ("~", None),
        ("null", None),
        ("-", [None]),
        ("'~'", "~"),
    ],
)
def test_scalars_are_what_go_yaml_makes_of_them(text: str, expected: object) -> None:
    found = value(text) if text != "-" else kubernetes_yaml.load("a:\n  -\n", name="x")[0]["a"]
    assert found == expected
    assert isinstance(found, type(expected))


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-01-01T10:00:00Z", "yes", "0644", "1.5_0", "1e400", "'2024-01-01'", '"yes"', "0x1F"]
)
def test_what_is_written_again_is_read_as_the_same(text: str) -> None:
    first = kubernetes_yaml.load(f"a: {text}\n", name="x")
    written = yaml_text.dump(first[0])
    assert kubernetes_yaml.load(written, name="x") == first
    if text.startswith("2024"):
        assert written == f"a: {text}\n"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40))
def test_every_text_survives(text: str) -> None:
    assert kubernetes_yaml.load(yaml_text.dump({"a": text}), name="x") == [{"a": text}]


def test_the_pieces_of_a_stream_are_the_stream() -> None:
    stream = '# é😀\u2028\n---\nkind: "é"\n# c\n---\n---\nkind: 1\n...\n# d\n---\nkind: |\n  é\n'
    pieces = kubernetes_yaml.split(stream, name="x")
    assert "".join(piece.text for piece in pieces) == stream
    assert [dict(piece.document) for piece in pieces] == [{"kind": "é"}, {}, {"kind": 1}, {"kind": "é\n"}]


@pytest.mark.parametrize(
    ("text", "doubled"),
    [
        ("a: 1\nb: 2\n", None),
        ("a: 1\nb: {c: 1, c: 2}\n", (2, "c")),
        ("a:\n  - x: 1\n    y: 2\n    x: 3\na: 4\n", (4, "x")),
        ("base: &b {a: 1}\nnext: &n {<<: *b, a: 2}\nlast: {<<: *n, a: 3}\n", None),
    ],
)
def test_a_key_that_stands_twice_is_found(text: str, doubled: tuple[int, str] | None) -> None:
    assert kubernetes_yaml.doubled_key(text) == doubled


def test_what_is_no_yaml_is_named_with_its_line() -> None:
    with pytest.raises(ManifestError, match=r"^x:3: this is no YAML: "):
        kubernetes_yaml.load("a: 1\n---\nb: 2: 3\n", name="x")
