"""JSON about capital: what each account's runs own, what is left, and the ledger of both."""

from typing import Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema

from accounts.auth import TokenAuth
from bots.api.callers import caller_of
from bots.queries import capital
from bots.queries.shapes import Page
from exchanges.schemas import Answer, Listing, Money, PageQuery, Utc

router = Router(tags=["Markets and money"])


class RunCapitalOut(Answer):
    bot_run_id: int
    symbol: str
    status: str
    capital: Money
    flows: Money
    owned: Money


class CapitalOut(Answer):
    account_id: int
    account: str
    mode: Literal["paper", "live"]
    exchange: str
    exchange_key_id: int | None
    quote: str
    reserved: Money
    flows: Money
    owned: Money
    free: Money | None
    available: Money | None
    runs: list[RunCapitalOut]


class CapitalsOut(Listing[CapitalOut]):
    pass


class CapitalEntryOut(Answer):
    id: int
    at: Utc
    kind: Literal["reserve", "release"]
    amount: Money
    quote: str
    account_id: int
    mode: Literal["paper", "live"]
    exchange: str
    bot_run_id: int
    symbol: str


class CapitalEntriesOut(Listing[CapitalEntryOut]):
    pass


class CapitalQuery(Schema):
    mode: Literal["", "paper", "live"] = ""


@router.get("/api/v1/capital", auth=TokenAuth("read"), response=CapitalsOut)
def list_capital(request: HttpRequest, query: Query[CapitalQuery]) -> dict[str, object]:
    """Per account and quote currency: reserved, flows of fills, owned by runs, free, available to the next run."""
    return {"items": capital.capital_of(caller_of(request).user, timezone.now(), mode=query.mode)}


@router.get("/api/v1/capital/entries", auth=TokenAuth("read"), response=CapitalEntriesOut)
def list_capital_entries(request: HttpRequest, query: Query[PageQuery]) -> Page:
    """The append-only ledger, newest first: what each run reserved and gave back."""
    return capital.entries_of(caller_of(request).user, limit=query.limit, before=query.cursor)
