"""Opens the exchange that an account trades on; the only caller of the exchanges' own doors."""

from datetime import datetime

from bots.models import Mode, TradingAccount
from exchanges import connect
from exchanges.core.port import Exchange


def open_account(account: TradingAccount, at: datetime) -> Exchange:
    """Live: the key's exchange, decrypted there; paper: the simulated one over the real market's prices."""
    if account.mode == Mode.LIVE:
        return connect.open_exchange(account.key, at=at, purpose="trade")
    return connect.open_paper(account.wallet, at)
