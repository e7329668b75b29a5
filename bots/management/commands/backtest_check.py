"""Say whether a backtest's result can be believed."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from accounts.management.base import Exit, Failure
from bots.core.backtest.checks import Checked
from bots.core.backtest.request import asked_for
from bots.core.backtest.study import checks_of
from bots.management.research import ResearchCommand, percent, signed


class Command(ResearchCommand):
    help = (
        "Look for look-ahead and too short a warm-up, and show the result under worse fills and in other orders of its "
        "trades. Exits with 1 where a check fails."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        asked, candles, market = self.data(asked_for(self.given(options)), options)
        checked = checks_of(asked, candles, market)
        self.emit({"request": asked.request.as_json(), "passed": checked.passed, **asdict(checked)}, lines(checked))
        if not checked.passed:
            raise Failure("The strategy says something else when it knows more or less than it should.", Exit.FAILED)


def lines(checked: Checked) -> Iterator[str]:
    look, luck = checked.lookahead, checked.monte_carlo
    found = "none" if look.passed else f"{look.differing} differ"
    yield f"Look-ahead: {found} in {look.candles} candles looked at again"
    for example in look.examples:
        yield f"  {example.candle_opened_at}: {example.what}"
    yield f"Warm-up: {checked.warmup_candles} candles are stated"
    for row in checked.warmup:
        largest = f"{row.largest_indicator_difference:.3g}"
        yield f"  {row.window:>6} candles: {row.differing} differ, indicators by up to {largest}"
    yield "Fills:"
    for fill in checked.fills:
        yield f"  {fill.name:<18} {signed(fill.return_pct):>12} {fill.closed_trades:>7,} trades"
    if luck is not None:
        shuffled, drawn = luck.shuffled_drawdown_pct, luck.drawn_return_pct
        yield f"Order of the {luck.trades:,} trades ({luck.runs:,} shuffles):"
        yield f"  drawdown {percent(shuffled[50])}, in 5 % of them over {percent(shuffled[95])}"
        yield f"  drawn anew: {signed(drawn[5])} to {signed(drawn[95])} in 90 % of them"
