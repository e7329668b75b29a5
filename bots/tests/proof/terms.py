"""What the proof counts, and how bad its luck is; known before Django is."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

LEAST_POINTS = 60
LEAST_ACTED = 0.9
#: A share of fewer candles says nothing.
ENOUGH_CANDLES = 40


@dataclass(slots=True)
class Tally:
    """What a number of runs showed."""

    runs: int = 0
    points: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    eligible: int = 0
    acted: int = 0
    incidents: int = 0
    wrong: list[str] = field(default_factory=list)
    violations: int = 0
    missed: dict[str, int] = field(default_factory=dict)
    #: Per kill switch that met a resting entry: [how long it still rested, requests that failed until then].
    rested: list[list[float]] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        for name in ("runs", "orders", "eligible", "acted", "incidents", "violations"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.wrong += other.wrong
        self.rested += other.rested
        for name, count in other.kinds.items():
            self.kinds[name] = self.kinds.get(name, 0) + count
        for name, count in other.missed.items():
            self.missed[name] = self.missed.get(name, 0) + count
        for name, count in other.points.items():
            self.points[name] = min(self.points.get(name, count), count)

    def add_verdict(self, label: str, verdict: dict[str, Any]) -> None:
        self.runs += 1
        for name in ("orders", "eligible", "acted", "incidents"):
            setattr(self, name, getattr(self, name) + verdict[name])
        self.rested += verdict.get("rested", [])
        for reason in verdict["missed"]:
            self.missed[reason] = self.missed.get(reason, 0) + 1
        if verdict["wrong"]:
            self.violations += 1
            self.wrong.append(f"{label}: {'; '.join(verdict['wrong'][:4])}")

    def told_rest(self) -> dict[str, float]:
        """How long entries rested after the switch, in seconds: where the exchange answered, and where not always."""
        answered = sorted(seconds for seconds, failed in self.rested if not failed)
        others = sorted(seconds for seconds, failed in self.rested if failed)
        told: dict[str, float] = {}
        for name, group in (("answered", answered), ("unanswered", others)):
            if group:
                told |= {f"{name}": len(group), f"{name} median": group[len(group) // 2], f"{name} longest": group[-1]}
        return told

    def failures(self, *, busy: bool = True) -> list[str]:
        """Why this is no proof: violations, or a harness that looked at too little.

        Not ``busy``: a worker that dies again in each recovery may be away when a candle asks for a trade.
        """
        few = [f"{name}: only {count} crash points" for name, count in self.points.items() if count < LEAST_POINTS]
        idle = busy and self.eligible >= ENOUGH_CANDLES and self.acted < LEAST_ACTED * self.eligible
        return self.wrong + few + ([f"acted on {self.acted} of {self.eligible} candles"] if idle else [])


@dataclass(slots=True)
class Mood:
    """How bad the luck is; a mutant may also make the exchange careless. ``window`` in seconds, as a recvWindow."""

    faults: bool = True
    window: float = 5.0
    #: The share of reads that fail, and the reads that always do.
    trouble: float = 0.06
    silent: frozenset[str] = frozenset()
    #: Whether a request inside a transaction is an error at once.
    strict: bool = True
    #: How many times the capital at the first price may be held: more where prices let it grow.
    slack: Decimal = Decimal("1.08")


class ChildFailed(Exception):
    """A child ended otherwise than it should have: the product raised, or the harness is wrong."""
