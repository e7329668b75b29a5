#!/bin/sh
# Passwords come as files; the two URLs that need one are put together here and stay in this process tree.
set -eu

if [ -n "${POSTGRES_PASSWORD_FILE:-}" ]; then
    DATABASE_URL="postgresql://tradingbot:$(cat "$POSTGRES_PASSWORD_FILE")@${POSTGRES_HOST:-postgres}/tradingbot"
    export DATABASE_URL
fi
if [ -n "${REDIS_PASSWORD_FILE:-}" ]; then
    REDIS_URL="redis://:$(cat "$REDIS_PASSWORD_FILE")@${REDIS_HOST:-redis}:6379/0"
    export REDIS_URL
fi
exec "$@"
