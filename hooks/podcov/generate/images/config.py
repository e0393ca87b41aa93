"""What an image's configuration says, as Docker engines and registries keep it. Pure.

Both the OCI image specification and Docker's own have these keys, though each leaves out what is empty as it likes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podcov.generate.images.dockerfile import Image

_BASE_NAME = "org.opencontainers.image.base.name"
_BUILDPACKS = "io.buildpacks.lifecycle.metadata"


def read(config: Mapping[str, Any], *, said_by: str) -> Image:
    """The image of a configuration's `Config` (of `docker image inspect`) or `config` (of a registry's blob).

    `base` is what its labels say it is built on, empty where they do not.
    """
    labels = {str(name): str(value) for name, value in _mapping(config.get("Labels")).items()}
    return Image(
        base=labels.get(_BASE_NAME, ""),
        entrypoint=_texts(config.get("Entrypoint")),
        cmd=_texts(config.get("Cmd")),
        env=dict(_variable(text) for text in _texts(config.get("Env"))),
        workdir=_text(config.get("WorkingDir")) or "/",
        user=_text(config.get("User")),
        shell=_texts(config.get("Shell")) or Image("").shell,
        onbuild=_texts(config.get("OnBuild")),
        labels=labels,
        said_by=said_by,
    )


def by_buildpacks(image: Image) -> bool:
    """Whether Cloud Native Buildpacks made it: their launcher alone knows where the interpreter is."""
    return _BUILDPACKS in image.labels


def _variable(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
