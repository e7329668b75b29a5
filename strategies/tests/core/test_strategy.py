from decimal import Decimal

import numpy as np
import pytest

from exchanges.core.candles import Candles
from strategies.core.errors import HistoryMissing, ParameterError
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, StrategyRegistry, UnknownStrategy
from strategies.library.rsi_cross import RSICrossStrategy
from strategies.tests.execute_only import execute_only
from strategies.tests.places import recorded, synthetic


class Rising(BaseStrategy):
    """Buys a higher close, sells a lower one."""

    name = "rising"
    closes_suffice = False
    parameters = (Parameter("step", "float", 0.0, 0, 10), Parameter("label", "choice", "a", choices=("a", "b")))

    def signals(self, candles):
        change = np.diff(candles.close, prepend=candles.close[:1])
        return Signals(change > self.step, change < -self.step, np.ones(len(change), bool), np.abs(change) / 100)

    def reason(self, signals, index, holding):
        return f"holding {holding}"


class Parrot(BaseStrategy):
    """Says BUY from the third close on, and SELL when it holds; written without calling super().__init__."""

    name = "parrot"

    def __init__(self, confidence=0.5):
        self.confidence = confidence

    def execute(self, ticker_data, context):
        if len(ticker_data["closes"]) < 3:
            return {"signal": "HOLD", "confidence": 0.0, "reason": "too early"}
        word = "SELL" if context["holding"] else "BUY"
        return {"signal": word, "confidence": self.confidence, "reason": f"{word} at {ticker_data['price']}"}


@pytest.fixture
def registry():
    before = dict(StrategyRegistry._known)
    yield StrategyRegistry
    StrategyRegistry._known.clear()
    StrategyRegistry._known.update(before)


@pytest.fixture
def rising():
    return Rising()


ROWS = [[1_000 * i, close, close, close, close, 1.0] for i, close in enumerate((10.0, 12.0, 11.0))]


# --- parameters ------------------------------------------------------------------------------------------------


def test_parameters_by_position_name_and_alias_are_the_same_strategy():
    by_position = RSICrossStrategy(7, 25, 75, "wilder")
    by_name = RSICrossStrategy(rsi_period=7, oversold_threshold=25, overbought_threshold=75, rsi_method="wilder")
    assert by_position == by_name
    assert hash(by_position) == hash(by_name)
    assert by_position != RSICrossStrategy(8, 25, 75, "wilder")
    assert by_position != "rsi_cross"
    assert (by_name.rsi_period, by_name.oversold, by_name.overbought) == (7, 25.0, 75.0)
    assert repr(by_name) == ("RSICrossStrategy(rsi_period=7, oversold=25.0, overbought=75.0, rsi_method='wilder')")


def test_parameters_too_many_or_twice_are_refused():
    with pytest.raises(TypeError, match="at most 4 parameters, was 5"):
        RSICrossStrategy(14, 30, 70, "cutler", 1)
    with pytest.raises(TypeError, match="Expected rsi_period once"):
        RSICrossStrategy(14, rsi_period=14)


def test_parameters_out_of_bounds_are_named():
    with pytest.raises(ParameterError) as refused:
        RSICrossStrategy(rsi_period=1, overbought=101)
    assert refused.value.errors == {
        "rsi_period": "Expected a whole number from 2 to 200, was 1.",
        "overbought": "Expected a number from 0 to 100, was 101.",
    }


def test_form_texts_become_typed_parameters():
    assert RSICrossStrategy.parse({"rsi_period": " 21 ", "oversold": ""})["rsi_period"] == 21


# --- execute ---------------------------------------------------------------------------------------------------


def test_execute_when_flat_looks_at_entries_only(rising):
    data = {"candles": Candles.from_rows(ROWS)}
    assert rising.execute(data, {"holding": False}) == {"signal": "HOLD", "confidence": 0.0, "reason": "holding False"}


def test_execute_when_holding_looks_at_exits_only(rising):
    assert rising.execute({"ohlcv": ROWS}, {"holding": True}) == {
        "signal": "SELL",
        "confidence": 0.01,
        "reason": "holding True",
    }
    assert rising.execute({"ohlcv": ROWS[:2]}, {"holding": True})["signal"] == "HOLD"


