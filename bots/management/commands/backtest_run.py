"""Try a strategy on past candles."""

from typing import Any

from bots.core.backtest_request import asked_for
from bots.core.backtest_study import report_of
from bots.core.backtest_terms import market_facts, split_symbol
from bots.management.research import ResearchCommand, report_lines


class Command(ResearchCommand):
    help = "Try a strategy on past candles and report what it would have earned, beside buy and hold."

    def handle(self, *args: Any, **options: Any) -> None:
        asked, candles, market = self.data(asked_for(self.given(options)), options)
        report = report_of(asked, candles, market)
        request = asked.request
        title = f"{asked.strategy!r} on {request.exchange} {request.symbol} {request.timeframe}"
        document = {"request": request.as_json(), "market": market_facts(market), **report.document()}
        self.emit(document, report_lines(report, title, split_symbol(request.symbol)[1]))
