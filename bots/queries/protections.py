"""What protects an open position, at which price, and where: on the exchange, or watched from here."""

from dataclasses import dataclass
from decimal import Decimal

from bots import connect
from bots.core import protection
from bots.core.backtest.terms import unknown_market
from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.stop_order import stop_of
from bots.models import BotRun, Order, RunPosition
from bots.situation import limits_of
from exchanges.core.decimals import ZERO
from exchanges.core.orders import OrderType, StopStyle

#: Where an exchange's ticks are not asked for, a level is told to so many digits after the point.
SHOWN = Decimal("1E-8")


@dataclass(frozen=True, slots=True)
class ProtectionView:
    """``level`` is None while it is not known yet; ``order_id`` is the order that rests for it."""

    code: str
    level: Decimal | None
    where: str
    order_id: int | None = None


@dataclass(frozen=True, slots=True)
class Protected:
    """``note`` says why a stop that should rest on the exchange is watched."""

    items: tuple[ProtectionView, ...]
    note: str = ""


def protections_of(run_id: int) -> Protected | None:
    """None while the run holds nothing."""
    run = BotRun.objects.select_related("account", "position").get(pk=run_id)
    if run.held <= 0:
        return None
    limits, resting = limits_of(run), _resting(run)
    levels = _levels(run.position, limits)
    found = [_view(code, level, None) for code, level in _named(levels) if level is not None]
    if resting is not None:
        stop = stop_of(levels)
        code = stop.code if stop is not None else Code.STOP_LOSS
        found = [one for one in found if one.code != code.value]
        found.insert(0, _view(code, resting.stop_price, resting))
    return Protected(tuple(found), _note(run, limits, resting))


def _resting(run: BotRun) -> Order | None:
    return run.orders.live().filter(type=OrderType.STOP_LOSS.value).first()


def _levels(row: RunPosition, limits: Limits) -> protection.Levels:
    cost = row.amount * row.entry_price
    fee = row.open_fees / cost if cost > 0 else ZERO
    return protection.levels(row.entry_price, row.peak_price, limits, unknown_market("BASE/QUOTE", fee))


def _named(levels: protection.Levels) -> tuple[tuple[Code, Decimal | None], ...]:
    return (
        (Code.STOP_LOSS, levels.stop),
        (Code.BREAK_EVEN, levels.break_even),
        (Code.TRAILING_STOP, levels.trailing),
        (Code.TAKE_PROFIT, levels.target),
    )


def _view(code: Code, level: Decimal | None, order: Order | None) -> ProtectionView:
    where = "watched" if order is None else "rests on the exchange"
    shown = None if level is None else level.quantize(SHOWN).normalize()
    return ProtectionView(code.value, shown, where, None if order is None else order.pk)


def _note(run: BotRun, limits: Limits, resting: Order | None) -> str:
    if not limits.stop_on_exchange or resting is not None:
        return ""
    if connect.stop_style(run) is StopStyle.NONE:
        return f"{run.exchange} takes no stop order that can be found again by our own id, so the stop is watched."
    return "No stop rests on the exchange at the moment; it is watched, and put there with the next look."
