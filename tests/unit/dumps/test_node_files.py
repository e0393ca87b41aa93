"""Files of a folder that all pods of a node share: each goes to the container start that may have written it, and to one only."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.dumps.contract import Piece
from podcov.dumps.node_files import NANO, Shares, Tenant, share_out

BUILD = "0" * 32


def piece(moment: float, pid: int = 1) -> Piece:
    time = round(moment * NANO)
    name = f"covcounters.{BUILD}.{pid}.{time}"
    return Piece(name, name, pid, time, BUILD)


def tenant(pod: str, began: float, finished: float | None = None, *, ended: bool | None = None, restart: int = 0) -> Tenant:
    return Tenant(pod, "app", restart, began, finished is not None if ended is None else ended, finished)


def owners(shares: Shares) -> dict[str, str]:
    return {name: f"{owner.pod}/{owner.restart}" for name, owner in shares.items()}


def test_each_end_has_the_file_that_was_written_at_it() -> None:
    first, second = piece(100.4), piece(107.9)
    shares = share_out([first, second], [tenant("b", 50, 107), tenant("a", 50, 100)], {}, {})
    assert owners(shares) == {first.name: "a/0", second.name: "b/0"}


def test_what_was_there_before_a_container_began_is_nobody_s() -> None:
    assert share_out([piece(40.0)], [tenant("a", 50, 100)], {}, {}) == {}


def test_a_container_that_runs_has_written_nothing_of_its_own_yet() -> None:
    assert share_out([piece(100.4)], [tenant("a", 50)], {}, {}) == {}


def test_an_end_without_a_file_takes_no_other_s() -> None:
    only = piece(100.4)
    shares = share_out([only], [tenant("a", 50, 100), tenant("b", 50, 300)], {}, {})
    assert owners(shares) == {only.name: "a/0"}


def test_who_has_a_file_keeps_it_whoever_ends_later() -> None:
    """Two that end in one second, and are taken one after the other."""
    first, second = piece(100.2), piece(100.7)
    before = share_out([first, second], [tenant("a", 50, 100), tenant("b", 50)], {}, {})
    after = share_out([first, second], [tenant("a", 50, 100), tenant("b", 50, 100)], before, {})
    assert len(before) == 1
    assert set(before) < set(after)
    assert sorted(owners(after).values()) == ["a/0", "b/0"]


def test_other_processes_of_a_container_are_its_own_too() -> None:
    own, helper = piece(100.4), piece(80.0, pid=17)
    shares = share_out([own, helper], [tenant("a", 50, 100)], {}, {})
    assert owners(shares) == {own.name: "a/0", helper.name: "a/0"}


def test_what_was_there_at_a_mark_is_of_no_process_that_ended_later() -> None:
    old = piece(99.5)
    assert share_out([old], [tenant("a", 50, 100)], {}, {old.name: 99.9}) == {}
    assert share_out([old], [tenant("a", 50, 99)], {}, {old.name: 101.0}) != {}


def test_where_nothing_told_when_it_ended_any_later_file_may_be_its() -> None:
    only = piece(100.4)
    assert owners(share_out([only], [tenant("a", 50, ended=True)], {}, {})) == {only.name: "a/0"}


@pytest.mark.parametrize("restarts", [1, 3])
def test_restarts_of_a_container(restarts: int) -> None:
    ends = [100.0 + 20 * number for number in range(restarts + 1)]
    tenants = [tenant("a", end - 15, float(int(end)), restart=number) for number, end in enumerate(ends)]
    pieces = [piece(end + 0.3) for end in ends]
    assert owners(share_out(pieces, tenants, {}, {})) == {p.name: f"a/{number}" for number, p in enumerate(pieces)}


@given(st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=8))
def test_every_clean_end_finds_a_file_of_its_own(ends: list[tuple[float, bool]]) -> None:
    """However close together they are; those that ended without writing get none."""
    tenants = [tenant(f"pod-{number}", 0.0, float(int(100 + end))) for number, (end, _) in enumerate(ends)]
    pieces = [piece(100 + end + number * 1e-6) for number, (end, wrote) in enumerate(ends) if wrote]
    shares: Shares = {}
    for known in range(len(tenants) + 1):
        running = [Tenant(t.pod, t.container, t.restart, t.began, ended=False) for t in tenants[known:]]
        shares = share_out(pieces, [*tenants[:known], *running], shares, {})
    assert len({owner.pod for owner in shares.values()}) == len(shares)
    assert len(shares) <= len(pieces)
    if all(wrote for _, wrote in ends):
        assert len(shares) == len(tenants)
