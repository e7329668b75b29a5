"""The demo market: synthetic, seeded prices that are a pure function of symbol and second.

Nothing here is recorded from a real market, and nothing is kept: every process that asks for a price or a candle
computes the same digits. Only ``+ - * /`` and ``floor`` are used on the way, no sine and no exponential, because
their last bit may differ between machines and between a long and a short array.

The price holds for one whole second. A second's candle opens at that price and closes at the next second's, so that
an order decided at a close fills at the next candle's open, in a backtest and on paper alike.

    x      = swings   octaves of value noise from one minute to about three weeks, growing like a random walk's
           + waves    six half waves a minute, of random length and height, through zero at each full minute
           + noise    a little of it every second
    price  = base × (1 + x + x²/2 + x³/6), rounded to the tick
"""

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from exchanges.core.candle_check import joined
from exchanges.core.candles import SECOND, Candles, Floats, Millis, timeframe_ms, to_ms
from exchanges.core.decimals import from_float
from exchanges.core.errors import UnknownSymbol
from exchanges.core.market import Market

Hashes = npt.NDArray[np.uint64]

NAME: Final = "demo"
MINUTE: Final = 60
DAY: Final = 86_400
EXACT_UP_TO: Final = 3_600 * SECOND
TICKS_PER_UNIT: Final = 100.0
LOTS_PER_UNIT: Final = 100_000.0
# Swings are computed every ten seconds and joined by straight lines.
GRID: Final = 10
GRIDS_PER_MINUTE: Final = MINUTE // GRID
OCTAVES: Final = 16
HALF_WAVES: Final = 6
SWING: Final = 0.0007
WAVE: Final = 0.0018
NOISE: Final = 0.00004
WICK: Final = 0.00006
# What a block is computed with stays in the processor's cache.
BLOCK_SECONDS: Final = 28_800


@dataclass(frozen=True, slots=True)
class Instrument:
    """``base_price`` is the long-run middle in quote, ``pace`` the usual volume of one second in base."""

    seed: int
    base_price: float
    pace: float
    market: Market


def _instrument(seed: int, symbol: str, base_price: float, pace: float) -> Instrument:
    base, quote = symbol.split("/")
    step = Decimal("0.00001")
    market = Market(symbol, base, quote, amount_step=step, price_tick=Decimal("0.01"), min_amount=step,
                    min_notional=Decimal(5), taker_fee=Decimal("0.001"), maker_fee=Decimal("0.001"))  # fmt: skip
    return Instrument(seed, base_price, pace, market)


INSTRUMENTS: Final = {
    "BTC/USDT": _instrument(1, "BTC/USDT", 64_000.0, 0.05),
    "ETH/USDT": _instrument(2, "ETH/USDT", 3_200.0, 0.8),
    "SOL/USDT": _instrument(3, "SOL/USDT", 160.0, 12.0),
}
MARKETS: Final = {symbol: instrument.market for symbol, instrument in INSTRUMENTS.items()}


