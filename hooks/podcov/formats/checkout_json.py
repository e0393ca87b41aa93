"""`checkout.json` (schema `podcov/checkout/1`): the project's files as they were when a run was first examined.

Reports of the run that are made later count these: a checkout moves on, and what a run did not load stays what it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from podcov.errors import DamagedError

SCHEMA = "podcov/checkout/1"


@dataclass(frozen=True, slots=True)
class CheckoutRecord:
    """Paths are relative to the project, with `/`."""

    files: Mapping[str, str]
    """path -> `sha256:<hex>`"""
    unloaded: Mapping[str, tuple[str, ...]]
    """service -> those of `files` that count even if no process of it loads them; their texts are in the run's `sources/`"""


def dump(record: CheckoutRecord) -> bytes:
    """Same record, same bytes."""
    document = {
        "schema": SCHEMA,
        "files": dict(sorted(record.files.items())),
        "unloaded": {service: sorted(paths) for service, paths in sorted(record.unloaded.items())},
    }
    return json.dumps(document, indent=1).encode("ascii") + b"\n"


def load(content: bytes, *, name: str = "checkout.json") -> CheckoutRecord:
    """Raises DamagedError for what is not a checkout of this schema."""
    try:
        value = json.loads(content)
        if value["schema"] != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        files = {str(path): str(digest) for path, digest in value["files"].items()}
        unloaded = {str(service): tuple(map(str, paths)) for service, paths in value["unloaded"].items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedError(
            f"{name}: is not the record of a checkout that this podcov can read: {error}",
            hint="delete it, and the report counts the files of the checkout as it is now",
        ) from None
    return CheckoutRecord(files, unloaded)
