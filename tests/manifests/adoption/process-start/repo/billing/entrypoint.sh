#!/bin/sh
set -e
# coverage run would miss what gunicorn's workers do without -p
exec coverage run -p --source=billing -m gunicorn --bind 0.0.0.0:8080 billing:app
