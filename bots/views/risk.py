"""Risk: what may stop orders, the limits with their use, and the kill switch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods

from accounts.auth import actor_of, signed_in, step_up_required, user_of
from accounts.models import User
from bots import gates, operations
from bots.core.limits import LimitError
from bots.forms import ACTIONS, KillForm, LimitsForm
from bots.models import ACTIVE, SWITCHED, Level, Status
from bots.queries import risk, runs
from bots.queries.keys import key_uses
from bots.queries.shapes import RunView
from bots.views.shell import dialog_page, digits, found_or_404, live_page
from exchanges.core.decimals import ZERO

WHOSE = {"platform": "The platform’s limits", "user": "Your limits", "key": "A key’s limits", "run": "A bot’s limits"}


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one limit is used, for one mode and quote currency (or one bot)."""

    scope: str
    mode: str
    name: str
    used: Decimal
    limit: Decimal
    unit: str

    @property
    def fraction(self) -> Decimal:
        return self.used / self.limit

    @property
    def bar(self) -> int:
        return min(100, int(self.fraction * 100))


@signed_in
@require_GET
def risk_page(request: HttpRequest) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    mine = _active(user)
    view = risk.risk_of(user)
    return live_page(request, "risk", {
        "at": at,
        "risk": view,
        "user_gate": risk.gate_of(Level.USER, user.pk),
        "platform_gate": risk.gate_of(Level.PLATFORM, 0),
        "runs": mine,
        "uses": uses(mine, view.limits.get("user", {})),
        "limits": view.limits,
        "limit_form": LimitsForm(initial=dict(risk.limits_at(Level.USER, user.pk))),
    })  # fmt: skip


@signed_in
@require_http_methods(["GET", "POST"])
def stop_all(request: HttpRequest) -> HttpResponse:
    """The kill switch: GET asks, POST engages or releases it; from everywhere in two taps."""
    user, at = user_of(request), timezone.now()
    if request.method == "GET":
        return dialog_page(request, "kill", _kill_context(user, at, request.GET.get("level", Level.USER)))
    form = KillForm(request.POST, auto_id="kill-%s")
    if form.is_valid() and (target := _named(user, form)) is not None:
        level, action = form.cleaned_data["level"], form.cleaned_data["action"]
        gate = gates.switch(level, target, action, form.cleaned_data["reason"], at, actor_of(request))
        messages.success(request, f"{Level(level).label}: trading is now {gate.state.lower()}. {_meaning(action)}")
        return redirect("bots_risk")
    # For whom it was meant stays: what is sent again must not reach further.
    context = _kill_context(user, at, request.POST.get("level", ""))
    return dialog_page(request, "kill", {**context, "form": form}, status=422)


@signed_in
@step_up_required(back="bots_limits")  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "POST"])
def limits(request: HttpRequest) -> HttpResponse:
    """The limits of oneself, a key, a bot or, for staff, the platform; behind the second factor, as they may rise."""
    user, at = user_of(request), timezone.now()
    level = request.GET.get("level", Level.USER)
    target = _target(user, level, digits(request, "target"))
    context = {"at": at, "level": level, "target": target, "whose": WHOSE.get(level, "")}
    if request.method == "GET":
        form = LimitsForm(initial=dict(risk.limits_at(level, target)))
        return dialog_page(request, "limits", {**context, "form": form})
    form = LimitsForm(request.POST)
    if form.is_valid():
        try:
            operations.set_limits(level, target, form.given, at, actor_of(request))
        except LimitError as error:
            for name, text in error.errors.items():
                form.add_error(name, text)
        else:
            messages.success(request, "The limits are saved; they hold from the next order on.")
            return redirect("bots_risk")
    return dialog_page(request, "limits", {**context, "form": form}, status=422)


def uses(mine: Sequence[RunView], own: Mapping[str, Any]) -> list[Use]:
    """Exposure per mode and quote against the user's limit; daily losses are the bots' own."""
    found: list[Use] = []
    exposure: dict[tuple[str, str], Decimal] = {}
    for run in mine:
        cost = run.position.amount * run.position.entry_price if run.position else ZERO
        exposure[run.mode, run.quote] = exposure.get((run.mode, run.quote), ZERO) + cost
        found += _run_uses(run, cost, own)
    if most := own.get("max_exposure"):
        found = [
            Use("All bots", mode, "max_exposure", cost, Decimal(str(most)), quote)
            for (mode, quote), cost in sorted(exposure.items())
        ] + found
    return found


def _run_uses(run: RunView, cost: Decimal, own: Mapping[str, Any]) -> list[Use]:
    """Against the tighter of the bot's and the user's limit; invested capital is always shown."""
    scope = f"#{run.bot_run_id} {run.symbol}"
    stated = [
        Decimal(str(level["max_position_notional"]))
        for level in (run.limits, own)
        if level.get("max_position_notional")
    ]
    most = min([*stated, run.capital])
    return [Use(scope, run.mode, "max_position_notional" if stated else "capital", cost, most, run.quote)]


def _active(user: User) -> list[RunView]:
    return [run for run in runs.runs_of(user, limit=200).items if run.status in ACTIVE]


def _kill_context(user: User, at: datetime, level: str) -> dict[str, Any]:
    mine = runs.runs_of(user, limit=200).items
    return {
        "at": at,
        "level": level if level in SWITCHED else Level.USER.value,
        "runs": [run for run in mine if run.status in ACTIVE],
        # What a flatten sells: bots in error hold something, too.
        "positions": [run for run in mine if run.position and run.status != Status.STOPPED],
        "uses": key_uses(user, at),
        "actions": ACTIONS,
        "gate": risk.gate_of(Level.USER, user.pk),
        "platform_gate": risk.gate_of(Level.PLATFORM, 0),
    }


def _target(user: User, level: str, target: int | None) -> int:
    """Whom a switch speaks for; a stranger's key or run is not there, the platform is for staff."""
    if level == Level.USER:
        return user.pk
    if level == Level.PLATFORM and user.is_staff:
        return 0
    if level == Level.RUN and target is not None:
        return found_or_404(lambda: runs.run_model(user, target)).pk
    if level == Level.KEY and target in {use.key.id for use in key_uses(user, timezone.now())}:
        return target or 0
    raise Http404


def _named(user: User, form: KillForm) -> int | None:
    """Whom the form speaks for; None, with the reason in the form, where no such bot or key is there."""
    level = form.cleaned_data["level"]
    try:
        return _target(user, level, form.cleaned_data["target"])
    except Http404:
        if level not in (Level.RUN, Level.KEY):
            raise
        form.add_error("target", f"Expected the number of a {'bot' if level == Level.RUN else 'key'} of yours.")
        return None


def _meaning(action: str) -> str:
    return {
        "halt": "No order is sent, not even a stop-loss; positions stay as they are.",
        "reduce": "No new entries; exits and stops go on.",
        "flatten": "The bots sell what they hold and stop.",
        "resume": "The bots decide again when their next candle closes.",
    }[action]
