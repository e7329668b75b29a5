"""Seeded one-minute candles: geometric Brownian motion with clustered volatility, an intraday season and fat tails."""

from pathlib import Path
from typing import Final

import numpy as np

from exchanges.core.candle_csv import csv_lines
from exchanges.core.candles import Candles, Floats

START_MS: Final = 1_672_531_200_000
MINUTE_MS: Final = 60_000
MINUTES_A_YEAR: Final = 525_600
STEPS: Final = 12
ANNUAL_VOLATILITY: Final = 0.90
HALF_LIFE_MINUTES: Final = 480
VOLATILITY_OF_VOLATILITY: Final = 0.55
DEGREES_OF_FREEDOM: Final = 5
FIRST_PRICE: Final = 1500.0


def candles(count: int, seed: int = 7) -> Candles:
    """Prices in ticks of 0.01, twelve steps a minute for highs and lows, a small gap between close and next open."""
    random = np.random.default_rng(seed)
    logs = _autoregressive(random.standard_normal(count))
    season = 0.25 * np.sin(2 * np.pi * (np.arange(count) % 1440) / 1440 - 1.2)
    volatility = ANNUAL_VOLATILITY / np.sqrt(MINUTES_A_YEAR) * np.exp(logs - VOLATILITY_OF_VOLATILITY**2 + season)
    shocks = random.standard_t(DEGREES_OF_FREEDOM, size=(count, STEPS)) / np.sqrt(5 / 3)
    moves = shocks * (volatility / np.sqrt(STEPS))[:, None] - 0.5 * (volatility**2 / STEPS)[:, None]
    path = np.round(FIRST_PRICE * np.exp(np.cumsum(moves.ravel())).reshape(count, STEPS), 2)
    close = path[:, -1].copy()
    opened = np.concatenate([[FIRST_PRICE], close[:-1]])
    opened[1:] = np.round(opened[1:] * (1 + random.standard_normal(count - 1) * volatility[1:] * 0.1), 2)
    high = np.maximum(path.max(axis=1), np.maximum(opened, close))
    low = np.minimum(path.min(axis=1), np.minimum(opened, close))
    volume = np.asarray(np.round(np.exp(random.standard_normal(count) * 0.8 + 2 + 0.9 * logs), 4), dtype=np.float64)
    opened_at = START_MS + MINUTE_MS * np.arange(count, dtype=np.int64)
    return Candles(opened_at, opened, high, low, close, volume)


def _autoregressive(noise: Floats) -> Floats:
    """Log-volatility that forgets half of itself in eight hours."""
    memory = 0.5 ** (1 / HALF_LIFE_MINUTES)
    scaled = (noise * VOLATILITY_OF_VOLATILITY * np.sqrt(1 - memory * memory)).tolist()
    level, levels = 0.0, []
    for step in scaled:
        level = memory * level + step
        levels.append(level)
    return np.array(levels)


def write(folder: Path, count: int, seed: int = 7) -> Path:
    """As the peers' runners read it: arrays ts, open, high, low, close, volume; and the same as CSV."""
    path = folder / f"ohlcv_{count}.npz"
    made = candles(count, seed)
    np.savez(
        path, ts=made.opened_at, open=made.open, high=made.high, low=made.low, close=made.close, volume=made.volume
    )
    if count <= 200_000:
        path.with_suffix(".csv").write_text("\n".join(csv_lines(made)) + "\n", encoding="utf-8")
    return path


def read(path: Path) -> Candles:
    with np.load(path) as arrays:
        return Candles(*(arrays[name] for name in ("ts", "open", "high", "low", "close", "volume")))
