"""Backtests from request to report."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from bots.core import backtest
from bots.core.backtest_request import BacktestRequest, parse_request
from bots.core.report import Report, data_facts, report
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candles import Candles
from exchanges.core.market import Market
from strategies.core.strategy import BaseStrategy, StrategyRegistry


@dataclass(frozen=True, slots=True)
class Job:
    """A checked request with the strategy it asks for."""

    request: BacktestRequest
    strategy: BaseStrategy


def job_of(given: Mapping[str, Any]) -> Job:
    """From the API's fields; raises UnknownStrategy and RequestError."""
    kind = StrategyRegistry.get(str(given.get("strategy")))
    request = parse_request(given, kind)
    return Job(request, kind(**request.params))


def report_of(job: Job, candles: Candles, market: Market | None = None) -> Report:
    """Raises NoCandles."""
    request, terms = job.request, job.request.terms(market)
    window = backtest.window(candles, job.strategy, request.timeframe, request.since, request.until)
    outcome = backtest.run(window.candles, window.signals, terms)
    return report(outcome, window.candles, terms, data_facts(window, request.timeframe))


def report_of_file(job: Job, path: Path, at: datetime) -> Report:
    """From a CSV file alone: no network, no database. Raises CandleFileError naming the row."""
    candles, _ = read_candle_csv(path, job.request.timeframe, at)
    return report_of(job, candles)
