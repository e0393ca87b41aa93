"""What `--adopt` would do in place of a set-up's scripts, and how that is said. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import partial
from posixpath import basename

from podcov.generate import walk
from podcov.generate.adoption import contract
from podcov.generate.adoption.workspace import MAKEFILES, SHELL, Cut, Workspace, whole_lines

COLLECT = "podcov collect"
_KUBECTL = r"kubectl(?: --?[\w-]+(?:[= ][^\s-]\S*)?)*"
_AROUND = (
    r"cat|cd|cut|do|done|echo|export|for|grep|jq|local|mkdir|mktemp|printf|readonly|"
    r"rm|sed|set|sleep|sort|tar|tee|tr|trap|wait|while"
)
"""commands of a shell that no script does without"""
_TAKEN_BY = r"cat|curl|find|kill|ls|tar|wget"
_COMMAND = re.compile(
    rf"(?:(?:do|then)\s+)?(?:(?:{_AROUND})\b.*|{_KUBECTL} (?:get|cp|scale|wait|rollout status)\b.*|"
    rf"{_KUBECTL} exec\b.* -- (?:{_TAKEN_BY})\b.*|(?:docker|podman) cp\b.*|gocovmerge\b.*|"
    r"go tool cov(?:er|data)\b.*|go install \S*gocovmerge\S*|\w+\+?=\S*|[{}\"')]*)"
)
_BETWEEN = re.compile(r"\n|;|&&|\|\|?|&(?!\d)|\$\(|`")
_CALL = r"(?m)^(?P<before>[ \t]*(?:[@+-][ \t]*)?)(?:(?:ba)?sh[ \t]+)?(?:[\w.$(){}-]*/)*%s(?:[ \t]+[^\n;&|]*)?$"


def offered(space: Workspace, before: int) -> str:
    """What `--adopt` would do, from the journal's nth entry on; empty where it would do nothing."""
    paths = list(dict.fromkeys(entry.path for entry in space.journal[before:]))
    edits = [path for path in paths if space.text(path) is not None]
    gone = [path for path in paths if space.text(path) is None]
    parts = [f"edits {', '.join(edits)}"] * bool(edits) + [f"removes {', '.join(gone)}"] * bool(gone)
    return f"{contract.OFFER}{' and '.join(parts)}" if parts else ""


def only_collects(text: str) -> bool:
    """Whether a shell script fetches coverage data, reports on them, and does nothing else: not a test, not a threshold."""
    lines = (line for line in re.sub(r"\s*\\\n\s*", " ", text).split("\n") if not line.lstrip().startswith("#"))
    return all(_COMMAND.fullmatch(command.strip()) for command in _BETWEEN.split("\n".join(lines)))


def take_place_of(space: Workspace, scripts: Iterable[str]) -> None:
    """Have `podcov collect` called where one of these scripts is, and do without the script.

    A script that does more, or that something else names than a command of its own in a script or a Makefile, stays.
    """
    for path in scripts:
        text = space.text(path)
        users = space.uses(path)
        calls = re.compile(_CALL % re.escape(basename(path)))
        callers = list(dict.fromkeys(user.path for user in users))
        found = [call for caller in callers for call in _calls(space, caller, calls)]
        if text is None or not only_collects(text) or len(found) != len(users):
            continue
        for caller in callers:
            space.cut(caller, partial(_called_instead, calls=calls, script=basename(path)))
        space.remove(path, f"`{COLLECT}` takes its place")


def drop_commands(space: Workspace, path: str, command: re.Pattern[str], what: str) -> None:
    """Leave whole lines out of a script or a Makefile whose command fits the pattern; one that goes on in others stays."""
    space.cut(path, partial(_command_lines, command=command, what=what))


def _calls(space: Workspace, caller: str, calls: re.Pattern[str]) -> list[str]:
    return calls.findall(space.text(caller) or "") if walk.is_named(caller, SHELL + MAKEFILES) else []


def _called_instead(text: str, *, calls: re.Pattern[str], script: str) -> Iterator[Cut]:
    for call in calls.finditer(text):
        yield Cut(call.end("before"), call.end(), f"`{COLLECT}` in place of {script}", COLLECT)


def _command_lines(text: str, *, command: re.Pattern[str], what: str) -> Iterator[Cut]:
    for found in re.finditer(r"(?m)^[ \t]*(?:[@-]+[ \t]*)?(?P<command>\S[^\n]*)$", text):
        if command.fullmatch(found["command"]) and not text[: found.start()].endswith("\\\n"):
            yield whole_lines(text, found.start("command"), found.end(), what)
