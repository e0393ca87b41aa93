"""Edits in place: what a coverage tool's words, lines and entries are, and that nothing else is touched."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_project import MemoryProject
from podcov.generate import adoption, blocks, walk
from podcov.generate.adoption import Adoption, dockerfiles, words, yamls
from podcov.generate.adoption.workspace import Cut, Draft, Rule


def recognise(files: Mapping[str, str | bytes]) -> tuple[Adoption, ...]:
    return adoption.recognise(MemoryProject(files))


def adopted(files: Mapping[str, str]) -> dict[str, str]:
    """The files once every replacement is written."""
    left: dict[str, str] = dict(files)
    for replacement in (r for found in recognise(files) for r in found.replaces):
        if replacement.content is None:
            del left[replacement.path]
        else:
            left[replacement.path] = replacement.content.decode()
    return left


def cut(text: str, rule: Rule) -> str:
    draft = Draft.of(text)
    while found := next(rule(draft.text), None):
        draft.apply(found)
    return draft.text


def warnings(files: Mapping[str, str]) -> list[str]:
    return [f"{f.subject}: {f.found}" for found in recognise(files) for f in found.findings if f.level == "warning"]


# -- commands


@pytest.mark.parametrize(
    ("command", "left"),
    [
        ("coverage run app.py", "python app.py"),
        ("coverage run -p -m gunicorn app:app", "python -m gunicorn app:app"),
        ("/venv/bin/coverage run --rcfile /c --source=a,b --branch app.py -p", "python app.py -p"),
        ("python -m coverage run app.py", "python app.py"),
        ("python3.12 -u app.py", "python3.12 -u app.py"),
        ("tini -- coverage run --parallel-mode -m app", "tini -- python -m app"),
        ("tini -- python3 -m coverage run --data-file /d app.py", "tini -- python3 app.py"),
        ("coverage run -m pytest tests", "coverage run -m pytest tests"),
        ("coverage run manage.py test", "coverage run manage.py test"),
        ("coverage run manage.py runserver", "python manage.py runserver"),
        ("coverage run run_tests.py", "coverage run run_tests.py"),
        ("coverage run", "coverage run"),
        ("coverage report", "coverage report"),
        ("run coverage", "run coverage"),
    ],
)
def test_coverage_run(command: str, left: str) -> None:
    listed = command.split()
    part = words.without_coverage_run("python")(listed, [])
    got = listed if part is None else [*listed[: part.first], *part.new, *listed[part.last :]]
    assert " ".join(got) == left
    shell = partial(lambda text: (found for found, _ in words.shell_run(text, "python")))
    assert cut(f"exec {command}\n", shell) == f"exec {left}\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('CMD ["coverage", "run", "-p", "app.py"]', 'CMD ["python", "app.py"]'),
        ('CMD ["python","-m","coverage","run","app.py"]', 'CMD ["python","app.py"]'),
        ('CMD [ "coverage", \\\n  "run", \\\n  "app.py" ]\nUSER 1', 'CMD [ "python", \\\n  "app.py" ]\nUSER 1'),
        ("ENTRYPOINT coverage run -p app.py --port 80", "ENTRYPOINT python app.py --port 80"),
        ('ENTRYPOINT ["coverage", "run", "-p"]\nCMD ["app.py"]', 'ENTRYPOINT ["python"]\nCMD ["app.py"]'),
        ('ENTRYPOINT ["python", "/opt/coverage_server.py"]\nCMD ["app.py"]', 'ENTRYPOINT ["python"]\nCMD ["app.py"]'),
        ('ENTRYPOINT ["coverage", "run"]', 'ENTRYPOINT ["coverage", "run"]'),
        ("CMD python /opt/coverage_server.py app.py", "CMD python app.py"),
        ("EXPOSE 80 9095/tcp 81", "EXPOSE 80 9095/tcp 81"),
        ('CMD ["sh", "-c", "migrate && coverage run -m app"]', 'CMD ["sh", "-c", "migrate && python -m app"]'),
        ("ENV A=1 COVERAGE_FILE=/c/.coverage \\\n    B='x y'", "ENV A=1 B='x y'"),
        ("ENV A=1 \\\n    COVERAGE_FILE=/c/.coverage \\\n    B=2", "ENV A=1 \\\n    B=2"),
        ("ENV A=1 \\\n    COVERAGE_FILE=/c/.coverage", "ENV A=1"),
        ("ENV COVERAGE_FILE /c/.coverage\nUSER 1", "USER 1"),
        ("RUN pip install coverage", ""),
        ("RUN pip install -q gunicorn coverage==7.6 flask", "RUN pip install -q gunicorn flask"),
        ("RUN pip install 'coverage[toml]>=7' gunicorn", "RUN pip install gunicorn"),
        ("RUN pip install coverage && \\\n    pip install gunicorn", "RUN pip install gunicorn"),
        ("RUN pip install gunicorn && \\\n    pip install coverage\nUSER 1", "RUN pip install gunicorn\nUSER 1"),
        ("RUN --mount=type=cache,target=/c pip install coverage && ls", "RUN --mount=type=cache,target=/c ls"),
        ("RUN pip install coveralls", "RUN pip install coveralls"),
        ("RUN /bin/uv pip install --system 'coverage[toml]'", ""),
        ("RUN pip install -i https://index.example/ coverage", ""),
        ("RUN pip install -r r.txt coverage", "RUN pip install -r r.txt"),
        ("RUN <<EOF\npip install coverage\nEOF", "RUN <<EOF\npip install coverage\nEOF"),
        ("RUN if [ $DEV ]; then pip install coverage; fi", "RUN if [ $DEV ]; then pip install coverage; fi"),
        ("COPY a.py sitecustomize.py b.py /app/", "COPY a.py sitecustomize.py b.py /app/"),
    ],
)
def test_dockerfiles(text: str, left: str) -> None:
    start = "FROM python:3.13\nENV COVERAGE_PROCESS_START=/app/.coveragerc\n"
    end = "" if text.startswith(("CMD", "ENTRYPOINT")) else '\nCMD ["app"]\n'
    got = adopted({"Dockerfile": f"{start}{text}{end}"})["Dockerfile"]
    assert (
        got.removeprefix("FROM python:3.13\n").removesuffix(end).strip("\n") == left
        or got == f"FROM python:3.13\n{left}{end[1:]}"
    )


@pytest.mark.parametrize(
    "text",
    [
        "RUN wget -q https://files.example/coverage_server.py -O /opt/coverage_server.py && chmod +x /opt/coverage_server.py",
        "ADD https://files.example/coverage_server.py /opt/",
        "COPY server/coverage_server.py /opt/",
    ],
)
def test_what_brings_the_server_goes_where_a_command_starts_it(text: str) -> None:
    served = f'FROM python:3.13\n{text}\nCMD ["python", "/opt/coverage_server.py", "-m", "app"]\n'
    assert adopted({"Dockerfile": served}) == {"Dockerfile": 'FROM python:3.13\nCMD ["python", "-m", "app"]\n'}
    unknown = served.replace('"/opt/coverage_server.py", ', "")
    assert adopted({"Dockerfile": unknown}) == {"Dockerfile": unknown}
    assert recognise({"Dockerfile": unknown}) == ()


SERVER = """\
import runpy
from http.server import HTTPServer

