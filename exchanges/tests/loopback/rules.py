"""Binance's order rules per symbol, and the errors with which it refuses."""

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradingbot.tests.places import DATA_DIR

RECORDED = DATA_DIR / "exchange_filters_binance_spot.json"
# The numbers of the recorded file, for machines without it: (amount step, max amount, max market amount, price tick).
STAND_IN = {
    "BTC/USDT": ("0.00001000", "9000.00000000", "128.52621715", "0.01000000"),
    "ETH/USDT": ("0.00010000", "9000.00000000", "3277.54882761", "0.01000000"),
}


@dataclass
class Rejected(Exception):
    """What Binance answers instead of doing something."""

    code: int
    text: str
    status: int = 400


@dataclass(frozen=True, slots=True)
class Rules:
    symbol: str
    id: str
    base: str
    quote: str
    step: Decimal
    min_amount: Decimal
    max_amount: Decimal
    max_market: Decimal
    tick: Decimal
    min_notional: Decimal
    band: tuple[Decimal, Decimal] = (Decimal("0.2"), Decimal(5))

    def check(self, amount: Decimal, price: Decimal | None, market_price: Decimal) -> None:
        if amount <= 0:
            raise Rejected(-1013, "Invalid quantity.")
        most = self.max_amount if price is not None else min(self.max_amount, self.max_market)
        if not self.min_amount <= amount <= self.max_amount or amount % self.step:
            raise Rejected(-1013, "Filter failure: LOT_SIZE")
        if amount > most:
            raise Rejected(-1013, "Filter failure: MARKET_LOT_SIZE")
        if price is not None and (price <= 0 or price % self.tick):
            raise Rejected(-1013, "Filter failure: PRICE_FILTER")
        low, high = (market_price * factor for factor in self.band)
        if price is not None and not low <= price <= high:
            raise Rejected(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")
        if amount * (price or market_price) < self.min_notional:
            raise Rejected(-1013, "Filter failure: NOTIONAL")

    def exchange_info(self) -> dict[str, Any]:
        return {
            "symbol": self.id,
            "status": "TRADING",
            "baseAsset": self.base,
            "baseAssetPrecision": 8,
            "quoteAsset": self.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"],
            "icebergAllowed": True,
            "ocoAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "permissions": [],
            "permissionSets": [["SPOT"]],
            "filters": self._filters(),
        }

    def _filters(self) -> list[dict[str, Any]]:
        low, high = (str(factor) for factor in self.band)
        tick, step, least, most = (_text(value) for value in (self.tick, self.step, self.min_amount, self.max_amount))
        market = {"minQty": "0.00000000", "maxQty": _text(self.max_market), "stepSize": "0.00000000"}
        sides = {
            f"{side}Multiplier{end}": value for side in ("bid", "ask") for end, value in (("Up", high), ("Down", low))
        }
        notional = {"minNotional": _text(self.min_notional), "maxNotional": "9000000.00000000"}
        return [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000.00000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": least, "maxQty": most, "stepSize": step},
            {"filterType": "MARKET_LOT_SIZE", **market},
            {"filterType": "PERCENT_PRICE_BY_SIDE", **sides, "avgPriceMins": 5},
            {
                "filterType": "NOTIONAL",
                **notional,
                "applyMinToMarket": True,
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
        ]


def _text(value: Decimal) -> str:
    return f"{value:.8f}"


def _rules(symbol: str, step: str, most: str, market: str, tick: str, notional: str, least: str) -> Rules:
    base, quote = symbol.split("/")
    return Rules(
        symbol, base + quote, base, quote, Decimal(step), Decimal(least), Decimal(most), Decimal(market),
        Decimal(tick), Decimal(notional),
    )  # fmt: skip


def recorded_rules() -> dict[str, Rules]:
    """By exchange symbol id; from the recorded file where it is, else its numbers for two symbols."""
    if not RECORDED.is_file():
        rows = [
            _rules(symbol, step, most, market, tick, "5", step)
            for symbol, (step, most, market, tick) in STAND_IN.items()
        ]
        return {row.id: row for row in rows}
    found = {}
    for symbol, row in json.loads(RECORDED.read_text(encoding="utf-8"))["symbols"].items():
        lot = row["LOT_SIZE"]
        found[row["id"]] = _rules(
            symbol, lot["stepSize"], lot["maxQty"], row["MARKET_LOT_SIZE"]["maxQty"],
            row["PRICE_FILTER"]["tickSize"], row["NOTIONAL"]["minNotional"], lot["minQty"],
        )  # fmt: skip
    return found
