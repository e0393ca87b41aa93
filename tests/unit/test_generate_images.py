"""Image names, the artifacts that they mean, and who says what an image runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.config import Service
from podcov.generate.images import artifacts, builds, commands
from podcov.generate.images import config as image_config
from podcov.generate.images import names as image_names
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.commands import Built, Lookup, Unknown
from podcov.generate.images.dockerfile import Image
from podcov.generate.images.names import Reference
from podcov.generate.kubernetes.manifests import Container
from podcov.generate.languages import python
from podcov.generate.languages.entered import Entered
from podcov.generate.languages.proposals import Seen
from podcov.generate.skaffold import document as skaffold

DIGEST = f"sha256:{'0123456789abcdef' * 4}"


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("python", "docker.io", "library/python", "", ""),
        ("python:3.13-slim", "docker.io", "library/python", "3.13-slim", ""),
        ("shop/orders", "docker.io", "shop/orders", "", ""),
        ("docker.io/python", "docker.io", "library/python", "", ""),
        ("index.docker.io/library/python:3", "docker.io", "library/python", "3", ""),
        ("ghcr.io/shop/orders:v1", "ghcr.io", "shop/orders", "v1", ""),
        ("localhost/orders", "localhost", "orders", "", ""),
        ("localhost:5000/shop/orders:v1", "localhost:5000", "shop/orders", "v1", ""),
        (f"localhost:5000/orders:v1@{DIGEST}", "localhost:5000", "orders", "v1", DIGEST),
        (f"registry.example:443/a/b/c@{DIGEST}", "registry.example:443", "a/b/c", "", DIGEST),
        ("[::1]:5000/orders:V_1.x-y", "[::1]:5000", "orders", "V_1.x-y", ""),
        ("a__b/c-d.e", "docker.io", "a__b/c-d.e", "", ""),
    ],
)
def test_parts_of_names(text: str, registry: str, repository: str, tag: str, digest: str) -> None:
    assert image_names.parse(text) == Reference(registry, repository, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:",
        "a@",
        "Orders",
        "a/B",
        "a//b",
        "/a",
        "a b",
        "-v",
        "--help",
        "a:b/",
        "a@sha256:12",
        "a:t@x",
        "$IMAGE",
        "a._b",
        "a:é",
    ],
)
def test_what_is_no_name(text: str) -> None:
    assert image_names.parse(text) is None


COMPONENT = st.from_regex(r"[a-z0-9]{1,6}(?:[._-][a-z0-9]{1,4})?", fullmatch=True)
NAMES = st.builds(
    Reference,
    st.sampled_from(["docker.io", "localhost", "localhost:5000", "registry.example", "10.0.0.1:80"]),
    st.lists(COMPONENT, min_size=2, max_size=4).map("/".join),
    st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    st.sampled_from(["", DIGEST]),
)


@given(NAMES)
def test_a_name_written_out_is_the_same_name(reference: Reference) -> None:
    assert image_names.parse(str(reference)) == reference


@given(st.text(alphabet="aZ09./:@-_[] \n", max_size=60))
def test_any_text_is_a_name_or_none(text: str) -> None:
    reference = image_names.parse(text)
    assert reference is None or image_names.parse(str(reference)) == reference


@given(NAMES, st.sampled_from(["localhost:5000", "gcr.io/project-1/sub", "registry.example/team", "someone"]))
def test_what_is_pushed_is_found_again(reference: Reference, default_repository: str) -> None:
    pushed = Artifact(reference.name, ".", "Dockerfile", "skaffold.yaml")
    for name in image_names.pushed_names(reference.name, default_repository):
        assert artifacts.of_image([pushed], f"{name}:v1@{DIGEST}", default_repository) is pushed


def artifact(image: str, **said: object) -> Artifact:
    return replace(Artifact(image, "app", "app/Dockerfile", "skaffold.yaml"), **said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("built", "image", "default_repository", "meant"),
    [
        (["orders", "shop"], "orders", "", "orders"),
        (["orders"], f"orders:v1@{DIGEST}", "", "orders"),
        (["orders"], "docker.io/library/orders:v1", "", "orders"),
        (["docker.io/shop/orders"], "shop/orders", "", "docker.io/shop/orders"),
        (["orders"], "localhost:5000/orders:v1", "", "orders"),
        (["gcr.io/shop/orders"], "localhost:5000/gcr_io_shop_orders:v1", "", "gcr.io/shop/orders"),
        (["gcr.io/shop/orders"], "localhost:5000/gcr.io_shop_orders:tilt-1", "", "gcr.io/shop/orders"),
        (["shop/orders"], "europe-docker.pkg.dev/project/shop/orders", "", "shop/orders"),
        (["shop/orders"], "someone/shop_orders:v1", "someone", "shop/orders"),
        (["orders"], "someone/orders:v1", "someone", "orders"),
        (["gcr.io/project-1/orders"], "gcr.io/project-1/dev/orders", "gcr.io/project-1/dev", "gcr.io/project-1/orders"),
        (["orders"], "elsewhere.example/orders", "localhost:5000", None),
        (["redis"], "bitnami/redis:7", "", None),
        (["orders"], "localhost:5000/other-orders", "", None),
        (["orders", "shop/orders"], "localhost:5000/shop/orders", "", None),
        (["orders", "shop/orders"], "localhost:5000/shop_orders", "", "shop/orders"),
        (["orders", "shop/orders"], "localhost:5000/shop/orders", "localhost:5000/shop", "orders"),
        (["orders"], "nginx:1.27", "", None),
        (["orders"], "$IMAGE", "", None),
    ],
)
def test_which_artifact_a_container_means(built: list[str], image: str, default_repository: str, meant: str | None) -> None:
    found = artifacts.of_image([artifact(name) for name in built], image, default_repository)
    assert (found.image if found else None) == meant


@pytest.mark.parametrize(
    ("flags", "arguments", "target"),
    [
        ([], {"KEPT": "1"}, "kept"),
        (["--no-cache", "--build-arg", "A=1=2", "--pull"], {"KEPT": "1", "A": "1=2"}, "kept"),
        (
            ["--build-arg=A=1", "--build-arg=FROM_ENVIRONMENT", "--target=app"],
            {"KEPT": "1", "A": "1", "FROM_ENVIRONMENT": None},
            "app",
        ),
        (["--target", "app", "--build-arg", "KEPT=2", "--build-arg"], {"KEPT": "2"}, "app"),
    ],
)
def test_flags_of_docker_build(flags: list[str], arguments: dict[str, str | None], target: str) -> None:
    flagged = artifacts.with_flags(artifact("orders", arguments={"KEPT": "1"}, target="kept"), flags)
    assert (flagged.arguments, flagged.target) == (arguments, target)


@pytest.mark.parametrize(
    ("builder", "dockerfile"),
    [
        ("docker: {dockerfile: deploy/Dockerfile, cliFlags: [--target=app]}", "app/deploy/Dockerfile"),
        ("kaniko: {dockerfile: deploy/Dockerfile}", "app/deploy/Dockerfile"),
        ("custom: {buildCommand: ./build.sh, dependencies: {dockerfile: {path: deploy/Dockerfile}}}", "app/deploy/Dockerfile"),
        ("custom: {buildCommand: ./build.sh}", ""),
        ("buildpacks: {builder: x}", ""),
        ("ko: {}", ""),
        ("jib: {}", ""),
        ("bazel: {target: //x}", ""),
    ],
)
def test_what_builds_it_is_known(builder: str, dockerfile: str) -> None:
    listed = f"    - image: x\n      context: app\n      {builder}\n"
    text = f"apiVersion: skaffold/v4beta11\nkind: Config\nbuild:\n  artifacts:\n{listed}"
    (found,) = skaffold.read(text, path="skaffold.yaml").artifacts
    assert (found.builder, found.dockerfile) == (builder.partition(":")[0], dockerfile)


class Asked:
    """A lookup that knows the given images and remembers what it was asked for."""

    def __init__(self, **known: Image | Unknown) -> None:
        self.known: Mapping[str, Image | Unknown] = known
        self.names: list[str] = []

    def __call__(self, name: str) -> Image | Unknown | None:
        self.names.append(name)
        return self.known.get(name)


def found(text: str | None, lookup: Lookup, name: str = "orders", **said: object) -> Built:
    files = MemoryProject({} if text is None else {"app/Dockerfile": text})
    return commands.find(name, [artifact("orders", **said)], files, lookup)


COMPANY = Image(
    "", entrypoint=("tini", "--"), cmd=("sh",), env={"PATH": "/bin", "PYTHONPATH": "/lib"}, said_by="docker has the image"
)
ANYTHING = Container("app", "orders", {})
WITH_ARGS = Container("app", "orders", {"args": ["x"]})


def test_a_dockerfile_on_a_well_known_base_needs_nobody_else() -> None:
    asked = Asked()
    built = found('FROM python:3.13\nCMD ["python3", "app.py"]', asked)
    assert commands.image_words(ANYTHING, built.image) == ("python3", "app.py")
    assert (built.origin, built.unknown, asked.names) == ("it stands in app/Dockerfile", "", [])


def test_what_a_dockerfile_inherits_comes_from_its_base() -> None:
    asked = Asked(**{"company/base:1": COMPANY})
    built = found('FROM company/base:1\nENV PYTHONPATH=/app:$PYTHONPATH\nCMD ["app"]', asked)
    assert commands.image_words(ANYTHING, built.image) == ("tini", "--", "app")
    assert commands.image_words(WITH_ARGS, built.image) == ("tini", "--")
    assert built.image is not None
    assert built.image.env["PYTHONPATH"] == "/app:/lib"
    assert built.origin == "app/Dockerfile has it from company/base:1: docker has the image"
    assert asked.names == ["company/base:1"]


def test_a_dockerfile_that_says_all_stands_for_itself_and_still_inherits_the_environment() -> None:
    built = found('FROM company/base\nENTRYPOINT ["run"]\nCMD ["app"]', Asked(**{"company/base": COMPANY}))
    assert built.origin == "it stands in app/Dockerfile"
    assert built.image is not None
    assert built.image.env["PYTHONPATH"] == "/lib"


@pytest.mark.parametrize("name", ["registry.example/orders:v1", f"orders@{DIGEST}", "orders:v1"])
def test_an_image_that_was_built_says_the_rest_itself(name: str) -> None:
    asked = Asked(**{"company/base": Unknown("nobody knows"), name: COMPANY})
    built = found("FROM company/base\nCOPY src /src\nRUN pip install .", asked, name)
    assert commands.image_words(ANYTHING, built.image) == ("tini", "--", "sh")
    assert built.image is not None
    assert (built.image.base, built.image.copies, built.image.runs) == ("company/base", (("src", "/src"),), ("pip install .",))
    assert (built.origin, built.unknown) == ("docker has the image", "")
    assert asked.names == ["company/base", name]


def test_a_name_that_is_only_the_project_s_own_is_not_asked_for() -> None:
    """The public image of that name would be somebody else's."""
    asked = Asked(orders=COMPANY, **{"company/base": Unknown("nobody knows")})
    built = found("FROM company/base", asked)
    assert (built.image, built.origin, built.unknown) == (Image("company/base"), "", "nobody knows")
    assert asked.names == ["company/base"]


