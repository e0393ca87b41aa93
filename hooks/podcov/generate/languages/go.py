"""How a Go service is recognised in an image, and what it needs in its pod. Everything about Go in manifests is here.

One that podcov records is its own courier: the sidecar is the service's own program, with an argument. One that measures itself
(`dump` in podcov.yaml) keeps its program as it is; podcov's hand does in its pod what has to be done there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from posixpath import basename
from typing import Any

from podcov import signals
from podcov.config import Dump, DumpBy, Service
from podcov.errors import ManifestError
from podcov.generate.languages import go_buildpacks, go_programs, go_sources
from podcov.generate.languages.entered import Additions, Entered, Wrapper, literal
from podcov.generate.languages.proposals import Doubt, Proposal, Seen

_CONFIG = "podcov.yaml"
_DATA = "/podcov/data"
_DATA_VOLUME = "podcov-data"
_HAND = Wrapper("hand", executable=True)
_PROGRAMS = {"amd64": "/podcov/wrapper/hand-x86_64", "arm64": "/podcov/wrapper/hand-aarch64"}
NO_LIMIT = "podcov: this program was built without podcov in its Go toolchain, and is kept from running twice"
"""Go's own runtime ends of it, and says it, before any code of the program; a toolchain with podcov in it takes it for none"""
COURIER_ENVIRONMENT = {"PODCOV_OFF": "0", "GOMEMLIMIT": NO_LIMIT}
"""of a sidecar. An image may switch podcov off in its programs; its sidecar would then be the service once more"""
_OF_A_LAUNCHER = {"PODCOV_OFF": "0"}
"""of one that is started by a program in Go which knows nothing of podcov, and would end of that limit itself"""
_SHELLS = ("sh", "bash", "ash", "dash")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 63
_NOT_WIRED = ("bazel", "jib")
"""builders that no toolchain of ours can be put into"""


def recognise(seen: Seen) -> str:
    """Why a container is taken for a Go service, in a few words; empty where it is not."""
    return go_programs.recognise(seen)


def propose(seen: Seen) -> Proposal:
    """Whether podcov records it or it measures itself, which program it is, where its source is."""
    folder = go_sources.module_folder(seen)
    if tool := go_programs.compiled_at_start(seen.command):
        return _left_alone(f"`{tool}` compiles it when it starts: build it in its image to measure it")
    if go_programs.is_test_binary(seen):
        return _ended_by_killswitch(seen, folder)
    if handler := go_sources.signal_handler(seen, folder):
        dump = replace(_dump("signal", seen), signal=handler.signal)
        return _measuring_itself(
            seen, folder, dump, f"{handler.path} writes its counters at SIG{handler.signal}, and stays as it is"
        )
    builder = seen.built.artifact.builder if seen.built.artifact else ""
    if why := _obstacle_to_buildpacks(seen):
        return _measuring_itself(seen, folder, _dump("exit", seen), f"{why}. It is built with -cover")
    if builder in _NOT_WIRED or (_own_folder(seen) and go_programs.is_built_outside(seen)):
        why = f"{builder or 'what builds it outside of its Dockerfile'} takes no toolchain of podcov's: build it with -cover"
        return _measuring_itself(seen, folder, _dump("exit", seen), why)
    return _recorded_itself(seen, folder)


def wants_command(service: Service) -> str:
    """What to write in `podcov.yaml` where nobody knows what the container runs; empty where that need not be known."""
    if service.dump is None:
        return "" if service.binary else _asked_binary(service)
    if service.dump.by != "killswitch":
        return ""
    return (
        f"write the image's ENTRYPOINT and CMD as `command:` of the service {service.name} in {_CONFIG}: `args` of a pod take "
        "the place of CMD, and the test binary needs one more argument."
    )


def doubt(entered: Entered) -> Doubt | None:
    """A program that the image has not, where its Dockerfile says which one it has."""
    binary, image = entered.service.binary, entered.image
    if not (binary and image and entered.dockerfile):
        return None
    folder = str(entered.container.spec.get("workingDir") or "")
    program = go_programs.instead(binary, entered.own_command, image, folder)
    why = f"nothing in {entered.dockerfile} puts a program there, and it has {program}: write `binary: {program}`"
    return Doubt(f"binary: {binary}", why) if program else None


def additions(entered: Entered) -> Additions:
    """Raises ManifestError where it is not known which program it is, or where it writes is said in two ways."""
    dump = entered.service.dump
    return _recorded(entered) if dump is None else _self_measured(entered, dump)


def never_a_courier(said: str) -> str:
    """Where Go's runtime ended it before any of its code, as it ends each program of this image, or there is none to call."""
    if f"GOMEMLIMIT={NO_LIMIT}" not in said.splitlines() and not go_buildpacks.tells_of_no_courier(said):
        return ""
    return "build its image anew with podcov in the Go toolchain, as the coverage profile does (docs/go.md), and deploy that"


