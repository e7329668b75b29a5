"""Makes strategies known: the shipped ones, installed packages' entry points, and modules named by the operator."""

import importlib
import pkgutil
from collections.abc import Iterable
from importlib.metadata import entry_points

import strategies.library
from strategies.core.strategy import StrategyRegistry

GROUP = "tradingbot.strategies"


def load(modules: Iterable[str] = ()) -> dict[str, str]:
    """Import and register everything; answers what failed, as name → error. Importing twice changes nothing.

    Never code from the database or the web: only what the operator installed or named.
    """
    load_shipped()
    problems: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
            if isinstance(loaded, type):
                StrategyRegistry.register(loaded)
        except Exception as error:  # noqa: BLE001 - somebody else's module may raise anything
            problems[f"{GROUP}:{point.name}"] = f"{type(error).__name__}: {error}"
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:  # noqa: BLE001 - somebody else's module may raise anything
            problems[module] = f"{type(error).__name__}: {error}"
    return problems


def load_shipped() -> None:
    """Import every module of the library: each registers its strategy."""
    for module in pkgutil.iter_modules(strategies.library.__path__, f"{strategies.library.__name__}."):
        importlib.import_module(module.name)