def test_an_image_that_nobody_builds_here_says_it_itself() -> None:
    built = commands.find("nginx:1.27", [], MemoryProject(), Asked(**{"nginx:1.27": COMPANY}))
    assert (built.artifact, built.origin) == (None, "docker has the image")
    assert commands.image_words(ANYTHING, built.image) == ("tini", "--", "sh")


def test_a_base_that_nobody_names_is_not_needed_for_what_the_dockerfile_says() -> None:
    asked = Asked()
    stages = 'ARG GO\nFROM $GO AS build\nRUN go build -o /app .\nFROM scratch\nCOPY --from=build /app /app\nCMD ["/app"]'
    image = found(stages, asked).image
    assert image is not None
    assert (image.base, image.base_varies, image.command) == ("scratch", False, ("/app",))
    by_template = found(stages, asked, arguments={"GO": None}).image
    assert by_template is not None
    assert (by_template.base, by_template.command) == ("scratch", ("/app",))
    last = found('ARG BASE\nFROM $BASE\nCMD ["/app"]', asked).image
    assert last is not None
    assert (last.base_varies, last.command, asked.names) == (True, ("/app",), [])


def test_what_nobody_knows_is_not_known_and_says_why() -> None:
    why = Unknown("the registry ghcr.io cannot be reached")
    built = commands.find("ghcr.io/a/b", [], MemoryProject(), Asked(**{"ghcr.io/a/b": why}))
    assert (built.image, built.origin, built.unknown) == (None, "", why.reason)
    assert commands.find("ghcr.io/a/b", [], MemoryProject()) == Built("ghcr.io/a/b")


