"""What a run was, from its `summary.json`, as pairs of a name and a text for people. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from podcov import signals
from podcov.reports.wording import plain


def facts(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Run, platform, commit, tests and how it ended; what is not known is left out."""
    return [(name, plain(text)) for name, text in _facts(summary) if text]


def _facts(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "run", summary.get("run") or ""
    yield "platform", summary.get("platform") or ""
    git = summary.get("git")
    if git:
        branch = f" on {git['branch']}" if git.get("branch") else ""
        changed = ", with changes that are not committed" if git.get("dirty") else ""
        yield "commit", f"{str(git.get('commit'))[:12]}{branch}{changed}"
    tests = summary.get("tests")
    if tests:
        yield "tests", _tests(tests)
    outcome = summary.get("exit")
    if outcome:
        reason = f" ({outcome['reason']})" if outcome.get("reason") else ""
        yield "exit code", f"{outcome.get('code')}{reason}"


def _tests(tests: Mapping[str, Any]) -> str:
    command = shlex.join(tests.get("command") or ())
    code, seconds = tests.get("exit_code"), tests.get("seconds")
    took = f" in {seconds:.1f} s" if seconds is not None else ""
    return f"{command} {_ended(code)}{took}".strip()


def _ended(code: int | None) -> str:
    if not code:
        return "did not end" if code is None else "passed"
    interrupted_by = signals.interrupted_by(code)
    return f"was interrupted by {interrupted_by}, exit code {code}," if interrupted_by else f"failed with exit code {code}"