# What a first podcov.yaml says -----------------------------------------------------------------------------------------


def _recorded_itself(seen: Seen, folder: str) -> Proposal:
    program = go_programs.program(seen)
    if not program:
        return _left_alone(
            f"nothing says which program of the image it is: add it to {_CONFIG}, with `language: go` and its `binary`"
        )
    service, decided = Service(name="", source=(folder,), binary=program), "recorded by a toolchain with podcov in it"
    if go_programs.is_built_outside(seen):
        why = f"{program} is built outside of its Dockerfile: have that done by `podcov go -- COMMAND`"
        return _certain_or_not(seen, Proposal(service, decided, why, "warning"))
    if go_programs.is_guessed(seen):
        why = f"{program} is a guess: if the image's process is called so, take `sidecar` out of {_CONFIG}"
        return Proposal(replace(service, sidecar=False), f"{decided}, no sidecar", why, "warning")
    beside = "; its GOCOVERDIR goes on as before" if _own_folder(seen) else ""
    why = f"its sidecar runs {program} too, which hands over what was recorded{beside}"
    return _certain_or_not(seen, Proposal(service, decided, why))


def _obstacle_to_buildpacks(seen: Seen) -> str:
    artifact = seen.built.artifact
    return go_buildpacks.obstacle(artifact, seen.files) if artifact is not None and artifact.builder == "buildpacks" else ""


def _measuring_itself(seen: Seen, folder: str, dump: Dump, why: str) -> Proposal:
    decided = f"asked by {signals.title(dump.signal)}" if dump.by == "signal" else "scaled to 0, for it writes when it ends"
    return _certain_or_not(seen, Proposal(_with_dump(seen, folder, dump), decided, why))


def _with_dump(seen: Seen, folder: str, dump: Dump) -> Service:
    service = Service(name="", source=(folder,), dump=dump)
    return replace(service, architecture="arm64") if seen.architecture == "arm64" else service


def _certain_or_not(seen: Seen, proposal: Proposal) -> Proposal:
    """With the sidecar of another image the pod would not start; without one, what is added does no harm."""
    if proposal.service is None or not (seen.overridden or (seen.built.guess and not seen.container.command)):
        return proposal
    if seen.overridden:
        why = "Tilt puts the entrypoint of docker_build in place of every command of this image"
    else:
        asked = f" ({seen.built.unknown})" if seen.built.unknown else ""
        why = f"{seen.built.guess}, is a guess{asked}: if it is right, take `sidecar` out of {_CONFIG}"
    return Proposal(replace(proposal.service, sidecar=False), f"{proposal.decided}, no sidecar", why, "warning")


def _ended_by_killswitch(seen: Seen, folder: str) -> Proposal:
    """Its arguments are changed, so what it runs has to be known."""
    dump = go_sources.killswitch(seen, folder)
    if not seen.container.command and seen.words is None:
        found = f"{seen.built.guess}, is a guess" if seen.built.guess else "nothing says what the image runs"
        wanted = "`language: go`, `dump: {by: killswitch}`, and its image's ENTRYPOINT and CMD as `command`"
        return _left_alone(f"{found}: add it to {_CONFIG}, with {wanted}")
    return Proposal(
        replace(_with_dump(seen, folder, dump), sidecar=not seen.overridden),
        f"ended by its killswitch on port {dump.port}",
        "its image runs a test binary, which stays as it is",
        command_matters=True,
    )


def _left_alone(why: str) -> Proposal:
    return Proposal(None, "left alone", why, "warning")


def _dump(by: DumpBy, seen: Seen) -> Dump:
    folder = _own_folder(seen)
    return Dump(by, folder=folder) if folder else Dump(by)


def _own_folder(seen: Seen) -> str:
    """The GOCOVERDIR that the manifest, or else the image, has for it; empty for none that can be read."""
    image = seen.built.image.env.get("GOCOVERDIR", "") if seen.built.image else ""
    value = _gocoverdir(seen.container.env) or image
    return value.rstrip("/") if value.startswith("/") and "$" not in value else ""


# What is added ---------------------------------------------------------------------------------------------------------


def _recorded(entered: Entered) -> Additions:
    service = entered.service
    folder = str(entered.container.spec.get("workingDir") or "")
    binary = literal(service.binary) or go_programs.of_command(entered.own_command, entered.image, folder)
    if not binary:
        raise ManifestError(
            f"{_CONFIG}: services.{service.name}.binary: which program of the image it is cannot be told from its command "
            f"{' '.join(entered.own_command)!r:.80}",
            hint=_asked_binary(service),
        )
    launched = go_buildpacks.is_launcher(binary)
    return Additions(
        recorder=f"{binary} of {entered.container.image}",  # it tells its own program's data, and no other's
        courier=(go_buildpacks.courier(binary) if launched else binary, "--podcov-courier", "serve"),
        courier_environment=_OF_A_LAUNCHER if launched else COURIER_ENVIRONMENT,
        courier_tells=True,
        built_with="a program that was built with -cover, by a Go toolchain with podcov in it",
    )


