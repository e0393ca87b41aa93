"""The marked block in a file of the user's."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from podcov.generate import blocks

LINES = st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=20), max_size=8)


@settings(deadline=None)
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
