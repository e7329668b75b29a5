"""Runs, orders, the ledger, the journal and risk."""

from bots.models.backtest import Backtest, JobState, Sweep, SweepPart
from bots.models.breaker import Breaker, BreakerEvent
from bots.models.capital import CapitalEntry, CapitalKind
from bots.models.download import CandleDownload
from bots.models.drift import DriftReport
from bots.models.journal import Decision, EquityPoint
from bots.models.order import Fill, Order, OrderEvent, RunPosition, TradeLog
from bots.models.risk import SWITCHED, Arming, CaseKind, GateState, Incident, Level, RiskLimits, TradingGate
from bots.models.run import ACTIVE, GUARDED, MONEY, BotRun, Mode, Status, TradingAccount

__all__ = [
    "ACTIVE",
    "GUARDED",
    "MONEY",
    "SWITCHED",
    "Arming",
    "Backtest",
    "BotRun",
    "Breaker",
    "BreakerEvent",
    "CandleDownload",
    "CapitalEntry",
    "CapitalKind",
    "CaseKind",
    "Decision",
    "DriftReport",
    "EquityPoint",
    "Fill",
    "GateState",
    "Incident",
    "JobState",
    "Level",
    "Mode",
    "Order",
    "OrderEvent",
    "RiskLimits",
    "RunPosition",
    "Status",
    "Sweep",
    "SweepPart",
    "TradeLog",
    "TradingAccount",
    "TradingGate",
]
