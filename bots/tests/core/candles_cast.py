"""Candles and signals for the backtest's tests: written by hand, drawn at random, or recorded."""

from collections.abc import Iterable, Sequence
from decimal import Decimal as D

import numpy as np
from hypothesis import strategies as st

from bots.core.backtest.terms import Terms, unknown_market
from bots.core.limits import Limits
from exchanges.core.candles import Candles
from exchanges.core.market import Market
from strategies.core.signals import Signals

START = 1_704_067_200_000
HOUR = 3_600_000
FREE = unknown_market("BTC/USDT", D(0))
PLAIN = unknown_market("BTC/USDT", D("0.001"))
#: Coarse steps and high minimums, so that the market's own rules refuse orders now and then.
STRICT = Market("BTC/USDT", "BTC", "USDT", D("0.01"), D("0.5"), D("0.05"), D(12), D(20), D("0.002"), D("0.002"))


def candles(rows: Sequence[tuple[float, float, float, float]], step: int = HOUR) -> Candles:
    """From (open, high, low, close); volumes are 1."""
    opened_at = START + np.arange(len(rows), dtype=np.int64) * step
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    return Candles(opened_at, *columns, np.ones(len(rows)))


def flat_candles(prices: Iterable[float], step: int = HOUR) -> Candles:
    """One price per candle, the next open included."""
    return candles([(price, price, price, price) for price in prices], step)


def signals(
    count: int, entry: Iterable[int] = (), exit_: Iterable[int] = (), ready: Iterable[int] | None = None
) -> Signals:
    columns = [np.zeros(count, np.bool_) for _ in range(3)]
    for column, indices in zip(columns, (entry, exit_, range(count) if ready is None else ready), strict=True):
        column[list(indices)] = True
    return Signals(*columns, np.zeros(count))


def terms(capital: int | str = 1000, market: Market = PLAIN, slippage_bps: int = 0, **limits: object) -> Terms:
    return Terms(D(capital), market, Limits(**limits), D(slippage_bps))  # type: ignore[arg-type]


@st.composite
def walks(draw: st.DrawFn) -> tuple[Candles, Signals]:
    """Wild candles with gaps and dense signals: everything that can go together does."""
    count = draw(st.integers(2, 60))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    volatility = draw(st.sampled_from([0.005, 0.03, 0.2]))
    digits = draw(st.sampled_from([0, 2, 6]))
    start = draw(st.sampled_from([3.0, 100.0, 40_000.0]))
    closes = np.maximum(np.round(start * np.exp(np.cumsum(random.normal(0, volatility, count))), digits), 1.0)
    opens = np.concatenate([[start], closes[:-1]])
    moved = random.random(count) < 0.3
    opens = np.maximum(np.where(moved, np.round(opens * (1 + random.normal(0, volatility, count)), digits), opens), 1.0)
    reach = np.abs(random.normal(0, volatility, (2, count)))
    highs = np.maximum(np.round(np.maximum(opens, closes) * (1 + reach[0]), digits), np.maximum(opens, closes))
    lows = np.minimum(
        np.maximum(np.round(np.minimum(opens, closes) * (1 - reach[1]), digits), 0.5), np.minimum(opens, closes)
    )
    step = draw(st.sampled_from([1_000, 60_000, HOUR, 24 * HOUR]))
    jumps = np.where(random.random(count) < 0.1, random.integers(2, 40, count), 1)
    opened_at = START + step * np.cumsum(jumps)
    density = draw(st.sampled_from([0.05, 0.3, 0.7]))
    flags = random.random((3, count)) < np.array([[density], [density], [0.9]])
    made = Candles(opened_at.astype(np.int64), opens, highs, lows, closes, np.ones(count))
    return made, Signals(flags[0], flags[1], flags[2], np.zeros(count))


def _maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(st.none(), values)


PERCENT = st.sampled_from([D("0.5"), D(2), D(5), D(30)])
PROTECTIONS = {
    name: _maybe(PERCENT) for name in ("stop_loss_pct", "break_even_pct", "take_profit_pct", "trailing_stop_pct")
}
protections = st.builds(Limits, **PROTECTIONS)
limits = st.builds(
    Limits,
    **PROTECTIONS,
    max_order_notional=_maybe(st.sampled_from([D(700), D(1000)])),
    max_position_notional=_maybe(st.sampled_from([D(900), D(2000)])),
    max_exposure=_maybe(st.sampled_from([D(950), D(2000)])),
    max_daily_loss=_maybe(st.sampled_from([D(5), D(50), D(300)])),
    max_drawdown_pct=_maybe(st.sampled_from([D(1), D(10), D(40)])),
    max_loss_streak=_maybe(st.integers(1, 3)),
    cooldown_seconds=_maybe(st.sampled_from([1, 3600, 90_000])),
    max_orders_per_minute=_maybe(st.integers(1, 3)),
    max_account_orders_per_minute=_maybe(st.integers(1, 3)),
    max_open_orders=_maybe(st.just(1)),
    price_band_pct=_maybe(st.sampled_from([D("0.1"), D(5)])),
)
