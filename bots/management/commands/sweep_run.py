"""Try many parameter sets on past candles and rank them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit, Failure
from bots.core.backtest.report_csv import sweep_table
from bots.core.result_pack import pack_document, unpack_document
from bots.core.sweep.study import Field, concluded, quest_of
from bots.management.arguments import json_object
from bots.management.research import ResearchCommand, percent, ratio, require_new, signed, write_table

PLAN = ("grid", "objective", "constraints", "samples", "seed", "top")
SHOWN = 20
TOLD_EVERY = 50


class Command(ResearchCommand):
    help = "Try many parameter sets on past candles, rank them, and say how much of the best is luck."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--grid", type=json_object, required=True, metavar="JSON",
            help='{"rsi_period": {"min": 6, "max": 24, "step": 2}, "oversold": [25, 30]}',
        )  # fmt: skip
        parser.add_argument("--objective", help="What is to be largest; default sharpe_daily_365.")
        parser.add_argument("--constraints", type=json_object, metavar="JSON", help='{"closed_trades": {"min": 30}}')
        parser.add_argument("--samples", type=int, help="So many sets drawn at random, instead of all.")
        parser.add_argument("--seed", type=int, help="Of the random search.")
        parser.add_argument("--walk-forward", type=int, metavar="FOLDS", help="Choose on the past, judge on the next.")
        parser.add_argument("--in-sample", type=float, metavar="SHARE", help="Of each fold; default 0.7.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write the ranking there, as CSV.")
        parser.add_argument("--top", type=int, help="Rows that are run again through the exact ledger; default 20.")

    def given(self, options: Mapping[str, Any]) -> dict[str, Any]:
        plan = {name: options[name] for name in PLAN if options.get(name) is not None}
        if options.get("walk_forward") is not None:
            plan["walk_forward"] = {"folds": options["walk_forward"], "in_sample": options["in_sample"]}
        return {**super().given(options), **plan}

    def handle(self, *args: Any, **options: Any) -> None:
        # A ranking that has nowhere to go would be lost after all the work.
        require_new(options, "output")
        if options["in_sample"] is not None and options["walk_forward"] is None:
            raise Failure("--in-sample: Expected --walk-forward beside it.", Exit.USAGE)
        quest = quest_of(self.given(options))
        asked, candles, market = self.data(quest.asked, options, quest.warmup())
        quest = replace(quest, asked=asked)
        field = Field(quest, candles, market)
        scores = field.evaluated(0, len(quest.sets.items), self._counting(len(quest.sets.items)))
        document = concluded(field, scores)
        if options["output"] is not None:
            write_table(options["output"], sweep_table(unpack_document(pack_document(document)[0])))
        self.emit({"request": {**quest.request.as_json(), **quest.plan.as_json()}, **document}, lines(document))

    def _counting(self, count: int) -> Any:
        done = 0

        def told() -> None:
            nonlocal done
            done += 1
            if done % TOLD_EVERY == 0 or done == count:
                self.progress(f"{done:,} of {count:,} sets\n" if done == count else f"{done:,} of {count:,} sets")

        return told


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    objective = document["objective"]
    yield f"{document['sets']:,} sets, {document['qualifying_sets']:,} qualify; by {objective}"
    yield ""
    yield f"{'':>4} {'return':>11} {'Sharpe':>8} {'trades':>7} {'win rate':>9} {'drawdown':>9}  parameters"
    for row in document["rows"][:SHOWN]:
        stats, exact = row["stats"], row.get("exact") or {}
        values = ", ".join(f"{name}={value}" for name, value in row["params"].items())
        yield (
            f"{row['rank']:>4} {signed(stats['return_pct']):>11} {ratio(stats['sharpe_daily_365']):>8} "
            f"{int(stats['closed_trades']):>7,} {percent(stats['win_rate_pct']):>9} "
            f"{percent(exact.get('max_drawdown_pct')):>9}  {values}{'' if row.get('agrees', True) else '  (differs)'}"
        )
    walk = document["walk_forward"]
    if walk is not None:
        yield ""
        yield f"Walk-forward: {signed(walk['return_pct'])} over {len(walk['folds'])} folds that were not seen before."
    for caveat in document["caveats"]:
        yield f"Caution: {caveat['text']}"