def price_at(symbol: str, at: datetime) -> Decimal:
    """The price of the second that ``at`` falls into; raises UnknownSymbol."""
    minute, second = divmod(to_ms(at) // SECOND, MINUTE)
    return from_float(_minute(symbol, minute)[second])


@lru_cache(maxsize=64)
def _minute(symbol: str, minute: int) -> tuple[float, ...]:
    return tuple(prices(symbol, minute * MINUTE, MINUTE).tolist())


def prices(symbol: str, first: int, count: int) -> Floats:
    """Prices of ``count`` seconds from epoch second ``first`` on; raises UnknownSymbol."""
    instrument = _named(symbol)
    minute, offset = divmod(first, MINUTE)
    minutes = np.arange(minute, (first + count - 1) // MINUTE + 1, dtype=np.int64)
    x = (_swings(instrument, minutes) + _waves(instrument, minutes)).ravel()[offset : offset + count]
    return _price(instrument, x, _draw(instrument, first, count))


def candles(symbol: str, timeframe: str, since: int, count: int) -> Candles:
    """``count`` whole candles from the first one opened at or after epoch millisecond ``since``.

    Up to one hour a candle is exactly the sum of its seconds. Longer ones are made from the prices and volumes at
    full minutes: the same open and close, but highs and lows that leave out what happens between two minutes.
    Raises UnknownSymbol and UnknownTimeframe.
    """
    instrument, step = _named(symbol), timeframe_ms(timeframe)
    first = -(-since // step) * step
    if step > EXACT_UP_TO:
        return _from_minutes(instrument, first, step, max(count, 0))
    per_block = BLOCK_SECONDS * SECOND // step
    blocks = [
        _from_seconds(instrument, first + done * step, step, min(per_block, count - done))
        for done in range(0, count, per_block)
    ]
    return joined(blocks)


def candles_until(symbol: str, timeframe: str, since: int, limit: int, at: int) -> Candles:
    """Up to ``limit`` candles opened from ``since`` to ``at`` (ms); the last is as far as it has come at ``at``."""
    step, now = timeframe_ms(timeframe), at // SECOND * SECOND
    first = -(-since // step) * step
    whole = candles(symbol, timeframe, first, min(limit, max(now - first, 0) // step))
    opened_at = first + len(whole) * step
    if len(whole) >= limit or opened_at > now:
        return whole
    return joined([whole, _forming(_named(symbol), opened_at, now, exact=step <= EXACT_UP_TO)])


def _named(symbol: str) -> Instrument:
    try:
        return INSTRUMENTS[symbol]
    except KeyError:
        raise UnknownSymbol(f"demo lists no {symbol!r}; it lists {', '.join(INSTRUMENTS)}.") from None


def _forming(instrument: Instrument, opened_at: int, now: int, *, exact: bool) -> Candles:
    """One unfinished candle, up to the last full second (or full minute, when long)."""
    unit = SECOND if exact else MINUTE * SECOND
    elapsed = (now - opened_at) // unit * unit
    if elapsed:
        return (_from_seconds if exact else _from_minutes)(instrument, opened_at, elapsed, 1)
    price = prices(instrument.market.symbol, opened_at // SECOND, 1)
    return Candles(np.array([opened_at], dtype=np.int64), price, price, price, price, np.zeros(1))


def _from_seconds(instrument: Instrument, first: int, step: int, count: int) -> Candles:
    """Candles summed up from their seconds; volumes as whole lots, so that the sum is exact."""
    start, seconds = first // SECOND, count * step // SECOND
    price = prices(instrument.market.symbol, start, seconds + 1)
    draw = _draw(instrument, start, seconds)
    opened, closed = price[:-1], price[1:]
    above, below = _wicks(opened, draw)
    shape = (count, step // SECOND)
    lots = _lots(instrument, start + np.arange(seconds, dtype=np.int64), draw)
    return Candles(
        first + step * np.arange(count, dtype=np.int64),
        opened.reshape(shape)[:, 0].copy(),
        _on_tick((np.maximum(opened, closed) + above).reshape(shape).max(axis=1)),
        _on_tick((np.minimum(opened, closed) - below).reshape(shape).min(axis=1)),
        closed.reshape(shape)[:, -1].copy(),
        lots.reshape(shape).sum(axis=1) / LOTS_PER_UNIT,
    )


def _from_minutes(instrument: Instrument, first: int, step: int, count: int) -> Candles:
    """Candles from the price at each full minute (where every wave is at zero)."""
    width = step // (MINUTE * SECOND)
    minutes = first // (MINUTE * SECOND) + np.arange(count * width + 1, dtype=np.int64)
    draw = _hash(instrument, 0, minutes * MINUTE)
    price = _price(instrument, _swing_points(instrument, minutes * GRIDS_PER_MINUTE), draw)
    lots = _lots(instrument, minutes * MINUTE, draw)[:-1] * MINUTE
    index = np.arange(count)[:, None] * width + np.arange(width + 1)
    path = price[index]
    return Candles(
        first + step * np.arange(count, dtype=np.int64),
        path[:, 0].copy(), path.max(axis=1, initial=0.0), path.min(axis=1, initial=np.inf), path[:, -1].copy(),
        lots.reshape(count, width).sum(axis=1) / LOTS_PER_UNIT,
    )  # fmt: skip


def _price(instrument: Instrument, x: Floats, draw: Hashes) -> Floats:
    x = x + NOISE * _unit(draw, 0)
    return _on_tick(instrument.base_price * (1.0 + x * (1.0 + x * (0.5 + x / 6.0))))


def _on_tick(value: Floats) -> Floats:
    rounded: Floats = np.floor(value * TICKS_PER_UNIT + 0.5) / TICKS_PER_UNIT
    return rounded


def _swings(instrument: Instrument, minutes: Millis) -> Floats:
    """Shape (minutes, 60): the slow part of x, straight between two grid points."""
    points = minutes[0] * GRIDS_PER_MINUTE + np.arange(len(minutes) * GRIDS_PER_MINUTE + 1, dtype=np.int64)
    level = _swing_points(instrument, points)
    steps = np.arange(GRID) / GRID
    line = level[:-1, None] + (level[1:] - level[:-1])[:, None] * steps
    return line.reshape(len(minutes), MINUTE)


def _swing_points(instrument: Instrument, points: Millis) -> Floats:
    """Value noise at ascending grid points: random heights at knots, smoothstep between them."""
    total = np.zeros(len(points))
    for octave in range(OCTAVES):
        spacing = GRIDS_PER_MINUTE * 2**octave
        knots = np.arange(points[0] // spacing, points[-1] // spacing + 2, dtype=np.int64)
        height = SWING * math.sqrt(2**octave) * _unit(_hash(instrument, 1 + octave, knots), 0)
        at = points // spacing
        u = (points - at * spacing) / spacing
        at -= knots[0]
        total += height[at] + (height[at + 1] - height[at]) * (u * u * (3.0 - 2.0 * u))
    return total


def _waves(instrument: Instrument, minutes: Millis) -> Floats:
    """Shape (minutes, 60): half waves up and down by turns, each a parabola between two random edges.

    Three full waves a minute, of 17 to 23 seconds and about 0.2 % either way: RSI(7) on one-second candles crosses
    30 upwards and then 70 downwards within some 35 seconds of any instant, and a round trip earns about what two
    fees of 0.1 % cost, so that winners and losers mix.
    """
    draw = _hash(instrument, 100, minutes[:, None] * HALF_WAVES + np.arange(HALF_WAVES))
    edges = np.arange(1, HALF_WAVES) * (MINUTE / HALF_WAVES) + 0.7 * _unit(draw[:, 1:], 0)
    left = np.concatenate([np.zeros((len(minutes), 1)), edges], axis=1)
    right = np.concatenate([edges, np.full((len(minutes), 1), float(MINUTE))], axis=1)
    height = WAVE * _liveliness(instrument, minutes)[:, None] * (1.0 + 0.12 * _unit(draw, 1))
    height[:, 1::2] *= -1.0
    # Each second lies in one half wave only; on an edge both are zero.
    begin = np.ceil(left).astype(np.intp)
    seconds = np.diff(begin, append=MINUTE).ravel()
    since, width, scale = (np.repeat(part.ravel(), seconds) for part in (left, right - left, 4.0 * height))
    u = (np.tile(np.arange(MINUTE, dtype=np.float64), len(minutes)) - since) / width
    total: Floats = scale * u * (1.0 - u)
    return total.reshape(-1, MINUTE)


def _liveliness(instrument: Instrument, minutes: Millis) -> Floats:
    """How tall waves are, from minute to minute: calm and lively stretches of about a quarter of an hour."""
    knots, u = np.divmod(minutes, 15)
    here, there = (_unit(_hash(instrument, 101, knots + k), 0) for k in (0, 1))
    return 1.0 + 0.35 * (here + (there - here) * (u / 15.0))


def _wicks(opened: Floats, draw: Hashes) -> tuple[Floats, Floats]:
    """How far a second's trades reach beyond its open and close, in whole ticks."""
    reach = opened * (WICK * TICKS_PER_UNIT)
    up, down = (np.floor(reach * np.maximum(_unit(draw, lane), 0.0)) / TICKS_PER_UNIT for lane in (1, 2))
    return up, down


def _lots(instrument: Instrument, seconds: Millis, draw: Hashes) -> Millis:
    """Volume of each second in whole lots of the amount step, never zero; busiest at 15:00 UTC."""
    hour = (seconds % DAY) / 3_600.0
    away = np.abs(hour - 15.0)
    away = np.minimum(away, 24.0 - away) / 12.0
    luck = 1.0 + _unit(draw, 3)
    lots = instrument.pace * LOTS_PER_UNIT * (1.3 - 0.6 * away) * luck * luck * luck
    return np.floor(lots).astype(np.int64) + 1


def _draw(instrument: Instrument, first: int, count: int) -> Hashes:
    return _hash(instrument, 0, np.arange(first, first + count, dtype=np.int64))


def _hash(instrument: Instrument, stream: int, index: Millis) -> Hashes:
    """splitmix64 (Steele, Lea, Flood 2014) of the index, started from seed and stream."""
    z = index.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(((instrument.seed << 32 | stream) * 0xD1B54A32D192ED03) % 2**64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def _unit(draw: Hashes, lane: int) -> Floats:
    """One of a hash's four 16-bit lanes as a number in [-1, 1)."""
    lanes = (draw >> np.uint64(16 * lane)) & np.uint64(0xFFFF)
    return lanes.astype(np.float64) / 32_768.0 - 1.0
