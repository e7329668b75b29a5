"""Reads the environment; a malformed value stops the process with the variable's name."""

import base64
import binascii
import json
import logging
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "on", "true", "yes"}
FALSE = {"", "0", "off", "false", "no"}
KEY_BYTES = 32


def envtext(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def envbool(name: str, default: bool = False) -> bool:
    text = os.environ.get(name)
    if text is None:
        return default
    if text.strip().lower() in TRUE:
        return True
    if text.strip().lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}: Expected on or off, was {text!r}.")


def envint(name: str, default: int, *, least: int = 0, most: int = 1_000_000) -> int:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    raise ImproperlyConfigured(f"{name}: Expected a whole number from {least} to {most}, was {text!r}.")


def envlevel(name: str, default: str) -> str:
    """The name of one of logging's levels."""
    text = envtext(name).upper() or default
    levels = [level for level in logging.getLevelNamesMapping() if level not in {"NOTSET", "WARN", "FATAL"}]
    if text not in levels:
        raise ImproperlyConfigured(f"{name}: Expected one of {', '.join(levels)}, was {text!r}.")
    return text


def envlist(name: str, default: str = "") -> list[str]:
    return [part.strip() for part in envtext(name, default).split(",") if part.strip()]


def envsecret(name: str, var: Path, *, required: bool = True) -> str:
    """The value of NAME, else of the file NAME_FILE, else of var/secrets/NAME."""
    if value := os.environ.get(name, "").strip():
        return value
    path = Path(os.environ[f"{name}_FILE"]) if os.environ.get(f"{name}_FILE") else var / "secrets" / name
    given = bool(os.environ.get(f"{name}_FILE"))
    if given or path.is_file():
        return _file_text(f"{name}_FILE" if given else name, path)
    if required:
        raise ImproperlyConfigured(
            f"{name} is not set. Set {name} or {name}_FILE, or start with ./run.sh, which makes one."
        )
    return ""


def _file_text(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise ImproperlyConfigured(f"{name}: Expected a readable text file, was {str(path)!r}.") from None


def encryption_key(name: str, text: str) -> bytes:
    """Decode one base64 key of exactly 32 bytes; the value itself never enters the message."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ImproperlyConfigured(f"{name}: Expected base64 of exactly {KEY_BYTES} bytes.") from None
    if len(key) != KEY_BYTES:
        raise ImproperlyConfigured(f"{name}: Expected {KEY_BYTES} bytes, was {len(key)}.")
    if len(set(key)) == 1:
        raise ImproperlyConfigured(f"{name}: Expected random bytes, was one byte repeated.")
    return key


def envjson(name: str) -> dict[str, Any]:
    """A JSON object, or the path of a file that holds one."""
    text = envtext(name)
    if not text:
        return {}
    if not text.startswith("{"):
        text = _file_text(name, Path(text))
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: Expected a JSON object ({error}).") from None
    if not isinstance(value, dict):
        raise ImproperlyConfigured(f"{name}: Expected a JSON object, was {type(value).__name__}.")
    return value


SQLITE_PRAGMAS = (
    # FULL: an order's SENDING row must be on disk before a byte leaves (docs/execution.md).
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA mmap_size=134217728; "
    "PRAGMA journal_size_limit=27103364; PRAGMA cache_size=2000;"
)


def sqlite(path: Path | str) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        # IMMEDIATE: a deferred read that upgrades to a write fails at once, whatever the time-out.
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS},
    }


def _url(name: str, url: str) -> SplitResult:
    """The parts of a URL; its text never enters the message, since a password is what is mostly wrong in it."""
    try:
        parts = urlsplit(url)
        wrong = bool(parts.fragment) or parts.port == 0
    except ValueError:
        wrong = True
    if wrong:
        raise ImproperlyConfigured(
            f"{name}: Expected a URL with a port from 1 to 65535, if any, and its password percent-encoded."
        )
    return parts


def redis_server(url: str) -> str:
    """REDIS_URL as it is, if it is one that Redis' clients understand; empty in embedded mode."""
    if url and _url("REDIS_URL", url).scheme not in {"redis", "rediss", "unix"}:
        raise ImproperlyConfigured("REDIS_URL: Expected redis://, rediss:// or unix://.")
    return url


def database(url: str, var: Path) -> dict[str, Any]:
    """Django's DATABASES entry for DATABASE_URL: postgresql://… or sqlite:///path."""
    if not url:
        return sqlite(var / "tradingbot.sqlite3")
    parts = _url("DATABASE_URL", url)
    if parts.scheme == "sqlite":
        return sqlite(unquote(parts.path)[1:] or var / "tradingbot.sqlite3")
    if parts.scheme not in {"postgres", "postgresql"}:
        raise ImproperlyConfigured(f"DATABASE_URL: Expected postgresql:// or sqlite://, was {parts.scheme}://.")
    options = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", "") or unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": {**options, "pool": {"min_size": 1, "max_size": 8, "timeout": 20}},
    }


def email(url: str) -> dict[str, Any]:
    """Django's EMAIL_* settings for EMAIL_URL: smtp://user:password@host:port, or smtps:// or smtp+tls://."""
    if not url:
        return {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}
    parts = _url("EMAIL_URL", url)
    # An option such as ?tls=on must not be passed over: the password would go out in the clear.
    if parts.scheme not in {"smtp", "smtps", "smtp+tls"} or not parts.hostname or parts.query:
        raise ImproperlyConfigured("EMAIL_URL: Expected smtp://, smtps:// or smtp+tls:// with a host, and no options.")
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": parts.hostname,
        "EMAIL_PORT": parts.port or {"smtp": 25, "smtps": 465, "smtp+tls": 587}[parts.scheme],
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_USE_SSL": parts.scheme == "smtps",
        "EMAIL_USE_TLS": parts.scheme == "smtp+tls",
        "EMAIL_TIMEOUT": 10,
    }


def start_sentry(dsn: str, release: str) -> None:
    """Error reports without request bodies, users or local variables: any of them may hold a secret."""
    try:
        import sentry_sdk
    except ImportError:
        raise ImproperlyConfigured(
            "SENTRY_DSN is set: Expected sentry-sdk to be installed (pip install sentry-sdk)."
        ) from None
    sentry_sdk.init(
        dsn=dsn, release=release, send_default_pii=False, include_local_variables=False, max_request_body_size="never"
    )
