"""Whole repos that measure coverage already, as people have them: what is said of each, and what would be put in its place.

`PODCOV_UPDATE_GOLD=1` writes the gold files anew: read what changed.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.commands.main import run
from podcov.config import Dump, parse
from podcov.edges.adopted_copy import adopted_copy
from podcov.edges.project import DiskProject
from podcov.generate import adoption, walk
from podcov.generate.adoption import Adoption
from podcov.generate.adoption.adopted import AdoptedProject
from podcov.generate.images import dockerfile

SETUPS = Path(__file__).with_name("adoption")
NAMES = sorted(path.parent.name for path in SETUPS.glob("*/repo"))
Copy = Callable[[str], Path]


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def repo(tmp_path: Path) -> Copy:
    """A copy of one of the repos."""
    return lambda name: shutil.copytree(SETUPS / name / "repo", tmp_path / name)


def recognise(folder: Path) -> tuple[Adoption, ...]:
    return adoption.recognise(DiskProject(folder))


def adopt(folder: Path) -> None:
    """What `podcov init --adopt` writes."""
    for replacement in (r for found in recognise(folder) for r in found.replaces):
        path = folder / replacement.path
        if replacement.content is None:
            path.unlink()
        else:
            path.write_bytes(replacement.content)


def said(adoptions: Iterable[Adoption]) -> str:
    lines = []
    for found in adoptions:
        lines += [found.name, *(f"  {kind}: {', '.join(values)}" for kind, values in found.facts.items())]
        lines += [f"  profile taken: {found.profile_taken}"] if found.profile_taken else []
        lines += [f"  keeps: {sentence}" for sentence in found.keeps]
        lines += [f"  {f.level}: {f.subject} | {f.found} | {f.decided} | {f.why}" for f in found.findings]
        lines += [f"  {e.path}:{e.line}: {e.what}" for e in found.evidence]
    return "\n".join(lines) + "\n"


def diff(folder: Path, adoptions: Iterable[Adoption]) -> str:
    out: list[str] = []
    for replacement in (r for found in adoptions for r in found.replaces):
        before = (folder / replacement.path).read_text().splitlines(keepends=True)
        after = (replacement.content or b"").decode().splitlines(keepends=True)
        to = "/dev/null" if replacement.content is None else replacement.path
        out += [f"# {replacement.reason}\n", *difflib.unified_diff(before, after, replacement.path, to)]
    return "".join(out)


def is_less(after: object, before: object) -> bool:
    """Whether `after` is `before` without some of its entries."""
    if isinstance(after, dict) and isinstance(before, dict):
        return all(key in before and is_less(value, before[key]) for key, value in after.items())
    if isinstance(after, list) and isinstance(before, list):
        left = iter(before)
        return all(any(is_less(item, other) for other in left) for item in after)
    return after == before


def same_as_gold(text: str, gold: Path) -> None:
    if os.environ.get("PODCOV_UPDATE_GOLD"):
        gold.write_text(text)
    assert text == gold.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_what_is_said_and_offered(name: str) -> None:
    found = recognise(SETUPS / name / "repo")
    assert found
    same_as_gold(said(found), SETUPS / name / "said.txt")
    same_as_gold(diff(SETUPS / name / "repo", found), SETUPS / name / "adopted.diff")


@pytest.mark.parametrize("name", NAMES)
def test_once_adopted_there_is_nothing_more_to_replace(name: str, repo: Copy) -> None:
    folder = repo(name)
    adopt(folder)
    assert [replacement for found in recognise(folder) for replacement in found.replaces] == []


@pytest.mark.parametrize("name", NAMES)
def test_only_lines_in_evidence_are_changed(name: str) -> None:
    folder = SETUPS / name / "repo"
    found = recognise(folder)
    evidence = {(e.path, e.line) for one in found for e in one.evidence}
    for replacement in (r for one in found for r in one.replaces):
        if replacement.content is None:
            assert (replacement.path, 1) in evidence
            continue
        lines = (folder / replacement.path).read_text().split("\n")
        untouched = [line for number, line in enumerate(lines, 1) if (replacement.path, number) not in evidence]
        left = iter(replacement.content.decode().split("\n"))
        assert all(line in left for line in untouched), replacement.path


@pytest.mark.parametrize("name", NAMES)
def test_evidence_stands_where_it_says(name: str) -> None:
    folder = SETUPS / name / "repo"
    for evidence in (e for found in recognise(folder) for e in found.evidence):
        assert 1 <= evidence.line <= len((folder / evidence.path).read_text().split("\n"))


REPOS = {
    name: {str(p.relative_to(SETUPS / name / "repo")): p.read_text() for p in files(SETUPS / name / "repo")} for name in NAMES
}


@settings(max_examples=100)
@given(st.data())
def test_however_a_repo_is_changed_nothing_is_lost_by_it(data: st.DataObject) -> None:
    texts = dict(REPOS[data.draw(st.sampled_from(NAMES))])
    for path in data.draw(
        st.lists(st.sampled_from(sorted(path for path, text in texts.items() if text)), min_size=1, max_size=3)
    ):
        at = data.draw(st.integers(0, len(texts[path])))
        gone = data.draw(st.integers(0, 30))
        put = data.draw(st.sampled_from(["", "\n", " ", "\t", "'", '"', "[", "]", "{", "\\", "#", ":", "- ", "\r\n", "&&", "é"]))
        texts[path] = texts[path][:at] + put + texts[path][at + gone :]
    found = adoption.recognise(MemoryProject(texts))
    evidence = {(e.path, e.line) for one in found for e in one.evidence}
    left = dict(texts)
    for replacement in (r for one in found for r in one.replaces):
        path, content = replacement.path, replacement.content
        if content is None:
            del left[path]
            continue
        left[path] = content.decode()
        untouched = [line for number, line in enumerate(texts[path].split("\n"), 1) if (path, number) not in evidence]
        lines = iter(left[path].split("\n"))
        assert all(line in lines for line in untouched)
        if path.endswith(".yaml") and (before := parsed(texts[path])) is not None:
            assert is_less(parsed(left[path]), before)
    assert [r for one in adoption.recognise(MemoryProject(left)) for r in one.replaces] == []


def parsed(text: str) -> list[object] | None:
    """The documents that say anything; None where it is no YAML."""
    try:
        return [document for document in yaml.safe_load_all(text) if document]
    except (yaml.YAMLError, ValueError):
        return None


@pytest.mark.parametrize("name", ["go-hello", "hello", "shop"])
def test_a_repo_without_any_of_it(name: str, root: Path) -> None:
    assert recognise(root / "examples" / name) == ()


@pytest.mark.parametrize(
    ("name", "base", "gone"),
    [
        ("coverage-http", "k8s", ["9095", "COVERAGE_PORT", "livenessProbe"]),
        ("process-start", "base", ["/coverage"]),
    ],
)
def test_what_kustomize_renders_only_loses_the_tool(
    name: str, base: str, gone: list[str], repo: Copy, render: Callable[[Path], dict[str, dict]]
) -> None:
    folder = repo(name)
    before = render(folder / base)
    adopt(folder)
    after = render(folder / base)
    assert after.keys() == before.keys()
    assert is_less(after, before)
    assert [text for text in gone if text in str(after)] == []
    assert [text for text in gone if text not in str(before)] == []


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    found = sorted(folder.rglob("Dockerfile*"))
    return {str(path.relative_to(folder)): dockerfile.parse(path.read_text()).command for path in found}


def test_images_start_the_app_itself(repo: Copy) -> None:
    http, process = repo("coverage-http"), repo("process-start")
    adopt(http)
    adopt(process)
    assert commands(http)["Dockerfile.test"] == ("python", "app.py", "--port", "8080")
    assert commands(process)["orders/Dockerfile"] == ("python", "-m", "orders")


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter without coverage.py, as the images have it afterwards."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    assert subprocess.run([python, "-c", "import coverage"], capture_output=True, check=False).returncode
    return python


@pytest.mark.parametrize(
    ("name", "service", "image", "folder", "suite"),
    [
        ("coverage-http", "greeter", "Dockerfile.test", "src", "tests/e2e"),
        ("process-start", "orders", "orders/Dockerfile", "orders", "tests"),
    ],
)
def test_once_adopted_the_service_starts_without_the_tool_and_is_measured(
    name: str, service: str, image: str, folder: str, suite: str, repo: Copy, bare_python: str
) -> None:
    there, port = repo(name), f"{{port:{service}}}"
    adopt(there)
    command = [{"python": bare_python, "8080": port}.get(word, word) for word in commands(there)[image]]
    local = {"command": command, "directory": folder, "env": {"PORT": port}, "ready": f"http://127.0.0.1:{port}/"}
    config = {
        "version": 1,
        "platform": "local",
        "services": {service: {"source": [folder], "interpreter": bare_python, "local": local}},
        "tests": {"command": [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite]},
        "port_forwards": [{"resource": f"service/{service}", "port": 80}],
    }
    (there / "podcov.yaml").write_text(yaml.safe_dump(config))
    assert run(["run", "-c", str(there / "podcov.yaml")]) == 0
    summary = json.loads((there / ".podcov/runs/latest/summary.json").read_text())
    assert summary["ledger"]["processes"] == {"expected": 1, "collected": 1, "empty": 0, "failed": 0}
    assert 50 < summary["total"]["percent"] < 100


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("coverage-http", b"coverage_server"),
        ("process-start", b"COVERAGE_PROCESS_START"),
        ("skaffold-tutorial", b"USR1"),
        ("test-binary", b"gocovmerge"),
        ("coverage-switch", b"go tool"),
    ],
)
def test_init_adopts_and_then_has_nothing_left_to_offer(
    name: str, gone: bytes, repo: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repo(name)
    edited = [p for p in files(folder) if p.suffix in (".yaml", ".py", ".sh") or p.name.startswith(("Dockerfile", "Makefile"))]
    before = [path for path in edited if gone in path.read_bytes()]
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    capsys.readouterr()
    assert before
    assert not [path for path in before if path.exists() and gone in path.read_bytes()]
    assert run(["init", "--check", "-c", str(folder / "podcov.yaml")]) == 0
    assert "--adopt" not in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", ["skaffold-tutorial", "test-binary", "coverage-switch"])
def test_services_in_go_go_on_measuring_themselves(name: str, repo: Copy) -> None:
    folder = repo(name)
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    same_as_gold((folder / "podcov.yaml").read_text(), SETUPS / name / "podcov.yaml")


def test_podcov_s_profile_has_the_name_of_the_one_that_it_takes_the_place_of(repo: Copy, tmp_path: Path) -> None:
    folder = repo("skaffold-tutorial")
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    profile = ["--profile", "coverage"]
    render = ["skaffold", "render", "--offline", "--digest-source=none", *profile, "--output", tmp_path / "rendered.yaml"]
    done = subprocess.run(render, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rendered = [document for document in yaml.safe_load_all((tmp_path / "rendered.yaml").read_text()) if document]
    [pod] = [document["spec"]["template"]["spec"] for document in rendered if document["kind"] == "Deployment"]
    assert {"name": "GOCOVERDIR", "value": "/coverage-data"} in pod["containers"][0]["env"]
    diagnose = ["skaffold", "diagnose", "--yaml-only", *profile]
    read = yaml.safe_load(subprocess.run(diagnose, cwd=folder, capture_output=True, text=True, check=True).stdout)
    assert read["build"]["artifacts"][0]["ko"]["flags"] == ["-cover", "-covermode=atomic"]
    assert read["build"]["artifacts"][0]["ko"]["fromImage"] == "registry.example/distroless/static:nonroot"
    assert [hook["host"]["command"][0] for hook in read["deploy"]["kubectl"]["hooks"]["after"]] == ["podcov"]


def test_what_init_wrote_before_says_it_too_and_keeps_its_profile(repo: Copy) -> None:
    """And its block stays whole, though the profile that goes stands right beneath it."""
    folder = repo("skaffold-tutorial")
    config = folder / "podcov.yaml"
    assert run(["init", "--replicas", "3", "-c", str(config)]) == 0
    assert run(["init", "--adopt", "-c", str(config)]) == 0
    adopted = parse(config.read_text())
    assert [service.dump for service in adopted.services] == [Dump("signal", folder="/coverage-data")]
    assert adopted.tests.command[0] == "./integration-test/run.sh"
    assert (adopted.generate.replicas, adopted.generate.profile) == (3, "podcov")
    assert [p["name"] for p in yaml.safe_load((folder / "skaffold.yaml").read_text())["profiles"]] == ["podcov"]
    before = contents(folder)
    assert run(["init", "--check", "--adopt", "-c", str(config)]) == 0
    assert run(["init", "--adopt", "-c", str(config)]) == 0
    assert contents(folder) == before


def test_a_configuration_that_somebody_edited_stays_as_it_is(repo: Copy) -> None:
    folder = repo("test-binary")
    config = folder / "podcov.yaml"
    assert run(["init", "-c", str(config)]) == 0
    config.write_text(f"{config.read_text()}# ours\n")
    assert run(["init", "--adopt", "-c", str(config)]) == 0
    assert config.read_text().endswith("# ours\n")
    assert not (folder / "scripts/coverage.sh").exists()


def test_a_make_target_that_is_there_is_not_made_again(repo: Copy) -> None:
    folder = repo("coverage-switch")
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    wanted = ["make", "--dry-run", "test-e2e-ledger-coverage"]
    said = subprocess.run(wanted, cwd=folder, capture_output=True, text=True, check=True)
    assert "E2E_COVERAGE=true podcov run -- go test ./test/e2e/ledger/..." in said.stdout
    assert "overriding" not in said.stderr


def test_what_the_tests_deploy_themselves_is_measured_with_a_configuration_by_hand(
    repo: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repo("coverage-switch")
    shutil.rmtree(folder / "deploy")
    assert run(["init", "-c", str(folder / "podcov.yaml")]) == 2
    text = capsys.readouterr().err.rpartition("deployed in other ways: ")[2].strip()
    [service] = parse(text).services
    assert (service.workload, service.dump) == ("deployment/ledger", Dump("exit", source="nodes"))
    assert parse(text).copies == {"e2e-coverage.txt": "go.txt", "e2e-coverage.html": "go.html"}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}


def edited_block(folder: Path) -> None:
    """podcov has a block there, and somebody edited it."""
    assert run(["init", "-c", str(folder / "podcov.yaml")]) == 0
    path = folder / "skaffold.yaml"
    path.write_text(path.read_text().replace("name: podcov", "name: ours").replace("name: coverage", "name: ours"))


def unrenderable(folder: Path) -> None:
    path = folder / "base/kustomization.yaml"
    path.write_text(path.read_text() + "  - missing.yaml\n")


@pytest.mark.parametrize(("spoil", "said"), [(unrenderable, "base/missing.yaml"), (edited_block, "was edited by hand")])
def test_what_init_refuses_is_not_adopted_either(
    spoil: Callable[[Path], None], said: str, repo: Copy, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repo("process-start")
    spoil(folder)
    before = contents(folder)
    capsys.readouterr()
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "podcov-adopt-" not in error, "a scratch folder that nobody knows"
    assert contents(folder) == before
    assert run(["init", "-c", str(folder / "podcov.yaml")]) == 2
    assert [r for found in recognise(folder) for r in found.replaces], "it still says what could be replaced"


@pytest.mark.parametrize("name", ["coverage-http", "process-start"])
def test_adopted_at_once_is_adopted_and_then_set_up(name: str, repo: Copy, tmp_path: Path) -> None:
    at_once = repo(name)
    after_another = shutil.copytree(at_once, tmp_path / "second" / name)
    adopt(after_another)
    assert run(["init", "-c", str(after_another / "podcov.yaml")]) == 0
    assert run(["init", "--adopt", "-c", str(at_once / "podcov.yaml")]) == 0
    assert contents(at_once) == contents(after_another)


def test_a_dry_run_shows_what_would_be_adopted_and_generated(repo: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repo("process-start")
    before = contents(folder)
    assert run(["init", "--adopt", "--dry-run", "-c", str(folder / "podcov.yaml")]) == 0
    out, err = capsys.readouterr()
    assert "-          mountPath: /coverage" in out
    assert "+++ b/podcov.yaml" in out
    assert "podcov can take over" not in err
    assert contents(folder) == before


def test_check_names_what_could_be_adopted_where_that_is_asked_for(repo: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repo("process-start")
    assert run(["init", "-c", str(folder / "podcov.yaml")]) == 0
    assert run(["init", "--check", "-c", str(folder / "podcov.yaml")]) == 0
    capsys.readouterr()
    assert run(["init", "--check", "--adopt", "-c", str(folder / "podcov.yaml")]) == 2
    assert "orders/Dockerfile: can be adopted: " in capsys.readouterr().err


def test_a_file_that_both_change_is_named_once(repo: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repo("process-start")
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "wrote orders/Dockerfile" in lines
    assert len(lines) == len(set(lines))


def test_what_is_offered_takes_nothing_of_podcov_s_own_out(repo: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown when podcov's profile has just been written into the file that the user's own would be taken out of."""
    folder = repo("skaffold-tutorial")
    assert run(["init", "-c", str(folder / "podcov.yaml")]) == 0
    shown = capsys.readouterr().err
    assert "-- name: coverage" in shown
    assert not [line for line in shown.splitlines() if line.startswith("-") and "podcov" in line]


