"""Runs as pages, API and commands show them: a fixed number of statements for any number of runs."""

from collections.abc import Iterable, Sequence

from django.db.models import Count, OuterRef, QuerySet, Subquery

from accounts.models import User
from bots.core.position import Position
from bots.core.risk import Gate
from bots.core.stop_order import DECISION_KEY
from bots.ledger import position_of
from bots.models import ACTIVE, BotRun, Decision, Level, TradingGate
from bots.queries.shapes import Halted, LastDecision, Page, PositionView, RunFilter, RunView
from bots.situation import SEVERITY
from strategies.core.rules import RuleStrategy
from strategies.models import RuleSet

#: What a view takes from the run as it stands.
COPIED = (
    "status", "status_reason", "mode", "params", "limits", "exchange", "symbol", "base", "quote", "timeframe",
    "capital", "started_at", "stopped_at", "heartbeat_at",
)  # fmt: skip


def run_model(user: User | None, run_id: int) -> BotRun:
    """The run itself, for a change; raises BotRun.DoesNotExist for a stranger's as for a missing one."""
    runs = BotRun.objects.all() if user is None else BotRun.objects.for_user(user)
    return runs.select_related("strategy", "account", "position").get(pk=run_id)


def run_of(user: User | None, run_id: int) -> RunView:
    return _views([run_model(user, run_id)])[0]


def runs_of(user: User | None, wanted: RunFilter | None = None, *, limit: int = 100, before: int | None = None) -> Page:
    """Newest first; ``user`` None means everybody's (the operator's console)."""
    runs = BotRun.objects.all() if user is None else BotRun.objects.for_user(user)
    wanted = wanted or RunFilter()
    given = {
        "status": wanted.status,
        "mode": wanted.mode,
        "symbol": wanted.symbol,
        "strategy__name": wanted.strategy,
    }
    runs = runs.filter(**{name: value for name, value in given.items() if value})
    if before is not None:
        runs = runs.filter(pk__lt=before)
    found = list(runs.select_related("strategy", "account", "position").order_by("-id")[: limit + 1])
    following = found[limit - 1].pk if len(found) > limit else None
    return Page(_views(found[:limit]), following)


def _views(runs: Sequence[BotRun]) -> list[RunView]:
    ids = [run.pk for run in runs]
    decisions = _last_decisions(ids)
    prices = latest_prices(ids)
    trades = dict(BotRun.objects.filter(pk__in=ids).annotate(n=Count("trades")).values_list("pk", "n"))
    gates = list(TradingGate.objects.exclude(state=Gate.ACTIVE.value))
    return [_view(run, decisions.get(run.pk), prices.get(run.pk), trades[run.pk], gates) for run in runs]


def _last_decisions(ids: Iterable[int]) -> dict[int, Decision]:
    # That a stop was put on the exchange explains nothing about holding or trading: the page tells it by itself.
    return _newest(ids, Decision.objects.exclude(decision_key__startswith=DECISION_KEY))


def latest_prices(ids: Iterable[int]) -> dict[int, Decision]:
    """The last decision of each run that knows a closing price: its `close`, at its `at`."""
    return _newest(ids, Decision.objects.filter(close__isnull=False))


def _newest(ids: Iterable[int], decisions: QuerySet[Decision]) -> dict[int, Decision]:
    """One row per run: each found through the index, however long the journal is."""
    last = decisions.filter(run=OuterRef("pk")).order_by("-id").values("pk")[:1]
    newest = BotRun.objects.filter(pk__in=ids).annotate(last=Subquery(last)).values("last")
    return {decision.run_id: decision for decision in Decision.objects.filter(pk__in=newest)}


def _view(
    run: BotRun, decision: Decision | None, priced: Decision | None, trades: int, gates: Sequence[TradingGate]
) -> RunView:
    position = position_of(run.position)
    price = priced.close if priced is not None else None
    idle = run.status not in ACTIVE
    return RunView(
        bot_run_id=run.pk,
        **{name: getattr(run, name) for name in COPIED},
        strategy=run.strategy.name,
        exchange_key_id=run.key_id,
        position=_position(position, priced),
        equity=run.capital + position.profit(price if price is not None else position.entry_price),
        realized_pnl=position.realized,
        fees=position.fees,
        trades=trades,
        last_decision=_last(decision),
        next_check_at=None if idle or run.last_candle_at is None else run.next_check_at,
        halted=halted(run, gates),
    )


def _position(position: Position, priced: Decision | None) -> PositionView | None:
    """None only at exactly nothing: dust is told too."""
    if position.amount == 0:
        return None
    price = priced.close if priced is not None else None
    return PositionView(
        amount=position.amount,
        entry_price=position.entry_price,
        unrealized_pnl=position.unrealized(price) if price is not None else None,
        price=price,
        price_at=priced.at if priced is not None else None,
        opened_at=position.opened_at,
    )


def _last(decision: Decision | None) -> LastDecision | None:
    if decision is None:
        return None
    return LastDecision(
        at=decision.at,
        candle_opened_at=decision.candle_opened_at,
        action=decision.action,
        code=decision.code,
        reason=decision.reason,
        confidence=decision.confidence,
    )


def halted(run: BotRun, gates: Iterable[TradingGate]) -> Halted | None:
    """The strictest switch that speaks for the run, or None."""
    target = {Level.PLATFORM: 0, Level.USER: run.user_id, Level.KEY: run.key_id, Level.RUN: run.pk}
    target[Level.ACCOUNT] = run.account_id
    speaking = [gate for gate in gates if gate.target == target[Level(gate.level)]]
    if not speaking:
        return None
    worst = max(speaking, key=lambda gate: SEVERITY[Gate(gate.state)])
    return None if worst.state == Gate.ACTIVE else Halted(worst.level, worst.reason, worst.state)


def trades_by(rule_set: RuleSet) -> bool:
    """Whether an active run was started from the user's rule set."""
    runs = BotRun.objects.active().filter(user_id=rule_set.owner_id, strategy__name=RuleStrategy.name)
    return runs.filter(params__rule_set=rule_set.pk).exists()
