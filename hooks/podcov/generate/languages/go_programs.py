"""Which program of an image is a service in Go, told from its Dockerfile, its builder and its command. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from posixpath import basename, dirname, isabs, join, normpath, relpath

from podcov.generate import project
from podcov.generate.images import dockerfile
from podcov.generate.images.dockerfile import SCRATCH, Image, Taken
from podcov.generate.languages import go_sources
from podcov.generate.languages.go_commands import SHELLS, program_word
from podcov.generate.languages.proposals import Seen

_BUILDS = re.compile(r"(?:^|[\s;&|(\"'/])go\s+(?:build|install|test\s(?:[^;&|\n]*\s)?-c)\b")
_BUILDS_A_TEST = re.compile(r"(?:^|[\s;&|(\"'/])go\s+test\s(?:[^;&|\n]*\s)?-c\b")
_COMPILERS = ("go", "air", "reflex", "CompileDaemon", "gow", "fresh")
"""programs that compile a service when it starts"""
_PLAIN_BASES = re.compile(
    r"scratch|static.*|base.*|cc.*|distroless.*|alpine.*|debian|ubuntu|busybox|ubi.*|fedora|rockylinux|almalinux|amazonlinux|wolfi.*"
)
"""last parts of the names of images that bring no language of their own"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS = ("/", "/app", "/go/bin", *_PATH.split(":"))
"""destinations that are folders, though nothing in a Dockerfile says so"""
_PROCESSES = "/cnb/process"
_PROCESS_IS_WEB = ("gcr.io/buildpacks/", "heroku/")
"""builders whose buildpacks call what Go built so"""
_MAJOR_VERSION = re.compile(r"v(?:[2-9]|[1-9]\d+)")
_NO_PROGRAMS = ("/etc/", "/usr/share/", "/usr/lib/", "/lib/")
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
    if stage := _built_in(built.image, path):
        return f"built on {stage.base}"
    if compiled_at_start(seen.command) and _is_golang(built.image):
        return f"runs on {built.image.base}"
    if not _is_plain(built.image):
        return ""
    if is_test_binary(seen):
        return f"{module}, a test binary" if module else "a test binary"
    if not path and (builders := [taken.origin for taken in built.image.taken if _builds(taken.origin)]):
        return f"takes from a stage on {builders[0].base}"
    return f"{module}, a program from outside" if module and is_built_outside(seen) else ""


def program(seen: Seen) -> str:
    """The program that the container runs, absolute where that is known; empty where it is not."""
    if seen.built.artifact and seen.built.artifact.builder == "ko":
        return f"/ko-app/{basename(go_sources.import_path(seen)) or 'ko-app'}"
    if _is_launched(seen):
        return _process(seen)
    return of_command(seen.command, seen.built.image, _folder(seen)) or _only_one(seen.built.image)


def of_command(words: Sequence[str], image: Image | None, folder: str) -> str:
    """The program that a command runs, whatever launches it; empty where that is a script, or cannot be told.

    A script, or a launcher that nobody here knows, may hand on to what Go built: then it is that. `folder` is where the manifest
    has it run; empty for the image's own. A relative path that nobody can complete stays as it is, for the sidecar's is completed
    in the same way; not in a folder that only the manifest has.
    """
    program = _located(program_word(words), image, folder)
    if image is None or _built_in(image, program):
        return program
    behind = words[1:] if not program else words[words.index("--") + 1 :] if "--" in words and _is_plain(image) else ()
    handed_on = _located(program_word(behind), image, folder)
    return handed_on if _built_in(image, handed_on) else program


def _located(word: str, image: Image | None, folder: str) -> str:
    """Where the program of that name lies; empty for a script or a shell."""
    if not word or _SCRIPT.fullmatch(word) or "$" in word or basename(word) in SHELLS:
        return ""
    if isabs(word):
        return normpath(word)
    if "/" in word:
        inside = folder or (image.workdir if image and (image.workdir != "/" or image.base == SCRATCH or image.said_by) else "")
        return normpath(join(inside, word)) if inside else word
    return next((path for path in _on_the_path(word, image) if image and _taken(image, path)), word)


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
    if image is None or not path or _built_in(image, path):
        return False
    return _is_copied(image, path)


def compiled_at_start(command: Sequence[str]) -> str:
    """What compiles the service when it starts, such as `go` itself; empty for nothing."""
    name = basename(program_word(command))
    return name if name in _COMPILERS else ""


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
        return f"{_PROCESSES}/web"
    first = artifact.buildpacks.env.get("BP_GO_TARGETS", "").partition(":")[0]
    path = project.join(go_sources.import_path(seen), first)
    name = basename(dirname(path) if _MAJOR_VERSION.fullmatch(basename(path)) else path)
    return f"{_PROCESSES}/{name}" if name else ""


def _folder(seen: Seen) -> str:
    return str(seen.container.spec.get("workingDir") or "")


def _built_in(image: Image, path: str) -> Image | None:
    """The stage that a program was built in by Go; None where it was not, or nobody can tell."""
    if not path:
        return None
    if "/" in path:
        path = normpath(join(image.workdir, path))
    if taken := _taken(image, path):
        return taken.origin if _builds(taken.origin) else _built_in(taken.origin, _source_of(path, taken, image))
    if _is_copied(image, path):
        return None
    return image if _is_golang(image) and basename(path) not in _COMPILERS else None


def _taken(image: Image, path: str) -> Taken | None:
    """What brings a file into an image: the last that names it, else the last whose folder may hold it."""
    named = [taken for taken in image.taken if _lands(taken.source, taken.destination, image) == path]
    return next(reversed(named or [taken for taken in image.taken if _source_of(path, taken, image)]), None)


def _is_copied(image: Image, path: str) -> bool:
    """Whether a file comes from the build context."""
    return any(_lands(source, destination, image) == path for source, destination in image.copies)


def _lands(source: str, destination: str, image: Image) -> str:
    """What a file is called in the image that it is copied into."""
    folder = destination.endswith("/") or destination == image.workdir or destination in _FOLDERS
    return join(destination, basename(source)) if folder else destination


def _source_of(path: str, taken: Taken, image: Image) -> str:
    """What a file of the image was called where it was taken from; empty where it was not taken from there."""
    if path == _lands(taken.source, taken.destination, image):
        return taken.source
    folder = taken.destination.rstrip("/")
    if not path.startswith(f"{folder}/") or not (folder or taken.source.endswith(("/", "."))):
        return ""
    return normpath(join(taken.source, relpath(path, folder or "/")))


def _on_the_path(word: str, image: Image | None) -> Iterator[str]:
    folders = (image.env.get("PATH") if image else "") or _PATH
    yield from (join(folder, word) for folder in folders.split(":"))


def _only_one(image: Image | None) -> str:
    """The program that Go built, where there is but one: whatever script starts it, it is a courier."""
    found = {
        _lands(taken.source, taken.destination, image)
        for taken in (image.taken if image else ())
        if image and _builds(taken.origin) and not taken.source.startswith(_NO_PROGRAMS) and not taken.source.endswith(("/", "."))
    }
    return found.pop() if len(found) == 1 else ""


def _builds(stage: Image) -> bool:
    return _is_golang(stage) or any(_BUILDS.search(run.replace('", "', " ").replace('","', " ")) for run in stage.runs)


def _is_golang(image: Image) -> bool:
    return dockerfile.repository(image.base).rpartition("/")[2].startswith("golang")


def _is_plain(image: Image) -> bool:
    return bool(_PLAIN_BASES.fullmatch(dockerfile.repository(image.base).rpartition("/")[2]))
