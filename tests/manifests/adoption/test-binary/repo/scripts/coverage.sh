#!/bin/sh
set -e
mkdir -p cover
for service in invoices; do
    kubectl exec "deploy/$service" -- curl -s localhost:19999
    kubectl exec "deploy/$service" -- cat /cover.out > "cover/$service.out"
done
gocovmerge cover/*.out > cover/merged.cov
go tool cover -func=cover/merged.cov | grep '^total:'
