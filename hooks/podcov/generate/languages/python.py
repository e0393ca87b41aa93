"""How a Python service is recognised in an image, entered and accompanied. Everything about Python in generation is here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from posixpath import basename, dirname

from podcov import assets
from podcov.config import Entry, Service
from podcov.generate import project
from podcov.generate.images import dockerfile
from podcov.generate.images import names as image_names
from podcov.generate.images.dockerfile import Image
from podcov.generate.languages.entered import Additions, Entered, Wrapper, literal
from podcov.generate.languages.proposals import Doubt, Proposal, Seen
from podcov.generate.project import Project
from podcov.model import Mode

_WRAPPER = Wrapper("python")
_WRAPPER_PATH = "/podcov/data/wrapper:/podcov/wrapper"
_INTERPRETER = re.compile(r"python(3(\.\d+)?)?")
_STEP = re.compile(r"[;&|\n]+")
"""what is between two commands of a RUN"""
_INSTALLS_PACKAGE = re.compile(r"\b(?:apt-get|apt|apk|dnf|yum|microdnf)\b.*\b(?P<program>python3?)\b")
_IS_INSTALLED = re.compile(r"\bpip3? install\b|\buv (?:sync|pip)\b")
_REMOVES = re.compile(r"\b(?:apt-get|apt|apk|dnf|yum|microdnf)\b.*\b(?:del|remove|purge|erase|autoremove)\b")
_PACKAGE = re.compile(r"(?P<program>python3?)(?:\.\d+)?(?:-minimal)?\*?")
_GROUP = re.compile(r"\bapk\b.*(?:--virtual|-t)[ =]+(?P<name>\S+)")
"""a name by which what is installed is removed again"""
_INSTALLS_PROJECT = re.compile(
    r"\bpip3? install\b(?:\s+-\S+)*\s+(?:-e\s+)?\.|\bpoetry install\b|\buv sync\b|\buv pip install\s+\."
)
_TAKES_THE_REST = re.compile(r"-[A-Za-z]*[cm]|-$|--")
_ISOLATES = re.compile(r"-[A-Za-z]*[EIS]")
_OF_PYTHON = frozenset({"PYTHON_SHA256", "GPG_KEY"})
"""variables of Docker's own `python`, which set PYTHON_VERSION too; each of its versions has one of them"""
_PROJECT_FILES = ("requirements.txt", "pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "poetry.lock", "uv.lock")
_NEVER_SERVICES = ("test", "tests", "docs", "examples", "build", "dist", "setup", "conftest", "noxfile", "venv", "node_modules")
_OF_OTHERS = re.compile(
    r"node|nodejs|nodemon|npm|npx|yarn|pnpm|pm2|pm2-runtime|bun|deno|ts-node|tsx|java|dotnet|ruby|bundle|rails|puma|rackup|"
    r"php|php-fpm|apache2-foreground|httpd|nginx|caddy|envoy|haproxy|traefik|redis-server|postgres|mysqld|mongod|memcached|"
    r"elixir|iex|beam\.smp"
)
"""programs that are not Python, nor start any"""
_WORD_END = re.compile(r"[\s;&|()]+")
_RUNNERS = ("gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "celery", "flask", "fastapi", "waitress-serve")


def recognise(seen: Seen) -> str:
    """Why a container is taken for a Python service, in a few words; empty where it is not."""
    image, folder = seen.built.image, seen.built.context
    if _runs_another(seen.command):
        return _of_buildpacks(seen)
    if image and _is_on_python(image):
        return f"built on {image.base or 'python'}"
    if runs := _runs_python(seen.command):
        return runs
    present = _project_file(folder, seen.files) if _installed(image) else ""
    return f"{present} in {folder}" if present else _of_buildpacks(seen)


def _of_buildpacks(seen: Seen) -> str:
    """What is in an image that buildpacks make, nobody says: they go by the project's files, too."""
    folder = seen.built.context
    file = _project_file(folder, seen.files) if seen.built.artifact and seen.built.launcher else ""
    return f"buildpacks, {file} in {folder}" if file else ""


def propose(seen: Seen) -> Proposal:
    """Where its source is, which interpreter it has, and how to get in: the first `podcov.yaml` says so."""
    image, context = seen.built.image, seen.built.context
    program = _program(seen)
    entry, decided, why = _entry(seen, program)
    folders = _sources(image, context, seen.files)
    service = Service(
        name="",
        source=folders,
        packages=_packages(image, folders, context, seen.files),
        interpreter=program or "python3",
        entry=entry,
        sidecar=bool(program) and not seen.overridden,
    )
    elsewhere = [v["name"] for v in seen.container.env if v["name"] in _environment({}) and "valueFrom" in v]
    if entry == "environment" and elsewhere:
        why = f"its {elsewhere[0]} comes from elsewhere (valueFrom), so it cannot be extended: write its `command` in podcov.yaml"
        return Proposal(None, "left alone", why, "warning")
    return Proposal(service, decided, why, "info" if program else "warning", command_matters=entry == "entrypoint")


def wants_command(service: Service) -> str:
    """What to write in `podcov.yaml` where nobody knows what the container runs; empty where that need not be known."""
    if service.entry == "environment":
        return ""
    return (
        f"write the image's ENTRYPOINT and CMD as `command:` of the service {service.name} in podcov.yaml, "
        "or `entry: environment`, which needs none."
    )


def doubt(_: Entered) -> Doubt | None:
    """Nobody tells from a Dockerfile which interpreters are in an image."""
    return None


def additions(entered: Entered) -> Additions:
    """The wrapper, and the way in: in front of the container's own command, or by its environment."""
    service = entered.service
    added = Additions(
        recorder="podcov's wrapper for Python",
        courier=tuple(map(literal, courier(service.interpreter))),
        environment={
            "PODCOV_MODE": entered.mode,
            **({"PODCOV_PACKAGES": ",".join(service.packages)} if service.packages else {}),
        },
        wrapper=_WRAPPER,
        tracers=_tracers_for(entered.image, entered.mode),
        kept_out=keeps_out(entered.own_command),
    )
    if service.entry == "entrypoint":
        return replace(added, command=(*map(literal, entrypoint(service.interpreter)), *entered.own_command))
    image = {name: literal(value) for name, value in entered.image.env.items()} if entered.image else {}
    return replace(added, extended=_environment(image | {v["name"]: str(v.get("value") or "") for v in entered.container.env}))


def never_a_courier(_: str) -> str:
    """Its sidecar is an interpreter, which an image has or has not."""
    return ""


def _program(seen: Seen) -> str:
    """The interpreter that is certainly in the image. A guess counts only where the manifest's own command is Python."""
    own = (*seen.container.command, *seen.container.args) if seen.container.command else ()
    guessed = seen.built.guess and (_runs_another(own) or not _runs_python(own))
    return "" if seen.built.launcher or guessed else interpreter(seen.built.image, seen.command)


def _entry(seen: Seen, program: str) -> tuple[Entry, str, str]:
    """How to get in, said for people, and why."""
    built, container = seen.built, seen.container
    if seen.overridden:
        why = "Tilt puts the entrypoint of docker_build in place of every command of this image"
        return "environment", "entered by environment, no sidecar", why
    if built.launcher:
        why = "its launcher sets the PATH that the interpreter is found by"
        return "environment", "entered by environment, no sidecar", why
    if built.guess and not program:
        return "environment", "entered by environment, no sidecar", built.if_the_guess_is_right(container)
    if not program:
        why = "nothing says which interpreter the image has; if you know, write `interpreter` instead"
        return "environment", "entered by environment, no sidecar", why
    if container.command:
        return "entrypoint", "entered in front of its command", "the manifest has one"
    if seen.words is not None:
        return "entrypoint", "entered in front of its image's command", built.origin
    base = f"the base image {built.image.base}" if built.image else f"the image {container.image}"
    why = f"nothing here says what {base} has for a command{f' ({built.unknown})' if built.unknown else ''}"
    return "environment", "entered by environment", why


def _runs_python(command: Sequence[str]) -> str:
    """What of a command only Python can be, said for people; empty for nothing."""
    program = basename(command[0]) if command else ""
    if _INTERPRETER.fullmatch(program) or program in _RUNNERS:
        return f"runs {program}"
    return "runs a .py file" if any(word.endswith(".py") for word in command) else ""


def _runs_another(command: Sequence[str]) -> bool:
    """Whether a command, or what it has a shell or a launcher run, is a program known for another language, and no Python."""
    words = [basename(part) for word in command for part in _WORD_END.split(word)]
    python = any(_INTERPRETER.fullmatch(word) or word in _RUNNERS or word.endswith(".py") for word in words)
    return not python and any(_OF_OTHERS.fullmatch(word) for word in words)


def _project_file(folder: str, files: Project) -> str:
    """A file by which a folder is known for a Python project; empty where it has none."""
    present = files.names(folder)
    return next((name for name in _PROJECT_FILES if name in present), "")


def interpreter(image: Image | None, command: Sequence[str]) -> str:
    """The interpreter that is certainly in the image, as the container finds it; empty where that is not known."""
    if command and _INTERPRETER.fullmatch(basename(command[0])):
        return command[0]
    if image and _is_on_python(image):
        return "python" if _version(image).startswith("2") else "python3"
    # What is installed is there to run the service only where that is Python: others need it to build with.
    return _installed(image) if _runs_python(command) else ""


def _is_on_python(image: Image) -> bool:
    """Whether it is built on Docker's own `python`: by the name of its base, or by what that leaves in the environment."""
    by_name = dockerfile.repository(image.base).rpartition("/")[2] == "python"
    return by_name or _has_variables(image)


def _has_variables(image: Image) -> bool:
    return "PYTHON_VERSION" in image.env and not _OF_PYTHON.isdisjoint(image.env)


def _version(image: Image) -> str:
    """What states its version of an image on `python`, its environment or its base's tag: `3.13.1`, `3.13-slim`."""
    if _has_variables(image):
        return image.env["PYTHON_VERSION"]
    base = image_names.parse(image.base)
    return base.tag if base and base.repository.rpartition("/")[2] == "python" else ""


def _installed(image: Image | None) -> str:
    """The interpreter that the commands of RUN install and leave in the image; empty for none."""
    groups: dict[str, str] = {}
    for step in (step for run in (image.runs if image else ()) for step in _STEP.split(run.replace("\\\n", " "))):
        words = {word.strip("\"'[],") for word in step.split()}
        if _REMOVES.search(step):
            removed = {found["program"] for word in words if (found := _PACKAGE.fullmatch(word))}
            groups = {program: group for program, group in groups.items() if program not in removed and group not in words}
        elif package := _INSTALLS_PACKAGE.search(step):
            group = _GROUP.search(step)
            groups[package["program"]] = group["name"] if group else ""
        elif _IS_INSTALLED.search(step):
            groups.setdefault("python3", "")
    return next((program for program in ("python3", "python") if program in groups), "")


def _sources(image: Image | None, context: str, files: Project) -> tuple[str, ...]:
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


def _packages(image: Image | None, folders: Sequence[str], context: str, files: Project) -> tuple[str, ...]:
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


def _environment(own: Mapping[str, str]) -> dict[str, str]:
    """What lets every interpreter of the container find the wrapper; `own` are the variables that it has without us."""
    path = own.get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{_WRAPPER_PATH}:{path}" if path else _WRAPPER_PATH}


def courier(program: str) -> tuple[str, ...]:
    """The sidecar's command."""
    return (program, "-c", _without_docstring(assets.wrapper_text("sidecar.py")), "serve")


def _without_docstring(source: str) -> str:
    return re.sub(r'\A""".*?"""\s*', "", source, flags=re.DOTALL)


def _minor(image: Image) -> str:
    found = re.match(r"3\.\d+(?!\d)", _version(image))
    return found[0] if found else ""


def _tracers_for(image: Image | None, mode: Mode) -> tuple[str, ...]:
    """The minor versions whose tracer the image may need in this mode. One that is not stated may be any."""
    needed = ("3.11",) if mode == "line" else ("3.11", "3.12", "3.13")
    stated = _minor(image) if image and not image.base_varies else ""
    return tuple(minor for minor in needed if stated in ("", minor))
