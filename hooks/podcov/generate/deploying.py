"""How a project is deployed with coverage, as far as its podcov.yaml tells."""

from __future__ import annotations

from podcov.config import Generate


def by_tools(generate: Generate) -> list[str]:
    """Commands of Skaffold and Tilt, each of which deploys, tests and reports."""
    found = []
    if generate.skaffold:
        found.append(f"skaffold run --profile {generate.profile}" + _unless_usual(generate.skaffold, "skaffold.yaml"))
    if generate.tiltfile:
        found.append("PODCOV=1 tilt ci" + _unless_usual(generate.tiltfile, "Tiltfile"))
    return found


def by_hand(generate: Generate) -> list[str]:
    """Commands that deploy, all of them; the tests are then `podcov run`'s. Empty where podcov.yaml does not tell."""
    if generate.by == "overlay":
        return [f"kubectl apply -k {generate.overlay}"] if generate.kustomize else []
    found = []
    if generate.kustomize:
        found.append(f"kubectl kustomize {generate.kustomize} | podcov inject | kubectl apply -f -")
    if generate.manifests:
        found.append(f"podcov inject {' '.join(generate.manifests)} | kubectl apply -f -")
    for release in generate.helm:
        values = "".join(f" --values {file}" for file in release.values)
        namespace = f" --namespace {release.namespace}" if release.namespace else ""
        found.append(f"helm upgrade --install {release.release} {release.chart}{values}{namespace} --post-renderer podcov-inject")
    return found


def hint(generate: Generate) -> str:
    """What to type where what runs has no coverage."""
    ways = (
        " or ".join(f"`{command}`" for command in by_tools(generate))
        or " and ".join(f"`{command}`" for command in by_hand(generate))
        or "`skaffold run --profile coverage`, `PODCOV=1 tilt ci`, `kubectl apply -k podcov/overlay` or "
        "`podcov inject MANIFESTS | kubectl apply -f -`, whichever `podcov init` says of the project"
    )
    return f"deploy with coverage: {ways}; or add coverage to what runs: `podcov attach`"


def _unless_usual(file: str, usual: str) -> str:
    return "" if file == usual else f" -f {file}"
