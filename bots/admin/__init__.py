"""The operator's view of everything that trades; importing it registers every page."""

from bots.admin import books, breakers, cases, drift, research, risk, runs

__all__ = ["books", "breakers", "cases", "drift", "research", "risk", "runs"]
