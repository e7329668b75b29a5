"""Every way an exchange can fail, by what the caller is to do.

    ExchangeFault
    ├── Refused              the exchange certainly did nothing: the order is REJECTED
    │   ├── NotSent          no connection was ever made
    │   ├── InsufficientFunds
    │   ├── InvalidRequest   amount, price, symbol or parameter; never right when repeated
    │   ├── KeyInvalid       revoked, wrong or unknown key
    │   ├── PermissionMissing
    │   ├── MarketClosed
    │   ├── RateLimited      stop asking this exchange until ``retry_at``
    │   │   └── BudgetSpent  by our own count, kept so that the exchange never has to say it
    │   └── ClockSkew        our timestamp was refused
    ├── DuplicateOrder       an order with our id exists: look it up
    ├── OrderNotFound        a look-up said no; counts only as one miss
    └── Unavailable          anything else: for a read, ask later; for an order, UNKNOWN
        └── Maintenance

Messages are scrubbed: no URL, header, signature or body ever enters them.
"""

from datetime import datetime


class ExchangeFault(Exception):
    """``code`` is a stable word for the journal and the API; ``detail`` is safe to show."""

    code = "EXCHANGE_UNAVAILABLE"

    def __init__(self, detail: str = "", *, retry_at: datetime | None = None) -> None:
        super().__init__(detail or self.code)
        self.detail = detail or self.code
        self.retry_at = retry_at


class Refused(ExchangeFault):
    code = "ORDER_REJECTED"


class NotSent(Refused):
    code = "EXCHANGE_UNAVAILABLE"


class InsufficientFunds(Refused):
    code = "INSUFFICIENT_FREE"


class InvalidRequest(Refused):
    code = "ORDER_REJECTED"


class KeyInvalid(Refused):
    code = "KEY_INVALID"


class PermissionMissing(Refused):
    code = "PERMISSION_MISSING"


class MarketClosed(Refused):
    code = "VENUE_MAINTENANCE"


class RateLimited(Refused):
    code = "VENUE_BANNED"


class BudgetSpent(RateLimited):
    code = "EXCHANGE_UNAVAILABLE"


class ClockSkew(Refused):
    code = "CLOCK_SKEW"


class DuplicateOrder(ExchangeFault):
    code = "UNRESOLVED_ORDER"


class OrderNotFound(ExchangeFault):
    code = "UNRESOLVED_ORDER"


class Unavailable(ExchangeFault):
    code = "EXCHANGE_UNAVAILABLE"


class Maintenance(Unavailable):
    code = "VENUE_MAINTENANCE"


class UnknownSymbol(LookupError):
    """The exchange does not list this symbol; the message names both."""


class UnknownExchange(LookupError):
    """No exchange of this name is supported; the message lists those that are."""


class UnknownTimeframe(ValueError):
    """The exchange does not offer this timeframe; the message lists those it does."""
