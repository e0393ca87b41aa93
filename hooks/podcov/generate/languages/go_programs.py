"""Which program of an image is a service in Go, told from its Dockerfile, its builder and its command. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename, dirname, isabs, join, normpath

from podcov.generate import project
from podcov.generate.images import dockerfile_text
from podcov.generate.images.dockerfile import SCRATCH, Image
from podcov.generate.languages import go_images, go_sources
from podcov.generate.languages.go_buildpacks import PROCESSES
from podcov.generate.languages.go_commands import SHELLS, program_word
from podcov.generate.languages.proposals import Seen

_BUILDS_A_TEST = re.compile(r"(?:^|[\s;&|(\"'/])go\s+test\s(?:[^;&|\n]*\s)?-c\b")
_PROCESS_IS_WEB = ("gcr.io/buildpacks/", "heroku/")
"""builders whose buildpacks call what Go built so"""
_MAJOR_VERSION = re.compile(r"v(?:[2-9]|[1-9]\d+)")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SCRIPT = re.compile(r".*\.(?:sh|bash|py|js|mjs|ts|rb|pl|php|jar|exe|dll)")


def recognise(seen: Seen) -> str:
    """Why a container is taken for a Go service, in a few words; empty where it is not."""
    built, artifact = seen.built, seen.built.artifact
    if artifact is None and built.image is None:
        return ""
    if artifact and artifact.builder == "ko":
        return "built by ko"
    module = f"go.mod in {go_sources.module_folder(seen)}" if go_sources.has_module(seen) else ""
    if built.launcher or built.image is None:
        return f"{artifact.builder}, {module}" if artifact and artifact.builder in ("buildpacks", "custom") and module else ""
    path = of_command(seen.command, built.image, _folder(seen))
    if stage := go_images.built_in(built.image, path):
        return f"built on {go_images.named(stage)}"
    if compiled_at_start(seen.command) and go_images.is_golang(built.image):
        return f"runs on {go_images.named(built.image)}"
    if not go_images.is_plain(built.image):
        return ""
    if is_test_binary(seen):
        return f"{module}, a test binary" if module else "a test binary"
    if not path and (builders := [taken.origin for taken in built.image.taken if go_images.builds(taken.origin)]):
        return f"takes from a stage on {go_images.named(builders[0])}"
    return f"{module}, a program from outside" if module and is_built_outside(seen) else ""


def program(seen: Seen) -> str:
    """The program that the container runs, absolute where that is known; empty where it is not."""
    if seen.built.artifact and seen.built.artifact.builder == "ko":
        return f"/ko-app/{basename(go_sources.import_path(seen)) or 'ko-app'}"
    if _is_launched(seen):
        return _process(seen)
    return of_command(seen.command, seen.built.image, _folder(seen)) or go_images.only_one(seen.built.image)


def of_command(words: Sequence[str], image: Image | None, folder: str) -> str:
    """The program that a command runs, whatever launches it; empty where that is a script, or cannot be told.

    A script, or a launcher that nobody here knows, may hand on to what Go built: then it is that. `folder` is where the manifest
    has it run; empty for the image's own. A relative path that nobody can complete stays as it is, for the sidecar's is completed
    in the same way; not in a folder that only the manifest has.
    """
    word = program_word(words)
    program = _located(word, image, folder)
    if image is None or go_images.built_in(image, program):
        return program
    handed_on = (_located(program_word(rest), image, folder) for rest in _behind(word, words))
    built = next((path for path in handed_on if go_images.built_in(image, path)), "")
    return built if built and (not program or go_images.is_plain(image)) else program


def _behind(word: str, words: Sequence[str]) -> Iterator[Sequence[str]]:
    """What a program that is a word of a command may be given to run."""
    if word in words and basename(word) not in SHELLS:
        rest = words[words.index(word) + 1 :]
        yield rest
        if "--" in rest:
            yield rest[rest.index("--") + 1 :]


def _located(word: str, image: Image | None, folder: str) -> str:
    """Where the program of that name lies; empty for a script or a shell."""
    word = _expanded(word, image)
    if not word or _SCRIPT.fullmatch(word) or "$" in word or basename(word) in SHELLS:
        return ""
    if isabs(word):
        return normpath(word)
    if "/" in word:
        inside = folder or (image.workdir if image and (image.workdir != "/" or image.base == SCRATCH or image.said_by) else "")
        return normpath(join(inside, word)) if inside else word
    return next((path for path in go_images.on_the_path(word, image) if image and go_images.taken_as(image, path)), word)


def _expanded(word: str, image: Image | None) -> str:
    """A shell's word with variables of the image; as it is where one of them comes from elsewhere."""
    names = [braced or plain for braced, plain in _VARIABLE.findall(word)]
    known = image is not None and all(name in image.env for name in names)
    return dockerfile_text.expand(word, image.env) if image and names and known else word


