"""Projects as people really have them: what `podcov init` makes of each is exactly what stands in its `expected/`.

`PODCOV_REGENERATE=1` writes `expected/` anew; the difference is for people to read.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest
import yaml
from corpus_shapes import Document, Key, Shape, documents, joined, kustomize_command, output, render, shapes, skaffold
from podcov.commands import main
from podcov.edges import tracers
from podcov.generate.coverage import instrument
from podcov.generate.languages import entered, python

SHAPES = shapes()
ACCEPTED = [shape for shape in SHAPES if shape.base]
REFUSED = [shape for shape in SHAPES if not shape.base]
NOBODY = "http://127.0.0.1:9"
REGENERATE = bool(os.environ.get("PODCOV_REGENERATE"))
NAMED = {python.entrypoint("")[-1]: "<bootstrap>", python.courier("")[2]: "<sidecar>"}
NAMED |= {entered.literal(script): name for script, name in NAMED.items()}
_HASHED = re.compile(r"(podcov-(?:wrapper|tracers|hand)(?:-\d+)?)-[a-z0-9]{10}\b")


@dataclass(frozen=True)
class Adopted:
    """A copy of a shape's project after `podcov init`."""

    shape: Shape
    folder: Path
    env: Mapping[str, str]
    findings: str
    """what `podcov init` said, as plain text"""

    @cached_property
    def base_text(self) -> str:
        return render(self.shape, self.folder, self.env)

    @cached_property
    def base(self) -> dict[Key, Document]:
        """What is deployed without coverage."""
        return documents(self.base_text)

    @cached_property
    def injected_text(self) -> str:
        return self.inject(self.base_text)

    @cached_property
    def injected(self) -> dict[Key, Document]:
        return documents(self.injected_text)

    @cached_property
    def covered(self) -> dict[Key, Document]:
        """What is deployed with coverage, by the way that `init` chose, and by the tool that the project deploys with."""
        if any("skaffold" in step for step in self.shape.base):
            return documents(skaffold(self.folder, self.env, "--profile", self.profile))
        return self.overlaid("kubectl") if self.by == "overlay" else self.injected

    @cached_property
    def said(self) -> Mapping[str, Any]:
        """Its podcov.yaml."""
        return yaml.safe_load((self.folder / "podcov.yaml").read_text())

    @property
    def by(self) -> str:
        return self.said["generate"].get("by", "overlay")

    @property
    def profile(self) -> str:
        return self.said["generate"].get("profile", "coverage")

    def overlaid(self, kustomize: str) -> dict[Key, Document]:
        return documents(output([*kustomize_command(kustomize), "podcov/overlay"], self.folder, self.env))

    def inject(self, text: str) -> str:
        return output(["podcov", "inject"], self.folder, self.env, stdin=text)


@pytest.fixture(scope="module")
def environment() -> Iterator[Mapping[str, str]]:
    """The real tools and this checkout's podcov on the PATH; no cluster, and no engine and no registry that know an image."""
    home = Path(os.environ.get("PODCOV_CLUSTER_HOME") or Path.home() / ".cache" / "podcov-cluster")
    tracers.ensure(tracers.minors_for("line"))  # a package index has them, and will not be there either
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"], str(home / "bin")]))
        patch.setenv("KUBECONFIG", os.devnull)
        patch.setenv("DOCKER_HOST", f"unix://{os.devnull}")
        for proxy in ("HTTPS_PROXY", "https_proxy"):
            patch.setenv(proxy, NOBODY)
        for name in [name for name in os.environ if name in ("PODCOV", "NO_PROXY", "no_proxy") or name.startswith("SKAFFOLD_")]:
            patch.delenv(name)
        yield dict(os.environ)


@pytest.fixture(scope="module")
def adopt(tmp_path_factory: pytest.TempPathFactory, environment: Mapping[str, str]) -> Callable[[Shape], Adopted]:
    """Each shape is set up once, for all tests."""

    @cache
    def once(shape_name: str) -> Adopted:
        shape = next(shape for shape in ACCEPTED if shape.name == shape_name)
        folder = shutil.copytree(shape.project, tmp_path_factory.mktemp(shape.name) / "project")
        code, said = podcov(folder, "init", *shape.init)
        assert code == 0, said
        return Adopted(shape, folder, environment, said)

    return lambda shape: once(shape.name)


@pytest.fixture(params=ACCEPTED, ids=lambda shape: shape.name)
def adopted(request: pytest.FixtureRequest, adopt: Callable[[Shape], Adopted]) -> Adopted:
    return adopt(request.param)


