"""The rules of the shipped strategies in exact arithmetic, candle by candle: slow, and right to the last digit."""

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from strategies.core.indicators import DAY_MS


def units(*columns):
    """The columns as whole numbers of a unit that holds every decimal digit of all of them.

    Fifteen digits are what a float64 is sure to hold: a recorded 0.0016200000000000001 was 0.00162 on the exchange.
    """
    texts = [[Decimal(f"{value:.15g}") for value in column.tolist()] for column in columns]
    digits = max(-text.as_tuple().exponent for column in texts for text in column)
    return [[int(text.scaleb(max(digits, 0))) for text in column] for column in texts]


def sign(number):
    return (number > 0) - (number < 0)


def bollinger_sides(closes, period, stddev):
    """[(side of the close to the lower band, to the middle)], None while undefined."""
    (whole,) = units(closes)
    factor = Fraction(str(stddev)) ** 2
    total = squares = 0
    sides = []
    for i, close in enumerate(whole):
        total, squares = total + close, squares + close * close
        if i >= period:
            total, squares = total - whole[i - period], squares - whole[i - period] ** 2
        if i < period - 1:
            sides.append(None)
            continue
        # close ≥ mean − k·σ  ⇔  k²·σ² ≥ (mean − close)² or close ≥ mean; all times period².
        below_mean, variance = total - period * close, period * squares - total * total
        under = sign(factor * variance - below_mean * below_mean) if below_mean > 0 else 1
        under = 0 if below_mean == 0 and variance == 0 else under
        sides.append((under, sign(-below_mean)))
    return sides


def vwap_sides(candles, period=None):
    """Side of the close to the VWAP of the UTC day, or of the last ``period`` candles; None without volume."""
    high, low, close = units(candles.high, candles.low, candles.close)
    (volume,) = units(candles.volume)
    worth = [(h + lo + c) * v for h, lo, c, v in zip(high, low, close, volume, strict=True)]
    sides, begin, total, traded = [], 0, 0, 0
    for i in range(len(close)):
        if period is None and i and candles.opened_at[i] // DAY_MS != candles.opened_at[i - 1] // DAY_MS:
            total = traded = 0
        total, traded = total + worth[i], traded + volume[i]
        if period is not None and i >= period:
            total, traded = total - worth[begin], traded - volume[begin]
            begin += 1
        short = period is not None and i < period - 1
        sides.append(None if short or not traded else sign(3 * close[i] * traded - total))
    return sides


def rsi_sides(closes, period, level):
    """Side of Cutler's RSI to the level; None while undefined."""
    (whole,) = units(closes)
    changes = [later - earlier for earlier, later in pairwise(whole)]
    sides = [None] * min(period, len(whole))
    for i in range(period, len(whole)):
        window = changes[i - period : i]
        moved, gained = sum(map(abs, window)), sum(change for change in window if change > 0)
        sides.append(sign(100 * gained - level * moved) if moved else sign(50 - level))
    return sides


def crossings(sides, *, upwards):
    wanted = 1 if upwards else -1
    return [i for i in range(1, len(sides)) if _crossed(sides[i - 1], sides[i], wanted)]


def _crossed(before, now, wanted):
    return before is not None and now is not None and before * wanted < 0 and now * wanted >= 0
