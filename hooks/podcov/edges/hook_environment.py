"""What Skaffold and Tilt tell a hook through its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podcov.errors import UsageError


@dataclass(frozen=True, slots=True)
class SkaffoldHook:
    """Skaffold's lifecycle hook variables: https://skaffold.dev/docs/lifecycle-hooks/ ."""

    context: str
    namespaces: tuple[str, ...]
    run_id: str


def skaffold(environment: Mapping[str, str]) -> SkaffoldHook:
    """Raises UsageError outside a Skaffold hook."""
    run_id = environment.get("SKAFFOLD_RUN_ID", "")
    if not run_id:
        raise UsageError(
            "this is the hook that Skaffold calls after a deploy, and SKAFFOLD_RUN_ID is not set",
            hint="by hand, use: podcov run",
        )
    namespaces = environment.get("SKAFFOLD_NAMESPACES") or environment.get("SKAFFOLD_KUBE_NAMESPACES") or ""
    return SkaffoldHook(
        context=environment.get("SKAFFOLD_KUBE_CONTEXT", ""),
        namespaces=tuple(n for n in namespaces.split(",") if n),
        run_id=run_id,
    )
