"""The service's own coverage configuration, read by coverage.py itself, in the folder that the configuration is for.

coverage.py takes paths in it as relative to the working directory, so it is read in another process, which steps into that
folder: see `main`. What comes out is a `Selection` of absolute paths and plain regular expressions.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import coverage
from coverage.exceptions import CoverageException
from coverage.files import find_python_files, globs_to_regex, prep_patterns

from podcov.config import Service
from podcov.errors import UsageError
from podcov.languages import Selection

_LISTS: Final = {
    "source": "run:source",
    "source_packages": "run:source_pkgs",
    "source_folders": "run:source_dirs",
    "run_include": "run:include",
    "run_omit": "run:omit",
    "report_include": "report:include",
    "report_omit": "report:omit",
    "exclude_lines": "report:exclude_lines",
    "partial_branches": "report:partial_branches",
    "always_partial_branches": "report:partial_branches_always",
    "plugins": "run:plugins",
}


def read(root: Path, services: Iterable[Service]) -> dict[str, Selection]:
    """What each service's coverage configuration selects, by the service's name; coverage.py's defaults where there is none.

    `root` is the folder of podcov.yaml. The configuration is `coverage_config`, else the first that is found in the service's
    source folders and those above them, up to `root`. Raises UsageError where one cannot be read.
    """
    root = root.resolve()
    asked = {service.name: service for service in services}
    answers = _answers([_request(root, service) for service in asked.values()]) if asked else []
    return {name: _selection(root, name, answer) for name, answer in zip(asked, answers, strict=True)}


def _request(root: Path, service: Service) -> dict[str, Any]:
    return {
        "config_file": str(root / service.coverage_config) if service.coverage_config else "",
        "folders": [str(folder) for folder in _search(root, service)],
        "source": [str(root / folder) for folder in service.source],
    }


def _answers(requests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One process for all: to start it takes longer than all that it does."""
    process = subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=json.dumps(requests),
        stdout=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")},
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(process.stdout)
    return answers


def _selection(root: Path, name: str, answer: Mapping[str, Any]) -> Selection:
    if "error" in answer:
        raise UsageError(
            f"{name}: its coverage configuration cannot be read: {answer['error']}",
            hint=f"services.{name}.coverage_config in podcov.yaml names another file",
        )
    return Selection(
        folders=tuple(answer["folders"]),
        packages=tuple(answer["packages"]),
        include=tuple(answer["include"]),
        omit=tuple(answer["omit"]),
        exclude_lines=tuple(answer["exclude_lines"]),
        partial_branches=tuple(answer["partial_branches"]),
        unloaded=tuple(sorted(_below(root, answer["unloaded"]))),
        origin=answer["origin"],
        warnings=tuple(f"{name}: {text}" for text in answer["warnings"]),
    )


def _search(root: Path, service: Service) -> Iterable[Path]:
    """The folders in which a configuration is looked for, nearest first."""
    if service.coverage_config:
        return [(root / service.coverage_config).parent]
    folders: dict[Path, None] = {}
    for source in service.source:
        folder = root / source
        while folder != root and root in folder.parents:
            folders[folder] = None
            folder = folder.parent
    return [*(folder for folder in folders if folder.is_dir()), root]


def _below(root: Path, files: Iterable[str]) -> Iterable[str]:
    return (Path(file).relative_to(root).as_posix() for file in files if Path(file).is_relative_to(root))


# -- in the process that steps into the folders of the configurations


def main() -> None:
    """Reads requests from standard input, and writes an answer to each on standard output."""
    json.dump([_answer(request) for request in json.load(sys.stdin)], sys.stdout)


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What makes no sense is an `error`."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            answer = _select(_settings(request["config_file"], request["folders"]), request["source"])
    except (CoverageException, OSError, ValueError) as error:
        return {"error": str(error)}
    answer["warnings"] += [str(warning.message) for warning in said]
    return answer


def _settings(config_file: str, folders: Sequence[str]) -> dict[str, Any]:
    """Steps into the first folder with a configuration, the last where none has one, and reads it there."""
    for folder in folders:
        os.chdir(folder)
        reader = coverage.Coverage(data_file=None, config_file=config_file or True)
        if reader.config.config_file:
            break
    settings: dict[str, Any] = {name: reader.get_option(option) or [] for name, option in _LISTS.items()}
    settings["namespace_packages"] = bool(reader.get_option("report:include_namespace_packages"))
    settings["origin"] = reader.config.config_file or ""
    return settings


def _select(settings: Mapping[str, Any], source: Sequence[str]) -> dict[str, Any]:
    named_folders = [name for name in settings["source"] if Path(name).is_dir()]
    folders = [str(Path(name).resolve()) for name in [*settings["source_folders"], *named_folders]]
    packages = [*settings["source_packages"], *(name for name in settings["source"] if name not in named_folders)]
    narrowed = bool(folders or packages)
    selection = Selection(
        tuple(folders),
        tuple(packages),
        include=_regexes([] if narrowed else settings["run_include"], settings["report_include"]),
        omit=_regexes(settings["run_omit"], settings["report_omit"]),
    )
    roots = [*folders, *_package_folders(packages, source)] if narrowed else _source_roots(source)
    files = [Path(f) for root in roots for f in find_python_files(root, settings["namespace_packages"]) if not _is_test(f, root)]
    resolved = sorted({str(file.resolve()) for file in files})
    return {
        "folders": selection.folders,
        "packages": selection.packages,
        "include": selection.include,
        "omit": selection.omit,
        "exclude_lines": settings["exclude_lines"],
        "partial_branches": [*settings["partial_branches"], *settings["always_partial_branches"]],
        "unloaded": [file for file in resolved if selection.measures(file)],
        "origin": settings["origin"],
        "warnings": [f"coverage.py's plugin {name} is not applied" for name in settings["plugins"]],
    }


def _regexes(*patterns: Sequence[str]) -> tuple[str, ...]:
    return tuple(globs_to_regex(prep_patterns(globs)).pattern for globs in patterns if globs)


def _source_roots(source: Sequence[str]) -> list[str]:
    """The folders that modules are imported from: those named, and `src` in them where it is no package itself."""
    roots = [Path(folder).resolve() for folder in source]
    inner = [root / "src" for root in roots]
    return [str(root) for root in [*roots, *(i for i in inner if i.is_dir() and not (i / "__init__.py").exists())]]


def _package_folders(packages: Sequence[str], source: Sequence[str]) -> list[str]:
    """Where packages that the configuration names lie below the service's source."""
    wanted = [Path(*package.split(".")) for package in packages]
    found = (Path(root, package) for root in _source_roots(source) for package in wanted)
    return [str(path) for path in found if path.is_dir()]


def _is_test(file: str, root: str) -> bool:
    """Tests count if they run, but nobody wants to hear that they didn't."""
    path = Path(file).relative_to(root)
    return (
        "tests" in path.parts[:-1] or path.name == "conftest.py" or path.stem.startswith("test_") or path.stem.endswith("_test")
    )


if __name__ == "__main__":
    main()
