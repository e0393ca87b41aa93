"""What a Go service's image needs from its build: `-cover`, and podcov in the toolchain where podcov records. Pure."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from podcov import assets
from podcov.config import Service
from podcov.generate import project
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.rebuild import DerivedDockerfile, Rebuild
from podcov.generate.languages import go_buildpacks, go_dockerfile
from podcov.generate.project import Project

_COVER = ("-cover",)
_CLEARABLE = ("-cover", "-covermode=atomic")
"""Go clears counters only in this mode, which what writes and clears them on a signal needs"""
_ATOMIC = "-covermode="


@dataclass(frozen=True, slots=True)
class GoRebuild:
    """`flags` are for `go build`; `records` is whether podcov gets into the toolchain."""

    flags: tuple[str, ...]
    records: bool
    folder: str = "go"

    def joined(self, other: Rebuild) -> Rebuild:
        if not isinstance(other, GoRebuild):
            return self
        return GoRebuild(tuple(dict.fromkeys((*self.flags, *other.flags))), self.records or other.records)

    def dockerfile(self, text: str, arguments: Mapping[str, str]) -> DerivedDockerfile | None:
        if self.records:
            kit = go_dockerfile.recording(assets.wrapper_text("packed", "go"), self.flags)
        else:
            kit = go_dockerfile.covering(assets.wrapper_text("cover", "go"), self.flags)
        return go_dockerfile.derive(text, kit, arguments)

    def ko(self, spec: Mapping[str, object], directory: str) -> Mapping[str, tuple[str, ...]]:
        """Skaffold calls the `go` that is on its own PATH: that one is told to be another by its environment."""
        added = {"flags": self._missing(spec.get("flags"))}
        if self.records:
            added["env"] = tuple(f"{name}={_asked(name, directory)}" for name in ("GOROOT", "GOTOOLCHAIN", "PATH"))
        return {key: values for key, values in added.items() if values}

    def command(self, theirs: str, dockerfile: str) -> str:
        """By a shell, as theirs was run by one. Skaffold builds anew what has another command, as with another podcov it has."""
        variables = {"PODCOV_DOCKERFILE": dockerfile} if dockerfile else {}
        variables |= {"PODCOV_DROPIN": _digest()} if self.records else {}
        words = (f"{name}={shlex.quote(value)}" for name, value in variables.items())
        return " ".join((*words, shlex.join((*self.prefix, "sh", "-c", theirs))))

    @property
    def prefix(self) -> tuple[str, ...]:
        flags = [] if self.flags == _COVER else [f"--flag={flag}" for flag in self.flags]
        return ("podcov", "go", *flags, *(() if self.records else ("--plain",)), "--")

    def descriptor(self, artifact: Artifact, files: Project) -> str | None:
        if not self.records or self.obstacle(artifact, files):
            return None
        scripts = {name: assets.wrapper_text(name, "go") for name in ("toolchain", "buildpack")}
        text = project.text(files, artifact.buildpacks.descriptor) or ""
        return go_buildpacks.derive(text, assets.wrapper_text("packed", "go"), scripts, self.flags)

    def obstacle(self, artifact: Artifact, files: Project) -> str:
        return go_buildpacks.obstacle(artifact, files)

    def buildpacks(self, spec: Mapping[str, object]) -> tuple[str, ...]:
        """Behind GOFLAGS of their own, which buildpacks hand on to Go."""
        own = [str(word) for word in _list(spec.get("env")) if str(word).startswith("GOFLAGS=")]
        before = own[-1].removeprefix("GOFLAGS=").split() if own else []
        return (f"GOFLAGS={' '.join((*before, *self._missing(before)))}",)

    def _missing(self, present: object) -> tuple[str, ...]:
        said = [str(word) for word in _list(present)]
        mode = any(word.lstrip("-").startswith("covermode") for word in said)
        return tuple(flag for flag in self.flags if flag not in said and not (mode and flag.startswith(_ATOMIC)))


def of(service: Service) -> GoRebuild | None:
    """None for a service whose own build covers it: what a killswitch ends is a test binary."""
    if service.dump is None:
        return GoRebuild(_COVER, records=True)
    match service.dump.by:
        case "signal":
            return GoRebuild(_CLEARABLE, records=False)
        case "exit":
            return GoRebuild(_COVER, records=False)
    return None


def _digest() -> str:
    return hashlib.sha256(assets.wrapper_text("packed", "go").encode()).hexdigest()[:12]


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def _asked(name: str, directory: str) -> str:
    """A template of Skaffold's."""
    where = "" if directory == "." else f' "--directory" "{directory}"'
    return f'{{{{cmd "podcov" "go" "--env" "{name}"{where}}}}}'
