"""Measure our engines beside plain references and installed peers, as ratios."""

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import ConsoleCommand, Exit, Failure
from tradingbot.benchmarks import ratios, systems
from tradingbot.benchmarks.systems import System


class Command(ConsoleCommand):
    help = (
        "Measure backtests and sweeps side by side on one seeded file, system after system and round after round, and "
        "print ratios. Absolute times say nothing on another machine."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--peers", type=Path, metavar="DIR", help="Runner scripts of other systems.")
        parser.add_argument("--venvs", type=Path, metavar="DIR", help="Their environments: DIR/venv-vbt and so on.")
        parser.add_argument("--rounds", type=int, default=3)
        parser.add_argument("--only", default="", metavar="A,B", help="Only these systems.")
        parser.add_argument("--large", type=int, default=1_000_000, help="Candles of a backtest.")
        parser.add_argument("--small", type=int, default=100_000, help="Candles of a sweep and of a whole process.")
        parser.add_argument("--keep", type=Path, metavar="DIR", help="Folder for the data; default: a temporary one.")

    def handle(self, *args: Any, **options: Any) -> None:
        with tempfile.TemporaryDirectory(prefix="benchmark-") as temporary:
            folder = options["keep"] or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            self._run(folder, options)

    def _run(self, folder: Path, options: Mapping[str, Any]) -> None:
        sizes = (options["large"], options["small"])
        systems.prepare(folder, sizes)
        wanted = {name.strip() for name in options["only"].split(",") if name.strip()}
        known = [*systems.ours(folder, *sizes), *systems.peers(options["peers"], options["venvs"], folder, *sizes)]
        chosen = [system for system in known if not wanted or system.name in wanted]
        if not chosen:
            raise Failure(f"Expected some of {', '.join(system.name for system in known)}.", Exit.USAGE)
        rounds = self._rounds(chosen, options["rounds"])
        by_name = {system.name: system for system in chosen}
        found = ratios.reached(rounds)
        traded = {name: measured for name, measured in rounds.items() if by_name[name].trades}
        wrong = ratios.disagreeing(traded, lambda name: by_name[name].variant, _expected(chosen, rounds))
        document = {
            "systems": {name: list(measured) for name, measured in rounds.items()},
            "ratios": [{**asdict(one), "verdict": one.verdict} for one in found],
            "peaks": [{**asdict(one), "verdict": one.verdict} for one in ratios.held(rounds)],
            "other_trades": wrong,
        }
        self.emit(document, lines(rounds, found, wrong))
        if any(name in wrong for name in by_name if by_name[name].command[0] == sys.executable):
            raise Failure("One of our engines made other trades than the reference.", Exit.FAILED)

    def _rounds(self, chosen: Sequence[System], count: int) -> dict[str, list[dict[str, Any]]]:
        """A round is every system once, so that a slow minute of the machine hits them all."""
        rounds: dict[str, list[dict[str, Any]]] = {system.name: [] for system in chosen}
        for number in range(1, count + 1):
            for system in chosen:
                self.progress(f"round {number} of {count}: {system.name}")
                try:
                    rounds[system.name].append(systems.measure(system))
                except (RuntimeError, OSError, ValueError) as error:
                    self.stderr.write(str(error))
        self.progress("")
        return {name: measured for name, measured in rounds.items() if measured}


def _expected(chosen: Sequence[System], rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """The entries that the plain reference made, by variant."""
    return {
        system.variant: rounds[system.name][0]["entries_sha"]
        for system in chosen
        if system.name in {"events", "events sltp"} and system.name in rounds
    }


def lines(
    rounds: Mapping[str, Sequence[Mapping[str, Any]]], found: Sequence[ratios.Reached], wrong: Sequence[str]
) -> Iterator[str]:
    yield f"{'system':<22}{'seconds':>10}{'CPU s':>10}{'peak MiB':>10}{'trades':>10}  entries"
    for name, measured in rounds.items():
        middle = sorted(measured, key=lambda one: one["seconds"])[len(measured) // 2]
        peak = middle.get("rss_mb")
        yield (
            f"{name:<22}{middle['seconds']:>10.4f}{middle['cpu_s']:>10.4f}{'' if peak is None else f'{peak:.0f}':>10}"
            f"{middle.get('trades', ''):>10}  {'differs' if name in wrong else middle['entries_sha'][:6]}"
        )
    yield ""
    for one in found:
        bound = f"{'≤' if one.goal.most else '≥'} {one.goal.must:g}, {one.goal.moonshot:g}"
        note = "" if one.agrees else f"  (CPU says {one.cpu_ratio:.3g}: noisy)"
        span = f"[{one.least:.3g} … {one.most:.3g}]"
        yield f"{one.goal.row:<4}{one.goal.what:<46}{one.ratio:>8.3g} {span:<18} {bound:<12} {one.verdict}{note}"
    for peak in ratios.held(rounds):
        bound = f"≤ {peak.bound:.0f}"
        yield f"    {'peak MiB: ' + peak.peak.what:<46}{peak.mib:>8.0f} {'':<18} {bound:<12} {peak.verdict}"