def test_a_base_that_only_the_build_knows_is_not_asked_for() -> None:
    asked = Asked(**{"company/base": COMPANY})
    text = 'ARG BASE=company/base\nFROM $BASE\nCMD ["app"]'
    built = found(text, asked, arguments={"BASE": None})
    assert built.image is not None
    assert built.image.base_varies
    assert (commands.image_words(ANYTHING, built.image), asked.names) == (None, [])
    without_default = found('ARG BASE\nFROM $BASE\nENTRYPOINT ["run"]\nCMD ["app"]', asked, arguments={"BASE": None})
    assert commands.image_words(ANYTHING, without_default.image) == ("run", "app")


BARE = ["python:3.13", "docker.io/library/python:3.13", "index.docker.io/python:3.13-slim", "debian", "scratch"]
OTHERS = ["registry.example/mirror/python:3.13", "cgr.dev/chainguard/python", "public.ecr.aws/lambda/python:3.12", "other/debian"]


@pytest.mark.parametrize("base", BARE)
def test_the_bare_images_of_docker_hub_have_no_entrypoint(base: str) -> None:
    asked = Asked()
    assert found(f'FROM {base}\nCMD ["app"]', asked).words(ANYTHING) == ("app",)
    assert asked.names == []


@pytest.mark.parametrize("base", OTHERS)
def test_what_others_call_python_may_have_an_entrypoint(base: str) -> None:
    """With CMD alone in front of the wrapper, a container of theirs would not start."""
    text = f'FROM {base}\nCMD ["app"]'
    assert found(text, Asked()).words(ANYTHING) is None
    assert found(text, Asked(**{base: COMPANY})).words(ANYTHING) == ("tini", "--", "app")


