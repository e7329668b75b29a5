"""Which candles are closed, which come after an instant, and which of two with the same time counts."""

from datetime import timedelta

import numpy as np
import pytest

from exchanges.core.candle_check import in_order
from exchanges.core.candles import Candles, from_ms

HOUR = 3_600_000
START = 1_700_000_000_000 - 1_700_000_000_000 % HOUR


def made(times: list[int], closes: list[float]) -> Candles:
    column = np.array(closes)
    return Candles(START + np.array(times) * HOUR, column, column, column, column, column)


@pytest.mark.parametrize(
    ("seconds", "closed"), [(0, 0), (3599, 0), (3600, 1), (3601, 1), (7200, 2), (10_800, 3), (99_999, 3)]
)
def test_candle_is_closed_once_its_whole_timeframe_has_passed(seconds: int, closed: int) -> None:
    candles = made([0, 1, 2], [1, 2, 3])
    assert len(candles.closed(from_ms(START) + timedelta(seconds=seconds), "1h")) == closed


@pytest.mark.parametrize(("seconds", "closes"), [(-1, [1, 2, 3]), (0, [1, 2, 3]), (1, [2, 3]), (7200, [3]), (7201, [])])
def test_candles_since_an_instant_opened_at_it_or_later(seconds: int, closes: list[float]) -> None:
    assert made([0, 1, 2], [1, 2, 3]).since(from_ms(START) + timedelta(seconds=seconds)).close.tolist() == closes


def test_last_row_of_a_time_counts_and_times_are_sorted() -> None:
    kept = in_order(made([2, 0, 2, 1, 0], [1, 2, 3, 4, 5]))
    assert ((kept.opened_at - START) // HOUR).tolist() == [0, 1, 2]
    assert kept.close.tolist() == [5, 4, 3]
