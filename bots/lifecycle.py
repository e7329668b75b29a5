"""A run's life: start, pause, resume, stop. A write here enqueues nothing: the next tick finds it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from bots import capital
from bots.core import grid
from bots.core.backtest.request import with_protections
from bots.core.limits import LimitError, completed, parse_limits
from bots.core.risk import Permit
from bots.models import BotRun, Mode, RunPosition, Status, TradingAccount
from bots.situation import key_permit
from exchanges import connect, market_data
from exchanges.core.candles import TIMEFRAMES, timeframe_ms
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol, UnknownTimeframe
from exchanges.core.market import Market
from exchanges.models import ExchangeKey
from strategies import operations as strategy_rows
from strategies import queries as strategies
from strategies.core.parameters import ParameterError, as_json
from strategies.core.strategy import BaseStrategy, UnknownStrategy
from strategies.models import Strategy

#: Before any candle: a run that was never ticked is due at every instant, also a replayed one.
NEVER = datetime(1970, 1, 1, tzinfo=UTC)
#: How often a start asks again for balances that a fill has overtaken.
LOOKS = 3


@dataclass(frozen=True, slots=True)
class StartRequest:
    user: User
    strategy: str
    symbol: str
    timeframe: str
    exchange: str
    capital: Decimal
    mode: str = Mode.PAPER.value
    exchange_key_id: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)


class StartRefused(Exception):
    """Nothing was started. ``errors`` maps a field (``params.rsi_period``) to what was expected."""

    def __init__(self, code: str, detail: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = dict(errors or {})


class Invalid(StartRefused):
    """What was asked for is wrong in itself (422)."""


class NotPermitted(StartRefused):
    """Live trading is not permitted for this key or platform (403)."""


class Conflict(StartRefused):
    """Another active run stands in the way (409)."""


class ExchangeDown(StartRefused):
    """The exchange could not be asked (503)."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A wish that passed every check, as it will be written down."""

    strategy: Strategy
    params: dict[str, Any]
    limits: dict[str, Any]
    market: Market
    key: ExchangeKey | None


def start(wanted: StartRequest, at: datetime, actor: Actor) -> BotRun:
    """Check everything, then write the run down; the next tick takes it up."""
    strategy, built = _checked_strategy(wanted, at)
    params, limits = as_json(built.params), _checked_limits(wanted, built)
    market = _checked_market(wanted, at)
    if wrong := grid.problems(built.plan, wanted.capital, market, parse_limits(limits)):
        raise Invalid("invalid_grid", " ".join(wrong.values()), wrong)
    key = _checked_key(wanted, at) if wanted.mode == Mode.LIVE else None
    checked = Checked(strategy, params, limits, market, key)
    for _ in range(LOOKS):
        funds = _funds(wanted, key, market, at)
        with suppress(capital.FlowsMoved):
            return _write_down(wanted, checked, funds, at, actor)
    raise Conflict("account_busy", "The account's other runs are trading at this moment; try again in a few seconds.")


def _write_down(wanted: StartRequest, checked: Checked, funds: capital.Funds, at: datetime, actor: Actor) -> BotRun:
    """The run, its reservation and the audit entry, or nothing."""
    market = checked.market
    try:
        with transaction.atomic():
            account = _account(wanted, checked, at)
            capital.require(account, market.quote, wanted.capital, funds)
            run = BotRun.objects.create(
                user=wanted.user,
                strategy=checked.strategy,
                exchange=wanted.exchange,
                symbol=wanted.symbol,
                timeframe=wanted.timeframe,
                mode=wanted.mode,
                key=checked.key,
                account=account,
                params=checked.params,
                limits=checked.limits,
                base=market.base,
                quote=market.quote,
                capital=wanted.capital,
                created_at=at,
                started_at=at,
                next_check_at=NEVER,
            )
            RunPosition.objects.create(run=run)
            capital.reserve(run, at)
            audit.record(actor, "run.started", f"run:{run.pk}", at=at, mode=run.mode, capital=str(run.capital))
    except ExchangeKey.DoesNotExist:
        raise _unknown_key(wanted.exchange) from None
    except capital.NotEnough as poor:
        text = f"Expected at most {poor.available:f} {market.quote} free, was {wanted.capital:f}."
        raise Invalid("insufficient_funds", text, {"capital": text}) from None
    except IntegrityError:
        raise Conflict("already_running", "An active live run already trades this symbol with this key.") from None
    return run


