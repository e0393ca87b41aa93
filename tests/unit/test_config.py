"""`podcov.yaml`: what is read from it, and what people are told when it is wrong."""

from __future__ import annotations

import dataclasses
import io
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from podcov import config
from podcov.config import Config, Generate, HelmRelease, LocalService, PortForward, Service, parse, variable_prefix
from podcov.errors import ConfigError, Exit
from podcov.schemas import schema
from ruamel.yaml import YAML

DOCS = Path(__file__).parents[2] / "docs" / "podcov-yaml.md"

FULL = """\
version: 1
mode: branch
platform: local
context: kind-dev
namespace: shop
services:
  orders:
    language: python
    workload: deployment/orders
    container: app
    namespace: shop-orders
    selector: app=orders
    source: [services/orders]
    packages: [shop_common]
    paths: {/app: services/orders}
    interpreter: /venv/bin/python
    entry: environment
    command: gunicorn -b ":80" 'orders:app'
    sidecar: false
    mode: line
    ignore_processes: ['healthcheck\\.py$']
    coverage_config: services/orders/.coveragerc
    local:
      command: [python, -m, orders]
      directory: services/orders
      env: {PORT: "{port:orders}", DEBUG: true, LEVEL: 010}
      ready: http://127.0.0.1:{port:orders}/healthz
      replicas: 2
tests:
  command: pytest -k 'not slow'
  directory: tests
  env: {STRICT: no}
  timeout: 90.5
port_forwards:
  - resource: service/orders
    port: 80
    local_port: 8080
    name: orders-api
    namespace: shop-orders
reports: [html, coverage]
copies: {"cover/{service}.out": "go/{service}.out"}
generate:
  by: inject
  kustomize: k8s/base
  manifests: [deploy, jobs.yaml]
  helm:
    - release: shop
      chart: charts/shop
      values: [dev.yaml]
      namespace: shop
  replicas: 1
  overlay: k8s/coverage
  skaffold: skaffold.yaml
  tiltfile: Tiltfile
  profile: measure
"""


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(textwrap.dedent(text))
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint
    return caught.value.message


def test_every_key_arrives_where_it_belongs() -> None:
    assert parse(FULL) == Config(
        services=(
            Service(
                name="orders",
                language="python",
                workload="deployment/orders",
                container="app",
                namespace="shop-orders",
                selector="app=orders",
                source=("services/orders",),
                packages=("shop_common",),
                paths={"/app": "services/orders"},
                interpreter="/venv/bin/python",
                entry="environment",
                command=("gunicorn", "-b", ":80", "orders:app"),
                sidecar=False,
                mode="line",
                ignore_processes=(r"healthcheck\.py$",),
                coverage_config="services/orders/.coveragerc",
                local=LocalService(
                    command=("python", "-m", "orders"),
                    directory="services/orders",
                    env={"PORT": "{port:orders}", "DEBUG": "true", "LEVEL": "010"},
                    ready="http://127.0.0.1:{port:orders}/healthz",
                    replicas=2,
                ),
            ),
        ),
        mode="branch",
        platform="local",
        context="kind-dev",
        namespace="shop",
        tests=config.Tests(command=("pytest", "-k", "not slow"), directory="tests", env={"STRICT": "no"}, timeout=90.5),
        port_forwards=(PortForward("service/orders", 80, 8080, "orders-api", "shop-orders"),),
        reports=("html", "coverage"),
        copies={"cover/{service}.out": "go/{service}.out"},
        generate=Generate(
            by="inject",
            kustomize="k8s/base",
            manifests=("deploy", "jobs.yaml"),
            helm=(HelmRelease("shop", "charts/shop", ("dev.yaml",), "shop"),),
            replicas=1,
            overlay="k8s/coverage",
            skaffold="skaffold.yaml",
            tiltfile="Tiltfile",
            profile="measure",
        ),
    )


