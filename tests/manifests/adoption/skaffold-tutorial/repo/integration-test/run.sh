#!/usr/bin/env bash
# Usage: run.sh RESOURCE [NAMESPACE [LOCAL_PORT [REMOTE_PORT]]]
set -euo pipefail
kubectl port-forward --namespace "${2:-default}" "$1" "${3:-4503}:${4:-8080}" &
trap 'kill %1' EXIT
curl --silent --fail --retry 10 --retry-connrefused "http://localhost:${3:-4503}/"
