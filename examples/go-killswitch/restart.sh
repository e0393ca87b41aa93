#!/bin/sh
# Starts the service again whenever the killswitch has ended it; arguments of the container are arguments of the service.
while /calendar.test -test.coverprofile=cover.out "$@"; do
    echo "the service has ended, and is started again"
done
