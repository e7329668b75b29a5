"""The page of a new backtest or sweep: shown filled in, redrawn as its fields are changed, and submitted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from accounts.audit import Actor
from accounts.auth import actor_of, user_of
from accounts.models import User
from bots import research_tasks
from bots.forms_research import BacktestForm
from bots.models import Backtest, Sweep
from bots.views import research_entries as entered


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two: its form and entries, its templates and page by name, and who submits and then begins it."""

    form: type[BacktestForm]
    defaults: entered.Entries
    template: str
    page: str
    submit: Callable[[User, Mapping[str, Any], datetime, Actor], Backtest | Sweep]
    task: Any
    hands: int = 1


def answer(request: HttpRequest, kind: Kind) -> HttpResponse:
    """GET shows the form, filled in from a link; POST submits, or only redraws it."""
    user = user_of(request)
    if request.method == "GET":
        return _page(request, kind, {**kind.defaults, **entered.from_link(user, request)})
    entries = request.POST.dict()
    if "refresh" in entries:
        return _page(request, kind, entries)
    form = entered.form_for(kind.form, entries, request.POST)
    if form.is_valid():
        try:
            row = kind.submit(user, entered.asked_of(form), timezone.now(), actor_of(request))
        except entered.REFUSALS as refused:
            form.refuse(entered.why(refused))
        else:
            for _ in range(kind.hands):
                research_tasks.ring(kind.task, row.pk)
            return redirect(kind.page, row.pk)
    return _page(request, kind, entries, form)


def _page(request: HttpRequest, kind: Kind, entries: entered.Entries, form: BacktestForm | None = None) -> HttpResponse:
    context = {
        "form": form or entered.form_for(kind.form, entries),
        "chosen": entered.strategy_of(entries),
        "reach": entered.reach_of(entries),
        **entered.known_markets(),
    }
    partial = bool(getattr(request, "htmx", False))
    name = f"bots/_{kind.template}_form.html" if partial else f"bots/{kind.template}.html"
    return render(request, name, context, status=200 if form is None else 422)
