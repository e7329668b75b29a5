"""What a person asks a backtest for, checked as a whole: one error naming every field that is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from bots.core import grid
from bots.core.backtest.terms import Terms, unknown_market
from bots.core.limits import LimitError, Limits, completed, parse_limits
from exchanges.core.candles import timeframe_ms
from exchanges.core.decimals import ZERO, plain
from exchanges.core.errors import UnknownTimeframe
from exchanges.core.market import Market
from exchanges.core.slippage import BASIS_POINT
from strategies.core.errors import ParameterError
from strategies.core.parameters import Value
from strategies.core.strategy import BaseStrategy, StrategyRegistry

#: A fee or slippage of ten percent a side is a mistake (percent given for a fraction), not a market.
MOST: Final = Decimal("0.1")
LARGEST: Final = Decimal("1e15")


class RequestError(ValueError):
    """``errors``: field (``params.rsi_period``) → what was expected."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(f"{name}: {message}" for name, message in self.errors.items()))


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """``since`` is the first open time that counts, ``until`` the first that no longer does; None: all there is.

    ``fee`` and ``slippage`` are fractions of each leg's price; capital in the symbol's quote.
    """

    strategy: str
    exchange: str
    symbol: str
    timeframe: str
    capital: Decimal
    fee: Decimal
    params: Mapping[str, Value] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    since: datetime | None = None
    until: datetime | None = None
    slippage: Decimal = ZERO

    def terms(self, market: Market | None = None) -> Terms:
        """Under the market's rules where they are known, with the fee that was asked for."""
        known = unknown_market(self.symbol, self.fee) if market is None else with_fee(market, self.fee)
        return Terms(self.capital, known, self.limits, self.slippage / BASIS_POINT)

    def as_json(self) -> dict[str, Any]:
        """What `parse_request` reads again, under the API's field names."""
        return {
            "strategy": self.strategy,
            "params": {name: plain(v) if isinstance(v, Decimal) else v for name, v in self.params.items()},
            "exchange": self.exchange,
            "symbol": self.symbol,
            "timeframe": self.timeframe,
            "since": _iso(self.since),
            "until": _iso(self.until),
            "capital": plain(self.capital),
            "fee": plain(self.fee),
            "slippage": plain(self.slippage),
            "limits": self.limits.as_json(),
        }


def with_fee(market: Market, fee: Decimal) -> Market:
    """The same market as a backtest sees it: one fee for both legs, taken in quote."""
    return Market(
        market.symbol, market.base, market.quote, market.amount_step, market.price_tick, market.min_amount,
        market.max_amount, market.min_notional, fee, fee,
    )  # fmt: skip


def parse_request(given: Mapping[str, Any], kind: type[BaseStrategy]) -> BacktestRequest:
    """From the field names and values of the API; raises RequestError naming all that is wrong."""
    errors: dict[str, str] = {}
    given = {**given, "params": {} if given.get("params") is None else given["params"]}

    def read(name: str, reader: Callable[[Any], Any], default: Any = None) -> Any:
        try:
            return reader(given[name]) if given.get(name) is not None else default
        except (LimitError, ParameterError) as error:
            errors.update({f"{name}.{key}": text for key, text in error.errors.items()})
        except (ValueError, UnknownTimeframe) as error:
            errors[name] = str(error)
        return default

    required = ("strategy", "exchange", "symbol", "timeframe", "capital", "fee")
    errors |= {name: "Expected a value, was none." for name in required if given.get(name) in (None, "")}
    request = {
        "strategy": kind.name,
        "exchange": given.get("exchange"),
        "symbol": read("symbol", read_symbol),
        "timeframe": read("timeframe", _timeframe),
        "capital": read("capital", positive),
        "fee": read("fee", fraction),
        "slippage": read("slippage", fraction, ZERO),
        "since": read("since", instant),
        "until": read("until", instant),
        "params": read("params", kind.validate) or {},
        "limits": read("limits", parse_limits) or Limits(),
    }
    if request["since"] and request["until"] and request["since"] >= request["until"]:
        errors["until"] = "Expected a time after since."
    if errors:
        raise RequestError(errors)
    strategy, seconds = kind(**request["params"]), timeframe_ms(request["timeframe"]) // 1000
    try:
        known = with_protections(strategy, request["limits"])
        limits = completed(known, seconds, several=strategy.plan is not None)
    except LimitError as error:
        raise RequestError({f"limits.{name}": text for name, text in error.errors.items()}) from None
    return BacktestRequest(**{**request, "limits": limits})


def with_protections(strategy: BaseStrategy, limits: Limits) -> Limits:
    """What a rule says of stops and targets holds unless the request says otherwise."""
    return parse_limits({**strategy.protections, **limits.as_json()})


@dataclass(frozen=True, slots=True)
class Asked:
    """A checked request with the strategy it asks for."""

    request: BacktestRequest
    strategy: BaseStrategy


def asked_for(given: Mapping[str, Any]) -> Asked:
    """From the API's fields; raises UnknownStrategy and RequestError."""
    kind = StrategyRegistry.get(str(given.get("strategy")))
    request = parse_request(given, kind)
    asked = Asked(request, kind(**request.params))
    # Without the market's own rules, which a worker learns: what no market would take.
    if wrong := grid.problems(asked.strategy.plan, request.capital, request.terms().market, request.limits):
        raise RequestError(wrong)
    return asked


def number(value: object) -> Decimal:
    try:
        parsed = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        parsed = Decimal("NaN")
    if isinstance(value, bool) or not parsed.is_finite():
        raise ValueError(f"Expected a decimal number, was {value}.")
    return parsed


def positive(value: object) -> Decimal:
    parsed = number(value)
    if not 0 < parsed < LARGEST or parsed.as_tuple().exponent < -18:  # type: ignore[operator]
        raise ValueError(f"Expected a number above zero with at most 18 decimals, was {value}.")
    return parsed


def fraction(value: object) -> Decimal:
    parsed = number(value)
    if not 0 <= parsed <= MOST:
        raise ValueError(f"Expected a fraction from 0 to {MOST} (0.001 is 0.1 %), was {value}.")
    return parsed


def read_symbol(value: object) -> str:
    base, slash, quote = str(value).partition("/")
    if not (base and slash and quote) or len(str(value)) > 32 or "/" in quote:
        raise ValueError(f"Expected a symbol such as BTC/USDT, was {value!r}.")
    return str(value)


def _timeframe(value: object) -> str:
    timeframe_ms(str(value))
    return str(value)


def instant(value: object) -> datetime:
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"Expected an ISO-8601 time such as 2026-01-31T14:00:00Z, was {value!r}.") from None


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
