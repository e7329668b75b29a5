"""What is asked before a run may order again on an account that nobody has compared with its exchange for a while."""

from datetime import datetime, timedelta

from bots.models import BotRun, Mode, TradingAccount
from bots.reconcile.account import sweep_market
from exchanges.core.errors import ExchangeFault, RateLimited
from exchanges.core.port import Exchange

#: A pass every minute is due; this is one that is half a minute late.
OVERDUE = timedelta(seconds=90)
TRIES = 3


def caught_up(run: BotRun, exchange: Exchange, actor: str, at: datetime) -> bool:
    """After an outage, or with a restored backup, the exchange may know orders that we do not: first they are found.

    Only the run's market is asked for, so that a stop does not wait for the lists of a hundred others. False: the
    exchange would not say, and the run holds something that it may have to sell all the same. Raises ExchangeFault.
    """
    if run.mode == Mode.PAPER or not _overdue(run.account, at):
        return True
    for _ in range(TRIES):
        try:
            sweep_market(run.account, exchange, run.symbol, actor, at)
            return True
        except RateLimited:
            raise
        except ExchangeFault:
            if run.held <= 0:
                raise
    return False


def _overdue(account: TradingAccount, at: datetime) -> bool:
    """An account that was never compared has nothing that it could have forgotten."""
    if not _too_long_ago(account.reconciled_at, at):
        return False
    # A pass over many runs has read the account once, at its beginning.
    latest = TradingAccount.objects.values_list("reconciled_at", flat=True).get(pk=account.pk)
    return _too_long_ago(latest, at)


def _too_long_ago(compared_at: datetime | None, at: datetime) -> bool:
    return compared_at is not None and at - compared_at > OVERDUE