def where(fits: Callable[[Shape], bool]) -> pytest.MarkDecorator:
    """Only the shapes that a test has something to say of."""
    found = [shape for shape in ACCEPTED if fits(shape)]
    return pytest.mark.parametrize("adopted", found, indirect=True, ids=lambda shape: shape.name)


def renders_by(tool: str) -> Callable[[Shape], bool]:
    return lambda shape: any(tool in step for step in shape.base)


def has(path: str) -> Callable[[Shape], bool]:
    return lambda shape: (shape.project / path).exists()


def is_overlaid(shape: Shape) -> bool:
    path = shape.expected / "podcov.yaml"
    return path.exists() and "by: inject" not in path.read_text()


def podcov(folder: Path, *arguments: str) -> tuple[int, str]:
    """A command as it is typed in a folder: its exit code, and what it says on stderr."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(io.StringIO()) as said:
        patch.chdir(folder)
        code = main.run(arguments)
    return code, "".join(f"{line.rstrip()}\n" for line in said.getvalue().splitlines())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def expect(path: Path, text: str) -> None:
    """The text is what stands in the file; no text, no file."""
    if REGENERATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text) if text else path.unlink(missing_ok=True)
    assert text == (path.read_text() if path.exists() else "")


def test_it_writes_and_says_what_is_expected(adopted: Adopted) -> None:
    before, after = contents(adopted.shape.project), contents(adopted.folder)
    changed = [path for path in before if before[path] != after[path]]
    expect(adopted.shape.expected / "podcov.yaml", after["podcov.yaml"].decode())
    expect(adopted.shape.expected / "findings.txt", adopted.findings)
    expect(adopted.shape.expected / "files.diff", "".join(difference(before[p].decode(), after[p].decode(), p) for p in changed))
    outside = {path for path in after if path not in before and not path.startswith("podcov/")}
    assert {path for path in outside if path.removesuffix(".podcov") not in before} == {"podcov.yaml"}


def test_once_more_changes_nothing_and_check_passes(adopted: Adopted) -> None:
    before = contents(adopted.folder)
    for arguments in ([], ["--check"]):
        code, said = podcov(adopted.folder, "init", *arguments)
        assert (code, contents(adopted.folder)) == (0, before), said


def test_ejected_every_byte_is_as_it_was(adopted: Adopted, tmp_path: Path) -> None:
    folder = shutil.copytree(adopted.folder, tmp_path / "project")
    code, said = podcov(folder, "eject")
    assert (code, contents(folder)) == (0, contents(adopted.shape.project)), said


def test_rendered_minus_base_is_the_change(adopted: Adopted) -> None:
    expect(adopted.shape.expected / "change.diff", changes(adopted.base, adopted.covered))


def test_taken_off_again_it_is_the_base_document_for_document(adopted: Adopted) -> None:
    for covered in (adopted.covered, adopted.injected):
        plain = {key: instrument.remove(document) for key, document in covered.items() if not is_ours(key)}
        assert list(plain.items()) == list(adopted.base.items())


def test_only_what_podcov_yaml_names_is_instrumented(adopted: Adopted) -> None:
    measured = {(service["workload"], service.get("namespace", "")) for service in adopted.said["services"].values()}
    assert {(f"{kind.lower()}/{name}", namespace) for kind, namespace, name in instrumented(adopted.covered)} == measured


def test_twice_injected_is_once_injected(adopted: Adopted) -> None:
    assert adopted.inject(adopted.injected_text) == adopted.injected_text


@where(lambda shape: renders_by("files")(shape) and not (has("skaffold.yaml")(shape) or has("Tiltfile")(shape)))
def test_the_command_that_it_prints_gives_the_same(adopted: Adopted) -> None:
    (command,) = re.findall(r"^next: (.+) \| kubectl apply -f -$", adopted.findings, re.MULTILINE)
    assert documents(output(["sh", "-c", command], adopted.folder, adopted.env)) == adopted.covered


@where(renders_by("kustomize"))
def test_every_kustomize_renders_the_same(adopted: Adopted) -> None:
    assert documents(render(adopted.shape, adopted.folder, adopted.env, kustomize="kustomize")) == adopted.base


@where(is_overlaid)
def test_overlay_and_injection_agree(adopted: Adopted) -> None:
    assert sorted(adopted.covered.items()) == sorted(adopted.injected.items())
    assert adopted.overlaid("kustomize") == adopted.overlaid("kubectl")


@where(lambda shape: is_overlaid(shape) and has("skaffold.yaml")(shape))
def test_by_injection_skaffold_renders_the_same_as_by_the_overlay(adopted: Adopted, tmp_path: Path) -> None:
    folder = shutil.copytree(adopted.shape.project, tmp_path / "project")
    code, said = podcov(folder, "init", "--by", "inject", *adopted.shape.init)
    assert code == 0, said
    injected = documents(skaffold(folder, adopted.env, "--profile", adopted.profile))
    assert sorted(injected.items()) == sorted(adopted.covered.items())


@where(renders_by("helm"))
def test_helm_3_and_4_agree(adopted: Adopted) -> None:
    assert documents(render(adopted.shape, adopted.folder, adopted.env, helm="helm4")) == adopted.base


@where(has("skaffold.yaml"))
def test_skaffold_renders_the_same(adopted: Adopted) -> None:
    assert documents(skaffold(adopted.folder, adopted.env)) == adopted.base
    covered = documents(skaffold(adopted.folder, adopted.env, "--profile", adopted.profile))
    assert sorted(covered.items()) == sorted(adopted.injected.items())


@where(has("Tiltfile"))
def test_tilt_makes_the_same(adopted: Adopted) -> None:
    """Tilt writes manifests in its own way: what it makes of them with coverage, taken off again, is what it makes without."""
    base, covered = tilt(adopted), tilt(adopted, PODCOV="1")
    assert instrumented(covered) == instrumented(adopted.covered)
    plain = {key: instrument.remove(document) for key, document in covered.items() if not is_ours(key)}
    assert without_empty(plain) == without_empty(base)


@pytest.mark.parametrize("shape", REFUSED, ids=lambda shape: shape.name)
def test_what_it_cannot_do_it_refuses_and_says_where_and_what_to_write(
    shape: Shape, tmp_path: Path, environment: Mapping[str, str]
) -> None:
    folder = shutil.copytree(shape.project, tmp_path / "project")
    code, said = podcov(folder, "init", *shape.init)
    assert code == 2
    assert "what to do: " in said
    expect(shape.expected / "error.txt", said)
    assert contents(folder) == contents(shape.project)


def tilt(adopted: Adopted, **more: str) -> dict[Key, Document]:
    made = json.loads(output(["tilt", "alpha", "tiltfile-result"], adopted.folder, {**adopted.env, **more}))
    return documents(joined(manifest["DeployTarget"].get("yaml", "") for manifest in made["Manifests"]))


def instrumented(found: Mapping[Key, Document]) -> set[Key]:
    return {key for key, document in found.items() if instrument.is_instrumented(document)}


def without_empty(value: Any) -> Any:
    """Tilt spells out some of what is empty."""
    if isinstance(value, dict):
        return {key: kept for key, item in value.items() if (kept := without_empty(item)) not in ({}, None)}
    return [without_empty(item) for item in value] if isinstance(value, list) else value


def is_ours(key: Key) -> bool:
    kind, _, name = key
    return kind == "ConfigMap" and name.startswith(("podcov-wrapper-", "podcov-tracers-", "podcov-hand-"))


def changes(base: Mapping[Key, Document], covered: Mapping[Key, Document]) -> str:
    """What coverage changes, object by object."""
    return "".join(difference(shown(base.get(key)), shown(covered.get(key)), title(key)) for key in sorted({*base, *covered}))


def title(key: Key) -> str:
    return _HASHED.sub(r"\1-<hash>", "/".join(part for part in key if part))


def shown(document: Document | None) -> str:
    """Normalised YAML, with names in the place of what changes with every version of the wrapper."""
    if document is None:
        return ""
    without = {key: value for key, value in document.items() if key not in ("data", "binaryData")}
    ours = (document["metadata"].get("labels") or {}).get("app.kubernetes.io/part-of") == "podcov"
    return yaml.dump(normal(without if ours else document), Dumper=Plain, width=1_000, allow_unicode=True)


def normal(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: normal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [normal(item) for item in value]
    return NAMED.get(value, _HASHED.sub(r"\1-<hash>", value)) if isinstance(value, str) else value


class Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def difference(before: str, after: str, name: str) -> str:
    """As a unified diff that shows line ends; a file or an object that was not there before is shown as such."""
    names = (name if before else "/dev/null", name if after else "/dev/null")
    lines = difflib.unified_diff(*(text.replace("\r", "<CR>").splitlines(keepends=True) for text in (before, after)), *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
