"""Is the platform well? In one word for anybody, part by part for its operators."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max, Min
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from bots.models import BotRun
from tradingbot.liveness import BEAT, WORKER, last_heartbeat, lease_until
from tradingbot.supervise import broker

WORKER_DEGRADED, WORKER_FAILED = timedelta(seconds=60), timedelta(seconds=120)
BEAT_FAILED = timedelta(seconds=60)
MARKET_DEGRADED, MARKET_FAILED = timedelta(seconds=60), timedelta(seconds=300)


class State(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Part:
    state: State
    detail: str
    age_seconds: float | None = None

    def as_dict(self) -> dict[str, object]:
        age = {} if self.age_seconds is None else {"age_seconds": round(self.age_seconds, 1)}
        return {"state": self.state.value, "detail": self.detail, **age}


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 while this process lives and its database answers; nothing else leaks."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable"}, status=HTTPStatus.SERVICE_UNAVAILABLE)
    return JsonResponse({"status": "ok"})


def parts(at: datetime) -> dict[str, Part]:
    """Every part of the platform as of `at`; none of them raises."""
    checks: dict[str, Callable[[datetime], Part]] = {
        "database": _database,
        "broker": _broker,
        "worker": _worker,
        "beat": _beat,
        "market_data": _market_data,
    }
    return {name: _asked(check, at) for name, check in checks.items()}


def readiness(at: datetime) -> dict[str, dict[str, object]]:
    return {name: part.as_dict() for name, part in parts(at).items()}


def _asked(check: Callable[[datetime], Part], at: datetime) -> Part:
    try:
        return check(at)
    except DatabaseError:
        return Part(State.UNKNOWN, "The database does not answer.")


def _database(at: datetime) -> Part:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        return Part(State.FAILED, f"The database does not answer ({type(error).__name__}).")
    if waiting:
        return Part(State.FAILED, f"{len(waiting)} migrations are not applied.")
    return Part(State.OK, "It answers, and all migrations are applied.")


def _broker(at: datetime) -> Part:
    # Degraded, not failed: the database is the queue of record, the broker only wakes the workers.
    if broker.answers(settings.REDIS_URL or broker.url(settings.VAR_DIR)):
        return Part(State.OK, "It answers.")
    return Part(State.DEGRADED, "It does not answer.")


def _worker(at: datetime) -> Part:
    heartbeat = last_heartbeat(WORKER)
    if heartbeat is None:
        return Part(State.FAILED, "No worker has ever run a task.")
    age = at - heartbeat
    state = State.FAILED if age > WORKER_FAILED else State.DEGRADED if age > WORKER_DEGRADED else State.OK
    return Part(state, "The last heartbeat that came through the broker.", age.total_seconds())


def _beat(at: datetime) -> Part:
    until = lease_until(BEAT)
    if until is None:
        return Part(State.FAILED, "No beat has ever led.")
    if until > at:
        return Part(State.OK, "One beat leads.")
    state = State.FAILED if at - until > BEAT_FAILED else State.DEGRADED
    return Part(state, "No beat leads since its lease ran out.", (at - until).total_seconds())


def _market_data(at: datetime) -> Part:
    """The age of data that should be there: how long the most overdue run has been waiting for its candle."""
    facts = BotRun.objects.active().aggregate(due=Min("next_check_at"), newest=Max("last_candle_at"))
    if facts["due"] is None:
        return Part(State.UNKNOWN, "No run is active.")
    age = max(at - facts["due"], timedelta(0))
    state = State.FAILED if age > MARKET_FAILED else State.DEGRADED if age > MARKET_DEGRADED else State.OK
    newest = f"{facts['newest']:%Y-%m-%d %H:%M:%S} UTC" if facts["newest"] else "none yet"
    return Part(state, f"How overdue the latest run is; newest candle decided on: {newest}.", age.total_seconds())
