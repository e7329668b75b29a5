"""The dashboard: money, open positions, running bots and what needs a look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from allauth.mfa.utils import is_mfa_enabled
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth import signed_in, user_of
from accounts.models import User
from bots.models import ACTIVE, Level
from bots.queries import drift, money, risk, runs
from bots.queries.shapes import PnlView, RiskView, RunView
from bots.views.shell import live_page
from exchanges import queries as keys

PERIODS = {"1d": "24 hours", "7d": "7 days", "30d": "30 days", "all": "All time"}


@dataclass(frozen=True, slots=True)
class Purse:
    """One mode and quote currency: the chosen period in full, and the net profit of every period."""

    pnl: PnlView
    nets: Sequence[tuple[str, str, Decimal]]


@dataclass(frozen=True, slots=True)
class Alert:
    text: str
    url: str
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    text: str
    url: str
    done: bool
    optional: bool = False


@signed_in
@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    period = request.GET.get("period", "")
    period = period if period in PERIODS else "7d"
    mine = runs.runs_of(user, limit=200).items
    switches = risk.risk_of(user)
    return live_page(request, "dashboard", {
        "at": at,
        "period": period,
        "periods": PERIODS,
        "purses": purses(user, period, at),
        "positions": [run for run in mine if run.position],
        "active": [run for run in mine if run.status in ACTIVE],
        "runs": mine,
        "alerts": alerts(mine, switches) + unexplained(user, at),
        "steps": [] if request.session.get("checklist_hidden") else steps(user, mine),
    })  # fmt: skip


@signed_in
@require_POST
def hide_checklist(request: HttpRequest) -> HttpResponse:
    request.session["checklist_hidden"] = True
    return redirect("bots_dashboard")


def purses(user: User, period: str, at: datetime) -> list[Purse]:
    # To the end of this minute: a curve that ends at this instant would be another one at every poll.
    minute = at.replace(second=0, microsecond=0) + timedelta(minutes=1)
    by_period = money.pnls_of(user, PERIODS, "", minute)
    return [
        Purse(pnl, [(name, label, by_period[name][position].net) for name, label in PERIODS.items()])
        for position, pnl in enumerate(by_period[period])
    ]


def alerts(mine: Sequence[RunView], switches: RiskView) -> list[Alert]:
    """What stops or threatens trading, the gravest first."""
    found = [
        Alert(f"Trading is {gate.state.lower()} at level {gate.level}: {gate.reason}", "/app/risk/", "Risk")
        for gate in switches.gates
        if gate.level != Level.ACCOUNT
    ]
    found += [_of_case(case) for case in switches.incidents]
    found += [
        Alert(run.status_reason or "The bot is in error.", f"/app/bots/{run.bot_run_id}/", f"Bot {run.bot_run_id}")
        for run in mine
        if run.status == "error"
    ]
    return found


def _of_case(case: Mapping[str, Any]) -> Alert:
    text = f"The account’s bots do not enter: {case['detail']} Nothing is ever traded to repair."
    return Alert(text, reverse("bots_case", args=[case["id"]]), f"Case {case['id']}")


def unexplained(user: User, at: datetime) -> list[Alert]:
    """Trades of the last days that are others than in their replay, and nothing says why."""
    return [
        Alert(
            f"{hint.unexplained} trade{'s' if hint.unexplained > 1 else ''} of bot {hint.bot_run_id}, {hint.symbol}, "
            "differ from the replay, and nothing explains it.",
            reverse("bots_drift_day", args=[hint.bot_run_id, hint.day.isoformat()]),
            f"Drift on {hint.day:%Y-%m-%d}",
        )
        for hint in drift.unexplained_of(user, at)
    ]


def steps(user: User, mine: Sequence[RunView]) -> list[Step]:
    """The first run's checklist; nothing once all that is not optional is done."""
    listed: list[Step] = [
        Step("Create your account", "/app/account/", done=True),
        Step("Start a paper bot: play money, real rules", "/app/bots/new/", done=bool(mine)),
        Step("Set up a second factor", "/app/account/2fa/totp/activate/", done=is_mfa_enabled(user)),
        Step("Add an exchange key", "/app/keys/new/", done=bool(keys.keys_of(user)), optional=True),
    ]
    return [] if all(step.done or step.optional for step in listed) else listed
