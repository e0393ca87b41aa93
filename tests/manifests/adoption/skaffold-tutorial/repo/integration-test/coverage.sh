#!/usr/bin/env bash
set -euo pipefail
reports=$(mktemp -d)
for pod in $(kubectl get pods --context "$SKAFFOLD_KUBE_CONTEXT" --all-namespaces \
        --selector "skaffold.dev/run-id=$SKAFFOLD_RUN_ID" --output name); do
    kubectl exec "$pod" --container app -- tar -c -C /coverage-data . | tar -x -C "$reports"
done
go tool covdata percent -i "$reports"
