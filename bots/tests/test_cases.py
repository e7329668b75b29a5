"""A case holds its account until a person resolves it, opens anew while the books differ, and trades nothing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from accounts.audit import CONSOLE
from accounts.models import AuditEntry
from bots import cases, gates, reconcile
from bots.cases import CaseResolved, NothingToAccept, Verdict
from bots.core.order_state import OrderState
from bots.core.risk import Gate
from bots.models import BotRun, CaseKind, Incident, Level, Order, Status, TradingAccount, TradingGate
from bots.queries import cases as told
from bots.reconcile import balances, incidents
from bots.situation import worst_gate
from bots.tests.desk import Desk, after, sell
from exchanges.core.errors import Unavailable
from exchanges.core.orders import FillReport, ReportStatus, Side

KINDS = [(kind, hold) for kind in CaseKind for hold in (Gate.REDUCING, Gate.HALTED)]


def settle(desk: Desk, order: Order, at: float) -> Order:
    order.refresh_from_db()
    reconcile.settle(order, desk.exchange(at), "test", after(at))
    order.refresh_from_db()
    return order


def compare(desk: Desk, at: float) -> int:
    return reconcile.reconcile_account(TradingAccount.objects.get(), desk.exchange(at), "test", after(at)).mismatches


def tell(
    desk: Desk, kind: str = "late_fill", subject: str = "order:1", hold: Gate = Gate.HALTED, at: float = 1
) -> Incident:
    incidents.tell(desk.run.account, kind, subject, "Something is odd.", {"order": 0}, after(at), hold)
    return Incident.objects.get(account=desk.run.account, kind=kind, subject=subject, resolved_at=None)


def held(desk: Desk) -> str:
    return worst_gate(desk.run)[0].value


def resolve(case: Incident, at: float = 100, *, accept: bool = False) -> Incident:
    return cases.resolve(case, " I looked. ", after(at), CONSOLE, accept=accept)


@pytest.mark.parametrize(("kind", "hold"), KINDS)
def test_every_kind_holds_until_it_is_resolved(desk: Desk, kind: CaseKind, hold: Gate) -> None:
    case = tell(desk, kind, hold=hold)
    assert held(desk) == hold
    # A person who resumes at every level of theirs does not undo it.
    for level, target in (("platform", 0), ("user", desk.run.user_id), ("key", desk.run.key_id), ("run", desk.run.pk)):
        gates.switch(level, target or 0, "resume", "I want to trade", after(2), CONSOLE)
    assert held(desk) == hold
    denied = desk.place(at=3)
    assert (denied.order, denied.decision and denied.decision.code) == (None, "POSITION_MISMATCH")
    resolve(case)
    assert held(desk) == "ACTIVE"
    assert desk.place(at=101, key="candle:2").order is not None


def test_resolving_undoes_no_switch_of_a_person(desk: Desk) -> None:
    case = tell(desk)
    gates.switch(Level.KEY, desk.run.key_id or 0, "reduce", "my own reasons", after(2), CONSOLE)
    resolve(case)
    assert held(desk) == "REDUCING"


def test_the_strictest_open_case_holds(desk: Desk) -> None:
    mild, grave = tell(desk, "unresolved", hold=Gate.REDUCING), tell(desk, "overfill", "order:2")
    assert held(desk) == "HALTED"
    resolve(grave)
    assert held(desk) == "REDUCING"
    resolve(mild)
    assert held(desk) == "ACTIVE"


def test_a_case_is_one_while_it_is_open_and_a_new_one_after(desk: Desk) -> None:
    first = tell(desk)
    assert tell(desk, at=2).pk == first.pk
    assert Incident.objects.get().passes == 1
    assert tell(desk, at=40).passes == 2
    resolve(first)
    again = tell(desk, at=200)
    assert again.pk != first.pk
    assert held(desk) == "HALTED"


def test_resolving_is_written_down_once(desk: Desk) -> None:
    case = resolve(tell(desk))
    assert (case.resolution, case.resolved_by, case.resolved_at) == ("I looked.", "console", after(100))
    with pytest.raises(CaseResolved):
        resolve(case)
    assert AuditEntry.objects.filter(action="case.resolved", subject=f"case:{case.pk}").count() == 1
    assert AuditEntry.objects.filter(action="kill_switch.resume", subject=f"account:{case.account_id}").count() == 1


@pytest.mark.parametrize("note", ["", "  \n"])
def test_resolving_wants_a_note(desk: Desk, note: str) -> None:
    case = tell(desk)
    with pytest.raises(ValueError, match="Expected a sentence"):
        cases.resolve(case, note, after(2), CONSOLE)
    assert held(desk) == "HALTED"


def drifted(desk: Desk, by: str = "-0.01") -> Incident:
    """A bought position, three clean passes, coins that went, and the two passes that tell."""
    desk.books.deposit("BTC", D("0.5"))
    settle(desk, desk.sent(), 1)
    assert [compare(desk, at) for at in (30, 60)] == [0, 0]
    desk.books.deposit("BTC", D(by))
    assert [compare(desk, at) for at in (90, 120)] == [0, 1]
    return Incident.objects.get()


def test_a_difference_that_persists_opens_again_in_two_passes(desk: Desk) -> None:
    first = drifted(desk)
    assert [compare(desk, at) for at in (150, 180)] == [0, 0]
    assert Incident.objects.get().passes == 3
    resolve(first, 190)
    assert held(desk) == "ACTIVE"
    assert [compare(desk, at) for at in (210, 240, 270)] == [0, 1, 0]
    assert (Incident.objects.count(), held(desk)) == (2, "REDUCING")


def test_taking_the_exchanges_balance_as_right_ends_it(desk: Desk) -> None:
    resolve(drifted(desk), 190, accept=True)
    assert [compare(desk, at) for at in (210, 240, 270)] == [0, 0, 0]
    assert (Incident.objects.count(), held(desk)) == (1, "ACTIVE")
    assert AuditEntry.objects.get(action="case.resolved").detail["accepted"] is True


def test_a_pass_under_way_hears_that_the_balance_was_taken_as_right(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = drifted(desk)

    def accepted_meanwhile(*_: object) -> bool:
        resolve(case, 140, accept=True)
        return True

    monkeypatch.setattr(balances, "_nothing_moves", accepted_meanwhile)
    assert compare(desk, 150) == 0
    assert (Incident.objects.count(), held(desk)) == (1, "ACTIVE")


def test_coins_that_come_back_agree_and_stay_a_case(desk: Desk) -> None:
    drifted(desk)
    desk.books.deposit("BTC", D("0.01"))
    compare(desk, 150)
    case = Incident.objects.get()
    assert (case.agreed_at, case.resolved_at, held(desk)) == (after(150), None, "REDUCING")
    resolve(case, 160)
    assert [compare(desk, at) for at in (180, 210)] == [0, 0]


def test_a_pass_that_sees_it_again_takes_the_agreement_back(desk: Desk) -> None:
    drifted(desk)
    desk.books.deposit("BTC", D("0.01"))
    compare(desk, 150)
    desk.books.deposit("BTC", D("-0.02"))
    compare(desk, 180)
    assert (Incident.objects.get().agreed_at, Incident.objects.get().detail[:23]) == (None, "The exchange holds 0.49")


def test_the_evidence_keeps_the_first_passes_and_the_newest(desk: Desk) -> None:
    drifted(desk)
    for minute in range(20):
        compare(desk, 150 + 30 * minute)
    evidence = told.evidence_of(Incident.objects.get())
    assert [one.at for one in evidence.passes[:2]] == [after(90), after(120)]
    assert evidence.passes[-1].at == after(150 + 30 * 19)
    assert len(evidence.passes) == incidents.FIRST + incidents.NEWEST
    assert {one.difference for one in evidence.passes} == {D("-0.01")}
    assert [run.bot_run_id for run in evidence.runs] == [desk.run.pk]


def test_a_market_that_is_listed_no_more_leaves_the_others_compared(desk: Desk) -> None:
    gone = BotRun.objects.get()
    gone.pk, gone._state.adding, gone.symbol, gone.status = None, True, "OLD/USDT", Status.ERROR
    gone.save()
    assert drifted(desk).subject == "BTC"
    assert TradingAccount.objects.get().reconciled_at == after(120)


def test_only_a_balance_can_be_taken_as_it_is(desk: Desk) -> None:
    case = tell(desk)
    with pytest.raises(NothingToAccept):
        resolve(case, accept=True)
    assert Incident.objects.get().resolved_at is None


def test_an_order_still_in_doubt_opens_its_case_again(desk: Desk) -> None:
    desk.books.fail("create_order", Unavailable("gone"))
    order = desk.sent()
    unanswered(desk, 9)
    for at in (100, 301):
        with pytest.raises(Unavailable):
            reconcile.settle(order, desk.exchange(at), "test", after(at))
    first = Incident.objects.get(kind="unresolved")
    resolve(first, 310)
    with pytest.raises(Unavailable):
        reconcile.settle(order, desk.exchange(320), "test", after(320))
    assert Incident.objects.filter(kind="unresolved", resolved_at=None).exclude(pk=first.pk).exists()
    assert held(desk) == "REDUCING"


def unanswered(desk: Desk, times: int) -> None:
    for _ in range(times):
        desk.books.fail("fetch_order", Unavailable("gone"))


def late_open(desk: Desk) -> Order:
    """An order that our books ended long ago and that still stands open at the exchange."""
    desk.books.prices["BTC/USDT"] = D(60000)
    order = settle(desk, desk.sent(), 1)
    assert order.state == OrderState.EXPIRED
    report = desk.books.orders[order.client_order_id]
    desk.books.orders[order.client_order_id] = replace(report, status=ReportStatus.OPEN)
    return order


def test_an_order_that_stands_after_its_end_is_told_and_told_again(desk: Desk) -> None:
    late_open(desk)
    compare(desk, 30)
    assert not Incident.objects.exists()
    compare(desk, 90)
    case = Incident.objects.get()
    assert (case.kind, held(desk)) == ("late_order", "HALTED")
    resolve(case)
    compare(desk, 150)
    assert Incident.objects.filter(kind="late_order", resolved_at=None).exclude(pk=case.pk).count() == 1


def test_a_further_late_fill_after_a_resolved_one_is_told(desk: Desk) -> None:
    desk.books.prices["BTC/USDT"] = D(60000)
    order = settle(desk, desk.sent(), 1)
    where = desk.books.orders[order.client_order_id].exchange_order_id
    for number, at in ((1, 30), (2, 120)):
        fill = FillReport(f"late{number}", where, "BTC/USDT", Side.BUY, D("0.001"), D(50000), D(0), "USDT", after(at))
        desk.books.fills.append(fill)
        compare(desk, at)
        resolve(Incident.objects.get(resolved_at=None, kind="late_fill"), at + 1)
    assert Incident.objects.filter(kind="late_fill").count() == 2


def test_looking_again_says_that_a_difference_stands_or_agrees(desk: Desk) -> None:
    case = drifted(desk)
    assert cases.recheck(case, after(150)).verdict is Verdict.STANDS
    desk.books.deposit("BTC", D("0.01"))
    assert cases.recheck(case, after(180)).verdict is Verdict.AGREES
    assert case.resolved_at is None
    assert len(desk.books.sent) == 1


def test_looking_again_compares_nothing_while_an_order_is_in_flight(desk: Desk) -> None:
    case = drifted(desk)
    desk.books.lose_reply()
    unanswered(desk, 9)
    desk.sent(sell, at=140, key="candle:2")
    assert cases.recheck(case, after(141)).verdict is Verdict.NOT_COMPARED


def test_looking_again_without_an_answer_says_so(desk: Desk) -> None:
    case = drifted(desk)
    desk.books.fail("fetch_recent_orders", Unavailable("gone"))
    done = cases.recheck(case, after(150))
    assert (done.verdict, len(done.faults)) == (Verdict.NOT_COMPARED, 1)


def test_looking_again_at_an_order_says_whether_it_ended(desk: Desk) -> None:
    desk.books.lose_reply()
    order = desk.sent()
    incidents.tell(desk.run.account, "unresolved", f"order:{order.pk}", "In doubt.", {"order": order.pk}, after(2))
    case = Incident.objects.get()
    desk.books.fail("fetch_order", Unavailable("gone"))
    assert cases.recheck(case, after(3)).verdict is Verdict.STANDS
    assert cases.recheck(case, after(60)).verdict is Verdict.AGREES


def test_a_stopped_accounts_event_is_not_compared(desk: Desk) -> None:
    case = tell(desk)
    desk.run.status = "stopped"
    desk.run.stopped_at = after(2)
    desk.run.save()
    assert cases.recheck(case, after(650)).verdict is Verdict.NOT_COMPARED


def test_nothing_is_ever_traded_to_repair(desk: Desk) -> None:
    case = drifted(desk)
    before = list(desk.books.sent)
    cases.recheck(case, after(150))
    resolve(case, 160, accept=True)
    for at in (180, 210, 240):
        compare(desk, at)
    assert desk.books.sent == before
    assert Order.objects.count() == 1


def test_a_gate_that_nothing_held_is_left_alone(desk: Desk) -> None:
    gates.hold(desk.run.account, "nothing", after(1), CONSOLE)
    assert TradingGate.objects.get(level="account").state == "ACTIVE"
    assert not AuditEntry.objects.filter(subject=f"account:{desk.run.account_id}").exists()


def test_lists_are_filtered_and_paged(desk: Desk) -> None:
    for number in range(5):
        tell(desk, subject=f"order:{number}", at=number)
    resolve(Incident.objects.order_by("id")[0])
    user = desk.run.user

    def ids(**wanted: object) -> list[int]:
        return [case.id for case in told.cases_of(user, told.CaseFilter(**wanted)).items]  # type: ignore[arg-type]

    everything = ids()
    assert everything == sorted(everything, reverse=True)
    assert (len(everything), len(ids(state="open")), len(ids(state="resolved"))) == (5, 4, 1)
    assert (ids(kind="orphan"), len(ids(account_id=desk.run.account_id))) == ([], 5)
    first = told.cases_of(user, limit=2)
    rest = told.cases_of(user, limit=9, before=first.next)
    assert [case.id for case in (*first.items, *rest.items)] == everything
    assert (told.open_count(user), first.items[0].opened_at - rest.items[-1].opened_at) == (4, timedelta(seconds=4))
