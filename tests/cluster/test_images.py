"""What podcov takes an image to run is what the image runs: real builders, a real engine, a real registry."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.edges.images.lookup import ImageLookup
from podcov.generate.images import commands, dockerfile
from podcov.generate.images import config as image_config
from podcov.generate.images.artifacts import Artifact
from podcov.generate.images.commands import Unknown
from podcov.generate.images.dockerfile import Image

BUILDERS = {"classic": 1, "buildkit": 2}
"""the engine's two builders, and what its API calls them"""


class BuildError(Exception):
    """A builder refused a Dockerfile."""


class Engine:
    """A Docker engine, through its API: the command line of one machine has not always both builders."""

    def __init__(self, address: str) -> None:
        self._socket = address.removeprefix("unix://")
        self._built: list[str] = []

    def build(self, text: str, builder: str, **parameters: str) -> Mapping[str, Any]:
        """The configuration of the image that a Dockerfile builds; its context holds one file, `app.py`."""
        query = urlencode({"version": BUILDERS[builder], **parameters})
        answer = self._request("POST", f"/build?{query}", context(text), {"Content-Type": "application/x-tar"})
        messages: list[dict[str, Any]] = [json.loads(line) for line in answer.splitlines() if line.strip()]
        if wrong := [said for m in messages if (said := m.get("error") or m.get("message"))]:
            raise BuildError(f"{builder}: {wrong[0]}\n{text}")
        ids = [m["aux"]["ID"] for m in messages if isinstance(m.get("aux"), dict) and "ID" in m["aux"]]
        self._built.append(ids[-1])
        config: Mapping[str, Any] = json.loads(self._request("GET", f"/images/{ids[-1]}/json"))["Config"]
        return config

    def tag(self, repository: str, tag: str) -> None:
        """Names the image that was built last."""
        self._request("POST", f"/images/{self._built[-1]}/tag?{urlencode({'repo': repository, 'tag': tag})}")

    def remove(self) -> None:
        for image in reversed(self._built):
            self._request("DELETE", f"/images/{image}?force=1")

    def _request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
        connection = http.client.HTTPConnection("localhost", timeout=120)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.connect(self._socket)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            return connection.getresponse().read()


