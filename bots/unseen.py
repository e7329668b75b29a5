"""What the candles that a run has not seen yet ask of it: the one to act on, and the journal's rows of all others."""

from datetime import datetime, timedelta
from decimal import Decimal

from bots import opinions
from bots.core import sizing
from bots.core.codes import Code
from bots.core.decision import Decided, Opinion, hold
from bots.models import BotRun, Decision
from bots.opinions import Voice
from bots.orders import candle_key
from exchanges.core.candles import timeframe_ms, to_ms
from exchanges.core.market import Market
from strategies.core.plan import Grid
from strategies.core.signals import Action

#: Missed candles that are still told in the journal; older ones are only counted as seen.
BACKLOG = 200
#: An entry on a candle that is not the last one is still acted on this long after its close.
LATE = timedelta(seconds=5)
Told = dict[tuple[object, ...], tuple[Opinion, Decided]]


def heard(
    run: BotRun, voice: Voice, market: Market, told: Told, at: datetime
) -> tuple[list[Decision], Opinion | None]:  # fmt: skip
    """The rows of unseen candles that ask for nothing, and the opinion that asks for an order."""
    count = len(voice.candles)
    first = max(opinions.first_unseen(voice.candles, run.last_candle_at), count - BACKLOG)
    asking = index_to_act_on(run, voice, first, market, at)
    rows = [_row(run, voice, index, market, told, at) for index in range(first, count) if index != asking]
    return rows, None if asking is None else voice.opinion(asking)


def index_to_act_on(run: BotRun, voice: Voice, first: int, market: Market, at: datetime) -> int | None:
    """The candle that asks for an order: the last one, or an unseen one that closed a moment ago.

    An exit counts on any unseen candle since: giving up risk late is better than not at all.
    """
    last = len(voice.signals) - 1
    if first > last:
        return None
    close = Decimal(str(float(voice.candles.close[last])))
    ready, unseen = voice.signals.ready, range(last, first - 1, -1)
    holding = not sizing.flat(run.held, close, market)
    if holding:
        leaving = next((index for index in unseen if voice.signals.exit[index] and ready[index]), None)
        if leaving is not None or voice.signals.plan is None:
            return leaving
    if isinstance(voice.signals.plan, Grid):
        # On every candle it looks whether what should rest does.
        return last if ready[last] else None
    step = timeframe_ms(run.timeframe)
    for index in unseen:
        recent = to_ms(at) - int(voice.candles.opened_at[index]) - step <= LATE.total_seconds() * 1000
        if voice.signals.entry[index] and ready[index] and (index == last or recent):
            return index
    return None


def _row(
    run: BotRun,
    voice: Voice,
    index: int,
    market: Market,
    told: Told,
    at: datetime,
) -> Decision:
    """The journal's row for a candle that asks for nothing; runs that share a voice share its words."""
    close = Decimal(str(float(voice.candles.close[index])))
    holding = not sizing.flat(run.held, close, market)
    name = (id(voice), index, holding)
    if name not in told:
        opinion = voice.opinion(index)
        told[name] = opinion, hold(opinion, holding=holding) or _missed(opinion, holding=holding)
    opinion, decided = told[name]
    return Decision(
        run=run,
        decision_key=candle_key(opinion.candle_opened_at),
        at=at,
        candle_opened_at=opinion.candle_opened_at,
        close=opinion.close,
        action=decided.action.value,
        code=decided.code.value,
        reason=decided.reason[:400],
        confidence=decided.confidence,
        indicators=dict(opinion.indicators),
    )


def _missed(opinion: Opinion, *, holding: bool) -> Decided:
    """A signal on a candle that was seen too late to trade on."""
    action = Action.SELL if holding else Action.BUY
    reason = opinion.reason_holding if holding else opinion.reason_flat
    return Decided(action, Code.DATA_STALE, f"{reason} Seen too late to act on.", opinion.confidence)
