"""What is read from a Tiltfile without running it, and the block that is put into it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.errors import ManifestError
from podcov.generate import blocks
from podcov.generate.skaffold.profile import By
from podcov.generate.skaffold.sources import HelmRelease
from podcov.generate.tilt import starlark, tiltfile
from podcov.generate.tilt.starlark import UNKNOWN

USER = """\
load('ext://restart_process', 'docker_build_with_restart')
arguments = {'BASE': os.getenv('BASE', 'python'), 'DEBUG': '1'}
docker_build('shop/orders', 'orders', build_args=arguments, target='prod')
docker_build('shop/catalog', context='./catalog', dockerfile='docker/catalog.Dockerfile', entrypoint=['python', 'x.py'])
docker_build(name, '.')
if os.getenv('ALL'):
    k8s_yaml(kustomize('deploy/k8s'))
"""


def with_load(text: str, path: str = "Tiltfile", **how: Any) -> str:
    read = tiltfile.read(text, path=path)
    return tiltfile.with_load(read, base="k8s", overlay="podcov/overlay", podcov="podcov/Tiltfile", **how)


def test_calls_that_are_written_out_are_read() -> None:
    read = tiltfile.read(USER, path="Tiltfile")
    orders, catalog = read.artifacts
    assert (orders.image, orders.context, orders.dockerfile, orders.target) == (
        "shop/orders",
        "orders",
        "orders/Dockerfile",
        "prod",
    )
    assert orders.arguments == {"BASE": None, "DEBUG": "1"}
    assert (catalog.dockerfile, catalog.entrypoint) == ("docker/catalog.Dockerfile", True)
    assert read.bases == ("deploy/k8s",)


def test_a_tiltfile_in_another_folder() -> None:
    read = tiltfile.read("docker_build('a', '../a')\nkustomize('../k8s')\n", path="dev/Tiltfile")
    assert (read.artifacts[0].context, read.bases) == ("a", ("k8s",))


def test_what_is_not_like_python_is_left_unread() -> None:
    read = tiltfile.read("x = 1\ndocker_build('a' 'b'\n", path="Tiltfile")
    assert not read.readable
    assert [(f.found, f.decided) for f in read.findings] == [("line 2: a text that podcov cannot read", "left unread")]


def test_lines_are_those_of_the_file_with_the_block_in_it() -> None:
    block = "".join(blocks.write("load('./podcov/Tiltfile', k8s_yaml='podcov_k8s_yaml')\n"))
    read = tiltfile.read(f"{block}k8s_yaml(local('make'))\n", path="Tiltfile")
    assert [f.found for f in read.findings] == ["line 4: k8s_yaml(local(...))"]


PROGRAM = """\
registry = 'example.com/'
services = {'orders': 'prod', 'catalog': 'dev'}

def service(name, target, folder='services'):
    image = registry + name
    docker_build(image, os.path.join(folder, name), target=target)
    k8s_yaml('%s/%s/k8s.yaml' % (folder, name))
    if target == 'prod':
        return image
    return None

for name, target in [(n, services[n]) for n in services]:
    service(name, target)
