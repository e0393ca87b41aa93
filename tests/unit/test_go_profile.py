"""Go's text profiles: read, written, merged, and refused where they are not of one source."""

from __future__ import annotations

import contextlib
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import DamagedError, MergeError, NoDataError
from podcov.formats.go_profile import LARGEST, Block, Mode, Profile, dump, merge, parse

FILES = ("example.com/shop/cart/cart.go", "example.com/shop/cart-api/a.go", "/src/local.go")


def block(line: int, *, file: str = FILES[0], length: int = 1, statements: int = 1) -> Block:
    return Block(file, line, 2, line + length, 3, statements)


ALL_BLOCKS = [block(10 * line, file=file, length=line) for file in FILES for line in range(1, 5)]


def profiles(mode: Mode) -> st.SearchStrategy[Profile]:
    """Of one source: blocks are equal or apart."""
    largest = 1 if mode == "set" else LARGEST
    counts = st.one_of(st.integers(0, min(3, largest)), st.integers(0, largest))
    return st.dictionaries(st.sampled_from(ALL_BLOCKS), counts).map(lambda found: Profile(mode, found))


modes: st.SearchStrategy[Mode] = st.sampled_from(["set", "count", "atomic"])


def merged(*given_profiles: Profile) -> Profile:
    return merge({f"{number}.out": profile for number, profile in enumerate(given_profiles)})


@given(modes.flatmap(profiles))
def test_what_is_written_is_read(profile: Profile) -> None:
    assert parse(dump(profile)) == profile


def test_blocks_stand_in_gos_order() -> None:
    """By package first: `cart` before `cart-api`, although `/` sorts behind `-`."""
    profile = Profile("set", dict.fromkeys((block(3, file=FILES[1]), block(20), block(3, length=9), block(3)), 1))
    assert dump(profile).decode() == (
        "mode: set\n"
        "example.com/shop/cart/cart.go:3.2,4.3 1 1\n"
        "example.com/shop/cart/cart.go:3.2,12.3 1 1\n"
        "example.com/shop/cart/cart.go:20.2,21.3 1 1\n"
        "example.com/shop/cart-api/a.go:3.2,4.3 1 1\n"
    )


@given(modes.flatmap(lambda mode: st.lists(profiles(mode), min_size=1, max_size=3)))
def test_merging_does_not_depend_on_order_or_grouping(some: list[Profile]) -> None:
    expected = merged(*some)
    assert all(merged(*order) == expected for order in permutations(some))
    assert reduce(merged, some) == expected


@given(profiles("set"))
def test_merging_sets_twice_changes_nothing(profile: Profile) -> None:
    assert merged(profile, profile) == profile


@given(profiles("count"), profiles("count"))
def test_counts_are_added_and_stop_at_the_largest(one: Profile, other: Profile) -> None:
    for of, count in merged(one, other).counts.items():
        assert count == min(one.counts.get(of, 0) + other.counts.get(of, 0), 0xFFFFFFFF)


def test_blocks_that_stand_there_again_are_merged() -> None:
    """As `go test -coverpkg=./... ./...` writes them, or `cat` of several profiles."""
    text = b"mode: count\na/b.go:1.2,3.4 5 6\nmode: count\r\na/b.go:1.2,3.4 5 7\n"
    assert parse(text) == Profile("count", {Block("a/b.go", 1, 2, 3, 4, 5): 13})
    assert parse(b"mode: set\na.go:1.2,3.4 1 1\na.go:1.2,3.4 1 0\n").counts == {Block("a.go", 1, 2, 3, 4, 1): 1}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (b"", "p:1: byte 0: ", "ends in the middle of a line"),
        (b"\n", "p:1: byte 0: ", "no line of a Go profile"),
        (b"a.go:1.2,3.4 5 6\n", "p:1: byte 0: ", "should be `mode: ...`"),
        (b"mode: hits\n", "p:1: byte 0: ", "no line of a Go profile: 'mode: hits'"),
        (b"mode: set\na.go:1.2,3.4 1 1\nmode: count\n", "p:3: byte 27: ", "no line of a set profile"),
        (b"mode: set\na.go:1.2,3.4 1\n", "p:2: byte 10: ", "no line of a set profile"),
        (b"mode: set\na.go:1.2,3.4 1 1", "p:2: byte 26: ", "ends in the middle of a line"),
        (b"mode: set\n:1.2,3.4 1 1\n", "p:2: byte 10: ", "no line"),
        ("mode: set\na.go:١.2,3.4 1 1\n".encode(), "p:2: byte 10: ", "no line"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_byte(text: bytes, where: str, what: str) -> None:
    with pytest.raises(DamagedError) as raised:
        parse(text, name="p")
    assert raised.value.message.startswith(where)
    assert what in raised.value.message


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text().map(lambda text: f"mode: set\n{text}\n".encode())))
def test_any_bytes_are_a_profile_or_damage(data: bytes) -> None:
    with contextlib.suppress(DamagedError):
        profile = parse(data)
        assert parse(dump(profile)) == profile


def test_profiles_of_different_modes_are_named() -> None:
    with pytest.raises(MergeError, match=r"set: a\.out, c\.out; atomic: b\.out") as raised:
        merge({"a.out": Profile("set", {}), "b.out": Profile("atomic", {}), "c.out": Profile("set", {})})
    assert "-covermode" in raised.value.hint


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(NoDataError):
        merge({})


@pytest.mark.parametrize(
    "other",
    [
        block(10, length=3),
        block(10, statements=2),
        block(9, length=5),
        Block(FILES[0], 10, 4, 10, 9, 1),
        block(2, length=30),
    ],
)
def test_blocks_of_changed_sources_overlap_and_are_named(other: Block) -> None:
    old = Profile("count", {block(4): 1, block(10): 1, block(20): 0})
    changed = Profile("count", {block(4): 1, other: 1, block(40): 0})
    with pytest.raises(MergeError) as raised:
        merge({"old.out": old, "same.out": old, "changed.out": changed})
    assert raised.value.message.startswith(f"{FILES[0]}: its blocks in old.out and changed.out are not of the same source: ")
    assert "overlap" in raised.value.message
    with pytest.raises(MergeError):
        merge({"changed.out": changed, "old.out": old})


def test_a_profile_may_lack_blocks_that_another_has() -> None:
    """Generated code is often filtered out of profiles."""
    one = Profile("count", {block(4): 1, block(10): 2})
    other = Profile("count", {block(10): 3, block(20): 0})
    assert merge({"one.out": one, "other.out": other}).counts == {block(4): 1, block(10): 5, block(20): 0}


def test_an_overlap_with_the_third_is_found_where_the_first_two_are_apart() -> None:
    one, two = Profile("set", {block(4): 1}), Profile("set", {block(10): 1})
    three = Profile("set", {block(4): 1, block(10, length=4): 1})
    with pytest.raises(MergeError, match="overlap"):
        merge({"one.out": one, "two.out": two, "three.out": three})