import coverage

runpy.run_path("app.py")
"""


@pytest.mark.parametrize(
    "files",
    [
        {
            "Dockerfile": 'FROM python:3\nCOPY coverage_server.py app.py /app/\nEXPOSE 9095\nCMD ["python", "/app/app.py"]\n',
            "app.py": "import coverage_server\n",
            "coverage_server.py": "def insurance():\n    return 'covered'\n",
        },
        {"Dockerfile": 'FROM python:3\nCOPY coverage_server.py /\nCMD ["python", "/coverage_server.py"]\n'},
        {"Dockerfile": 'FROM python:3\nCMD ["python", "coverage_server.py", "--port", "9095"]\n'},
        {"Dockerfile": 'FROM python:3\nCMD ["python", "coverage_server.py", "serve"]\n'},
        {"Dockerfile": "FROM python:3\nCMD cp /opt/coverage_server.py /srv/a.py && python app.py\n"},
        {"start.sh": "# python coverage_server.py app.py\npython app.py\n"},
        {"k8s/map.yaml": "kind: ConfigMap\nmetadata: {name: x}\ndata: {command: coverage_server.py app.py}\n"},
    ],
)
def test_a_namesake_of_the_server_is_no_such_tool(files: Mapping[str, str]) -> None:
    assert recognise(files) == ()


def test_the_server_that_the_app_imports_stays() -> None:
    files = {
        "Dockerfile": 'FROM python:3\nCOPY coverage_server.py app.py /app/\nEXPOSE 9095\nCMD ["python", "/app/app.py"]\n',
        "app.py": "import coverage_server\n",
        "coverage_server.py": SERVER,
    }
    assert adopted(files) == files
    named = "starts or imports coverage_server.py, in a way that only a person can take out"
    assert warnings(files) == [f"app.py:1: {named}"]


def test_the_server_that_nothing_starts_goes() -> None:
    files = {"app.py": "print()\n", "tools/coverage_server.py": SERVER}
    assert adopted(files) == {"app.py": "print()\n"}
    assert warnings(files) == ["tools/coverage_server.py: there is coverage_server.py, which answers on port 9095"]


@pytest.mark.parametrize(
    ("command", "others"),
    [
        ('ENTRYPOINT ["python", "/opt/coverage_server.py"]', {}),
        ('CMD ["/start.sh"]', {"start.sh": "#!/bin/sh\nexec python /opt/coverage_server.py app.py\n"}),
        ('CMD ["python", "-m", "coverage_server", "app.py"]', {}),
        (
            'CMD ["python", "app.py"]',
            {"chart/templates/x.yaml": "{{ if .x }}\ncommand: [python, /opt/coverage_server.py, app.py]\n{{ end }}\n"},
        ),
    ],
)
def test_what_the_server_needs_stays_while_something_starts_it(command: str, others: Mapping[str, str]) -> None:
    image = "FROM python:3\nRUN pip install coverage\nCOPY coverage_server.py /opt/\nENV COVERAGE_PORT=9095\nEXPOSE 80 9095\n"
    files = {"Dockerfile": f"{image}{command}\n", "coverage_server.py": SERVER, **others}
    assert adopted(files) == files
    assert len(warnings(files)) == 1


def test_without_a_python_image_the_interpreter_is_python3() -> None:
    files = {"Dockerfile": 'FROM debian\nRUN apt-get install python3-coverage\nCMD ["coverage", "run", "app.py"]\n'}
    assert adopted(files)["Dockerfile"].endswith('CMD ["python3", "app.py"]\n')


def test_settings_of_the_command_line_are_named() -> None:
    files = {"Dockerfile": 'FROM python:3\nCMD ["coverage", "run", "--branch", "--omit", "*/x/*", "app.py"]\n'}
    assert [w for w in warnings(files) if "command line" in w] == [
        "Dockerfile:2: `--branch` stands on the command line",
        "Dockerfile:2: `--omit=*/x/*` stands on the command line",
    ]


def test_comments_stay_unless_they_are_about_what_goes() -> None:
    text = (
        "FROM python:3.13\n# Who builds this.\n\n# Coverage everywhere.\nENV COVERAGE_PROCESS_START=/x\n"
        "# The coverage team likes this.\n\n# Speed.\nENV COVERAGE_FILE=/x\nUSER 1\n\n# For the tests.\nENV COVERAGE_RCFILE=/x\n"
    )
    left = "FROM python:3.13\n# Who builds this.\n\n# The coverage team likes this.\n\n# Speed.\nUSER 1\n"
    assert adopted({"Dockerfile": text})["Dockerfile"] == left


def test_windows_line_ends_stay() -> None:
    text = 'FROM python:3.13\r\nENV COVERAGE_FILE=/x\r\nCMD ["coverage", "run", "app.py"]\r\n'
    assert adopted({"Dockerfile": text})["Dockerfile"] == 'FROM python:3.13\r\nCMD ["python", "app.py"]\r\n'


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"Dockerfile": 'FROM python\nRUN pip install coverage\nCMD ["coverage", "run", "-m", "pytest"]\n'},
        {"Dockerfile": "FROM python\nENV COVERAGE_PROCESS_START=/x\nENTRYPOINT pytest tests\n"},
        {".github/workflows/test.yaml": "env:\n  COVERAGE_PROCESS_START: .coveragerc\n"},
        {".gitlab-ci.yml": "test:\n  variables: {COVERAGE_PROCESS_START: .coveragerc}\n"},
        {"Makefile": "test:\n\tcoverage run -m pytest\n\tcoverage report --fail-under=80\n"},
        {"tests/test_app.py": "import coverage\ncoverage.process_startup()\n"},
        {"Dockerfile": "FROM python\n# not with COVERAGE_PROCESS_START, nor coverage_server.py\n"},
        {".coveragerc": "[run]\nparallel = true\n", "app.py": "print('COVERAGE_PROCESS_START')\n"},
        {"Dockerfile": b"FROM python\nENV COVERAGE_PROCESS_START=\xff\n"},
        {"node_modules/x/Dockerfile": "FROM python\nENV COVERAGE_PROCESS_START=/x\n"},
        {"k8s/port.yaml": "kind: Service\nmetadata: {name: x}\nspec: {ports: [{port: 9095}]}\n"},
        {"main.go": 'package main\n\nimport "os"\n\nvar coverage = os.Getenv("COVERAGE")\n'},
        {"skaffold.yaml": "apiVersion: skaffold/v4beta11\nprofiles:\n- name: coverage\n"},
    ],
)
def test_what_is_no_such_set_up(files: Mapping[str, str | bytes]) -> None:
    assert recognise(files) == ()


def test_what_only_a_person_can_take_out_is_said() -> None:
    files = {
        "chart/templates/deployment.yaml": "env:\n{{- if .Values.coverage }}\n- name: COVERAGE_PROCESS_START\n{{- end }}\n",
        "Dockerfile": 'FROM python\nRUN <<EOF\necho "import coverage; coverage.process_startup()" > x.pth\nEOF\n',
    }
    assert adopted(files) == files
    assert warnings(files) == [
        "Dockerfile:3: starts coverage.py, in a way that only a person can take out",
        "chart/templates/deployment.yaml:3: starts coverage.py, in a way that only a person can take out",
    ]


def test_settings_in_a_config_map_are_named() -> None:
    files = {
        "Dockerfile": "FROM python\nENV COVERAGE_PROCESS_START=/x\n",
        "rc.yaml": "kind: ConfigMap\nmetadata: {name: rc}\ndata:\n  .coveragerc: |\n    [run]\n    omit = x\n",
    }
    assert "rc.yaml:4: .coveragerc in a ConfigMap" in warnings(files)


def test_a_script_with_two_ways_to_start_is_left_alone() -> None:
    script = '#!/bin/sh\nif [ -n "$COVERAGE" ]; then\n  exec coverage run app.py\nfi\nexec python app.py\n'
    files = {"Dockerfile": 'FROM python\nRUN pip install coverage\nCOPY start.sh /\nCMD ["/start.sh"]\n', "start.sh": script}
    assert adopted(files) == files
    assert warnings(files) == ["start.sh:3: starts coverage.py, in a way that only a person can take out"]


def test_a_script_that_always_starts_the_app_is_edited() -> None:
    dockerfile = 'FROM python\nCOPY start.sh /\nCMD ["/start.sh"]\n'
    script = "#!/bin/sh\nif [ $WAIT ]; then\n  sleep 1\nfi\nexec coverage run --save-signal=USR1 -m app\n"
    left = script.replace("coverage run --save-signal=USR1", "python3")
    assert adopted({"Dockerfile": dockerfile, "start.sh": script}) == {"Dockerfile": dockerfile, "start.sh": left}


@pytest.mark.parametrize(
    "command",
    [
        'CMD ["sh", "-c", "coverage run -p app.py && coverage report"]',
        "CMD coverage run app.py; coverage combine && coverage xml",
        "ENTRYPOINT coverage run app.py && python -m coverage html",
    ],
)
def test_a_command_that_reads_what_the_app_left_is_kept_and_named(command: str) -> None:
    files = {"Dockerfile": f"FROM python:3\nRUN pip install coverage\nENV COVERAGE_FILE=/cov/x\n{command}\n"}
    assert adopted(files) == files
    assert warnings(files) == ["Dockerfile:4: starts coverage.py, in a way that only a person can take out"]


def test_a_container_that_reads_what_the_app_left_is_kept_and_named() -> None:
    args = '[sh, -c, "coverage run -p app.py && coverage report"]'
    files = {"x.yaml": POD % f"  - name: a\n    args: {args}\n    volumeMounts: [{{name: c, mountPath: /coverage}}]"}
    assert adopted(files) == files
    assert warnings(files) == ["x.yaml:5: starts coverage.py, in a way that only a person can take out"]


def test_a_script_that_reads_what_the_app_left_is_kept_and_named() -> None:
    script = "#!/bin/sh\ncoverage run -p app.py\ncoverage report\n"
    files = {"Dockerfile": 'FROM python:3\nRUN pip install coverage\nCMD ["/start.sh"]\n', "start.sh": script}
    assert adopted(files) == files
    assert warnings(files) == ["start.sh:2: starts coverage.py, in a way that only a person can take out"]


def test_the_port_is_what_the_server_says() -> None:
    files = {
        "Dockerfile": 'FROM python:3\nEXPOSE 80 53700\nCMD ["python", "coverage_server.py", "app.py"]\n',
        "coverage_server.py": 'PORT = int(os.getenv("COVERAGE_PORT", "53700"))\n',
    }
    assert adopted(files) == {"Dockerfile": 'FROM python:3\nEXPOSE 80\nCMD ["python", "app.py"]\n'}


def test_of_several_stages_the_last_says_whether_tests_are_run() -> None:
    tests = 'FROM python:3 AS tests\nCMD ["coverage", "run", "-m", "pytest"]\n\n'
    files = {"Dockerfile": tests + 'FROM python:3\nCMD ["coverage", "run", "app.py"]\n'}
    assert adopted(files)["Dockerfile"] == tests + 'FROM python:3\nCMD ["python", "app.py"]\n'


def test_the_package_stays_where_the_app_imports_it() -> None:
    files = {
        "Dockerfile": 'FROM python:3\nRUN pip install coverage\nCMD ["coverage", "run", "app.py"]\n',
        "app.py": "import coverage\n\ncoverage.process_startup()\n",
    }
    assert adopted(files)["Dockerfile"] == 'FROM python:3\nRUN pip install coverage\nCMD ["python", "app.py"]\n'


def test_a_sitecustomize_that_does_more_stays() -> None:
    files = {
        "Dockerfile": "FROM python:3\nENV COVERAGE_PROCESS_START=/x\nCOPY sitecustomize.py /app/\n",
        "sitecustomize.py": "import coverage\nimport tracing\n\ncoverage.process_startup()\ntracing.start()\n",
    }
    assert adopted(files) == {**files, "Dockerfile": "FROM python:3\nCOPY sitecustomize.py /app/\n"}


def test_another_program_may_use_the_number_of_the_port() -> None:
    files = {
        "Dockerfile": 'FROM python:3\nCMD ["python", "coverage_server.py", "app.py"]\n',
        "other/Dockerfile": "FROM golang\nEXPOSE 9095\n",
        "other.yaml": POD % "  - ports: [{name: metrics, containerPort: 9095}]\n    livenessProbe: {tcpSocket: {port: 9095}}",
        "service.yaml": "kind: Service\nspec: {ports: [{name: metrics, port: 9095}, {name: http, port: 80}]}\n",
    }
    assert adopted(files) == {**files, "Dockerfile": 'FROM python:3\nCMD ["python", "app.py"]\n'}


def test_a_namesake_that_does_something_else_stays() -> None:
    files = {
        "a/Dockerfile": "FROM python:3\nENV COVERAGE_PROCESS_START=/x\nCOPY sitecustomize.py /app/\nUSER 1\n",
        "a/sitecustomize.py": "import coverage\n\ncoverage.process_startup()\n",
        "b/Dockerfile": "FROM python:3\nCOPY sitecustomize.py /app/\n",
        "b/sitecustomize.py": "import tracing\n",
    }
    left = {**files, "a/Dockerfile": "FROM python:3\nUSER 1\n"}
    # Somebody copies a file of that name, so it stays; it does nothing without the variable.
    assert adopted(files) == left


@pytest.mark.parametrize(
    ("hooks", "only"),
    [
        ("def worker_exit(server, worker):\n    import coverage\n    coverage.Coverage.current().save()\n", True),
        ("def worker_exit(server, worker):\n    import coverage\n    c = coverage.Coverage.current()\n    c.save()\n", True),
        ("import coverage\n\ndef post_fork(server, worker):\n    server.log.info('up')\n", True),
        ("import coverage\n\ndef post_fork(server, worker):\n    database.dispose()\n", False),
        ("import coverage\n\ndef post_fork(server, worker):\n    worker.tmp = '/dev/shm'\n", False),
        ("import coverage\nworkers = 4\n\ndef post_fork(server, worker):\n    pass\n", False),
        ("def post_fork(server, worker):\n    server.log.info('up')\n", False),
    ],
)
def test_hooks_of_gunicorn_go_where_they_do_nothing_else(hooks: str, only: bool) -> None:
    command = 'CMD ["gunicorn", "-c", "hooks.py", "app:app"]'
    files = {"Dockerfile": f"FROM python:3\nENV COVERAGE_FILE=/x COVERAGE_PROCESS_START=/x\n{command}\n", "hooks.py": hooks}
    left = adopted(files)
    assert ("hooks.py" not in left) == only
    wanted = command.replace('"-c", "hooks.py", ', "") if only else command
    assert left["Dockerfile"] == f"FROM python:3\n{wanted}\n"


def test_a_client_that_tests_ask_for_stays_and_is_named() -> None:
    test = (
        "import pytest\nfrom client.coverage_client import CoverageClient\n\n\n@pytest.fixture\ndef client():\n"
        "    return CoverageClient('shop')\n\n\ndef test_it(client):\n    client.collect_coverage_from_pod('pod', 'it')\n"
    )
    files = {"tests/test_it.py": test, "client/coverage_client.py": "class CoverageClient: ...\n"}
    assert adopted(files) == files
    assert warnings(files) == ["tests/test_it.py:2: asks for coverage over HTTP"]


def test_an_image_for_coverage_that_nobody_builds_goes() -> None:
    own = 'FROM python:3\nCMD ["python", "app.py"]\n'
    files = {"Dockerfile": own, "Dockerfile.coverage": own.replace('"python"', '"coverage", "run"')}
    assert adopted(files) == {"Dockerfile": own}
    named = {**files, "Makefile": "image:\n\tdocker build -f Dockerfile.coverage .\n"}
    assert adopted(named) == {**named, "Dockerfile.coverage": own}


def test_podcov_s_own_profile_is_nobody_else_s() -> None:
    block = "".join(blocks.write("- name: coverage\n", "  "))
    files = {
        "Dockerfile": "FROM python\nENV COVERAGE_PROCESS_START=/x\n",
        "skaffold.yaml": f"apiVersion: skaffold/v4beta11\nprofiles:\n{block}",
    }
    assert [found.profile_taken for found in recognise(files)] == [""]
    theirs = {**files, "skaffold.yaml": "apiVersion: skaffold/v4beta11\nprofiles:\n  - name: coverage\n"}
    assert [found.profile_taken for found in recognise(theirs)] == ["coverage"]


def test_a_file_is_replaced_by_one_adoption_only() -> None:
    command = 'CMD ["python", "coverage_server.py", "-m", "app"]'
    text = f"FROM python:3\nENV COVERAGE_PROCESS_START=/x\nENV COVERAGE_PORT=9095\n{command}\n"
    found = recognise({"Dockerfile": text})
    assert [len(one.replaces) for one in found] == [1, 0]
    assert found[0].replaces[0].content == b'FROM python:3\nCMD ["python", "-m", "app"]\n'
    assert ("Dockerfile", 2, "ENV COVERAGE_PROCESS_START is not needed") in found[1].evidence


# -- manifests


POD = """\
kind: Pod
spec:
  containers:
