"""What may stop the user's orders, and the one sentence that says why a run does or does not trade."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db.models import Q

from accounts.models import User
from bots.core.codes import MEANING, Code
from bots.models import BotRun, CaseKind, GateState, Incident, Level, RiskLimits, TradingAccount, TradingGate
from bots.queries.case_words import HOLDS
from bots.queries.shapes import GateView, RiskView, RunView
from exchanges.models import ExchangeKey


def risk_of(user: User) -> RiskView:
    """The switches and limits at every level that speaks for the user."""
    keys = list(ExchangeKey.objects.for_user(user).present().values_list("pk", flat=True))
    runs = list(BotRun.objects.for_user(user).active().values_list("pk", flat=True))
    accounts = list(TradingAccount.objects.filter(owner=user).values_list("pk", flat=True))
    speaks = (
        Q(level=Level.PLATFORM)
        | Q(level=Level.USER, target=user.pk)
        | Q(level=Level.KEY, target__in=keys)
        | Q(level=Level.RUN, target__in=runs)
        | Q(level=Level.ACCOUNT, target__in=accounts)
    )
    switches = TradingGate.objects.filter(speaks).exclude(state=GateState.ACTIVE).order_by("level", "target")
    limits = {_name(row.level, row.target): row.limits for row in RiskLimits.objects.filter(speaks)}
    return RiskView(
        live_trading=settings.LIVE_TRADING,
        gates=[gate_view(gate) for gate in switches],
        limits=limits,
        incidents=[_incident(row) for row in Incident.objects.filter(account__owner=user, resolved_at=None)[:50]],
    )


def gate_of(level: str, target: int) -> GateView:
    """The switch at one level; ACTIVE where nobody ever touched it."""
    gate = TradingGate.objects.filter(level=level, target=target).first()
    return gate_view(gate) if gate else GateView(level, target, GateState.ACTIVE.value, "", "", None)


def all_gates() -> list[GateView]:
    """Every switch that is not ACTIVE, for the operator."""
    return [gate_view(gate) for gate in TradingGate.objects.exclude(state=GateState.ACTIVE).order_by("level", "target")]


def gate_view(gate: TradingGate) -> GateView:
    return GateView(gate.level, gate.target, gate.state, gate.reason, gate.actor, gate.changed_at)


def limits_at(level: str, target: int) -> Mapping[str, Any]:
    row = RiskLimits.objects.filter(level=level, target=target).first()
    return row.limits if row else {}


def all_limits() -> list[dict[str, Any]]:
    """Every limit above the runs' own, for the operator."""
    names = ("level", "target", "limits", "changed_at")
    return list(RiskLimits.objects.exclude(limits={}).order_by("level", "target").values(*names))


def _name(level: str, target: int) -> str:
    return level if level in (Level.PLATFORM, Level.USER) else f"{level}:{target}"


def _incident(row: Incident) -> dict[str, Any]:
    title = CaseKind(row.kind).label
    return {"id": row.pk, "kind": row.kind, "title": title, "detail": row.detail, "at": row.at}


def answer_line(run: RunView) -> str:
    """Why the run is, or is not, trading: the last reason, and when it looks again."""
    if run.status == "stopped":
        return "The run is stopped: it places no orders." + (" What it held was kept." if run.position else "")
    if run.status == "error":
        kept = ", and what it holds is still protected" if run.position else ""
        return f"The run is in error{kept}: {run.status_reason}"
    if run.halted is not None and run.halted.level == Level.ACCOUNT:
        return f"{HOLDS[run.halted.state]} {run.halted.reason} Nothing is ever traded to repair."
    if run.halted is not None:
        code = Code.TRADING_HALTED if run.halted.state == "HALTED" else Code.STATE_REDUCING
        return f"{MEANING[code]} ({run.halted.level}: {run.halted.reason})"
    if run.last_decision is None:
        return "Waiting for its first tick."
    line = run.last_decision.reason
    if run.status == "paused":
        line = f"{MEANING[Code.RUN_PAUSED]} {line}"
    line += f" Last checked {run.last_decision.at:%H:%M:%S} UTC"
    return line + (f", next {run.next_check_at:%H:%M:%S}." if run.next_check_at else ".")
