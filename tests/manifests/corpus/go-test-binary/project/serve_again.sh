#!/bin/sh
until false; do
    /server.test -test.coverprofile=billing.out "$@" || exit 1
done
