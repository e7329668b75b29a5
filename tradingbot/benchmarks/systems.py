"""Which systems are there to be measured, and how each is asked: a command that prints one JSON line."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tradingbot.benchmarks import market

PROJECT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 1_800


@dataclass(frozen=True, slots=True)
class System:
    """``size`` in candles; ``whole`` measures the process from start to end instead of what it says of itself.

    ``trades`` is False where a system has none to be compared (a sweep, a look at an indicator).
    """

    name: str
    command: tuple[str, ...]
    size: int
    variant: str = "plain"
    whole: bool = False
    trades: bool = True


@dataclass(frozen=True, slots=True)
class Peer:
    """A runner script of another system, in its own virtual environment."""

    venv: str
    script: str
    options: tuple[str, ...] = ()


PEERS: Final[Mapping[str, Peer]] = {
    "compiled": Peer("ref", "ref_numba.py", ("--mode", "talib", "--repeat", "9")),
    "fused": Peer("ref", "ref_numba.py", ("--mode", "fused", "--repeat", "9")),
    "vectorbt": Peer("vbt", "peer_vectorbt.py", ("--engine", "numba", "--repeat", "5")),
    "vectorbt-rust": Peer("vbtr", "peer_vectorbt.py", ("--engine", "rust", "--repeat", "5")),
    "backtesting.py": Peer("bt", "peer_backtesting_py.py", ("--repeat", "1")),
    "freqtrade": Peer("ft", "peer_freqtrade.py", ("--repeat", "1")),
}
SWEEPERS: Final[Mapping[str, Peer]] = {
    "compiled-sweep": Peer("ref", "ref_sweep.py", ("--threads", "2", "--repeat", "5")),
    "vectorbt-sweep": Peer("vbt", "peer_vectorbt.py", ("--sweep", "1000", "--chunk", "100", "--repeat", "0")),
}
WHOLE: Final[Mapping[str, Peer]] = {"freqtrade-whole": Peer("ft", "peer_freqtrade.py", ("--repeat", "0"))}


def ours(folder: Path, large: int, small: int) -> list[System]:
    runner = (sys.executable, "-m", "tradingbot.benchmarks.runner")
    big, little = (str(folder / f"ohlcv_{size}.npz") for size in (large, small))
    found = [
        System(labeled(name, variant), (*runner, name, big, "--variant", variant), large, variant)
        for name in ("exact", "kernel", "trades", "events")
        for variant in ("plain", "sltp")
    ]
    command = (
        *(sys.executable, "manage.py", "backtest_run", "--strategy", "rsi_cross", "--exchange", "benchmark"),
        *("--symbol", "BTC/USDT", "--timeframe", "1m", "--capital", "1000000", "--fee", "0.001", "--json"),
        *("--params", '{"rsi_method": "wilder"}', "--csv", str(folder / f"ohlcv_{small}.csv")),
    )
    return [
        *found,
        System("sweep", (*runner, "sweep", little), small, trades=False),
        System("sweep-2", (*runner, "sweep-2", little), small, trades=False),
        System("load", (sys.executable, "-m", "tradingbot.benchmarks.loading", big, str(folder)), large, trades=False),
        System("live", (*runner, "live", little, "--repeat", "1"), small, trades=False),
        System("backtest_run", command, small, whole=True, trades=False),
    ]


def labeled(name: str, variant: str) -> str:
    return name if variant == "plain" else f"{name} {variant}"


def peers(scripts: Path | None, venvs: Path | None, folder: Path, large: int, small: int) -> list[System]:
    """Those whose script and environment are both there."""
    if scripts is None or venvs is None:
        return []
    big, little = (str(folder / f"ohlcv_{size}.npz") for size in (large, small))
    found = []
    for name, peer in PEERS.items():
        for variant in ("plain", "sltp"):
            options = ("--variant", variant)
            label = labeled(name, variant)
            found.append(_peer(label, peer, scripts, venvs, big, options, System(label, (), large, variant)))
    for name, peer in SWEEPERS.items():
        found.append(_peer(name, peer, scripts, venvs, little, (), System(name, (), small, trades=False)))
    for name, peer in WHOLE.items():
        found.append(_peer(name, peer, scripts, venvs, little, (), System(name, (), small, whole=True, trades=False)))
    return [system for system in found if system is not None]


def _peer(
    name: str, peer: Peer, scripts: Path, venvs: Path, data: str, options: tuple[str, ...], like: System
) -> System | None:
    python, script = venvs / f"venv-{peer.venv}" / "bin" / "python", scripts / peer.script
    if not python.exists() or not script.is_file():
        return None
    command = (str(python), str(script), data, *peer.options, *options)
    return System(name, command, like.size, like.variant, like.whole, like.trades)


def measure(system: System) -> dict[str, Any]:
    """One round of one system; raises RuntimeError with the end of what it said when it fails."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)} if system.command[0] == sys.executable else None
    done = subprocess.run(  # noqa: S603 - our own command lines
        system.command, cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=environment
    )
    seconds, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(f"{system.name}: {done.stderr.strip()[-300:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if system.whole:
        return {"seconds": seconds, "cpu_s": cpu, "entries_sha": "", "rss_mb": None}
    document: dict[str, Any] = json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])
    return {**document, "process_s": seconds, "process_cpu_s": cpu}


def prepare(folder: Path, sizes: tuple[int, ...]) -> None:
    for size in sizes:
        if not (folder / f"ohlcv_{size}.npz").exists():
            market.write(folder, size)
