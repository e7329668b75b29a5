"""What a backtest was worth: every figure of docs/backtesting.md by the definition that stands there."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from bots.core.backtest.terms import LegFill, OpenTrade, Outcome, Terms, Trade
from bots.core.equity_steps import EquitySteps, Indices, stepped
from exchanges.core.candles import Candles, Millis
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side
from strategies.core.indicators import DAY_MS
from strategies.core.signals import Floats

DAYS_A_YEAR: Final = 365
#: Daily returns that differ by less than this differ by the rounding of floats.
NOISE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Stats:
    """Money in quote as Decimal, ``*_pct`` in percent; None where a ratio is undefined."""

    initial_cash: Decimal
    final_equity: Decimal
    return_pct: float
    buy_and_hold_close_to_close_pct: float
    max_drawdown_pct: float
    longest_drawdown_candles: int
    closed_trades: int
    winning_trades: int
    win_rate_pct: float | None
    profit_factor: float | None
    avg_trade_return_pct: float | None
    best_trade_pct: float | None
    worst_trade_pct: float | None
    net_pnl_closed: Decimal
    fees_closed: Decimal
    exposure_pct: float
    sharpe_daily_365: float | None
    sortino_daily_365: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """``trade_returns_pct`` in the order of the trades."""

    stats: Stats
    steps: EquitySteps
    trade_returns_pct: Floats
    monthly_returns_pct: dict[str, float]

    @property
    def equity(self) -> Floats:
        """At every candle's close; computed when it is asked for."""
        return self.steps.each()


def measure(outcome: Outcome, candles: Candles, terms: Terms) -> Measured:
    """Raises ValueError without candles: nothing can be said of none."""
    if not len(candles):
        raise ValueError("Expected at least one candle, was none.")
    capital = float(terms.capital)
    columns = _columns(outcome, candles, terms)
    steps = equity_steps(outcome, columns, candles, terms)
    drawdown, longest = steps.drawdown(capital)
    returns = trade_returns_pct(columns, terms.fee)
    ends = day_ends(candles.opened_at)
    closing = steps.at(ends)
    daily = returns_from(closing, capital)
    final = terms.capital + outcome.position.profit(from_float(candles.close[-1]))
    pnls = [trade.pnl for trade in outcome.trades]
    wins, losses = [pnl for pnl in pnls if pnl > 0], [pnl for pnl in pnls if pnl < 0]
    count = len(outcome.trades)
    stats = Stats(
        initial_cash=terms.capital,
        final_equity=final,
        return_pct=float((final / terms.capital - 1) * 100),
        buy_and_hold_close_to_close_pct=float(candles.close[-1] / candles.close[0] - 1) * 100,
        max_drawdown_pct=drawdown,
        longest_drawdown_candles=longest,
        closed_trades=count,
        winning_trades=len(wins),
        win_rate_pct=100 * len(wins) / count if count else None,
        profit_factor=float(sum(wins) / -sum(losses)) if losses else None,
        avg_trade_return_pct=float(returns.mean()) if count else None,
        best_trade_pct=float(returns.max()) if count else None,
        worst_trade_pct=float(returns.min()) if count else None,
        net_pnl_closed=sum(wins, ZERO) + sum(losses, ZERO),
        fees_closed=sum([trade.fee for trade in outcome.trades], ZERO),
        exposure_pct=100 * candles_held(outcome, len(candles)) / len(candles),
        sharpe_daily_365=sharpe(daily),
        sortino_daily_365=sortino(daily),
    )
    return Measured(stats, steps, returns, monthly_returns_pct(closing, candles.opened_at[ends], capital))


class _Columns(NamedTuple):
    """The closed trades in float; the open one, if any, is one more entry and amount at the end."""

    entry: Indices
    exit: Indices
    entry_price: Floats
    exit_price: Floats
    amount: Floats


def _columns(outcome: Outcome, candles: Candles, terms: Terms) -> _Columns:
    trades, kept = outcome.trades, outcome.open
    begun: list[Trade | OpenTrade] = [*trades, *([kept] if kept is not None else [])]
    entry = np.array([trade.entry for trade in begun], dtype=np.intp)
    exit_ = np.array([trade.exit for trade in trades], dtype=np.intp)
    if terms.slippage_bps or outcome.fills or terms.limits.entries_rest:
        bought = np.array([trade.entry_price for trade in begun], dtype=np.float64)
        sold = np.array([trade.exit_price for trade in trades], dtype=np.float64)
    else:
        # What was filled at an open is in the candles already, as the float that it was made from.
        bought, sold = candles.open[entry], candles.open[exit_]
        inside = [at for at, trade in enumerate(trades) if trade.exit_signal is None]
        sold[inside] = [float(trades[at].exit_price) for at in inside]
    return _Columns(entry, exit_, bought, sold, np.array([float(trade.amount) for trade in begun], dtype=np.float64))


def trade_return_pct(entry: Decimal, exit_: Decimal, fee: Decimal) -> float:
    """100 · ((exit/entry − 1) − fee · (1 + exit/entry)): of one trade, whatever its amount."""
    ratio = float(exit_) / float(entry)
    return 100 * ((ratio - 1) - float(fee) * (1 + ratio))


