"""What an image runs, read from its Dockerfile. That Docker reads it likewise is shown in tests/cluster/test_images.py."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.errors import ManifestError
from podcov.generate.images import dockerfile, dockerfile_text
from podcov.generate.images.dockerfile import Image

SHELL = ("/bin/sh", "-c")


@pytest.mark.parametrize(
    ("text", "entrypoint", "cmd"),
    [
        ('FROM python\nCMD ["python3", "app.py"]', None, ("python3", "app.py")),
        ('FROM python\nENTRYPOINT ["gunicorn"]\nCMD ["app:app"]', ("gunicorn",), ("app:app",)),
        ("FROM python\nCMD python3 app.py --port $PORT", None, (*SHELL, "python3 app.py --port $PORT")),
        ("FROM python\nENTRYPOINT exec gunicorn app:app", (*SHELL, "exec gunicorn app:app"), ()),
        ('FROM python\nSHELL ["/bin/bash", "-ec"]\nCMD run', None, ("/bin/bash", "-ec", "run")),
        ("FROM python\nCMD ['python3', 'app.py']", None, (*SHELL, "['python3', 'app.py']")),
        ('FROM python\ncmd [ "python3", \\\n  # the program\n  "app.py" ]', None, ("python3", "app.py")),
        ('FROM python\nCMD ["one"]\nCMD ["two"]', None, ("two",)),
        ('FROM python\nENTRYPOINT ["one"]\nENTRYPOINT []', (), ()),
        ("FROM python\nRUN true", None, None),
    ],
)
def test_commands(text: str, entrypoint: tuple[str, ...] | None, cmd: tuple[str, ...] | None) -> None:
    image = dockerfile.parse(text)
    assert (image.entrypoint, image.cmd) == (entrypoint, cmd)


def test_an_entrypoint_drops_an_inherited_cmd_and_keeps_its_own_stage_s() -> None:
    inherited = dockerfile.parse('FROM python AS base\nCMD ["base"]\nFROM base\nENTRYPOINT ["run"]')
    assert inherited.command == ("run",)
    own = dockerfile.parse('FROM python AS base\nFROM base\nCMD ["own"]\nENTRYPOINT ["run"]')
    assert own.command == ("run", "own")


STAGES = """\
FROM node:22 AS build
CMD ["node"]
FROM python:3.12 AS Runtime
ENV A=1
WORKDIR /srv
CMD ["runtime"]
FROM runtime AS test
CMD ["pytest"]
FROM runtime
WORKDIR app
COPY --from=build /dist static
"""


def test_the_last_stage_counts_with_what_it_inherits() -> None:
    image = dockerfile.parse(STAGES)
    assert (image.base, image.command, image.workdir, image.env) == ("python:3.12", ("runtime",), "/srv/app", {"A": "1"})
    assert image.from_stages


TAKING = """
ARG FROM_WHERE=build
FROM golang:1.24 AS Build
WORKDIR /src
RUN go build -o /out/shop .
FROM scratch AS files
COPY --from=0 /out/shop /srv/
COPY --from=files /self /self
FROM alpine
WORKDIR /app
COPY --from=files /srv/shop .
COPY --from=${FROM_WHERE} --chown=1 /etc/one /etc/two etc/
COPY --from=nginx:1.27 ["/etc/nginx/mime.types", "/mime.types"]
COPY --from=later /x /y
COPY --from=7 /x /z
COPY own /own
FROM busybox AS later
"""


def test_what_comes_from_other_stages_and_images_is_known_with_them() -> None:
    asked: list[str] = []
    image = dockerfile.parse(TAKING.rpartition("FROM")[0], bases=lambda name: asked.append(name))
    found = [(taken.origin.base, taken.source, taken.destination) for taken in image.taken]
    assert found == [
        ("scratch", "/srv/shop", "/app/"),
        ("golang:1.24", "/etc/one", "/app/etc/"),
        ("golang:1.24", "/etc/two", "/app/etc/"),
        ("nginx:1.27", "/etc/nginx/mime.types", "/mime.types"),
        ("later", "/x", "/y"),
        ("7", "/x", "/z"),
    ]
    files = image.taken[0].origin
    assert [(taken.origin.base, taken.origin.runs, taken.destination) for taken in files.taken] == [
        ("golang:1.24", ("go build -o /out/shop .",), "/srv/"),
        ("files", (), "/self"),
    ]
    assert (image.copies, asked) == ((("own", "/own"),), ["alpine"])


def test_a_target_stage_counts_instead() -> None:
    assert dockerfile.parse(STAGES, target="test").command == ("pytest",)
    with pytest.raises(ManifestError, match=r"^app/Dockerfile: there is no stage 'prod'") as caught:
        dockerfile.parse(STAGES, name="app/Dockerfile", target="prod")
    assert caught.value.hint == "its stages: build, runtime, test."


@pytest.mark.parametrize(
    ("text", "arguments", "base"),
    [
        ("ARG BASE=python:3.13\nFROM ${BASE}", {}, "python:3.13"),
        ("ARG BASE=python:3.13\nFROM $BASE", {"BASE": "python:3.11"}, "python:3.11"),
        ("ARG TAG\nFROM python:${TAG:-3.12}", {}, "python:3.12"),
        ("ARG SLIM=1\nFROM python:3.12${SLIM:+-slim}", {}, "python:3.12-slim"),
        ("ARG V=3\nARG TAG=${V}.11\nFROM python:$TAG", {}, "python:3.11"),
        ('ARG BASE="python:3.13"\nFROM --platform=$BUILDPLATFORM $BASE AS x', {}, "python:3.13"),
    ],
)
def test_arguments_before_the_first_stage(text: str, arguments: dict[str, str], base: str) -> None:
    assert dockerfile.parse(text, arguments=arguments).base == base


def test_arguments_reach_a_stage_only_where_it_declares_them() -> None:
    text = "ARG DIR=/one\nFROM python\nWORKDIR /x$DIR\nARG DIR\nWORKDIR $DIR\nARG DIR=/two\nENV WHERE=$DIR"
    image = dockerfile.parse(text)
    assert (image.workdir, image.env["WHERE"]) == ("/one", "/two")
    assert dockerfile.parse(text, arguments={"DIR": "/given"}).env["WHERE"] == "/given"


@pytest.mark.parametrize(
    ("line", "env"),
    [
        ("ENV A=1 B=two", {"A": "1", "B": "two"}),
        ("ENV A one and two", {"A": "one and two"}),
        ("ENV A=\"one two\" B='$A' C=three\\ four", {"A": "one two", "B": "$A", "C": "three four"}),
        ("ENV A=/app\nENV PYTHONPATH=$A/lib:${PYTHONPATH}", {"A": "/app", "PYTHONPATH": "/app/lib:"}),
        (r"ENV A=\$HOME", {"A": "$HOME"}),
    ],
)
def test_environment(line: str, env: dict[str, str]) -> None:
    assert dockerfile.parse(f"FROM python\n{line}").env == env


def test_what_is_copied_where() -> None:
    image = dockerfile.parse(
        'FROM python\nWORKDIR /app\nCOPY --chown=1:1 src/ requirements.txt ./\nCOPY ["my app", "/srv/my app"]\nUSER 1000\n'
        "COPY <<EOF /etc/motd\nCMD nothing\nEOF\nRUN <<-'EOF'\n\tpip install .\n\tEOF\nRUN echo $((1 << 2))\n"
    )
    assert image.copies == (("src/", "/app"), ("requirements.txt", "/app"), ("my app", "/srv/my app"))
    assert image.user == "1000"
    assert image.cmd is None
    assert len(image.runs) == 2
    assert "pip install ." in image.runs[0]


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("COPY . .", (".",)),
        ("ADD ./ /app", (".",)),
        ('COPY ["./", "/app"]', (".",)),
        ("COPY / /app", (".",)),
        ("COPY * /app/", (".",)),
        ("COPY --chown=1:1 'src/' \"src\" ./b c*.py /app/", ("src", "b", "c*.py")),
        ("COPY src/.. /app", (".",)),
        ("COPY <<END /app.py\nCOPY . .\nEND", ()),
        ("COPY --from=build . /app", ()),
        ("ENV A=src\nCOPY $A ${B:-lib} /app", ("src", "lib")),
        ("ARG FROM\nCOPY $FROM /app", (".",)),
        ("ARG GIVEN=.\nCOPY $GIVEN /app", ("app",)),
        ("COPY . /src\nFROM scratch\nCOPY --from=0 /src/a /a", (".",)),
    ],
)
def test_what_is_taken_from_the_context(text: str, taken: tuple[str, ...]) -> None:
    assert dockerfile.taken_from_context(f"FROM python\n{text}", {"GIVEN": "app"}) == taken


def test_another_escape_character() -> None:
    assert dockerfile.parse("# escape=`\nFROM python\nCMD python3 `\n  app.py").cmd == (*SHELL, "python3   app.py")


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("${E-d}${U-d}", "d"),
        ("${E:-d}${U:-d}", "dd"),
        ("${E+w}${U+w}", "w"),
        ("${E:+w}${S:+w}", "w"),
        ("${S:?it is needed}${U?it is needed}", "a/b/c.py"),
        ("${S#*/}", "b/c.py"),
        ("${S##*/}", "c.py"),
        ("${S%/*}", "a/b"),
        ("${S%%/*}", "a"),
        ("${S%.??}", "a/b/c"),
        ("${S#b}${S%b}", "a/b/c.pya/b/c.py"),
        ("${S/\\//-}", "a-b/c.py"),
        ("${S//\\//-}", "a-b-c.py"),
        ("${U:-${S%%/*}}", "a"),
        ("$1$@x", "x"),
        ("a$", "a$"),
        ("\"'$S'\"", "'a/b/c.py'"),
        ("'\"$S\"'", '"$S"'),
        ('"no end', '"no end'),
        ("${", "${"),
        ("${S", "${S"),
        ("${S~x}", "${S~x}"),
        ("${:-x}", "${:-x}"),
    ],
)
def test_variables_in_words(word: str, value: str) -> None:
    assert dockerfile_text.expand(word, {"S": "a/b/c.py", "E": ""}) == value


def test_the_platform_is_known_where_it_is_declared() -> None:
    text = "ARG BASE=python-$TARGETARCH\nFROM $BASE\nENV A=x$TARGETARCH\nARG TARGETPLATFORM\nENV B=$TARGETPLATFORM"
    image = dockerfile.parse(text)
    assert (image.base, image.env) == ("python-amd64", {"A": "x", "B": "linux/amd64"})
    on_arm = dockerfile.parse(text, arguments={"TARGETARCH": "arm64", "TARGETPLATFORM": "linux/arm64"})
    assert (on_arm.base, on_arm.env) == ("python-arm64", {"A": "x", "B": "linux/arm64"})


@pytest.mark.parametrize(
    "document",
    [
        "RUN <<EOF\nCMD no\nEOF\n",
        "RUN --network=none cat <<one 2<<-'two words' >/x\nCMD no\none\nCMD no\n\t\ttwo words\n",
        'COPY --chown=1:1 <<a <<"b" /etc/\nCMD no\na\nCMD no\nb\n',
        "ONBUILD RUN <<EOF\nCMD no\nEOF\n",
        'RUN ["cat", "<<EOF"]\n',
        "RUN echo $((1 << 2)) $((1<<2))\n",
        "RUN python3 - <<EOF && true\nCMD no\n  EOF\nEOF\n",
        "HEALTHCHECK CMD cat <<EOF\n",
    ],
)
def test_here_documents_are_no_instructions(document: str) -> None:
    image = dockerfile.parse(f'# syntax=docker/dockerfile:1\nFROM python\n{document}CMD ["yes"]\n')
    assert image.cmd == ("yes",)


@pytest.mark.parametrize(
    ("top", "escape"),
    [
        ("# syntax=docker/dockerfile:1\n# check=skip=all\n#escape=`\n", "`"),
        ("# escape = \\\n", "\\"),
        ("\n# escape=`\n", "\\"),
        ("# a comment\n# escape=`\n", "\\"),
        ("# other=directive\n# escape=`\n", "\\"),
        ("# escape=x\n", "\\"),
    ],
)
def test_directives_stand_at_the_very_top(top: str, escape: str) -> None:
    assert dockerfile_text.read(f"{top}FROM python").escape == escape


BASE = Image(
    "",
    entrypoint=("tini", "--"),
    cmd=("python3",),
    env={"PATH": "/venv/bin:/bin", "PYTHONPATH": "/lib"},
    workdir="/srv",
    user="1000",
    shell=("/bin/bash", "-c"),
    onbuild=("ENV A=$PATH", 'CMD ["app"]', "COPY . src"),
    labels={"made": "there"},
    said_by="the registry says so",
)


def test_what_the_base_image_says_is_inherited_and_its_onbuild_carried_out_first() -> None:
    image = dockerfile.parse(
        "FROM company/base:2 AS x\nFROM x\nENV B=$A:$PYTHONPATH\nRUN y\n", bases={"company/base:2": BASE}.get
    )
    assert image.base == "company/base:2"
    assert image.command == ("tini", "--", "app")
    assert image.env == {"PATH": "/venv/bin:/bin", "PYTHONPATH": "/lib", "A": "/venv/bin:/bin", "B": "/venv/bin:/bin:/lib"}
    assert (image.workdir, image.user, image.labels, image.onbuild) == ("/srv", "1000", {"made": "there"}, ())
    assert image.copies == ((".", "/srv/src"),)


def test_only_the_base_that_the_image_stands_on_is_asked_for() -> None:
    asked: list[str] = []
    text = "FROM node AS build\nFROM golang AS other\nFROM base:$V AS run\nFROM run\nCOPY --from=build /x /x"

    def bases(name: str) -> Image | None:
        asked.append(name)
        return None

    dockerfile.parse(f"ARG V=3\n{text}", bases=bases)
    assert asked == ["base:3"]


def test_onbuild_of_a_stage_is_for_those_that_stand_on_it() -> None:
    text = 'FROM python AS one\nONBUILD CMD ["later"]\nCMD ["now"]\nFROM one\n'
    assert dockerfile.parse(text, target="one").cmd == ("now",)
    assert dockerfile.parse(text, target="one").onbuild == ('CMD ["later"]',)
    assert dockerfile.parse(text).cmd == ("later",)


def test_scratch_has_nothing_of_its_own() -> None:
    image = dockerfile.parse("FROM scratch")
    assert (image.entrypoint, image.cmd, list(image.env)) == ((), (), ["PATH"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"there is no FROM"),
        ("# nothing\nRUN x", r"there is no FROM"),
        ("ARG B\n\nFROM $B", r"^Dockerfile:3: FROM \$B: the image is empty"),
    ],
)
def test_what_is_no_dockerfile(text: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        dockerfile.parse(text)


@given(st.text(alphabet=st.sampled_from("FROM CMD ENV RUN\\\n\"'[]${}<>:=-#ab"), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ManifestError):
        dockerfile.parse(text)


@given(st.text(alphabet=st.sampled_from("$ {}AB:-+?#%/*\\'\"ab."), max_size=40), st.sampled_from(["\\", "`"]))
def test_any_word_is_expanded_or_kept(word: str, escape: str) -> None:
    assert isinstance(dockerfile_text.expand(word, {"A": "a/b", "B": ""}, escape), str)
    assert "".join(dockerfile_text.words(word, escape)).replace(" ", "") == word.replace(" ", "")


PLAIN_WORD = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0$"), min_size=0, max_size=20)


@given(st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True), PLAIN_WORD, min_size=1))
def test_every_value_that_is_quoted_as_docker_wants_it_is_kept(env: dict[str, str]) -> None:
    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    line = " ".join(f"{name}={quoted(value)}" for name, value in env.items())
    assert dockerfile.parse(f"FROM python\nENV {line}").env == env


@given(
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1),
        min_size=1,
    )
)
def test_every_word_of_an_exec_form_is_kept(words: list[str]) -> None:
    assert dockerfile.parse(f"FROM python\nCMD {json.dumps(words)}").cmd == tuple(words)


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("python", "python"),
        ("python:3.13-slim", "python"),
        ("localhost:5000/python:3.11@sha256:abc", "localhost:5000/python"),
        ("localhost:5000/shop/orders", "localhost:5000/shop/orders"),
    ],
)
def test_image_names(image: str, repository: str) -> None:
    assert dockerfile.repository(image) == repository
