"""How a Python service is recognised in an image, entered and accompanied. Everything about Python in generation is here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from posixpath import basename, dirname

from podcov import assets
from podcov.generate import dockerfile, project
from podcov.generate.dockerfile import Image
from podcov.generate.project import Project
from podcov.model import Mode

_WRAPPER_PATH = "/podcov/data/wrapper:/podcov/wrapper"
_INTERPRETER = re.compile(r"python(3(\.\d+)?)?")
_INSTALLS_PYTHON = re.compile(
    r"\b(?:apt-get|apt|apk|dnf|yum|microdnf)\b[^;&|]*\bpython3?\b|\bpip3? install\b|\buv (?:sync|pip)\b"
)
_INSTALLS_PROJECT = re.compile(
    r"\bpip3? install\b(?:\s+-\S+)*\s+(?:-e\s+)?\.|\bpoetry install\b|\buv sync\b|\buv pip install\s+\."
)
_TAKES_THE_REST = re.compile(r"-[A-Za-z]*[cm]|-$|--")
_ISOLATES = re.compile(r"-[A-Za-z]*[EIS]")
_OF_PYTHON = frozenset({"PYTHON_SHA256", "GPG_KEY"})
"""variables of Docker's own `python`, which set PYTHON_VERSION too; each of its versions has one of them"""
_PROJECT_FILES = ("requirements.txt", "pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "poetry.lock", "uv.lock")
_NEVER_SERVICES = ("test", "tests", "docs", "examples", "build", "dist", "setup", "conftest", "noxfile", "venv", "node_modules")
_RUNNERS = ("gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "celery", "flask", "fastapi", "waitress-serve")


def recognise(image: Image | None, command: Sequence[str], folder: str, files: Project) -> str:
    """Why a container is taken for a Python service, in a few words; empty where it is not."""
    if image and _is_on_python(image):
        return f"built on {image.base or 'python'}"
    program = basename(command[0]) if command else ""
    if _INTERPRETER.fullmatch(program) or program in _RUNNERS:
        return f"runs {program}"
    if any(word.endswith(".py") for word in command):
        return "runs a .py file"
    present = project_file(folder, files) if _has_python(image) else ""
    return f"{present} in {folder}" if present else ""


def project_file(folder: str, files: Project) -> str:
    """A file by which a folder is known for a Python project; empty where it has none."""
    present = files.names(folder)
    return next((name for name in _PROJECT_FILES if name in present), "")


def interpreter(image: Image | None, command: Sequence[str]) -> str:
    """The interpreter that is certainly in the image, as the container finds it; empty where that is not known."""
    if command and _INTERPRETER.fullmatch(basename(command[0])):
        return command[0]
    if image and (_is_on_python(image) or _has_python(image)):
        return "python3"
    return ""


def _is_on_python(image: Image) -> bool:
    """Whether it is built on Docker's own `python`: by the name of its base, or by what that leaves in the environment."""
    by_name = dockerfile.repository(image.base).rpartition("/")[2] == "python"
    return by_name or ("PYTHON_VERSION" in image.env and not _OF_PYTHON.isdisjoint(image.env))


def _has_python(image: Image | None) -> bool:
    return bool(image and any(_INSTALLS_PYTHON.search(run) for run in image.runs))


def sources(image: Image | None, context: str, files: Project) -> tuple[str, ...]:
    """The folders with the service's own source: what the Dockerfile copies, where that is Python; else the build context."""
    found: list[str] = []
    for source, _ in image.copies if image else ():
        folder = project.join(context, source.strip("/") or ".") if "*" not in source else context
        if folder.endswith(".py"):
            folder = dirname(folder) or "."
        if _modules(folder, files) or _is_package(folder, files):
            found.append(dirname(folder) or "." if _is_package(folder, files) else folder)
    outermost = [f for f in found if not any(f != other and _inside(f, other) for other in found)]
    return tuple(dict.fromkeys(outermost)) or (context,)


def packages(image: Image | None, folders: Sequence[str], context: str, files: Project) -> tuple[str, ...]:
    """Top-level names that the source folders provide, where the image may have them installed in site-packages; else nothing."""
    if not image or not (image.from_stages or any(_INSTALLS_PROJECT.search(run) for run in image.runs)):
        return ()
    roots = {root for folder in (*folders, context) for root in (folder, project.join(folder, "src"))}
    names = {name for root in roots for name in _modules(root, files) if name not in _NEVER_SERVICES}
    return tuple(sorted(name for name in names if name.isidentifier() and not name.startswith("__")))


def _modules(folder: str, files: Project) -> list[str]:
    """The names that can be imported with `folder` on the module path."""
    names = files.names(folder)
    folders = [name.rstrip("/") for name in names if name.endswith("/")]
    return [name.removesuffix(".py") for name in names if name.endswith(".py")] + [
        name for name in folders if _is_package(project.join(folder, name), files)
    ]


def _is_package(folder: str, files: Project) -> bool:
    return "__init__.py" in files.names(folder)


def _inside(path: str, folder: str) -> bool:
    return folder == "." or path.startswith(f"{folder}/")


def keeps_out(command: Sequence[str]) -> str:
    """The option by which a command makes its interpreter ignore our environment; empty where it has none."""
    if not command or not _INTERPRETER.fullmatch(basename(command[0])):
        return ""
    options = takewhile(lambda word: word.startswith("-") and not _TAKES_THE_REST.match(word), command[1:])
    return next((option for option in options if _ISOLATES.match(option)), "")


def entrypoint(program: str) -> tuple[str, ...]:
    """What stands in front of the container's own command."""
    return (program, "-c", assets.wrapper_text("bootstrap.py"))


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """What lets every interpreter of the container find the wrapper; `own` are the variables that it has without us."""
    path = own.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{_WRAPPER_PATH}:{path}" if path else _WRAPPER_PATH}


def courier(program: str) -> tuple[str, ...]:
    """The sidecar's command."""
    return (program, "-c", _without_docstring(assets.wrapper_text("sidecar.py")), "serve")


def _without_docstring(source: str) -> str:
    return re.sub(r'\A""".*?"""\s*', "", source, flags=re.DOTALL)


def tracers_for(image: Image | None, mode: Mode) -> tuple[str, ...]:
    """The minor versions whose tracer the image may need in this mode. One that is not stated may be any."""
    needed = ("3.11",) if mode == "line" else ("3.11", "3.12", "3.13")
    stated = dockerfile.minor_version(image.base) if image and not image.base_varies else ""
    return tuple(minor for minor in needed if stated in ("", minor))
