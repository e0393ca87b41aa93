"""Target folders of services that measure themselves: each file is told with the start of the container that wrote it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.dumps.contract import Piece, Process, Start
from podcov.dumps.folders import NANO, Asked, Facts, describe, files, folders
from podcov.dumps.journal import Journal
from podcov.formats.courier import target_status
from podcov.formats.records import EpochRecord, parse_target

NAME = re.compile(r"epochs?|\d+-\d+-[0-9a-f]{8}\.(start|end|\d+\.\d+\.(covcounters|profile))")
CRASHED = Start(0, "containerd://a", began=100, finished=110)
"""in whole seconds: it ended somewhere between 110 and 111"""
RUNNING = Start(1, "containerd://b", began=110, running=True)


def counters(second: float, pid: int = 1) -> Piece:
    name = f"covcounters.{'0' * 32}.{pid}.{int(second * NANO)}"
    return Piece(name, name, pid, int(second * NANO), meta="0" * 32)


def profile(second: float) -> Piece:
    return Piece(f"cover.out.{second}", f"cover.out.{second}", 1, int(second * NANO), life=int(second * NANO))


def test_what_was_written_at_an_end_is_of_the_start_that_ended_although_the_next_began_in_that_second() -> None:
    first, second = folders("app", [CRASHED, RUNNING], [counters(110.4), counters(112.0)], [Process(1, ("/app",))], Journal())
    assert [len(one.pieces) for one in (first, second)] == [1, 1]
    assert first.processes[0].wrote_at_end
    assert second.processes[0].alive


def test_a_start_that_wrote_nothing_is_told_all_the_same() -> None:
    first, _ = folders("app", [CRASHED, RUNNING], [], [], Journal())
    assert [(p.pid, p.alive, p.wrote_at_end) for p in first.processes] == [(1, False, False)]


def test_a_start_that_nobody_saw_is_told_because_another_followed() -> None:
    unseen = Start(0, "0", finished=110)
    first, _ = folders("app", [unseen, RUNNING], [], [], Journal())
    assert [(p.pid, p.alive, p.wrote_at_end) for p in first.processes] == [(1, False, False)]


def test_a_container_that_never_started_left_no_folder() -> None:
    assert not folders("app", [Start(0, "")], [], [], Journal())


def test_what_a_process_wrote_because_it_was_asked_says_nothing_of_its_end() -> None:
    piece = counters(105)
    [folder] = folders("app", [CRASHED], [piece], [], Journal(asked=frozenset({piece.key})))
    assert not folder.processes[0].wrote_at_end


def test_what_somebody_else_asked_for_says_nothing_of_an_end_long_after_it() -> None:
    [folder] = folders("app", [CRASHED], [counters(105)], [], Journal())
    assert not folder.processes[0].wrote_at_end


def test_who_was_killed_wrote_nothing_at_its_end_however_shortly_before_somebody_else_asked() -> None:
    [folder] = folders("app", [replace(CRASHED, killed=True)], [counters(110.3)], [], Journal())
    assert [process.wrote_at_end for process in folder.processes] == [False]


def test_a_program_behind_a_shell_ends_with_its_container_where_it_is_what_serves() -> None:
    asked, unasked = counters(103, pid=7), counters(105, pid=7)
    [folder] = folders("app", [CRASHED], [asked, unasked], [], Journal(asked=frozenset({asked.key})))
    assert not folder.processes[0].wrote_at_end


def test_a_program_that_another_started_may_end_long_before_its_container() -> None:
    [folder] = folders("app", [CRASHED], [counters(105, pid=7), counters(110.2)], [], Journal())
    assert [(p.pid, p.wrote_at_end) for p in folder.processes] == [(1, True), (7, True)]


def test_an_end_that_nobody_saw_is_not_held_against_what_was_written_before() -> None:
    unseen = Start(0, "0", finished=110)
    first, _ = folders("app", [unseen, RUNNING], [counters(101)], [], Journal())
    assert first.processes[0].wrote_at_end


def test_a_start_is_in_epoch_0_up_to_the_first_mark_after_it_began() -> None:
    before, first, second = counters(105), counters(112), counters(113)
    kept = Journal(
        epochs=(EpochRecord(1, "one", "tests", 0), EpochRecord(2, "two", "tests", 0)),
        epoch_of={before.key: 1, first.key: 1},
        last_starts={1: 0, 2: 1},
    )
    both = folders("app", [CRASHED, RUNNING], [before, first, second], [], kept, in_parts=True)
    assert [[one.journal.of(piece) for piece in one.pieces] for one in both] == [[1], [0, 2]]
    assert [[e.run for e in one.epochs] for one in both] == [["one", "two"], ["two"]]
    together = folders("app", [CRASHED, RUNNING], [before, first, second], [], kept)
    assert [[one.journal.of(piece) for piece in one.pieces] for one in together] == [[1], [1, 2]]


def test_a_start_that_ended_between_two_runs_is_of_the_one_before() -> None:
    kept = Journal((EpochRecord(1, "one", "tests", 0), EpochRecord(2, "two", "tests", 0)), last_starts={1: 0, 2: 2})
    between = Start(1, "containerd://b", began=110, finished=120)
    _, ended, running = folders("app", [CRASHED, between, Start(2, "c", 120, running=True)], [], [], kept, in_parts=True)
    assert [[e.run for e in one.epochs] for one in (ended, running)] == [["one", "two"], ["two"]]


def test_lives_that_another_run_counted_are_not_told() -> None:
    lives = [profile(112), profile(113), profile(114)]
    epochs = tuple(EpochRecord(n, f"run {n}", "tests", 0) for n in (1, 2))
    kept = Journal(epochs, {lives[0].key: 0, lives[1].key: 1})
    [folder] = folders("app", [RUNNING], lives, [Process(1, ())], kept)
    assert folder.pieces == (lives[0], lives[2])
    [mine] = folders("app", [RUNNING], lives, [Process(1, ())], kept, Asked(runs=["run 1"]))
    assert mine.pieces == tuple(lives)


def test_a_container_tells_of_itself_where_all_of_its_lives_are_of_another_run() -> None:
    lives = [profile(105), profile(110.2)]
    kept = Journal(tuple(EpochRecord(n, f"run {n}", "tests", 0) for n in (1, 2)), {one.key: 1 for one in lives})
    [ended] = folders("app", [CRASHED], lives, [], kept)
    assert ended.pieces == (lives[1],)
    [running] = folders("app", [Start(0, "a", began=100, running=True)], lives, [Process(1, ())], kept)
    assert [(p.alive, p.pieces) for p in running.processes] == [(True, ())]


def test_each_life_of_a_test_binary_is_a_process_that_has_ended() -> None:
    [folder] = folders("app", [RUNNING], [profile(112), profile(113)], [Process(1, ("/restart.sh",))], Journal())
    assert [(p.alive, p.wrote_at_end) for p in folder.processes] == [(False, True)] * 2


def test_the_life_that_a_container_ended_in_is_told_where_its_profile_was_asked_for() -> None:
    piece = profile(105)
    [folder] = folders("app", [CRASHED], [piece], [], Journal(asked=frozenset({piece.key})))
    assert [p.wrote_at_end for p in folder.processes] == [True, False]


def test_the_life_that_a_deleted_pod_ended_in_is_told_before_its_status_is() -> None:
    piece = profile(112)
    [folder] = folders("app", [RUNNING], [piece], [], Journal(asked=frozenset({piece.key})))
    assert [p.wrote_at_end for p in folder.processes] == [True, False]


@pytest.mark.parametrize("start", [CRASHED, RUNNING])
def test_what_is_started_again_in_a_pod_that_ends_is_not_missed(start: Start) -> None:
    piece = profile(105)
    [folder] = folders("app", [start], [piece], [], Journal(asked=frozenset({piece.key})), Asked(last={piece.key}))
    assert [p.wrote_at_end for p in folder.processes] == [True]
    [told] = describe(folder, Facts())["processes"]
    assert "what was started again in that pod" in told["reason"]


def test_a_container_may_end_with_the_life_that_was_asked_to() -> None:
    piece = profile(110.2)
    [folder] = folders("app", [CRASHED], [piece], [], Journal(asked=frozenset({piece.key})))
    assert [p.wrote_at_end for p in folder.processes] == [True]


starts = st.lists(st.integers(0, 50), min_size=1, max_size=5).map(
    lambda lengths: [
        Start(n, f"containerd://{n}", began=sum(lengths[:n]), finished=sum(lengths[: n + 1]), running=False)
        for n in range(len(lengths))
    ]
)
pieces = st.lists(
    st.builds(counters, st.floats(0, 300), st.integers(1, 3)) | st.builds(profile, st.floats(0.001, 300)),
    unique_by=lambda piece: piece.key,
)


@given(starts, pieces, st.dictionaries(st.integers(0, 9), st.integers(0, 3)))
def test_each_piece_is_in_one_folder_and_in_its_epoch(known: list[Start], left: list[Piece], epochs: dict[int, int]) -> None:
    marks = tuple(EpochRecord(number, "run", "tests", 0) for number in range(1, 4))
    kept = Journal(marks, {left[n].key: epoch for n, epoch in epochs.items() if n < len(left)})
    found = folders("app", known, sorted(left, key=lambda piece: piece.time), [], kept)
    assert sorted(p.key for folder in found for p in folder.pieces) == sorted(p.key for p in left)
    for folder in found:
        contents = files(folder, Facts(), {piece.name: piece.key.encode() for piece in folder.pieces})
        assert all(NAME.fullmatch(name) for name in contents)
        data = [name.split(".") for name in contents if name.endswith(("covcounters", "profile"))]
        told = {contents[".".join(parts)].decode(): int(parts[1]) for parts in data}
        assert told == {piece.key: kept.of(piece) for piece in folder.pieces}
        assert not parse_target(contents).damage
        assert {p.id for p in target_status(describe(folder, Facts(), [])).processes} == {
            name.partition(".")[0] for name in contents
        } - {
            "epoch",
            "epochs",
        }