service('odd', 'prod', folder='other')
custom_build('built', 'make image', deps=['built/src', 'Makefile'])
docker_build_with_restart('restarted', 'restarted', entrypoint=['python', 'x.py'], dockerfile='Dockerfile.dev')
docker_build('inline', '.', dockerfile_contents='FROM scratch')
manifests = ['db.yaml']
manifests += ['queue.yaml', read_file('topic.yaml')]
k8s_yaml(manifests)
k8s_yaml(listdir('plain'))
chart = helm('charts/web', name='web', namespace='shop', values=['a.yaml'], set=['x=1', 'y=a=b'])
k8s_yaml(chart)
include('./more/Tiltfile')
load('ext://namespace', 'namespace_create')
load('./lib.tilt', 'helper')
"""


def test_loops_functions_and_lists_are_followed() -> None:
    read = tiltfile.read(PROGRAM, path="Tiltfile")
    assert [(a.image, a.context, a.dockerfile, a.target) for a in read.artifacts] == [
        ("example.com/orders", "services/orders", "services/orders/Dockerfile", "prod"),
        ("example.com/catalog", "services/catalog", "services/catalog/Dockerfile", "dev"),
        ("example.com/odd", "other/odd", "other/odd/Dockerfile", "prod"),
        ("built", "built/src", "", ""),
        ("restarted", "restarted", "Dockerfile.dev", ""),
        ("inline", ".", "", ""),
    ]
    assert [a.image for a in read.artifacts if a.entrypoint] == ["restarted"]
    assert read.raw == (
        "services/orders/k8s.yaml",
        "services/catalog/k8s.yaml",
        "other/odd/k8s.yaml",
        "db.yaml",
        "queue.yaml",
        "topic.yaml",
        "plain",
    )
    assert read.helm == (
        HelmRelease("web", "charts/web", values=("a.yaml",), namespace="shop", settings=(("x", "1"), ("y", "a=b"))),
    )
    assert read.includes == ("more/Tiltfile", "lib.tilt")
    assert read.findings == ()


def test_what_cannot_be_read_is_said_with_its_line() -> None:
    calls = [
        "docker_build(name(), '.')",
        "k8s_yaml(local('./render.sh'))",
        "k8s_yaml(kustomize(where))",
        "helm_resource('db', 'x')",
    ]
    read = tiltfile.read("\n".join(calls), path="dev/Tiltfile")
    assert [(f.subject, f.found) for f in read.findings] == [
        ("dev/Tiltfile", "line 2: k8s_yaml(local(...))"),
        ("dev/Tiltfile", "line 3: k8s_yaml(kustomize(...))"),
        ("dev/Tiltfile", "line 1: docker_build(...)"),
        ("dev/Tiltfile", "line 4: helm_resource(...)"),
    ]


def test_included_files_are_read_each_once() -> None:
    files = MemoryProject(
        {"Tiltfile": "include('a/Tiltfile')\nload('gone.tilt', 'x')\n", "a/Tiltfile": "include('../Tiltfile')\nk8s_yaml('x')\n"}
    )
    assert [(one.path, one.raw) for one in tiltfile.read_all(files, "Tiltfile")] == [("Tiltfile", ()), ("a/Tiltfile", ("a/x",))]


def test_included_files_get_the_block_where_they_call_what_it_replaces() -> None:
    texts = {
        "Tiltfile": "include('a/Tiltfile')\ninclude('b/Tiltfile')\nload('c.tilt', 'deploy')\n",
        "a/Tiltfile": "k8s_yaml('x')\n",
        "b/Tiltfile": "docker_build('b', '.')\n",
        "c.tilt": "def deploy(name):\n    k8s_yaml(name)\n",
    }
    every = tiltfile.read_all(MemoryProject(texts), "Tiltfile")
    written = tiltfile.with_loads(every, base="k8s", overlay="podcov/overlay", podcov="podcov/Tiltfile", by="inject")
    changed = {path: text.count("load(") - texts[path].count("load(") for path, text in written.items()}
    assert changed == {"Tiltfile": 1, "a/Tiltfile": 1, "b/Tiltfile": 0, "c.tilt": 1}
    assert "load('../podcov/Tiltfile', k8s_yaml=" in written["a/Tiltfile"]
    again = tiltfile.read_all(
        MemoryProject({**written, "a/Tiltfile": written["a/Tiltfile"].replace("k8s_yaml('x')", "")}), "Tiltfile"
    )
    assert tiltfile.with_loads(again, base="", overlay="", podcov="podcov/Tiltfile", by="inject")["a/Tiltfile"] == "\n"


@pytest.mark.parametrize(
    ("text", "given_on"),
    [
        ("x = 'a'\nif y:\n    x = 'b'\nf(x)", UNKNOWN),
        ("if y:\n    x = 'b'\nelse:\n    x = 'b'\nf(x)", "b"),
        ("f('{}/{name}'.format('a', name='b'))", "a/b"),
        ("f('%s-%d' % ('a', 2))", "a-2"),
        ("f('%s' % unknown)", UNKNOWN),
        ("f('%d' % 'a')", UNKNOWN),
        ("f({'a': ['x', 'y']}['a'][1])", "y"),
        ("f(['x'][3])", UNKNOWN),
        ("a, b = 'x', 'y'\nf(b)", "y"),
        ("a, b = unknown\nf(b)", UNKNOWN),
        ("def g(n):\n    return g(n)\nf(g(1))", UNKNOWN),
        ("def g(n, m='z'):\n    return n + m\nf(g(m='y', n='x'))", "xy"),
        ("def g():\n    for n in ['x', 'y']:\n        return n\nf(g())", "x"),
        ("f([n + '.yaml' for n in ['a', 'b']])", ["a.yaml", "b.yaml"]),
        ("f([n for n in ['a', 'b'] if n])", UNKNOWN),
        ("f(os.getenv('X', 'a'))", UNKNOWN),
        ("f('a' if y else 'b')", UNKNOWN),
        ("f(-1)", UNKNOWN),
    ],
)
def test_what_a_value_is(text: str, given_on: object) -> None:
    (call,) = [call for call in starlark.read(text).calls if call.function == "f"]
    assert call.positional == (given_on,)


def test_a_program_without_end_is_read_so_far() -> None:
    text = (
        "f('first')\n" + "".join(f"{'    ' * n}for a{n} in {list(range(50))}:\n" for n in range(6)) + "    " * 6 + "f('inner')\n"
    )
    assert starlark.read(text).calls[0].positional == ("first",)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PROGRAM.splitlines(keepends=True)), max_size=12))
def test_lines_in_any_order_are_read_or_said_to_be_unreadable(lines: list[str]) -> None:
    read = tiltfile.read("".join(lines), path="Tiltfile")
    assert read.readable or read.findings


@pytest.mark.parametrize(
    ("text", "before"),
    [
        (USER, ""),
        ("", ""),
        ("# -*- mode: Python -*-\n\nk8s_yaml('x')\n", "# -*- mode: Python -*-\n\n"),
        ("# builds\ndocker_build('a', '.')\n", ""),
        ("\nk8s_yaml('x')\n", ""),
    ],
)
def test_the_block_comes_first_and_all_else_stays(text: str, before: str) -> None:
    written = with_load(text)
    assert written.startswith(f"{before}# >>> podcov")
    assert "load('./podcov/Tiltfile', kustomize='podcov_kustomize')\n# <<< podcov\n" in written
    assert [line for line in written.splitlines() if line and line in text.splitlines()] == [
        line for line in text.splitlines() if line
    ]
    assert with_load(written) == written


@pytest.mark.parametrize("by", ["overlay", "inject"])
@settings(max_examples=60)
@given(
    lines=st.lists(
        st.sampled_from(["# -*- mode: Python -*-", "# comment", "", "  ", "\tx = 1", '"""doc"""', "k8s_yaml('é')"]), max_size=6
    ),
    end=st.booleans(),
    windows=st.booleans(),
)
def test_what_was_put_in_comes_out_byte_for_byte(lines: list[str], end: bool, windows: bool, by: str) -> None:
    text = ("\r\n" if windows else "\n").join(lines) + ("\n" if end and not windows else "")
    written = with_load(text, by=by)
    assert blocks.remove(written) == text
    assert with_load(written, by=by) == written
    assert blocks.remove(with_load(written, by="inject")) == text


def test_by_inject_k8s_yaml_gets_another_meaning() -> None:
    assert "load('./podcov/Tiltfile', k8s_yaml='podcov_k8s_yaml')\n" in with_load(USER, by="inject")
    assert "load('../podcov/Tiltfile', k8s_yaml='podcov_k8s_yaml')\n" in with_load(USER, "dev/Tiltfile", by="inject")


@pytest.mark.parametrize("folder", ["it's ours", 'a "b"', 'it\'s "both"', "back\\slash", "é"])
@pytest.mark.parametrize("by", ["overlay", "inject"])
def test_podcov_s_folder_may_be_called_anything(by: By, folder: str) -> None:
    read = tiltfile.read("", path="dev/Tiltfile")
    written = tiltfile.with_load(read, base="k8s", overlay=f"{folder}/overlay", podcov=f"{folder}/Tiltfile", by=by)
    (load,) = starlark.read(written).calls
    assert load.positional == (f"../{folder}/Tiltfile",)


@pytest.mark.parametrize("own", ["load('ext://x', 'k8s_yaml')\n", "load('./y', k8s_yaml='z')\n", "def k8s_yaml(x):\n    pass\n"])
def test_a_function_of_that_name_is_the_user_s(own: str) -> None:
    with pytest.raises(ManifestError, match=r"^Tiltfile: it defines or loads a 'k8s_yaml' of its own") as caught:
        with_load(own, by="inject")
    assert "rename yours" in caught.value.hint
    assert "kustomize='podcov_kustomize'" in with_load(own, by="overlay")
