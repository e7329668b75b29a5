"""What a person does to a reconciliation case: look again now, or resolve it. Nothing is ever traded to repair."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from bots import acting, gates, settling
from bots.lifecycle import Conflict, Invalid
from bots.models import CaseKind, Incident, Mode, Order, TradingAccount
from exchanges.core.decimals import plain

#: What became of their order is the whole case.
OF_AN_ORDER = (CaseKind.UNRESOLVED, CaseKind.ORPHAN)


class CaseResolved(Conflict):
    """A person has resolved the case before."""


class NothingToAccept(Invalid):
    """Only a difference of balances can be taken as it is."""


class Verdict(StrEnum):
    """What looking again said of the case."""

    STANDS = "stands"
    AGREES = "agrees"
    NOT_COMPARED = "not_compared"


@dataclass(frozen=True, slots=True)
class Recheck:
    """One pass over the case's account, and what it says of the case."""

    verdict: Verdict
    orders: int = 0
    fills: int = 0
    faults: list[str] = field(default_factory=list)


@transaction.atomic
def resolve(case: Incident, note: str, at: datetime, actor: Actor, *, accept: bool = False) -> Incident:
    """Say what was found, and let the account go as far as no other case holds it.

    ``accept`` takes what the exchange holds as right from here on; without it the balances are compared as before, and
    a difference that is still there opens a new case in two passes. Raises ValueError, CaseResolved, NothingToAccept.
    """
    if not note.strip():
        raise ValueError("note: Expected a sentence, was empty.")
    if accept and case.kind != CaseKind.BALANCE:
        refused = "Only a balance can be taken as the exchange has it."
        raise NothingToAccept("nothing_to_accept", refused, {"accept": refused})
    account = TradingAccount.objects.select_for_update(no_key=True).get(pk=case.account_id)
    facts = {"resolved_at": at, "resolved_by": str(actor)[:64], "resolution": note.strip()[:300]}
    if not Incident.objects.filter(pk=case.pk, resolved_at=None).update(**facts):
        raise CaseResolved("case_resolved", f"Case {case.pk} was resolved before.")
    case.refresh_from_db()
    if accept:
        _accept(account, case)
    audit.record(actor, "case.resolved", f"case:{case.pk}", at=at, note=note.strip(), accepted=accept)
    gates.hold(account, f"Case {case.pk} is resolved: {note.strip()}", at, actor)
    return case


def _accept(account: TradingAccount, case: Incident) -> None:
    """What the exchange held beyond our fills when it was last looked at is what is expected from now on."""
    asset, seen = case.evidence["asset"], case.evidence
    account.outside = account.outside | {asset: plain(Decimal(seen["total"]) - Decimal(seen["held"]))}
    account.save(update_fields=["outside"])


def recheck(case: Incident, at: datetime) -> Recheck:
    """Ask the exchange now: settle the account's orders, and compare its lists and balances with our books."""
    actor = acting.worker_name()
    settled = settling.settle_all(at, actor, account=case.account)
    compared = settling.reconcile_all(at, actor, account=case.account, mode=Mode.LIVE)
    case.refresh_from_db()
    faults = [*settled.faults, *compared.faults]
    asked = compared.accounts > 0 and not faults
    return Recheck(_verdict(case, at, asked=asked), settled.looked_at, settled.fills + compared.late_fills, faults)


def _verdict(case: Incident, at: datetime, *, asked: bool) -> Verdict:
    order = order_of(case) if case.kind in OF_AN_ORDER else None
    if order is not None:
        return Verdict.AGREES if order.ended_at is not None else Verdict.STANDS
    if not asked:
        return Verdict.NOT_COMPARED
    if case.last_at == at:
        return Verdict.STANDS
    # A balance is not compared while an order is in flight, or when no run trades its asset any more.
    compared = case.kind != CaseKind.BALANCE or case.agreed_at == at
    return Verdict.AGREES if compared else Verdict.NOT_COMPARED


def order_of(case: Incident) -> Order | None:
    """The order that a case is about; None for a balance, and for one that nobody could adopt."""
    orders = Order.objects.filter(account_id=case.account_id)
    if "order" in case.evidence:
        return orders.filter(pk=case.evidence["order"]).first()
    known = case.evidence.get("exchange_order_id")
    return orders.filter(exchange_order_id=known).first() if known else None
