"""What an image runs, asked of the engine of this machine, then of its registry. Bounded in time, and never an error."""

from __future__ import annotations

import asyncio
import threading

from podcov.edges.images.engine import Engines
from podcov.generate.images import names as image_names
from podcov.generate.images.commands import Unknown
from podcov.generate.images.dockerfile import Image
from podcov.generate.images.names import Reference


class ImageLookup:
    """Asks for each image once. A registry that cannot be reached is not asked for its other images."""

    def __init__(self, *, seconds: float = 5.0) -> None:
        """`seconds` is what a registry is given to answer."""
        self._seconds = seconds
        self._engines = Engines()
        self._answers: dict[str, Image | Unknown] = {}
        self._silent: dict[str, Unknown] = {}

    def __call__(self, name: str) -> Image | Unknown:
        """What is known of the image of that name, or why nothing is."""
        if name not in self._answers:
            self._answers[name] = self._ask(name)
        return self._answers[name]

    def _ask(self, name: str) -> Image | Unknown:
        reference = image_names.parse(name)
        if reference is None:
            return Unknown(f"{name!r} is no image name")
        return self._engines.image(name) or self._silent.get(reference.registry) or self._from_registry(reference)

    def _from_registry(self, reference: Reference) -> Image | Unknown:
        # Here, for an HTTP client is a large part of a start-up, and most commands ask no registry.
        from podcov.edges.images import credentials, registry

        answers: list[Image | Unknown] = []

        def ask() -> None:
            login = credentials.login(reference.registry)
            answers.append(asyncio.run(registry.image(reference, login, seconds=self._seconds)))

        # In a thread, for the look-up of a host name can block for longer than any time that it is given.
        thread = threading.Thread(target=ask, daemon=True, name="podcov-registry")
        thread.start()
        thread.join(self._seconds + 1)
        late = Unknown(f"the registry {reference.registry} did not answer within {self._seconds:g} seconds", silent=True)
        answer = answers[0] if answers else late
        if isinstance(answer, Unknown) and answer.silent:
            self._silent[reference.registry] = answer
        return answer


lookup = ImageLookup()
"""The one for a whole run of the command line."""
