import pytest

from strategies.core.parameters import ParameterError
from strategies.library.macd_cross import MACDCrossStrategy


def test_fast_mean_that_is_not_faster_is_refused():
    with pytest.raises(ParameterError) as refused:
        MACDCrossStrategy(fast_period=50, slow_period=50)
    assert refused.value.errors == {"fast_period": "Expected less than slow_period (50), was 50."}
