"""Keys, stored candles and the simulated exchange's books."""

from exchanges.models.candles import CandleChunk
from exchanges.models.exact import ExactDecimalField
from exchanges.models.key import ExchangeKey, ExchangeKeyQuerySet
from exchanges.models.simulated import SimulatedBalance, SimulatedFill, SimulatedOrder, SimulatedWallet

__all__ = [
    "CandleChunk",
    "ExactDecimalField",
    "ExchangeKey",
    "ExchangeKeyQuerySet",
    "SimulatedBalance",
    "SimulatedFill",
    "SimulatedOrder",
    "SimulatedWallet",
]
