"""The JSON API: every router under one roof, with what holds for all of them."""

import json
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import NinjaAPI, Router, Status
from ninja.params.models import QueryModel
from ninja.parser import Parser
from redis.exceptions import RedisError

from accounts.auth import TokenAuth
from bots.api import routers
from strategies.api import router as strategies_router
from strategies.api.rules import router as rules_router
from tradingbot import idempotency, problems
from tradingbot.health import State, health, readiness
from tradingbot.openapi import documented
from tradingbot.problems import Problem, Refusal

DESCRIPTION = (
    "Everything the pages do, as JSON. Send `Authorization: Bearer tb_…`; tokens are made on the page *API tokens* or "
    "by `manage.py token_create`. Money is a decimal string, a time is ISO-8601 in UTC with Z, a list is one page with "
    "`next`, a failure is an `application/problem+json` whose `code` is stable."
)
View = Callable[..., Any]
SAFE = {"GET", "HEAD", "OPTIONS"}
MINUTE = 60
#: What stops trading is never told to wait.
UNLIMITED = {"/api/v1/kill-switch", "/bot/stop"}


class StrictParser(Parser):
    """JSON as its standard has it, once per name, and nothing that a database cannot store."""

    def parse_body(self, request: HttpRequest) -> Any:
        document = json.loads(request.body.decode(), parse_constant=_no_constant, object_pairs_hook=_no_repetition)
        for text in _texts(document):
            if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError("Expected text without NUL and without halves of characters.")
        return document


class Api(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> Any:
        scopes = {
            self.get_openapi_operation_id(operation): auth.scope
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
            for auth in operation.auth_callbacks
            if isinstance(auth, TokenAuth)
        }
        return documented(super().get_openapi_schema(**options), scopes)

    def get_openapi_operation_id(self, operation: Any) -> str:
        return str(operation.view_func.__name__)


def known_query(view: View) -> View:
    """An unknown or repeated query parameter is a mistake, not a wish to be ignored."""
    models = view._ninja_operation.models  # type: ignore[attr-defined]
    known = {name for model in models if issubclass(model, QueryModel) for name in model.__ninja_flatten_map__}

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        wrong = {
            name: f"Expected one of {', '.join(sorted(known))}." if known else "Expected no query parameters."
            for name in request.GET
            if name not in known
        }
        wrong |= {name: "Expected once." for name in known if len(request.GET.getlist(name)) > 1}
        if wrong:
            detail = "; ".join(f"{name}: {text}" for name, text in wrong.items())
            errors = [{"loc": ["query", name], "detail": text} for name, text in wrong.items()]
            raise Refusal(Problem(422, "invalid_query", detail, errors))
        return view(request, *args, **kwargs)

    return checked


def limited(view: View) -> View:
    """At most so many writes per token and minute."""

    @wraps(view)
    def counted(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method not in SAFE and request.path not in UNLIMITED:
            _count(request.auth.token.prefix)  # type: ignore[attr-defined]
        return view(request, *args, **kwargs)

    return counted


def _count(token: str) -> None:
    seconds = int(timezone.now().timestamp())
    name = f"api-writes:{token}:{seconds // MINUTE}"
    try:
        cache.add(name, 0, 2 * MINUTE)
        count = cache.incr(name)
    except (RedisError, ValueError):
        # Without the cache nobody counts: what stops a run must work with nothing but the database.
        return
    if count > settings.API_WRITES_PER_MINUTE:
        wait = str(MINUTE - seconds % MINUTE)
        detail = f"Expected at most {settings.API_WRITES_PER_MINUTE} writes a minute; go on in {wait} s."
        raise Refusal(Problem(429, detail=detail, headers={"Retry-After": wait}))


def _no_constant(name: str) -> None:
    raise ValueError(f"Expected JSON, which knows no {name}.")


def _no_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError("Expected every field of an object once.")
    return fields


def _texts(document: Any) -> Iterator[str]:
    """Every text in a JSON document, names included."""
    waiting = [document]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case list() as items:
                waiting += items
            case dict() as fields:
                waiting += [*fields, *fields.values()]


status_router = Router(tags=["Platform"])


@status_router.get("/health", auth=None, response={200: dict[str, str], 503: dict[str, str]})
def get_health(request: HttpRequest) -> HttpResponse:
    """Whether this process lives and its database answers."""
    return health(request)


@status_router.get("/api/v1/health/ready", auth=TokenAuth("admin"), response={200: dict[str, Any], 503: dict[str, Any]})
def get_readiness(request: HttpRequest) -> Status[Any]:
    """Database, broker, worker, beat and market data, each with its own state; 503 when one has failed."""
    parts = readiness(timezone.now())
    failed = any(part["state"] == State.FAILED for part in parts.values())
    return Status(503 if failed else 200, parts)


def build() -> NinjaAPI:
    made = Api(
        title="Tradingbot",
        version=settings.VERSION,
        description=DESCRIPTION,
        urls_namespace="api",
        # Nothing is public by omission: a route without its own scope needs the strictest one.
        auth=TokenAuth("admin"),
        parser=StrictParser(),
        openapi_url=None,
        docs_url=None,
    )
    problems.install(made)
    made.add_decorator(idempotency.idempotent)
    made.add_decorator(limited)
    made.add_decorator(known_query)
    made.add_decorator(idempotency.remembering, mode="view")
    for router in (status_router, strategies_router, rules_router, *routers):
        made.add_router("", router)
    return made


api = build()
