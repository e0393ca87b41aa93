"""Kinds that a test adds to a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def defined(
    cluster: Any, wait_until: Callable[..., object], *, group: str, version: str, kind: str, plural: str
) -> Iterator[None]:
    """The cluster serves a namespaced kind that takes anything, until this is left; then others may define it anew."""
    name, schema = f"{plural}.{group}", {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [served]},
    }
    cluster.run("kubectl", "apply", "--filename", "-", stdin=json.dumps(definition))
    try:
        # `kubectl wait` fails while nobody has set a condition yet, and what is established may not be among the kinds yet.
        look = ("kubectl", "get", name, "--all-namespaces")
        wait_until(lambda: cluster.run(*look, check=False).returncode == 0, 90, f"{name} is served")
        yield
    finally:
        cluster.run("kubectl", "delete", "crd", name)
