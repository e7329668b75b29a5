"""Ready-made situations for the core's tests."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

from bots.core.limits import Limits
from bots.core.position import Position
from bots.core.risk import Situation
from exchanges.core.market import Market

AT = datetime(2024, 1, 15, 12, tzinfo=UTC)
BTC = Market("BTC/USDT", "BTC", "USDT", D("0.00001"), D("0.01"), D("0.00001"), D(9000), D(5))
HELD = Position(amount=D("0.01"), entry_price=D(50000), cash=D("-500"), opened_at=AT)


def flat(**facts: Any) -> Situation:
    """A flat run with 1,000 USDT at a price of 50,000."""
    plain: dict[str, Any] = {
        "at": AT,
        "market": BTC,
        "limits": Limits(),
        "position": Position(),
        "price": D(50000),
        "cash": D(1000),
        "equity": D(1000),
        "peak_equity": D(1000),
        "day_start_equity": D(1000),
    }
    return Situation(**{**plain, **facts})


def holding(**facts: Any) -> Situation:
    """The same run with 0.01 BTC bought at 50,000."""
    return replace(flat(position=HELD, cash=D(500)), **facts)
