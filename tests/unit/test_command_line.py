"""The command line: help for everything, errors with hints on stderr, the agreed exit codes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from podcov.commands.hook import hook
from podcov.commands.main import COMMANDS, cli, run
from podcov.edges.store import Store


def podcov(*arguments, cwd=None, stdin=None):
    return subprocess.run(
        [sys.executable, "-c", "from podcov.commands.main import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        input=stdin,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    assert run([command, "--help"]) == 0
    assert "Usage: podcov " + command in capsys.readouterr().out


def test_every_command_but_go_and_new_takes_the_configuration_s_path():
    asked = [[command] for command in COMMANDS if command != "hook"] + [["hook", name] for name in hook.commands]
    without = [words for words in asked if "--config" not in CliRunner().invoke(cli, [*words, "--help"]).output]
    assert without == [["new"], ["go"]]


def test_help_loads_every_command_and_nothing_that_only_its_work_needs():
    heavy = {"aiohttp", "coverage", "jinja2", "kubernetes", "podcov.edges", "podcov.pipeline", "podcov.reports"}
    code = f"import sys; from podcov.commands.main import run; run(['--help']); print(sorted(sys.modules.keys() & {heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *said, loaded = done.stdout.splitlines()
    assert {line.split()[0] for line in said if line} >= {*COMMANDS}
    assert loaded == "[]"


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--nonsense"], ["report", "--run"]])
def test_a_wrong_command_line_is_exit_code_2(arguments, capsys):
    assert run(arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rum"], "Did you mean `run`?"),
        (["atach"], "Did you mean `attach`"),
        (["report", "--rum", "x"], "Did you mean '--run'?"),
        (["--json", "run"], "podcov run --json"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_was_meant(arguments, said, capsys):
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_word_near_to_no_command_gets_no_guess(capsys):
    assert run(["zzz"]) == 2
    said = capsys.readouterr().err
    assert "No such command 'zzz'." in said
    assert "mean" not in said


def test_below_a_project_the_error_names_its_configuration(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    below = tmp_path / "tests/integration"
    below.mkdir(parents=True)
    done = podcov("run", cwd=below)
    assert done.returncode == 2
    assert f"go to {tmp_path}, or name it with -c ../../podcov.yaml" in done.stderr


def test_no_configuration_says_what_to_do(tmp_path):
    done = podcov("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "podcov.yaml: there is no such file" in done.stderr
    assert "podcov init" in done.stderr
    assert done.stdout == ""


def test_errors_are_one_json_object_for_machines(tmp_path):
    done = podcov("run", "--json", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (error["slug"], error["exit_code"], done.returncode) == ("usage", 2, 2)
    assert error["hint"]


@pytest.mark.parametrize(
    ("arguments", "said", "asked"),
    [
        (["run", "--nonsense", "--json"], "'--nonsense'", "podcov run --help"),
        (["run", "--json", "--platform", "nonsense"], "'nonsense'", "podcov run --help"),
        (["report", "--json", "--run"], "'--run'", "podcov report --help"),
        (["report", "--json", "too", "many"], "(too many)", "podcov report --help"),
        (["rum", "--json"], "'rum'", "podcov --help"),
        (["--json", "run"], "podcov run --json", "podcov --help"),
    ],
)
def test_a_wrong_command_line_is_one_json_object_for_machines(arguments, said, asked, capsys):
    assert run(arguments) == 2
    printed = capsys.readouterr()
    error = json.loads(printed.out)["error"]
    assert (error["slug"], error["exit_code"]) == ("usage", 2)
    assert said in error["message"]
    assert asked in error["hint"]
    assert error["message"] in printed.err, "people read it there"


@pytest.mark.parametrize("arguments", [["inject", "--nonsense", "--json"], ["--json", "inject"]])
def test_a_wrong_command_line_of_inject_leaves_stdout_to_manifests(arguments, capsys):
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.err)["error"]["slug"] == "usage"
    assert printed.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--nonsense", "--", "--json"],
        ["hook", "tilt-coverage", "--json"],
        ["go", "--directory", "/nowhere/at/all", "make", "--json"],
    ],
)
def test_a_wrong_command_line_is_in_words_where_no_machine_reads(arguments, capsys):
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Usage: podcov ")


@pytest.mark.parametrize("given", ["kind: A\n---\nkind: [\n", "words\n"])
def test_an_error_of_inject_is_on_stderr_for_machines_too(given, tmp_path):
    done = podcov("inject", "--json", cwd=tmp_path, stdin=given)
    error = json.loads(done.stderr)["error"]
    assert (error["slug"], error["exit_code"], done.returncode) == ("manifest", 2, 2)
    assert error["message"].startswith("stdin:")
    assert done.stdout == "", "that is for manifests alone"


def test_what_inject_found_is_on_stderr_for_machines(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    given = "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n"
    done = podcov("inject", "--json", cwd=tmp_path, stdin=given)
    assert json.loads(done.stderr).keys() == {"findings"}
    assert (done.returncode, done.stdout) == (0, given)


def test_a_folder_that_the_machine_refuses_is_no_bug_of_podcov(tmp_path):
    (tmp_path / "podcov.yaml").write_text(f"{SERVICE}    source: [.]\n    local: {{command: [sleep, inf]}}\n")
    (tmp_path / ".podcov").touch()
    done = podcov("run", "--platform", "local", "--json", "--", "true", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (error["slug"], done.returncode) == ("files", 2)
    assert error["message"] == f"{tmp_path}/.podcov/runs: Not a directory"
    assert "Traceback" not in done.stderr


def test_an_option_of_the_tests_is_none_of_podcov(tmp_path):
    done = podcov("run", "--", "pytest", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_colours_are_for_terminals_only(tmp_path):
    assert "\x1b" not in podcov("run", cwd=tmp_path).stderr


SERVICE = "version: 1\nservices:\n  app:\n    workload: deployment/app\n"


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_one(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE + "    sourcce: [.]\n")
    done = podcov("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "podcov.yaml:5:" in done.stderr
    assert "sourcce" in done.stderr
    assert "source" in done.stderr.replace("sourcce", "")


@pytest.mark.parametrize(
    "text", ["version: 1\n\tservices: {}\n", "version: 1\nservices: *nobody\n", "tests: {command: a: b}\n", "\0"]
)
def test_what_is_no_yaml_is_answered_with_a_line_and_what_to_do(text, tmp_path):
    (tmp_path / "podcov.yaml").write_text(text)
    done = podcov("run", "--json", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (error["slug"], done.returncode) == ("config", 2)
    assert error["message"].startswith("podcov.yaml:")
    assert "quotes" in error["hint"]


def test_nothing_to_run_is_said(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    done = podcov("run", cwd=tmp_path)
    assert done.returncode == 2
    assert "tests.command" in done.stderr


def test_no_run_yet_is_exit_code_5(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    done = podcov("report", cwd=tmp_path)
    assert done.returncode == 5
    assert "podcov run" in done.stderr


def test_a_run_that_is_no_run_is_damaged_data(tmp_path):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    store = Store(tmp_path / ".podcov")
    from datetime import datetime

    store.set_latest(store.new_run(datetime.now))
    done = podcov("report", cwd=tmp_path)
    assert done.returncode == 3
    assert "run.json" in done.stderr


def test_no_kubeconfig_says_how_to_name_one(tmp_path, monkeypatch):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    done = podcov("run", "--", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "kubeconfig" in done.stderr.lower()


def test_the_steps_alone_need_services_that_outlive_them(tmp_path):
    (tmp_path / "podcov.yaml").write_text(
        SERVICE.replace("    workload: deployment/app\n", "    local: {command: [x]}\n") + "platform: local\n"
    )
    for step in ("mark", "dump", "pull", "collect"):
        done = podcov(step, cwd=tmp_path)
        assert done.returncode == 2
        assert "podcov run --platform local" in done.stderr


@pytest.mark.parametrize("name", ["skaffold_after_deploy", "tilt_coverage"])
def test_the_hooks_of_a_checkout_are_the_command_line_s(name, root, tmp_path):
    done = subprocess.run([sys.executable, root / "hooks" / f"{name}.py", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"hook {name.replace('_', '-')}" in done.stdout


def test_the_skaffold_hook_outside_of_skaffold_says_what_to_use(tmp_path, root):
    (tmp_path / "podcov.yaml").write_text(SERVICE)
    hook = [sys.executable, root / "hooks/skaffold_after_deploy.py"]
    done = subprocess.run(hook, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "podcov run" in done.stderr


@pytest.mark.parametrize(
    ("left_out", "said"),
    [
        (["catalogue"], "there is no service 'catalogue' to leave out"),
        (["catalog", "orders"], "no service is left to measure"),
    ],
)
def test_services_that_cannot_be_left_out_are_named(left_out, said, tmp_path, capsys):
    services = {name: {"local": {"command": ["true"]}} for name in ("catalog", "orders")}
    (tmp_path / "podcov.yaml").write_text(json.dumps({"version": 1, "services": services}))
    options = [word for name in left_out for word in ("--without", name)]
    assert run(["run", "--config", str(tmp_path / "podcov.yaml"), *options, "--", "true"]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "catalog, orders" in error
