"""The service's own coverage configuration is read as coverage.py reads it, and says which files count."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from podcov.config import Service
from podcov.edges import coverage_config
from podcov.errors import UsageError
from podcov.languages import Selection

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a service in it."""
    files = {
        "web/main.py": "import shop\n",
        "web/setup.py": "x = 1\n",
        "web/conftest.py": "x = 1\n",
        "web/shop/__init__.py": "",
        "web/shop/cart.py": "x = 1\n",
        "web/shop/cart_test.py": "x = 1\n",
        "web/shop/tests/__init__.py": "",
        "web/shop/tests/helpers.py": "x = 1\n",
        "web/shop/migrations/__init__.py": "",
        "web/shop/migrations/one.py": "x = 1\n",
        "web/scripts/tool.py": "x = 1\n",
        "web/tests/test_cart.py": "x = 1\n",
        "api/main.py": "x = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


WEB = Service("web", source=("web",))


def read(project: Path, service: Service) -> Selection:
    return coverage_config.read(project, [service])[service.name]


def test_without_a_configuration_coverage_s_defaults_hold(project: Path) -> None:
    selection = read(project, WEB)
    assert selection.origin == ""
    assert selection.folders == selection.packages == selection.include == selection.omit == selection.warnings == ()
    assert any(re.search(pattern, "x = 1  # pragma: no cover") for pattern in selection.exclude_lines)
    assert any(re.search(pattern, "if TYPE_CHECKING:") for pattern in selection.exclude_lines)
    assert any(re.search(pattern, "if x:  # pragma: no branch") for pattern in selection.partial_branches)
    assert any(re.search(pattern, "while True:") for pattern in selection.partial_branches)


def test_importable_files_count_even_if_nothing_loads_them_and_tests_do_not(project: Path) -> None:
    assert read(project, WEB).unloaded == (
        "web/main.py",
        "web/setup.py",
        "web/shop/__init__.py",
        "web/shop/cart.py",
        "web/shop/migrations/__init__.py",
        "web/shop/migrations/one.py",
    )


def test_those_are_the_files_that_coverage_s_own_source_finds(project: Path) -> None:
    """But for tests: coverage.py is told to leave them out."""
    for command in (
        ["run", "--source=.", "--omit=*/tests/*,conftest.py,*_test.py", "/dev/null"],
        ["report", "--format=total"],
        ["json", "-q", "-o", "out.json"],
    ):
        subprocess.run([sys.executable, "-m", "coverage", *command], cwd=project / "web", check=False, capture_output=True)
    found = re.findall(r'"([\w/]+\.py)": \{"executed_lines"', (project / "web" / "out.json").read_text())
    assert read(project, WEB).unloaded == tuple(f"web/{name}" for name in sorted(found))


def test_a_src_folder_is_looked_into(project: Path) -> None:
    package = project / "web" / "src" / "inner"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    assert "web/src/inner/__init__.py" in read(project, WEB).unloaded


def test_without_source_folders_only_loaded_files_count(project: Path) -> None:
    assert read(project, Service("web")).unloaded == ()


INI = """
[{prefix}run]
omit = */migrations/*
[{prefix}report]
exclude_also = never_this
partial_also = nor_that
"""
TOML = """
[tool.coverage]
run.omit = ['*/migrations/*']
report.exclude_also = ['never_this']
report.partial_also = ['nor_that']
"""
KINDS = {
    ".coveragerc": INI.format(prefix=""),
    "setup.cfg": INI.format(prefix="coverage:"),
    "tox.ini": INI.format(prefix="coverage:"),
    "pyproject.toml": TOML,
}


@pytest.mark.parametrize(("name", "text"), KINDS.items(), ids=KINDS)
def test_each_kind_of_file_is_found_and_honoured(project: Path, name: str, text: str) -> None:
    (project / "web" / name).write_text(text)
    selection = read(project, WEB)
    assert selection.origin == str(project / "web" / name)
    assert "never_this" in selection.exclude_lines
    assert "nor_that" in selection.partial_branches
    assert any("pragma" in pattern for pattern in selection.exclude_lines)
    assert selection.omits(f"{project}/web/shop/migrations/one.py")
    assert selection.omits("/app/shop/migrations/one.py")
    assert not any("migrations" in path for path in selection.unloaded)


def test_a_file_without_settings_for_coverage_is_no_configuration(project: Path) -> None:
    (project / "web" / "pyproject.toml").write_text("[project]\nname = 'web'\n")
    (project / ".coveragerc").write_text("[run]\nomit = web/shop/*\n")
    selection = read(project, WEB)
    assert selection.origin == str(project / ".coveragerc")
    assert selection.omits(f"{project}/web/shop/cart.py")


def test_the_nearest_folder_s_configuration_counts(project: Path) -> None:
    (project / ".coveragerc").write_text("[run]\nomit = *\n")
    (project / "web" / ".coveragerc").write_text("[run]\nomit = setup.py\n")
    selection = read(project, Service("web", source=("web/shop", "api")))
    assert selection.origin == str(project / "web" / ".coveragerc")
    assert selection.omits(f"{project}/web/setup.py")


def test_each_service_has_its_own(project: Path) -> None:
    (project / "web" / ".coveragerc").write_text("[run]\nomit = */migrations/*\nomitt = x\n")
    (project / "api" / ".coveragerc").write_text("[run]\nomit = main.py\n")
    services = [WEB, Service("api", source=("api",)), Service("bare")]
    together = coverage_config.read(project, services)
    assert together == {service.name: read(project, service) for service in services}
    assert [(len(selection.omit), len(selection.warnings)) for selection in together.values()] == [(1, 1), (1, 0), (0, 0)]


def test_podcov_yaml_may_name_the_file(project: Path) -> None:
    (project / "web" / ".coveragerc").write_text("[run]\nomit = *\n")
    (project / "api" / "special.ini").write_text("[run]\nomit = main.py\n")
    selection = read(project, Service("web", source=("web",), coverage_config="api/special.ini"))
    assert selection.origin == str(project / "api" / "special.ini")
    assert selection.measures(f"{project}/web/setup.py")
    assert not selection.measures(f"{project}/api/main.py")


def test_source_narrows_to_folders(project: Path) -> None:
    (project / "web" / ".coveragerc").write_text("[run]\nsource = shop\n")
    selection = read(project, WEB)
    assert selection.measures(f"{project}/web/shop/cart.py")
    assert not selection.measures(f"{project}/web/main.py")
    assert selection.unloaded == (
        "web/shop/__init__.py",
        "web/shop/cart.py",
        "web/shop/migrations/__init__.py",
        "web/shop/migrations/one.py",
    )


def test_source_narrows_to_packages(project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.coverage.run]\nsource = ['shop']\nsource_pkgs = ['main']\n")
    selection = read(project, WEB)
    assert selection.packages == ("main", "shop")
    assert selection.measures(f"{project}/web/shop/cart.py")
    assert selection.measures("/v/lib/site-packages/shop/cart.py")
    assert selection.measures(f"{project}/web/main.py")
    assert not selection.measures(f"{project}/web/setup.py")
    assert "web/shop/cart.py" in selection.unloaded
    assert "web/setup.py" not in selection.unloaded


def test_include_narrows_unless_there_is_a_source(project: Path) -> None:
    rc = project / "web" / ".coveragerc"
    rc.write_text("[run]\ninclude = shop/*\n")
    selection = read(project, WEB)
    assert selection.measures(f"{project}/web/shop/cart.py")
    assert not selection.measures(f"{project}/web/main.py")
    rc.write_text("[run]\ninclude = shop/*\nsource = .\n[report]\ninclude = m*\n")
    assert read(project, WEB).unloaded == ("web/main.py",)


def test_namespace_packages_are_looked_into_if_the_configuration_says_so(project: Path) -> None:
    (project / "web" / ".coveragerc").write_text("[report]\ninclude_namespace_packages = true\n")
    assert "web/scripts/tool.py" in read(project, WEB).unloaded


def test_what_cannot_be_applied_is_said(project: Path) -> None:
    (project / "web" / ".coveragerc").write_text("[run]\nplugins = covdefaults\nomitt = x\n")
    plugin, unknown = sorted(read(project, WEB).warnings, reverse=True)
    assert "Unrecognized option '[run] omitt='" in plugin + unknown
    assert "web: coverage.py's plugin covdefaults is not applied" in (plugin, unknown)


@pytest.mark.parametrize("text", ["[run\n", "[report]\nexclude_also = (\n", "[run]\nomit = a**b\n", "[run]\nomit = \udcff\n"])
def test_a_configuration_that_makes_no_sense_is_a_usage_error(project: Path, text: str) -> None:
    (project / "web" / ".coveragerc").write_text(text, errors="surrogateescape")
    services = [Service("api", source=("api",)), WEB]
    with pytest.raises(UsageError, match="web: its coverage configuration cannot be read: ") as caught:
        coverage_config.read(project, services)
    assert "services.web.coverage_config" in caught.value.hint


def test_a_configuration_that_is_not_there_is_a_usage_error(project: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.ini"):
        read(project, Service("web", coverage_config="web/missing.ini"))


def test_our_own_environment_does_not_leak_in(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "other.ini").write_text("[run]\nomit = *\n")
    monkeypatch.setenv("COVERAGE_RCFILE", str(project / "other.ini"))
    assert read(project, WEB).omit == ()


def test_modules_of_the_service_are_not_imported(project: Path) -> None:
    for name in ("json.py", "coverage.py", "podcov.py"):
        (project / "web" / name).write_text("raise SystemExit('imported')\n")
    assert "web/json.py" in read(project, WEB).unloaded
