"""How a project is deployed with coverage, as far as its podcov.yaml tells. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from podcov.config import Config, Generate


def hint(config: Config) -> str:
    """What to type where what runs has no coverage."""
    return f"deploy with coverage: {_ways(config.generate)}; or add coverage to what runs: `podcov attach`"


def _ways(generate: Generate) -> str:
    if tools := list(_tools(generate)):
        return " or ".join(tools)
    if generate.by == "overlay" and generate.kustomize:
        return f"`kubectl apply -k {generate.overlay}`"
    if generate.by == "inject" and (injected := list(_injected(generate))):
        return " and ".join(injected)
    return (
        "`skaffold run --profile coverage`, `PODCOV=1 tilt ci`, `kubectl apply -k podcov/overlay` or "
        "`podcov inject MANIFESTS | kubectl apply -f -`, whichever `podcov init` says of the project"
    )


def _tools(generate: Generate) -> Iterator[str]:
    if generate.skaffold:
        where = "" if generate.skaffold == "skaffold.yaml" else f" -f {generate.skaffold}"
        yield f"`skaffold run --profile {generate.profile}{where}`"
    if generate.tiltfile:
        where = "" if generate.tiltfile == "Tiltfile" else f" -f {generate.tiltfile}"
        yield f"`PODCOV=1 tilt ci{where}`"


def _injected(generate: Generate) -> Iterator[str]:
    if generate.kustomize:
        yield f"`kubectl kustomize {generate.kustomize} | podcov inject | kubectl apply -f -`"
    if generate.manifests:
        yield f"`podcov inject {' '.join(generate.manifests)} | kubectl apply -f -`"
    if generate.helm:
        releases = " and ".join(release.release for release in generate.helm)
        yield f"`helm upgrade --install ... --post-renderer podcov-inject` of {releases}"
