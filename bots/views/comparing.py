"""Two to six backtests side by side: equity, figures with the best one named, and what was asked differently."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from accounts.auth import signed_in, user_of
from bots.core.backtest.overlap import overlap
from bots.core.result_pack import unpack_document
from bots.models import Backtest
from bots.queries.curves import compared, curves_of
from bots.templatetags.figures import UNKNOWN
from bots.views.figures_table import FIGURES, Figure, best_of, shown
from bots.views.plots import STYLES, compared_plot
from bots.views.shell import LARGEST_ID, found_or_404

LEAST, MOST = 2, 6
#: Trades of one side alone that are written out.
LISTED = 50
PLAIN = ("strategy", "exchange", "symbol", "timeframe", "since", "until", "capital", "fee", "slippage")


@dataclass(frozen=True, slots=True)
class Compared:
    figure: Figure
    cells: Sequence[tuple[str, bool]]


@dataclass(frozen=True, slots=True)
class Asked:
    """One entry of the requests; ``values`` as text in the order of the columns, "—" where one has none."""

    name: str
    values: Sequence[str]

    @property
    def differs(self) -> bool:
        return len(set(self.values)) > 1


Traded = tuple[Backtest, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two backtests: all its trades, the profit of those the other one entered too, and of its own alone."""

    row: Backtest
    trades: int
    shared_pnl: Decimal
    only_pnl: Decimal
    only: Sequence[Mapping[str, Any]]

    @property
    def quote(self) -> str:
        return str(self.row.symbol.split("/")[-1])

    @property
    def listed(self) -> list[tuple[datetime, datetime, Decimal, float]]:
        return [
            (
                datetime.fromisoformat(trade["entry_at"]),
                datetime.fromisoformat(trade["exit_at"]),
                Decimal(trade["pnl"]),
                float(trade["return_pct"]),
            )
            for trade in self.only
        ]


@dataclass(frozen=True, slots=True)
class Overlapping:
    """``share`` of all entries in percent as text; ``sides`` with how many trades are theirs alone."""

    share: str
    shared: int
    alike: int
    sides: Sequence[tuple[Side, int]]


@signed_in
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """``?ids=1,2`` or ``?ids=1&ids=2``; too few or too many go back to the list with the reason."""
    ids = ids_of(request.GET.getlist("ids"))
    if not LEAST <= len(ids) <= MOST:
        messages.error(request, f"Choose {LEAST} to {MOST} finished backtests to compare; {len(ids)} were chosen.")
        return redirect("bots_backtests")
    rows = found_or_404(lambda: compared(user_of(request), ids))
    curves = [(f"#{row.pk} {row.strategy}", found) for row in rows if (found := curves_of(row)) is not None]
    context: dict[str, Any] = {
        "heads": list(zip(rows, STYLES, strict=False)),
        "plot": compared_plot(curves),
        "figures": [figures_row(figure, rows) for figure in FIGURES],
        "asked": asked_rows([row.request for row in rows]),
        "overlaps": overlaps_of(rows),
        "quotes": {row.symbol.split("/")[-1] for row in rows},
    }
    return render(request, "bots/backtest_compare.html", context)


def overlaps_of(rows: Sequence[Backtest]) -> list[Overlapping]:
    """The first one's trades against those of each other on the same market."""
    first, *others = [(row, unpack_document(bytes(row.result or b""))["trades"]) for row in rows]
    alike = [one for one in others if (one[0].exchange, one[0].symbol) == (first[0].exchange, first[0].symbol)]
    return [_overlapping(first, other) for other in alike]


def _overlapping(first: Traded, second: Traded) -> Overlapping:
    found = overlap(first[1], second[1])
    shared, also, mine, theirs = found.pnl
    share = UNKNOWN if found.share_pct is None else f"{found.share_pct:.1f} %"
    sides = [
        Side(first[0], len(first[1]), shared, mine, found.only_first[:LISTED]),
        Side(second[0], len(second[1]), also, theirs, found.only_second[:LISTED]),
    ]
    counts = (len(found.only_first), len(found.only_second))
    return Overlapping(share, len(found.shared), found.alike, list(zip(sides, counts, strict=True)))


def ids_of(texts: Sequence[str]) -> list[int]:
    parts = [part.strip() for text in texts for part in text.split(",")]
    known = [min(int(part), LARGEST_ID) for part in parts if part.isascii() and part.isdigit() and len(part) < 20]
    return list(dict.fromkeys(known))


def figures_row(figure: Figure, rows: Sequence[Backtest]) -> Compared:
    """Money of different quote currencies is shown, but has no best."""
    values = [(row.stats or {}).get(figure.name) for row in rows]
    alike = len({row.symbol.split("/")[-1] for row in rows}) == 1 or "money" not in figure.form
    best = best_of(figure, values) if alike else set()
    texts = [shown(figure, value, row.symbol.split("/")[-1]) for value, row in zip(values, rows, strict=True)]
    return Compared(figure, [(text, index in best) for index, text in enumerate(texts)])


def asked_rows(requests: Sequence[Mapping[str, Any]]) -> list[Asked]:
    rows = [Asked(name, [_text(request.get(name)) for request in requests]) for name in PLAIN]
    for group in ("params", "limits"):
        names = dict.fromkeys(name for request in requests for name in request.get(group, {}))
        rows += [Asked(name, [_text(request.get(group, {}).get(name)) for request in requests]) for name in names]
    return rows


def _text(value: object) -> str:
    return "—" if value is None else str(value)
