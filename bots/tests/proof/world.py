"""One live run on the venue: how it begins, what each scenario does with it, and how a process of it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import connections

import bots.connect
from accounts.audit import CONSOLE
from bots import acting, arming, assess, gates, lifecycle, orders, settling, tick, watch
from bots.core.order_state import OrderState
from bots.models import BotRun, Level, Mode, Order, RunPosition, TradingAccount
from bots.testing import START, ScriptedStrategy, learn_strategies, make_user, scripted_candles
from bots.tests.proof import crash
from bots.tests.proof.crash import POINTS
from bots.tests.proof.http_venue import HttpVenue
from bots.tests.proof.terms import Mood
from bots.tests.proof.venue import Venue, instant
from exchanges import connect, market_data, operations
from exchanges.core.candles import Candles, timeframe_ms
from exchanges.models import ExchangeKey
from exchanges.tests.loopback.exchange import API_KEY, API_SECRET
from exchanges.vault import Credentials, keyring, seal
from strategies.core.strategy import StrategyRegistry
from strategies.models import Strategy

CAPITAL = Decimal(1000)
ENOUGH_POINTS = 64
CANDLE = 60.0
#: Between rounds where only lines of a grid rest.
RESTING_STEP = 14.0
#: Within this time an order in doubt is found or proved absent.
ENOUGH_CALM = 40.0
OLD_KEY, NEW_KEY = b"\x01" * 32, b"\x02" * 32
KEYS_TO_ROTATE = 5


@dataclass(frozen=True, slots=True)
class Scenario:
    """``before`` prepares the books without faults; ``act`` is the phase in which the process is killed."""

    name: str
    before: Callable[["World"], None]
    act: Callable[["World"], None]
    #: The run's own limits, and its candles.
    limits: Mapping[str, str]
    script: tuple[int, ...]
    #: What a person does after the recovery, once.
    after: Callable[["World"], None] = lambda world: None
    until: float = 200.0
    #: Whether its candles are counted; a stopped run acts on none, and a grid's lines are looked at instead.
    counted: bool = True
    strategy: str = "scripted"
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def works_lines(self) -> bool:
        return self.strategy == "grid"


class World:
    """This process's view: the venue, and the product wired to it."""

    def __init__(self, folder: Path, scenario: Scenario, seed: str, mood: Mood, *, http: bool = False) -> None:
        self.folder = folder
        self.scenario = scenario
        self.venue: Any = HttpVenue(folder, mood) if http else Venue(folder / "venue.sqlite3", seed, mood)
        self.candles = scripted_candles(scenario.script)
        self.venue.script = self.candles
        self.next_reconcile = self.venue.second() + 20
        self.next_assessment = self.venue.second()
        settings.ENCRYPTION_KEYS = [NEW_KEY, OLD_KEY]
        wire(self.venue, self.candles)
        crash.install()

    def run(self) -> BotRun:
        return BotRun.objects.get(pk=1)

    def act(self) -> None:
        """The scenario's phase, and what follows until there are enough points to die at."""
        self.scenario.act(self)
        while len(POINTS.names) < ENOUGH_POINTS and self.venue.second() < self.scenario.until:
            self.play(self.venue.second() + 4)

    def round(self) -> None:
        """What beat's tasks do, one after the other."""
        actor = acting.worker_name()
        settling.settle_all(self.venue.now(), actor)
        watch.watch_positions(self.venue.now())
        tick.tick_due(self.venue.now())
        if self.venue.second() >= self.next_reconcile:
            self.next_reconcile = self.venue.second() + 30
            settling.reconcile_all(self.venue.now(), actor)
        if self.venue.second() >= self.next_assessment:
            self.next_assessment = self.venue.second() + 30
            assess.assess_risk(self.venue.now())

    def play(self, until: float, step: float = 4.0) -> None:
        """Rounds until an instant; while there is nothing to do, straight to the next candle."""
        while self.venue.second() < until:
            self.round()
            now = self.venue.second()
            to_candle = min(until, (now // CANDLE + 1) * CANDLE)
            if tick.due_markets(self.venue.now()):
                self.venue.pass_until(now + step)
            elif not Order.objects.live().exists():
                self.venue.pass_until(to_candle)
            else:
                self.venue.pass_until(min(to_candle, now + RESTING_STEP) if self._only_lines_rest() else now + step)

    def _only_lines_rest(self) -> bool:
        """Nothing but orders that wait undisturbed: whoever looks less often misses nothing."""
        moved = Order.objects.live().exclude(state=OrderState.OPEN, rests=True, filled=0)
        return self.scenario.works_lines and not moved.exists()

    def calm(self) -> None:
        """One more candle without bad luck, after which whatever should rest does."""
        self.venue.set_price(str(self.venue.price()))
        settling.settle_all(self.venue.now(), acting.worker_name(), boot=True)
        candle = ((self.venue.second() + ENOUGH_CALM) // CANDLE + 1) * CANDLE
        self.play(candle)
        self.venue.pass_until(candle)
        # Where an order is on the move, the last round may have gone past the candle's close.
        self.play(self.venue.second() + 3)

    def drain(self) -> None:
        """No faults and no new candles' wishes: only what was begun is brought to its end."""
        actor = acting.worker_name()
        if self.run().own_limits.stop_on_exchange or self.scenario.works_lines:
            # Its orders would rest for ever: the run ends, which must take them back.
            lifecycle.stop(self.run(), "keep", self.venue.now(), CONSOLE)
        for _ in range(14):
            settling.settle_all(self.venue.now(), actor, boot=True)
            watch.watch_positions(self.venue.now())
            if not Order.objects.live().exists():
                break
            self.venue.pass_time(6.0)
        self.venue.pass_time(40.0)
        watch.watch_positions(self.venue.now())
        settling.reconcile_all(self.venue.now(), actor)
        settling.settle_all(self.venue.now(), actor, boot=True)


def wire(venue: "Venue | HttpVenue", candles: Candles) -> None:
    """Put the venue behind the product's doors, and its clock behind the product's durations."""

    def closed_candles(exchange: str, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
        return candles.closed(at, timeframe)[-count:]

    if ScriptedStrategy.name not in StrategyRegistry.list_all():
        StrategyRegistry.register(ScriptedStrategy)
    market_data.closed_candles = closed_candles
    market_data._listings.clear()
    if isinstance(venue, Venue):
        bots.connect.open_account = lambda account, at: venue.at(at)
        connect.open_public = lambda exchange, at: venue.at(at)
        orders.monotonic = acting.monotonic = venue.second


def create_rows(scenario: Scenario) -> None:
    """alice with an armed, verified key and one live run; other keys beside it, all under the old master key."""
    settings.ENCRYPTION_KEYS = [OLD_KEY]
    learn_strategies()
    alice = make_user("alice@example.com")
    key, *_ = [_key(alice, number) for number in range(KEYS_TO_ROTATE)]
    arming.arm(key, "console", START, CONSOLE)
    account = TradingAccount.objects.create(owner=alice, mode=Mode.LIVE, exchange="binance", key=key)
    run = BotRun.objects.create(
        user=alice, strategy=Strategy.objects.get(name=scenario.strategy), exchange="binance", symbol="BTC/USDT",
        timeframe="1m", mode=Mode.LIVE, key=key, account=account, limits=dict(scenario.limits), base="BTC",
        params=dict(scenario.params), quote="USDT", capital=CAPITAL, created_at=START, started_at=START,
        next_check_at=lifecycle.NEVER,
    )  # fmt: skip
    RunPosition.objects.create(run=run)


def _key(owner: object, number: int) -> ExchangeKey:
    key = ExchangeKey(
        owner=owner, uuid=uuid4(), exchange="binance", label=f"key {number}", created_at=START,
        permissions=ExchangeKey.Permissions.TRADE, can_withdraw=False, last_checked_at=START,
        fingerprint=f"proof-{number}",
    )  # fmt: skip
    operations._write(key, seal(keyring(), operations.place_of(key), credentials_of(number)))
    key.save()
    return key


def credentials_of(number: int) -> Credentials:
    """The first key is the one that the loopback exchange knows."""
    return Credentials(API_KEY, API_SECRET, "") if not number else Credentials(f"key {number}", f"secret {number}", "")


# --- Scenarios -------------------------------------------------------------------------------------


def nothing(world: World) -> None:
    world.venue.pass_until(30)
    settling.reconcile_all(world.venue.now(), "proof")


def holding(world: World) -> None:
    nothing(world)
    world.venue.pass_until(CANDLE)
    world.play(CANDLE + 8)


def resting(world: World) -> None:
    nothing(world)
    world.venue.let_rest(True)
    world.venue.pass_until(CANDLE)
    world.play(CANDLE + 8)
    world.venue.let_rest(False)


def at_candle(world: World, number: int) -> None:
    """The candle closes; three rounds follow."""
    world.venue.pass_until(CANDLE * number)
    world.play(CANDLE * number + 10)


def price_falls(world: World) -> None:
    world.venue.pass_until(CANDLE + 20)
    world.venue.set_price("93")
    world.play(CANDLE + 30)


def stop_moves(world: World) -> None:
    """The stop follows the price up by cancel and replacement, and then the price falls through it."""
    for number, price in enumerate(("102", "104", "100")):
        world.venue.pass_until(CANDLE + 12 + 14 * number)
        world.venue.set_price(price)
        world.play(CANDLE + 24 + 14 * number)


def fall_after_exit(world: World) -> None:
    """The price falls while what became of an exit may not be known yet."""
    at_candle(world, 2)
    world.venue.set_price("93")
    world.play(CANDLE * 2 + 22)


def call_back(world: World) -> None:
    world.venue.pass_until(CANDLE + 20)
    gates.switch(Level.RUN, 1, "reduce", "drill", world.venue.now(), CONSOLE)
    world.play(CANDLE + 32)


def resume(world: World) -> None:
    gates.switch(Level.RUN, 1, "resume", "drill over", world.venue.now(), CONSOLE)


def rotate(world: World) -> None:
    world.venue.pass_until(CANDLE)
    finish_rotation(world)
    world.play(CANDLE + 5)


def finish_rotation(world: World) -> None:
    settings.ENCRYPTION_KEYS = [NEW_KEY, OLD_KEY]
    operations.rotate(2, world.venue.now(), CONSOLE)


def close(world: World) -> None:
    world.venue.pass_until(CANDLE + 15)
    stop_and_close(world)
    world.play(CANDLE + 25)


def stop_and_close(world: World) -> None:
    lifecycle.stop(world.run(), "close", world.venue.now(), CONSOLE)


def lines(world: World) -> None:
    """The price falls through two lines, rises through the sells that follow, and goes on its way to the end."""
    nothing(world)
    world.venue.follow(PRICES)


def lines_rest(world: World) -> None:
    """Without bad luck until one line offers its lot and another rests to buy; the price is about to reach that."""
    nothing(world)
    world.venue.follow(((76.0, "96.7"), (139.0, "93.5")))
    world.venue.pass_until(CANDLE)
    world.play(CANDLE * 2 + 8, step=12.0)


def grid_turns(world: World) -> None:
    world.venue.pass_until(CANDLE)
    world.play(CANDLE * 2 + 14)


def close_lines(world: World) -> None:
    stop_and_close(world)
    world.play(world.venue.second() + 12)


def script(*first: int) -> tuple[int, ...]:
    return (*first, *[3] * (40 - len(first)))


GRID = {"lower": "94", "upper": "103", "levels": 4, "spacing": "arithmetic", "stop_pct": "0"}
#: (second, price): through the lines at 97 and 94 and past them, up over 97 and 100, and down again.
PRICES = ((76.0, "96.7"), (96.0, "93.9"), (126.0, "97.2"), (148.0, "101"), (190.0, "99.6"))
RESTING = {"stop_loss_pct": "5", "trailing_stop_pct": "2", "stop_on_exchange": "true"}
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("entry", nothing, partial(at_candle, number=1), {}, script(3)),
        Scenario("exit", holding, partial(at_candle, number=2), {}, script(3, 3)),
        Scenario("stop", holding, price_falls, {"stop_loss_pct": "5"}, script(3, 0)),
        Scenario("resting", holding, stop_moves, RESTING, script(3, 0), until=230.0),
        Scenario("cancel", resting, call_back, {}, script(3, 0), after=resume),
        Scenario("rotation", nothing, rotate, {}, script(3), after=finish_rotation),
        Scenario("fall", holding, fall_after_exit, {"stop_loss_pct": "5"}, script(3, 3, 0)),
        Scenario("resting fall", holding, fall_after_exit, RESTING, script(3, 3, 0), until=230.0),
        Scenario("close", holding, close, {}, script(3, 0), after=stop_and_close, counted=False),
        Scenario("grid", lines, grid_turns, {}, script(), until=190.0, counted=False, strategy="grid", params=GRID),
        Scenario(
            "grid close",
            lines_rest,
            close_lines,
            {},
            script(),
            after=stop_and_close,
            counted=False,
            strategy="grid",
            params=GRID,
        ),
    )
}


def leave_connections() -> None:
    """Before a fork: a connection must not be shared with a child."""
    connections.close_all()


def candles_due(scenario: Scenario, first: float, last: float) -> list[datetime]:
    """Open times of the candles that close between two instants and ask for a trade."""
    step = timedelta(milliseconds=timeframe_ms("1m"))
    opened = [START + step * index for index, wish in enumerate(scenario.script) if wish]
    return [at for at in opened if instant(first) <= at + step <= instant(last)]
