import math
from datetime import UTC, datetime
from decimal import Decimal as D

import numpy as np
import pytest

from bots.core.result_pack import (
    MOST_POINTS,
    pack_document,
    pack_equity,
    pack_scores,
    unpack_document,
    unpack_equity,
    unpack_scores,
)  # fmt: skip
from bots.core.sweep.scores import COLUMNS, Scores
from strategies.tests.places import synthetic


def test_equal_documents_have_equal_bytes_whatever_their_order():
    one, other = (
        {"a": D("1.50"), "b": datetime(2024, 1, 1, tzinfo=UTC)},
        {"b": datetime(2024, 1, 1, tzinfo=UTC), "a": D("1.5")},
    )
    assert pack_document(one) == pack_document(other)
    assert unpack_document(pack_document(one)[0]) == {"a": "1.5", "b": "2024-01-01T00:00:00Z"}
    assert pack_document(one)[1] != pack_document({"a": D("1.51"), "b": one["b"]})[1]


def test_what_json_cannot_hold_is_refused():
    with pytest.raises(TypeError, match="set"):
        pack_document({"a": {1}})
    with pytest.raises(ValueError, match="JSON"):
        pack_document({"a": math.nan})


@pytest.mark.parametrize("count", [1, 10, MOST_POINTS, MOST_POINTS * 2 + 7])
def test_curve_keeps_its_end_and_at_most_so_many_points(count):
    candles = synthetic(count)
    rows = unpack_equity(pack_equity(candles, np.arange(count, dtype=float)))
    assert len(rows) == min(count, MOST_POINTS)
    assert rows[-1].tolist() == [candles.opened_at[-1], count - 1, candles.close[-1]]
    assert (np.diff(rows[:, 0]) > 0).all()


def test_scores_survive_with_what_is_undefined():
    windows = [Scores(*np.random.default_rng(seed).random((len(COLUMNS), 3))) for seed in (1, 2)]
    windows[0].profit_factor[1] = math.nan
    again = unpack_scores(pack_scores(windows), 2)
    for one, other in zip(windows, again, strict=True):
        for name in COLUMNS:
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True)
