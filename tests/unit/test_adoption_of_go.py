"""Go services that measure themselves: what is offered in place of what is done around them, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml
from memory_project import MemoryProject
from podcov.config import Dump, Service, parse
from podcov.config import Tests as Suite
from podcov.generate import adoption
from podcov.generate.adoption import Adoption, handover, offers
from podcov.generate.adoption.contract import OFFER, Handover
from podcov.generate.detect import Detected
from podcov.generate.findings import Finding

HANDLER = """\
package main

func handle() {
	signal.Notify(asked, syscall.SIGUSR2)
	coverage.WriteCountersDir(os.Getenv("GOCOVERDIR"))
}
"""
COLLECT = """\
#!/bin/sh
set -eu
for pod in $(kubectl get pods -l "skaffold.dev/run-id=$SKAFFOLD_RUN_ID" -o name); do
  kubectl exec "$pod" -c app -- tar -c /counters | tar -x -C reports
done
go tool covdata percent -i reports
"""
PATCH = """\
kind: Deployment
metadata: {name: shop}
spec:
  template:
    spec:
      containers:
        - name: app
          env: [{name: GOCOVERDIR, value: /counters}]
          volumeMounts: [{name: counters, mountPath: /counters}]
      volumes: [{name: counters, emptyDir: {}}]
