"""Capital: two runs on one account never count the same money twice, not even when they start at once.

What a run owns is its capital plus the flows of its fills, from its reservation until its release. What is left of an
account's free money is for the next one. Live, paper and each quote currency are apart: an account is one key's or one
paper run's, and its entries name their quote.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Exists, Max, OuterRef

from accounts.models import User
from bots.models import BotRun, CapitalEntry, CapitalKind, Fill, Mode, Order, TradingAccount
from bots.models.run import BotRunQuerySet
from exchanges.core.decimals import ONE, ZERO
from exchanges.core.orders import Side
from exchanges.models import ExchangeKey, SimulatedWallet

#: What a sell in flight may bring in over the price that it was decided at.
BETTER = Decimal("0.02")


class NotEnough(Exception):
    """The account has only ``available`` left for a new run."""

    def __init__(self, available: Decimal) -> None:
        super().__init__(f"{available:f} is available")
        self.available = available


class FlowsMoved(Exception):
    """A fill was booked while the exchange was being asked: its answer and the ledger tell of two instants."""


@dataclass(frozen=True, slots=True)
class Funds:
    """Free quote as the exchange told it, and the last fill of the account that was booked when it was asked."""

    free: Decimal
    through: int


def live_account(key: ExchangeKey) -> TradingAccount:
    """The key's account, within the transaction that starts a run; raises DoesNotExist if the key is deleted.

    Its row is held until then: whoever deletes the key meanwhile will find it in use.
    """
    held = ExchangeKey.objects.select_for_update(no_key=True).present().get(pk=key.pk)
    facts = {"owner_id": held.owner_id, "mode": Mode.LIVE, "exchange": held.exchange}
    return TradingAccount.objects.get_or_create(key=held, defaults=facts)[0]


def paper_account(owner: User, exchange: str, quote: str, deposit: Decimal, at: datetime) -> TradingAccount:
    """A new one with a wallet of its own, which holds what is deposited and nothing else."""
    wallet = SimulatedWallet.objects.create(exchange=exchange, quote=quote, deposit=deposit, created_at=at)
    return TradingAccount.objects.create(owner=owner, mode=Mode.PAPER, exchange=exchange, wallet=wallet)


def last_fill_of(key: ExchangeKey) -> int:
    """Read before the exchange is asked for the key's balances."""
    return Fill.objects.filter(account__key=key).aggregate(last=Max("id"))["last"] or 0


def require(account: TradingAccount, quote: str, wanted: Decimal, funds: Funds) -> None:
    """Within the transaction that starts a run: raises NotEnough or FlowsMoved. The account's row is the lock."""
    TradingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    booked = Fill.objects.filter(account=account).aggregate(last=Max("id"))["last"] or 0
    if booked != funds.through:
        raise FlowsMoved(f"account {account.pk}: fill {booked} came after fill {funds.through}")
    left = available(account, quote, funds.free)
    if wanted > left:
        raise NotEnough(max(left, ZERO))


def reserve(run: BotRun, at: datetime) -> CapitalEntry:
    """The run's capital is its own from now on."""
    return CapitalEntry.objects.create(
        account_id=run.account_id, run=run, quote=run.quote, kind=CapitalKind.RESERVE, amount=run.capital, at=at
    )


def release(run: BotRun, at: datetime) -> CapitalEntry:
    """What the run owns goes back to its account. Safe to repeat."""
    run = BotRun.objects.select_related("position").get(pk=run.pk)
    facts = {"account_id": run.account_id, "quote": run.quote, "amount": owned(run), "at": at}
    return CapitalEntry.objects.get_or_create(run=run, kind=CapitalKind.RELEASE, defaults=facts)[0]


def holders(account: TradingAccount, quote: str) -> BotRunQuerySet:
    """The runs that have reserved and not released, whatever their status."""
    return holding().filter(account=account, quote=quote)


def holding() -> BotRunQuerySet:
    """Every run that has reserved and not released."""
    entries = CapitalEntry.objects.filter(run=OuterRef("pk"))
    reserved = Exists(entries.filter(kind=CapitalKind.RESERVE))
    return BotRun.objects.filter(reserved, ~Exists(entries.filter(kind=CapitalKind.RELEASE)))


def owned(run: BotRun) -> Decimal:
    """In quote: the capital and the flows of the fills; what was spent beyond it is nobody else's debt."""
    share: Decimal = run.capital + run.position.cash
    return max(share, ZERO)


def available(account: TradingAccount, quote: str, free: Decimal) -> Decimal:
    """Of the account's free money, what no run owns; negative when the owner took out what the runs were promised.

    Money that a buy in flight has locked is counted as the run's and is not free: for these seconds less is told than
    there is, never more.
    """
    runs = list(holders(account, quote).select_related("position"))
    return free - sum((owned(run) for run in runs), ZERO) - incoming(runs)


def incoming(runs: Iterable[BotRun]) -> Decimal:
    """What their sells in flight may have brought in already without our having booked it."""
    sells = Order.objects.in_flight().filter(run__in=[run.pk for run in runs], side=Side.SELL.value)
    return sum((_worth(order) for order in sells), ZERO)


def _worth(order: Order) -> Decimal:
    prices: list[Decimal] = [order.price, order.limit_price or ZERO, order.stop_price or ZERO]
    rest: Decimal = max(order.amount - order.filled, ZERO)
    return rest * max(prices) * (ONE + BETTER)