def test_what_stays_is_said_once(repo: Copy, capsys: pytest.CaptureFixture[str]) -> None:
    folder = repo("process-start")
    (folder / "orders/start.sh").write_text("#!/bin/sh\nif true; then\n  coverage run -m orders\nfi\n")
    dockerfile = folder / "orders/Dockerfile"
    dockerfile.write_text(f'{dockerfile.read_text()}ENTRYPOINT ["/start.sh"]\n')
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0
    said = capsys.readouterr().err
    assert said.count("only a person can take out") == 1, said


@pytest.mark.parametrize("name", NAMES)
def test_the_adopted_project_is_the_one_that_will_be_on_disk(name: str, repo: Copy) -> None:
    folder = repo(name)
    before = DiskProject(folder)
    replaced = {r.path: r.content for found in recognise(folder) for r in found.replaces}
    planned = AdoptedProject(before, replaced)
    seen = {path: planned.read(path) for path in walk.walk(planned)}
    with adopted_copy(folder, before, replaced) as copy:
        assert contents(copy).keys() == {str(p.relative_to(folder)) for p in files(folder)} - {
            path for path, content in replaced.items() if content is None
        }
        copied = contents(copy)
    adopt(folder)
    assert seen == {path: DiskProject(folder).read(path) for path in walk.walk(DiskProject(folder))}
    assert copied == contents(folder)


def test_adopting_reaches_what_links_lead_to_and_what_lies_outside(
    repo: Copy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repo("process-start")
    outside = tmp_path / "shared"
    outside.mkdir()
    (outside / "kustomization.yaml").write_text("resources: [map.yaml]\n")
    (outside / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shared}\n")
    (folder / "linked").symlink_to("base")
    (folder / "dependencies" / "node_modules" / "x").mkdir(parents=True)
    (folder / "base/kustomization.yaml").write_text("resources: [orders.yaml, billing.yaml, ../../shared]\n")
    (folder / "overlays/coverage/kustomization.yaml").write_text(
        "resources: [../../linked]\npatches: [{path: billing-coverage.yaml}]\n"
    )
    assert run(["init", "--adopt", "-c", str(folder / "podcov.yaml")]) == 0, capsys.readouterr().err
    assert (folder / "linked").is_symlink()
    assert "COVERAGE_PROCESS_START" not in "".join(path.read_text() for path in (folder / "base").iterdir())
    assert run(["init", "--check", "-c", str(folder / "podcov.yaml")]) == 0