def test_what_is_left_out_has_the_defaults_of_the_dataclasses() -> None:
    found = parse("version: 1\nservices: {orders: {workload: deployment/orders}}\n")
    assert found == Config(services=(Service("orders", workload="deployment/orders"),))
    assert found.service("orders") is found.services[0]


def test_services_can_share_what_they_have_in_common_by_anchors() -> None:
    found = parse(
        textwrap.dedent("""\
            version: 1
            services:
              orders: &common
                workload: deployment/orders
                packages: [shop_common]
                sidecar: false
              stock:
                <<: *common
                workload: deployment/stock
                sidecar: true
            """)
    )
    stock = found.service("stock")
    assert (stock.workload, stock.packages, stock.sidecar) == ("deployment/stock", ("shop_common",), True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", "podcov.yaml:1: the file is empty", id="empty"),
        pytest.param("# nothing but a comment\n", "podcov.yaml:1: the file is empty", id="only a comment"),
        pytest.param("version: 1\nservices: [a: b\n", "podcov.yaml:3: this is no YAML: ", id="no YAML"),
        pytest.param("version: 1\n\tservices: 1\n", "podcov.yaml:2: this is no YAML: ", id="tabs"),
        pytest.param("version: 1\n---\nversion: 1\n", "podcov.yaml:2: this is no YAML: ", id="two documents"),
        pytest.param("version: \x00", "podcov.yaml:1: this is no YAML: ", id="binary"),
        pytest.param("- version: 1\n", "podcov.yaml:1: must be a mapping, and is a list", id="a list"),
        pytest.param("version: 2\nservices: {a: {workload: pod/a}}", "podcov.yaml:1: version: must be 1, and is 2", id="newer"),
        pytest.param(
            "version: 1\n", "podcov.yaml:1: the key `services` is missing; write for example `services: ", id="no services"
        ),
        pytest.param("version: 1\nservices: {}\n", "podcov.yaml:2: services: must not be empty", id="no service"),
        pytest.param("version: 1\nversion: 1\n", "podcov.yaml:2: version: this key stands here already, in line 1", id="twice"),
        pytest.param("version: &a [*a]\n", "podcov.yaml:1: version[0]: an alias may not contain itself", id="recursive"),
        pytest.param("&a\n<<: *a\n", "podcov.yaml:1: an alias may not contain itself", id="merges itself"),
        pytest.param("version: 1\n<<: 5\n", "podcov.yaml:2: `<<` takes a mapping, or a list of mappings", id="merges a number"),
        pytest.param("version: !!python/name:os.system\n", "podcov.yaml:1: version: the tag python/name:os.system ", id="tag"),
        pytest.param("version: 1\n{a: b}: c\n", "podcov.yaml:2: a key must be a text", id="mapping as key"),
    ],
)
def test_a_file_that_is_no_podcov_yaml_is_refused_by_line(text: str, expected: str) -> None:
    assert complaint(text).splitlines()[0].startswith(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("sorce: [a]", "services.orders.sorce: there is no such key; did you mean `source`?", id="near"),
        pytest.param("zzz: 1", "services.orders.zzz: there is no such key; there are: language, workload, ", id="far"),
        pytest.param("mode: brnch", 'mode: must be one of line, branch, and is "brnch"; did you mean `branch`?', id="choice"),
        pytest.param("sidecar: 'yes'", 'sidecar: must be true or false, and is "yes"', id="text for a boolean"),
        pytest.param("sidecar:", "sidecar: must be true or false, and is empty", id="nothing after the colon"),
        pytest.param(
            "source: src", 'source: must be a list, and is "src"; write for example `["services/orders"]`', id="no list"
        ),
        pytest.param("source: [3]", "source[0]: must be a text, and is 3", id="number in a list"),
        pytest.param("source: [/srv]", 'source[0]: "/srv" does not fit here; write for example `services/orders`', id="absolute"),
        pytest.param("container: My_App", 'container: "My_App" does not fit here; write for example `app`', id="container name"),
        pytest.param("packages: [a, a]", "packages: says the same thing twice", id="double"),
        pytest.param("paths: {app: src}", 'paths.app: "app" does not fit here; write for example `/app`', id="relative path"),
        pytest.param("ignore_processes: ['(']", "ignore_processes[0]: this is no regular expression: ", id="pattern"),
        pytest.param('command: "a \'b"', "command: cannot be split into words: no closing quotation", id="quotes"),
        pytest.param("command: ' '", "command: must not be empty", id="blank command"),
        pytest.param("local: {}", "local: the key `command` is missing; write for example `command: [", id="missing key"),
        pytest.param("local: {command: a, replicas: 0}", "local.replicas: must be at least 1, and is 0", id="too few"),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_what_to_write(line: str, expected: str) -> None:
    message = complaint(f"version: 1\nservices:\n  orders:\n    workload: deployment/orders\n    {line}\n")
    assert message.startswith("podcov.yaml:5: services.orders.")
    assert expected in message


def test_all_problems_are_reported_at_once_in_the_order_of_their_lines() -> None:
    message = complaint("""\
        version: 1
        services:
          orders: {workload: orders}
        tests: {timeout: 0}
        reports: [pdf]
        """)
    assert [line.split(" ")[0] for line in message.splitlines()] == ["podcov.yaml:3:", "podcov.yaml:4:", "podcov.yaml:5:"]


def test_the_same_container_under_two_names_is_refused() -> None:
    message = complaint("""\
        version: 1
        services:
          a: {workload: deployment/a, container: app}
          b: {workload: deployment/a, container: other}
          c: {workload: deployment/a, container: app}
        """)
    assert message == "podcov.yaml:5: services.c: services.a is the same container as well (deployment/a app)"


def test_a_service_that_nothing_can_find_is_refused() -> None:
    assert "podcov.yaml:2: services.a: cannot be found" in complaint("version: 1\nservices: {a: {source: [a]}}")
    assert "services.a: `platform: local` needs `local: {command: ...}`" in complaint(
        "version: 1\nplatform: local\nservices: {a: {workload: pod/a}}"
    )


def test_port_forwards_may_not_take_each_others_names_or_ports() -> None:
    message = complaint("""\
        version: 1
        services: {a: {workload: deployment/a}}
        port_forwards:
          - {resource: service/orders-api, port: 80, local_port: 8080}
          - {resource: pod/x, port: 80, name: Orders_API}
          - {resource: pod/y, port: 80, local_port: 8080}
        """)
    first, second = message.splitlines()
    assert first.startswith("podcov.yaml:5: port_forwards[1]: port_forwards[0] would set the variables ORDERS_API_HOST, ")
    assert second.startswith(
        "podcov.yaml:6: port_forwards[2].local_port: port_forwards[0].local_port takes local port 8080 as well"
    )
    assert variable_prefix("orders-api.v2") == "ORDERS_API_V2"


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ("{inside: pod/x, job: {image: y}, command: z}", "tests.job: the tests are executed `inside` a pod, or they are a `job`"),
        ("{job: {image: y}, directory: z}", "tests.directory: is a folder of this machine"),
        ("{inside: pod/x}", "tests.inside: needs a `command` to execute there"),
        ("{command: z, container: c}", "tests.container: says where in a pod"),
        ("{command: z, namespace: n}", "tests.namespace: is for tests that run in the cluster"),
    ],
)
def test_tests_run_in_one_place(tests: str, expected: str) -> None:
    message = complaint(f"version: 1\nservices: {{x: {{workload: pod/x}}}}\ntests: {tests}\n")
    assert message.startswith(f"podcov.yaml:3: {expected}")


