"""`podcov new`: the files of a template in, those of a new service out. Pure.

A template is a folder of files. The text of those that end with `.j2` and every path are Jinja2, and `.j2` is dropped;
all other files are copied byte for byte. `template.yaml` beside them is optional: variables of the template's own,
names that it cannot take, and what to do next. Templates come from strangers, so they are rendered in a sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import FunctionLoader, StrictUndefined, TemplateError
from jinja2.exceptions import TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from podcov import yaml_document
from podcov.config import parse, variable_prefix
from podcov.errors import NewError
from podcov.generate import project
from podcov.schemas import schema
from podcov.yaml_document import name_path

CONFIG = "podcov.yaml"
DESCRIPTION = "template.yaml"
SUFFIX = ".j2"
GIVEN = ("name", "package", "language", "port", "variable_prefix")
"""what every template gets; docs/new.md explains each"""

_LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_LONGEST = 63
_YAML_WORDS = ("false", "n", "no", "null", "off", "on", "true", "y", "yes")

_WRONG_IN_TEMPLATES = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)
"""what an expression of a template may raise"""

Value = str | int | bool


@dataclass(frozen=True, slots=True)
class File:
    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for. `settings` are texts, as given by `--set`."""

    name: str
    language: str
    port: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rendered:
    """The new project's files by their path, and lines that say what to do next."""

    files: Mapping[str, File]
    next: tuple[str, ...]


def render(template: Mapping[str, File], wanted: Wanted) -> Rendered:
    """Fill a template in; `template` has its files by their path in it.

    Raises NewError: for a name that cannot be that of a service; for settings that the template does not know; with file
    and line for what is wrong in the template.
    """
    refuse_name(wanted.name)
    description = _describe(template)
    package = wanted.name.replace("-", "_")
    _refuse_reserved(wanted.name, package, description.reserved)
    variables: dict[str, Value] = {
        "name": wanted.name,
        "package": package,
        "language": wanted.language,
        "port": wanted.port,
        "variable_prefix": variable_prefix(wanted.name),
        **_settings(description.variables, wanted.settings),
    }
    files = _Renderer(template, variables).files()
    if not files:
        raise NewError("the template has no files", hint="a template is a folder of files: docs/new.md says what may be in it.")
    _refuse_outside(files)
    lines = [_fill(line, f"{DESCRIPTION}: next[{n}]", variables) for n, line in enumerate(description.next)]
    return Rendered(files, tuple(lines) or _next(wanted.name, files))


def refuse_name(name: str) -> None:
    """Raises NewError for a name that a Kubernetes Service cannot have, and says why."""
    why = _wrong_name(name)
    if why:
        raise NewError(
            f"{name!r} cannot be the name of a service: {why}",
            hint=f"Kubernetes wants small letters, digits and hyphens, at most {_LONGEST}, a letter first: "
            f"for example {_proposal(name)}.",
        )


def _wrong_name(name: str) -> str:
    if not name:
        return "it is empty"
    if len(name) > _LONGEST:
        return f"it has {len(name)} characters"
    if name in _YAML_WORDS:
        return "YAML reads it as something else than a text"
    if _LABEL.fullmatch(name):
        return ""
    strange = re.search(r"[^a-z0-9-]", name)
    if strange:
        return f"it has {strange.group()!r} in it"
    return "it ends with a hyphen" if name.endswith("-") else f"it begins with {name[0]!r}"


def _proposal(name: str) -> str:
    """A name like the one given that Kubernetes takes."""
    plain = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    plain = plain.lstrip("-0123456789")[:_LONGEST].rstrip("-")
    return f"{plain}-service" if plain in _YAML_WORDS else plain or "orders"


# --- template.yaml ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Description:
    variables: Mapping[str, Value] = field(default_factory=dict)
    reserved: Mapping[str, list[str]] = field(default_factory=dict)
    next: tuple[str, ...] = ()


def _describe(template: Mapping[str, File]) -> _Description:
    if DESCRIPTION not in template:
        return _Description()
    document = yaml_document.read(_text(template, DESCRIPTION), name=DESCRIPTION)
    data: dict[str, Any] | None = document.data
    if data is None:
        return _Description()
    found = [(p.line, p.text) for p in yaml_document.problems(document, schema("template-1"))]
    if not found:
        clashes = [("variables", name) for name in data.get("variables", {}) if name in GIVEN]
        found = [(document.line(path), f"{name_path(path)}: every template has this variable already") for path in clashes]
    if found:
        raise NewError(
            "\n".join(f"{DESCRIPTION}:{line}: {text}" for line, text in found), hint="docs/new.md describes every key."
        )
    return _Description(data.get("variables", {}), data.get("reserved", {}), tuple(data.get("next", ())))


def _refuse_reserved(name: str, package: str, reserved: Mapping[str, list[str]]) -> None:
    for reason, names in reserved.items():
        taken = next((candidate for candidate in (package, name) if candidate in names), None)
        if taken:
            raise NewError(
                f"{name!r} cannot be the name of this service: {taken} is {reason}",
                hint=f"take another one, for example {name}-service.",
            )


def _refuse_outside(files: Mapping[str, File]) -> None:
    """A stranger's `podcov.yaml` may not have `podcov init` write beside the new project."""
    if CONFIG not in files:
        return
    generate = parse(_text(files, CONFIG)).generate
    for key in ("overlay", "skaffold", "tiltfile"):
        path = getattr(generate, key)
        if path.startswith("/") or project.join(path).startswith(".."):
            raise NewError(
                f"{CONFIG}: generate.{key}: {path} is outside of the project", hint="name a place within the template."
            )


