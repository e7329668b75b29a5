"""What `doctor` looks at: every part of the platform, what is wrong with it, and how to repair it."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, connection
from django.utils import timezone

from exchanges.connect import open_public
from exchanges.core.errors import ExchangeFault
from exchanges.queries import missing_key_ids
from exchanges.vault import keyring
from tradingbot.health import Part, State, parts

REPAIRS = {
    "database": "Run manage.py migrate; if the database does not answer, start it and check DATABASE_URL.",
    "broker": "Start ./run.sh (embedded mode) or the Redis of REDIS_URL.",
    "worker": "Start ./run.sh, or a worker: celery -A tradingbot worker -Q trading,research.",
    "beat": "Start ./run.sh, or a beat: celery -A tradingbot beat.",
    "market_data": "Look at the runs' last decisions (manage.py bot_list) and at the worker's log.",
    "keys": "Put the missing key into ENCRYPTION_KEYS_RETIRED, then run manage.py key_rotate.",
    "clock": "Synchronize the clock of this machine (NTP): exchanges refuse requests that are a second off.",
}
CLOCK_SECONDS = 0.5
STEP_SECONDS = 0.05
SKEW_DEGRADED, SKEW_FAILED = 1.0, 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    name: str
    part: Part

    @property
    def well(self) -> bool:
        # Nothing runs yet: no data to be late.
        return self.part.state is State.OK or (self.name == "market_data" and self.part.state is State.UNKNOWN)

    @property
    def repair(self) -> str:
        return "" if self.well else REPAIRS[self.name.split(" ")[0]]

    def as_dict(self) -> dict[str, object]:
        return {"name": self.name, **self.part.as_dict(), "repair": self.repair}


def diagnose(at: datetime, exchange: str | None = None) -> Iterator[Finding]:
    yield Finding("keys", _keys())
    for name, part in parts(at).items():
        yield Finding(name, part)
    yield Finding("clock", _clock())
    yield Finding("clock of the database", _database_clock())
    if exchange:
        yield Finding(f"clock of {exchange}", _exchange_clock(exchange))


def _keys() -> Part:
    """Does the keyring hold the master key of every stored secret?"""
    try:
        missing = missing_key_ids()
    except DatabaseError:
        return Part(State.UNKNOWN, "The database does not answer.")
    if missing:
        return Part(State.FAILED, f"Exchange keys are sealed under {', '.join(sorted(missing))}, which is not here.")
    return Part(State.OK, f"{len(set(keyring().key_ids))} in the ring, every stored exchange key has its own.")


def _clock() -> Part:
    """The wall clock against the monotonic one: is it being stepped?"""
    before, unsure_before = _wall_over_steady()
    time.sleep(CLOCK_SECONDS)
    after, unsure_after = _wall_over_steady()
    step = abs(after - before)
    if step - unsure_before - unsure_after > STEP_SECONDS:
        return Part(State.FAILED, f"It jumped by {step:.3f} s within half a second.")
    return Part(State.OK, "It runs evenly.")


def _wall_over_steady() -> tuple[float, float]:
    """The wall clock less the monotonic one, and how far off that may be: a busy machine pauses between readings."""
    first, wall, last = time.monotonic(), time.time(), time.monotonic()
    return wall - (first + last) / 2, (last - first) / 2


def _database_clock() -> Part:
    if connection.vendor != "postgresql":
        return Part(State.OK, "The database runs in this process.")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (theirs,) = cursor.fetchone()
    except DatabaseError:
        return Part(State.UNKNOWN, "The database does not answer.")
    return _skew(theirs, timezone.now())


def _exchange_clock(exchange: str) -> Part:
    began = timezone.now()
    try:
        theirs = open_public(exchange, began).fetch_time()
    except ExchangeFault as error:
        return Part(State.UNKNOWN, f"It could not be asked: {error}")
    ended = timezone.now()
    return _skew(theirs, began + (ended - began) / 2)


def _skew(theirs: datetime, ours: datetime) -> Part:
    seconds = (theirs - ours).total_seconds()
    off = abs(seconds)
    state = State.FAILED if off > SKEW_FAILED else State.DEGRADED if off > SKEW_DEGRADED else State.OK
    return Part(state, f"It is {off:.2f} s {'ahead of' if seconds > 0 else 'behind'} ours.")
