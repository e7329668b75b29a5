"""One of our own systems on one file: runs it, and prints one JSON line as the peers' runners do.

python -m tradingbot.benchmarks.runner exact FILE --variant sltp --repeat 5
"""

import argparse
import hashlib
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from bots.core.backtest import engine
from bots.core.backtest.report import data_facts, report
from bots.core.backtest.terms import Terms, unknown_market
from bots.core.limits import Limits
from bots.core.sweep.evaluation import evaluate
from bots.core.sweep.kernel import Kernel
from bots.core.sweep.plan import ParameterSet
from bots.core.sweep.scores import scores
from exchanges.core.candles import Candles
from strategies.core.indicators import rsi_wilder, wilder_warmup
from strategies.core.parameters import Value
from strategies.library.rsi_cross import RSICrossStrategy
from tradingbot.benchmarks import market, reference

STRATEGY = RSICrossStrategy(rsi_period=14, oversold=30.0, overbought=70.0, rsi_method="wilder")
SWEEP: list[dict[str, Value]] = [
    {"rsi_period": period, "oversold": float(low), "overbought": float(high), "rsi_method": "wilder"}
    for period in range(6, 26, 2)
    for low in range(20, 40, 2)
    for high in range(60, 80, 2)
]
PART = 125
Once = Callable[[], dict[str, Any]]


def terms(variant: str) -> Terms:
    limits = Limits(stop_loss_pct=Decimal(5), take_profit_pct=Decimal(10)) if variant == "sltp" else Limits()
    return Terms(Decimal(1_000_000), unknown_market("BTC/USDT", Decimal("0.001")), limits)


def exact(candles: Candles, variant: str) -> Once:
    """Signals, the exact ledger, every figure and every row of the report; only the data's hash is made before."""
    asked = terms(variant)
    window = engine.Window(candles, STRATEGY.signals(candles[:100]), candles)
    facts = data_facts(window, "1m")

    def once() -> dict[str, Any]:
        outcome = engine.run(candles, STRATEGY.signals(candles), asked)
        made = report(outcome, candles, asked, facts)
        document = made.document()
        entries = [trade.entry for trade in outcome.trades]
        if outcome.open is not None:
            entries.append(outcome.open.entry)
        return {"entries": entries, "final_equity": str(document["stats"]["final_equity"])}

    return once


def kernel(candles: Candles, variant: str) -> Once:
    """Signals and trades in the float kernel, and its figures."""
    asked = terms(variant)

    def once() -> dict[str, Any]:
        made = Kernel(candles, asked)
        path = made.path_of(STRATEGY.signals(candles))
        return {"entries": path.entry, "return_pct": float(scores(made, [path]).return_pct[0])}

    return once


def trades_only(candles: Candles, variant: str) -> Once:
    """The float kernel without figures: what a compiled pass over the candles does."""
    asked = terms(variant)

    def once() -> dict[str, Any]:
        return {"entries": Kernel(candles, asked).path_of(STRATEGY.signals(candles)).entry}

    return once


def events(candles: Candles, variant: str) -> Once:
    return lambda: {"entries": reference.events(candles, protected=variant == "sltp")}


def sweep(candles: Candles, variant: str) -> Once:
    """A thousand parameter sets with all their figures, in this process."""
    return lambda: {"entries": [], "trades": _part((candles, variant, 0, len(SWEEP)))}


def sweep_2(candles: Candles, variant: str) -> Once:
    """The same in two processes, in parts as workers take them."""
    pool = ProcessPoolExecutor(2, mp_context=get_context("fork"))
    _shared["candles"] = candles

    def once() -> dict[str, Any]:
        parts = [(None, variant, first, first + PART) for first in range(0, len(SWEEP), PART)]
        return {"entries": [], "trades": sum(pool.map(_part, parts))}

    return once


_shared: dict[str, Candles] = {}


def _part(job: tuple[Candles | None, str, int, int]) -> int:
    given, variant, first, end = job
    candles = given if given is not None else _shared["candles"]
    asked = terms(variant)
    sets = [ParameterSet(params, asked.limits, params) for params in SWEEP[first:end]]
    (found,) = evaluate(RSICrossStrategy, sets, candles, asked, [(0, len(candles))])
    return int(found.closed_trades.sum())


def live(candles: Candles, variant: str) -> Once:
    """The indicator's last value on a live window of its warm-up, against the whole history's."""
    whole = rsi_wilder(candles.close, 14)
    warmup = wilder_warmup(14)

    def once() -> dict[str, Any]:
        looked = range(warmup, len(candles), max(1, len(candles) // 2_000))
        pairs = [
            (float(rsi_wilder(candles.close[end - warmup : end], 14)[-1]), float(whole[end - 1])) for end in looked
        ]
        return {
            "entries": [],
            "looked": len(pairs),
            "equal_bits": sum(one == other for one, other in pairs),
            "equal_rounded": sum(round(one, 8) == round(other, 8) for one, other in pairs),
            "largest_difference": max(abs(one - other) for one, other in pairs),
        }

    return once


SYSTEMS: dict[str, Callable[[Candles, str], Once]] = {
    "exact": exact,
    "kernel": kernel,
    "trades": trades_only,
    "events": events,
    "sweep": sweep,
    "sweep-2": sweep_2,
    "live": live,
}


def measured(name: str, path: Path, variant: str, repeat: int) -> dict[str, Any]:
    started = time.perf_counter()
    candles = market.read(path)
    loaded = time.perf_counter()
    once = SYSTEMS[name](candles, variant)
    walls, cpus = [], []
    for _ in range(repeat + 1):
        wall, cpu = time.perf_counter(), _cpu()
        answer = once()
        walls.append(time.perf_counter() - wall)
        cpus.append(_cpu() - cpu)
    entries = np.asarray(answer.pop("entries"), dtype=np.int64)
    return {
        "system": f"ours-{name}",
        "variant": variant,
        "candles": len(candles),
        "seconds": statistics.median(walls[1:] or walls),
        "cpu_s": statistics.median(cpus[1:] or cpus),
        "first_s": walls[0],
        "load_s": loaded - started,
        "rss_mb": _peak_mib(),
        "trades": len(entries),
        "entries_sha": hashlib.sha256(entries.tobytes()).hexdigest()[:12],
        **answer,
    }


def _cpu() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _peak_mib() -> float:
    """Of this program alone: what getrusage says begins with the size of whoever started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)
    (line,) = (line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", choices=SYSTEMS)
    parser.add_argument("data", type=Path)
    parser.add_argument("--variant", choices=("plain", "sltp"), default="plain")
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    sys.stdout.write(json.dumps(measured(given.system, given.data, given.variant, given.repeat)) + "\n")


if __name__ == "__main__":
    main()
