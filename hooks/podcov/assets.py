"""The files that come with podcov, wrapper, overlays and templates: alone knows whether it runs from a checkout or a wheel."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

_PACKAGE = Path(__file__).parent
_NOT_IN_PODS = ("bootstrap.py", "sidecar.py", "podcov_analysis.py")
"""Two stand inline in manifests; the third is sent when it is needed."""
_IN_PODS = {"hand": "hand-*"}
"""What goes into pods besides modules, by the name of the wrapper: the hand's binaries, not what they are made of."""


@cache
def root() -> Path:
    """The folder that holds `wrapper`, `overlays` and `templates`."""
    installed = _PACKAGE / "_assets"
    return installed if installed.is_dir() else _PACKAGE.parents[1]


def wrapper_folder(language: str = "python") -> Path:
    """The wrapper of one language as it lies on disk."""
    return root() / "wrapper" / language


def wrapper_files(language: str = "python") -> dict[str, bytes]:
    """What goes into the pod's wrapper folder, by file name, in the order of the names; of `hand`, a binary an architecture."""
    found = sorted(wrapper_folder(language).glob(_IN_PODS.get(language, "*.py")))
    return {path.name: path.read_bytes() for path in found if path.name not in _NOT_IN_PODS}


def wrapper_text(name: str, language: str = "python") -> str:
    """One file of the wrapper, such as `bootstrap.py`."""
    return (wrapper_folder(language) / name).read_text(encoding="utf-8")


def overlay_folder(name: str) -> Path:
    """A folder of `overlays/`, such as `rbac`."""
    return root() / "overlays" / name


def new_languages() -> tuple[str, ...]:
    """The languages that `podcov new` has a template for: the folders of `templates/new`."""
    return tuple(sorted(path.name for path in (root() / "templates" / "new").iterdir() if path.is_dir()))


def new_template(language: str) -> Path:
    """The template of a new service in one of these languages."""
    return root() / "templates" / "new" / language


def render(template: str, **values: object) -> str:
    """The template `FOLDER/NAME` of `templates/`, filled in. A value that it needs and does not get is an error."""
    loader = FileSystemLoader(root() / "templates")
    environment = Environment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 what is rendered here is YAML and Starlark
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(values)
