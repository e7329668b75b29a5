"""Opens the exchange that an account trades on, and says what it can; the only caller of the exchanges' own doors."""

from datetime import datetime, timedelta

from accounts.core.keyring import Undecryptable
from bots.models import BotRun, Mode, Order, TradingAccount
from exchanges import connect
from exchanges.core.errors import KeyInvalid
from exchanges.core.orders import OrderType, StopStyle
from exchanges.core.port import Exchange


def open_account(account: TradingAccount, at: datetime) -> Exchange:
    """Live: the key's exchange, decrypted there; paper: the simulated one over the real market's prices.

    A key that was deleted or cannot be decrypted is a fault of the account like any other.
    """
    if account.wallet is not None:
        return connect.open_paper(account.wallet, at)
    if account.key is None:
        raise KeyInvalid("The account has no key.")
    try:
        return connect.open_exchange(account.key, at=at, purpose=connect.TRADE)
    except (connect.KeyErased, Undecryptable) as error:
        raise KeyInvalid(str(error)) from None


def stop_style(run: BotRun) -> StopStyle:
    """How a stop of this run can rest on its exchange; the simulated one sells at the market."""
    return StopStyle.MARKET if run.mode == Mode.PAPER else connect.stop_style(run.exchange)


def lingers(order: Order) -> timedelta:
    """How much longer than other orders this one may still be taken by the exchange after a delay."""
    if order.type != OrderType.STOP_LOSS.value or order.account.wallet_id is not None:
        return timedelta(0)
    return connect.stop_lingers(order.run.exchange)
