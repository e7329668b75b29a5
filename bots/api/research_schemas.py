"""Bodies about backtests and sweeps; their fields are those of `bots.queries.research`."""

from typing import Any, Literal

from pydantic import Field

from exchanges.schemas import Answer, Body, Listing, Money, Utc

State = Literal["queued", "running", "done", "failed", "canceled"]
JsonNumber = str | float | int


class BacktestIn(Body):
    """Without a range: all that is stored. ``fee`` and ``slippage`` are fractions of each leg."""

    strategy: str = Field(max_length=64, examples=["rsi_cross"])
    exchange: str = Field(max_length=32, examples=["demo"])
    symbol: str = Field(max_length=32, examples=["BTC/USDT"])
    timeframe: str = Field(max_length=4, examples=["1h"])
    since: Utc | None = None
    until: Utc | None = None
    capital: Money = Field(description="In the quote currency.")
    fee: Money = Field(description="Fraction of each leg: 0.001 is 0.1 %.", examples=["0.001"])
    slippage: Money | None = Field(None, description="Fraction by which each fill is worse than the price.")
    params: dict[str, Any] = {}
    limits: dict[str, Any] = {}


class SweepIn(BacktestIn):
    """Every combination of ``grid``, or ``samples`` of them drawn by ``seed``."""

    grid: dict[str, Any] = Field(
        description="Per parameter a list of values or {min, max, step}; limits.stop_loss_pct, limits.take_profit_pct "
        "and limits.trailing_stop_pct may vary as well.",
        examples=[{"rsi_period": {"min": 6, "max": 24, "step": 2}, "oversold": [25, 30, 35]}],
    )
    objective: str = "sharpe_daily_365"
    constraints: dict[str, Any] = Field({}, examples=[{"closed_trades": {"min": 30}}])
    samples: int | None = None
    seed: int = 0
    walk_forward: dict[str, Any] | None = Field(None, examples=[{"folds": 4, "in_sample": 0.7}])
    top: int = Field(20, description="Rows that are run again through the exact ledger.")


class ResearchOut(Answer):
    id: int
    kind: Literal["report", "checks", "sweep"]
    state: State
    phase: str
    progress: float = Field(description="Percent.")
    eta: float | None = Field(description="Seconds that are left; null while nothing can be said.")
    strategy: str
    exchange: str
    symbol: str
    timeframe: str
    request: dict[str, Any]
    created_at: Utc
    started_at: Utc | None
    finished_at: Utc | None
    candles: int | None
    candles_per_second: float | None
    error: str
    data_sha256: str
    engine: str
    result_sha256: str = Field(description="Equal hash, equal result.")
    repeats: int | None = Field(description="The backtest that this one repeats.")
    reproduced: bool | None = Field(description="Whether the repetition came out bit for bit.")
    result: dict[str, Any] | None


class ResearchRow(ResearchOut):
    stats: dict[str, Any] | None
    result: None = None


class ResearchesOut(Listing[ResearchRow]):
    pass


class ReportTradeOut(Answer):
    signal_at: str
    entry_at: str
    exit_signal_at: str | None
    exit_at: str
    entry_price: str
    exit_price: str
    amount: str
    fee: str
    pnl: str
    return_pct: float
    candles_held: int
    exit_reason: str


class ReportTradesOut(Listing[ReportTradeOut]):
    """The closed trades, oldest first."""


class EquityPointOut(Answer):
    at: Utc
    equity: str
    drawdown_pct: float
    buy_and_hold: str


class ReportEquityOut(Listing[EquityPointOut]):
    """Equity at candles' closes, oldest first, at most 4,000 points of a backtest."""


class RankedOut(Answer):
    rank: int
    params: dict[str, Any]
    stats: dict[str, Any] = Field(description="The kernel's figures, which rank.")
    exact: dict[str, Any] | None = Field(None, description="The exact ledger's; null where it was not run.")
    agrees: bool | None = Field(None, description="Whether both made the same trades and the same return.")


class RankingOut(Listing[RankedOut]):
    """The sets that meet the constraints, the best first."""


class DownloadIn(Body):
    """Without ``until``: up to the last closed candle."""

    exchange: str = Field(max_length=32, examples=["binance"])
    symbol: str = Field(max_length=32, examples=["BTC/USDT"])
    timeframe: str = Field(max_length=4, examples=["1h"])
    since: Utc
    until: Utc | None = None


class DownloadOut(Answer):
    id: int
    state: State
    phase: str
    progress: float = Field(description="Percent.")
    eta: float | None = Field(description="Seconds that are left; null while nothing can be said.")
    exchange: str
    symbol: str
    timeframe: str
    since: Utc
    until: Utc
    reached: Utc = Field(description="Everything opened before is done.")
    candles: int = Field(description="In the range, if none were missing.")
    added: int
    pages: int
    candles_per_second: float | None
    created_at: Utc
    started_at: Utc | None
    finished_at: Utc | None
    error: str
    resumable: bool


class DownloadsOut(Listing[DownloadOut]):
    pass