def _asked_binary(service: Service) -> str:
    return (
        f"write the path that its program has in the image as `binary:` of the service {service.name} in {_CONFIG}, "
        "such as `binary: /app`."
    )


def _self_measured(entered: Entered, dump: Dump) -> Additions:
    container = entered.container
    by_killswitch = dump.by == "killswitch"
    _refuse_another_folder(entered, dump)
    volume, mount = _place(entered, dump)
    seen_at = f"{_DATA}/coverage/{container.name}"
    command, args = _with_profile(entered, dump) if by_killswitch else (None, None)
    return Additions(
        recorder="itself (`dump`)",
        built_with="a program that was built with -cover",
        courier=(_PROGRAMS[entered.service.architecture], "serve", _DATA),
        command=command,
        args=args,
        environment={} if by_killswitch else {"GOCOVERDIR": dump.folder},
        wrapper=_HAND,
        volumes=volume,
        mounts=() if _mount_at(container.spec, dump.folder) else mount,
        courier_mounts=tuple({**m, "mountPath": seen_at} for m in mount if m["name"] != _DATA_VOLUME),
        watched=(f"{seen_at}/{dump.profile}",) if by_killswitch else (),
    )


def _refuse_another_folder(entered: Entered, dump: Dump) -> None:
    said, where = _gocoverdir(entered.container.env), f"{_CONFIG}: services.{entered.service.name}.dump.folder"
    if dump.by != "killswitch" and said.startswith("/") and "$" not in said and said.rstrip("/") != dump.folder.rstrip("/"):
        raise ManifestError(
            f"{where}: it is {dump.folder}, and the manifest's GOCOVERDIR is {said}", hint=f"write `folder: {said}`."
        )


def _gocoverdir(env: Sequence[Mapping[str, Any]]) -> str:
    return next((str(v.get("value") or "") for v in env if v["name"] == "GOCOVERDIR"), "")


def _place(entered: Entered, dump: Dump) -> tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]:
    """The volume that its folder is in, where that is not there yet, and the mount of it."""
    container = entered.container
    if own := _mount_at(container.spec, dump.folder):
        # What a mount's place depends on variables of the container is not known in the sidecar.
        return (), () if "subPathExpr" in own else (own,)
    if dump.source == "pods":
        return (), ({"name": _DATA_VOLUME, "mountPath": dump.folder, "subPath": f"coverage/{container.name}"},)
    if any(_mount_at(container.spec, parent) for parent in _parents(dump.folder)):
        return (), ()
    name = f"podcov-node-{_NOT_IN_NAMES.sub('-', dump.folder.lower()).strip('-')}"[:_LONGEST_NAME].rstrip("-")
    volume = {"name": name, "hostPath": {"path": dump.folder, "type": "DirectoryOrCreate"}}
    return (volume,), ({"name": name, "mountPath": dump.folder},)


def _mount_at(spec: Mapping[str, Any], folder: str) -> Mapping[str, Any]:
    """The container's own mount at a folder; empty for none."""
    mounts = spec.get("volumeMounts") or ()
    return next((m for m in mounts if str(m.get("mountPath", "")).rstrip("/") == folder.rstrip("/")), {})


def _parents(folder: str) -> Iterator[str]:
    parts = folder.strip("/").split("/")
    yield from (f"/{'/'.join(parts[:length])}" for length in range(len(parts) - 1, 0, -1))


def _with_profile(entered: Entered, dump: Dump) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Command and arguments by which its profile goes into the folder; None for the command that stays the image's or its own.

    A loop that starts it gives its own arguments first, and of two the last counts.
    """
    flag = literal(f"-test.coverprofile={dump.folder.rstrip('/')}/{dump.profile}")
    container, words = entered.container, entered.own_command
    _refuse_a_shell(entered, words)
    if container.command:
        return None, (flag, *container.args)
    entrypoint = entered.image.entrypoint if entered.image and not entered.service.command else ()
    if entrypoint:
        return None, (flag, *(container.args or words[len(entrypoint) :]))
    return (words, (flag, *container.args)) if words else (container.args[:1], (flag, *container.args[1:]))


def _refuse_a_shell(entered: Entered, words: Sequence[str]) -> None:
    if words and basename(words[0]) in _SHELLS and "-c" in words[1:2]:
        raise ManifestError(
            f"{_CONFIG}: services.{entered.service.name}: container {entered.container.name} is started by a shell "
            f"({' '.join(words)!r:.80}), which does not pass arguments on to the test binary",
            hint='write its ENTRYPOINT, or the manifest\'s command, as a list of words; a script passes them on by "$@".',
        )
