"""Every account is settled and compared on its own; a ban is honoured and one fault stops nobody else."""

from datetime import datetime

import pytest

from bots import connect, reconcile, settling
from bots.core.order_state import OrderState
from bots.models import BotRun, Incident, Order, TradingAccount
from bots.tests.desk import Desk, after
from exchanges.core.errors import BudgetSpent, KeyInvalid, RateLimited, UnknownSymbol
from exchanges.core.port import Exchange
from exchanges.models import SimulatedWallet


def in_doubt(desk: Desk) -> Order:
    desk.books.lose_reply()
    return desk.sent()


def test_an_order_in_doubt_is_settled(desk: Desk) -> None:
    order = in_doubt(desk)
    report = settling.settle_all(after(1), "test")
    order.refresh_from_db()
    assert (report.accounts, report.looked_at, report.ended, report.fills, report.faults) == (1, 1, 1, 1, [])
    assert order.state == OrderState.FILLED


def test_nothing_to_settle_asks_nobody(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "open_account", None)
    assert settling.settle_all(after(1), "test").accounts == 0


def test_one_run_alone_can_be_settled(desk: Desk) -> None:
    in_doubt(desk)
    other = BotRun(pk=desk.run.pk + 1)
    assert settling.settle_all(after(1), "test", run=other).accounts == 0
    assert settling.settle_all(after(1), "test", run=desk.run).accounts == 1


def test_a_ban_is_remembered_and_nobody_is_asked_until_it_ends(desk: Desk) -> None:
    in_doubt(desk)
    desk.books.fail("fetch_order", RateLimited("Banned.", retry_at=after(60)))
    assert settling.settle_all(after(1), "test").faults
    assert TradingAccount.objects.get().banned_until == after(60)
    assert settling.settle_all(after(59), "test").accounts == 0
    assert settling.reconcile_all(after(59), "test").accounts == 0
    assert settling.settle_all(after(60), "test").ended == 1


def test_a_ban_during_the_comparison_is_remembered(desk: Desk) -> None:
    desk.books.fail("fetch_recent_orders", RateLimited("Banned.", retry_at=after(60)))
    assert settling.reconcile_all(after(1), "test").faults
    account = TradingAccount.objects.get()
    assert (account.banned_until, account.reconciled_at) == (after(60), None)


def test_our_own_budget_bans_nobody(desk: Desk) -> None:
    in_doubt(desk)
    desk.books.fail("fetch_order", BudgetSpent("Our own request budget is spent.", retry_at=after(20)))
    report = settling.settle_all(after(9), "test")
    assert report.faults == [f"account {desk.run.account_id}: EXCHANGE_UNAVAILABLE: Our own request budget is spent."]
    assert TradingAccount.objects.get().banned_until is None


def test_an_account_that_cannot_be_opened_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    in_doubt(desk)

    def broken(account: object, at: object) -> None:
        raise KeyInvalid("The key was deleted.")

    monkeypatch.setattr(connect, "open_account", broken)
    report = settling.settle_all(after(1), "test")
    assert report.faults == [f"account {desk.run.account_id}: KEY_INVALID: The key was deleted."]


def test_a_market_that_is_listed_no_more_never_stops_the_next_account(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    wallet = SimulatedWallet.objects.create(exchange="demo", quote="USDT", deposit=1, created_at=after(0))
    other = TradingAccount.objects.create(owner=desk.run.user, mode="paper", exchange="demo", wallet=wallet)
    seen: list[int] = []

    def compare(account: TradingAccount, exchange: Exchange, actor: str, at: datetime) -> reconcile.Reconciled:
        seen.append(account.pk)
        if account.pk == desk.run.account_id:
            raise UnknownSymbol("binance lists no 'BTC/USDT'.")
        return reconcile.Reconciled()

    run = BotRun.objects.get(pk=desk.run.pk)
    run.pk, run._state.adding, run.mode, run.key, run.account = None, True, "paper", None, other
    run.save()
    monkeypatch.setattr(reconcile, "reconcile_account", compare)
    report = settling.reconcile_all(after(1), "test")
    assert report.faults == [f"account {desk.run.account_id}: UnknownSymbol"]
    assert seen == [desk.run.account_id, other.pk]


def test_a_clean_account_is_compared_without_a_word(desk: Desk) -> None:
    desk.sent()
    settling.settle_all(after(1), "test")
    report = settling.reconcile_all(after(30), "test", account=desk.run.account)
    assert (report.accounts, report.late_fills, report.orphans, report.mismatches, report.faults) == (1, 0, 0, 0, [])
    assert TradingAccount.objects.get().reconciled_at == after(30)
    assert not Incident.objects.exists()


def test_an_account_whose_runs_have_stopped_is_looked_after_for_a_while(desk: Desk) -> None:
    BotRun.objects.update(status="stopped", stopped_at=after(0))
    assert settling.reconcile_all(after(600), "test").accounts == 1
    assert settling.reconcile_all(after(601), "test").accounts == 0
