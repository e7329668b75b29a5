import numpy as np
import pytest

from accounts.tests import cast
from exchanges import candle_store
from exchanges.core import demo
from exchanges.core.candles import Candles
from strategies.core.plan import Grid
from strategies.core.strategy import StrategyRegistry
from strategies.queries import previews
from strategies.queries.previews import FIRST, Source, UnknownSource
from strategies.tests.places import synthetic

STORED = Source("binance", "BTC/USDT", "1h")


def store(candles):
    candle_store.save(STORED.exchange, STORED.symbol, STORED.timeframe, candles, "test", cast.NOW)


def test_demo_candles_are_of_the_demo_market_and_end_where_it_says():
    seen = previews.preview_of(StrategyRegistry.get("rsi_cross")(), FIRST, 50)
    assert len(seen.candles) == 50
    end = int(previews.DEMO_UNTIL.timestamp() * 1000)
    expected = demo.candles("BTC/USDT", "15m", end - 50 * 900_000, 50)
    assert seen.candles.close.tolist() == expected.close.tolist()
    assert seen.warming_up == 0


@pytest.mark.parametrize("name", StrategyRegistry.list_all())
def test_every_strategy_trades_on_its_example(name):
    kind = StrategyRegistry.get(name)
    if name == "rules":
        assert not kind.example
        return
    strategy = kind(**kind.example)
    assert previews.preview_of(strategy, FIRST).bought or isinstance(strategy.plan, Grid)


@pytest.mark.django_db
def test_sources_are_the_demo_markets_and_what_is_stored():
    store(synthetic(300))
    found = previews.sources()
    assert found[0] == FIRST
    assert STORED in found
    assert len(set(found)) == len(found) == 3 * len(demo.INSTRUMENTS) + 1
    assert previews.source_of("") == FIRST
    assert previews.source_of("binance BTC/USDT 1h") == STORED
    with pytest.raises(UnknownSource, match="Expected candles that are here"):
        previews.source_of("kraken BTC/USDT 1h")


@pytest.mark.django_db
def test_stored_candles_are_the_last_ones_with_their_warmup():
    candles = synthetic(500)
    store(candles)
    strategy = StrategyRegistry.get("rsi_cross")()
    seen = previews.preview_of(strategy, STORED, 100)
    assert seen.candles.opened_at.tolist() == candles.opened_at[-100:].tolist()
    assert seen.entries == int(np.count_nonzero(strategy.signals(candles).entry[-100:]))


@pytest.mark.django_db
def test_gaps_do_not_shorten_the_preview():
    whole = synthetic(500)
    kept = np.r_[0:150, 300:500]
    columns = (getattr(whole, name)[kept] for name in ("opened_at", "open", "high", "low", "close", "volume"))
    store(Candles(*columns))
    assert len(previews.preview_of(StrategyRegistry.get("rsi_cross")(), STORED, 250).candles) == 250


@pytest.mark.django_db
def test_candles_that_were_deleted_are_an_unknown_source():
    with pytest.raises(UnknownSource, match="are stored any more"):
        previews.preview_of(StrategyRegistry.get("rsi_cross")(), STORED)
