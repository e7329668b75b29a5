"""Every stable code that the journal, the API, the pages and the documents use, with its plain sentence."""

from enum import StrEnum


class Code(StrEnum):
    """Why a decision came out as it did."""

    # The strategy's word.
    SIGNAL_BUY = "SIGNAL_BUY"
    SIGNAL_SELL = "SIGNAL_SELL"
    NO_SIGNAL = "NO_SIGNAL"
    WARMING_UP = "WARMING_UP"
    ALREADY_IN_POSITION = "ALREADY_IN_POSITION"
    NO_POSITION_TO_SELL = "NO_POSITION_TO_SELL"
    # What was watched between candles, or asked for by a person.
    STOP_LOSS = "STOP_LOSS"
    TAKE_PROFIT = "TAKE_PROFIT"
    BREAK_EVEN = "BREAK_EVEN"
    TRAILING_STOP = "TRAILING_STOP"
    MANUAL_CLOSE = "MANUAL_CLOSE"
    # The market's data.
    DATA_STALE = "DATA_STALE"
    DATA_GAP = "DATA_GAP"
    CANDLE_OPEN = "CANDLE_OPEN"
    # Permission to trade.
    TRADING_HALTED = "TRADING_HALTED"
    STATE_REDUCING = "STATE_REDUCING"
    RUN_PAUSED = "RUN_PAUSED"
    LIVE_DISABLED = "LIVE_DISABLED"
    NOT_ARMED = "NOT_ARMED"
    ARMING_EXPIRED = "ARMING_EXPIRED"
    PAPER_ONLY = "PAPER_ONLY"
    KEY_CAN_WITHDRAW = "KEY_CAN_WITHDRAW"
    KEY_CHECK_STALE = "KEY_CHECK_STALE"
    KEY_NO_IP_LIMIT = "KEY_NO_IP_LIMIT"
    KEY_INVALID = "KEY_INVALID"
    PERMISSION_MISSING = "PERMISSION_MISSING"
    # Limits and protections.
    PRICE_BAND = "PRICE_BAND"
    MAX_NOTIONAL_ORDER = "MAX_NOTIONAL_ORDER"
    MAX_EXPOSURE_SYMBOL = "MAX_EXPOSURE_SYMBOL"
    MAX_EXPOSURE_ACCOUNT = "MAX_EXPOSURE_ACCOUNT"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    ORDER_RATE = "ORDER_RATE"
    DAILY_LOSS = "DAILY_LOSS"
    DRAWDOWN_BREAKER = "DRAWDOWN_BREAKER"
    COOLDOWN = "COOLDOWN"
    LOSS_STREAK = "LOSS_STREAK"
    STOP_LOSS_GUARD = "STOP_LOSS_GUARD"
    LOW_PROFIT = "LOW_PROFIT"
    CIRCUIT_BREAKER = "CIRCUIT_BREAKER"
    MIN_NOTIONAL = "MIN_NOTIONAL"
    PRECISION = "PRECISION"
    INSUFFICIENT_FREE = "INSUFFICIENT_FREE"
    # Orders and the exchange.
    UNRESOLVED_ORDER = "UNRESOLVED_ORDER"
    SELF_CROSS = "SELF_CROSS"
    POSITION_MISMATCH = "POSITION_MISMATCH"
    CLOCK_SKEW = "CLOCK_SKEW"
    ORDER_REJECTED = "ORDER_REJECTED"
    EXCHANGE_UNAVAILABLE = "EXCHANGE_UNAVAILABLE"
    VENUE_MAINTENANCE = "VENUE_MAINTENANCE"
    VENUE_BANNED = "VENUE_BANNED"


