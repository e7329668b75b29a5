"""Runs, orders, the ledger, the journal and risk."""

from bots.models.journal import Decision, EquityPoint
from bots.models.order import Fill, Order, OrderEvent, RunPosition, TradeLog
from bots.models.risk import Arming, GateState, Incident, Level, RiskLimits, TradingGate
from bots.models.run import ACTIVE, MONEY, BotRun, Mode, Status, TradingAccount

__all__ = [
    "ACTIVE",
    "MONEY",
    "Arming",
    "BotRun",
    "Decision",
    "EquityPoint",
    "Fill",
    "GateState",
    "Incident",
    "Level",
    "Mode",
    "Order",
    "OrderEvent",
    "RiskLimits",
    "RunPosition",
    "Status",
    "TradeLog",
    "TradingAccount",
    "TradingGate",
]
