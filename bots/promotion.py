"""Promotion: a run that has proved itself on paper starts again with real money, under a policy and never otherwise."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from bots import lifecycle
from bots.core.breaker import State
from bots.core.limits import Limits
from bots.core.risk import Permit
from bots.lifecycle import Invalid, StartRequest
from bots.models import Arming, BotRun, Breaker, Level, Mode, Status
from bots.situation import key_permit, limits_of
from exchanges import connect
from exchanges.core.errors import UnknownExchange
from exchanges.models import ExchangeKey

#: An arming is a second factor and a typed phrase, or the operator's yes; a promotion wants it fresh.
FRESH = timedelta(hours=1)
#: At least one of these ends a run's losses.
LOSS_LIMITS = ("max_daily_loss", "max_drawdown_pct", "stop_loss_pct", "trailing_stop_pct")


@dataclass(frozen=True, slots=True)
class Condition:
    """One sentence of the policy; ``detail`` says how it stands."""

    name: str
    met: bool
    detail: str


def conditions(run: BotRun, key: ExchangeKey | None, at: datetime) -> list[Condition]:
    """The whole policy for this run and key, met or not."""
    return [
        _on_paper(run),
        _long_enough(run, at),
        _limited(limits_of(run)),
        _breakers_closed(run),
        _platform(run),
        _own_key(run, key),
        _permitted(key, at),
        _freshly_armed(key, at),
    ]


def promote(run: BotRun, key: ExchangeKey, at: datetime, actor: Actor) -> BotRun:
    """Start the same run live, then let the paper run sell and stop; raises lifecycle.StartRefused.

    Strategy, parameters, limits, market and capital are the paper run's; every check of a live start applies as well.
    """
    unmet = [one for one in conditions(run, key, at) if not one.met]
    if unmet:
        names = ", ".join(one.name for one in unmet)
        raise Invalid("not_ready", f"The run is not ready to trade live: {names}.", {x.name: x.detail for x in unmet})
    live = lifecycle.start(
        StartRequest(
            user=run.user,
            strategy=run.strategy.name,
            symbol=run.symbol,
            timeframe=run.timeframe,
            exchange=run.exchange,
            capital=run.capital,
            mode=Mode.LIVE.value,
            exchange_key_id=key.pk,
            params=run.params,
            limits=run.limits,
        ),
        at,
        actor,
    )
    with transaction.atomic():
        audit.record(actor, "run.promoted", f"run:{run.pk}", at=at, live=live.pk, key=key.pk)
        lifecycle.stop(run, "close", at, actor)
    return live


def _on_paper(run: BotRun) -> Condition:
    active = run.mode == Mode.PAPER and run.status in (Status.RUNNING, Status.PAUSED)
    return Condition("paper", active, f"Expected a paper run that is running or paused, was {run.mode} {run.status}.")


def _long_enough(run: BotRun, at: datetime) -> Condition:
    days, least = (at - run.started_at) / timedelta(days=1), settings.PROMOTION_MIN_PAPER_DAYS
    return Condition("days", days >= least, f"Expected {least} days on paper, was {max(days, 0):.1f}.")


def _limited(limits: Limits) -> Condition:
    stated = [name for name in LOSS_LIMITS if getattr(limits, name) is not None]
    told = ", ".join(stated) or "none"
    return Condition("limits", bool(stated), f"Expected one of {', '.join(LOSS_LIMITS)}, was {told}.")


def _breakers_closed(run: BotRun) -> Condition:
    rows = Breaker.objects.filter(level=Level.RUN, target=run.pk).exclude(state=State.CLOSED.value)
    told = ", ".join(f"{row.name} {row.state}" for row in rows) or "all closed"
    return Condition("breakers", told == "all closed", f"Expected every circuit breaker closed, was {told}.")


def _platform(run: BotRun) -> Condition:
    if not settings.LIVE_TRADING:
        return Condition("platform", False, "Live trading is switched off on this platform (LIVE_TRADING).")
    try:
        reason = connect.supports_live(run.exchange)
    except UnknownExchange:
        reason = f"The market {run.exchange} is made up: there is nothing to trade on."
    return Condition("platform", not reason, reason or "This platform and exchange allow live trading.")


def _own_key(run: BotRun, key: ExchangeKey | None) -> Condition:
    fits = key is not None and (key.owner_id, key.exchange, key.deleted_at) == (run.user_id, run.exchange, None)
    return Condition("key", fits, f"Expected one of your {run.exchange} keys.")


def _permitted(key: ExchangeKey | None, at: datetime) -> Condition:
    """Arming has a condition of its own."""
    permit = Permit.PAPER_ONLY if key is None else key_permit(key, at)
    verified = permit in (Permit.GRANTED, Permit.NOT_ARMED, Permit.ARMING_EXPIRED)
    return Condition("verified", verified, f"Expected a key that was checked lately and may only trade, was {permit}.")


def _freshly_armed(key: ExchangeKey | None, at: datetime) -> Condition:
    arming = Arming.objects.filter(key=key, dropped_at=None, expires_at__gt=at).first() if key else None
    fresh = arming is not None and at - arming.armed_at <= FRESH
    told = f"armed at {arming.armed_at:%Y-%m-%d %H:%M} UTC" if arming else "not armed"
    return Condition("arming", fresh, f"Expected an arming of this key within the last hour, was {told}.")
