"""What an image runs, read from its Dockerfile."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podcov.errors import ManifestError
from podcov.generate import dockerfile

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


def test_a_target_stage_counts_instead() -> None:
    assert dockerfile.parse(STAGES, target="test").command == ("pytest",)
    with pytest.raises(ManifestError, match=r"^app/Dockerfile: there is no stage 'prod'") as caught:
        dockerfile.parse(STAGES, name="app/Dockerfile", target="prod")
    assert caught.value.hint == "Its stages: build, runtime, test."


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


def test_another_escape_character() -> None:
    assert dockerfile.parse("# escape=`\nFROM python\nCMD python3 `\n  app.py").cmd == (*SHELL, "python3   app.py")


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


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("FROM CMD ENV RUN\\\n\"'[]${}<>:=-#ab"), max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ManifestError):
        dockerfile.parse(text)


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"], exclude_characters="\x85"), min_size=1),
        min_size=1,
    )
)
def test_every_word_of_an_exec_form_is_kept(words: list[str]) -> None:
    assert dockerfile.parse(f"FROM python\nCMD {json.dumps(words)}").cmd == tuple(words)


@pytest.mark.parametrize(
    ("image", "repository", "minor"),
    [
        ("python", "python", ""),
        ("python:3.13-slim", "python", "3.13"),
        ("localhost:5000/python:3.11@sha256:abc", "localhost:5000/python", "3.11"),
        ("localhost:5000/shop/orders", "localhost:5000/shop/orders", ""),
        ("python:3", "python", ""),
        ("cpython:3.12", "cpython", ""),
    ],
)
def test_image_names(image: str, repository: str, minor: str) -> None:
    assert (dockerfile.repository(image), dockerfile.minor_version(image)) == (repository, minor)
