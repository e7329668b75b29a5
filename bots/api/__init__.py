"""JSON about keys, runs, trades, money, risk and markets: parse, one domain call, render."""

from bots.api import backtests, keys, market, risk, runs, seed

routers = (keys.router, seed.router, runs.router, risk.router, market.router, backtests.router)
