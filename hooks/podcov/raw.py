"""Raw data as pulled, and the folder that keeps them: what stands between collecting and converting."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


def digest_of(content: bytes) -> str:
    """What a text is known by: `sha256:<hex>`."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


@dataclass(frozen=True, slots=True)
class TargetInfo:
    """What is known of a pulled target beside its files: whose it is, and how its courier described it."""

    service: str
    address: str
    """`namespace/pod/container`, or the service's name locally"""
    pod_uid: str
    """locally as `address`"""
    container: str
    start_id: str
    courier: Mapping[str, Any] = field(default_factory=dict)
    """the courier's own description of the target, as it stood in the bundle's manifest"""

    @property
    def id(self) -> str:
        return f"{self.pod_uid}/{self.container}/{self.start_id}"


@dataclass(frozen=True, slots=True)
class StoredTarget:
    info: TargetInfo
    files: Mapping[str, bytes]
    """name in the target folder -> content"""


class RawStore(Protocol):
    """Where one run's raw data lie."""

    def save_target(self, info: TargetInfo, files: Mapping[str, bytes]) -> object:
        """Stores a target. A later pull of the same target replaces an earlier one as a whole."""

    def targets(self, pod_uid: str = "") -> Iterator[StoredTarget]:
        """Every pulled target, or those of one pod, in a stable order. Raises DamagedError."""

    def add_source(self, digest: str, content: bytes) -> None: ...

    def source(self, digest: str) -> bytes | None:
        """The text that ran, by `sha256:<hex>`; None where it was never had."""
