"""coverage.py in every interpreter (`COVERAGE_PROCESS_START`) or in front of the app (`coverage run`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from posixpath import basename, dirname

from yaml.nodes import MappingNode

from podcov.generate.adoption import dockerfiles, leftovers, offers, python_files, python_tools, words, workloads, yamls
from podcov.generate.adoption.contract import Adoption, Evidence
from podcov.generate.adoption.workspace import MAKEFILES, PYTHON, SHELL, YAML, Cut, Workspace
from podcov.generate.findings import Finding

NAME = "COVERAGE_PROCESS_START"
_VARIABLES = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COVERAGE_FILE", "COVERAGE_RCFILE", "COVERAGE_DATA_DIR")
_SET = re.compile(r"(?m)^[^#\n]*\b(COVERAGE_PROCESS_(?:START|CONFIG))\b")
_STARTUP = re.compile(r"(?m)^[^#\n]*\bprocess_startup\(\)")
_FETCHES = re.compile(r"(?m)^[^#\n]*\b(?:kubectl|docker|podman)\b[^\n]*\b(?:cp|exec)\b[^\n]*coverage")
_PLAIN_START = "the app is started without `coverage run`"
_HOOKS_GONE = "its hooks saved coverage only"
_FOR_COVERAGE = re.compile(r"/[\w.-]*coverage|/\.?cov")
_FILE_SAID = re.compile(r"\bCOVERAGE_FILE[= ]\"?(/[^\s\"]+)")
_DATA_FILE = re.compile(r"(?m)^\s*data_file\s*=\s*(\S+)")
_IN_FRONT = re.compile(r"(?:exec )?")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
_SETTINGS = {"--branch": "`mode: branch` in podcov.yaml", "--source": "`source`", "--include": "`include`", "--omit": "`omit`"}


def recognise(space: Workspace) -> Adoption | None:
    """The adoption, and the workspace without coverage.py in the services; None where there is no trace of it."""
    evidence = _evidence(space)
    if not evidence:
        return None
    begin = len(space.journal)
    kept = {e.path for e in _kept(space)}
    gates, folders = python_tools.gates(space), set() if kept else _folders(space)
    variables = sorted({e.what.split()[0] for e in evidence if e.what.startswith("COVERAGE_")})
    findings = _edit(space, folders, kept)
    fetched = _drop_scripts(space)
    python_tools.drop_package(space)
    decided = offers.offered(space, begin)
    if decided:
        found = "coverage.py is started in the services"
        findings.insert(0, Finding(evidence[0].path, found, decided, python_tools.WHY_NOT_BOTH, "warning"))
    findings += [*fetched, *_settings_elsewhere(space), *_left(space), *python_tools.keep_gates(gates)]
    keeps = [
        "Your coverage configuration stays and counts: podcov reads .coveragerc, pyproject.toml, setup.cfg and tox.ini.",
        "Commands that run tests under coverage.py stay as they are: they measure the tests' own process.",
    ]
    return python_tools.adoption(space, NAME, evidence, keeps, findings, variable=variables, folder=sorted(folders))


def _evidence(space: Workspace) -> list[Evidence]:
    images, manifests = python_tools.images(space), python_tools.manifests(space)
    found = [e for path, _ in [*images, *manifests] for e in space.found(path, _SET, r"\1 starts coverage.py")]
    for path, text in [*images, *space.texts(("sitecustomize.py", "*.pth"))]:
        found += space.found(path, _STARTUP, "starts coverage.py in every interpreter") if "coverage" in text else []
    runs = [(path, cut) for path, text in images for cut in _image_runs(text)]
    runs += [(path, cut) for path, text in manifests for cut in _manifest_runs(text)]
    runs += [(path, cut) for path, text in _scripts(space) for cut in _script_runs(text)]
    found += [Evidence(path, space.line(path, cut.start), "`coverage run` stands in front of the app") for path, cut in runs]
    return list(dict.fromkeys(found))


def _image_runs(text: str) -> Iterator[Cut]:
    """A Dockerfile's commands without `coverage run`."""
    interpreter = "python" if dockerfiles.is_python(text) else "python3"
    yield from dockerfiles.commands(text, words.without_coverage_run(interpreter), _PLAIN_START)
    yield from dockerfiles.shells(text, _shell(text, interpreter))


def _manifest_runs(text: str) -> Iterator[Cut]:
    """Containers' commands without `coverage run`."""
    yield from workloads.commands(text, words.without_coverage_run("python3"), _PLAIN_START)
    yield from workloads.shells(text, _shell(text, "python3"))