def _account(wanted: StartRequest, checked: Checked, at: datetime) -> TradingAccount:
    if checked.key is not None:
        return capital.live_account(checked.key)
    return capital.paper_account(wanted.user, wanted.exchange, checked.market.quote, wanted.capital, at)


def _unknown_key(exchange: str) -> Invalid:
    text = f"Expected one of your {exchange} keys."
    return Invalid("unknown_key", text, {"exchange_key_id": text})


def _checked_strategy(wanted: StartRequest, at: datetime) -> tuple[Strategy, BaseStrategy]:
    try:
        built = strategies.build(wanted.strategy, wanted.params)
    except UnknownStrategy as error:
        raise Invalid("unknown_strategy", str(error), {"strategy": str(error)}) from None
    except strategies.StrategyDisabled as error:
        raise Invalid("strategy_disabled", str(error), {"strategy": str(error)}) from None
    except ParameterError as error:
        named = {f"params.{name}": text for name, text in error.errors.items()}
        raise Invalid("invalid_params", str(error), named) from None
    return strategy_rows.row_of(wanted.strategy, at, audit.SYSTEM), built


def _checked_limits(wanted: StartRequest, built: BaseStrategy) -> dict[str, Any]:
    try:
        limits = with_protections(built, parse_limits(wanted.limits))
        # A timeframe that nobody knows is told with the market.
        seconds = TIMEFRAMES.get(wanted.timeframe, 60_000) // 1000
        return dict(completed(limits, seconds, several=built.plan is not None).as_json())
    except LimitError as error:
        named = {f"limits.{name}": text for name, text in error.errors.items()}
        raise Invalid("invalid_limits", str(error), named) from None


def _checked_market(wanted: StartRequest, at: datetime) -> Market:
    if wanted.mode not in Mode.values:
        text = f"Expected paper or live, was {wanted.mode!r}."
        raise Invalid("invalid_mode", text, {"mode": "Expected paper or live."})
    try:
        timeframe_ms(wanted.timeframe)
        if wanted.timeframe not in (offered := market_data.timeframes(wanted.exchange)):
            raise UnknownTimeframe(f"Expected one of {', '.join(offered)}, was {wanted.timeframe!r}.")
        market = market_data.market(wanted.exchange, wanted.symbol, at)
    except UnknownExchange as error:
        raise Invalid("unknown_exchange", str(error), {"exchange": str(error)}) from None
    except UnknownTimeframe as error:
        raise Invalid("unknown_timeframe", str(error), {"timeframe": str(error)}) from None
    except UnknownSymbol as error:
        raise Invalid("unknown_symbol", str(error), {"symbol": str(error)}) from None
    except ExchangeFault as fault:
        raise ExchangeDown("exchange_unavailable", f"{wanted.exchange} could not be asked: {fault.detail}") from None
    _check_capital(wanted.capital, market)
    return market


def _check_capital(capital: Decimal, market: Market) -> None:
    least = market.min_notional * (1 + market.taker_fee)
    if not capital.is_finite() or capital <= 0 or capital >= Decimal("1e15") or capital < least:
        text = f"Expected at least {max(least, market.price_tick):f} {market.quote}, was {capital}."
        raise Invalid("invalid_capital", text, {"capital": text})


def require_live_platform() -> None:
    if not settings.LIVE_TRADING:
        raise NotPermitted("live_disabled", "Live trading is switched off on this platform (LIVE_TRADING).")


