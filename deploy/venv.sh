# Sourced by run.sh and verify.sh: makes .venv from a hashed lock, once per content of that lock.

VENV=$PWD/.venv

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

find_python() {
    local name
    for name in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$name"
            return
        fi
    done
    return 1
}

make_venv() {
    local python
    python=$(find_python) || fail "Expected Python 3.11 or newer${PYTHON:+ at $PYTHON}, found none: install it, or name it with PYTHON=/path/to/python3."
    "$python" -c 'import ensurepip, venv' >/dev/null 2>&1 ||
        fail "$python cannot make virtual environments: install its venv package (Debian and Ubuntu: apt install python3-venv)."
    { rm -rf "$VENV" && mkdir "$VENV" && : >"$VENV/.unfinished"; } 2>/dev/null || fail "Expected a writable folder, was $PWD."
    "$python" -m venv "$VENV" >/dev/null || fail "$python could not make the virtual environment $VENV."
}

# install LOCK: the stamp is a copy of the lock itself. A run that was cut short leaves `.unfinished`
# behind, and pip would take a half-copied package for a whole one: then everything is made anew.
install() {
    local stamp=$VENV/.installed-$1
    if [ ! -e "$VENV/.unfinished" ] && cmp -s "$1" "$stamp" 2>/dev/null && "$VENV/bin/python" -c '' >/dev/null 2>&1; then
        return
    fi
    if [ -e "$VENV/.unfinished" ] || ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        make_venv
    fi
    : >"$VENV/.unfinished" 2>/dev/null || fail "Expected a writable folder, was $VENV."
    printf 'Installing the packages of %s, once (about half a minute)…\n' "$1"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        --only-binary :all: --require-hashes --requirement "$1" ||
        fail "The packages of $1 could not be installed (see above); ready-made ones exist for Linux (glibc) and macOS on x86-64 and arm64. Run it again to resume."
    cp "$1" "$stamp" && rm "$VENV/.unfinished"
}
