"""Reconciliation cases as page, API and commands show them: the list, and one with its evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from bots.models import BotRun, CaseKind, Fill, GateState, Incident, Level, Order, Status, TradingAccount, TradingGate
from bots.queries.case_words import HOLDS, told_subject, words_of
from bots.queries.history import fill_view, order_view
from bots.queries.shapes import FillView, OrderView, Page

MOST_ORDERS, MOST_FILLS = 20, 50


@dataclass(frozen=True, slots=True)
class CaseFilter:
    """``state`` is open or resolved; empty fields do not narrow."""

    state: str = ""
    kind: str = ""
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class CaseView:
    """``agreed_at``: the last pass that found no difference any more; ``hold``: what the case allows while open."""

    id: int
    kind: str
    title: str
    subject: str
    detail: str
    state: str
    hold: str
    account_id: int
    account: str
    mode: str
    exchange: str
    exchange_key_id: int | None
    opened_at: datetime
    last_seen_at: datetime
    passes: int
    agreed_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str
    resolution: str


@dataclass(frozen=True, slots=True)
class Pass:
    """One comparison of balances: the exchange's word, the fold of our fills, the owner's own coins."""

    at: datetime
    total: Decimal
    held: Decimal
    outside: Decimal
    difference: Decimal


@dataclass(frozen=True, slots=True)
class HeldRun:
    """A run of the account, what it holds by the fold of its fills, and the asset that it holds."""

    bot_run_id: int
    symbol: str
    base: str
    status: str
    held: Decimal


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """A case with all that is known of it; ``gate`` is the account's own, which its open cases close."""

    case: CaseView
    explanation: str
    check: str
    resolving: str
    consequence: str
    gate: str
    gate_reason: str
    may_accept: bool
    passes: Sequence[Pass]
    runs: Sequence[HeldRun]
    orders: Sequence[OrderView]
    fills: Sequence[FillView]
    facts: dict[str, Any]


def case_model(user: User | None, case_id: int) -> Incident:
    """The case itself, for a change; raises Incident.DoesNotExist for a stranger's as for a missing one."""
    return _cases(user).get(pk=case_id)


def cases_of(
    user: User | None, wanted: CaseFilter | None = None, *, limit: int = 100, before: int | None = None
) -> Page:
    """Newest first; ``user`` None means everybody's (the operator's console)."""
    rows, wanted = _cases(user), wanted or CaseFilter()
    if wanted.state:
        rows = rows.filter(resolved_at__isnull=wanted.state == "open")
    given = {"kind": wanted.kind, "account_id": wanted.account_id, "pk__lt": before}
    rows = rows.filter(**{name: value for name, value in given.items() if value not in ("", None)})
    found = list(rows.order_by("-id")[: limit + 1])
    return Page([case_view(row) for row in found[:limit]], found[limit - 1].pk if len(found) > limit else None)


def open_count(user: User) -> int:
    return Incident.objects.filter(account__owner=user, resolved_at=None).count()


def open_case_of(user: User | None, run_id: int) -> CaseView | None:
    """The case that holds a run back: the strictest (HALTED sorts before REDUCING), of these the oldest."""
    rows = _cases(user).filter(resolved_at=None, account__runs=run_id).order_by("hold", "id")
    return next((case_view(row) for row in rows[:1]), None)


def accounts_of(user: User) -> list[tuple[int, str]]:
    """The accounts that ever had a case, for a filter."""
    rows = TradingAccount.objects.filter(owner=user, incidents__isnull=False).select_related("key").distinct()
    return [(row.pk, account_name(row)) for row in rows.order_by("id")]


def account_name(account: TradingAccount) -> str:
    if account.key is not None:
        hint = f" …{account.key.api_key_hint}" if account.key.api_key_hint else ""
        return f"{account.key.label or account.exchange}{hint}"
    return f"{account.exchange} on paper #{account.pk}"


def evidence_of(case: Incident) -> CaseEvidence:
    words = words_of(case.kind)
    gate = TradingGate.objects.filter(level=Level.ACCOUNT, target=case.account_id).first()
    orders = list(_orders(case).order_by("-id")[:MOST_ORDERS])
    return CaseEvidence(
        case=case_view(case),
        explanation=words.so,
        check=words.check,
        resolving=words.resolving,
        consequence=HOLDS[case.hold],
        gate=gate.state if gate else GateState.ACTIVE.value,
        gate_reason=gate.reason if gate else "",
        may_accept=case.kind == CaseKind.BALANCE and case.resolved_at is None,
        passes=[_pass(one) for one in case.evidence.get("seen", [])],
        runs=_runs(case),
        orders=[order_view(order) for order in orders],
        fills=[fill_view(fill) for fill in _fills(case, orders)],
        facts={name: value for name, value in case.evidence.items() if name != "seen"},
    )


def case_view(row: Incident) -> CaseView:
    return CaseView(
        id=row.pk,
        kind=row.kind,
        title=CaseKind(row.kind).label,
        subject=told_subject(row.subject, row.evidence),
        detail=row.detail,
        state="open" if row.resolved_at is None else "resolved",
        hold=row.hold,
        account_id=row.account_id,
        account=account_name(row.account),
        mode=row.account.mode,
        exchange=row.account.exchange,
        exchange_key_id=row.account.key_id,
        opened_at=row.at,
        last_seen_at=row.last_at,
        passes=row.passes,
        agreed_at=row.agreed_at,
        resolved_at=row.resolved_at,
        resolved_by=row.resolved_by,
        resolution=row.resolution,
    )


def _cases(user: User | None) -> QuerySet[Incident]:
    rows = Incident.objects.select_related("account", "account__key")
    return rows if user is None else rows.filter(account__owner=user)


def _pass(seen: dict[str, str]) -> Pass:
    total, held, outside = (Decimal(seen[name]) for name in ("total", "held", "outside"))
    return Pass(datetime.fromisoformat(seen["at"]), total, held, outside, total - held - outside)


def _runs(case: Incident) -> list[HeldRun]:
    """Those that the case concerns: not stopped, or still holding something of its asset."""
    rows = BotRun.objects.filter(account=case.account_id).select_related("position").order_by("-id")
    return [
        HeldRun(run.pk, run.symbol, run.base, run.status, run.position.amount)
        for run in rows
        if run.status != Status.STOPPED or (run.held > 0 and run.base == case.evidence.get("asset"))
    ]


def _orders(case: Incident) -> QuerySet[Order]:
    """The order that the case is about; of a balance, the last ones in its asset."""
    rows = Order.objects.filter(account=case.account_id).prefetch_related("events")
    if "order" in case.evidence:
        return rows.filter(pk=case.evidence["order"])
    if "exchange_order_id" in case.evidence:
        return rows.filter(exchange_order_id=case.evidence["exchange_order_id"])
    return rows.filter(run__base=case.evidence.get("asset", ""))


def _fills(case: Incident, orders: Sequence[Order]) -> QuerySet[Fill]:
    rows = Fill.objects.select_related("order").order_by("-id")
    if "asset" in case.evidence:
        rows = rows.filter(account=case.account_id, run__base=case.evidence["asset"])
    else:
        rows = rows.filter(order__in=orders)
    return rows[:MOST_FILLS]
