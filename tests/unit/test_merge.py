"""Merging is a union: order, grouping and repetition don't matter, and nothing that ran is forgotten."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.merge import by_path, by_service, divergent, merge
from podcov.model import Arc, FileCoverage, Function, Region

epochs = st.lists(st.integers(0, 3), unique=True).map(lambda found: tuple(sorted(found)))


@st.composite
def regions(draw: st.DrawFn) -> tuple[Region, ...]:
    lines = draw(st.lists(st.integers(1, 8), unique=True))
    return tuple(
        Region((line, 0), (line + draw(st.integers(0, 1)), 0), 1, draw(st.integers(0, 3)), draw(epochs)) for line in sorted(lines)
    )


@st.composite
def arcs(draw: st.DrawFn) -> tuple[Arc, ...]:
    ways = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(-2, 4)), unique=True))
    return tuple(Arc(a, b, draw(st.integers(0, 2)), draw(epochs), draw(st.booleans())) for a, b in sorted(ways))


@st.composite
def coverage(draw: st.DrawFn) -> FileCoverage:
    """Coverage of one and the same file, in the order in which merging leaves things."""
    mode = draw(st.sampled_from(["line", "branch"]))
    return FileCoverage(
        service=draw(st.sampled_from(["api", "web", "worker"])),
        path="shop/cart.py",
        language="python",
        digest="sha256:aa",
        origin=draw(st.sampled_from(["local", "recorded", "missing"])),
        mode=mode,
        regions=draw(regions()),
        arcs=draw(arcs()) if mode == "branch" else (),
        functions=tuple(sorted(draw(st.sets(st.builds(Function, st.sampled_from("fg"), st.integers(1, 2), st.just(9)))))),
        excluded=tuple(sorted(draw(st.sets(st.integers(1, 9))))),
        package=draw(st.sampled_from(["", "shop"])),
        recorded_paths=tuple(sorted(draw(st.sets(st.sampled_from(["/app/cart.py", "/srv/cart.py"]))))),
        counting=draw(st.sampled_from(["", "set", "count", "atomic"])),
    )


@given(coverage(), coverage())
def test_the_order_does_not_matter(one: FileCoverage, other: FileCoverage) -> None:
    assert merge(one, other) == merge(other, one)


@given(coverage(), coverage(), coverage())
def test_the_grouping_does_not_matter(one: FileCoverage, other: FileCoverage, third: FileCoverage) -> None:
    assert merge(merge(one, other), third) == merge(one, merge(other, third))


@given(coverage(), coverage())
def test_merging_again_changes_nothing(one: FileCoverage, other: FileCoverage) -> None:
    assert merge(one, one) == one
    assert merge(merge(one, other), other) == merge(one, other)


@given(coverage(), coverage())
def test_what_ran_anywhere_ran(one: FileCoverage, other: FileCoverage) -> None:
    merged = merge(one, other)
    assert merged.covered_lines == one.covered_lines | other.covered_lines
    for file in (one, other):
        assert {r.start for r in file.regions} <= {r.start for r in merged.regions}


@given(st.lists(coverage(), max_size=5))
def test_services_that_share_a_file_become_one(files: list[FileCoverage]) -> None:
    merged = by_path(files)
    assert len(merged) == (1 if files else 0)
    assert by_path(reversed(files)) == by_path(by_service(files)) == merged
    if files:
        assert merged[0].service == ", ".join(sorted({f.service for f in files}))


def test_files_of_other_paths_services_and_texts_are_kept_apart() -> None:
    file = FileCoverage("web", "a.py", "python", "sha256:aa", "local", "line", (Region((1, 0), (1, 0), hits=1),))
    others = [file, replace(file, path="b.py"), replace(file, digest="sha256:bb"), replace(file, service="api")]
    for order in permutations(others):
        assert [(f.path, f.service, f.digest) for f in by_service(order)] == [
            ("a.py", "api", "sha256:aa"),
            ("a.py", "web", "sha256:aa"),
            ("a.py", "web", "sha256:bb"),
            ("b.py", "web", "sha256:aa"),
        ]
        assert [(f.path, f.digest) for f in by_path(order)] == [
            ("a.py", "sha256:aa"),
            ("a.py", "sha256:bb"),
            ("b.py", "sha256:aa"),
        ]


def test_two_texts_at_one_path_are_warned_about() -> None:
    file = FileCoverage("web", "a.py", "python", "sha256:aa", "local", "line", ())
    assert divergent([file, replace(file, service="api"), replace(file, path="b.py")]) == ()
    assert divergent([file, replace(file, service="api", digest="sha256:bb")]) == (
        "a.py: 2 different versions of it ran, in api and web; each is reported on its own",
    )


def test_files_that_are_not_the_same_are_refused() -> None:
    file = FileCoverage("web", "a.py", "python", "sha256:aa", "local", "line", ())
    with pytest.raises(ValueError, match="not the same file"):
        merge(file, replace(file, digest="sha256:bb"))


def test_where_one_has_no_arcs_nothing_is_said_about_branches() -> None:
    lines = FileCoverage("web", "a.py", "python", "sha256:aa", "local", "line", (Region((1, 0), (1, 0), hits=1, epochs=(0,)),))
    branches = replace(lines, mode="branch", arcs=(Arc(1, 2, 1, (1,)), Arc(1, 3)))
    merged = reduce(merge, [branches, lines, branches])
    assert (merged.mode, merged.arcs, merged.numbers.branches) == ("line", (), 0)