"""
PROFILE: dict[str, object] = {
    "name": "coverage",
    "build": {"artifacts": [{"image": "shop", "ko": {"flags": ["-cover", "-covermode=atomic"]}}]},
    "manifests": {"kustomize": {"paths": ["k8s/coverage"]}},
    "deploy": {
        "kubectl": {
            "hooks": {
                "after": [
                    {"host": {"command": ["./test.sh", "shop"]}},
                    {"container": {"command": ["kill", "-USR2", "1"], "podName": "shop-*", "containerName": "app"}},
                    {"host": {"command": ["./collect.sh"]}},
                ]
            }
        }
    },
}


def recognise(files: Mapping[str, str]) -> Adoption:
    [found] = adoption.recognise(MemoryProject(files))
    return found


def replaced(files: Mapping[str, str]) -> dict[str, str | None]:
    """What would be written, None for what goes."""
    return {r.path: r.content.decode() if r.content is not None else None for r in recognise(files).replaces}


def tutorial(profile: Mapping[str, object] = PROFILE, **more: str) -> dict[str, str]:
    skaffold = {"apiVersion": "skaffold/v4beta11", "kind": "Config", "profiles": [profile]}
    return {
        "main.go": HANDLER,
        "collect.sh": COLLECT,
        "test.sh": "curl http://localhost/\n",
        "k8s/coverage/kustomization.yaml": "resources: [../base]\npatches: [{path: patch.yaml}]\n",
        "k8s/coverage/patch.yaml": PATCH,
        "skaffold.yaml": yaml.safe_dump(skaffold, sort_keys=False),
        **more,
    }


# -- scripts


@pytest.mark.parametrize(
    "line",
    [
        "kubectl exec deploy/shop -- curl -s localhost:19999",
        "kubectl -n shop exec -i shop-0 -c app -- cat /cover.out >cover/shop.out",
        "podman cp shop-worker:/tmp/coverage/. coverdata",
        "kubectl scale deployment/shop --replicas=0 && kubectl wait --for=delete pod -l app=shop",
        "gocovmerge cover/*.out | tee cover/merged.cov",
        "# go test ./... is somebody else's",
        "go tool cover \\\n    -func=cover/merged.cov | grep total",
        'folders=()\nfolders+=("$folder")\nname=$(echo "$pod" | cut -d/ -f2)',
        "pods=($(kubectl get pods -o go-template='{{range .items}}{{.metadata.name}}{{\"\\n\"}}{{end}}' \\\n  -l app=shop))",
        'kubectl exec \\\n  -n "$space" \\\n  "$pod" \\\n  -- \\\n  tar -C /counters -cf - . | tar -xf - -C "$folder"',
    ],
)
def test_a_script_that_only_collects(line: str) -> None:
    assert offers.only_collects(COLLECT + line + "\n")


@pytest.mark.parametrize(
    "line",
    [
        "go test ./tests/...",
        'test "$(cat cover/percent)" -ge 80',
        "if [ -f cover/percent ]; then",
        "kubectl exec gandalf -- /gandalf-tests",
        "kubectl apply -f k8s",
        "for suite in $(./suites); do",
        "echo done; ./upload.sh",
        "PERCENT=1 ./publish cover/merged.cov",
        "curl -T cover/merged.cov https://coverage.example.org",
        "gocovmerge cover/*.out | ./badge",
    ],
)
def test_a_script_that_does_more(line: str) -> None:
    assert not offers.only_collects(COLLECT + line + "\n")


@pytest.mark.parametrize(
    ("caller", "after"),
    [
        ("\t./scripts/collect.sh\n", "\tpodcov collect\n"),
        ("\t@bash $(ROOT)/scripts/collect.sh reports\n", "\t@podcov collect\n"),
        ("\t-scripts/collect.sh\n", "\t-podcov collect\n"),
    ],
)
def test_what_called_a_script_calls_podcov(caller: str, after: str) -> None:
    files = {"Makefile": f"cover: test\n{caller}", "scripts/collect.sh": COLLECT, "Dockerfile": "RUN go test -c -cover .\n"}
    start = {"start.sh": "./server.test -test.coverprofile=cover.out\n", "scripts/collect.sh": f"{COLLECT}gocovmerge *.out\n"}
    assert replaced(files | start) == {"Makefile": f"cover: test\n{after}", "scripts/collect.sh": None}


@pytest.mark.parametrize(
    "caller",
    [
        {"Makefile": "cover:\n\t./collect.sh && ./upload.sh\n"},
        {"Makefile": "cover:\n\tFORMAT=text ./collect.sh\n"},
        {".github/workflows/ci.yaml": "jobs: {cover: {steps: [{run: ./collect.sh}]}}\n"},
    ],
)
def test_a_script_stays_where_only_a_person_can_tell_how_it_is_called(caller: Mapping[str, str]) -> None:
    start = {"start.sh": "./server.test -test.coverprofile=cover.out\n", "collect.sh": f"{COLLECT}gocovmerge *.out\n"}
    assert replaced({**start, **caller}) == {}


# -- the tutorial's profile


def test_a_profile_that_podcov_s_can_take_the_place_of_goes_with_its_script() -> None:
    assert replaced(tutorial()) == {"skaffold.yaml": "apiVersion: skaffold/v4beta11\nkind: Config\n", "collect.sh": None}


def test_what_its_hooks_and_its_overlay_say_is_in_podcov_yaml() -> None:
    assert recognise(tutorial()).handover == Handover(
        "go",
        Dump("signal", folder="/counters", signal="USR2"),
        "asked by SIGUSR2",
        workloads=("deployment/shop",),
        tests=Suite(command=("./test.sh", "shop")),
    )


ARTIFACT = {"image": "shop", "ko": {"flags": ["-cover", "-covermode=atomic"]}}


@pytest.mark.parametrize(
    "change",
    [
        {"activation": [{"command": "dev"}]},
        {"build": {"artifacts": [ARTIFACT | {"ko": {"flags": ["-cover", "-coverpkg=./..."]}}]}},
        {"build": {"artifacts": [ARTIFACT | {"ko": {"flags": ["-cover"], "env": ["A=1"]}}]}},
        {"build": {"artifacts": [ARTIFACT, {"image": "other", "docker": {"dockerfile": "Dockerfile.test", "buildArgs": {}}}]}},
        {"manifests": {"kustomize": {"paths": ["k8s/other"]}}},
        {"deploy": {"kubectl": {"hooks": {"after": [{"host": {"command": [name]}} for name in ("./one.sh", "./two.sh")]}}}},
        {"deploy": {"kubectl": {"hooks": {"after": [{"container": {"command": ["migrate"]}}]}}}},
        {"deploy": {"kubectl": {"hooks": {"before": [{"host": {"command": ["./prepare.sh"]}}]}}}},
    ],
)
def test_a_profile_with_anything_else_in_it_stays(change: Mapping[str, object]) -> None:
    files = tutorial(PROFILE | change)
    assert replaced(files) == {}
    assert [f.decided for f in recognise(files).findings if "the profile" in f.found] == ["kept, with its hooks and build flags"]


def test_an_overlay_may_be_written_in_kustomize_s_older_words() -> None:
    files = tutorial()
    del files["k8s/coverage/kustomization.yaml"]
    older = "bases: [../base]\nreplicas: [{name: shop, count: 1}]\npatchesStrategicMerge: [patch.yaml]\n"
    assert replaced(files | {"k8s/coverage/Kustomization": older}).keys() == {"skaffold.yaml", "collect.sh"}


@pytest.mark.parametrize("more", ["LOG_LEVEL", "GOMAXPROCS"])
def test_an_overlay_with_anything_else_in_it_is_rendered_as_before(more: str) -> None:
    patch = PATCH.replace("env: [", f"env: [{{name: {more}, value: x}}, ")
    assert replaced(tutorial() | {"k8s/coverage/patch.yaml": patch}) == {}


# -- the switch

MAKEFILE = """\
e2e:
	go test ./e2e/...

e2e-coverage:
	go build -cover ./cmd/ledger
	@LOG=1 E2E_COVERAGE=true ginkgo -v ./e2e/...
	kubectl scale deployment/ledger --replicas=0
	docker cp ledger-worker:/tmp/coverage/. coverdata
	go tool covdata textfmt -i=coverdata -o e2e.txt
	go tool cover -html=e2e.txt -o e2e.html
	@go tool covdata percent -i=coverdata | ./badge
"""
SWITCH = 'if os.Getenv("E2E_COVERAGE") == "true" {\n\tenv = append(env, EnvVar{"GOCOVERDIR", "/data/coverage"})\n}\n'


def test_podcov_runs_the_tests_of_the_target_with_the_switch_and_does_what_came_after() -> None:
    assert replaced({"Makefile": MAKEFILE, "env.go": SWITCH}) == {
        "Makefile": """\
