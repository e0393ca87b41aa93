"""`run.json` (schema `podcov/run/1`): what was observed in a run beside the raw data: what reports are made again from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from podcov.errors import DamagedError
from podcov.platform import ContainerStart, CourierAddress

SCHEMA = "podcov/run/1"


@dataclass(frozen=True, slots=True)
class SuiteRecord:
    """The test command and how it ended. `exit_code` is None where no tests were run, or while they run."""

    command: tuple[str, ...] = ()
    exit_code: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are Unix seconds. `unmarked` and `undumped`: `<pod uid>/<container>/<start id>` -> process id -> reason."""

    id: str
    platform: str
    context: str = ""
    started: float = 0.0
    finished: float | None = None
    marked: float | None = None
    services: tuple[str, ...] = ()
    git: Mapping[str, Any] | None = None
    tests: SuiteRecord = field(default_factory=SuiteRecord)
    starts: tuple[ContainerStart, ...] = ()
    unmarked: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    undumped: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    """courier's id -> why nothing, or not what it ran last, could be pulled"""
    unreached: Mapping[str, str] = field(default_factory=dict)
    """courier's id -> why this run's mark did not get there"""
    missed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """courier's id -> the container starts that ran when it did not get there, as `<container>/<restart>`; maybe none"""


def dump(record: RunRecord) -> bytes:
    return json.dumps({"schema": SCHEMA, **asdict(record)}, indent=2, ensure_ascii=False, default=dict).encode() + b"\n"


def load(content: bytes, *, name: str = "run.json") -> RunRecord:
    """Raises DamagedError for what is not a run of this schema."""
    try:
        value = json.loads(content)
        if value.pop("schema", None) != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        tests = value.pop("tests")
        return RunRecord(
            **{
                **value,
                "services": tuple(value["services"]),
                "tests": SuiteRecord(**{**tests, "command": tuple(tests["command"])}),
                "starts": tuple(_start(s) for s in value["starts"]),
            }
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedError(f"{name}: is not a run that this podcov can read: {error}", hint="run the tests again") from None


def _start(value: dict[str, Any]) -> ContainerStart:
    address = value.pop("address")
    return ContainerStart(address=CourierAddress(**{**address, "containers": tuple(address["containers"])}), **value)