def test_what_a_build_puts_in_place_of_a_base_is_taken_to_be_one_like_it() -> None:
    text = 'ARG BASE=python:3.13\nFROM $BASE\nCMD ["app"]'
    built = found(text, Asked(), arguments={"BASE": None})
    assert built.words(ANYTHING) == ("app",)
    assert not commands.variables_known(built.image)


GUESSED = replace(artifact("shop/orders"), guessed=True, origin="app/Dockerfile, by its name")
ON_PYTHON = 'FROM python:3.13\nENV PORT=80\nCOPY src /src\nCMD ["python3", "app.py"]'
ITSELF = Image(
    "",
    entrypoint=(),
    cmd=("python3", "app.py"),
    env={"PORT": "80", "PYTHON_VERSION": "3.13.1", "PYTHON_SHA256": "9cf9"},
    said_by="docker has the image",
)


def guessed(answer: Image | Unknown) -> Built:
    return commands.find(
        "shop/orders:v1", [GUESSED], MemoryProject({"app/Dockerfile": ON_PYTHON}), Asked(**{"shop/orders:v1": answer})
    )


def tracers(image: Image | None) -> tuple[str, ...]:
    """The minor versions whose tracer an image may need."""
    return python.additions(Entered(Service("app"), Container("app", "app", {}), "line", image=image)).tracers


def test_a_guess_gives_no_command_and_no_version() -> None:
    built = guessed(Unknown("nobody knows"))
    assert (built.artifact, built.guess, built.unknown) == (GUESSED, "app/Dockerfile, by its name", "nobody knows")
    assert built.words(ANYTHING) is built.words(WITH_ARGS) is None
    assert not commands.variables_known(built.image)
    assert tracers(built.image) == ("3.11",)


def test_a_guess_that_the_image_agrees_with_is_none_any_more() -> None:
    built = guessed(ITSELF)
    assert (built.artifact, built.guess, built.origin) == (GUESSED, "", "docker has the image")
    assert built.words(ANYTHING) == ("python3", "app.py")
    assert built.image is not None
    assert built.image.copies == (("src", "/src"),)
    assert tracers(built.image) == ()


@pytest.mark.parametrize(
    "itself",
    [
        replace(ITSELF, cmd=("oauth2-proxy",)),
        replace(ITSELF, entrypoint=("/bin/oauth2-proxy",)),
        replace(ITSELF, env={}),
    ],
)
def test_a_guess_that_the_image_contradicts_is_dropped(itself: Image) -> None:
    built = guessed(itself)
    assert (built.artifact, built.image, built.origin) == (None, itself, "docker has the image")


def test_what_the_public_image_of_a_bare_name_says_is_no_answer_to_a_guess() -> None:
    own = replace(GUESSED, image="orders")
    asked = Asked(orders=ITSELF)
    assert commands.find("orders", [own], MemoryProject({"app/Dockerfile": ON_PYTHON}), asked).words(ANYTHING) is None
    assert asked.names == []


COMPOSE = "services:\n  orders:\n    image: shop/orders\n    build: {build}\n"


