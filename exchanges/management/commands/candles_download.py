"""Download an exchange's candles into the store."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit, Failure, instant
from exchanges import candle_download, candle_store
from exchanges.candle_download import Target
from exchanges.management.candles import CandleCommand, gap_documents, gap_lines, market_of, title


class Command(CandleCommand):
    help = "Download candles, page by page. Repeat the command after an interruption: it goes on where it ended."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_market(parser)
        parser.add_argument("--since", type=instant, required=True, metavar="ISO", help="First open time.")
        parser.add_argument("--until", type=instant, metavar="ISO", help="First open time left out; default: now.")
        parser.add_argument("--again", action="store_true", help="Also what is stored already.")

    def handle(self, *args: Any, **options: Any) -> None:
        at, market = self.at(options), market_of(options)
        target = Target(*market, options["since"], options["until"] or at, at, again=options["again"])
        if not target.candles:
            raise Failure("--until: Expected a range that holds a closed candle.", Exit.INVALID)
        done = candle_download.download(target, self.show)
        stored = candle_store.coverage(*market)
        gaps = stored.gaps if stored else ()
        self.progress("")
        self.emit(
            {**dict(zip(("exchange", "symbol", "timeframe"), market, strict=True)), **asdict(done),
             "candles": stored.candles if stored else 0, "gaps": gap_documents(gaps)},
            [f"{title(market)}: {done.added:,} added, {done.replaced:,} replaced, {done.unchanged:,} known",
             f"  {stored.candles if stored else 0:,} are stored, with {len(gaps):,} gaps", *gap_lines(gaps)],
        )  # fmt: skip

    def show(self, done: int, total: int) -> None:
        self.progress(f"{done:,} of {total:,} candles ({done / total:.0%})")