def _settings(defaults: Mapping[str, Value], given: Mapping[str, str]) -> dict[str, Value]:
    unknown = sorted(given.keys() - defaults.keys())
    if unknown:
        known = f"it has: {', '.join(sorted(defaults))}." if defaults else "it has none of its own."
        raise NewError(f"--set {unknown[0]}: the template has no such variable", hint=known)
    return {name: _like(name, default, given[name]) if name in given else default for name, default in defaults.items()}


def _like(name: str, default: Value, text: str) -> Value:
    """The text as a value of the default's type."""
    match default:
        case bool():
            if text not in ("true", "false"):
                raise NewError(f"--set {name}={text}: {name} is true or false", hint=f"the default is {str(default).lower()}.")
            return text == "true"
        case int():
            if not re.fullmatch(r"-?\d+", text, re.ASCII):
                raise NewError(f"--set {name}={text}: {name} is a whole number", hint=f"the default is {default}.")
            return int(text)
        case _:
            return text


def _next(name: str, files: Mapping[str, File]) -> tuple[str, ...]:
    """For a template that does not say it."""
    deploy = (
        ("skaffold.yaml", "skaffold run --profile coverage      # deploys with coverage, runs the tests, reports"),
        ("Tiltfile", "PODCOV=1 tilt ci                     # deploys with coverage, runs the tests, reports"),
    )
    with_tool = next(
        (line for file, line in deploy if file in files), "podcov run                           # runs the tests, reports"
    )
    return (f"cd {name}", "podcov init --check                  # in CI: the generated files are up to date", with_tool)


# --- Jinja2 ----------------------------------------------------------------------------------------------------------


class _Renderer:
    """Renders the paths and files of one template with one set of variables."""

    def __init__(self, template: Mapping[str, File], variables: Mapping[str, Value]) -> None:
        self._template = template
        self._variables = variables
        self._environment = _environment(lambda name: (_text(template, name), name, None) if name in template else None)

    def files(self) -> dict[str, File]:
        found: dict[str, File] = {}
        origins: dict[str, str] = {}
        for path in sorted(self._template.keys() - {DESCRIPTION}):
            target = self._target(path)
            if not target:
                continue
            if target in origins:
                raise NewError(f"{path}: renders to {target}, and so does {origins[target]}", hint="two files need two paths.")
            origins[target] = path
            found[target] = self._file(path)
        both = next((folder for target in found for folder in _folders(target) if folder in found), None)
        if both is not None:
            raise NewError(f"{origins[both]}: renders to {both}, which is also a folder", hint="a path is a file or a folder.")
        return found

    def _target(self, path: str) -> str:
        """Where a file goes; empty where a part of its path renders to nothing, which leaves the file out."""
        parts = [_fill(part, path, self._variables) for part in path.split("/")]
        parts[-1] = parts[-1].removesuffix(SUFFIX)
        if not all(parts):
            return ""
        wrong = next((part for part in parts if part in (".", "..") or "/" in part or "\0" in part), None)
        if wrong is not None:
            raise NewError(
                f"{path}: renders to {'/'.join(parts)!r}", hint="a part of a path has to render to the name of a file."
            )
        return "/".join(parts)

    def _file(self, path: str) -> File:
        source = self._template[path]
        if not path.endswith(SUFFIX):
            return source
        try:
            text = self._environment.get_template(path).render(self._variables)
        except _WRONG_IN_TEMPLATES as error:
            raise _wrong(f"{_place(error, path, self._template)}: {_said(error)}", self._variables) from error
        return File(text.encode(), source.executable)


def _folders(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _fill(text: str, where: str, variables: Mapping[str, Value]) -> str:
    """A short text, such as a part of a path, filled in."""
    if "{" not in text:
        return text
    try:
        return _environment(lambda _: (text, where, None)).get_template(where).render(variables)
    except _WRONG_IN_TEMPLATES as error:
        raise _wrong(f"{where}: {_said(error)}", variables) from error


def _environment(load: Callable[[str], tuple[str, str, None] | None]) -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FunctionLoader(load),
        undefined=StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _wrong(message: str, variables: Mapping[str, Value]) -> NewError:
    return NewError(message, hint=f"a template has these variables: {', '.join(sorted(variables))}.")


def _said(error: Exception) -> str:
    return f"there is no file {error.name} in the template" if isinstance(error, TemplateNotFound) else str(error)


def _place(error: Exception, path: str, template: Mapping[str, File]) -> str:
    """FILE:LINE of the innermost file that the error went through; Jinja2 puts templates' own lines into tracebacks."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.name or path}:{error.lineno}"
    found, traceback = f"{path}:1", error.__traceback__
    while traceback:
        file = traceback.tb_frame.f_code.co_filename
        if file in template:
            found = f"{file}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found


def _text(template: Mapping[str, File], path: str) -> str:
    try:
        return template[path].content.decode("utf-8")
    except UnicodeDecodeError as error:
        hint = f"files without {SUFFIX} are copied as they are." if path.endswith(SUFFIX) else "save it as UTF-8."
        raise NewError(f"{path}: is not UTF-8: byte {error.start}", hint=hint) from error
