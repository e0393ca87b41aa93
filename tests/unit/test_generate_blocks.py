"""The marked blocks in a file of the user's: what goes in comes out again, byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.generate import blocks

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20), max_size=8)


@given(body=LINES, before=LINES, after=LINES, indent=st.sampled_from(["", "  ", "    "]))
def test_what_is_written_is_found_unedited(body: list[str], before: list[str], after: list[str], indent: str) -> None:
    written = blocks.write("\n".join(body), indent)
    around = [f"{line}\n" for line in before], [f"{line}\n" for line in after]
    found = blocks.find([*around[0], *written, *around[1]])
    assert found is not None
    assert (found.first, found.last, found.indent) == (len(before), len(before) + len(written) - 1, indent)
    assert not found.edited


def test_an_edit_is_noticed() -> None:
    lines = blocks.write("one\ntwo\n")
    lines[1] = "One\n"
    found = blocks.find(lines)
    assert found is not None
    assert found.edited


def test_a_block_without_its_end_is_none() -> None:
    assert blocks.find(blocks.write("one\n")[:-1]) is None


TEXTS = st.lists(st.sampled_from(["a: 1", "  - b", "\t# tab", "", "  ", "---", "é: \u2028 \x0c", "profiles:"]), max_size=7)


@given(lines=TEXTS, end=st.booleans(), newline=st.sampled_from(["\n", "\r\n"]), body=LINES, data=st.data())
def test_a_block_that_came_in_comes_out_byte_for_byte(
    lines: list[str], end: bool, newline: str, body: list[str], data: st.DataObject
) -> None:
    text = newline.join(lines) + (newline if end and lines else "")
    split = blocks.split(text)
    assert "".join(split) == text
    with_block = "".join(blocks.insert(split, data.draw(st.integers(0, len(split))), "\n".join(["load()", *body]), "  "))
    assert blocks.remove(with_block) == text
    (block,) = blocks.find_all(blocks.split(with_block))
    assert not block.edited
    assert "".join(blocks.replace(blocks.split(with_block), block, "load()\n")).count("load()") == 1
    assert blocks.remove("".join(blocks.replace(blocks.split(with_block), block, "load()"))) == text


def test_a_block_has_the_line_ends_of_the_file_and_other_line_ends_are_no_edit() -> None:
    text = "".join(blocks.insert(["a: 1\r\n"], 1, "b: 2"))
    assert text.count("\r\n") == text.count("\n")
    assert not blocks.edited(text)
    assert not blocks.edited(text.replace("\r\n", "\n"))
    assert blocks.edited(text.replace("b: 2", "b: 3"))


@pytest.mark.parametrize("text", ["a: 1\rb: 2\r", "a: 1\nb: 2\r", "a: 1\r\nb: 2\r", "a: 1\r\nb: 2"])
def test_a_last_line_of_whatever_end_is_given_back(text: str) -> None:
    lines = blocks.split(text)
    assert blocks.remove("".join(blocks.insert(lines, len(lines), "c: 3"))) == text


def test_several_blocks_come_out_together() -> None:
    lines = [*blocks.write("one"), "mine\n", *blocks.write("two", "  "), *blocks.write("three")]
    assert [block.body[0].strip() for block in blocks.find_all(lines)] == ["one", "two", "three"]
    assert blocks.remove("".join(lines)) == "mine\n"


@given(before=TEXTS, after=TEXTS)
def test_what_stands_around_a_blanked_block_keeps_its_line(before: list[str], after: list[str]) -> None:
    lines = [*(f"{line}\n" for line in before), *blocks.write("one\ntwo"), *(f"{line}\n" for line in after)]
    assert blocks.split(blocks.blanked("".join(lines))) == [*lines[: len(before)], *["\n"] * 4, *lines[len(before) + 4 :]]


@pytest.mark.parametrize(
    ("after", "left"),
    [
        ("  - name: mine\n", "profiles:\n  - name: mine\n"),
        ("- name: mine\n", "profiles:\n- name: mine\n"),
        ("  # the next is mine\n\n  - name: mine\n", "profiles:\n  # the next is mine\n\n  - name: mine\n"),
        ("deploy: {}\n", "deploy: {}\n"),
        ("  # only a comment\n", "  # only a comment\n"),
        ("---\nkind: Config\n", "---\nkind: Config\n"),
        ("", ""),
    ],
)
def test_the_key_of_a_block_stays_where_the_user_wrote_entries_beneath_it(after: str, left: str) -> None:
    block = "".join(blocks.write("profiles:\n  - name: coverage"))
    assert blocks.remove(f"a: 1\n{block}{after}") == f"a: 1\n{left}"