def instead(binary: str, words: Sequence[str], image: Image, folder: str) -> str:
    """What an image has in place of a program that it certainly has not; empty where it may have it, or has no other.

    `words` are its command, as far as that is known.
    """
    if not isabs(binary) or not go_images.lacks(image, normpath(binary)):
        return ""
    runs = of_command(words, image, folder)
    has = runs if isabs(runs) and go_images.built_in(image, runs) else go_images.only_one(image)
    return "" if has == normpath(binary) else has


def is_test_binary(seen: Seen) -> bool:
    """Whether the image runs what `go test -c` made: by what its stages run, or by the name of what it has."""
    image = seen.built.image
    if image is None:
        return False
    names = [source for source, _ in image.copies] + [taken.source for taken in image.taken] + list(seen.command[:1])
    return any(name.endswith(".test") for name in names) or any(
        _BUILDS_A_TEST.search(run) for origin in (image, *(taken.origin for taken in image.taken)) for run in origin.runs
    )


def is_built_outside(seen: Seen) -> bool:
    """Whether the program comes into the image as it is, from the build context."""
    image = seen.built.image
    path = of_command(seen.command, image, _folder(seen))
    if image is None or not path or go_images.built_in(image, path):
        return False
    return go_images.is_copied(image, path)


def compiled_at_start(command: Sequence[str]) -> str:
    """What compiles the service when it starts, such as `go` itself; empty for nothing."""
    name = basename(program_word(command))
    return name if name in go_images.COMPILERS else ""


def is_guessed(seen: Seen) -> bool:
    """Whether nobody says by which name the image's launcher knows the program."""
    builder = seen.built.artifact.buildpacks.builder if seen.built.artifact else ""
    return _is_launched(seen) and not builder.startswith(_PROCESS_IS_WEB) and "paketo" not in builder


def _is_launched(seen: Seen) -> bool:
    """Whether a launcher of buildpacks starts it, in a way that only the image would tell."""
    return seen.built.launcher and seen.built.image is None and not seen.container.command


def _process(seen: Seen) -> str:
    """What an image of buildpacks starts by, which passes arguments on to the program, wherever that lies.

    Paketo's buildpacks call the process like the program, others call it `web`. What a Procfile starts, a shell may start.
    """
    artifact = seen.built.artifact
    if artifact is None or project.text(seen.files, project.join(artifact.context, "Procfile")) is not None:
        return ""
    if "paketo" not in artifact.buildpacks.builder:
        return f"{PROCESSES}/web"
    first = artifact.buildpacks.env.get("BP_GO_TARGETS", "").partition(":")[0]
    path = project.join(go_sources.import_path(seen), first)
    name = basename(dirname(path) if _MAJOR_VERSION.fullmatch(basename(path)) else path)
    return f"{PROCESSES}/{name}" if name else ""


def _folder(seen: Seen) -> str:
    return str(seen.container.spec.get("workingDir") or "")
