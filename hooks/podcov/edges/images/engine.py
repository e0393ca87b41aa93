"""What the Docker engine or Podman of this machine says of an image, through their own command lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from podcov.generate.images import config as image_config
from podcov.generate.images.dockerfile import Image

_PROGRAMS = ("docker", "podman")


class Engines:
    """Asks whichever engine is there; one that once took too long is not asked again."""

    def __init__(self, *, seconds: float = 3.0) -> None:
        self._seconds = seconds
        self._silent: set[str] = set()

    def image(self, name: str) -> Image | None:
        """What the first engine says that has it. None: no engine, none that answers, or none that has it."""
        for program in _PROGRAMS:
            config = self._config(program, name)
            if config is not None:
                return image_config.read(config, said_by=f"{program} has the image")
        return None

    def _config(self, program: str, name: str) -> dict[str, Any] | None:
        if program in self._silent or shutil.which(program) is None:
            return None
        command = [program, "image", "inspect", name]
        try:
            done = subprocess.run(command, capture_output=True, timeout=self._seconds, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired):
            self._silent.add(program)
            return None
        return _config_of(done.stdout) if done.returncode == 0 else None


def _config_of(answer: bytes) -> dict[str, Any] | None:
    try:
        config = json.loads(answer)[0]["Config"]
    except (ValueError, LookupError, TypeError):
        return None
    return config if isinstance(config, dict) else None
