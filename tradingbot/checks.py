"""System checks: mistakes of configuration that Django itself cannot know, each with an id and a way out."""

import base64
import re
import stat
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, Info, Tags, register

# Paths that are spoken for: pages, JSON routes, documents, static files.
TAKEN = {"api", "app", "bot", "dashboard", "docs", "exchange", "health", "metrics", "openapi.json", "redoc", "static"}
TAKEN |= {"strategies", "trades"}
ADMIN_PATH = re.compile(r"([A-Za-z0-9_~.-]+/)+")
CREDENTIALS = {"apikey", "secret", "password", "privatekey", "walletaddress", "token", "uid"}


@register(Tags.security)
def check_configuration(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    return [*_debug(), *_keys(), *_origins(), *_admin_path(), *_overrides(), *_secret_files()]


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Any = None, **_: Any) -> list[CheckMessage]:
    return [*_hosts(), *_proxies()]


def _debug() -> Iterator[CheckMessage]:
    if settings.DEBUG and settings.HTTPS:
        hint = "Set DEBUG=off: error pages with settings and variables are for a machine of your own."
        yield Error("DEBUG and HTTPS are both on.", hint=hint, id="tradingbot.E001")


def _keys() -> Iterator[CheckMessage]:
    keys = list(settings.ENCRYPTION_KEYS)
    if settings.SECRET_KEY in {base64.b64encode(key).decode() for key in keys}:
        hint = "Make another SECRET_KEY: whoever forges a session must not thereby read exchange keys."
        yield Error("SECRET_KEY is also an encryption key.", hint=hint, id="tradingbot.E002")
    if len(set(keys)) != len(keys):
        hint = "Remove from ENCRYPTION_KEYS_RETIRED what is in use or stands there twice."
        yield Error("An encryption key is listed twice.", hint=hint, id="tradingbot.E003")


def _origins() -> Iterator[CheckMessage]:
    for origin in settings.CORS_ALLOWED_ORIGINS:
        if not is_origin(origin):
            hint = "Write scheme and host only, as in https://app.example.org; a wildcard is never right here."
            yield Error(f"CORS_ALLOWED_ORIGINS holds {origin!r}.", hint=hint, id="tradingbot.E004")


def is_origin(text: str) -> bool:
    parts = urlsplit(text)
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and "*" not in host and text == f"{parts.scheme}://{host}{port}"


def _admin_path() -> Iterator[CheckMessage]:
    path = settings.ADMIN_PATH
    if not ADMIN_PATH.fullmatch(path) or path.split("/")[0] in TAKEN:
        hint = "Choose words of letters, digits, - and _, and not one that pages or the API use."
        yield Error(f"ADMIN_PATH is {path!r}.", hint=hint, id="tradingbot.E005")


def _overrides() -> Iterator[CheckMessage]:
    for exchange, options in settings.EXCHANGE_OVERRIDES.items():
        if not isinstance(options, dict):
            hint = 'Write {"exchange": {"option": …}}.'
            yield Error(f"EXCHANGE_OVERRIDES of {exchange} is no object.", hint=hint, id="tradingbot.E006")
        elif found := CREDENTIALS & {name.lower() for name in options}:
            hint = "Remove them: every user's keys are added on the keys page, with key_add or by the API."
            text = f"EXCHANGE_OVERRIDES of {exchange} holds {', '.join(sorted(found))}."
            yield Error(text, hint=hint, id="tradingbot.E007")


def _secret_files() -> Iterator[CheckMessage]:
    folder = settings.VAR_DIR / "secrets"
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            hint = f"chmod 600 {path}"
            yield checks.Warning(f"Others may read {path}.", hint=hint, id="tradingbot.W001")


def _hosts() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts: links in mails are built from the Host header."
        yield Error("ALLOWED_HOSTS admits every host.", hint=hint, id="tradingbot.E008")


def _proxies() -> Iterator[CheckMessage]:
    if settings.HTTPS and not settings.TRUSTED_PROXIES:
        hint = "Set TRUSTED_PROXIES to how many proxies stand in front, else every page redirects to itself."
        yield Info("HTTPS is on, and no proxy is trusted to say that TLS is there.", hint=hint, id="tradingbot.I001")