@pytest.mark.parametrize(
    ("context", "signal"),
    [
        ({}, "SELL"),
        ({"holding": None}, "SELL"),
        ({"position": None}, "HOLD"),
        ({"position": "0.000"}, "HOLD"),
        ({"position": Decimal("0.1")}, "SELL"),
        ({"position": {"amount": "0.5"}}, "SELL"),
        ({"position": {"amount": None}}, "HOLD"),
        ({"position": True}, "SELL"),
    ],
)
def test_execute_reads_the_position_from_the_context(rising, context, signal):
    assert rising.execute({"history": ROWS}, context)["signal"] == signal


def test_execute_without_a_word_about_positions_puts_the_entry_first(rising):
    assert rising.execute({"history": ROWS[:2]}, {})["signal"] == "BUY"


def test_execute_with_a_position_that_is_no_amount_says_so(rising):
    with pytest.raises(ValueError, match="position: Expected an amount, was 'much'"):
        rising.execute({"history": ROWS}, {"position": "much"})


def test_execute_answers_plain_values():
    verdict = RSICrossStrategy().execute({"closes": [10, 11] * 10}, {})
    assert (type(verdict["signal"]), type(verdict["confidence"])) == (str, float)


@pytest.mark.parametrize("key", ["closes", "close_prices", "prices", "history"])
def test_execute_takes_closes_under_their_usual_names(key):
    closes = synthetic(60).close.tolist()
    verdict = RSICrossStrategy().execute({key: closes}, {})
    assert verdict["reason"].startswith("RSI(14, Cutler) is ")


def test_execute_takes_numbers_as_text():
    rows = [[str(value) for value in row] for row in synthetic(60).rows()]
    same = RSICrossStrategy().execute({"ohlcv": synthetic(60).rows()}, {})
    assert RSICrossStrategy().execute({"ohlcv": [[row[0][:13], *row[1:]] for row in rows]}, {}) == same


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Expected history under one of candles, ohlcv, .* was nothing"),
        ({"symbol": "BTC/USDT", "closes": None}, "was closes, symbol"),
        ({"closes": [1.0, 2.0]}, r"closes: Expected rows \[opened_at_ms"),
        ({"ohlcv": [[1, 2, 3]]}, r"ohlcv\[0\]: Expected 6 columns, was 3"),
        ({"ohlcv": [[0, 1, 1, 1, "x", 1]]}, r"ohlcv\[0\]: Expected finite numbers, was 'x'"),
    ],
)
def test_execute_without_usable_history_says_what_it_expects(rising, data, message):
    with pytest.raises(HistoryMissing, match=message):
        rising.execute(data, {})


def test_execute_with_a_close_that_is_no_number_says_so():
    with pytest.raises(HistoryMissing, match="closes: Expected finite numbers, was nan"):
        RSICrossStrategy().execute({"closes": [1.0, float("nan")]}, {})


def test_execute_of_no_candles_is_warming_up(rising):
    assert rising.execute({"closes": []}, {})["reason"] == (
        "Warming up: 0 of the 1 closed candles that a first opinion needs."
    )


# --- strategies that only have execute -------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cutler", "wilder"])
def test_execute_only_strategy_has_the_signals_of_the_vectorised_one(method):
    inner = RSICrossStrategy(rsi_method=method)
    wrapped = execute_only(inner)
    for candles in (synthetic(700), recorded("btcusdt_1h_binance_2024-01_2024-04.csv")[:900]):
        fast, slow = inner.signals(candles), wrapped.signals(candles)
        for column in ("entry", "exit", "ready"):
            assert getattr(slow, column).tolist() == getattr(fast, column).tolist(), column
        np.testing.assert_allclose(slow.confidence, fast.confidence, rtol=0, atol=1e-6)
        for index in [*np.flatnonzero(fast.entry), len(candles) - 1]:
            assert wrapped.reason(slow, index, False) == inner.reason(fast, index, False)
        assert wrapped.reason(slow, -1, True) == inner.reason(fast, -1, True)


