"""JSON about users' rules: kept, checked, and tried on past candles."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status

from accounts.auth import Caller, NotFound, TokenAuth, actor_of
from exchanges.core.candles import from_ms, timeframe_ms
from exchanges.core.decimals import from_float
from exchanges.schemas import PageQuery, object_id
from strategies import operations
from strategies.core.errors import ParameterError
from strategies.core.preview import Preview
from strategies.core.rule_schema import definition_schema
from strategies.core.rules import RuleStrategy
from strategies.models import RuleSet
from strategies.operations import RuleSetFacts
from strategies.queries import previews, rules
from strategies.queries.previews import Source, UnknownSource
from strategies.schemas import (
    PreviewIn,
    PreviewOut,
    RuleBody,
    RuleChecked,
    RuleSetIn,
    RuleSetOut,
    RuleSetsOut,
    RuleSetUpdate,
    VersionsOut,
)

router = Router(tags=["Rules"])
T = TypeVar("T")
READ, TRADE = TokenAuth("read"), TokenAuth("trade")


def _caller(request: HttpRequest) -> Caller:
    caller: Caller = request.auth  # type: ignore[attr-defined]
    return caller


def _mine(request: HttpRequest, rule_set_id: str) -> RuleSet:
    try:
        return rules.rule_set_model(_caller(request).user, object_id(rule_set_id))
    except RuleSet.DoesNotExist:
        raise NotFound("There is no such rule set.") from None


def _strategy(definition: dict[str, Any]) -> RuleStrategy:
    try:
        return RuleStrategy(definition)
    except ParameterError as error:
        raise ValidationError({"definition": error.errors["definition"]}) from None


@router.get("/api/v1/rules", auth=READ, response=RuleSetsOut)
def list_rule_sets(request: HttpRequest, page: Query[PageQuery]) -> dict[str, object]:
    """Your rule sets, newest first."""
    items, following = rules.rule_sets_of(_caller(request).user, limit=page.limit, before=page.cursor)
    return {"items": items, "next": following}


@router.post("/api/v1/rules", auth=TRADE, response={201: RuleSetOut})
def create_rule_set(request: HttpRequest, body: RuleSetIn, response: HttpResponse) -> Status[Any]:
    """Keep a rule. Start it with its `params` as the strategy `rules`."""
    facts = RuleSetFacts(body.name, body.description, body.definition)
    made = _written(lambda: operations.create_rule_set(_caller(request).user, facts, timezone.now(), actor_of(request)))
    response["Location"] = f"/api/v1/rules/{made.pk}"
    return Status(201, rules.view_of(made))


@router.get("/api/v1/rules/schema", auth=READ, response=dict[str, Any])
def rule_schema(request: HttpRequest) -> dict[str, Any]:
    """JSON Schema of a definition."""
    return definition_schema()


@router.post("/api/v1/rules/validate", auth=READ, response=RuleChecked)
def validate_rule(request: HttpRequest, body: RuleBody) -> dict[str, object]:
    """Whether a definition is a rule, and what it says; a 422 names the place of what is wrong."""
    strategy = _strategy(body.definition)
    params = strategy.params
    return {
        "definition": params["definition"],
        "words": strategy.words,
        "limits": strategy.protections,
        "warmup": strategy.warmup,
    }


@router.post("/api/v1/rules/preview", auth=READ, response=PreviewOut)
def preview_rule(request: HttpRequest, body: PreviewIn) -> dict[str, object]:
    """Where a definition would have bought and sold on stored candles, or on the demo market's."""
    strategy = _strategy(body.definition)
    wanted = Source(body.exchange, body.symbol, body.timeframe)
    try:
        source = previews.source_of(wanted.key)
        seen = previews.preview_of(strategy, source, body.candles)
    except UnknownSource as error:
        raise ValidationError({"symbol": str(error)}) from None
    return _preview(source, seen)


def _preview(source: Source, seen: Preview) -> dict[str, object]:
    opened = seen.candles.opened_at
    until = from_ms(int(opened[-1]) + timeframe_ms(source.timeframe)) if len(opened) else None
    return {
        "exchange": source.exchange,
        "symbol": source.symbol,
        "timeframe": source.timeframe,
        "synthetic": source.synthetic,
        "candles": len(opened),
        "since": from_ms(int(opened[0])) if len(opened) else None,
        "until": until,
        "entries": seen.entries,
        "exits": seen.exits,
        "warming_up": seen.warming_up,
        "marks": [
            {
                "at": from_ms(int(opened[mark.index])),
                "side": "buy" if mark.entry else "sell",
                "price": from_float(round(mark.price, 8)),
                "reason": mark.reason,
            }
            for mark in seen.marks
        ],
    }


@router.get("/api/v1/rules/{id}", auth=READ, response=RuleSetOut)
def show_rule_set(request: HttpRequest, id: str) -> rules.RuleSetView:  # noqa: A002 - the contract's word
    """A rule set of yours, with the `params` and `limits` that start a run by it."""
    return rules.view_of(_mine(request, id))


@router.put("/api/v1/rules/{id}", auth=TRADE, response=RuleSetOut)
def update_rule_set(request: HttpRequest, id: str, body: RuleSetUpdate) -> rules.RuleSetView:  # noqa: A002 - the contract's word
    """A new version. What runs goes on with the definition that it was started with."""
    mine, facts = _mine(request, id), RuleSetFacts(body.name, body.description, body.definition)
    at, actor = timezone.now(), actor_of(request)
    return rules.view_of(
        _written(lambda: operations.update_rule_set(mine, facts, at, actor, expected_version=body.version))
    )


@router.delete("/api/v1/rules/{id}", auth=TRADE, response={204: None})
def delete_rule_set(request: HttpRequest, id: str) -> Status[Any]:  # noqa: A002 - the contract's word
    """409 while an active run was started from it."""
    mine, at, actor = _mine(request, id), timezone.now(), actor_of(request)
    _written(lambda: operations.delete_rule_set(mine, at, actor, in_use=rules.in_use))
    return Status(204, None)


@router.get("/api/v1/rules/{id}/versions", auth=READ, response=VersionsOut)
def list_rule_set_versions(request: HttpRequest, id: str) -> dict[str, object]:  # noqa: A002 - the contract's word
    """What it said before, newest first."""
    return {"items": rules.versions_of(_mine(request, id))}


def _written(write: Callable[[], T]) -> T:
    """A rule set that was deleted in between is not there; every RuleSetProblem is a 409."""
    try:
        return write()
    except RuleSet.DoesNotExist:
        raise NotFound("There is no such rule set.") from None
