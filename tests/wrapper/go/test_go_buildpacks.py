"""Podcov's buildpack, run as a platform would: toolchains that come with later ones build what records, and stay as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from podcov.generate.languages.go_buildpacks import courier, derive

OTHERS = ("GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "HOME")
SYSTEM = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Layer:
    """What podcov's buildpack left, in a folder of its own."""

    folder: Path

    @property
    def courier(self) -> Path:
        """What goes into the image."""
        return self.folder.parent / "courier"

    def environment(self, **more: str) -> dict[str, str]:
        """What later buildpacks have of it. Their own layers come before it on the PATH."""
        said = {path.name.removesuffix(".override"): path.read_text() for path in (self.folder / "env.build").iterdir()}
        return {name: os.environ[name] for name in OTHERS if name in os.environ} | {"GOENV": "off"} | said | more

    def build(self, toolchain: Any, output: Path, source: Path, *arguments: str, **more: str) -> str:
        """Builds by the toolchain of a later buildpack; what was said."""
        return self.go(toolchain, "build", "-o", output, *arguments, ".", cwd=source, **more)

    def go(self, toolchain: Any, *arguments: str | Path, cwd: Path, **more: str) -> str:
        """Calls the toolchain of a later buildpack; what was said."""
        env = self.environment(PATH=f"{toolchain.goroot}/bin:{self.folder}/bin:{SYSTEM}", **more)
        command = [toolchain.goroot / "bin" / "go", *arguments]
        done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr


@pytest.fixture
def layer(left: Layer) -> Layer:
    """As it is before the builder's buildpacks run."""
    (left.courier / "process").unlink(missing_ok=True)
    return left


@pytest.fixture(scope="module")
def left(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layer]:
    """By the script that a derived project descriptor has."""
    scripts = {name: (root / "wrapper/go" / name).read_text() for name in ("toolchain", "buildpack")}
    text = derive("", (root / "wrapper/go/packed").read_text(), scripts, ["-cover"])
    (group,) = tomllib.loads(text)["io"]["buildpacks"]["pre"]["group"]
    layers = tmp_path_factory.mktemp("layers")
    env = {"PATH": SYSTEM, "CNB_LAYERS_DIR": str(layers)}
    command = ["sh", "-c", group["script"]["inline"]]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert tomllib.loads((layers / "podcov.toml").read_text()) == {"types": {"build": True}}
    assert tomllib.loads((layers / "courier.toml").read_text()) == {"types": {"launch": True}}
    yield Layer(layers / "podcov")
    shutil.rmtree(layers)  # a copy of each toolchain


@pytest.mark.parametrize("version", ["1.22.12", "1.23.12", "1.25.3", ""])
def test_a_toolchain_that_comes_later_builds_what_records(
    version: str,
    layer: Layer,
    plain_go: Any,
    old_go: Callable[[str], Any],
    programs: Path,
    container: Any,
    direct: Any,
    tmp_path: Path,
) -> None:
    toolchain = old_go(version) if version else plain_go
    source = programs / "ends"
    said = layer.build(toolchain, tmp_path / "service", source)
    assert "can record" in said
    assert not (toolchain.goroot / "src/internal/podcov").exists()

    pod = container(tmp_path / "service")
    pod.run("exit")
    (process,) = pod.status().targets[0].processes
    assert (process.start.state, process.start.recording) == ("recording", "mapped")
    standard = toolchain.build(tmp_path / "standard", "-cover", ".", cwd=source)
    assert pod.blocks() == direct(standard, "exit")
    assert layer.build(toolchain, tmp_path / "again", source) == ""


def test_the_toolchain_is_the_one_that_go_mod_wishes(
    layer: Layer, old_go: Callable[[str], Any], programs: Path, container: Any, tmp_path: Path
) -> None:
    source = tmp_path / "ends"
    shutil.copytree(programs / "ends", source)
    (source / "go.mod").write_text("module example.com/ends\n\ngo 1.25.3\n")
    layer.build(old_go("1.22.12"), tmp_path / "service", source)
    version = subprocess.run(["go", "version", tmp_path / "service"], capture_output=True, text=True, timeout=60, check=True)
    assert version.stdout.split()[-1] == "go1.25.3"
    pod = container(tmp_path / "service")
    pod.run("exit")
    assert pod.status().targets[0].processes[0].start.state == "recording"


def test_what_the_build_s_environment_says_of_go_is_kept(
    layer: Layer, plain_go: Any, programs: Path, container: Any, tmp_path: Path
) -> None:
    """As Heroku's buildpack names the folder of its toolchain in GOROOT."""
    env = {"GOFLAGS": "-trimpath -tags=special", "GOROOT": str(plain_go.goroot)}
    layer.build(plain_go, tmp_path / "service", programs / "ends", "-buildvcs=false", **env)
    command = ["go", "version", "-m", tmp_path / "service"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert [flag for flag in ("-cover=true", "-tags=special", "-trimpath=true") if flag not in said] == []
    pod = container(tmp_path / "service")
    pod.run("exit")
    assert pod.status().targets[0].processes[0].start.state == "recording"


def test_the_image_has_what_its_sidecar_is_started_by_once_a_program_was_built_with_podcov(
    layer: Layer, plain_go: Any, programs: Path, tmp_path: Path
) -> None:
    """Without it the sidecar does not start, which would be the service a second time."""
    assert list(layer.courier.iterdir()) == []
    layer.go(plain_go, "version", cwd=programs / "ends")
    layer.go(plain_go, "build", "-o", tmp_path / "plain", ".", cwd=programs / "ends", GOTOOLCHAIN="local")
    assert list(layer.courier.iterdir()) == []
    for _ in range(2):
        layer.build(plain_go, tmp_path / "service", programs / "ends")
        assert courier("/cnb/process/web") == "/layers/podcov_go/courier/process/web"
        assert {link.name: str(link.readlink()) for link in layer.courier.iterdir()} == {"process": "/cnb/process"}