def test_execute_only_strategy_needs_no_more_than_execute():
    signals = Parrot(0.25).signals(Candles.from_rows(ROWS))
    assert signals.entry.tolist() == signals.exit.tolist() == [False, False, True]
    assert signals.confidence.tolist() == [0.0, 0.0, 0.25]
    assert signals.ready.all()
    assert Parrot().reason(signals, 2, True) == "SELL at 11.0"
    assert Parrot().reason(signals, 0, True) == ""
    assert Parrot().params == {}


def test_execute_override_beats_inherited_signals():
    class Contrary(RSICrossStrategy):
        def execute(self, ticker_data, context):
            verdict = super().execute(ticker_data, context)
            return {**verdict, "signal": "HOLD", "confidence": 0.0, "reason": f"Not now: {verdict['reason']}"}

    signals = Contrary().signals(synthetic(300))
    assert RSICrossStrategy().signals(synthetic(300)).entry.any()
    assert not signals.entry.any()
    assert Contrary().reason(signals, -1, False).startswith("Not now: RSI(14, Cutler) is ")


@pytest.mark.parametrize(
    "verdict",
    [
        {"signal": "buy", "confidence": 0.1, "reason": ""},
        {"signal": "BUY", "confidence": 1.1, "reason": ""},
    ],
)
def test_execute_only_strategy_that_answers_nonsense_is_named(verdict):
    class Drunk(BaseStrategy):
        def execute(self, ticker_data, context):
            return verdict

    with pytest.raises(ValueError, match="Drunk: Expected BUY, SELL or HOLD"):
        Drunk().signals(Candles.from_rows(ROWS))


def test_strategy_without_signals_and_execute_is_refused(registry):
    class Empty(BaseStrategy):
        name = "empty"

    with pytest.raises(TypeError, match="Empty: Expected signals or execute"):
        registry.register(Empty)
    with pytest.raises(TypeError, match="Empty: Expected signals or execute"):
        Empty().signals(Candles.from_rows(ROWS))
    with pytest.raises(TypeError, match="Empty: Expected signals or execute"):
        Empty().execute({"closes": [1]}, {})


def test_warmup_is_five_hundred_unless_said_otherwise():
    assert (Parrot().warmup, Parrot().warmup_on(60_000), Parrot().minimum) == (500, 500, 1)
    assert Parrot.json_schema()["properties"] == {}


# --- registry --------------------------------------------------------------------------------------------------


def test_registry_takes_a_class_as_call_and_as_decorator(registry):
    assert registry.register(Rising) is Rising
    assert registry.get("rising") is Rising
    assert registry.register("macaw", Parrot) is Parrot
    assert registry.get("macaw") is Parrot

    @registry.register("third")
    class Third(Rising):
        pass

    assert registry.get("third") is Third
    assert {"rising", "macaw", "third"} <= set(registry.list_all())
    Parrot.name = "parrot"


def test_registry_lists_sorted_names(registry):
    registry.register(Rising)
    assert registry.list_all() == sorted(registry.list_all())


def test_registry_does_not_know_an_unknown_name(registry):
    with pytest.raises(UnknownStrategy, match=r"Expected one of .*rsi_cross.*, was 'nope'") as unknown:
        registry.get("nope")
    assert isinstance(unknown.value, LookupError)
    assert unknown.value.name == "nope"


def test_registry_takes_the_same_class_twice_and_no_other_under_its_name(registry):
    registry.register(Rising)
    registry.register(Rising)
    with pytest.raises(ValueError, match="rising: Expected a free name"):
        registry.register("rising", Parrot)
    registry.unregister("rising")
    registry.unregister("rising")
    assert "rising" not in registry.list_all()


def test_registry_refuses_what_is_no_strategy_and_what_has_no_name(registry):
    with pytest.raises(TypeError, match="Expected a subclass of BaseStrategy"):
        registry.register(dict)

    class Nameless(BaseStrategy):
        def execute(self, ticker_data, context):
            raise NotImplementedError

    with pytest.raises(ValueError, match="Nameless: Expected a name"):
        registry.register(Nameless)