def _kept(space: Workspace) -> list[Evidence]:
    """Where the data of `coverage run` are read by the command itself, so that it cannot do without."""
    started = [(path, dockerfiles.started(text), _image_runs(text)) for path, text in python_tools.images(space)]
    started += [(path, workloads.started(text), _manifest_runs(text)) for path, text in python_tools.manifests(space)]
    started += [(path, text, _script_runs(text)) for path, text in _scripts(space)]
    return [
        Evidence(path, space.line(path, cut.start), "")
        for path, commands, runs in started
        if words.reads_data(commands)
        for cut in runs
    ]


def _script_cuts(text: str) -> Iterator[Cut]:
    """A script's commands without `coverage run`, where they run in any case: not in a block, and behind nothing but `exec`."""
    return (cut for cut in _script_runs(text) if _IN_FRONT.fullmatch(_before(text, cut.start)))


def _script_runs(text: str) -> Iterator[Cut]:
    """Every `coverage run` of an app in a script, outside comments."""
    return (cut for cut, _ in words.shell_run(text, "python3") if not _before(text, cut.start).lstrip().startswith("#"))


def _before(text: str, at: int) -> str:
    """What stands before an offset on its line."""
    return text[text.rfind("\n", 0, at) + 1 : at]


def _shell(text: str, interpreter: str) -> Callable[[int, int], Iterator[Cut]]:
    return lambda start, end: (cut for cut, _ in words.shell_run(text, interpreter, start, end))


def _scripts(space: Workspace) -> list[tuple[str, str]]:
    """(path, text) of the scripts that images and containers start."""
    starting = {path for path, _ in [*python_tools.images(space), *python_tools.manifests(space)]}
    candidates = [(path, text) for path, text in space.texts(SHELL) if "coverage" in text]
    return [(path, text) for path, text in candidates if any(use.path in starting for use in space.uses(path))]


def _folders(space: Workspace) -> set[str]:
    """Where the data files were to go, as far as the folder is there for nothing else."""
    said = [workloads.variables(text) for _, text in python_tools.manifests(space)]
    configs = [variables[NAME] for variables in said if NAME in variables]
    files = [*configs, *(variables["COVERAGE_FILE"] for variables in said if "COVERAGE_FILE" in variables)]
    files += [file for _, text in python_tools.images(space) for file in _FILE_SAID.findall(text)]
    files += [file for _, text in space.texts((".coveragerc", "*.cfg", "*.ini")) for file in _DATA_FILE.findall(text)]
    return {folder for folder in (*configs, *map(dirname, files)) if _FOR_COVERAGE.search(folder)}


def _edit(space: Workspace, folders: set[str], kept: set[str]) -> list[Finding]:
    unneeded, lost = _unneeded(space), _lost_settings(space, kept)
    images = [path for path, _ in python_tools.images(space) if path not in kept]
    images = [path for path in images if _edit_image(space, path, folders, _names_for(space, path, unneeded))]
    for path, text in python_tools.manifests(space):
        if path not in kept:
            _edit_manifest(space, path, workloads.volumes_at(text, folders), folders, _names_for(space, path, unneeded))
    python_tools.edit(space, [(path, text) for path, text in _scripts(space) if path not in kept], [_script_cuts])
    for path in unneeded:
        leftovers.drop_unused(space, path, "nothing but coverage.py was started or saved there")
    return [*python_tools.drop_test_images(space, images), *lost]


def _edit_image(space: Workspace, path: str, folders: set[str], names: tuple[str, ...]) -> bool:
    return space.cut(
        path,
        _image_runs,
        lambda text: dockerfiles.commands(text, words.without_option("-c", *names), _HOOKS_GONE),
        lambda text: dockerfiles.copies(text, names),
        lambda text: dockerfiles.runs(text, _is_ours(names, folders)),
        lambda text: dockerfiles.environment(text, _VARIABLES),
        *(partial(dockerfiles.volumes, folder=folder) for folder in sorted(folders)),
    )


def _edit_manifest(space: Workspace, path: str, volumes: set[str], folders: set[str], names: tuple[str, ...]) -> None:
    unused = "only coverage.py's files were there"
    edited = space.cut(
        path,
        _manifest_runs,
        lambda text: workloads.commands(text, words.without_option("-c", *names), _HOOKS_GONE),
        lambda text: workloads.environment(text, _VARIABLES, "coverage.py is not started by the environment"),
        lambda text: workloads.mounts(text, folders, unused),
        lambda text: workloads.volumes(text, volumes, unused),
    )
    if edited:
        leftovers.drop_patches(space, [path])


