"""What is asked before a run may order on an account that was not compared since a worker's start, or for a while."""

from datetime import datetime, timedelta
from time import monotonic

from bots.models import BotRun, Mode, TradingAccount
from bots.reconcile.account import sweep_market
from exchanges.core.errors import ExchangeFault, RateLimited
from exchanges.core.port import Exchange

#: A pass every minute is due; this is one that is half a minute late.
OVERDUE = timedelta(seconds=90)
TRIES = 3
#: Seconds after which there is no further try: a turn's lease is for thirty, and its order is still to be sent.
PATIENCE = 5


def caught_up(run: BotRun, exchange: Exchange, actor: str, at: datetime) -> bool:
    """After an outage, or with a restored backup, the exchange may know orders that we do not: first they are found.

    Only the run's market is asked for, so that a stop does not wait for the lists of a hundred others. False: the
    exchange would not say, and the run holds something that it may have to sell all the same. Raises ExchangeFault.
    """
    if run.mode == Mode.PAPER or not _overdue(run.account, at):
        return True
    began = monotonic()
    for left in reversed(range(TRIES)):
        try:
            sweep_market(run.account, exchange, run.symbol, actor, at)
            return True
        except RateLimited:
            raise
        except ExchangeFault:
            if left and monotonic() - began < PATIENCE:
                continue
            if run.held <= 0:
                raise
            break
    return False


def compare_first() -> None:
    """At a worker's start: the database may be a backup, and nothing in it says so."""
    TradingAccount.objects.filter(mode=Mode.LIVE).update(compare_first=True)


def _overdue(account: TradingAccount, at: datetime) -> bool:
    if not _is_due(account.reconciled_at, account.compare_first, at):
        return False
    # A pass over many runs has read the account once, at its beginning.
    latest = TradingAccount.objects.values_list("reconciled_at", "compare_first")
    return _is_due(*latest.get(pk=account.pk), at)


def _is_due(compared_at: datetime | None, first: bool, at: datetime) -> bool:
    """An account that was never compared has nothing that a gap could have hidden."""
    return first or (compared_at is not None and at - compared_at > OVERDUE)
