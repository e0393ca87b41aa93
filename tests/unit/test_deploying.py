"""What to type where no pod carries podcov: what fits the project, as far as podcov.yaml tells."""

from __future__ import annotations

import pytest
from podcov.config import Generate, HelmRelease
from podcov.generate.deploying import hint


@pytest.mark.parametrize(
    ("generate", "ways"),
    [
        (Generate(kustomize="k8s", skaffold="skaffold.yaml"), "`skaffold run --profile coverage`"),
        (
            Generate(by="inject", manifests=("k8s",), skaffold="dev/skaffold.yaml", profile="podcov", tiltfile="Tiltfile"),
            "`skaffold run --profile podcov -f dev/skaffold.yaml` or `PODCOV=1 tilt ci`",
        ),
        (Generate(tiltfile="dev/Tiltfile"), "`PODCOV=1 tilt ci -f dev/Tiltfile`"),
        (Generate(kustomize="k8s", overlay="deploy/coverage"), "`kubectl apply -k deploy/coverage`"),
        (Generate(by="inject", manifests=("k8s", "db.yaml")), "`podcov inject k8s db.yaml | kubectl apply -f -`"),
        (
            Generate(by="inject", kustomize="base", helm=(HelmRelease("shop", "chart"), HelmRelease("db", "charts/db"))),
            "`kubectl kustomize base | podcov inject | kubectl apply -f -` and "
            "`helm upgrade --install shop chart --post-renderer podcov-inject` and "
            "`helm upgrade --install db charts/db --post-renderer podcov-inject`",
        ),
    ],
)
def test_what_the_project_has_is_named(generate: Generate, ways: str) -> None:
    assert hint(generate) == f"deploy with coverage: {ways}; or add coverage to what runs: `podcov attach`"


@pytest.mark.parametrize("generate", [Generate(), Generate(by="inject")])
def test_all_ways_are_named_where_nothing_tells(generate: Generate) -> None:
    said = hint(generate)
    for way in ("skaffold run", "tilt ci", "kubectl apply -k", "podcov inject MANIFESTS", "podcov attach"):
        assert way in said