MEANING: dict[Code, str] = {
    Code.SIGNAL_BUY: "The entry rule held and a buy was placed.",
    Code.SIGNAL_SELL: "The exit rule held and a sell was placed.",
    Code.NO_SIGNAL: "Neither rule asked for a trade on this candle.",
    Code.WARMING_UP: "Too few closed candles are known for the indicator.",
    Code.ALREADY_IN_POSITION: "The entry rule held, but a position is open already.",
    Code.NO_POSITION_TO_SELL: "The exit rule held, but there is nothing to sell.",
    Code.STOP_LOSS: "The price reached the stop-loss.",
    Code.TAKE_PROFIT: "The price reached the take-profit.",
    Code.BREAK_EVEN: "The price fell back to the entry price plus both fees after it had risen.",
    Code.TRAILING_STOP: "The price fell back from its peak by the trailing distance.",
    Code.MANUAL_CLOSE: "A person asked for the position to be closed.",
    Code.DATA_STALE: "The market data was too old to act on.",
    Code.DATA_GAP: "Candles are missing from the window that the rule needs.",
    Code.CANDLE_OPEN: "The candle had not closed yet at the exchange's clock.",
    Code.TRADING_HALTED: "Trading is halted by the kill switch.",
    Code.STATE_REDUCING: "Only exits are allowed at the moment.",
    Code.RUN_PAUSED: "The run is paused: it makes no new entries and keeps its exits.",
    Code.LIVE_DISABLED: "Live trading is switched off on this platform.",
    Code.NOT_ARMED: "Live trading of this key has not been armed.",
    Code.ARMING_EXPIRED: "The arming of this key has expired.",
    Code.PAPER_ONLY: "The key is not verified for trading; it serves paper runs only.",
    Code.KEY_CAN_WITHDRAW: "The key may withdraw; such a key is never used.",
    Code.KEY_CHECK_STALE: "The key's permissions were last checked too long ago.",
    Code.KEY_NO_IP_LIMIT: "A warning: the exchange takes this key from any IP address.",
    Code.KEY_INVALID: "The exchange refused the key.",
    Code.PERMISSION_MISSING: "The key lacks a permission that the order needs.",
    Code.PRICE_BAND: "The limit price was too far from the market.",
    Code.MAX_NOTIONAL_ORDER: "The order would be larger than allowed.",
    Code.MAX_EXPOSURE_SYMBOL: "The position would be larger than allowed.",
    Code.MAX_EXPOSURE_ACCOUNT: "All open positions together would be larger than allowed.",
    Code.MAX_OPEN_ORDERS: "Too many orders are open.",
    Code.ORDER_RATE: "Too many orders in the last minute.",
    Code.DAILY_LOSS: "Today's loss has reached its limit.",
    Code.DRAWDOWN_BREAKER: "The fall from the highest equity has reached its limit.",
    Code.COOLDOWN: "The pause after the last losing trade has not passed.",
    Code.LOSS_STREAK: "Too many losing trades in a row.",
    Code.STOP_LOSS_GUARD: "Too many stop-losses in a short time.",
    Code.LOW_PROFIT: "The last trades of the symbol earned too little.",
    Code.CIRCUIT_BREAKER: "A circuit breaker is half-open, and its one trade on trial is under way.",
    Code.MIN_NOTIONAL: "The order would be below the exchange's minimum.",
    Code.PRECISION: "The amount or price does not fit the market's steps.",
    Code.INSUFFICIENT_FREE: "There is not enough free money for the order.",
    Code.UNRESOLVED_ORDER: "An earlier order is still in flight or its outcome is unknown.",
    Code.SELF_CROSS: "The order could trade with another order of the same account.",
    Code.POSITION_MISMATCH: "The exchange's books and ours disagree: an open case holds the account.",
    Code.CLOCK_SKEW: "This machine's clock differs from the exchange's.",
    Code.ORDER_REJECTED: "The exchange refused the order; nothing was bought or sold.",
    Code.EXCHANGE_UNAVAILABLE: "The exchange could not be asked.",
    Code.VENUE_MAINTENANCE: "The exchange is in maintenance.",
    Code.VENUE_BANNED: "The exchange asked us to stop sending requests for a while.",
}
