"""Runs on disk: whole or not at all, and found again by name."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

import pytest
from podcov.edges.store import Store
from podcov.errors import DamagedError, NoDataError, UsageError
from podcov.raw import StoredTarget, TargetInfo

INFO = TargetInfo("orders", "shop/orders-1/app", "uid-12345678", "app", "5-77", {"alive": True})


@pytest.fixture
def run(tmp_path):
    return Store(tmp_path / ".podcov").new_run(lambda: datetime(2026, 1, 2, 3, 4, 5))


def test_a_target_reads_back_as_it_was_saved(run):
    run.save_target(INFO, {"1-2-aa.start": b"{}\n", "1-2-aa.hits": b"\0\1"})
    assert list(run.targets()) == [StoredTarget(INFO, {"1-2-aa.hits": b"\0\1", "1-2-aa.start": b"{}\n"})]


def test_the_targets_of_one_pod_are_found_among_all(run):
    other = replace(INFO, pod_uid="uid-9")
    local = TargetInfo("orders", "[a]/b", "[a]/b", "orders", "1")
    for info in (INFO, other, replace(INFO, pod_uid="uid-12345679", start_id="6-78"), local):
        run.save_target(info, {"some": b"1"})
    assert [t.info for t in run.targets("uid-9")] == [other]
    assert [t.info for t in run.targets("uid-12345678")] == [INFO]
    assert [t.info for t in run.targets("[a]/b")] == [local]


def test_a_later_pull_of_a_target_replaces_it_whole(run):
    run.save_target(INFO, {"old": b"1"})
    run.save_target(INFO, {"new": b"2"})
    assert [t.files for t in run.targets()] == [{"new": b"2"}]


@pytest.mark.parametrize(
    ("info", "folder"),
    [
        (INFO, "raw/orders/app.uid-1234.app.5-77"),
        (TargetInfo("orders", "orders-2", "orders-2", "orders", "1"), "raw/orders/orders-2.1"),
    ],
)
def test_the_folder_of_a_target_is_named_after_what_it_is(run, info, folder):
    assert run.save_target(info, {}) == run.path / folder


def test_a_file_name_never_leaves_the_run(run):
    run.save_target(INFO, {"../../escape": b"x"})
    assert list(run.path.parent.parent.rglob("*escape")) == [next(run.path.rglob("*escape"))]


def test_sources_are_kept_by_digest(run):
    run.add_source("sha256:ab", b"x = 1\n")
    assert run.source("sha256:ab") == b"x = 1\n"
    assert run.source("sha256:cd") is None


def test_latest_follows_what_was_finished_last(tmp_path):
    store = Store(tmp_path)
    first, second = (store.new_run(datetime.now) for _ in range(2))
    store.set_latest(first)
    store.set_latest(second)
    assert store.run().id == second.id
    assert store.run(first.id).id == first.id


def test_no_run_and_unknown_runs_are_told_apart(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(NoDataError, match="no run yet"):
        store.run()
    with pytest.raises(UsageError, match="no run 'nope'") as caught:
        store.run("nope")
    assert caught.value.hint == "begin with: podcov run"
    store.new_run(datetime.now).write("run.json", b"{}")
    with pytest.raises(UsageError, match="no run 'nope'") as caught:
        store.run("nope")
    assert re.fullmatch(r"name one of the last: 2\S+; without a name it is the latest", caught.value.hint)


def test_a_damaged_description_is_named(run):
    folder = run.save_target(INFO, {})
    (folder / "target.json").write_text("{")
    with pytest.raises(DamagedError, match=r"target\.json"):
        list(run.targets())


def test_git_ignores_all_of_it(run):
    assert "*" in (run.path.parent.parent / ".gitignore").read_text().splitlines()
