"""The report of one backtest as every face shows it: page, API and command, JSON and CSV."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from bots.core.backtest.engine import Window
from bots.core.backtest.terms import ENGINE_VERSION, Outcome, Terms, Trade
from bots.core.performance import Measured, Stats, measure, trade_return_pct
from exchanges.core.candle_pack import data_sha256
from exchanges.core.candles import Candles, Millis, from_ms, gaps
from exchanges.core.decimals import from_float

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TradeRow(NamedTuple):
    """One closed trade; ``fee`` and ``pnl`` in quote, ``pnl`` net of both fees."""

    signal_at: datetime
    entry_at: datetime
    exit_signal_at: datetime | None
    exit_at: datetime
    entry_price: Decimal
    exit_price: Decimal
    amount: Decimal
    fee: Decimal
    pnl: Decimal
    return_pct: float
    candles_held: int
    exit_reason: str


class FillRow(NamedTuple):
    """One fill of a run that works several orders; ``leg`` names its stake or line."""

    at: datetime
    side: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    leg: str


@dataclass(frozen=True, slots=True)
class OpenPosition:
    """What is held after the last candle, marked at its close; ``unrealized_pnl`` is net of the entry's fee."""

    signal_at: datetime
    entry_at: datetime
    entry_price: Decimal
    amount: Decimal
    fee: Decimal
    marked_at: datetime
    mark_price: Decimal
    unrealized_pnl: Decimal
    return_pct: float
    candles_held: int


@dataclass(frozen=True, slots=True)
class DataFacts:
    """What the figures were computed from; the hash is of the candles and those of the warm-up before them."""

    sha256: str
    candles: int
    warmup_candles: int
    gaps: int
    missing: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    stats: Stats
    trades: Sequence[TradeRow]
    open_position: OpenPosition | None
    monthly_returns_pct: Mapping[str, float]
    denied: Mapping[str, int]
    data: DataFacts
    measured: Measured
    engine: str = ENGINE_VERSION
    fills: Sequence[FillRow] = ()

    def document(self) -> dict[str, Any]:
        """As JSON-ready field names; values stay Decimal and datetime. ``fills`` only where trades do not say all."""
        return ({"fills": [fill._asdict() for fill in self.fills]} if self.fills else {}) | {
            "stats": asdict(self.stats),
            "trades": trade_documents(self.trades),
            "open_position": asdict(self.open_position) if self.open_position else None,
            "monthly_returns_pct": dict(self.monthly_returns_pct),
            "denied": dict(self.denied),
            "data": asdict(self.data),
            "engine": self.engine,
        }


def data_facts(window: Window, timeframe: str, sha256: str | None = None) -> DataFacts:
    """Pass the hash where it is already known."""
    candles, found = window.candles, gaps(window.candles, timeframe)
    return DataFacts(
        sha256=sha256 or data_sha256(window.read),
        candles=len(candles),
        warmup_candles=len(window.read) - len(candles),
        gaps=len(found),
        missing=sum(missing for _, missing in found),
        first=from_ms(int(candles.opened_at[0])),
        last=from_ms(int(candles.opened_at[-1])),
    )


def report(outcome: Outcome, candles: Candles, terms: Terms, data: DataFacts) -> Report:
    measured = measure(outcome, candles, terms)
    return Report(
        stats=measured.stats,
        trades=trade_rows(outcome, candles, measured),
        open_position=open_position(outcome, candles, terms),
        monthly_returns_pct=measured.monthly_returns_pct,
        denied=dict(sorted(Counter(denied.code.value for denied in outcome.denied).items())),
        data=data,
        measured=measured,
        fills=fill_rows(outcome, candles),
    )


def fill_rows(outcome: Outcome, candles: Candles) -> list[FillRow]:
    times = instants(candles.opened_at[[fill.candle for fill in outcome.fills]]) if outcome.fills else []
    return [
        FillRow(at, fill.side.value, fill.price, fill.amount, fill.fee, fill.leg)
        for at, fill in zip(times, outcome.fills, strict=True)
    ]


def trade_documents(trades: Sequence[TradeRow]) -> list[dict[str, Any]]:
    """The rows as objects; spelled out, since zipping thousands of rows with their names takes thrice as long."""
    return [
        {
            "signal_at": signal_at,
            "entry_at": entry_at,
            "exit_signal_at": exit_signal_at,
            "exit_at": exit_at,
            "entry_price": entry_price,
            "exit_price": exit_price,
            "amount": amount,
            "fee": fee,
            "pnl": pnl,
            "return_pct": return_pct,
            "candles_held": candles_held,
            "exit_reason": exit_reason,
        }
        for (
            signal_at,
            entry_at,
            exit_signal_at,
            exit_at,
            entry_price,
            exit_price,
            amount,
            fee,
            pnl,
            return_pct,
            candles_held,
            exit_reason,
        ) in trades
    ]


def trade_rows(outcome: Outcome, candles: Candles, measured: Measured) -> list[TradeRow]:
    if not outcome.trades:
        return []
    columns = dict(zip(Trade._fields, zip(*outcome.trades, strict=True), strict=True))
    at = candles.opened_at
    entry, exit_ = (np.array(column) for column in (columns["entry"], columns["exit"]))
    signaled = [index for index in columns["exit_signal"] if index is not None]
    exit_signals = dict(zip(signaled, instants(at[signaled]), strict=True))
    rows = zip(
        instants(at[list(columns["signal"])]),
        instants(at[entry]),
        map(exit_signals.get, columns["exit_signal"]),
        instants(at[exit_]),
        columns["entry_price"],
        columns["exit_price"],
        columns["amount"],
        columns["fee"],
        columns["pnl"],
        measured.trade_returns_pct.tolist(),
        (exit_ - entry).tolist(),
        map(str, columns["reason"]),
        strict=True,
    )
    return list(map(partial(tuple.__new__, TradeRow), rows))


def instants(times: Millis) -> list[datetime]:
    """Many times at once."""
    return list(map(EPOCH.__add__, times.astype("timedelta64[ms]").tolist()))


def open_position(outcome: Outcome, candles: Candles, terms: Terms) -> OpenPosition | None:
    kept = outcome.open
    if kept is None:
        return None
    mark = from_float(candles.close[-1])
    return OpenPosition(
        signal_at=from_ms(candles.opened_at[kept.signal]),
        entry_at=from_ms(candles.opened_at[kept.entry]),
        entry_price=kept.entry_price,
        amount=kept.amount,
        fee=kept.fee,
        marked_at=from_ms(candles.opened_at[-1]),
        mark_price=mark,
        unrealized_pnl=kept.amount * (mark - kept.entry_price) - kept.fee,
        return_pct=trade_return_pct(kept.entry_price, mark, Decimal(0)) - float(terms.fee) * 100,
        candles_held=len(candles) - kept.entry,
    )
