"""What a process that measures itself ran between two of its dumps, whether or not it clears its counters with each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from podcov.formats import go_counters, go_profile
from podcov.formats.go_meta import GoFunction, GoPackage, Meta
from podcov.formats.go_profile import Block, Profile
from podcov.languages.go_dumps import (
    Counts,
    Dump,
    added,
    by_epoch,
    counter_file,
    counts_of,
    counts_of_profile,
    habit,
    largest,
    profile_with,
)

SIZES = {(0, 0): 2, (0, 1): 3, (1, 0): 1, (1, 1): 2}
MAIN, INIT = (0, 0), (1, 0)


def function(name: str, size: int, line: int) -> GoFunction:
    return GoFunction(
        name, "example.com/shop/a.go", False, tuple(Block("a.go", line + n, 1, line + n, 9, 1) for n in range(size))
    )


def meta(mode: str = "atomic", *names: str) -> Meta:
    first, second, third, fourth = names or ("main", "work", "init", "help")
    functions = (function(first, 2, 1), function(second, 3, 10)), (function(third, 1, 20), function(fourth, 2, 30))
    packages = tuple(GoPackage(path, path, "", "", own) for path, own in zip(("main", "lib"), functions, strict=True))
    return Meta("0a" * 16, mode, "perblock", packages)  # type: ignore[arg-type]


@st.composite
def stretches(draw: Any) -> list[tuple[int, Counts]]:
    """What ran between the dumps of one process, and the epoch of each: `main` and an `init` are entered in the first alone."""
    epochs = sorted(draw(st.lists(st.integers(0, 3), min_size=2, max_size=6)))
    ran = []
    for number, epoch in enumerate(epochs):
        counts = {key: draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)) for key, size in SIZES.items()}
        for key in (MAIN, INIT):
            counts[key][0] = 1 if number == 0 else 0
        ran.append((epoch, {key: own for key, own in counts.items() if any(own)}))
    return ran


def in_epochs(ran: Sequence[tuple[int, Counts]]) -> dict[int, Counts]:
    return {epoch: plain(added(own for e, own in ran if e == epoch)) for epoch in {epoch for epoch, _ in ran}}


def plain(counts: Counts) -> dict[Any, list[int]]:
    """Without functions that did not run: there is no difference."""
    return {key: list(own) for key, own in counts.items() if any(own)}


@given(stretches())
def test_dumps_that_clear_are_what_ran_since_the_one_before(ran: list[tuple[int, Counts]]) -> None:
    dumps = [Dump(epoch, own) for epoch, own in ran]
    assert habit([dumps], meta()) == "cleared"
    assert {epoch: plain(own) for epoch, own in by_epoch(dumps, "cleared").items()} == in_epochs(ran)


@given(stretches(), st.sampled_from(["count", "atomic"]))
def test_dumps_that_do_not_clear_count_by_their_difference(ran: list[tuple[int, Counts]], mode: str) -> None:
    totals = accumulate((own for _, own in ran), lambda one, other: added([one, other]))
    dumps = [Dump(epoch, total) for (epoch, _), total in zip(ran, totals, strict=True)]
    assert habit([dumps], meta(mode)) == "kept"
    assert {epoch: plain(own) for epoch, own in by_epoch(dumps, "kept").items()} == in_epochs(ran)


@given(stretches())
def test_what_one_process_of_a_build_shows_is_true_of_all(ran: list[tuple[int, Counts]]) -> None:
    """A process that ran the same again and again could be of either kind."""
    same = [Dump(0, {(0, 1): [1, 0, 0]}), Dump(1, {(0, 1): [1, 0, 0]})]
    assert habit([same], meta()) == "unknown"
    assert habit([same, [Dump(epoch, own) for epoch, own in ran]], meta()) == "cleared"


def test_what_is_not_known_to_have_run_in_an_epoch_is_not_counted_for_it() -> None:
    same = [Dump(0, {(0, 1): [1, 0, 0]}), Dump(1, {(0, 1): [1, 2, 0]})]
    assert by_epoch(same, habit([same], None)) == {0: {(0, 1): [1, 0, 0]}, 1: {(0, 1): [0, 2, 0]}}


def test_go_clears_in_mode_atomic_only() -> None:
    dumps = [Dump(0, {(0, 1): [1, 0, 0]}), Dump(1, {(0, 1): [1, 0, 0]})]
    assert [habit([dumps], meta(mode)) for mode in ("set", "count", "atomic")] == ["kept", "kept", "unknown"]


def test_functions_called_main_in_other_packages_may_run_often() -> None:
    dumps = [Dump(0, {(1, 1): [1, 0]}), Dump(1, {(1, 1): [1, 0]})]
    assert habit([dumps], meta("atomic", "work", "help", "run", "main")) == "unknown"


@pytest.mark.parametrize(("put", "together"), [(largest, [3, 5]), (added, [4, 7])])
def test_files_of_one_epoch_are_put_together(put: Any, together: list[int]) -> None:
    assert put([{(0, 0): [3, 2]}, {(0, 0): [1, 5], (0, 1): [1, 1, 1]}]) == {(0, 0): together, (0, 1): [1, 1, 1]}


KEYS = st.tuples(st.integers(0, 3), st.integers(0, 3))
COUNTS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)


@given(st.dictionaries(KEYS, COUNTS))
def test_a_file_made_of_counts_has_these(counts: dict[Any, list[int]]) -> None:
    read = go_counters.parse(counter_file("0b" * 16, counts))
    assert (read.meta_hash, plain(counts_of(read))) == ("0b" * 16, plain(counts))


@given(st.data())
def test_a_profile_is_the_same_with_its_own_counts(data: st.DataObject) -> None:
    blocks = st.builds(Block, st.sampled_from(["a.go", "b.go"]), *[st.integers(1, 5)] * 5)
    profile = Profile("count", data.draw(st.dictionaries(blocks, st.integers(0, 9))))
    counts = counts_of_profile(profile)
    assert profile_with(profile, counts) == profile
    assume(counts)
    assert set(profile_with(profile, {}).counts.values()) == {0}
    assert go_profile.merge({"one": profile}) == profile


def test_sums_stop_where_gos_counters_do() -> None:
    most = go_profile.LARGEST
    read = go_counters.parse(counter_file("0b" * 16, added([{(0, 0): [most]}, {(0, 0): [most]}])))
    assert plain(counts_of(read)) == {(0, 0): [most]}