def account_returns_pct(outcome: Outcome, measured: Measured, terms: Terms) -> Floats:
    """What each closed trade did to all of the money, in percent: where not all of it is in a trade, that is less."""
    if not outcome.fills:
        return measured.trade_returns_pct
    gains = np.array([trade.pnl for trade in outcome.trades], dtype=np.float64)
    return 100 * gains / (float(terms.capital) + np.cumsum(gains) - gains)


def trade_returns_pct(columns: _Columns, fee: Decimal) -> Floats:
    ratio = columns.exit_price / columns.entry_price[: len(columns.exit)]
    returns: Floats = 100 * ((ratio - 1) - float(fee) * (1 + ratio))
    return returns


def equity_steps(outcome: Outcome, columns: _Columns, candles: Candles, terms: Terms) -> EquitySteps:
    """Cash and what is held at each close; on an entry candle already held, on an exit candle no longer."""
    changes, held, cash = _fill_steps(outcome, terms) if outcome.fills else _trade_steps(columns, terms)
    return stepped(changes, held, cash, candles.close)


def _fill_steps(outcome: Outcome, terms: Terms) -> tuple[Indices, Floats, Floats]:
    """(where the amount changes, the amount from there on, the money), one more than there are changes."""
    # Booked by order, which within one look is not always by time.
    fills, zero = sorted(outcome.fills, key=lambda fill: fill.candle), [ZERO]
    signed = [fill.amount if fill.side is Side.BUY else -fill.amount for fill in fills]
    spent = (amount * fill.price + fill.fee for amount, fill in zip(signed, fills, strict=True))
    # Added up exactly, so that what is sold to the last coin leaves nothing.
    held = np.array([*zero, *accumulate(signed)], dtype=np.float64)
    cash = float(terms.capital) - np.array([*zero, *accumulate(spent)], dtype=np.float64)
    return np.array([fill.candle for fill in fills], dtype=np.intp), held, cash


def _trade_steps(columns: _Columns, terms: Terms) -> tuple[Indices, Floats, Floats]:
    """The same, of trades that are one buy and one sell each and never overlap."""
    fee, closed = float(terms.fee), len(columns.exit)
    spent = columns.amount * columns.entry_price * (1 + fee)
    gained = columns.amount[:closed] * columns.exit_price * (1 - fee) - spent[:closed]
    money = float(terms.capital) + np.concatenate([[0.0], np.cumsum(gained)])
    bounds = np.empty(closed + len(columns.entry), dtype=np.intp)
    bounds[0::2], bounds[1::2] = columns.entry, columns.exit
    held, cash = np.zeros(len(bounds) + 1), np.zeros(len(bounds) + 1)
    held[1::2], cash[0::2] = columns.amount, money
    cash[1::2] = money[: len(spent)] - spent
    return bounds, held, cash


def candles_held(outcome: Outcome, count: int) -> int:
    """Candles at whose close something was held: the exit candle is not counted."""
    if outcome.fills:
        return _candles_with_fills(outcome.fills, count)
    held = sum(trade.exit - trade.entry for trade in outcome.trades)
    return held + (count - outcome.open.entry if outcome.open is not None else 0)


def _candles_with_fills(fills: Sequence[LegFill], count: int) -> int:
    amount, since, candles = ZERO, 0, 0
    for fill in sorted(fills, key=lambda fill: fill.candle):
        candles += fill.candle - since if amount else 0
        amount, since = amount + (fill.amount if fill.side is Side.BUY else -fill.amount), fill.candle
    return candles + (count - since if amount else 0)


def day_ends(opened_at: Millis) -> Indices:
    """Index of the last candle of each UTC day on which there is one."""
    first, last = int(opened_at[0]) // DAY_MS, int(opened_at[-1]) // DAY_MS
    midnights = np.arange(first + 1, last + 1, dtype=np.int64) * DAY_MS
    ends = np.searchsorted(opened_at, midnights) - 1
    return np.unique(np.append(ends, len(opened_at) - 1))


def monthly_returns_pct(closing: Floats, opened_at: Millis, initial: float) -> dict[str, float]:
    """Percent by month ("2020-01"), from the last candle of the month before, the first from the initial cash.

    Of each day's last candle, the equity and the open time.
    """
    months = opened_at.astype("datetime64[ms]").astype("datetime64[M]")
    last = np.append(np.flatnonzero(months[1:] != months[:-1]), len(months) - 1)
    changes = 100 * returns_from(closing[last], initial)
    return dict(zip(months[last].astype(str).tolist(), changes.tolist(), strict=True))


def returns_from(values: Floats, initial: float) -> Floats:
    """From one value to the next, the first against the initial one."""
    changes: Floats = np.diff(values, prepend=initial) / np.concatenate([[initial], values[:-1]])
    return changes


def sharpe(returns: Floats) -> float | None:
    """mean / standard deviation (ddof 1) · √365; None with fewer than two returns, or when none differs."""
    deviation = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    return float(returns.mean()) / deviation * DAYS_A_YEAR**0.5 if deviation > NOISE else None


def sortino(returns: Floats) -> float | None:
    """mean / √mean(min(r, 0)²) · √365; None when no return is negative."""
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) else 0.0
    return float(returns.mean()) / downside * DAYS_A_YEAR**0.5 if downside > NOISE else None
