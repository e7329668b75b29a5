"""Try a strategy on past candles."""

from typing import Any

from bots import backtests
from bots.core.backtest_terms import split_symbol
from bots.management.research import ResearchCommand, report_lines


class Command(ResearchCommand):
    help = "Try a strategy on past candles and report what it would have earned, beside buy and hold."

    def handle(self, *args: Any, **options: Any) -> None:
        at = self.at(options)
        job = backtests.job_of(self.given(options))
        report = backtests.report_of_file(job, options["csv"], at)
        request = job.request
        title = f"{job.strategy!r} on {request.exchange} {request.symbol} {request.timeframe}"
        document = {"request": request.as_json(), **report.document()}
        self.emit(document, report_lines(report, title, split_symbol(request.symbol)[1]))
