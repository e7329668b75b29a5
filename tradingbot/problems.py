"""RFC 9457: every failure on a JSON path, as one document that says what went wrong and leaks nothing else."""

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation, ValidationError
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from ninja import NinjaAPI
from ninja import errors as ninja

from accounts.auth import Forbidden, NotFound
from bots.core.columns import ColumnError
from bots.core.limits import LimitError
from bots.lifecycle import Conflict, ExchangeDown, Invalid, NotPermitted, StartRefused, WrongStatus
from bots.models import BotRun, Order
from exchanges.connect import KeyErased
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol, UnknownTimeframe
from exchanges.models import ExchangeKey
from exchanges.operations import KeyAlreadyAdded, KeyCanWithdraw, KeyInUse, KeyProblem, KeyRefused
from strategies.core.errors import ParameterError, UnknownStrategy
from strategies.operations import RuleSetProblem
from strategies.queries import StrategyDisabled

log = logging.getLogger(__name__)
MEDIA_TYPE = "application/problem+json"
CODES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "invalid",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
DETAILS = {
    404: "There is nothing here.",
    405: "This path does not know this method; Allow lists those it does.",
    413: "The body is too large.",
    500: "Something went wrong here. Nothing about it is shown; its request_id stands in the log.",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """``code`` is the stable word to program against; ``errors`` names each wrong field."""

    status: int
    code: str = ""
    detail: str = ""
    errors: Sequence[Mapping[str, Any]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self, request: HttpRequest) -> HttpResponse:
        code = self.code or CODES.get(self.status, "error")
        document: dict[str, Any] = {
            "type": f"urn:tradingbot:problem:{code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail or DETAILS.get(self.status, HTTPStatus(self.status).description),
            "code": code,
            "request_id": getattr(request, "request_id", ""),
        }
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            document["errors"] = [_placed(error, request) for error in self.errors]
        content = json.dumps(document, default=str)
        return HttpResponse(content, status=self.status, content_type=MEDIA_TYPE, headers=dict(self.headers))


def _placed(error: Mapping[str, Any], request: HttpRequest) -> dict[str, Any]:
    """A domain error knows its field, not where this route takes it from."""
    place, *rest = error["loc"]
    return {**error, "loc": ["query" if place == "body" and request.method == "GET" else place, *rest]}


def invalid(code: str, detail: str, fields: Mapping[str, object]) -> Problem:
    """422 from field → what was expected; a dotted field (``params.rsi_period``) is a path."""
    errors = [{"loc": ["body", *name.split(".")], "detail": _sentence(text)} for name, text in fields.items()]
    return Problem(422, code, detail, errors)


def _sentence(text: object) -> str:
    return " ".join(str(part) for part in text) if isinstance(text, list | tuple) else str(text)


def from_validation(error: ninja.ValidationError) -> Problem:
    errors = [
        {"loc": _location(item["loc"]), "detail": _message(item), "type": item.get("type", "value_error")}
        for item in error.errors
    ]
    named = "; ".join(f"{'.'.join(map(str, item['loc'][1:] or item['loc']))}: {item['detail']}" for item in errors[:5])
    return Problem(422, "invalid", named, errors)


def _location(parts: Iterable[Any]) -> list[Any]:
    """Without the name that the endpoint's argument happens to have, which is always its source's."""
    source, *rest = parts
    return [source, *(rest[1:] if rest and rest[0] == source else rest)]


def _message(item: Mapping[str, Any]) -> str:
    return str(item.get("msg", "")).removeprefix("Value error, ")


def from_django(error: ValidationError) -> Problem:
    fields = error.message_dict if hasattr(error, "error_dict") else {"body": error.messages}
    return invalid("invalid", "; ".join(f"{name}: {_sentence(texts)}" for name, texts in fields.items()), fields)


def from_http_error(error: ninja.HttpError) -> Problem:
    if error.status_code == HTTPStatus.BAD_REQUEST and error.__cause__ is not None:
        reason = str(error.__cause__) or "Expected JSON."
        return Problem(422, "malformed_json", reason, [{"loc": ["body"], "detail": reason, "type": "json_invalid"}])
    return Problem(error.status_code, detail=str(error))


def from_start(status: int) -> Callable[[StartRefused], Problem]:
    def problem(error: StartRefused) -> Problem:
        made = invalid(error.code, error.detail, error.errors)
        return Problem(status, made.code, made.detail, made.errors)

    return problem


def from_exchange(fault: ExchangeFault) -> Problem:
    wait = 5 if fault.retry_at is None else max(1, math.ceil((fault.retry_at - timezone.now()).total_seconds()))
    return Problem(503, fault.code.lower(), fault.detail, headers={"Retry-After": str(wait)})


def unauthorized(error: object) -> Problem:
    detail = "Expected a valid token in Authorization: Bearer tb_…"
    return Problem(401, detail=detail, headers={"WWW-Authenticate": 'Bearer realm="tradingbot"'})


def missing(error: object) -> Problem:
    return Problem(404, detail="There is no such object.")


def coded(status: int, code: str = "") -> Callable[[Any], Problem]:
    """The exception's own code and message."""
    return lambda error: Problem(status, code or error.code, str(error))


def field_problem(code: str, name: str) -> Callable[[Exception], Problem]:
    return lambda error: invalid(code, str(error), {name: str(error)})


def under(code: str, name: str) -> Callable[[Any], Problem]:
    """From the errors of a body's inner object, each by its name."""
    return lambda error: invalid(code, str(error), {f"{name}.{key}": text for key, text in error.errors.items()})


# The one place where a domain exception becomes a status; the most specific class wins.
TABLE: Mapping[type[Exception], Callable[[Any], Problem]] = {
    ninja.ValidationError: from_validation,
    ninja.HttpError: from_http_error,
    ninja.AuthenticationError: unauthorized,
    Forbidden: coded(403),
    NotFound: missing,
    Http404: missing,
    BotRun.DoesNotExist: missing,
    ExchangeKey.DoesNotExist: missing,
    Order.DoesNotExist: missing,
    Invalid: from_start(422),
    NotPermitted: from_start(403),
    Conflict: from_start(409),
    ExchangeDown: from_start(503),
    WrongStatus: coded(409, "wrong_status"),
    KeyProblem: coded(422),
    KeyCanWithdraw: coded(422),
    KeyRefused: coded(422),
    KeyAlreadyAdded: coded(409),
    KeyInUse: coded(409),
    KeyErased: missing,
    LimitError: under("invalid_limits", "limits"),
    ParameterError: under("invalid_params", "params"),
    ColumnError: field_problem("invalid_indicators", "indicators"),
    UnknownStrategy: field_problem("unknown_strategy", "strategy"),
    StrategyDisabled: field_problem("strategy_disabled", "strategy"),
    RuleSetProblem: coded(409),
    UnknownExchange: field_problem("unknown_exchange", "exchange"),
    UnknownSymbol: field_problem("unknown_symbol", "symbol"),
    UnknownTimeframe: field_problem("unknown_timeframe", "timeframe"),
    ExchangeFault: from_exchange,
    ValidationError: from_django,
    RequestDataTooBig: lambda error: Problem(413),
    SuspiciousOperation: lambda error: Problem(400),
    BadRequest: lambda error: Problem(400),
    UnreadablePostError: lambda error: Problem(400, detail="The body ended early."),
    OperationalError: lambda error: Problem(503, "busy", "The database is busy or away.", headers={"Retry-After": "1"}),
    InterfaceError: lambda error: Problem(503, "busy", "The database is away.", headers={"Retry-After": "1"}),
}


class Refusal(Exception):
    """An interface's own no, with its document."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def problem_of(error: Exception) -> Problem:
    if isinstance(error, Refusal):
        return error.problem
    make = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    return Problem(500) if make is None else make(error)


def install(api: NinjaAPI) -> None:
    """Every exception of every operation becomes a problem; what the table does not name is our fault, and logged."""

    def handle(request: HttpRequest, error: Any) -> HttpResponse:
        problem = problem_of(error)
        if problem.status == HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(error, DatabaseError):
            log.error("%s %s failed (request %s)", request.method, request.path, _id(request), exc_info=error)
        return problem.response(request)

    for kind in (Exception, Http404, ninja.HttpError, ninja.ValidationError):
        api.add_exception_handler(kind, handle)


def _id(request: HttpRequest) -> str:
    return str(getattr(request, "request_id", ""))
