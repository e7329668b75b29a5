"""Keys, stored candles and the simulated exchange's books."""

from exchanges.models.key import ExchangeKey, ExchangeKeyQuerySet
from exchanges.models.simulated import SimulatedFill, SimulatedOrder, SimulatedWallet

__all__ = ["ExchangeKey", "ExchangeKeyQuerySet", "SimulatedFill", "SimulatedOrder", "SimulatedWallet"]
