"""`podcov new`: what it makes passes its own tests at once; a team's template does as well; what cannot be is refused."""

from __future__ import annotations

import json
import keyword
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from podcov import assets
from podcov.commands.main import COMMANDS, run
from podcov.config import parse
from podcov.edges import project, template_source
from podcov.edges.template_source import Source
from podcov.errors import NewError
from podcov.generate import new
from podcov.generate.new import File, Wanted

SCRIPTS = Path(sys.executable).parent
LONGEST = "a" + "-b" * 31
LANGUAGES = assets.new_languages()


@pytest.fixture
def podcov(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`podcov("orders", ...)` -> (exit code, stdout, stderr) of `podcov new orders ...` in `tmp_path`."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        code = run(["new", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def contents(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text(errors="replace") for p in sorted(folder.rglob("*")) if p.is_file()}


# --- the template that comes with podcov -----------------------------------------------------------------------------


def make_test(folder: Path, *settings: str) -> tuple[str, dict[str, Any]]:
    """What `make test` prints, and the summary of the run in it."""
    command = ["make", "test", f"PODCOV={SCRIPTS / 'podcov'}", *settings]
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PYTEST_"))}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ledger: complete" in done.stdout
    told = json.loads((folder / ".podcov/runs/latest/summary.json").read_text())
    assert told["ledger"]["targets"]["failed"] == told["ledger"]["processes"]["failed"] == 0
    return done.stdout, told["services"][folder.name]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_to_do_next_is_said(podcov: Any, language: str) -> None:
    code, out, err = podcov("orders-api", "--language", language)
    assert code == 0, err
    assert out.splitlines()[0] == "cd orders-api"
    assert out.splitlines()[1].startswith("make test ")
    assert len(out.splitlines()) == 3


def test_a_new_service_passes_its_own_make_test(podcov: Any, tmp_path: Path) -> None:
    podcov("orders-api", "--language", "python")
    said, service = make_test(tmp_path / "orders-api", f"PYTHON={sys.executable}")
    assert "9 passed" in said
    assert "4 passed" in said
    assert service["percent"] == 100


@pytest.fixture
def go() -> None:
    if not shutil.which("go"):
        pytest.skip("there is no go on the PATH: what it builds is tested here, and CI has it")


@pytest.mark.usefixtures("go")
def test_a_new_service_in_go_passes_its_own_make_test(podcov: Any, tmp_path: Path) -> None:
    podcov("orders-api", "--language", "go", "--set", "owner=github.com/acme")
    said, service = make_test(tmp_path / "orders-api")
    assert "gofmt has nothing to say" in said
    assert re.findall(r"(?m)^ok\s+(\S+)", said) == [
        "github.com/acme/orders-api",
        "github.com/acme/orders-api/internal/api",
        "github.com/acme/orders-api/internal/greetings",
        "github.com/acme/orders-api/tests/integration",
    ]
    assert 80 < service["percent"] < 100
    report = json.loads((tmp_path / "orders-api/.podcov/runs/latest/reports/coverage.json").read_text())
    assert report["files"]["internal/greetings/greetings.go"]["summary"]["percent_covered"] == 100


@pytest.mark.usefixtures("go")
@pytest.mark.parametrize("name", ["a", LONGEST])
def test_gofmt_has_nothing_to_say_whatever_the_name(podcov: Any, tmp_path: Path, name: str) -> None:
    assert podcov(name, "--language", "go", "--port", "65535", "--set", "node_port=1")[0] == 0
    done = subprocess.run(["gofmt", "-l", "."], cwd=tmp_path / name, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("name", ["a", "orders-api", LONGEST])
def test_ruff_has_nothing_to_say_whatever_the_name(podcov: Any, tmp_path: Path, name: str) -> None:
    assert podcov(name)[0] == 0
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([SCRIPTS / "ruff", *command, "."], cwd=tmp_path / name, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_init_generates_is_in_it_and_up_to_date(podcov: Any, tmp_path: Path, language: str) -> None:
    podcov("orders-api", "--language", language)
    orders = tmp_path / "orders-api"
    assert project.init(orders, check=True).changes == ()
    for file in ("skaffold.yaml", "Tiltfile"):
        text = (orders / file).read_text()
        assert text.count("# >>> podcov") == text.count("# <<< podcov") == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_skaffold_renders_it_with_and_without_coverage(podcov: Any, tmp_path: Path, language: str) -> None:
    podcov("orders-api", "--language", language, "--port", "8123", "--set", "node_port=31234")
    orders = tmp_path / "orders-api"

    def rendered(*arguments: str) -> dict[str, Any]:
        output = tmp_path / "rendered.yaml"
        command = ["skaffold", "render", "--offline", "--digest-source=none", "--output", output, *arguments]
        done = subprocess.run(command, cwd=orders, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return {document["kind"]: document for document in yaml.safe_load_all(output.read_text()) if document}

    plain, covered = rendered(), rendered("--profile", "coverage")
    [container] = plain["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "http", "containerPort": 8123}]
    [port] = plain["Service"]["spec"]["ports"]
    assert (port["port"], port["nodePort"]) == (8123, 31234)
    assert "podcov" not in json.dumps(plain)
    assert covered["Service"] == plain["Service"]
    assert covered["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]["name"] == "podcov-courier"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_selector_picks_the_pods_of_this_service_alone(podcov: Any, tmp_path: Path, render: Any, language: str) -> None:
    podcov("orders-api", "--language", language)
    documents = render(tmp_path / "orders-api/k8s")
    deployment, service = documents["Deployment/orders-api"], documents["Service/orders-api"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert labels == deployment["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]
    assert labels == {"app.kubernetes.io/name": "orders-api"}


def test_names_are_the_service_s_in_every_file(podcov: Any, tmp_path: Path) -> None:
    podcov("stock-keeper", "--port", "9123")
    made = contents(tmp_path / "stock-keeper")
    own = {path: text for path, text in made.items() if not path.startswith("podcov/")}
    assert "stock_keeper/app.py" in own
    left = {path: re.findall(r"\{\{[^}]*\}\}|\{%", text) for path, text in own.items()}
    github = {"{{ github.workflow }}", "{{ github.ref }}"}
    assert {path: set(found) for path, found in left.items() if found} == {
        "skaffold.yaml": {'{{default "python:3.13-slim" .BASE}}'},
        ".github/workflows/ci.yaml": github,
    }
    assert "stock_keeper.app:create_app()" in own["Dockerfile"]
    assert "STOCK_KEEPER_URL" in own["tests/integration/conftest.py"]
    assert "EXPOSE 9123" in own["Dockerfile"]
    config = parse(own["podcov.yaml"])
    assert [(f.resource, f.port) for f in config.port_forwards] == [("service/stock-keeper", 9123)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_image_holds_what_the_dockerfile_copies_and_nothing_else(podcov: Any, tmp_path: Path, language: str) -> None:
    podcov("orders-api", "--language", language)
    orders = tmp_path / "orders-api"
    copies = [line.split()[1:-1] for line in (orders / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    copied = {path.replace("[m]", "m") for paths in copies for path in paths if not path.startswith("--from") and path[0] != "/"}
    let_in = {line[1:] for line in (orders / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == let_in
    assert all((orders / path).exists() for path in copied - {"go.sum"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_node_s_port_is_the_same_for_the_service_kind_and_the_tests(
    podcov: Any, tmp_path: Path, render: Any, language: str
) -> None:
    podcov("orders", "--language", language, "--set", "node_port=30111")
    orders = tmp_path / "orders"
    [mapping] = yaml.safe_load((orders / "kind.yaml").read_text())["nodes"][0]["extraPortMappings"]
    assert mapping["containerPort"] == mapping["hostPort"] == 30111
    assert render(orders / "k8s")["Service/orders"]["spec"]["ports"][0]["nodePort"] == 30111
    [asking] = [path for path in (orders / "tests/integration").iterdir() if "http://127.0.0.1" in path.read_text()]
    assert "http://127.0.0.1:30111" in asking.read_text()


@pytest.mark.parametrize("language", LANGUAGES)
def test_ci_runs_what_the_makefile_has(podcov: Any, tmp_path: Path, language: str) -> None:
    podcov("orders-api", "--language", language)
    orders = tmp_path / "orders-api"
    workflow = yaml.safe_load((orders / ".github/workflows/ci.yaml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    wanted = {line.split()[1] for line in steps if line.startswith("make ")}
    assert wanted == {"test", "cluster", "cluster-test"}
    for target in wanted:
        done = subprocess.run(["make", "--dry-run", target], cwd=orders, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_same_command_makes_the_same_bytes(podcov: Any, tmp_path: Path) -> None:
    podcov("orders")
    first = contents(tmp_path / "orders")
    shutil.rmtree(tmp_path / "orders")
    podcov("orders")
    assert contents(tmp_path / "orders") == first


@pytest.mark.parametrize(
    ("language", "wastes"), [("python", (".venv/bin/python", "orders/__pycache__/app.pyc")), ("go", ("bin/orders",))]
)
def test_it_is_committed_whole(podcov: Any, tmp_path: Path, language: str, wastes: tuple[str, ...]) -> None:
    """Its .gitignore leaves out what the commands make, and nothing that `podcov new` made."""
    podcov("orders", "--language", language)
    orders = tmp_path / "orders"
    made = set(contents(orders))
    for waste in (*wastes, ".podcov/runs/latest/summary.json"):
        (orders / waste).parent.mkdir(parents=True, exist_ok=True)
        (orders / waste).write_text("")
    git(orders, "init", "--quiet")
    git(orders, "add", "--all")
    assert set(git(orders, "ls-files").split()) == made


def test_for_machines_it_is_one_json_object(podcov: Any, tmp_path: Path) -> None:
    _, out, _ = podcov("orders", "--json")
    told = json.loads(out)
    assert told["folder"] == "orders"
    assert told["files"] == sorted(contents(tmp_path / "orders"))
    assert told["next"][0] == "cd orders"


def test_an_empty_folder_may_be_there(podcov: Any, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    assert podcov("orders")[0] == 0
    assert (tmp_path / "orders/podcov.yaml").is_file()


def test_new_is_a_command_and_each_language_is_a_folder(root: Path) -> None:
    assert "new" in COMMANDS
    assert assets.new_languages() == ("go", "python")
    assert [assets.new_template(name) for name in LANGUAGES] == [root / "templates/new/go", root / "templates/new/python"]


def test_no_module_of_python_may_be_the_name_of_a_service() -> None:
    template = template_source.read_folder(assets.new_template("python"))
    names = {*keyword.kwlist, *sys.stdlib_module_names}
    possible = {name for name in names if re.fullmatch(r"[a-z][a-z0-9_]*[a-z0-9]", name)}
    for name in sorted(possible):
        with pytest.raises(NewError, match="cannot be the name of"):
            new.render(template, Wanted(name.replace("_", "-"), "python", 8080))


def test_no_package_that_it_needs_may_be_the_name_of_a_service() -> None:
    template = template_source.read_folder(assets.new_template("python"))
    needed = {"pip", *resolved("flask", "gunicorn", "pytest")}
    assert {"werkzeug", "packaging", "pluggy"} <= needed
    for package in sorted(name for name in needed if re.fullmatch("[a-z][a-z0-9]*", name)):
        with pytest.raises(NewError, match="is a package that the service or its tests need"):
            new.render(template, Wanted(package, "python", 8080))


def resolved(*distributions: str) -> set[str]:
    """These distributions and all that they need, by their names in lower case, as pip would install them now."""
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet", "--report", "-"]
    done = subprocess.run([*pip, *distributions], capture_output=True, text=True, check=True)
    return {entry["metadata"]["name"].lower() for entry in json.loads(done.stdout)["install"]}


# --- a team's own template -------------------------------------------------------------------------------------------

TEAM: Mapping[str, str] = {
    "template.yaml": 'variables:\n  team: platform\n  replicas: 3\n  metrics: false\nnext: ["cd {{ name }}", "ask {{ team }}"]\n',
    "k8s/kustomization.yaml": "resources: [deployment.yaml]\n",
    "k8s/deployment.yaml.j2": """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ name }}
spec:
  replicas: {{ replicas }}
  selector: {matchLabels: {app: {{ name }}}}
  template:
    metadata: {labels: {app: {{ name }}, team: {{ team }}}}
    spec:
      containers:
        - name: app
          image: {{ name }}
          command: [python3, -m, {{ package }}]
""",
    "src/{{ package }}/__main__.py.j2": "print('{{ name }} of {{ team }} on {{ port }}')\n",
    "src/{{ package }}/raw.txt": "{{ this stays }}\n",
    "run.sh": "#!/bin/sh\n",
    "{% if metrics %}metrics.yaml{% endif %}": "port: 9090\n",
}


OUTSIDE = """\
version: 1
services: {app: {workload: deployment/app}}
generate: {kustomize: k8s, overlay: ../../podcov/overlay}
"""


@pytest.fixture
def team(tmp_path: Path) -> Callable[..., Path]:
    """`team(PATH=TEXT, ...)`: the folder of a team's template, with files changed or added; None removes one."""

    def write(changes: Mapping[str, str | None] | None = None, folder: Path = tmp_path / "templates/service") -> Path:
        for path, text in {**TEAM, **(changes or {})}.items():
            if text is not None:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text)
        (folder / "run.sh").chmod(0o755)
        return folder

    return write


def git(folder: Path, *arguments: str) -> str:
    author = {f"GIT_{who}_{what}": "somebody@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **author, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_team_s_folder_is_rendered_the_same_way(podcov: Any, team: Any, tmp_path: Path) -> None:
    code, out, err = podcov("orders-api", "--template", team(), "--port", "9000", "--set", "team=payments", "--set", "replicas=1")
    assert code == 0, err
    assert out.splitlines() == ["cd orders-api", "ask payments"]
    made = contents(tmp_path / "orders-api")
    own = {path for path in made if not path.startswith("podcov")}
    assert own == {
        "k8s/kustomization.yaml",
        "k8s/deployment.yaml",
        "src/orders_api/__main__.py",
        "src/orders_api/raw.txt",
        "run.sh",
    }
    assert made["src/orders_api/__main__.py"] == "print('orders-api of payments on 9000')\n"
    assert made["src/orders_api/raw.txt"] == "{{ this stays }}\n"
    assert "replicas: 1\n" in made["k8s/deployment.yaml"]
    assert (tmp_path / "orders-api/run.sh").stat().st_mode & stat.S_IXUSR
    assert not (tmp_path / "orders-api/podcov.yaml").stat().st_mode & stat.S_IXUSR


def test_coverage_is_wired_into_it_too(podcov: Any, team: Any, tmp_path: Path) -> None:
    podcov("orders-api", "--template", team())
    orders = tmp_path / "orders-api"
    assert [s.workload for s in parse((orders / "podcov.yaml").read_text()).services] == ["deployment/orders-api"]
    assert project.init(orders, check=True).changes == ()


def test_a_part_of_a_path_that_renders_to_nothing_leaves_the_file_out(podcov: Any, team: Any, tmp_path: Path) -> None:
    podcov("orders", "--template", team(), "--set", "metrics=true")
    assert (tmp_path / "orders/metrics.yaml").read_text() == "port: 9090\n"


def test_a_template_without_a_description_has_the_five_variables(podcov: Any, team: Any, tmp_path: Path) -> None:
    plain = {
        "template.yaml": None,
        "k8s/deployment.yaml.j2": TEAM["k8s/deployment.yaml.j2"].replace("{{ replicas }}", "1").replace("{{ team }}", "t"),
        "src/{{ package }}/__main__.py.j2": "{{ name }} {{ package }} {{ language }} {{ port }} {{ variable_prefix }}_URL\n",
        "{% if metrics %}metrics.yaml{% endif %}": None,
    }
    code, out, err = podcov("orders-api", "--template", team(plain))
    assert code == 0, err
    assert (
        tmp_path / "orders-api/src/orders_api/__main__.py"
    ).read_text() == "orders-api orders_api python 8080 ORDERS_API_URL\n"
    assert out.splitlines()[0] == "cd orders-api"
    assert len(out.splitlines()) == 3


@pytest.fixture
def repository(team: Any, tmp_path: Path) -> Path:
    """A git repository: the template in the folder `service`; its tag `v1` has another text than the branch `main`."""
    folder = tmp_path / "repository"
    team({"note.txt": "the first\n"}, folder=folder / "service")
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "The first")
    git(folder, "tag", "v1")
    (folder / "service/note.txt").write_text("the second\n")
    git(folder, "commit", "--quiet", "--all", "--message", "The second")
    git(folder, "branch", "feature/x", "v1")
    return folder


@pytest.mark.parametrize(
    ("place", "note"),
    [
        ("//service", "the second\n"),
        ("@v1//service", "the first\n"),
        ("//service@v1", "the first\n"),
        ("//service@main", "the second\n"),
        ("@feature/x//service", "the first\n"),
        ("@COMMIT//service", "the first\n"),
    ],
)
def test_a_team_s_git_repository_gives_the_version_that_is_asked_for(
    podcov: Any, repository: Path, tmp_path: Path, place: str, note: str
) -> None:
    commit = git(repository, "rev-parse", "v1").strip()
    code, out, err = podcov("orders", "--template", f"file://{repository}{place.replace('COMMIT', commit)}", "--json")
    assert code == 0, err
    assert (tmp_path / "orders/note.txt").read_text() == note
    assert (tmp_path / "orders/run.sh").stat().st_mode & stat.S_IXUSR
    assert json.loads(out)["commit"] == git(repository, "rev-parse", "v1" if note == "the first\n" else "main").strip()


def test_the_user_s_git_settings_do_not_change_a_template(
    podcov: Any, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "gitconfig"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hook-ran\n")
    (hooks / "post-checkout").chmod(0o755)
    config.write_text(f"[core]\n\tautocrlf = true\n\thooksPath = {hooks}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert podcov("orders", "--template", f"file://{repository}//service")[0] == 0
    assert (tmp_path / "orders/note.txt").read_bytes() == b"the second\n"
    assert not (tmp_path / "hook-ran").exists()


@pytest.mark.parametrize(
    ("place", "source"),
    [
        ("https://h.example/a/b.git", Source("https://h.example/a/b.git")),
        ("https://me@h.example:80/a/b.git@v1//sub/x", Source("https://me@h.example:80/a/b.git", "v1", "sub/x")),
        ("https://h.example/a//sub@feature/x", Source("https://h.example/a", "feature/x", "sub")),
        ("git@h.example:a/b.git", Source("git@h.example:a/b.git")),
        ("git@h.example:a/b.git//sub@v1", Source("git@h.example:a/b.git", "v1", "sub")),
        ("ssh://git@h.example:22/a@v1", Source("ssh://git@h.example:22/a", "v1")),
        ("file:///srv/a//sub/", Source("file:///srv/a", "", "sub")),
    ],
)
def test_a_url_says_repository_version_and_folder(place: str, source: Source) -> None:
    assert template_source.parse(place) == source


@given(st.from_regex(r"[a-z0-9._/-]*[a-z0-9]", fullmatch=True), st.from_regex(r"[a-z]+(/[a-z0-9.]+)?", fullmatch=True))
def test_version_and_folder_may_stand_in_either_order(ref: str, folder: str) -> None:
    for url in ("https://me@h.example:80/a/b.git", "git@h.example:a/b", "file:///srv/a"):
        assert template_source.parse(f"{url}//{folder}@{ref}") == Source(url, ref, folder)
        if "//" not in ref:
            assert template_source.parse(f"{url}@{ref}//{folder}") == Source(url, ref, folder)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "why", "instead"),
    [
        ("Orders", "it has 'O' in it", "orders"),
        ("ordersAPI", "it has 'A' in it", "orders-api"),
        ("orders_api", "it has '_' in it", "orders-api"),
        ("2fast", "it begins with '2'", "fast"),
        ("-orders", None, None),
        ("orders-", "it ends with a hyphen", "orders"),
        ("a/b", "it has '/' in it", "a-b"),
        ("..", "it has '.' in it", "orders"),
        ("", "it is empty", "orders"),
        ("x" * 64, "it has 64 characters", "x" * 63),
        ("größe", "it has 'ö' in it", "gr-e"),
        ("yes", "YAML reads it as something else", "yes-service"),
    ],
)
def test_a_name_that_kubernetes_refuses(podcov: Any, tmp_path: Path, name: str, why: str | None, instead: str | None) -> None:
    code, _, err = podcov(name)
    assert code == 2
    if why is not None:
        assert f"{name!r} cannot be the name of a service: {why}" in err
        assert f"for example {instead}." in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("language", "name", "why"),
    [
        ("python", "class", "class is a keyword of Python"),
        ("python", "json", "json is a module of Python's standard library"),
        ("python", "packaging", "packaging is a package that the service or its tests need"),
        ("python", "tests", "tests is a folder of the project"),
        ("go", "podcov", "podcov is a folder of every container, where the program would stand"),
    ],
)
def test_a_name_that_would_shadow_something(podcov: Any, tmp_path: Path, language: str, name: str, why: str) -> None:
    code, _, err = podcov(name, "--language", language)
    assert code == 2
    assert f"{name!r} cannot be the name of this service: {why}" in err
    assert f"{name}-service" in err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_touched(podcov: Any, tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders/mine.txt").write_text("mine")
    code, _, err = podcov("orders")
    assert code == 2
    assert "orders: this folder is not empty" in err
    assert contents(tmp_path) == {"orders/mine.txt": "mine"}


def test_a_file_of_that_name_is_not_touched(podcov: Any, tmp_path: Path) -> None:
    (tmp_path / "orders").write_text("mine")
    code, _, err = podcov("orders")
    assert code == 2
    assert "orders: is there already, and is no folder" in err
    assert contents(tmp_path) == {"orders": "mine"}


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["--language", "cobol"], "there is no template for cobol", "there are: go, python."),
        (["--template", "nowhere"], "--template nowhere: there is no such folder", "https://git.example.org"),
        (["--template", "file:///nowhere/at-all"], "git fetch: ", "git ls-remote file:///nowhere/at-all"),
        (["--template", "https://x.invalid/a@-b"], "begins with a hyphen", ""),
        (["--set", "node_port"], "--set node_port: is not KEY=VALUE", "--set team=payments"),
        (["--set", "nodeport=1"], "--set nodeport: the template has no such variable", "node_port"),
        (["--set", "node_port=many"], "node_port is a whole number", "30080"),
        (["--port", "80"], "80 is not in the range 1024<=x<=65535", ""),
    ],
)
def test_wrong_options(podcov: Any, tmp_path: Path, arguments: list[str], message: str, hint: str) -> None:
    code, _, err = podcov("orders", *arguments)
    assert code == 2
    assert message in err
    assert hint in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("a.txt.j2", "one\ntwo {{ nobody }}\n", "a.txt.j2:2: 'nobody' is undefined"),
        ("a.txt.j2", "one\n{% if %}\n", "a.txt.j2:2: Expected an expression"),
        ("a.txt.j2", "{{ ''.__class__.__mro__ }}", "a.txt.j2:1: access to attribute '__class__'"),
        ("a.txt.j2", "one\n{{ port + name }}\n", "a.txt.j2:2: unsupported operand"),
        ("a.txt.j2", "\n{% include 'b' %}", "a.txt.j2:2: there is no file b in the template"),
        ("{{ nobody }}/a.txt", "", "{{ nobody }}/a.txt: 'nobody' is undefined"),
        ("{{ '..' }}/a.txt", "", "{{ '..' }}/a.txt: renders to '../a.txt'"),
        ("run.sh.j2", "", "run.sh.j2: renders to run.sh, and so does run.sh"),
        ("run{{ '.sh' }}/a.txt", "", "run.sh: renders to run.sh, which is also a folder"),
        ("template.yaml", "variabels: {}\n", "template.yaml:1: variabels: there is no such key; did you mean `variables`?"),
        ("template.yaml", "variables:\n  name: x\n", "template.yaml:2: variables.name: every template has this variable already"),
        ("template.yaml", "variables:\n  list: []\n", "template.yaml:2: variables.list: must be a text or a whole number"),
        ("template.yaml", "next: [", "template.yaml:1: this is no YAML"),
        ("podcov.yaml", OUTSIDE, "podcov.yaml: generate.overlay: ../../podcov/overlay is outside of the project"),
        ("k8s/kustomization.yaml", "resources: [gone.yaml]\n", "the template makes a project that `podcov init` refuses: k8s"),
    ],
)
def test_what_is_wrong_in_a_template_is_said_by_file_and_line(
    podcov: Any, team: Any, tmp_path: Path, path: str, text: str, message: str
) -> None:
    folder = team({path: text})
    code, _, err = podcov("orders", "--template", folder)
    assert code == 2
    assert message in err
    assert [entry.name for entry in tmp_path.iterdir()] == ["templates"], "nothing is half made"


def test_without_kubectl_and_kustomize_nothing_is_left_behind(
    podcov: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = podcov("orders")
    assert code == 2
    assert "neither kubectl nor kustomize is on the PATH" in err
    assert list(tmp_path.iterdir()) == []


def test_without_git_a_folder_can_still_be_named(podcov: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = podcov("orders", "--template", "https://git.example.org/a.git")
    assert code == 2
    assert "git cannot be run: No such file or directory" in err
    assert "install git, or name a folder." in err


def test_a_text_that_is_none_is_said(podcov: Any, team: Any) -> None:
    folder = team()
    (folder / "picture.png.j2").write_bytes(b"\x89PNG")
    assert "picture.png.j2: is not UTF-8: byte 0" in podcov("orders", "--template", folder)[2]


def test_a_link_out_of_a_template_is_not_followed(podcov: Any, team: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = team()
    (folder / "link.txt").symlink_to(tmp_path / "secret")
    code, _, err = podcov("orders", "--template", folder)
    assert code == 2
    assert "link.txt: is a symbolic link" in err


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("@v9//service", "git fetch: couldn't find remote ref v9"),
        ("//nowhere", "there is no folder nowhere in commit"),
        ("//service/../..", "there is no folder service/../.."),
    ],
)
def test_what_a_repository_does_not_have(podcov: Any, repository: Path, tmp_path: Path, place: str, message: str) -> None:
    code, _, err = podcov("orders", "--template", f"file://{repository}{place}")
    assert code == 2
    assert message in err
    assert not (tmp_path / "orders").exists()


@pytest.mark.parametrize("secret", ["me:hunter2", "hunter2", "hunter2:x-oauth-basic", "me:hun@hunter2", "git:hunter2"])
def test_passwords_and_tokens_in_urls_are_not_repeated(podcov: Any, secret: str) -> None:
    _, _, err = podcov("orders", "--template", f"https://{secret}@localhost:1/a.git@v1")
    assert "https://...@localhost:1/a.git@v1" in err
    assert "hunter2" not in err


@pytest.mark.parametrize(
    "text", ["ssh://git@h.example/a@v1", "https://h.example/a.git@v1 and me@h.example", "git@h.example:a/b.git", "file:///a@v1"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert template_source.without_secret(text) == text


@given(st.text(max_size=70) | st.from_regex(r"[a-z][a-z0-9-]{0,70}", fullmatch=True))
def test_every_name_is_refused_or_fits_kubernetes_yaml_and_python(name: str) -> None:
    template = {"{{ package }}.py.j2": File(b"{{ variable_prefix }}")}
    try:
        rendered = new.render(template, Wanted(name, "python", 8080))
    except NewError as error:
        proposed = error.hint.rpartition("for example ")[2].rstrip(".")
        new.refuse_name(proposed)
        return
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert yaml.safe_load(name) == name
    [(path, file)] = rendered.files.items()
    assert path.removesuffix(".py").isidentifier()
    assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", file.content)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}/[a-z]{1,3}", fullmatch=True), st.binary(), min_size=1, max_size=5))
def test_files_without_the_suffix_are_copied_byte_for_byte(contents: dict[str, bytes]) -> None:
    files = {path: File(content) for path, content in contents.items()}
    assert new.render(files, Wanted("orders", "python", 8080)).files == files
