"""The ledger names everything that should have answered and did not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.accounting import ProcessFacts, TargetFacts, Unregistered, pair, settle
from podcov.platform import DELETED, ContainerStart, CourierAddress

POD = CourierAddress("orders", "shop", "orders-1", "uid-1", "podcov-courier", True, ("app",))
START = ContainerStart(POD, "orders", "app", "containerd://a", 0, started=100.0)
PROCESS = ProcessFacts("7-1-aa", ("gunicorn",), "recording", recording="mapped", hits=True, alive=True)
TARGET = TargetFacts("orders", "shop/orders-1/app", "uid-1/app/s1", "uid-1", "app", 100.4, processes=(PROCESS,))


def account(starts=(START,), targets=(TARGET,), **more):
    return settle(starts, targets, **{"services": ["orders"], "run": "r", "marked_at": 110.0, **more})


def entry(**facts):
    [target] = account(targets=[replace(TARGET, **facts)]).ledger.targets
    return target


def process(**facts):
    [only] = entry(processes=(replace(PROCESS, **facts),)).processes
    return only


def test_a_target_whose_processes_all_answered_is_collected():
    ledger = account().ledger
    assert ledger.complete
    assert (ledger.target_counts.expected, ledger.target_counts.collected) == (1, 1)
    assert (ledger.process_counts.expected, ledger.process_counts.collected) == (1, 1)


def test_what_ran_after_the_mark_of_another_run_is_not_in_this_one():
    overtaken = entry(runs=("r", "theirs"), overtaken_by="theirs")
    assert (overtaken.state, overtaken.slug) == ("failed", "overtaken")
    assert overtaken.reason.startswith("theirs marked it since, and what ran from then on counts there: ")


def test_a_target_that_ran_nothing_of_ours_is_empty_and_complete():
    ledger = account(targets=[replace(TARGET, processes=(replace(PROCESS, hits=False),))]).ledger
    assert ledger.targets[0].state == "empty"
    assert ledger.complete


def test_a_container_start_without_records_is_a_failure():
    ledger = account(targets=[]).ledger
    assert (ledger.targets[0].slug, ledger.targets[0].name) == ("no-records", "shop/orders-1/app")
    assert not ledger.complete


def test_what_one_courier_of_a_pod_could_not_hand_over_fails_its_own_containers_only():
    one, two = (replace(POD, part=name, containers=(of,)) for name, of in (("one", "app"), ("two", "worker")))
    starts = [replace(START, address=one), replace(START, address=two, container="worker", service="workers")]
    targets = [TARGET, replace(TARGET, service="workers", id="uid-1/worker/s1", container="worker")]
    settled = account(starts, targets, lost={"uid-1/one": "gone"}, unreached={"uid-1/one": "gone"}).ledger.targets
    assert [(target.service, target.state, target.slug) for target in settled] == [
        ("orders", "failed", "lost"),
        ("workers", "collected", ""),
    ]


def test_what_may_be_wrong_is_said_in_the_words_of_the_services_language():
    [target] = account(targets=[], unseen={"orders": "is it no Go?"}).ledger.targets
    assert target.reason == "no process registered: is the data volume full or not writable, or is it no Go?"


def test_what_its_own_records_say_is_missing_is_a_failure_of_the_process():
    told = process(missing=("not-atomic", "build it otherwise"))
    assert (told.state, told.slug, told.reason) == ("failed", "not-atomic", "build it otherwise")


def test_what_is_true_of_a_process_all_the_same_is_noted():
    assert (process(note="by its differences").state, process(note="by its differences").note) == (
        "collected",
        "by its differences",
    )


def test_a_language_may_say_what_to_do_about_what_it_does_not_support():
    told = process(state="unsupported", reason="no -cover", missing=("unsupported", "no -cover; build with it"))
    assert (told.slug, told.reason) == ("unsupported", "no -cover; build with it")
    assert process(state="unsupported", reason="no -cover").reason == "no -cover"


def test_what_is_known_of_a_lost_pod_is_its_reason():
    ledger = account(targets=[], lost={"uid-1": "the pod was deleted before its data were taken"}).ledger
    assert ledger.targets[0].slug == "lost"
    assert "before its data were taken" in ledger.targets[0].reason


def test_a_target_whose_last_data_could_not_be_taken_is_lost_and_counts_with_what_is_here():
    settled = account(lost={"uid-1": "the pod ended before its last data could be taken"})
    [target] = settled.ledger.targets
    assert (target.state, target.slug) == ("failed", "lost")
    assert settled.counted == {TARGET.id}


def test_what_an_earlier_start_of_a_lost_pod_ran_is_all_here():
    again = replace(START, container_id="containerd://b", restart=1, started=120.0)
    later = replace(TARGET, id="uid-1/app/s2", first_time=120.5)
    starts = [replace(START, finished=119.0, ended="OOMKilled"), again]
    ledger = account(starts, [TARGET, later], lost={"uid-1": "gone"}).ledger
    assert [target.state for target in ledger.targets] == ["collected", "failed"]


@pytest.mark.parametrize(
    ("facts", "start", "slug"),
    [
        ({}, {}, "mark-unanswered"),
        ({"runs": ("r",)}, {}, "mark-unanswered"),
        ({"first_time": 120.0}, {"started": 119.0}, ""),
        ({}, {"finished": 105.0}, ""),
    ],
    ids=["it ran then", "its epoch was noted and its processes were not told", "it came later", "it had ended before"],
)
def test_where_the_mark_did_not_get_to_this_run_cannot_be_told_from_what_was_before(facts, start, slug):
    ledger = account([replace(START, **start)], [replace(TARGET, **facts)], unreached={"uid-1": "no answer"}).ledger
    assert [target.slug for target in ledger.targets] == [slug]


@pytest.mark.parametrize("marked_at", [50.0, 110.0, 500.0], ids=["a clock that is slow", "the same clock", "one that is fast"])
def test_which_starts_the_mark_missed_is_known_whatever_the_clocks_say(marked_at: float):
    again = replace(START, container_id="containerd://b", restart=1, started=120.0)
    later = replace(TARGET, id="uid-1/app/s2", first_time=120.5)
    starts = [replace(START, finished=119.0, ended="Error"), again]
    told = account(starts, [TARGET, later], unreached={"uid-1": "no answer"}, missed={"uid-1": ["app/0"]}, marked_at=marked_at)
    assert [target.slug for target in told.ledger.targets] == ["mark-unanswered", ""]


@pytest.mark.parametrize("marked_at", [50.0, 500.0], ids=["a clock that is slow", "one that is fast"])
def test_a_container_whose_program_had_not_begun_missed_no_mark(marked_at: float):
    told = account([START], [TARGET], unreached={"uid-1": "it has not begun"}, missed={"uid-1": []}, marked_at=marked_at)
    assert [target.state for target in told.ledger.targets] == ["collected"]
    assert told.counted == {TARGET.id}


def test_a_container_that_never_started_is_a_failure():
    ledger = account([replace(START, started=None, ended="ErrImagePull")], []).ledger
    assert ledger.targets[0].slug == "never-started"
    assert "ErrImagePull" in ledger.targets[0].reason


AWAITED = replace(
    START,
    address=replace(POD, pod="orders-2", pod_uid="uid-2"),
    container_id="",
    started=None,
    ended="ContainerCreating",
    awaited=True,
)


def test_a_container_that_has_not_begun_has_run_nothing_and_says_so():
    ledger = account([START, AWAITED], lost={"uid-2": "no answer"}).ledger
    assert ledger.complete
    assert [(target.state, target.slug) for target in ledger.targets] == [("collected", ""), ("empty", "not-begun")]
    assert ledger.targets[1].reason == "it had not begun when the run ended, so nothing of it can have run"


def test_a_service_of_which_nothing_has_begun_is_a_failure():
    [target] = account([AWAITED], []).ledger.targets
    assert (target.state, target.slug) == ("failed", "not-begun")
    assert "no container of its service has begun" in target.reason


def test_what_was_gone_before_anybody_told_whether_it_had_begun_may_have_run_something():
    vanished = replace(START, started=None, ended=DELETED)
    [target] = account([vanished], []).ledger.targets
    assert (target.state, target.slug) == ("failed", "lost")
    assert target.reason == "its pod was gone before anybody told whether it had begun (deleted by force?)"
    [target] = account([vanished], [], lost={"uid-1": "no answer"}).ledger.targets
    assert target.reason.endswith("; no answer")


def test_one_that_waits_for_its_courier_says_what_the_courier_said():
    waiting = replace(START, started=None, ended="PodInitializing")
    (target,) = account([waiting], [], lost={START.address.pod_uid: "it ended with exit code 2"}).ledger.targets
    assert (target.slug, target.reason) == (
        "never-started",
        "the container never started: PodInitializing: it ended with exit code 2",
    )


def test_a_service_without_any_target_makes_the_ledger_incomplete():
    ledger = account(services=["orders", "catalog"]).ledger
    assert ledger.services_without_targets == ("catalog",)
    assert not ledger.complete


@pytest.mark.parametrize(
    ("facts", "slug"),
    [
        ({"state": "unsupported", "reason": "Python 3.9"}, "unsupported"),
        ({"state": "failed", "reason": "cannot map"}, "recording-failed"),
        ({"state": "torn"}, "damaged"),
        ({"damage": ("word 7 names no file",)}, "damaged"),
        ({"full": True}, "volume-full"),
        ({"broken": True}, "recording-failed"),
        ({"overflow": True}, "overflow"),
        ({"trace_replaced": True}, "trace-replaced"),
    ],
)
def test_every_trouble_of_a_process_is_a_named_failure(facts, slug):
    only = process(**facts)
    assert (only.state, only.slug) == ("failed", slug)
    assert only.reason


def test_a_full_volume_is_named_with_what_to_do():
    assert "give its data volume (`podcov-data`, or with a number) a larger sizeLimit" in process(full=True).reason


def test_an_unacknowledged_mark_is_a_failure_of_its_process():
    target = entry(unmarked={"7-1-aa": "did not answer in 20 s"})
    assert target.processes[0].slug == "mark-unanswered"
    assert "did not answer in 20 s" in target.processes[0].reason


def test_a_process_ended_between_saves_is_collected_with_the_bound_stated():
    only = process(recording="saved", save_interval=2.0, alive=False)
    assert only.state == "collected"
    assert "at most its last 2 s" in only.note


def test_mapped_recording_loses_nothing_and_says_nothing():
    assert process(alive=False).note == ""


def test_interpreters_that_never_registered_are_failures_unless_ignored():
    stray = Unregistered(9, 55, ("python3", "-I", "helper.py"))
    assert [p.slug for p in entry(unregistered=(stray,)).processes] == ["", "unregistered"]
    ledger = account(targets=[replace(TARGET, unregistered=(stray,))], ignore={"orders": [r"helper\.py"]}).ledger
    assert ledger.complete


def test_restarts_are_paired_with_their_folders_by_time():
    first = replace(START, finished=130.0, ended="OOMKilled")
    second = replace(START, container_id="containerd://b", restart=1, started=131.0)
    later = replace(TARGET, id="uid-1/app/s2", first_time=131.6)
    assert pair([second, first], [later, TARGET]) == [(first, TARGET), (second, later)]
    entries = account([first, second], [later, TARGET]).ledger.targets
    assert [(e.id, e.start, e.ended) for e in entries] == [("uid-1/app/s1", 0, "OOMKilled"), ("uid-1/app/s2", 1, "")]


def test_a_restart_that_left_nothing_is_missing_even_when_the_next_one_did():
    first = replace(START, finished=130.0, ended="Error")
    second = replace(START, container_id="containerd://b", restart=1, started=140.0)
    later = replace(TARGET, id="uid-1/app/s2", first_time=140.5)
    assert pair([first, second], [later]) == [(first, None), (second, later)]


def test_a_start_that_an_earlier_run_counted_is_not_counted_again():
    ended = replace(START, finished=105.0)
    done = replace(TARGET, runs=("earlier",))
    assert account([ended], [done], services=[]).ledger.targets == ()
    assert account([ended], [done], services=[]).counted == frozenset()


def test_a_crash_before_the_first_mark_counts_as_start_up():
    assert account([replace(START, finished=105.0)], [TARGET]).counted == {"uid-1/app/s1"}


@given(st.lists(st.tuples(st.floats(1, 50), st.floats(0, 50), st.booleans()), max_size=8))
def test_pairing_loses_and_invents_nothing(lives):
    clock, starts, folders = 0.0, [], []
    for number, (up, down, recorded) in enumerate(lives):
        begin, end = clock, clock + up
        clock = end + down
        starts.append(replace(START, container_id=str(number), restart=number, started=begin, finished=end))
        if recorded:
            folders.append(replace(TARGET, id=str(number), first_time=begin + up / 2))
    pairs = pair(starts, folders)
    assert [s for s, _ in pairs if s] == starts
    assert sorted(t.id for _, t in pairs if t) == sorted(f.id for f in folders)


@pytest.mark.parametrize(("marked_at", "counted"), [(105.9, {"uid-1/app/s1"}), (107.0, set())])
def test_a_container_that_ends_in_the_second_of_the_mark_is_of_the_new_run(marked_at, counted):
    """Kubernetes says 105 for anything up to 106; the mark's time is that of the container's own node."""
    ended = replace(START, finished=105.0)
    target = replace(TARGET, runs=("earlier", "r"), marked_at=marked_at)
    assert account([ended], [target], services=[], marked_at=500.0).counted == counted


@pytest.mark.parametrize(
    ("alive", "saved_at_end", "slug"),
    [(True, False, ""), (False, True, ""), (False, False, "lost")],
    ids=["runs", "clean", "killed"],
)
def test_what_a_service_that_measures_itself_did_not_write_at_its_end_is_lost(alive: bool, saved_at_end: bool, slug: str):
    assert process(recording="dumped", alive=alive, saved_at_end=saved_at_end).slug == slug
