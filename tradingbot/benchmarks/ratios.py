"""The goals as ratios of two systems, round by round, and whether this run reached them."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

#: A ratio counts where wall and CPU agree within this share.
AGREEMENT: Final = 0.25
#: Of a candle: its time, four prices and the volume.
COLUMNS: Final = 6
Rounds = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Goal:
    """``over`` divided by ``under``; with ``most`` the ratio is to stay below its bounds, else above them."""

    row: str
    what: str
    over: str
    under: str
    must: float
    moonshot: float
    most: bool = False
    measure: str = "seconds"

    def reached(self, ratio: float, bound: float) -> bool:
        return ratio <= bound if self.most else ratio >= bound


GOALS: Final = (
    Goal("P1", "vectorbt / exact ledger and report", "vectorbt", "exact", 2, 4),
    Goal("P1", "the same with stop and target", "vectorbt sltp", "exact sltp", 2, 4),
    Goal("P2", "freqtrade / exact ledger and report, CPU", "freqtrade", "exact", 300, 1000, measure="cpu_s"),
    Goal("P2", "the same with stop and target, CPU", "freqtrade sltp", "exact sltp", 300, 1000, measure="cpu_s"),
    Goal("P3", "float kernel / TA-Lib and a compiled pass", "trades", "compiled", 10, 4, most=True),
    Goal("P3", "the same with stop and target", "trades sltp", "compiled sltp", 10, 4, most=True),
    Goal("P3", "float kernel / Python over the events", "trades", "events", 10, 4, most=True),
    Goal("P3", "the same with stop and target", "trades sltp", "events sltp", 10, 4, most=True),
    Goal("P4", "vectorbt / sweep of 1,000, one process", "vectorbt-sweep", "sweep", 60, 200),
    Goal("P4", "vectorbt / sweep of 1,000, two processes", "vectorbt-sweep", "sweep-2", 60, 200),
    Goal("P4", "sweep / compiled loop on two cores", "sweep-2", "compiled-sweep", 5, 2, most=True),
    Goal("P5", "freqtrade / backtest_run, whole process", "freqtrade-whole", "backtest_run", 5, 10),
    Goal("P6", "loading stored candles / simulating them", "load", "exact", 10, 2, most=True),
)


@dataclass(frozen=True, slots=True)
class Peak:
    """The most memory that a system's own process ever had (its high-water mark), in MiB.

    ``most`` is how often its candles' columns may be held, ``beside`` what else there may be: the interpreter and its
    libraries.
    """

    what: str
    system: str
    most: float
    beside: float

    def bound(self, candles: int) -> float:
        return self.most * candles * COLUMNS * 8 / 2**20 + self.beside


PEAKS: Final = (
    Peak("exact ledger and report", "exact", 2.5, 150),
    Peak("the same with stop and target", "exact sltp", 2.5, 150),
    Peak("sweep of 1,000, one process", "sweep", 0, 400),
)


@dataclass(frozen=True, slots=True)
class Held:
    """The highest of all rounds."""

    peak: Peak
    mib: float
    bound: float

    @property
    def verdict(self) -> str:
        return "reached" if self.mib <= self.bound else "missed"


def held(rounds: Rounds) -> list[Held]:
    """Every peak of which the system was measured."""
    found = [(peak, rounds[peak.system]) for peak in PEAKS if rounds.get(peak.system)]
    return [Held(peak, max(one["rss_mb"] for one in some), peak.bound(some[0]["candles"])) for peak, some in found]


@dataclass(frozen=True, slots=True)
class Reached:
    """The median of the per-round ratios with their range; ``agrees``: wall and CPU within a quarter of each other."""

    goal: Goal
    ratio: float
    least: float
    most: float
    cpu_ratio: float
    agrees: bool
    rounds: int

    @property
    def verdict(self) -> str:
        if self.goal.reached(self.ratio, self.goal.moonshot):
            return "moonshot"
        return "reached" if self.goal.reached(self.ratio, self.goal.must) else "missed"


def reached(rounds: Rounds) -> list[Reached]:
    """Every goal of which both systems were measured."""
    return [found for goal in GOALS if (found := _reached(goal, rounds)) is not None]


def _reached(goal: Goal, rounds: Rounds) -> Reached | None:
    pairs = list(zip(rounds.get(goal.over, ()), rounds.get(goal.under, ()), strict=False))
    if not pairs:
        return None
    walls, cpus = ([_ratio(over[name], under[name]) for over, under in pairs] for name in ("seconds", "cpu_s"))
    main = cpus if goal.measure == "cpu_s" else walls
    wall, cpu = statistics.median(walls), statistics.median(cpus)
    agrees = cpu > 0 and abs(wall / cpu - 1) <= AGREEMENT
    return Reached(goal, statistics.median(main), min(main), max(main), cpu, agrees, len(pairs))


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else 0.0


def disagreeing(rounds: Rounds, key: Callable[[str], str], expected: Mapping[str, str]) -> list[str]:
    """Systems whose trades are not the reference's: their figures do not count."""
    return [
        name
        for name, measured in rounds.items()
        if key(name) in expected and any(one["entries_sha"] != expected[key(name)] for one in measured)
    ]
