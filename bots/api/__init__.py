"""JSON about keys, runs, trades, money, risk and markets: parse, one domain call, render."""

from bots.api import backtests, breakers, capital, cases, downloads, drift, keys, market, promotion, risk, runs, seed

routers = (
    keys.router,
    seed.router,
    runs.router,
    drift.router,
    promotion.router,
    risk.router,
    capital.router,
    breakers.router,
    cases.router,
    market.router,
    downloads.router,
    backtests.router,
)
