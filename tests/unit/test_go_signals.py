"""Which signal has a program write its counters, read in its source as people write it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcov.formats import go_calls
from podcov.generate.languages.go_signals import Handler, Program

IMPORTS = 'import (\n\t"os"\n\t"os/signal"\n\t"runtime/coverage"\n\t"syscall"\n)\n'
WRITE = '\tgo func() {\n\t\tfor range c {\n\t\t\tcoverage.WriteCountersDir(os.Getenv("GOCOVERDIR"))\n\t\t}\n\t}()\n'
CHANNEL = "\tc := make(chan os.Signal, 1)\n"


def source(text: str, package: str = "main") -> str:
    return f"package {package}\n\n{IMPORTS}\n{text}"


def handler(parameters: str, *notified: str, name: str = "Handle", package: str = "main", before: str = "") -> str:
    """A file with a function that is notified of `notified` and writes."""
    return source(
        f"func {name}({parameters}) {{\n{CHANNEL}{before}\tsignal.Notify({', '.join(['c', *notified])})\n{WRITE}}}\n", package
    )


def calls(argument: str, name: str = "Handle", more: str = "") -> str:
    return source(f"{more}func main() {{\n\t{name}({argument})\n}}\n")


def asked_by(texts: Mapping[str, str], *mains: str, packages: Mapping[str, str] | None = None) -> str:
    found = Program(texts, packages or {"example.com/app": "", "example.com/app/cover": "cover"}, frozenset(mains)).handler()
    return found.signal if found else ""


@pytest.mark.parametrize(
    "text",
    [
        handler("", "syscall.SIGUSR1"),
        handler("", "syscall.SIGTERM", "syscall.SIGUSR1"),
        handler("", "sig", before="\tvar sig os.Signal = syscall.SIGUSR1\n"),
        handler("", "sig", before="\tone, sig := 1, syscall.SIGUSR1\n"),
        handler("", "signals...", before="\tsignals := []os.Signal{\n\t\tsyscall.SIGTERM,\n\t\tsyscall.SIGUSR1,\n\t}\n"),
        handler("", "os.Signal(syscall.SIGUSR1)"),
        handler("", "trigger") + "\nconst trigger = syscall.SIGUSR1\n",
        handler("", "trigger") + "\nvar (\n\ttrigger os.Signal = syscall.SIGUSR1\n)\n",
        # a reload at SIGHUP in the same file is another one's
        source("func reload() {\n\tsignal.Notify(make(chan os.Signal), syscall.SIGHUP)\n}\n")
        + handler("", "syscall.SIGUSR1").removeprefix(source("")),
        handler("", "unix.SIGUSR1").replace('"syscall"', '"golang.org/x/sys/unix"'),
        handler("", "sys.SIGUSR1").replace('"syscall"', 'sys "syscall"').replace("coverage.", "c2.").replace('"runt', 'c2 "runt'),
        handler("", "syscall.SIGUSR1 /* not , syscall.SIGHUP ) */"),
        # who is notified and who writes are two functions of one file
        source("func write() {\n\tcoverage.WriteCounters(file)\n}\nfunc Handle() {\n\tsignal.Notify(c, syscall.SIGUSR1)\n}\n"),
    ],
)
def test_a_signal_in_its_own_file(text: str) -> None:
    assert asked_by({"main.go": text}) == "USR1"


@pytest.mark.parametrize(
    ("given_to_it", "parameters", "notified"),
    [
        ("syscall.SIGUSR1", "sig os.Signal", "sig"),
        ("syscall.SIGUSR1", "sig syscall.Signal", "os.Signal(sig)"),
        ("ctx, 3, syscall.SIGUSR1", "ctx context.Context, n int, sig os.Signal", "sig"),
        ("1, syscall.SIGUSR1", "a, sig any", "sig"),
        ("1, syscall.SIGTERM, syscall.SIGUSR1", "n int, signals ...os.Signal", "signals..."),
        ("[]os.Signal{syscall.SIGUSR1}", "signals []os.Signal", "signals..."),
        ("os.Signal(syscall.SIGUSR1)", "\n\tsig os.Signal,\n", "sig"),
        ("func() os.Signal { return syscall.SIGUSR1 }()", "sig os.Signal", "sig"),
    ],
)
def test_a_signal_that_it_is_given(given_to_it: str, parameters: str, notified: str) -> None:
    assert asked_by({"coverage.go": handler(parameters, notified), "main.go": calls(given_to_it)}) == "USR1"


def test_a_signal_that_is_handed_on_and_on() -> None:
    middle = source("func Start(s os.Signal) {\n\tchosen := s\n\tHandle(chosen)\n}\n")
    texts = {
        "a.go": handler("sig os.Signal", "sig"),
        "b.go": middle,
        "main.go": calls("usual", "Start", "const usual = syscall.SIGUSR1\n"),
    }
    assert asked_by(texts) == "USR1"


@pytest.mark.parametrize(
    ("main", "cover"),
    [
        (calls("syscall.SIGUSR2", "cover.Handle"), handler("sig os.Signal", "sig", package="cover")),
        (
            calls("cover.Usual", "cover.Handle"),
            handler("sig os.Signal", "sig", package="cover") + "const Usual = syscall.SIGUSR2\n",
        ),
        (calls("syscall.SIGUSR2", "cover.New().Handle"), handler("sig os.Signal", "sig", package="cover", name="(h *H) Handle")),
        (source("var _ = cover.Handle(syscall.SIGUSR2)\n"), handler("sig os.Signal", "sig", package="cover")),
    ],
)
def test_a_signal_that_another_package_of_the_module_is_given(main: str, cover: str) -> None:
    texts = {"main.go": main.replace('"os"\n', '"os"\n\t"example.com/app/cover"\n'), "cover/cover.go": cover}
    assert asked_by(texts) == asked_by(texts, ".") == "USR2"


def test_another_program_s_signal_and_another_program_s_handler_are_none_of_its() -> None:
    importing = '"os"\n\t"example.com/app/cover"\n'
    texts = {
        "cmd/a/main.go": calls("syscall.SIGUSR1", "cover.Handle").replace('"os"\n', importing),
        "cmd/b/main.go": calls("syscall.SIGUSR2", "cover.Handle").replace('"os"\n', importing),
        "cmd/c/main.go": source("func main() {}\n"),
        "cover/cover.go": handler("sig os.Signal", "sig", package="cover"),
    }
    assert [asked_by(texts, f"cmd/{name}") for name in "abc"] == ["USR1", "USR2", ""]


@pytest.mark.parametrize(
    "text",
    [
        handler("", "syscall.SIGTERM"),
        handler("sig os.Signal", "sig"),  # nobody calls it
        handler("sig os.Signal", "sig") + calls("sig").partition(")\n")[2],  # it calls itself
        handler("", "config.Signal"),
        handler("", "syscall.SIGUSR1").replace('"runtime/coverage"', 'coverage "example.com/coverage"'),
        "package main\n\n// signal.Notify(c, syscall.SIGUSR1); coverage.WriteCountersDir(folder)\n",
        handler("", "syscall.SIGUSR1").replace("\tcoverage.", "\t// coverage."),
        # an HTTP endpoint writes; a signal reloads
        source(
            "func main() {\n\tsignal.Notify(c, syscall.SIGTERM)\n\tserve()\n}\n"
            "func serve() {\n\thttp.HandleFunc(path, func() {\n\t\tcoverage.WriteCountersDir(folder)\n\t})\n}\n"
        ),
    ],
)
def test_nobody_is_asked_by_a_signal_that_is_not_to_be_seen(text: str) -> None:
    assert asked_by({"main.go": text}) == ""


def test_the_file_that_writes_is_named() -> None:
    texts = {"main.go": calls("syscall.SIGUSR1"), "internal.go": handler("sig os.Signal", "sig")}
    assert Program(texts, {}, frozenset()).handler() == Handler("internal.go", "USR1")


def test_what_a_file_calls_and_with_what() -> None:
    file = go_calls.read(
        b'package shop // really\n\nimport "os"\nimport sig "os/signal"\nimport . "fmt"\nimport "example.com/cart/v2"\n\n'
        b"func (c *Cart[T]) add(n, m int, more ...string) error {\n"
        b"\tif n == 1 {\n\t\ttotal = c.sum(n, f(1, 2), func() { g(3) })\n\t}\n\treturn h[int](4)\n}\n"
        b"func generic[A, B any](a A) { cart.New().Put(a) }\n"
    )
    assert (file.package, file.imports["sig"], file.imports["cart"]) == ("shop", "os/signal", "example.com/cart/v2")
    add, generic = file.functions
    assert (add.name, add.parameters, add.variadic) == ("add", ("n", "m", "more"), True)
    assert [(".".join(call.name), ["".join(words) for words in call.arguments]) for call in add.calls] == [
        ("c.sum", ["n", "f(1,2)", "func(){g(3)}"]),
        ("f", ["1", "2"]),
        ("g", ["3"]),
    ]
    assert (generic.parameters, generic.calls[-1].name[-1]) == (("a",), "Put")
    assert [["".join(value.words) for value in values] for values in add.values.values()] == [["c.sum(n,f(1,2),func(){g(3)})"]]
    assert set(add.values) == {"total"}


def test_each_of_several_variables_has_its_own_value_where_the_text_has_one() -> None:
    (body,) = go_calls.read(b"package a\n\nfunc f() {\n\ta, b := one(1, 2), two\n\tc, d := both()\n\ta = 3\n}\n").functions
    said = {name: ["".join(value.words) for value in values] for name, values in body.values.items()}
    assert said == {"a": ["one(1,2)", "3"], "b": ["two"], "c": ["both()"], "d": [""]}


@pytest.mark.parametrize(("opening", "closing"), [("f(", ")"), ("x := func() {\n", "}\n")])
def test_what_is_read_grows_with_the_text_however_deep_it_is_nested(opening: str, closing: str) -> None:
    def kept(depth: int) -> int:
        source = f"package a\n\nfunc f() {{\n{opening * depth}{closing * depth}\n}}\n".encode()
        tracemalloc.start()
        try:
            go_calls.read(source)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert kept(1200) < 3 * kept(600)


@given(st.text(alphabet="func (){}[]\n\"'`/*;:=,.xsyscall SIGUSR1 import package main", max_size=80))
def test_no_text_is_too_odd(text: str) -> None:
    source = text.encode()
    assert go_calls.imports(source).items() <= go_calls.read(source).imports.items()
    Program({"main.go": f"{text} WriteCountersDir"}, {}, frozenset({"."})).handler()
