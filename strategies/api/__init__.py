"""JSON about strategies: the catalogue here, users' rules in `strategies.api.rules`."""

from strategies.api.catalogue import router as router
