#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts, once; an existing one is never overwritten.
set -euo pipefail
cd "$(dirname "$0")"

umask 077
mkdir -p secrets
make() { # make NAME COMMAND…
    local name=$1
    shift
    [ -e "secrets/$name" ] && return
    "$@" >"secrets/$name"
    # The folder keeps others out; inside the containers another user has to read the file.
    chmod 444 "secrets/$name"
    printf 'made deploy/secrets/%s\n' "$name"
}
make secret_key openssl rand -base64 48
make encryption_key openssl rand -base64 32
make postgres_password openssl rand -hex 32
make redis_password openssl rand -hex 32
printf 'Keep a copy of encryption_key apart from the backups: without it no stored exchange key can be read.\n'
