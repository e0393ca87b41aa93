#!/bin/sh
# The end of the container would be the end of its files.
while true; do
    /server.test -test.coverprofile=cover.out "$@" || exit 1
    echo "started again"
done
