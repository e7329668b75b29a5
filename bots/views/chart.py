"""A bot's market as its strategy sees it: candles, indicators and the bot's own trades."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth import signed_in, user_of
from bots.queries import history, runs
from bots.queries.shapes import RunView, TradeFilter, TradeView
from bots.views.candle_drawing import drawn
from bots.views.shell import found_or_404
from exchanges import market_data
from exchanges.core.candles import Candles, Floats, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import from_float
from exchanges.core.errors import ExchangeFault, UnknownSymbol
from strategies import queries as strategies
from strategies.core.errors import ParameterError, UnknownStrategy

SHOWN, MOST = 300, 1000
MOST_MARKS = 500


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """The last candles of a run's market, with the indicators on them and the trades since the first of them."""

    run: RunView
    candles: Candles
    indicators: Mapping[str, Floats]
    trades: Sequence[TradeView]
    tick: Decimal


@signed_in
@require_GET
def chart(request: HttpRequest, run_id: int) -> JsonResponse:
    user, at = user_of(request), timezone.now()
    run = found_or_404(lambda: runs.run_of(user, run_id))
    try:
        picture = _picture(request, run, at)
    except (ExchangeFault, UnknownSymbol) as trouble:
        # Not an error of ours, and the page shows the sentence where the chart would be.
        return JsonResponse({"trouble": f"{run.exchange} could not be asked for candles ({trouble})."})
    return JsonResponse(document(picture))


@signed_in
@require_GET
def candle_table(request: HttpRequest, run_id: int) -> HttpResponse:
    """The chart as a table, newest first: for who cannot see the chart, or has no JavaScript."""
    user, at = user_of(request), timezone.now()
    run = found_or_404(lambda: runs.run_of(user, run_id))
    context: dict[str, Any] = {"run": run, "at": at, "rows": [], "names": []}
    try:
        picture = _picture(request, run, at)
        context |= {"rows": rows(picture), "names": list(picture.indicators), "tick": picture.tick}
    except (ExchangeFault, UnknownSymbol) as trouble:
        context["trouble"] = str(trouble)
    return render(request, "bots/run_candles.html", context)


def _picture(request: HttpRequest, run: RunView, at: datetime) -> Picture:
    """A stopped run's chart ends where the run did."""
    at = min(at, run.stopped_at) if run.stopped_at else at
    text = request.GET.get("count", "")
    count = min(int(text), MOST) if text.isascii() and text.isdigit() and len(text) < 6 else SHOWN
    try:
        strategy = strategies.rebuild(run.strategy, run.params)
        warmup = strategy.warmup_on(timeframe_ms(run.timeframe))
    except (UnknownStrategy, ParameterError):
        strategy, warmup = None, 0
    candles = market_data.closed_candles(run.exchange, run.symbol, run.timeframe, count + warmup, at)
    columns = strategy.signals(candles).indicators if strategy is not None and len(candles) else {}
    shown = candles[max(0, len(candles) - count) :]
    trades: Sequence[TradeView] = []
    if len(shown):
        wanted = TradeFilter(bot_run_id=run.bot_run_id, since=from_ms(int(shown.opened_at[0])))
        trades = history.trades_of(user=None, wanted=wanted, limit=MOST_MARKS).items
    tick = market_data.market(run.exchange, run.symbol, at).price_tick
    return Picture(run, shown, {name: column[-len(shown) :] for name, column in columns.items()}, trades, tick)


def document(picture: Picture) -> dict[str, Any]:
    run = picture.run
    marks = [_marker(trade, run.timeframe, run.base) for trade in reversed(picture.trades)]
    return {
        "symbol": run.symbol,
        "timeframe": run.timeframe,
        "tick": float(picture.tick),
        **drawn(picture.candles, picture.indicators, run.strategy, run.params, marks),
        "entry_price": float(run.position.entry_price) if run.position and run.status != "stopped" else None,
    }


def rows(picture: Picture) -> list[dict[str, Any]]:
    """One dict per candle, newest first, with the trades that fell into it."""
    step = timeframe_ms(picture.run.timeframe)
    traded: dict[int, list[TradeView]] = {}
    for trade in picture.trades:
        traded.setdefault(to_ms(trade.executed_at) // step * step, []).append(trade)
    candles = picture.candles
    return [
        {
            "opened_at": from_ms(int(candles.opened_at[i])),
            "prices": [from_float(column[i]) for column in (candles.open, candles.high, candles.low, candles.close)],
            "volume": from_float(candles.volume[i]),
            "indicators": [_decimal(column[i]) for column in picture.indicators.values()],
            "trades": traded.get(int(candles.opened_at[i]), []),
        }
        for i in range(len(candles) - 1, -1, -1)
    ]


def _marker(trade: TradeView, timeframe: str, base: str) -> dict[str, Any]:
    step = timeframe_ms(timeframe)
    return {
        "time": to_ms(trade.executed_at) // step * step // 1000,
        "side": trade.side,
        "price": float(trade.price),
        "text": f"{trade.quantity.normalize():f} {base}",
    }


def _decimal(value: float) -> Decimal | None:
    return None if math.isnan(value) else from_float(value)