%s
"""


@pytest.mark.parametrize(
    ("container", "left"),
    [
        ("  - env:\n    - name: COVERAGE_FILE\n    name: a", "  - name: a"),
        ("  - env: [{name: A, value: b}, {name: COVERAGE_FILE, value: /c}]", "  - env: [{name: A, value: b}]"),
        ("  - env: [{name: COVERAGE_FILE, value: /c}, {name: A, value: b}]", "  - env: [{name: A, value: b}]"),
        ("  - env:\n      - {name: COVERAGE_FILE}\n      # why\n      - {name: A}", "  - env:\n      # why\n      - {name: A}"),
        ("  - command: [coverage, run, app.py]", "  - command: [python3, app.py]"),
        ("  - command: ['coverage', 'run', 'app.py']", "  - command: [\"python3\", 'app.py']"),
        ("  - command:\n    - coverage\n    - run\n    - -p\n    - app.py", "  - command:\n    - python3\n    - app.py"),
        (
            "  - command:\n    - python\n    - -m\n    - coverage\n    - run\n    - app.py",
            "  - command:\n    - python\n    - app.py",
        ),
        ("  - args: [-c, 'exec coverage run -m app']", "  - args: [-c, 'exec python3 -m app']"),
        ("  - args:\n    - |\n      ls\n      coverage run -m app\n", "  - args:\n    - |\n      ls\n      python3 -m app\n"),
        ("  - command: [coverage, run]\n    args: [-m, app]", "  - command: [python3]\n    args: [-m, app]"),
        ("  - args: [pytest]\n    env: [{name: COVERAGE_FILE}]", "  - args: [pytest]\n    env: [{name: COVERAGE_FILE}]"),
        ("  - volumeMounts: [{name: a, mountPath: /recovery}]", "  - volumeMounts: [{name: a, mountPath: /recovery}]"),
        ('  - env: [{name: X, value: "1"}]', '  - env: [{name: X, value: "1"}]'),
    ],
)
def test_containers(container: str, left: str) -> None:
    trigger = {"Dockerfile": "FROM python\nENV COVERAGE_PROCESS_START=/x COVERAGE_FILE=/recovery/c\nUSER 1\n"}
    assert adopted({**trigger, "pod.yaml": POD % container})["pod.yaml"] == POD % left


NAMES = st.text("abcdefgh-", min_size=1, max_size=8).filter(lambda name: name.strip("-") == name)
# Without the line ends that PyYAML writes and does not read.
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), max_size=12)
VALUES = st.one_of(TEXTS, st.sampled_from(["yes", "# no", "a: b", "- x", "{", "line\nline\n", " x", "é"]))
ENTRIES = st.lists(st.builds(lambda name, value: {"name": name.upper(), "value": value}, NAMES, VALUES), max_size=3)
CONTAINERS = st.lists(
    st.builds(
        lambda name, env, ports, mounts, argument: {
            "name": name,
            "image": "x",
            **({"env": env} if env else {}),
            **({"ports": [{"containerPort": port} for port in ports]} if ports else {}),
            **({"volumeMounts": [{"name": m, "mountPath": f"/{m}"} for m in mounts]} if mounts else {}),
            "command": ["python", "app.py", argument],
        },
        NAMES,
        ENTRIES,
        st.lists(st.integers(1, 9000), max_size=2),
        st.lists(NAMES, max_size=2),
        VALUES,
    ),
    min_size=1,
    max_size=3,
)


def with_tools(containers: list[dict[str, Any]], chosen: list[bool]) -> list[dict[str, Any]]:
    """The same containers, and a coverage tool in those that are chosen."""
    made = copy.deepcopy(containers)
    for container, is_chosen in zip(made, chosen, strict=False):
        if is_chosen:
            container["env"] = [{"name": "COVERAGE_FILE", "value": "/cov/.coverage"}, *container.get("env", [])]
            container["env"].append({"name": "COVERAGE_PROCESS_START", "value": "/rc"})
            container["volumeMounts"] = [*container.get("volumeMounts", []), {"name": "covdata", "mountPath": "/cov"}]
            container["command"][:1] = ["coverage", "run", "-p"]
    return made


@settings(max_examples=60)
@given(
    containers=CONTAINERS,
    chosen=st.lists(st.booleans(), min_size=3, max_size=3).filter(any),
    volumes=st.lists(NAMES, max_size=2),
    flow=st.sampled_from([None, True, False]),
    indent=st.sampled_from([2, 4]),
)
def test_a_tool_comes_out_of_any_deployment_and_nothing_else(
    containers: list[dict[str, Any]], chosen: list[bool], volumes: list[str], flow: bool | None, indent: int
) -> None:
    def manifest(listed: list[dict[str, Any]], mounted: list[dict[str, Any]]) -> dict[str, Any]:
        pod = {"containers": listed, **({"volumes": mounted} if mounted else {})}
        return {"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"template": {"spec": pod}}}

    own: list[dict[str, Any]] = [{"name": name, "emptyDir": {}} for name in volumes]
    tooled = with_tools(containers, chosen)
    uses = tooled != containers
    before = manifest(tooled, [*own, {"name": "covdata", "emptyDir": {}}] if uses else own)
    text = yaml.dump(before, default_flow_style=flow, indent=indent, sort_keys=False, allow_unicode=True)
    wanted = manifest(containers, own)
    for container, was in zip(wanted["spec"]["template"]["spec"]["containers"], tooled, strict=True):
        if was["command"][0] == "coverage":
            container["command"] = ["python3", *container["command"][1:]]
    left = adopted({"x.yaml": text})["x.yaml"]
    assert yaml.safe_load(left) == wanted
    assert adopted({"x.yaml": left})["x.yaml"] == left


OWN = (
    "WORKDIR /app",
    "COPY . .",
    "RUN pip install gunicorn \\\n    flask",
    "ENV A=1 \\\n    B=2",
    "# a note",
    "",
    "EXPOSE 80",
    "USER 1",
)
TOOLS = (
    "RUN pip install coverage",
    "ENV COVERAGE_PROCESS_START=/app/.coveragerc",
    "ENV COVERAGE_FILE=/cov/.coverage COVERAGE_RCFILE=/x",
    "RUN mkdir -p /cov && \\\n    chmod 777 /cov",
    "VOLUME /cov",
    "RUN echo 'import coverage; coverage.process_startup()' > /usr/lib/c.pth",
)


@given(st.lists(st.sampled_from((*OWN, *TOOLS)), max_size=12))
def test_a_tool_comes_out_of_any_dockerfile_and_nothing_else(lines: list[str]) -> None:
    def dockerfile(listed: Sequence[str], command: str) -> str:
        return "\n".join(["FROM python:3.13", *listed, command, ""])

    text = dockerfile(["ENV COVERAGE_FILE=/cov/x", *lines], 'CMD ["coverage", "run", "app.py"]')
    left = adopted({"Dockerfile": text})["Dockerfile"]
    wanted = dockerfile([line for line in lines if line not in TOOLS], 'CMD ["python", "app.py"]')
    assert instructions_of(left) == instructions_of(wanted)
    assert set(left.splitlines()) <= set(wanted.splitlines()) | {""}


def instructions_of(text: str) -> list[str]:
    return [text[step.start : step.end].strip() for step in dockerfiles.instructions(text)]


# -- the parts


LINES = st.lists(st.sampled_from(["", "# x", "RUN a \\", "  b", "ENV A=1", "RUN <<EOF", "EOF", "CMD x", "\\"]), max_size=12)


@given(LINES)
def test_instructions_and_what_is_between_them_are_all_of_a_dockerfile(lines: list[str]) -> None:
    text = "\n".join(lines)
    at = 0
    for step in dockerfiles.instructions(text):
        assert all(not line.strip() or line.lstrip().startswith("#") for line in text[at : step.start].splitlines())
        assert step.start <= step.body <= step.end
        at = step.end
    assert all(not line.strip() or line.lstrip().startswith("#") for line in text[at:].splitlines())


@given(
    st.lists(st.sampled_from("abc"), max_size=8).map("\n".join), st.integers(0, 20), st.integers(0, 6), st.sampled_from(["", "z"])
)
def test_lines_keep_their_numbers(text: str, start: int, length: int, new: str) -> None:
    draft = Draft.of(text)
    start = min(start, len(text))
    changed = draft.apply(Cut(start, min(start + length, len(text)), "", new if length else ""))
    assert len(draft.numbers) == draft.text.count("\n") + 1
    assert draft.numbers == sorted(draft.numbers)
    before = text.split("\n")
    for line, number in zip(draft.text.split("\n"), draft.numbers, strict=True):
        assert number in changed or line == before[number - 1]


@given(st.text(max_size=60))
def test_any_text_is_no_reason_to_fail(text: str) -> None:
    trigger = {
        "Dockerfile": f"FROM python\nENV COVERAGE_PROCESS_START=/x\n{text}",
        "x.yaml": text,
        "skaffold.yaml": text,
        "a.py": text,
    }
    recognise(trigger)
    assert isinstance(yamls.documents(text), tuple)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [*a]\n",
        "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
        "[" * 5000,
        "a: " + "[" * 3000 + "]" * 3000,
    ],
)
def test_yaml_that_is_meant_to_hurt_is_left_alone(text: str) -> None:
    assert yamls.documents(text) == ()


def test_walking_is_bounded_and_leaves_out_what_nobody_wrote() -> None:
    files = {
        "a/b/c/x": "",
        "a/y": "",
        "z": "",
        ".github/w": "",
        ".venv/v": "",
        "a/node_modules/n": "",
        "podcov/p": "",
        ".hidden": "",
    }
    project = MemoryProject(files)
    assert list(walk.walk(project)) == [".hidden", "z", ".github/w", "a/y", "a/b/c/x"]
    assert list(walk.walk(project, depth=1)) == [".hidden", "z", ".github/w", "a/y"]
    assert list(walk.walk(project, most=2)) == [".hidden", "z"]
    assert list(walk.walk(project, "a")) == ["a/y", "a/b/c/x"]
    assert walk.text(MemoryProject({"big": "x" * (walk.MOST_BYTES + 1)}), "big") is None
