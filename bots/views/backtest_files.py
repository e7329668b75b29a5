"""A backtest's report for other programs and for the chart: JSON, CSV, candles with the trades on them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from django.core.cache import cache
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.http import require_GET

from accounts.auth import signed_in, user_of
from accounts.models import User
from bots.core.backtest.report_csv import equity_table, sweep_table, trade_table
from bots.core.backtest.request import asked_for
from bots.core.result_pack import unpack_document
from bots.csv_answer import csv_answer, csv_lines
from bots.models import Backtest
from bots.queries import research
from bots.views.candle_drawing import drawn
from bots.views.shell import digits, found_or_404
from exchanges.core.aggregate import aggregate
from exchanges.core.candle_pack import places_of
from exchanges.core.candles import TIMEFRAMES, Candles, Floats, timeframe_ms, to_ms

#: Of one chart: more cannot be told apart.
MOST_CANDLES = 5_000
MOST_MARKS = 2_000
CHART_HOLDS = 3_600
BEFORE, AFTER = 70, 30
#: Side, time, price and amount of a fill, as texts.
#: side, time, price, amount, and which part of several it was.
Leg = tuple[str, str, str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Candles of a chart and what their length is; indicators only where the candles are the strategy's own."""

    candles: Candles
    timeframe: str
    indicators: Mapping[str, Floats]


@signed_in
@require_GET
def backtest_chart(request: HttpRequest, backtest_id: int) -> JsonResponse:
    """The whole range, in coarser candles where there are too many; or with ``?trade=`` what is around that one."""
    row, document = _finished(user_of(request), backtest_id)
    trades, number = document["trades"], digits(request, "trade")
    one = trades[number] if number is not None and number < len(trades) else None
    # The demo market's candles are computed anew each time, for seconds; a result never changes.
    key = f"backtest-chart:{row.pk}:{row.result_sha256}:{'' if one is None else number}"
    if (known := cache.get(key)) is not None:
        return JsonResponse(known)
    shown = _shown(row, one)
    if not len(shown.candles):
        return JsonResponse({"trouble": "The candles of this backtest are no longer stored."})
    told = _document(row, document, shown)
    cache.set(key, told, CHART_HOLDS)
    return JsonResponse(told)


def _shown(row: Backtest, trade: Mapping[str, Any] | None) -> Shown:
    asked = asked_for(row.request)
    request, step = asked.request, timedelta(milliseconds=timeframe_ms(row.timeframe))
    if trade is not None and request.since is not None and request.until is not None:
        since = max(request.since, datetime.fromisoformat(trade["entry_at"]) - BEFORE * step)
        until = min(request.until, datetime.fromisoformat(trade["exit_at"]) + AFTER * step)
        request = replace(request, since=since, until=until)
    found = research.candles_for(request, asked.strategy.warmup_on(timeframe_ms(row.timeframe)))
    inside = slice(int(np.searchsorted(found.opened_at, to_ms(request.since))) if request.since else 0, None)
    if len(found[inside]) > MOST_CANDLES:
        return _coarser(found[inside], row.timeframe)
    columns = asked.strategy.signals(found).indicators if len(found) else {}
    return Shown(found[inside], row.timeframe, {name: column[inside] for name, column in columns.items()})


def _coarser(candles: Candles, timeframe: str) -> Shown:
    """The finest timeframe with few enough candles; the longest one where none has, and then only its newest."""
    step = timeframe_ms(timeframe)
    coarse = [name for name, length in TIMEFRAMES.items() if length > step and length % step == 0]
    for name in coarse:
        if len(candles) * step // TIMEFRAMES[name] < MOST_CANDLES:
            return Shown(aggregate(candles, timeframe, name)[-MOST_CANDLES:], name, {})
    return Shown(candles[-MOST_CANDLES:], timeframe, {})


def _document(row: Backtest, document: Mapping[str, Any], shown: Shown) -> dict[str, Any]:
    held = document["open_position"]
    marks = _markers(_all_legs(document), shown, row.symbol.split("/")[0])
    return {
        "symbol": row.symbol,
        "timeframe": shown.timeframe,
        "tick": _tick(document["market"], shown.candles),
        **drawn(shown.candles, shown.indicators, row.strategy, row.request["params"], marks),
        "entry_price": None if held is None else float(held["entry_price"]),
    }