def _with_signal(signal: str) -> str:
    return f"version: 1\nservices:\n  x:\n    workload: pod/x\n    dump:\n      by: signal\n      signal: {signal}\n"


@pytest.mark.parametrize(
    ("written", "meant"),
    [("HUP", "HUP"), ("SIGUSR2", "USR2"), ("10", "USR1"), ("'12'", "USR2"), ("1.0", "HUP"), ("64", "64"), ("'40'", "40")],
)
def test_a_signal_may_be_written_in_any_way_that_kill_takes(written: str, meant: str) -> None:
    dump = parse(_with_signal(written)).service("x").dump
    assert dump is not None
    assert dump.signal == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("FOO", '"FOO" does not fit here; write for example `USR1`'),
        ("usr1", '"usr1" does not fit here; write for example `USR1`'),
        ("0", "must be at least 1, and is 0; write for example `USR1`"),
        ("99", "must be at most 64, and is 99; write for example `USR1`"),
        ("'99'", '"99" does not fit here; write for example `USR1`'),
        ("KILL", "no Go program can wait for SIGKILL; write the signal that its handler waits for, such as `USR1`"),
        ("19", "no Go program can wait for SIGSTOP; write the signal that its handler waits for, such as `USR1`"),
        ("33", "no Go program can wait for signal 33; write the signal that its handler waits for, such as `USR1`"),
    ],
)
def test_what_is_no_signal_or_none_for_a_handler_is_refused(written: str, said: str) -> None:
    assert complaint(_with_signal(written)) == f"podcov.yaml:7: services.x.dump.signal: {said}"


