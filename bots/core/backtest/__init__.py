"""Backtests: signals of past candles turned into trades, and what is told of them."""