def context(text: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, content in (("Dockerfile", text), ("app.py", "print('hello')\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            archive.addfile(entry, io.BytesIO(content.encode()))
    return packed.getvalue()


@pytest.fixture
def engine(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The engine of the cluster, which is then also this process's own."""
    for name, value in cluster.env.items():
        monkeypatch.setenv(name, value)
    found = Engine(cluster.env.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    yield found
    found.remove()


@dataclass(frozen=True)
class Case:
    """A Dockerfile that both builders take, or only one of them."""

    text: str
    builders: tuple[str, ...] = tuple(BUILDERS)
    target: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)


NEW = ("buildkit",)
"""for what only the newer builder has"""

CASES = {
    "nothing of its own": Case("FROM {base}"),
    "exec form": Case('FROM {base}\nENTRYPOINT ["python3", "-u"]\nCMD ["app.py", "--port=80"]'),
    "shell form": Case("FROM {base}\nENTRYPOINT exec python3 app.py $PORT\nCMD ignored"),
    "an entrypoint drops the base's cmd": Case('FROM {base}\nENTRYPOINT ["python3"]'),
    "a cmd before the entrypoint stays": Case('FROM {base}\nCMD ["app.py"]\nENTRYPOINT ["python3"]'),
    "reset": Case('FROM {base}\nENTRYPOINT ["python3"]\nCMD ["app.py"]\nENTRYPOINT []\nCMD []'),
    "only cmd reset": Case("FROM {base}\nCMD []"),
    "no json": Case("FROM {base}\nCMD ['python3', 'app.py']"),
    "json with blanks": Case('FROM {base}\nCMD   [ "python3" ,\t"app.py" ]  '),
    "json escapes": Case(r'FROM {base}\nCMD ["python3", "a\\b\"c\u00e9", "é"]'.replace(r"\n", "\n")),
    "words of the shell": Case("FROM {base}\nCMD python3 -c 'print(\"$HOME  x\")'   --flag"),
    "lower case": Case('from {base} as Main\ncmd ["python3"]\nentrypoint ["env"]\nenv A=1\nuser 7\nworkdir /x'),
    "tabs": Case('FROM\t{base}\nCMD\t["python3"]\nENV\tA=1'),
    "continued": Case('FROM {base}\nCMD [ "python3", \\\n  # a comment\n\n   "app.py" ]\nENV A=1 \\\n    B=2'),
    "continued in the shell form": Case("FROM {base}\nCMD python3 \\\n      app.py \\\n  --port 80"),
    "two escapes do not continue": Case("FROM {base}\nENV A=x\\\\\nENV B=2"),
    "escape directive": Case("# escape=`\nFROM {base}\nENV A=C:\\dir B=a`\nb C=`$X\nCMD python3 `\n app.py"),
    "directives": Case("#  Escape = `\n\nFROM {base}\nENV A=C:\\dir"),
    "no directive any more": Case("# a comment\n# escape=`\nFROM {base}\nENV A=a\\ b"),
    "windows line ends": Case('FROM {base}\r\nENV A=1\r\nCMD ["python3", \\\r\n "app.py"]\r\n'),
    "byte order mark": Case("\ufeffFROM {base}\nENV A=1"),
    "health check": Case('FROM {base}\nCMD ["python3"]\nHEALTHCHECK --interval=5s CMD ["false"]'),
    "health check in the shell form": Case("FROM {base}\nHEALTHCHECK \\\n  CMD false"),
    "shell": Case('FROM {base}\nSHELL ["/bin/bash", "-ec"]\nCMD run me\nENTRYPOINT start'),
    "shell is inherited": Case('FROM {base} AS one\nSHELL ["/bin/bash", "-c"]\nFROM one\nCMD run'),
    "env": Case('FROM {base}\nENV A=1 B="two words" C=\'single $A\' D=a\\ b E= F="" G=\'x\'"y"z'),
    "env of old": Case('FROM {base}\nENV A one  "two"  $PATH three\nENV B=$A'),
    "env refers to before": Case("FROM {base}\nENV A=1\nENV A=2 B=$A C=${A}c\nENV PATH=/app/bin:$PATH"),
    "env escapes": Case('FROM {base}\nENV A=\\$HOME B="\\$X \\"q\\" \\n" C=\'\\n\' D=$ E=a$ F=${A}$B'),
    "substitutions": Case("FROM {base}\nENV S=set E=\nENV A=${U:-d} B=${U:+d} C=${S:+w} D=${S:-w} F=${U:-$S} G=${E:-empty}x"),
    "argument": Case("FROM {base}\nARG A=1\nARG B\nENV C=$A D=x$B E=${B:-none}"),
    "argument given": Case("FROM {base}\nARG A=1\nARG B\nENV C=$A D=$B E=$F", arguments={"A": "given", "B": "b"}),
    "argument before the stage": Case('ARG V=one\nFROM {base}\nENV A=x$V\nARG V\nENV B=$V\nARG V=two\nENV C="$V"'),
    "argument in the image": Case("ARG BASE={base}\nARG B=${BASE}\nFROM ${B}\nENV A=1"),
    "argument given for the image": Case("ARG BASE=scratch\nFROM $BASE\nENV A=1", arguments={"BASE": "{base}"}),
    "argument quoted": Case("ARG BASE=\"{base}\"\nFROM $BASE\nARG X='a b'\nENV A=$X"),
    "env wins over an argument": Case("FROM {base}\nARG A=arg\nENV A=env\nENV B=$A"),
    "an argument wins over env before it": Case("FROM {base}\nENV A=env\nARG A=arg\nENV B=$A", NEW),
    "an argument that is given wins over env before it": Case(
        "FROM {base}\nENV A=env\nARG A\nENV B=$A", NEW, arguments={"A": "given"}
    ),
    "several arguments": Case("FROM {base}\nARG A=1 B=2 C\nENV D=$A$B$C", NEW),
    "platform": Case("FROM --platform=$TARGETPLATFORM {base}\nARG TARGETOS\nARG TARGETARCH\nENV A=$TARGETOS/$TARGETARCH", NEW),
    "platform not declared": Case("FROM {base}\nENV A=x$TARGETARCH"),
    "platform in the image": Case("ARG X=${TARGETOS}\nFROM {base} AS linux\nENV A=1\nFROM $X", NEW),
    "stages": Case('FROM {base} AS One\nENV A=1\nCMD ["one"]\nFROM scratch AS two\nCMD ["two"]\nFROM one\nENV B=$A'),
    "stage without a name": Case('FROM scratch\nCMD ["one"]\nFROM {base}\nCMD ["two"]'),
    "stage of the same name": Case("FROM {base} AS x\nENV A=1\nFROM x AS x\nENV B=2\nFROM x", NEW),
    "an entrypoint drops a stage's cmd": Case('FROM {base} AS one\nCMD ["one"]\nFROM one\nENTRYPOINT ["two"]'),
    "arguments of a stage": Case("FROM {base} AS one\nARG A=1\nENV B=$A\nFROM one\nENV C=x$A", NEW),
    "target": Case('FROM {base} AS one\nCMD ["one"]\nFROM {base}\nCMD ["two"]', target="one"),
    "target in upper case": Case('FROM {base} AS one\nCMD ["one"]\nFROM {base}\nCMD ["two"]', target="ONE"),
    "scratch": Case('FROM scratch\nCOPY app.py /\nCMD ["/app.py"]'),
    "user": Case("FROM {base}\nARG U=1000\nUSER $U:${G:-1001}"),
    "working directory": Case("FROM {base}\nENV D=deep\nWORKDIR /srv//x/\nWORKDIR ../y\nWORKDIR $D/er"),
    "working directory with blanks": Case('FROM {base}\nWORKDIR "/srv/a b"'),
    "working directory quoted": Case("FROM {base}\nWORKDIR /srv/'quoted'"),
    "labels": Case('FROM {base}\nARG V=1\nLABEL a.b="c d" e=$V "f g"=h\nLABEL old way'),
    "maintainer and others": Case("FROM {base}\nMAINTAINER nobody\nEXPOSE 80\nVOLUME /data\nSTOPSIGNAL INT"),
    "onbuild of a stage": Case(
        'FROM {base} AS one\nONBUILD ENV A=1\nONBUILD CMD ["built"]\nONBUILD ENTRYPOINT ["run"]\nONBUILD WORKDIR /on\n'
        "FROM one\nENV B=$A"
    ),
    "onbuild of its own": Case('FROM {base}\nONBUILD CMD ["python3",   "app.py"]\nonbuild env A=1\nCMD ["own"]'),
    "onbuild comes once": Case('FROM {base} AS one\nONBUILD CMD ["built"]\nFROM one AS two\nCMD ["two"]\nFROM two'),
    "a file": Case("FROM {base}\nCOPY --chown=1:1 app.py /srv/\nADD app.py x\nCMD python3 app.py"),
}


@pytest.mark.parametrize(
    ("builder", "case"),
    [pytest.param(b, case, id=f"{name}-{b}") for name, case in CASES.items() for b in case.builders],
)
def test_a_dockerfile_is_read_as_docker_reads_it(cluster: Any, engine: Engine, builder: str, case: Case) -> None:
    base = cluster.image("python:3.13")
    text = case.text.replace("{base}", base)
    arguments = {name: value.replace("{base}", base) for name, value in case.arguments.items()}
    config = engine.build(text, builder, target=case.target, buildargs=json.dumps(arguments))
    read = dockerfile.parse(text, target=case.target, arguments=arguments, bases=known(ImageLookup()))
    assert facts(read) == facts(image_config.read(config, said_by=""))


VALUES = st.text(alphabet="ab $ABC{}:-+\\\"' =", max_size=12)
LINES = st.one_of(
    *(
        st.builds(form.format, st.sampled_from("ABC"), VALUES)
        for form in ("ENV {}={}", "ENV {} {}", 'ENV {}="{}"', "ARG {}={}", "ONBUILD ENV {}={}", "LABEL {}={}")
    ),
    *(st.builds(form.format, VALUES) for form in ("USER x{}", "WORKDIR /{}", "CMD {}", "ENTRYPOINT {}", "ARG A B {}")),
    st.sampled_from(["FROM one", "FROM {base} AS one", "FROM {base}", "ARG C"]),
)
ENDS = st.sampled_from(["\n", "\n", " \n", "\r\n", "\\\n", " \\\n # a comment\n"])


@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.builds(str.__add__, LINES, ENDS), max_size=6).map("".join))
def test_whatever_docker_takes_is_read_as_docker_reads_it(cluster: Any, engine: Engine, lines: str) -> None:
    base = cluster.image("python:3.13")
    text = f"FROM {base} AS one\n{lines.replace('{base}', base)}"
    try:
        config = engine.build(text, "buildkit", buildargs=json.dumps({"C": "given"}))
    except BuildError:
        return
    read = dockerfile.parse(text, arguments={"C": "given"}, bases=known(ImageLookup()))
    assert facts(read) == facts(image_config.read(config, said_by=""))


ONBUILD = """\
FROM {base}
SHELL ["/bin/bash", "-c"]
ENV A=1
USER 65532
WORKDIR /srv
ONBUILD ARG B=2
ONBUILD ENV C=$A$B
ONBUILD COPY app.py /srv/
ONBUILD ENTRYPOINT python3 app.py
"""


@pytest.mark.parametrize("builder", BUILDERS)
def test_what_a_base_image_says_and_has_done_is_inherited(cluster: Any, engine: Engine, builder: str) -> None:
    name = f"podcov-onbuild-{builder}"
    engine.build(ONBUILD.replace("{base}", cluster.image("python:3.13")), builder)
    engine.tag(name, "1")
    text = f"FROM {name}:1\nENV D=x$C\nWORKDIR deeper\n"
    config = engine.build(text, builder)
    read = dockerfile.parse(text, bases=known(ImageLookup()))
    assert facts(read) == facts(image_config.read(config, said_by=""))
    assert read.env["D"] == "x12"
    assert read.entrypoint == ("/bin/bash", "-c", "python3 app.py")
    assert read.copies == (("app.py", "/srv"),)


@pytest.mark.parametrize("name", ["python:3.13", "python:bare", "applications:3.14"])
def test_the_registry_says_what_the_engine_says(cluster: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    image = cluster.image(name)
    by_engine = ImageLookup()(image)
    digest = cluster.run("docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", image).stdout.strip()
    monkeypatch.setenv("PATH", "")
    by_registry = ImageLookup()
    assert isinstance(by_engine, Image)
    assert by_engine.said_by == "docker has the image"
    for reference in (image, digest):
        answer = by_registry(reference)
        assert isinstance(answer, Image), answer
        assert facts(answer) == facts(by_engine)
        assert answer.said_by == f"the registry {image.partition('/')[0]} says so"


def test_an_image_that_is_nowhere_is_unknown_with_a_reason(cluster: Any, engine: Engine) -> None:
    missing = f"{cluster.image('nothing-of-that-name')}:1"
    answer = ImageLookup()(missing)
    assert answer == Unknown(f"the registry {missing.partition('/')[0]} has no such image")


def test_a_service_whose_dockerfile_says_nothing_is_known_by_its_base(cluster: Any, engine: Engine) -> None:
    base = cluster.image("python:3.13")
    artifact = Artifact("orders", "orders", "orders/Dockerfile", "skaffold.yaml")
    files = MemoryProject({"orders/Dockerfile": f'FROM {base}\nENTRYPOINT ["/start"]\nCMD ["x"]\n'})
    stated = commands.find("orders", [artifact], files, ImageLookup())
    assert stated.origin == "it stands in orders/Dockerfile"
    assert stated.image is not None
    assert stated.image.env["PATH"].startswith("/venv/bin:")
    inherited = commands.find("orders", [artifact], MemoryProject({"orders/Dockerfile": f"FROM {base}\n"}), ImageLookup())
    assert inherited.origin == f"orders/Dockerfile has it from {base}: docker has the image"
    assert inherited.image is not None
    assert inherited.image.command == ("python3",)


def known(lookup: ImageLookup) -> Callable[[str], Image | None]:
    def image(name: str) -> Image | None:
        answer = lookup(name)
        return None if isinstance(answer, Unknown) else answer

    return image


def facts(image: Image) -> dict[str, object]:
    names = ("entrypoint", "cmd", "env", "user", "workdir", "shell", "onbuild", "labels")
    return {name: getattr(image, name) for name in names}


@dataclass(frozen=True)
class OneFile:
    """A project of one file."""

    path: str
    text: str

    def read(self, path: str) -> bytes | None:
        return self.text.encode() if path == self.path else None

    def names(self, folder: str) -> Sequence[str]:
        return ()
