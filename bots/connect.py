"""Opens the exchange that an account trades on; the only caller of the exchanges' own doors."""

from datetime import datetime

from accounts.core.keyring import Undecryptable
from bots.models import TradingAccount
from exchanges import connect
from exchanges.core.errors import KeyInvalid
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
