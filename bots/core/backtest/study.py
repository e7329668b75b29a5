"""One request on some candles: its report, or the checks whether to believe it."""

from bots.core.backtest import engine
from bots.core.backtest.checks import Checked, check
from bots.core.backtest.report import Report, data_facts, report
from bots.core.backtest.request import Asked
from exchanges.core.candles import Candles
from exchanges.core.market import Market


def report_of(asked: Asked, candles: Candles, market: Market | None = None) -> Report:
    """Under the market's rules, or the finest where they are not known. Raises NoCandles."""
    window = _window(asked, candles)
    terms = asked.request.terms(market)
    outcome = engine.run(window.candles, window.signals, terms)
    return report(outcome, window.candles, terms, data_facts(window, asked.request.timeframe))


def checks_of(asked: Asked, candles: Candles, market: Market | None = None) -> Checked:
    """Raises NoCandles."""
    request = asked.request
    return check(asked.strategy, _window(asked, candles).read, request.timeframe, request.terms(market))


def _window(asked: Asked, candles: Candles) -> engine.Window:
    request = asked.request
    return engine.window(candles, asked.strategy, request.timeframe, request.since, request.until)
