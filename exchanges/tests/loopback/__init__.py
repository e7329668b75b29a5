"""A loopback exchange that speaks Binance Spot's REST protocol and keeps its own durable books."""

from exchanges.tests.loopback.exchange import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.faults import Fault, Kind

__all__ = ["API_KEY", "API_SECRET", "Fault", "Kind", "LoopbackExchange"]