def _checked_key(wanted: StartRequest, at: datetime) -> ExchangeKey:
    """Live: allowed on this platform; an own verified key of the exchange, armed, no run in error on the symbol."""
    require_live_platform()
    if wanted.exchange_key_id is None:
        raise Invalid("key_required", "A live run needs exchange_key_id.", {"exchange_key_id": "Expected a key's id."})
    key = ExchangeKey.objects.for_user(wanted.user).present().filter(pk=wanted.exchange_key_id).first()
    if key is None or key.exchange != wanted.exchange:
        raise _unknown_key(wanted.exchange)
    if reason := connect.supports_live(wanted.exchange):
        raise NotPermitted("live_unsupported", reason)
    if BotRun.objects.filter(key=key, symbol=wanted.symbol, status=Status.ERROR).exists():
        raise Conflict("already_running", "A live run in error keeps this key and symbol: stop it first.")
    permit = key_permit(key, at)
    if permit in (Permit.NOT_ARMED, Permit.ARMING_EXPIRED):
        raise NotPermitted("not_armed", "Live trading of this key is not armed.")
    if permit is not Permit.GRANTED:
        raise NotPermitted(permit.value.lower(), f"The key cannot trade live: {permit.value}.")
    return key


def _funds(wanted: StartRequest, key: ExchangeKey | None, market: Market, at: datetime) -> capital.Funds:
    """The account's free quote; a paper run's is the deposit that it is about to get."""
    if key is None:
        return capital.Funds(wanted.capital, 0)
    through = capital.last_fill_of(key)
    try:
        balances = connect.open_exchange(key, at=at, purpose="start").fetch_balances()
    except ExchangeFault as fault:
        raise ExchangeDown("exchange_unavailable", f"{key.exchange} could not be asked: {fault.detail}") from None
    return capital.Funds(balances[market.quote].free if market.quote in balances else Decimal(0), through)


class WrongStatus(Exception):
    """The run is not in a status that allows this."""


def pause(run: BotRun, at: datetime, actor: Actor) -> BotRun:
    """No new entries; the position and its exits stay."""
    return _change(run, (Status.STARTING, Status.RUNNING), Status.PAUSED, "paused", at, actor)


def resume(run: BotRun, at: datetime, actor: Actor) -> BotRun:
    return _change(run, (Status.PAUSED, Status.ERROR), Status.RUNNING, "resumed", at, actor)


def stop(run: BotRun, on_open_position: str, at: datetime, actor: Actor) -> BotRun:
    """Idempotent. `close` sells what is held first; an order in flight is always settled before the end."""
    if on_open_position not in ("keep", "close"):
        raise ValueError(f"on_open_position: Expected keep or close, was {on_open_position!r}.")
    close = on_open_position == "close"
    with transaction.atomic():
        run = BotRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
        if run.status == Status.STOPPED or (run.status == Status.STOPPING and run.close_requested >= close):
            return run
        run.status, run.close_requested = Status.STOPPING, close
        run.status_reason = "Selling before the stop." if close else "Settling before the stop."
        run.save(update_fields=["status", "close_requested", "status_reason"])
        audit.record(actor, "run.stopping", f"run:{run.pk}", at=at, on_open_position=on_open_position)
        if not (close and run.held > 0):
            finish_stop(run, at)
    return run


@transaction.atomic
def finish_stop(run: BotRun, at: datetime) -> bool:
    """STOPPED, its money released, once nothing is in flight; planned orders that were never sent simply expire."""
    # What was booked, or asked for, since the caller looked may have to be sold first.
    now = BotRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
    if run.orders.live().exists() or (now.held, now.close_requested) != (run.held, run.close_requested):
        return False
    run.status, run.stopped_at, run.status_reason = Status.STOPPED, at, ""
    run.save(update_fields=["status", "stopped_at", "status_reason"])
    capital.release(run, at)
    return True


def _change(run: BotRun, allowed: tuple[Status, ...], to: Status, word: str, at: datetime, actor: Actor) -> BotRun:
    with transaction.atomic():
        run = BotRun.objects.select_for_update(of=("self",), no_key=True).get(pk=run.pk)
        if run.status == to:
            return run
        if run.status not in allowed:
            raise WrongStatus(f"A run that is {run.status} cannot be {word}.")
        run.status, run.status_reason = to, ""
        run.save(update_fields=["status", "status_reason"])
        audit.record(actor, f"run.{word}", f"run:{run.pk}", at=at)
    return run
