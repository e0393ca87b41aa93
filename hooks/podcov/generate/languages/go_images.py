"""What a Dockerfile says of the programs in its image: which of them Go built, and where they lie. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import basename, join, normpath, relpath

from podcov.generate.images import dockerfile
from podcov.generate.images.artifacts import UNKNOWN
from podcov.generate.images.dockerfile import Image, Taken
from podcov.generate.languages.go_dockerfile import may_build

_BUILDS = re.compile(r"(?:^|[\s;&|(\"'/])go\s+(?:build|install|test\s(?:[^;&|\n]*\s)?-c)\b")
COMPILERS = ("go", "air", "reflex", "CompileDaemon", "gow", "fresh")
"""programs that compile a service when it starts"""
_PLAIN_BASES = re.compile(
    r"scratch|static.*|base.*|cc.*|distroless.*|alpine.*|debian|ubuntu|busybox|ubi.*|fedora|rockylinux|almalinux|amazonlinux|wolfi.*"
)
"""last parts of the names of images that bring no language of their own"""
_PUBLIC = (
    "docker.io/library/",
    "gcr.io/distroless/",
    "cgr.dev/chainguard/",
    "registry.access.redhat.com/",
    "public.ecr.aws/docker/",
)
"""where those of them are that all have; who makes one of the same name may put programs into it"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOLDERS = ("/", "/go/bin", *_PATH.split(":"))
"""destinations that are folders, though nothing in a Dockerfile says so"""
_NO_FOLDER = re.compile(r"\.(?:sh|py|json|ya?ml|toml|conf|txt|crt|pem)$")
_NO_PROGRAMS = ("/etc/", "/usr/share/", "/usr/lib/", "/lib/")


def built_in(image: Image, path: str) -> Image | None:
    """The stage that a program was built in by Go; None where it was not, or nobody can tell."""
    if not path:
        return None
    if "/" in path:
        path = normpath(join(image.workdir, path))
    if taken := taken_as(image, path):
        return taken.origin if builds(taken.origin) else built_in(taken.origin, _source_of(path, taken))
    if is_copied(image, path):
        return None
    return image if is_golang(image) and basename(path) not in COMPILERS else None


def taken_as(image: Image, path: str) -> Taken | None:
    """What brings a file into an image: the last that names it, else the last whose folder may hold it."""
    named = [taken for taken in image.taken if path in _names(taken.source, taken.destination)]
    return next(reversed(named or [taken for taken in image.taken if _source_of(path, taken)]), None)


def is_copied(image: Image, path: str) -> bool:
    """Whether a file comes from the build context."""
    return any(path in _names(source, destination) for source, destination in image.copies)


def lacks(image: Image, path: str) -> bool:
    """Whether nothing in its Dockerfile can put a file there, and its base is one that has no programs of the user's."""
    if not _is_public(image) or any(basename(path) in run or may_build(run) for run in image.runs):
        return False
    copied = [(source, destination, False) for source, destination in image.copies]
    taken = [(t.source, t.destination, _is_program(t)) for t in image.taken]
    return not any(
        path in _names(source, destination)
        or (not (is_program or _NO_FOLDER.search(source)) and path.startswith(f"{destination.rstrip('/')}/"))
        for source, destination, is_program in (*copied, *taken)
    )


def _is_public(image: Image) -> bool:
    name = dockerfile.repository(image.base)
    return is_plain(image) and ("/" not in name or name.startswith(_PUBLIC))


def _is_program(taken: Taken) -> bool:
    """Whether what is taken is one program for certain, by what built it: else it may be a folder with several."""
    if taken.source.endswith("/"):
        return False
    named = re.compile(rf"-o[\s=]+\S*(?<![\w.-]){re.escape(basename(taken.source))}(?=[\s\"']|$)")
    return any(named.search(run) for run in taken.origin.runs)


def _names(source: str, destination: str) -> tuple[str, str]:
    """What a file may be called in the image that it is copied into: the destination may be a folder, which the base has, say."""
    return destination, join(destination, basename(source))


def _lands(source: str, destination: str, image: Image) -> str:
    """What a file is called in the image that it is copied into, as far as its Dockerfile tells folders from files."""
    others = (image.workdir, *(d for _, d in image.copies), *(taken.destination for taken in image.taken))
    is_folder = destination.endswith("/") or destination == image.workdir or destination in _FOLDERS
    holds = is_folder or any(other.startswith(f"{destination}/") for other in others)
    return join(destination, basename(source)) if holds else destination


def _source_of(path: str, taken: Taken) -> str:
    """What a file of the image was called where it was taken from; empty where it was not taken from there."""
    if path in _names(taken.source, taken.destination):
        return taken.source
    folder = taken.destination.rstrip("/")
    if not path.startswith(f"{folder}/") or not (folder or taken.source.endswith(("/", "."))):
        return ""
    return normpath(join(taken.source, relpath(path, folder or "/")))


def on_the_path(word: str, image: Image | None) -> Iterator[str]:
    """Where a program without a folder in its name may lie, by the image's PATH."""
    folders = (image.env.get("PATH") if image else "") or _PATH
    yield from (join(folder, word) for folder in folders.split(":"))


def only_one(image: Image | None) -> str:
    """The program that Go built, where there is but one: whatever script starts it, it is a courier."""
    found = {
        _lands(taken.source, taken.destination, image)
        for taken in (image.taken if image else ())
        if image and builds(taken.origin) and not taken.source.startswith(_NO_PROGRAMS) and not taken.source.endswith(("/", "."))
    }
    return found.pop() if len(found) == 1 else ""


def builds(stage: Image) -> bool:
    """Whether a stage has a Go toolchain, or builds with one."""
    return is_golang(stage) or any(_BUILDS.search(run.replace('", "', " ").replace('","', " ")) for run in stage.runs)


def named(image: Image) -> str:
    """What an image stands on, for people."""
    base = dockerfile.repository(image.base) if UNKNOWN in image.base else image.base
    return "an image that only its build knows" if UNKNOWN in base else base


def is_golang(image: Image) -> bool:
    """Whether it stands on Go's own image."""
    return dockerfile.repository(image.base).rpartition("/")[2].startswith("golang")


def is_plain(image: Image) -> bool:
    """Whether it stands on an image that brings no language of its own."""
    return bool(_PLAIN_BASES.fullmatch(dockerfile.repository(image.base).rpartition("/")[2]))
