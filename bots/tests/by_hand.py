"""Rules, fills, money and statistics written once more, with nothing of the product.

Signals in fractions, fills by the execution model, money in fractions rounded where docs/backtesting.md says,
statistics by their stated definitions.
"""

import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from tradingbot.tests.places import DATA_DIR

CAPITAL, FEE, STEP = Fraction(1000), Fraction("0.001"), Fraction(1, 10**8)
DAY = 86_400_000
Rule = tuple[Callable[[int], bool], Callable[[int], bool]]


class Market:
    """A file's columns as the decimals that stand in it."""

    def __init__(self, name: str) -> None:
        with (DATA_DIR / name).open() as file:
            rows = list(csv.DictReader(file))
        self.opened_at = [int(row["timestamp_ms"]) for row in rows]
        self.open, self.high, self.low, self.close = (
            [Fraction(row[column]) for row in rows] for column in ("open", "high", "low", "close")
        )
        # Some sources add noise behind the fifteenth digit; a rule that compares closes goes by the price.
        self.prices = [Fraction(f"{float(close):.15g}") for close in self.close]


def rsi_cross(market: Market, period: int = 14, oversold: int = 30, overbought: int = 70) -> Rule:
    changes = [Fraction(0), *(later - earlier for earlier, later in pairwise(market.prices))]

    def rsi(i: int) -> Fraction:
        recent = changes[i - period + 1 : i + 1]
        gains, moves = sum(c for c in recent if c > 0), sum(abs(c) for c in recent)
        return Fraction(100 * gains, moves) if moves else Fraction(50)

    return (
        lambda i: i > period and rsi(i - 1) < oversold <= rsi(i),
        lambda i: i > period and rsi(i - 1) > overbought >= rsi(i),
    )


def mean_reversion(market: Market, period: int = 20, deviations: int = 2) -> Rule:
    closes = market.prices

    def middle(i: int) -> Fraction:
        return Fraction(sum(closes[i - period + 1 : i + 1]), period)

    def under(i: int) -> bool:
        mean, recent = middle(i), closes[i - period + 1 : i + 1]
        variance = Fraction(sum((close - mean) ** 2 for close in recent), period)
        return closes[i] < mean and (mean - closes[i]) ** 2 > deviations**2 * variance

    return (
        lambda i: i >= period and under(i - 1) and not under(i),
        lambda i: i >= period and closes[i - 1] < middle(i - 1) and closes[i] >= middle(i),
    )


def breakout(market: Market, entry: int = 20, exit_: int = 10) -> Rule:
    return (
        lambda i: i >= entry and market.close[i] > max(market.high[i - entry : i]),
        lambda i: i >= exit_ and market.close[i] < min(market.low[i - exit_ : i]),
    )


@dataclass
class Trade:
    entry: int
    price: Fraction
    amount: Fraction
    fee: Fraction
    exit: int = 0
    exit_price: Fraction = Fraction(0)
    pnl: Fraction = Fraction(0)


@dataclass
class Lived:
    trades: list[Trade] = field(default_factory=list)
    equity: list[Fraction] = field(default_factory=list)
    held: int = 0


def charged(value: Fraction) -> Fraction:
    """The fee of a value, half-even to twelve decimals."""
    return Fraction(round(value * FEE * 10**12), 10**12)


def lived(market: Market, rule: Rule, first: int = 0, end: int | None = None) -> Lived:
    """Trading from candle ``first`` to before ``end``; the rules know what came before."""
    made, cash, kept, wanted = Lived(), CAPITAL, None, ""
    last = (len(market.open) if end is None else end) - 1
    for i in range(first, last + 1):
        price = market.open[i]
        if wanted == "buy":
            amount = math.floor(cash / (price * (1 + FEE)) / STEP) * STEP
            kept = Trade(i, price, amount, charged(amount * price))
            cash -= amount * price + kept.fee
        elif wanted == "sell" and kept is not None:
            fee = charged(kept.amount * price)
            cash += kept.amount * price - fee
            kept.exit, kept.exit_price, kept.fee = i, price, kept.fee + fee
            kept.pnl = kept.amount * (price - kept.price) - kept.fee
            made.trades.append(kept)
            kept = None
        made.equity.append(cash + (kept.amount * market.close[i] if kept else 0))
        made.held += kept is not None
        wanted = "" if i == last else ("buy" if rule[0](i) else "") if kept is None else ("sell" if rule[1](i) else "")
    return made


def return_pct(trade: Trade) -> float:
    ratio = trade.exit_price / trade.price
    return float(100 * ((ratio - 1) - FEE * (1 + ratio)))


def daily_returns(market: Market, made: Lived, first: int = 0) -> list[float]:
    times = market.opened_at[first : first + len(made.equity)]
    days = dict(zip((at // DAY for at in times), map(float, made.equity), strict=True))
    return [after / before - 1 for before, after in pairwise([float(CAPITAL), *days.values()])]


def sharpe(daily: Sequence[float]) -> float:
    mean = math.fsum(daily) / len(daily)
    return mean / math.sqrt(math.fsum((r - mean) ** 2 for r in daily) / (len(daily) - 1)) * math.sqrt(365)


def statistics(market: Market, made: Lived) -> dict[str, float]:
    equity, start = [float(value) for value in made.equity], float(CAPITAL)
    daily = daily_returns(market, made)
    mean = math.fsum(daily) / len(daily)
    under = math.sqrt(math.fsum(min(r, 0) ** 2 for r in daily) / len(daily))
    deepest, longest = fallen(equity, start)
    returns = [return_pct(trade) for trade in made.trades]
    won = [trade.pnl for trade in made.trades if trade.pnl > 0]
    lost = [trade.pnl for trade in made.trades if trade.pnl < 0]
    return {
        "final_equity": equity[-1],
        "return_pct": 100 * (equity[-1] / start - 1),
        "buy_and_hold_close_to_close_pct": float(100 * (market.close[-1] / market.close[0] - 1)),
        "max_drawdown_pct": deepest,
        "longest_drawdown_candles": longest,
        "closed_trades": len(made.trades),
        "winning_trades": len(won),
        "win_rate_pct": 100 * len(won) / len(made.trades),
        "profit_factor": float(sum(won) / -sum(lost)),
        "avg_trade_return_pct": math.fsum(returns) / len(returns),
        "best_trade_pct": max(returns),
        "worst_trade_pct": min(returns),
        "net_pnl_closed": float(sum(trade.pnl for trade in made.trades)),
        "fees_closed": float(sum(trade.fee for trade in made.trades)),
        "exposure_pct": 100 * made.held / len(equity),
        "sharpe_daily_365": sharpe(daily),
        "sortino_daily_365": mean / under * math.sqrt(365),
    }


def fallen(equity: Sequence[float], start: float) -> tuple[float, int]:
    peak, deepest, run, longest = start, 0.0, 0, 0
    for value in equity:
        peak = max(peak, value)
        deepest = max(deepest, 100 * (peak - value) / peak)
        run = run + 1 if value < peak else 0
        longest = max(longest, run)
    return deepest, longest