def _lost_settings(space: Workspace, kept: set[str]) -> list[Finding]:
    """Settings on the command line of `coverage run`, which have to go somewhere else."""
    found = []
    texts = [*python_tools.images(space), *python_tools.manifests(space), *_scripts(space)]
    for path, text in ((path, text) for path, text in texts if path not in kept):
        plain = re.sub(r"[\"',\[\]]", " ", text)
        for cut, settings in words.shell_run(plain, "python"):
            for setting in settings:
                place = _SETTINGS[setting.partition("=")[0]]
                why = f"write {place}{'' if setting == '--branch' else ' in .coveragerc'}, so that it goes on counting"
                where = f"{path}:{space.line(path, cut.start)}"
                found.append(Finding(where, f"`{setting}` stands on the command line", "goes with it", why, "warning"))
    return found


def _is_ours(names: tuple[str, ...], folders: set[str]) -> Callable[[str], str]:
    def reason(command: str) -> str:
        bare = _QUOTED.sub("", command)
        if ";" in bare or "|" in bare:
            return ""
        if "process_startup" in command or any(name in command for name in names):
            return "coverage.py is not started in every interpreter"
        made = re.fullmatch(r"(?:mkdir|chmod|chown|install|touch)\b(?P<rest>.*)", command)
        targets = [word.rstrip("/") for word in made["rest"].split() if word.startswith("/")] if made else []
        return f"nothing is written to {targets[0]}" if targets and set(targets) <= folders else ""

    return reason


def _unneeded(space: Workspace) -> list[str]:
    """Files that start coverage.py in every interpreter, or save it from gunicorn's hooks, and do nothing else."""
    starts = [p for p, text in space.texts(("sitecustomize.py",)) if python_files.starts_coverage_only(text)]
    paths = [p for p, text in space.texts(("*.pth",)) if python_files.path_file_starts_coverage_only(text)]
    hooks = [p for p, text in space.texts(PYTHON) if "coverage" in text and python_files.hooks_save_coverage_only(text)]
    return [*starts, *paths, *hooks]


def _names_for(space: Workspace, path: str, unneeded: Sequence[str]) -> tuple[str, ...]:
    """By which names a Dockerfile or manifest means files that are not needed: not those that others beside it have, too."""
    folder = dirname(path)

    def near(named: list[str]) -> list[str]:
        return [p for p in named if p.startswith(f"{folder}/")] if folder else named

    all_named = {name: [p for p, _ in space.texts((name,))] for name in {basename(p) for p in unneeded}}
    meant = {name: near(named) or named for name, named in all_named.items()}
    return tuple(sorted(name for name, named in meant.items() if set(named) <= set(unneeded)))


def _drop_scripts(space: Workspace) -> list[Finding]:
    """Do without scripts that fetched data files, where nobody names them and they do nothing else; else say what they are."""
    findings = []
    for path, text in space.texts(SHELL + MAKEFILES + YAML):
        found = space.found(path, _FETCHES, "fetches coverage.py's data files")
        only = path.endswith((".sh", ".bash")) and not words.TESTS.search(text) and "fail-under" not in text
        if found and (not only or leftovers.drop_unused(space, path, "podcov fetches and combines the data")):
            why = "no service writes these files any more: `podcov run` fetches and combines"
            findings.append(Finding(f"{path}:{found[0].line}", found[0].what, "kept", why, "warning"))
    return findings


def _settings_elsewhere(space: Workspace) -> list[Finding]:
    """ConfigMaps that hold a coverage configuration."""
    why = "podcov reads settings where the source is: have the same in .coveragerc there, or name a file as `coverage_config`"
    roots = [(path, root) for path, text in python_tools.manifests(space) for root in yamls.documents(text)]
    maps = [(path, yamls.get(root, "data")) for path, root in roots if yamls.scalar(root, "kind") == "ConfigMap"]
    return [
        Finding(f"{path}:{space.line(path, key.start_mark.index)}", f"{key.value} in a ConfigMap", "kept", why, "warning")
        for path, data in maps
        for key, value in (data.value if isinstance(data, MappingNode) else ())
        if "coveragerc" in key.value or "[run]" in str(value.value)
    ]


def _left(space: Workspace) -> list[Finding]:
    """What still starts coverage.py."""
    found = "starts coverage.py, in a way that only a person can take out"
    texts = [*python_tools.images(space), *python_tools.manifests(space), *_scripts(space)]
    places = [e for path, _ in texts for e in [*space.found(path, _SET, ""), *space.found(path, _STARTUP, "")][:1]]
    runs = [(path, next(_script_runs(text), None)) for path, text in _scripts(space)]
    places += [*(Evidence(path, space.line(path, cut.start), "") for path, cut in runs if cut), *_kept(space)]
    first = {e.path: e for e in reversed(places)}
    return [Finding(f"{e.path}:{e.line}", found, "kept", python_tools.WHY_NOT_BOTH, "warning") for e in reversed(first.values())]