def _markers(legs: Sequence[Leg], shown: Shown, base: str) -> list[dict[str, Any]]:
    """Every leg that lies within the candles, at the candle that its time falls into."""
    step, first = timeframe_ms(shown.timeframe), int(shown.candles.opened_at[0])
    last = int(shown.candles.opened_at[-1]) + step
    marks = [
        {"time": at // step * step // 1000, "side": side, "price": float(price), "text": f"{amount} {base}{part}"}
        for side, moment, price, amount, part in legs
        if first <= (at := to_ms(datetime.fromisoformat(moment))) < last
    ]
    return marks[-MOST_MARKS:]


def _all_legs(document: Mapping[str, Any]) -> list[Leg]:
    """Every fill: of the trades, unless there are more fills than these tell."""
    if "fills" in document:
        told = ("side", "at", "price", "amount")
        return [(*(fill[name] for name in told), part_of(fill["leg"])) for fill in document["fills"]]
    held = document["open_position"]
    legs = [leg for trade in document["trades"] for leg in _legs(trade)]
    return legs if held is None else [*legs, ("buy", held["entry_at"], held["entry_price"], held["amount"], "")]


def part_of(leg: str) -> str:
    """Which stake or line a fill was of, counted from 1; an exit from all of them says nothing more."""
    kind, _, number = leg.partition(":")
    return {"dca": f", stake {number}", "grid": f", line {int(number or 0) + 1}"}.get(kind, "")


def _legs(trade: Mapping[str, Any]) -> Iterator[Leg]:
    yield "buy", trade["entry_at"], trade["entry_price"], trade["amount"], ""
    yield "sell", trade["exit_at"], trade["exit_price"], trade["amount"], ""


def _tick(market: Mapping[str, str | None] | None, candles: Candles) -> float:
    """The market's price step; where it is not known, as many decimals as the prices have."""
    if market is not None and market["price_tick"] is not None:
        return float(Decimal(market["price_tick"]))
    places = places_of(candles.close)
    return float(10.0 ** -min(8 if places is None else places, 8))


@signed_in
@require_GET
def backtest_json(request: HttpRequest, backtest_id: int) -> HttpResponse:
    row, document = _finished(user_of(request), backtest_id)
    facts = {"id": row.pk, "request": row.request, "result_sha256": row.result_sha256, **document}
    answer = HttpResponse(json.dumps(facts, indent=1), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="backtest-{row.pk}.json"'
    return answer


@signed_in
@require_GET
def backtest_csv(request: HttpRequest, backtest_id: int) -> HttpResponseBase:
    """The closed trades, one a line, under the report's field names."""
    row, document = _finished(user_of(request), backtest_id)
    return csv_answer(request, csv_lines(*trade_table(document)), f"backtest-{row.pk}-trades.csv")


@signed_in
@require_GET
def equity_csv(request: HttpRequest, backtest_id: int) -> HttpResponseBase:
    """The kept points of the equity curve, one a line."""
    row, _ = _finished(user_of(request), backtest_id)
    table = equity_table(row.equity or b"", row.request["capital"])
    return csv_answer(request, csv_lines(*table), f"backtest-{row.pk}-equity.csv")


@signed_in
@require_GET
def sweep_csv(request: HttpRequest, sweep_id: int) -> HttpResponseBase:
    """The ranking, one set a line; 404 before it is done."""
    row = found_or_404(lambda: research.sweep_model(user_of(request), sweep_id))
    if row.result is None:
        raise Http404
    table = sweep_table(unpack_document(row.result))
    return csv_answer(request, csv_lines(*table), f"sweep-{row.pk}.csv")


def _finished(user: User, backtest_id: int) -> tuple[Backtest, dict[str, Any]]:
    """A report of one's own; 404 before it is done."""
    row = found_or_404(lambda: research.backtest_model(user, backtest_id))
    if row.result is None or row.kind != Backtest.Kind.REPORT:
        raise Http404
    return row, unpack_document(row.result)
