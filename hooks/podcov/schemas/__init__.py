"""The JSON schemas of what podcov reads and writes, as published for editors and other tools."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any


@cache
def schema(name: str) -> dict[str, Any]:
    """The schema in `NAME.json`; part of the package like its code, so this asks nothing of the outside."""
    loaded: dict[str, Any] = json.loads(resources.files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return loaded
