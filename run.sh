#!/usr/bin/env bash
# Install what is missing, then run the whole platform in the foreground: ./run.sh [--port 8000] [--no-demo]
set -euo pipefail
cd "$(dirname "$0")"
. deploy/venv.sh

install requirements.lock
exec "$VENV/bin/python" manage.py up "$@"
