"""Bots: the list, one bot's page, and what a person may do to it."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.auth import actor_of, signed_in, user_of
from accounts.models import User
from bots import lifecycle
from bots.forms import RunFilterForm, StopForm
from bots.models import Mode
from bots.queries import cases, history, protections, risk, runs
from bots.queries import drift as drift_reports
from bots.queries.shapes import RunFilter, RunView, TradeFilter
from bots.views.shell import PER_PAGE, PER_TAB, cursor, dialog_page, found_or_404, live_page
from strategies import queries as strategies

TABS = {"decisions": "Decisions", "trades": "Trades", "orders": "Orders", "drift": "Drift", "settings": "Settings"}


@signed_in
@require_GET
def run_list(request: HttpRequest) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    form = RunFilterForm(request.GET, [(kind.name, kind.name) for kind in strategies.list_strategies()])
    form.is_valid()
    given = {name: form.cleaned_data.get(name, "") for name in ("status", "mode", "symbol", "strategy")}
    wanted = RunFilter(**{**given, "symbol": given["symbol"].upper()})
    page = runs.runs_of(user, wanted, limit=PER_PAGE, before=cursor(request))
    return live_page(request, "run_list", {"at": at, "form": form, "page": page, "filtered": any(given.values())})


@signed_in
@require_GET
def run_detail(request: HttpRequest, run_id: int) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    run = found_or_404(lambda: runs.run_of(user, run_id))
    tab = request.GET.get("tab", "")
    tab = tab if tab in TABS else "decisions"
    return live_page(request, "run_detail", {
        "at": at,
        "run": run,
        "answer": risk.answer_line(run),
        "protected": protections.protections_of(run_id) if run.position and run.status != "stopped" else None,
        "case": cases.open_case_of(user, run_id) if run.status != "stopped" else None,
        "question": question(run),
        "drift_hints": drift_reports.unexplained_of(user, at, run_id),
        "tab": tab,
        "tabs": TABS,
        **_tab(request, user, run, tab),
    })  # fmt: skip


def question(run: RunView) -> str:
    """What somebody who looks at the bot asks."""
    if run.status in ("stopped", "error"):
        return "Why is it not trading?"
    if run.position is not None:
        return "Why is it holding?"
    return "Why is it not trading?" if run.status != "stopping" else "What is it doing?"


def _tab(request: HttpRequest, user: User, run: RunView, tab: str) -> Mapping[str, Any]:
    before, run_id = cursor(request), run.bot_run_id
    if tab == "settings":
        return {"limits": run.limits, "params": run.params}
    if tab == "drift":
        page = drift_reports.days_of(run_id, limit=PER_TAB, before=before)
        return {"page": page, "drift_last": drift_reports.last_over(run, timezone.now())}
    if tab == "orders":
        return {"page": history.orders_of(run_id, user, limit=PER_TAB, before=before)}
    orders = history.orders_of(run_id, user, limit=200).items
    order_ids = {order.client_order_id: order.id for order in orders}
    if tab == "trades":
        page = history.trades_of(user, TradeFilter(bot_run_id=run_id), limit=PER_TAB, before=before)
        return {"page": page, "order_ids": order_ids}
    everything = request.GET.get("show") == "all"
    page = history.decisions_of(run_id, limit=PER_TAB, before=before, changes_only=not everything)
    return {"page": page, "order_ids": order_ids, "everything": everything}


@signed_in
@require_GET
def order_detail(request: HttpRequest, order_id: int) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    order = found_or_404(lambda: history.order_of(user, order_id))
    run = runs.run_of(user, order.bot_run_id)
    return live_page(request, "order_detail", {"at": at, "order": order, "run": run})


@signed_in
@require_POST
def run_pause(request: HttpRequest, run_id: int) -> HttpResponse:
    run = found_or_404(lambda: runs.run_model(user_of(request), run_id))
    try:
        lifecycle.pause(run, timezone.now(), actor_of(request))
        messages.success(request, f"Bot {run_id} is paused: no new entries. A position and its exits stay.")
    except lifecycle.WrongStatus as error:
        messages.error(request, f"{error} Nothing was changed.")
    return redirect("bots_detail", run_id)


@signed_in
@require_POST
def run_resume(request: HttpRequest, run_id: int) -> HttpResponse:
    run = found_or_404(lambda: runs.run_model(user_of(request), run_id))
    try:
        lifecycle.resume(run, timezone.now(), actor_of(request))
        messages.success(request, f"Bot {run_id} runs again; it decides when the next candle closes.")
    except lifecycle.WrongStatus as error:
        messages.error(request, f"{error} Nothing was changed.")
    return redirect("bots_detail", run_id)


@signed_in
@require_http_methods(["GET", "POST"])
def run_stop(request: HttpRequest, run_id: int) -> HttpResponse:
    """GET asks, with the consequences in money; POST stops."""
    user, at = user_of(request), timezone.now()
    view = found_or_404(lambda: runs.run_of(user, run_id))
    context: dict[str, Any] = {"run": view, "at": at, "open_orders": _open_orders(user, run_id)}
    if request.method == "GET":
        return dialog_page(request, "run_stop", context)
    form = StopForm(request.POST, typed=view.mode == Mode.LIVE)
    if not form.is_valid():
        return dialog_page(request, "run_stop", {**context, "form": form}, status=422)
    choice = form.cleaned_data["on_open_position"]
    run = lifecycle.stop(runs.run_model(user, run_id), choice, at, actor_of(request))
    messages.success(request, _stopped(run.status, choice, run_id))
    return redirect("bots_detail", run_id)


def _open_orders(user: User, run_id: int) -> int:
    return sum(1 for order in history.orders_of(run_id, user, limit=20).items if order.ended_at is None)


def _stopped(status: str, choice: str, run_id: int) -> str:
    if status == "stopped":
        return f"Bot {run_id} is stopped. It places no more orders."
    what = "sells what it holds, then stops" if choice == "close" else "stops once its open order is settled"
    return f"Bot {run_id} {what}."
