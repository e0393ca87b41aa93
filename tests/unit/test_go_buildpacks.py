"""A project descriptor with podcov's buildpack in it says all that the user's says."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from podcov.generate.languages.go_buildpacks import derive

SCRIPTS = {"toolchain": "#!/bin/sh\necho toolchain\n", "buildpack": "#!/bin/sh\necho buildpack\n"}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


def derived(text: str) -> dict[str, Any]:
    return tomllib.loads(derive(text, "cGFja2Vk\n", SCRIPTS, ["-cover", "-covermode=atomic"]))


def test_without_a_descriptor_there_is_nothing_but_the_buildpack() -> None:
    made = derived("")
    assert made["_"] == {"schema-version": "0.2"}
    (group,) = made["io"]["buildpacks"]["pre"]["group"]
    assert (group["id"], group["script"]["api"]) == ("podcov/go", "0.8")
    lines = group["script"]["inline"].splitlines()
    assert lines[-1] == 'sh "$kit/buildpack" -cover -covermode=atomic'
    assert [lines.count(line) for line in ("cGFja2Vk", "echo toolchain", "echo buildpack")] == [1, 1, 1]


def test_what_the_user_s_says_stays_word_for_word() -> None:
    own = '# ours\n[_]\nschema-version = "0.2"\n\n[io.buildpacks]\nexclude = ["*.md"]\n\n[[io.buildpacks.pre.group]]\nid = "a/b"'
    text = derive(own, "", SCRIPTS, ["-cover"])
    assert text.startswith(own)
    groups = tomllib.loads(text)["io"]["buildpacks"]["pre"]["group"]
    assert [group["id"] for group in groups] == ["a/b", "podcov/go"]  # the last goes first


def test_a_descriptor_of_the_first_schema_is_written_in_the_second() -> None:
    own = """\
[project]
id = "shop"
[build]
include = ["cmd", "go.*"]
[[build.env]]
name = "A"
value = 'say "b"'
"""
    said = derived(own)["io"]["buildpacks"]
    assert said["include"] == ["cmd", "go.*"]
    assert said["build"]["env"] == [{"name": "A", "value": 'say "b"'}]


@given(st.lists(TEXTS, min_size=1), st.dictionaries(TEXTS, TEXTS))
def test_whatever_strings_it_has(patterns: list[str], variables: dict[str, str]) -> None:
    def written(text: str) -> str:
        return '"' + "".join(f"\\U{ord(letter):08X}" for letter in text) + '"'

    env = "".join(f"[[build.env]]\nname = {written(name)}\nvalue = {written(value)}\n" for name, value in variables.items())
    said = derived(f"[build]\nexclude = [{', '.join(map(written, patterns))}]\n{env}")["io"]["buildpacks"]
    assert said["exclude"] == patterns
    assert {one["name"]: one["value"] for one in said.get("build", {}).get("env", ())} == variables
