"""Sweeps: many parameter sets of one strategy, ranked, with every reason to doubt the first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.auth import actor_of, signed_in, user_of
from bots import research_tasks, sweeps
from bots.core.sweep.plan import OBJECTIVES
from bots.forms_research import OBJECTIVE_WORDS, SweepForm
from bots.models import JobState
from bots.queries import research
from bots.queries.research import ResearchView
from bots.views import research_entries as entered
from bots.views import research_new
from bots.views.figures_table import BY_NAME, Figure, shown
from bots.views.plots import SHADES
from bots.views.shell import PER_PAGE, cursor, digits, found_or_404, live_page
from strategies.core.strategy import StrategyRegistry

NEW = research_new.Kind(
    SweepForm,
    entered.SWEEP_DEFAULTS,
    "sweep_new",
    "bots_sweep",
    sweeps.submit,
    research_tasks.research_sweep,
    hands=research_tasks.HANDS,
)
COLUMNS = ("return_pct", "sharpe_daily_365", "profit_factor", "win_rate_pct", "closed_trades", "max_drawdown_pct")
#: Values of one parameter that a heatmap can show.
MOST_SIDE = 25


@signed_in
@require_GET
def sweep_list(request: HttpRequest) -> HttpResponse:
    page = research.sweeps_of(user_of(request), limit=PER_PAGE, before=cursor(request))
    return live_page(request, "sweep_list", {"at": timezone.now(), "page": page})


@signed_in
@require_http_methods(["GET", "POST"])
def sweep_new(request: HttpRequest) -> HttpResponse:
    return research_new.answer(request, NEW)


@signed_in
@require_GET
def sweep_detail(request: HttpRequest, sweep_id: int) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    row = found_or_404(lambda: research.sweep_model(user, sweep_id))
    view = research.sweep_view(row, at)
    context = {
        "at": at,
        "job": view,
        "sets": row.sets,
        "plan": row.plan,
        "quote": view.symbol.split("/")[-1],
        "pace": research.pace(view, at),
        "again_query": urlencode(entered.sweep_entries(view.request, row.plan)),
    }
    if view.state != JobState.DONE:
        return live_page(request, "sweep_progress", context)
    if getattr(request, "htmx", False):
        return HttpResponseClientRefresh()
    return render(request, "bots/sweep_report.html", {**context, **_report(request, view, row.plan)})


@signed_in
@require_POST
def sweep_cancel(request: HttpRequest, sweep_id: int) -> HttpResponse:
    row = found_or_404(lambda: research.sweep_model(user_of(request), sweep_id))
    sweeps.cancel(row, timezone.now(), actor_of(request))
    messages.info(request, f"Sweep {sweep_id} is canceled, unless it was done before.")
    return redirect("bots_sweep", sweep_id)


@dataclass(frozen=True, slots=True)
class Ranked:
    """One parameter set, its values and figures by name; ``query`` fills in the backtest form with it, ``paper`` the
    form of a new bot; ``agrees`` None: not run exactly."""

    rank: int
    params: Sequence[tuple[str, str]]
    figures: Sequence[tuple[str, str]]
    query: str
    paper: Mapping[str, str]
    agrees: bool | None


def _report(request: HttpRequest, view: ResearchView, plan: Mapping[str, Any]) -> Mapping[str, Any]:
    result: Mapping[str, Any] = view.result or {}
    rows, start, objective = result["rows"], digits(request, "after") or 0, result["objective"]
    names, quote = _in_order(plan["grid"], view.request["strategy"]), view.symbol.split("/")[-1]
    columns = [BY_NAME[name] for name in dict.fromkeys((objective, *COLUMNS))]
    across, down = axes(names, request.GET.get("x", ""), request.GET.get("y", ""))
    return {
        "result": result,
        "names": names,
        "columns": columns,
        "rows": [_ranked(row, names, columns, view.request, quote) for row in rows[start : start + PER_PAGE]],
        "next": start + PER_PAGE if start + PER_PAGE < len(rows) else None,
        "start": start,
        "objective": OBJECTIVE_WORDS[objective],
        "figure": BY_NAME[objective],
        "across": across,
        "down": down,
        "heat": heatmap(rows, across, down, BY_NAME[objective], quote) if across and down else None,
        "walk": _folds(result["walk_forward"], BY_NAME[objective], quote),
    }


def _in_order(varied: Iterable[str], strategy: str) -> list[str]:
    """As the strategy declares its parameters, then limits; PostgreSQL keeps no order of what was asked for."""
    known = strategy in StrategyRegistry.list_all()
    declared = [one.name for one in StrategyRegistry.get(strategy).parameters] if known else []
    return sorted(varied, key=lambda name: (declared.index(name) if name in declared else len(declared), name))


def _ranked(
    row: Mapping[str, Any], names: Sequence[str], columns: Sequence[Figure], asked: Mapping[str, Any], quote: str
) -> Ranked:
    one, stats = entered.with_set(asked, row["params"]), row.get("exact") or row["stats"]
    return Ranked(
        rank=row["rank"],
        params=[(name, str(row["params"].get(name, "—"))) for name in names],
        figures=[(figure.label, shown(figure, stats.get(figure.name), quote)) for figure in columns],
        query=urlencode(entered.entries_of(one)),
        paper=entered.paper_entries(one),
        agrees=row.get("agrees"),
    )


def _folds(walk: Mapping[str, Any] | None, figure: Figure, quote: str) -> Mapping[str, Any] | None:
    """The folds with their figures as texts."""
    if walk is None:
        return None
    folds = [
        {
            **fold,
            "params": ", ".join(f"{name} {value}" for name, value in (fold["params"] or {}).items())
            or "no set qualified",
            "in_sample": shown(figure, fold["in_sample"], quote),
            "out_of_sample": shown(figure, fold["out_of_sample"], quote),
            "return": shown(BY_NAME["return_pct"], fold["out_of_sample_return_pct"], quote),
        }
        for fold in walk["folds"]
    ]
    means = {name: shown(figure, walk[name], quote) for name in ("in_sample", "out_of_sample")}
    return {"folds": folds, **means, "return": shown(BY_NAME["return_pct"], walk["return_pct"], quote)}


def axes(names: Sequence[str], across: str, down: str) -> tuple[str, str]:
    """Two different varied parameters; the first two where none, or nonsense, was asked for."""
    if len(names) < 2:
        return "", ""
    across = across if across in names else names[0]
    rest = [name for name in names if name != across]
    return across, down if down in rest else rest[0]


@dataclass(frozen=True, slots=True)
class Heat:
    """``rows``: (value, [(text, shade)]); a cell is the best that the two values reached with any of the others."""

    across: Sequence[Any]
    rows: Sequence[tuple[Any, Sequence[tuple[str, str]]]]
    cut: bool


def heatmap(rows: Sequence[Mapping[str, Any]], across: str, down: str, figure: Figure, quote: str) -> Heat:
    best: dict[tuple[Any, Any], float] = {}
    better = OBJECTIVES[figure.name]
    for row in rows:
        spot, value = (row["params"][across], row["params"][down]), row["stats"][figure.name]
        if value is not None and (spot not in best or better * value > better * best[spot]):
            best[spot] = value
    columns, lines = _sorted({x for x, _ in best}), _sorted({y for _, y in best})
    low, reach = (
        min(best.values(), default=0.0),
        (max(best.values(), default=0.0) - min(best.values(), default=0.0)) or 1.0,
    )

    def cell(value: float | None) -> tuple[str, str]:
        if value is None:
            return "—", "none"
        share = (value - low) / reach if better > 0 else 1 - (value - low) / reach
        return str(shown(figure, value, quote)), f"heat{min(2 * SHADES, int(share * 2 * SHADES) + 1)}"

    shown_columns, shown_lines = columns[:MOST_SIDE], lines[:MOST_SIDE]
    table = [(y, [cell(best.get((x, y))) for x in shown_columns]) for y in shown_lines]
    return Heat(shown_columns, table, len(columns) > MOST_SIDE or len(lines) > MOST_SIDE)


def _sorted(values: set[Any]) -> list[Any]:
    """Numbers by their size, whether they came as numbers or as decimal texts; words by the alphabet."""

    def key(value: Any) -> tuple[int, float, str]:
        try:
            return 0, float(value), ""
        except ValueError:
            return 1, 0.0, str(value)

    return sorted(values, key=key)
