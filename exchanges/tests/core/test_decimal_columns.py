import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exchanges.core.decimal_columns import from_floats
from exchanges.core.decimals import from_float

PRICES = st.builds(round, st.floats(1e-9, 1e12), st.integers(0, 12))


@given(st.lists(st.one_of(PRICES, st.floats()), max_size=30))
@example([0.0, -0.0, 1e15, 1e16, 123456789012345.6, 5e-324, 1.2e-7, 0.09969000000000001, 2.0**53, -3.25, 1e308])
@settings(max_examples=400, deadline=None)
def test_many_decimals_are_those_of_each_float_to_the_letter(values):
    assert list(map(str, from_floats(np.array(values)))) == [str(from_float(value)) for value in values]
