"""checkout.json reads back as it was written, and says when it is not one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError
from podcov.formats.checkout_json import CheckoutRecord, dump, load

PATHS = st.text(st.characters(codec=None), min_size=1)  # a path that is no UTF-8 has lone surrogates


@given(
    st.dictionaries(PATHS, st.just("sha256:c0ffee")),
    st.dictionaries(st.text(), st.lists(PATHS, unique=True).map(sorted).map(tuple)),
)
def test_it_reads_back_as_written(files: dict[str, str], unloaded: dict[str, tuple[str, ...]]) -> None:
    record = CheckoutRecord(files, unloaded)
    assert load(dump(record)) == record


def test_the_same_checkout_is_the_same_bytes() -> None:
    one = CheckoutRecord({"a.py": "1", "b.py": "2"}, {"web": ("a.py", "b.py")})
    assert dump(one) == dump(CheckoutRecord(dict(reversed(one.files.items())), {"web": ("b.py", "a.py")}))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"schema": "podcov/checkout/2"}', b'{"schema": "podcov/checkout/1"}'])
def test_what_is_no_checkout_is_named(content: bytes) -> None:
    with pytest.raises(DamagedError, match=r"runs/x/checkout\.json: is not the record of a checkout"):
        load(content, name="runs/x/checkout.json")
