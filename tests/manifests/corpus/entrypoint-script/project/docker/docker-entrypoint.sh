#!/bin/sh
set -e
if [ "$1" = gunicorn ]; then
    python3 -m wiki.upgrade
fi
exec "$@"
