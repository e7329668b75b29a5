"""What an account may do behind our back: each drift is told within two passes, and clean passes tell nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_UP
from decimal import Decimal as D
from random import Random

import pytest

from accounts.audit import CONSOLE
from bots import cases, reconcile
from bots.models import CaseKind, Incident, Order, TradingAccount, TradingGate
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.orders import FillReport, OrderRequest, OrderType, Side
from exchanges.models import ExchangeKey
from exchanges.testing import BTC_USDT

STEP = BTC_USDT.amount_step
FEE = D("0.001")


@dataclass
class Account:
    """The desk's account over time: every pass is twenty seconds after the last."""

    desk: Desk
    chance: Random
    at: float = 0.0
    orders: int = 0

    def compare(self) -> reconcile.Reconciled:
        self.at += 20
        return reconcile.reconcile_account(
            TradingAccount.objects.get(), self.desk.exchange(self.at), "test", after(self.at)
        )

    def trade(self) -> Order:
        """Buy when flat, sell when holding, to the end."""
        self.at += 70
        self.orders += 1
        # As the hourly check does: days pass here.
        ExchangeKey.objects.update(last_checked_at=after(self.at))
        choose = sell if self.desk.held() >= STEP * 100 else buy
        order = self.desk.sent(choose, self.at, f"candle:{self.orders}")
        reconcile.settle(order, self.desk.exchange(self.at + 1), "test", after(self.at + 1))
        order.refresh_from_db()
        assert order.state == "FILLED"
        return order

    def move(self, base: D, quote: D = D(0)) -> None:
        self.desk.books.move("BTC", base, D(0))
        self.desk.books.move("USDT", quote, D(0))

    def held_back(self) -> D:
        """A noticeable part of what is there: three steps at least."""
        return max(STEP * 3, BTC_USDT.round_amount(self.desk.held() * D(self.chance.randrange(1, 90)) / 100))

    def look_at_the_case(self) -> None:
        """A person has looked, takes what is there as right, and resumes."""
        case = Incident.objects.get()
        cases.resolve(case, "I looked.", after(self.at), CONSOLE, accept=case.kind == CaseKind.BALANCE)
        case.delete()
        TradingGate.objects.all().delete()


Drift = Callable[[Account], None]


def coins_come(account: Account) -> None:
    account.move(STEP * account.chance.randrange(3, 10**6))


def coins_go(account: Account) -> None:
    account.move(-account.held_back())


def bought_by_hand(account: Account) -> None:
    _by_hand(account, Side.BUY, STEP * account.chance.randrange(20, 400))


def sold_by_hand(account: Account) -> None:
    _by_hand(account, Side.SELL, max(STEP * 20, account.held_back()))


def _by_hand(account: Account, side: Side, amount: D) -> None:
    request = OrderRequest(f"by hand {account.at}", "BTC/USDT", side, OrderType.MARKET, amount, after(account.at))
    account.desk.exchange(account.at).create_order(request)


def fill_was_missed(account: Account) -> None:
    """The exchange's list lacked an execution when the order ended, and has it now."""
    last = account.desk.books.fills[-1]
    amount = STEP * account.chance.randrange(3, 50)
    sign = 1 if last.side is Side.BUY else -1
    missed = replace(
        last, trade_id=f"late {account.at}", amount=amount, fee=D(0), fee_asset="USDT", executed_at=after(account.at)
    )
    account.desk.books.fills.append(missed)
    account.move(sign * amount, -sign * amount * last.price)


def fee_is_taken_in_base(account: Account) -> None:
    """More than the execution said: the usual tenth of a percent, in coins."""
    bought = next(fill for fill in reversed(account.desk.books.fills) if _is_ours(fill, account))
    account.move(-(bought.amount * FEE * account.chance.randrange(1, 4)).quantize(D("1e-8"), ROUND_UP))


def _is_ours(fill: FillReport, account: Account) -> bool:
    return fill.side is Side.BUY and fill.amount >= STEP * 100 and not fill.trade_id.startswith("late")


def dust_is_swept(account: Account) -> None:
    """The exchange turns small amounts into a coin of its own; here it is more than one step."""
    account.move(-STEP * account.chance.randrange(2, 6))


def sale_is_reversed(account: Account) -> None:
    """A stop's execution is taken back: the coins are there again, the money is not."""
    account.move(account.held_back(), D(-10))


DRIFTS: dict[str, tuple[bool, Drift]] = {
    "coins came": (False, coins_come), "coins went": (True, coins_go), "bought by hand": (False, bought_by_hand),
    "sold by hand": (True, sold_by_hand), "a fill was missed": (True, fill_was_missed),
    "a fee in base": (True, fee_is_taken_in_base), "dust was swept": (True, dust_is_swept),
    "a sale was reversed": (False, sale_is_reversed),
}  # fmt: skip


@pytest.fixture
def account(desk: Desk) -> Account:
    # The owner's own coins and money lie on the same account.
    desk.books.deposit("BTC", D("0.75"))
    desk.books.deposit("USDT", D(10**6))
    return Account(desk, Random(12))


def found_within_two_passes(account: Account, *, holding: bool, drift: Drift) -> None:
    while (account.desk.held() >= STEP * 100) is not holding:
        account.trade()
    assert [account.compare() for _ in range(2)] == [reconcile.Reconciled()] * 2
    assert not Incident.objects.exists()
    drift(account)
    seen = [account.compare() for _ in range(2)]
    assert sum(found.mismatches + found.late_fills for found in seen) >= 1, drift
    assert Incident.objects.count() == 1
    assert TradingGate.objects.filter(state__in=["REDUCING", "HALTED"]).exists()
    account.look_at_the_case()
    # Told once: what is known is expected from here on.
    assert account.compare() == reconcile.Reconciled()


@pytest.mark.parametrize("name", DRIFTS)
def test_a_drift_is_told_within_two_passes(account: Account, name: str) -> None:
    holding, drift = DRIFTS[name]
    found_within_two_passes(account, holding=holding, drift=drift)


@pytest.mark.nightly
def test_a_hundred_drifts_are_each_told_within_two_passes(account: Account) -> None:
    drifts = list(DRIFTS.values())
    for number in range(100):
        holding, drift = drifts[number % len(drifts)]
        found_within_two_passes(account, holding=holding, drift=drift)


def clean(account: Account, passes: int) -> None:
    """Bought and sold on the way, with dust and fees in base, and never more than a step beside the books."""
    for number in range(passes):
        if number % 50 == 0:
            account.trade()
        if number % 70 == 0:
            account.move(STEP * D("0.6") * (1 if number % 140 else -1), D(account.chance.randrange(-5, 6)))
        assert account.compare() == reconcile.Reconciled()
    assert not Incident.objects.exists()


def test_clean_passes_tell_nothing(account: Account) -> None:
    clean(account, 200)


@pytest.mark.nightly
def test_ten_thousand_clean_passes_tell_nothing(account: Account) -> None:
    clean(account, 10_000)
