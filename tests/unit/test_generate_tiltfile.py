"""What is read from a Tiltfile without running it, and the block that is put into it."""

from __future__ import annotations

import pytest
from podcov.generate import tiltfile

USER = """\
load('ext://restart_process', 'docker_build_with_restart')
arguments = {'BASE': os.getenv('BASE', 'python'), 'DEBUG': '1'}
docker_build('shop/orders', 'orders', build_args=arguments, target='prod')
docker_build('shop/catalog', context='./catalog', dockerfile='docker/catalog.Dockerfile', entrypoint=['python', 'x.py'])
docker_build(name, '.')
if os.getenv('ALL'):
    k8s_yaml(kustomize('deploy/k8s'))
"""


def with_load(text: str) -> str:
    read = tiltfile.read(text, path="Tiltfile")
    return tiltfile.with_load(read, base="k8s", overlay="podcov/overlay", podcov="podcov/Tiltfile")


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
    assert not tiltfile.read("docker_build('a' 'b'\n", path="Tiltfile").readable


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
