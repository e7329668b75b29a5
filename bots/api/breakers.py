"""JSON about circuit breakers: how each stands and why, and the reset by a person."""

from contextlib import suppress
from typing import Annotated, Literal

from django.core.exceptions import ObjectDoesNotExist
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field, StringConstraints

from accounts.auth import NotFound, TokenAuth, actor_of
from bots import breakers as writes
from bots.api.callers import caller_of
from bots.queries import breakers
from bots.queries.breakers import BreakerView
from exchanges.schemas import Answer, Body, Listing, Utc, object_id

router = Router(tags=["Risk"])


class BreakerEventOut(Answer):
    at: Utc
    from_state: str = Field(serialization_alias="from")
    to_state: str = Field(serialization_alias="to")
    reason: str
    actor: str


class BreakerOut(Answer):
    id: int
    level: Literal["user", "key", "run"]
    target: int
    mode: Literal["paper", "live"]
    quote: str = Field(description="Of which runs money is summed up; empty where none is.")
    symbol: str
    name: str
    code: str
    state: Literal["closed", "open", "half_open"]
    reason: str
    tripped_at: Utc | None
    half_open_at: Utc | None = Field(description="Null while open: only a person closes it.")
    changed_at: Utc
    changed_by: str
    events: list[BreakerEventOut]


class BreakersOut(Listing[BreakerOut]):
    pass


class BreakerQuery(Schema):
    state: Literal["", "closed", "open", "half_open"] = ""


class ResetIn(Body):
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


@router.get("/api/v1/breakers", auth=TokenAuth("read"), response=BreakersOut, by_alias=True)
def list_breakers(request: HttpRequest, query: Query[BreakerQuery]) -> dict[str, object]:
    """Every protection of your runs and over all of them, the tripped ones first, with its last changes."""
    found = breakers.breakers_of(caller_of(request).user, timezone.now())
    return {"items": [one for one in found if query.state in ("", one.state)]}


@router.post("/api/v1/breakers/{id}/reset", auth=TokenAuth("trade"), response=BreakerOut, by_alias=True)
def reset_breaker(request: HttpRequest, id: str, body: ResetIn) -> BreakerView:  # noqa: A002 - the contract's word
    """Close it by hand, with a reason; audited. A closed one stays as it is."""
    at, user = timezone.now(), caller_of(request).user
    try:
        row = breakers.breaker_model(user, object_id(id))
    except ObjectDoesNotExist:
        raise NotFound("There is no such object.") from None
    with suppress(writes.NothingToReset):
        writes.reset(row, body.reason, at, actor_of(request))
    return breakers.breaker_of(user, row.pk, at)
