"""YAML that every parser reads the same."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from podcov.generate.kubernetes import yaml_text
from ruamel.yaml import YAML

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=40)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(),
    lambda inner: st.lists(inner, min_size=1, max_size=4) | st.dictionaries(TEXT.filter(bool), inner, min_size=1, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT.filter(bool), VALUES, min_size=1))
def test_what_is_written_is_read_back_by_yaml_1_1_and_1_2(value: dict) -> None:
    text = yaml_text.dump(value)
    assert yaml.safe_load(text) == value
    assert YAML(typ="safe", pure=True).load(text) == value


@pytest.mark.parametrize(
    "text", ["yes", "No", "null", "~", "1", "1.5", "1e3", "0x1f", "12:30", "2024-01-01", "=", "", "a: b", "- a", "&a", "a #b"]
)
def test_what_could_be_taken_for_something_else_is_quoted(text: str) -> None:
    assert yaml_text.dump([text]) == f'  - "{text}"\n'.replace("  - ", "- ")


@pytest.mark.parametrize("text", ["orders", "--bind", "/dev/shm", "orders.app:app", "../../k8s", "64Mi", "10m", "podcov-data"])
def test_what_cannot_is_not(text: str) -> None:
    assert yaml_text.dump([text]) == f"- {text}\n"


def test_lists_are_indented_and_programs_stand_as_they_are() -> None:
    assert (
        yaml_text.dump({"command": ["python3", "-c", "one\n  two\n"]})
        == "command:\n  - python3\n  - -c\n  - |\n    one\n      two\n"
    )
