"""What a command needs to start with real money: the operator's yes, which arms the key."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from accounts.audit import CONSOLE
from bots import arming, lifecycle
from bots.core.risk import Permit
from bots.situation import key_permit
from exchanges.models import ExchangeKey


@contextmanager
def armed(key: ExchangeKey, at: datetime) -> Iterator[None]:
    """The key armed for what is started within; LIVE_TRADING and every risk check still apply.

    The operator's yes, asked for before, is the second factor here. A key that was not armed before is disarmed again
    when the start is refused.
    """
    lifecycle.require_live_platform()
    if key_permit(key, at) is Permit.GRANTED:
        yield
        return
    arming.arm(key, "console", at, CONSOLE)
    try:
        yield
    except lifecycle.StartRefused:
        arming.disarm(key, "the start was refused", at, CONSOLE)
        raise