e2e:
	go test ./e2e/...

e2e-coverage:
	go build -cover ./cmd/ledger
	@LOG=1 E2E_COVERAGE=true podcov run -- ginkgo -v ./e2e/...
	@go tool covdata percent -i=coverdata | ./badge
"""
    }


def test_reports_are_copied_to_where_they_were_written() -> None:
    found = recognise({"Makefile": MAKEFILE, "env.go": SWITCH}).handover
    assert found is not None
    assert found.dump == Dump("exit", folder="/data/coverage", source="nodes")
    assert found.workloads == ("deployment/ledger",)
    assert found.copies == {"e2e.txt": "go.txt", "e2e.html": "go.html"}


def test_without_a_copy_from_the_node_its_pods_are_asked() -> None:
    found = recognise({"Makefile": "e2e:\n\tE2E_COVERAGE=true go test ./e2e\n", "env.go": SWITCH}).handover
    assert found is not None
    assert found.dump.source == "pods"


# -- podcov.yaml

SIGNAL = Handover(
    "go", Dump("signal"), "asked by SIGUSR1", ("deployment/shop",), Suite(command=("./test.sh",)), {"a.txt": "go.txt"}
)


def applied(*services: Service, of: Handover = SIGNAL) -> Detected:
    findings = tuple(Finding(f"{service.workload} app", "go: built by ko", "recorded", "as it is") for service in services)
    known = Adoption("the set-up", evidence=(), handover=of)
    return handover.applied(Detected(services, (), ("./all.sh",), findings), [known, Adoption("another", evidence=())])


def test_what_is_recorded_is_asked_where_it_measures_itself() -> None:
    made = applied(Service("shop", language="go", workload="deployment/shop", binary="/shop"))
    assert made.services == (Service("shop", language="go", workload="deployment/shop", dump=Dump("signal")),)
    assert [finding.decided for finding in made.findings] == ["asked by SIGUSR1"]
    assert (made.suite, made.copies) == (Suite(command=("./test.sh",)), {"a.txt": "go.txt"})


@pytest.mark.parametrize(
    "service",
    [
        Service("shop", workload="deployment/shop"),
        Service("shop", language="go", workload="deployment/other"),
        Service("shop", language="go", workload="deployment/shop", dump=Dump("exit")),
    ],
    ids=["another language", "another workload", "another way in its source"],
)
def test_others_stay_what_they_were_detected_as(service: Service) -> None:
    made = applied(service)
    assert made.services == (service,)
    assert [finding.decided for finding in made.findings] == ["recorded"]
    assert (made.suite, made.copies) == (None, {})


def test_by_hand_is_a_whole_configuration() -> None:
    text = handover.by_hand([Adoption("the set-up", evidence=(), handover=SIGNAL)])
    assert [(s.language, s.workload, s.dump) for s in parse(text).services] == [("go", "deployment/shop", Dump("signal"))]
    assert handover.by_hand([Adoption("another", evidence=())]) == ""


# -- what is offered

PLAIN = Handover("go", Dump("signal"), "asked by SIGUSR1", ("deployment/shop",))
SAYS_SO = {"dump": {"by": "signal"}}


@pytest.mark.parametrize(
    ("edits", "of", "service", "more", "left"),
    [
        ("", PLAIN, {}, {}, ["has podcov.yaml say `dump: {by: signal}`"]),
        ("", PLAIN, SAYS_SO, {}, []),
        ("edits a and removes b", PLAIN, SAYS_SO, {}, ["edits a and removes b"]),
        ("edits a", PLAIN, {}, {}, ["edits a, has podcov.yaml say `dump: {by: signal}`"]),
        ("", PLAIN, {"workload": "deployment/other"}, {}, []),
        ("", PLAIN, {"dump": {"by": "exit"}}, {}, []),
        ("", SIGNAL, SAYS_SO, {}, ["has podcov.yaml say `tests` and `copies`"]),
        ("", SIGNAL, SAYS_SO, {"tests": {"command": ["./test.sh"]}, "copies": {"a.txt": "go.txt"}}, []),
    ],
)
def test_only_what_podcov_yaml_does_not_say_yet_is_offered(
    edits: str, of: Handover, service: Mapping[str, object], more: Mapping[str, object], left: list[str]
) -> None:
    offer = OFFER + ", ".join(filter(None, (edits, f"has podcov.yaml say {of.key}")))
    findings = tuple(Finding("Makefile", "the set-up", decided) for decided in (offer, "kept"))
    services = {"shop": {"language": "go", "workload": "deployment/shop", **service}}
    config = parse(yaml.safe_dump({"version": 1, "services": services, **more}))
    [found] = handover.measured([Adoption("the set-up", evidence=(), findings=findings, handover=of)], config)
    assert [finding.decided for finding in found.findings] == [*(OFFER + offered for offered in left), "kept"]
