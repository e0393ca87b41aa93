"""Where in the project a file lies that Go knows by import path, and whether its text is the one that was built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from podcov.errors import MappingError
from podcov.formats import go_mod
from podcov.formats.go_fit import misfit
from podcov.formats.go_meta import GoFunction
from podcov.formats.go_mod import GoMod
from podcov.formats.go_profile import Block
from podcov.languages.go_places import Found, Places
from podcov.raw import digest_of

CART = b"package cart\n\nfunc Add(n int) int {\n\tif n > 1 {\n\t\treturn n\n\t}\n\treturn 0\n}\n"
ADD = GoFunction(
    "Add",
    "example.com/shop/cart/cart.go",
    False,
    (
        Block("example.com/shop/cart/cart.go", 3, 21, 4, 11, 1),
        Block("example.com/shop/cart/cart.go", 4, 11, 6, 3, 1),
        Block("example.com/shop/cart/cart.go", 7, 2, 7, 10, 1),
    ),
)
OTHER = CART.replace(b"\n\n", b"\n\n// Add adds.\n", 1)
SHOP = b"module example.com/shop\n"


def places(texts: Mapping[str, bytes], root: str = "/work", **more: Any) -> Places:
    by_digest = {digest_of(text): text for text in texts.values()}
    digests = {path: digest_of(text) for path, text in texts.items()}
    local = {path: digest for path, digest in digests.items() if "vendor" not in path.split("/")}
    vendored = {path: digest for path, digest in digests.items() if path not in local}
    settings: dict[str, Any] = {"explicit": {}, "sources": (), "service": "shop", "vendored": vendored.get, **more}
    return Places(local, text=by_digest.get, root=root, **settings)


def found(texts: Mapping[str, bytes], name: str = "example.com/shop/cart/cart.go", **more: Any) -> str | None:
    place = places(texts, **more).find(name, [ADD])
    return place and place.path


@pytest.mark.parametrize(
    ("text", "read"),
    [
        (SHOP, GoMod("example.com/shop")),
        (b'// comment\nmodule "example.com/shop" // and more\n\ngo 1.24\n', GoMod("example.com/shop")),
        (b"module (\n\texample.com/shop\n)\n", GoMod("example.com/shop")),
        (b"module m\nreplace example.com/a => ../a\n", GoMod("m", {"example.com/a": "../a"})),
        (b"module m\nreplace (\n\ta v1.2.3 => ./a // why\n\tb => c v1.0.0\n\td => .\n)\n", GoMod("m", {"a": "./a", "d": "."})),
        (b"go 1.24\n\nuse (\n\t./a\n\t./b\n)\n\nreplace x => ./x\n", GoMod("", {"x": "./x"})),
        (b"\xff\x00 module (", GoMod()),
    ],
)
def test_go_mod_says_what_lies_where(text: bytes, read: GoMod) -> None:
    assert go_mod.parse(text) == read


def test_a_file_lies_where_its_module_does() -> None:
    assert found({"go.mod": SHOP, "cart/cart.go": CART}) == "cart/cart.go"
    assert found({"services/shop/go.mod": SHOP, "services/shop/cart/cart.go": CART}) == "services/shop/cart/cart.go"


def test_a_module_in_a_module_has_its_own_files() -> None:
    texts = {"go.mod": SHOP, "cart/cart.go": OTHER, "basket/go.mod": b"module example.com/shop/cart\n", "basket/cart.go": CART}
    assert found(texts) == "basket/cart.go"


def test_a_replaced_module_lies_in_the_folder_that_replaces_it() -> None:
    texts = {
        "app/go.mod": b"module app\nreplace example.com/shop => ../fork\n",
        "fork/go.mod": b"module fork\n",
        "fork/cart/cart.go": CART,
    }
    assert found(texts) == "fork/cart/cart.go"
    assert found({"go.work": b"replace example.com/shop => ./fork\n", "fork/cart/cart.go": CART}) == "fork/cart/cart.go"


def test_what_podcov_yaml_says_wins() -> None:
    texts = {"go.mod": SHOP, "cart/cart.go": CART, "generated/cart.go": CART}
    assert found(texts, explicit={"example.com/shop/cart": "generated"}) == "generated/cart.go"


def test_the_services_own_folders_come_first() -> None:
    texts = {"one/go.mod": SHOP, "one/cart/cart.go": CART, "two/go.mod": SHOP, "two/cart/cart.go": CART}
    assert found(texts, sources=("two",)) == "two/cart/cart.go"


def test_of_two_versions_of_a_module_the_one_that_was_built_is_meant() -> None:
    texts = {"one/go.mod": SHOP, "one/cart/cart.go": OTHER, "two/go.mod": SHOP, "two/cart/cart.go": CART}
    assert found(texts) == "two/cart/cart.go"


def test_two_copies_of_a_module_cannot_be_told_apart() -> None:
    texts = {"one/go.mod": SHOP, "one/cart/cart.go": CART, "two/go.mod": SHOP, "two/cart/cart.go": CART}
    with pytest.raises(MappingError, match=r"one/cart/cart\.go, two/cart/cart\.go") as raised:
        found(texts)
    assert "{example.com/shop/cart: one/cart}" in raised.value.hint


def test_other_modules_have_no_place() -> None:
    assert found({"go.mod": SHOP, "cart/cart.go": CART}, name="net/http/server.go") is None
    assert found({"go.mod": SHOP, "cart/cart.go": CART}, name="example.com/shopping/cart/cart.go") is None


def test_a_vendored_module_lies_beside_the_go_mod_of_its_service() -> None:
    texts = {
        "a/go.mod": b"module example.com/a\n",
        "a/vendor/example.com/shop/cart/cart.go": CART,
        "b/go.mod": b"module example.com/b\n",
        "b/vendor/example.com/shop/cart/cart.go": CART,
    }
    assert found(texts) == "a/vendor/example.com/shop/cart/cart.go", "they are the same text"
    assert found(texts, sources=("b",)) == "b/vendor/example.com/shop/cart/cart.go"
    assert found({**texts, "a/vendor/example.com/shop/cart/cart.go": OTHER}) == "b/vendor/example.com/shop/cart/cart.go"
    assert (
        found({"go.work": b"use ./a\n", "vendor/example.com/shop/cart/cart.go": CART}) == "vendor/example.com/shop/cart/cart.go"
    )


def test_of_vendored_modules_nothing_is_asked_for_but_where_the_file_may_lie() -> None:
    asked: list[str] = []
    texts = {"go.mod": b"module example.com/a\n", "b/go.mod": b"module example.com/b\n"}
    assert found(texts, vendored=asked.append) is None
    assert sorted(set(asked)) == ["b/vendor/example.com/shop/cart/cart.go", "vendor/example.com/shop/cart/cart.go"]


def test_a_vendored_file_that_podcov_yaml_names_is_found() -> None:
    texts = {"go.mod": b"module example.com/a\n", "vendor/example.com/fork/cart/cart.go": CART}
    assert found(texts, explicit={"example.com/shop": "vendor/example.com/fork"}) == "vendor/example.com/fork/cart/cart.go"


def test_a_module_of_the_project_is_meant_and_not_its_vendored_copy() -> None:
    texts = {
        "a/go.mod": b"module example.com/a\nreplace example.com/shop => ../shop\n",
        "a/vendor/example.com/shop/cart/cart.go": CART,
        "shop/go.mod": SHOP,
        "shop/cart/cart.go": CART,
    }
    assert found(texts, sources=("a",)) == "shop/cart/cart.go"
    assert found(texts, "/src/shop/cart/cart.go") == "shop/cart/cart.go"
    older = {**texts, "shop/cart/cart.go": CART.replace(b"> 1 {", b"> 1 {{")}
    assert found(older, sources=("a",)) == "a/vendor/example.com/shop/cart/cart.go", "that one was built"


def test_files_that_were_built_by_their_names_are_found_by_the_end_of_their_path() -> None:
    """`go build main.go` gives them no import path."""
    texts = {"cart.go": OTHER, "services/cart/cart.go": CART}
    assert found(texts, name="/src/services/cart/cart.go") == "services/cart/cart.go"
    assert found(texts, name="/work/services/cart/cart.go") == "services/cart/cart.go"
    assert found(texts, name="/src/basket.go") is None


def test_a_file_that_was_built_from_another_text_says_so() -> None:
    place = places({"go.mod": SHOP, "cart/cart.go": OTHER}).find("example.com/shop/cart/cart.go", [ADD])
    assert place == Found("cart/cart.go", digest_of(OTHER), "has 12 bytes in line 3, and a block at byte 21")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (CART, ""),
        (CART.replace(b"> 1", b"< 7"), ""),
        (CART.replace(b"\n", b"\r\n"), ""),
        (b"//line parser.y:1\n" + CART, ""),
        (CART[:58], "has 5 lines, and a block at line 6"),
        (CART.replace(b"\t\treturn n\n", b""), "has a block at 6.3, where no statement begins or ends"),
        (CART.replace(b"if n > 1 {", b"if n {"), "has 7 bytes in line 4, and a block at byte 11"),
        (CART.replace(b"n > 1", b"n>1  "), ""),
        (CART.replace(b"n int) int", b"n int8) int"), "has a block at 3.21, where no statement begins or ends"),
        (CART.replace(b"Add", b"Sub"), "does not declare Add with a body at 3.21"),
        (CART + b"func Sub() {}\n", "declares Sub with a body at 9.12, which was not built"),
        (CART + b"func _() {}\n", ""),
    ],
)
def test_a_text_is_told_from_another_by_its_blocks(text: bytes, why: str) -> None:
    assert misfit(text, [ADD]) == why


def test_blocks_without_functions_are_looked_at_one_by_one() -> None:
    """Those of a text profile."""
    blocks = [GoFunction("", ADD.file, True, ADD.blocks)]
    assert misfit(CART + b"func Sub() {}\n", blocks) == ""
    assert misfit(CART[:40], blocks)