@pytest.mark.parametrize(
    ("files", "dockerfile", "guess"),
    [
        ({"compose.yaml": COMPOSE.format(build="app")}, "app/Dockerfile", False),
        ({"compose.yaml": COMPOSE.format(build="{context: app, dockerfile: x.Dockerfile}")}, "app/x.Dockerfile", False),
        ({"compose.yaml": COMPOSE.format(build="{context: app, dockerfile_inline: FROM x}")}, "", False),
        ({f: COMPOSE.format(build="app") for f in ("compose.yaml", "docker-compose.yml")}, "app/Dockerfile", False),
        (
            {
                "compose.yaml": COMPOSE.format(build="{context: app, target: run}"),
                "docker-compose.yml": COMPOSE.format(build="{context: app, target: dev}"),
            },
            "app/Dockerfile",
            True,
        ),
        ({"orders/Dockerfile": ON_PYTHON, "other/Dockerfile": ON_PYTHON}, "orders/Dockerfile", True),
        ({"docker/Dockerfile": ON_PYTHON}, "docker/Dockerfile", True),
    ],
)
def test_compose_says_what_an_image_is_built_from_and_a_name_lets_guess_it(
    files: dict[str, str], dockerfile: str, guess: bool
) -> None:
    (found,) = builds.found_for(["shop/orders:v1"], [], MemoryProject(files))
    assert (found.image.partition(":")[0], found.dockerfile, found.guessed) == ("shop/orders", dockerfile, guess)


BY_BUILDPACKS = Image(
    "", labels={"io.buildpacks.lifecycle.metadata": "{}"}, entrypoint=("/cnb/process/web",), cmd=(), said_by="x"
)


def test_images_that_buildpacks_make_are_started_by_a_launcher() -> None:
    assert found(None, Asked(), builder="buildpacks", dockerfile="").launcher
    assert found(None, Asked(**{"orders:v1": BY_BUILDPACKS}), "orders:v1").launcher
    assert not found("FROM python", Asked()).launcher
    assert not commands.find("nginx", [], MemoryProject()).launcher


@pytest.mark.parametrize(
    ("env", "interpreter"),
    [
        ({"PYTHON_VERSION": "3.13.1", "PYTHON_SHA256": "9cf9", "GPG_KEY": "7169"}, "python3"),
        ({"PYTHON_VERSION": "3.14.0", "PYTHON_SHA256": "9cf9"}, "python3"),
        ({"PYTHON_VERSION": "2.7.18", "GPG_KEY": "7169"}, "python"),
        ({"PYTHON_VERSION": "3.13"}, ""),
        ({"GPG_KEY": "7169"}, ""),
        ({}, ""),
    ],
)
def test_a_company_s_base_that_stands_on_python_has_its_interpreter(env: dict[str, str], interpreter: str) -> None:
    base = replace(COMPANY, env=env)
    built = found('FROM company/base\nENTRYPOINT ["/start"]\nCMD []', Asked(**{"company/base": base}))
    assert python.interpreter(built.image, ("/start",)) == interpreter
    seen = Seen(Container("app", "app", {"command": ["/start"]}), built, MemoryProject())
    assert python.recognise(seen) == ("built on company/base" if interpreter else "")


CONFIG = {
    "Entrypoint": ["tini"],
    "Cmd": None,
    "Env": ["PATH=/bin", "EMPTY=", "EQUALS=a=b"],
    "User": "1000:1000",
    "WorkingDir": "",
    "Shell": ["/bin/bash", "-c"],
    "OnBuild": ["COPY . ."],
    "Labels": {"org.opencontainers.image.base.name": "docker.io/library/python:3.13"},
}


def test_a_configuration_is_read() -> None:
    image = image_config.read(CONFIG, said_by="the registry says so")
    assert image == Image(
        "docker.io/library/python:3.13",
        entrypoint=("tini",),
        cmd=(),
        env={"PATH": "/bin", "EMPTY": "", "EQUALS": "a=b"},
        user="1000:1000",
        shell=("/bin/bash", "-c"),
        onbuild=("COPY . .",),
        labels=CONFIG["Labels"],  # type: ignore[arg-type]
        said_by="the registry says so",
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(CONFIG)), JSON))
def test_a_configuration_of_any_shape_is_read(config: dict[str, object]) -> None:
    image = image_config.read(config, said_by="x")
    assert all(isinstance(word, str) for word in (*image.command, *image.onbuild, *image.env, *image.env.values(), image.user))
