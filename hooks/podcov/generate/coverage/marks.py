"""By what it shows in a manifest that something of it is podcov's. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from podcov.generate.coverage.parties import WRAPPER


def is_marked(name: str, value: str) -> bool:
    return name.startswith("PODCOV_") or "/podcov/" in value


def is_trace(variable: Mapping[str, Any]) -> bool:
    return "value" in variable and is_marked(variable["name"], str(variable["value"]))


def config_maps_of(volume: Mapping[str, Any]) -> list[str]:
    """The names of those that bring a wrapper; none of a volume that is not ours."""
    if not re.fullmatch(rf"{WRAPPER}(-[0-9]+)?", volume["name"]):
        return []
    sources = (volume.get("projected") or {}).get("sources") or ()
    return [source["configMap"]["name"] for source in sources if "configMap" in source]