def test_errors_call_the_file_what_the_caller_calls_it() -> None:
    with pytest.raises(ConfigError, match=r"^shop/podcov\.yaml:1: "):
        parse("", name="shop/podcov.yaml")


@pytest.mark.parametrize(
    ("dataclass", "place"),
    [
        (Config, []),
        (Service, ["$defs", "service"]),
        (LocalService, ["$defs", "service", "properties", "local"]),
        (config.Dump, ["$defs", "service", "properties", "dump"]),
        (config.Tests, ["$defs", "tests"]),
        (config.SuiteJob, ["$defs", "tests", "properties", "job"]),
        (PortForward, ["$defs", "port_forward"]),
        (Generate, ["$defs", "generate"]),
        (HelmRelease, ["$defs", "helm_release"]),
    ],
)
def test_schema_documentation_and_dataclasses_know_the_same_keys_and_defaults(dataclass: Any, place: list[str]) -> None:
    described: Any = schema("podcov-yaml-1")
    for part in place:
        described = described[part]
    properties = described["properties"]
    fields = {f.name: f for f in dataclasses.fields(dataclass) if f.compare}  # the others say where it was read
    assert set(properties) - {"version"} == set(fields) - {"name" if dataclass is Service else ""}
    assert described["additionalProperties"] is False
    for key, value in properties.items():
        assert f"`{key}`" in DOCS.read_text(encoding="utf-8"), key
        if "default" in value:
            default = value["default"]
            assert fields[key].default == (tuple(default) if isinstance(default, list) else default), key


def test_the_schema_is_a_schema_and_its_examples_fulfil_it() -> None:
    whole = schema("podcov-yaml-1")
    Draft202012Validator.check_schema(whole)

    def walk(part: Any) -> None:
        if isinstance(part, dict):
            for example in part.get("examples", ()):
                Draft202012Validator({**part, "$defs": whole["$defs"]}).validate(example)
            for value in part.values():
                walk(value)

    walk(whole)


def test_the_documentation_shows_a_file_that_is_read() -> None:
    block = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    assert parse(block).services


@given(st.text(max_size=200))
def test_any_text_gives_a_config_or_an_error_that_begins_with_file_and_line(text: str) -> None:
    try:
        parse(text)
    except ConfigError as error:
        for line in error.message.splitlines()[:1]:
            name, number, _ = line.split(":", 2)
            assert (name, number.isdecimal()) == ("podcov.yaml", True)


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4))
def test_lists_of_words_survive_the_way_through_yaml(commands: dict[str, list[str]]) -> None:
    services = {name: {"local": {"command": command}} for name, command in commands.items()}
    out = io.StringIO()
    YAML().dump({"version": 1, "services": services}, out)
    assert {s.name: s.local.command for s in parse(out.getvalue()).services if s.local} == {
        name: tuple(command) for name, command in commands.items()
    }
