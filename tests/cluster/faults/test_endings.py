"""Pods and containers that end while the tests run: what they ran is in the report, or the ledger says why not."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.deployed("deleted", grace=20)
def test_a_deleted_pod_is_reported_with_what_its_shutdown_ran_and_so_is_its_replacement(app: Any) -> None:
    with app.tested() as tests:
        deleted = app.pod()
        assert tests.get("/first") == "first"
        app.space.kubectl("delete", "pod", deleted)
        assert tests.get("/second") == "second"
        replacement = tests.get("/whoami")
    result = tests.result
    assert result.exit_code == 0, result
    assert result.names() == {"start-up", "first", "second", "terminated", "left"}
    assert result.complete
    assert {(t["name"].split("/")[1], t["state"]) for t in result.targets} == {(deleted, "collected"), (replacement, "collected")}
