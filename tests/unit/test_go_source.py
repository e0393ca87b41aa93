"""The functions of a Go source, found without a Go toolchain. tests/local compares whole files with `go tool cover -func`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.formats.go_source import Declaration, declarations


def names(source: str) -> list[str]:
    return [declaration.name for declaration in declarations(b"package p\n\n" + source.encode())]


@pytest.mark.parametrize(
    "source",
    [
        "func f() {}",
        "func f[T any, U interface{ ~int | ~string }](x T) (U, error) { return }",
        "func (r *R[T]) f() {}",
        "func (R) f() struct{ a int } { return }",
        "func f() interface {\n\tM()\n} {\n\treturn nil\n}",
        "func f() map[string]struct{} {\n}",
        "func f() func() struct{} {\n}",
        "func f(\n\ta int,\n\tb func(),\n) (\n\tc int,\n) {\n}",
        "var x = func() {}\nfunc f() {}",
        "var x =\n\tfunc() {}\nfunc f() {}",
        'var x = map[string]func(){\n"a": func() {},\n}\n\nfunc f() {}',
        "type T func()\nfunc f() {}",
        "type T struct {\n\tfunc_ func()\n}\nfunc f() {}",
        "func assembly(x int) int\nfunc f() {}",
        "func assembly(x int) (\n\tint,\n)\n\nfunc f() {}",
        "func f() {}; const s = `\nfunc g() {`",
        'const s = "\\"func g() {"\nfunc f() {}',
        "const r = '{'\nconst q = '\\''\nfunc f() {}",
        "// func g() {\nfunc f() {}",
        "/* func g() {\n*/ func f() {}",
        "func /* a { */ f /* b */ () /* { */ { /* } */ }",
        "var x = 1 /* ends\nhere */ func f() {}",
        "var i = 1; func f() { i++ }",
        "func f() {\n\tx := struct{ g func() }{func() {}}\n\tfunc() {}()\n}",
    ],
)
def test_only_declarations_with_a_body_are_found(source: str) -> None:
    assert names(source) == ["f"]


def test_places_are_gos() -> None:
    """Columns count bytes; the end is behind the closing brace."""
    source = "package p\n\nvar ü = 1; func f() {\n\tü++\n}\n\nfunc (t T) größe() {}\n".encode()
    assert declarations(source) == (
        Declaration("f", (3, 13), (3, 22), (5, 2)),
        Declaration("größe", (7, 1), (7, 22), (7, 24)),
    )


def test_what_does_not_compile_gives_fewer_functions() -> None:
    assert names("func a() {}\nfunc b() {\nfunc c() {}") == ["a"]
    assert names("func") == []
    assert names("func (") == []
    assert names("func f(") == []


@given(st.text(alphabet="func (){}[]\n\"'`/*;,x.structinterface\\ü", max_size=60))
def test_no_text_is_too_odd(source: str) -> None:
    for declaration in declarations(source.encode()):
        assert declaration.start < declaration.end
