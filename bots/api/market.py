"""JSON about money in the accounts and candles of the markets."""

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router

from accounts.auth import TokenAuth
from bots.api.callers import caller_of
from bots.queries import candles, money
from bots.queries.candles import CandleFilter, CandlePage
from bots.schemas import BalancesOut
from exchanges.core.candles import from_ms
from exchanges.schemas import CandleQuery, CandlesOut

router = Router(tags=["Markets and money"])


@router.get("/api/v1/balances", auth=TokenAuth("read"), response=BalancesOut)
def list_balances(request: HttpRequest) -> dict[str, object]:
    """Free and locked, per key and paper wallet; an exchange that does not answer is left out."""
    return {"items": money.balances_of(caller_of(request).user, timezone.now())}


@router.get("/api/v1/candles", auth=TokenAuth("read"), response=CandlesOut)
def list_candles(request: HttpRequest, query: Query[CandleQuery]) -> CandlePage:
    """Closed candles, the oldest first; `indicators` adds columns."""
    given = dict(query)
    cursor = given.pop("cursor")
    if cursor is not None:
        given["since"] = from_ms(cursor)
    return candles.candles_of(CandleFilter(**given), timezone.now())
