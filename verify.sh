#!/usr/bin/env bash
# The whole verification: style, types, architecture, configuration, and the tests on SQLite and on PostgreSQL.
# ./verify.sh [STEP…] runs only the named steps; REQUIRE_ALL=1 makes a skip for a missing part a failure.
set -euo pipefail
cd "$(dirname "$0")"
. deploy/venv.sh
install requirements-dev.lock

PYTHON=$VENV/bin/python
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
# Nothing of the operator's own configuration, database or secrets takes part.
# shellcheck disable=SC2046
unset $(sed -n 's/^#\([A-Z_]*\)=.*/\1 \1_FILE/p' .env.example)
export VAR_DIR=$WORK/var COVERAGE_FILE=$WORK/coverage PYTHONDONTWRITEBYTECODE=1
# Another order of sets at every run, but the same one in parallel workers, which must collect alike.
export PYTHONHASHSEED=${PYTHONHASHSEED:-$RANDOM}
"$PYTHON" -c 'from tradingbot.secrets import ensure_embedded_secrets; ensure_embedded_secrets()'

APPS=(tradingbot bots strategies exchanges accounts)

style() { "$PYTHON" -m ruff check .; }
format() { "$PYTHON" -m ruff format --check .; }
types() { "$PYTHON" -m mypy "${APPS[@]}" manage.py; }
imports() { "$PYTHON" -c 'from importlinter.cli import lint_imports_command as lint; lint()'; }
templates() { "$PYTHON" -m djlint templates --lint --quiet; }
migrations() { "$PYTHON" manage.py makemigrations --check --dry-run; }
deployment() { HTTPS=on "$PYTHON" manage.py check --deploy --fail-level WARNING; }
# The pure cores are covered by tests of their own; all others run without the measurement, which halves their speed.
CORES=(*/tests/core strategies/tests/library)
cores() { parallel "${CORES[@]}" --cov --cov-report= && "$PYTHON" -m coverage report --skip-covered --show-missing --fail-under=100; }
tests() { parallel "${CORES[@]/#/--ignore=}"; }
postgres() { TEST_DATABASE=postgres parallel -m 'django_db and not browser and not slow and not nightly'; }
parallel() { "$PYTHON" -m pytest -n 2 --dist worksteal --durations=12 --durations-min=5 "$@"; }

printf 'PYTHONHASHSEED=%s\n' "$PYTHONHASHSEED"
failed=()
step() {
    local began=$SECONDS
    printf '\n== %s\n' "$1"
    if "$1"; then
        printf -- '-- %s passed in %ss\n' "$1" "$((SECONDS - began))"
    else
        printf -- '-- %s FAILED after %ss\n' "$1" "$((SECONDS - began))"
        failed+=("$1")
    fi
}

[ "$#" -gt 0 ] || set -- style format types imports templates migrations deployment cores tests postgres
for name in "$@"; do
    step "$name"
done

if [ "${#failed[@]}" -gt 0 ]; then
    printf '\nFailed: %s\n' "${failed[*]}" >&2
    exit 1
fi
printf '\nVerified in %ss.\n' "$SECONDS"
